//! Perf events that no thread of the observer closes.
//!
//! The kernel takes a uprobe's breakpoint out of the programs within whichever
//! thread lets go of the event last, and gives up, with the breakpoint left
//! there for good, where that thread has a SIGKILL pending. Threads have one
//! while their process exits, and more so when it is killed. What a map lets
//! go of is closed by a thread of the kernel, which no signal reaches.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aya_obj::generated::{
    BPF_F_PRESERVE_ELEMS, bpf_attr, bpf_cmd, bpf_map_type::BPF_MAP_TYPE_PERF_EVENT_ARRAY,
};

use super::sys::{bpf, bpf_fd, zeroed};

/// How many events it keeps: 128 KiB of the kernel's memory.
const ROOM: u32 = 16_384;

/// A map that keeps perf events.
///
/// It is bound to the program that the events run, and its entries stay until
/// the map itself goes. So they outlive the last link, in whichever order an
/// ending process closes its files.
pub(super) struct PerfEventMap(Arc<Shared>);

struct Shared {
    map: OwnedFd,
    slots: Mutex<Slots>,
}

/// One event's place, until dropped.
pub(super) struct Kept {
    slot: u32,
    shared: Arc<Shared>,
}

impl PerfEventMap {
    pub(super) fn new(program: BorrowedFd<'_>) -> io::Result<Self> {
        let mut attr = zeroed();
        // SAFETY: all of the union is zero, so any of its variants is valid.
        let create = unsafe { &mut attr.__bindgen_anon_1 };
        create.map_type = BPF_MAP_TYPE_PERF_EVENT_ARRAY as u32;
        create.key_size = size_of::<u32>() as u32;
        create.value_size = size_of::<u32>() as u32;
        create.max_entries = ROOM;
        create.map_flags = BPF_F_PRESERVE_ELEMS;
        // SAFETY: the command makes a descriptor and has no pointer in it.
        let map = unsafe { bpf_fd(bpf_cmd::BPF_MAP_CREATE, &mut attr) }?;

        let mut attr = zeroed();
        attr.prog_bind_map.prog_fd = program.as_raw_fd() as u32;
        attr.prog_bind_map.map_fd = map.as_raw_fd() as u32;
        // SAFETY: the command has no pointer in it.
        unsafe { bpf(bpf_cmd::BPF_PROG_BIND_MAP, &mut attr) }?;
        Ok(Self(Arc::new(Shared {
            map,
            slots: Mutex::new(Slots::new(ROOM)),
        })))
    }

    /// Keeps an event; `None` where it cannot.
    pub(super) fn keep(&self, event: BorrowedFd<'_>) -> Option<Kept> {
        let slot = self.0.slots().take()?;
        // From here on a drop gives the slot back.
        let kept = Kept {
            slot,
            shared: Arc::clone(&self.0),
        };
        let fd = event.as_raw_fd() as u32;
        let mut attr = self.0.element(&kept.slot);
        attr.__bindgen_anon_2.__bindgen_anon_1.value = (&raw const fd).expose_provenance() as u64;
        // SAFETY: key and value are four bytes each, and live during the call.
        let result = unsafe { bpf(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr) };
        if let Err(error) = result {
            tracing::debug!(%error, "failed to put a perf event into its map");
            return None;
        }
        Some(kept)
    }
}

impl Shared {
    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a command on one entry is told; it points to `slot`.
    fn element(&self, slot: &u32) -> bpf_attr {
        let mut attr = zeroed();
        // SAFETY: all of the union is zero, so any of its variants is valid.
        let element = unsafe { &mut attr.__bindgen_anon_2 };
        element.map_fd = self.map.as_raw_fd() as u32;
        element.key = std::ptr::from_ref(slot).expose_provenance() as u64;
        attr
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut attr = self.shared.element(&self.slot);
        // SAFETY: the key is four bytes, and lives during the call.
        let result = unsafe { bpf(bpf_cmd::BPF_MAP_DELETE_ELEM, &mut attr) };
        // There is none where it could not be kept.
        if let Err(error) = result {
            tracing::debug!(%error, "failed to take a perf event out of its map");
        }
        self.shared.slots().give_back(self.slot);
    }
}

/// Which places are free.
struct Slots {
    room: u32,
    used: u32,
    free: Vec<u32>,
}

impl Slots {
    fn new(room: u32) -> Self {
        Self {
            room,
            used: 0,
            free: Vec::new(),
        }
    }

    fn take(&mut self) -> Option<u32> {
        if let Some(slot) = self.free.pop() {
            return Some(slot);
        }
        let slot = self.used;
        (slot < self.room).then(|| {
            self.used += 1;
            slot
        })
    }

    fn give_back(&mut self, slot: u32) {
        self.free.push(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;

    #[test]
    fn a_slot_is_used_once_at_a_time() {
        let mut slots = Slots::new(2);
        assert_eq!(
            (slots.take(), slots.take(), slots.take()),
            (Some(0), Some(1), None)
        );
        slots.give_back(0);
        assert_eq!((slots.take(), slots.take()), (Some(0), None));
    }
}
