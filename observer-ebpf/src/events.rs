//! Sending events.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::{bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_ktime_get_ns};
use observer_ebpf::{COMM_LEN, Event, EventKind, state_machine::Fields};

use crate::{
    diagnostics::{first_hit, lost_event},
    maps::{EVENTS, health},
};

/// Sends an event about the current task, or counts it as lost.
#[inline(always)]
pub(crate) fn send(fields: &Fields) {
    if matches!(fields.kind, EventKind::FirstHit) {
        first_hit(fields.process, fields.target);
    }
    let Some(mut entry) = EVENTS.reserve::<Event>(0) else {
        health!(lost_events);
        lost_event(fields.kind, fields.process.tgid);
        return;
    };
    let comm = bpf_get_current_comm().unwrap_or([0; COMM_LEN]);
    let event: &mut MaybeUninit<Event> = &mut entry;
    event.write(Event {
        kind: fields.kind as u32,
        tgid: fields.process.tgid,
        epoch: fields.process.epoch,
        old_epoch: fields.old_epoch,
        target: fields.target,
        parent: fields.parent,
        // SAFETY: these helpers have no precondition.
        at: unsafe { bpf_ktime_get_ns() },
        // SAFETY: as above.
        cgroup: unsafe { bpf_get_current_cgroup_id() },
        parent_cgroup: fields.parent_cgroup,
        comm,
    });
    entry.submit(0);
}
