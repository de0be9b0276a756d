//! Events from the kernel.

use std::os::fd::{AsFd as _, BorrowedFd};

use observer_ebpf::Event;

use super::Probes;

impl Probes {
    /// Becomes readable when there are events.
    pub fn event_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }

    /// Hands over the events that have come, in their order, and to the log what
    /// the programs said.
    ///
    /// To be called every few seconds: an observer that does not is killed by the
    /// kernel, lest its probes meet a file that was written to.
    pub fn drain(&mut self, mut f: impl FnMut(Event)) {
        self.renew();
        if let Some(log) = &mut self.log {
            log();
        }
        while let Some(item) = self.events.next() {
            if item.len() >= size_of::<Event>() {
                // SAFETY: the length is checked, the type is `repr(C)` of
                // integers, which any bytes are valid for, and the read needs
                // no alignment.
                f(unsafe { item.as_ptr().cast::<Event>().read_unaligned() });
            }
        }
    }
}
