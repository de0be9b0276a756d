//! What the engine asks of the kernel's side: probes set and removed, processes
//! registered, counts and events read.
//!
//! [`Probes`] answers with eBPF programs, their maps and the thread that closes links.
//! The tests answer with a model of all that.

use std::{os::fd::BorrowedFd, path::Path, sync::Arc};

use observer_ebpf::{
    Event, GcFigures, GoroutineFigures, ProbeGroup, ProcessKey, ProgramHealth, Registration,
};
use observer_go::binary::SitePlan;
use observer_probe::{Attached, Inventory, ProbeError, Probes, Spans};

use super::cross_check::Counted;

/// The kernel's side, owned by the engine. Each method is described at the method of
/// [`Probes`] that has its name.
pub(super) trait KernelSide: Send + 'static {
    fn attach(&mut self, target: u32, path: &Path, plan: &SitePlan)
    -> Result<Attached, ProbeError>;
    fn set_group(
        &mut self,
        target: u32,
        group: ProbeGroup,
        on: bool,
    ) -> Result<Option<u64>, ProbeError>;
    fn detach(&mut self, target: u32);
    fn forget_target(&mut self, target: u32) -> Vec<ProcessKey>;
    /// Takes a target's probes away, and what the maps know of it. Returns the processes
    /// that it no longer owns.
    fn release(&mut self, target: u32) -> Vec<ProcessKey> {
        self.detach(target);
        self.forget_target(target)
    }
    fn aliases(&self) -> Vec<(u32, u32)>;

    fn register(&mut self, tgid: u32, target: u32) -> Result<Option<Registration>, ProbeError>;
    fn registration(&self, tgid: u32) -> Option<Registration>;
    fn unregister(&mut self, tgid: u32);

    fn read(&self, key: ProcessKey, known: Option<&Arc<GcFigures>>) -> Counted;
    fn goroutines(&self, key: ProcessKey) -> GoroutineFigures;
    fn take(&mut self, key: ProcessKey) -> Counted;
    fn has_spans(&self) -> bool;
    fn spans(&self, process: ProcessKey) -> Spans;
    fn forget_spans(&mut self, lives: &dyn Fn(ProcessKey) -> bool);
    fn inventory(&self) -> Inventory;
    fn health(&self) -> ProgramHealth;

    fn event_fd(&self) -> BorrowedFd<'_>;
    /// The events that have come, in their order. See [`Probes::drain`].
    fn drain(&mut self) -> Vec<Event>;

    fn wanted_fd(&self) -> BorrowedFd<'_>;
    fn is_wanted(&self) -> bool;
    fn wanted(&self) -> Vec<u32>;

    fn has_lost_a_thread(&self) -> bool;
}

impl KernelSide for Probes {
    fn attach(
        &mut self,
        target: u32,
        path: &Path,
        plan: &SitePlan,
    ) -> Result<Attached, ProbeError> {
        Probes::attach(self, target, path, plan)
    }

    fn set_group(
        &mut self,
        target: u32,
        group: ProbeGroup,
        on: bool,
    ) -> Result<Option<u64>, ProbeError> {
        Probes::set_group(self, target, group, on)
    }

    fn detach(&mut self, target: u32) {
        Probes::detach(self, target);
    }

    fn forget_target(&mut self, target: u32) -> Vec<ProcessKey> {
        Probes::forget_target(self, target)
    }

    fn aliases(&self) -> Vec<(u32, u32)> {
        Probes::aliases(self)
    }

    fn register(&mut self, tgid: u32, target: u32) -> Result<Option<Registration>, ProbeError> {
        Probes::register(self, tgid, target)
    }

    fn registration(&self, tgid: u32) -> Option<Registration> {
        Probes::registration(self, tgid)
    }

    fn unregister(&mut self, tgid: u32) {
        Probes::unregister(self, tgid);
    }

    fn read(&self, key: ProcessKey, known: Option<&Arc<GcFigures>>) -> Counted {
        Probes::read(self, key, known)
    }

    fn goroutines(&self, key: ProcessKey) -> GoroutineFigures {
        Probes::goroutines(self, key)
    }

    fn take(&mut self, key: ProcessKey) -> Counted {
        Probes::take(self, key)
    }

    fn has_spans(&self) -> bool {
        Probes::has_spans(self)
    }

    fn spans(&self, process: ProcessKey) -> Spans {
        Probes::spans(self, process)
    }

    fn forget_spans(&mut self, lives: &dyn Fn(ProcessKey) -> bool) {
        Probes::forget_spans(self, lives);
    }

    fn inventory(&self) -> Inventory {
        Probes::inventory(self)
    }

    fn health(&self) -> ProgramHealth {
        Probes::health(self)
    }

    fn event_fd(&self) -> BorrowedFd<'_> {
        Probes::event_fd(self)
    }

    fn drain(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        Probes::drain(self, |event| events.push(event));
        events
    }

    fn wanted_fd(&self) -> BorrowedFd<'_> {
        Probes::wanted_fd(self)
    }

    fn is_wanted(&self) -> bool {
        Probes::is_wanted(self)
    }

    fn wanted(&self) -> Vec<u32> {
        Probes::wanted(self)
    }

    fn has_lost_a_thread(&self) -> bool {
        Probes::has_lost_a_thread(self)
    }
}
