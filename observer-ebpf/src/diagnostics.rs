//! What the programs say for themselves, to the observer's log: `--ebpf-log`.
//!
//! The level is a constant that user space patches in. Where it is lower than a
//! message's, the verifier never comes to the call and takes the message out of
//! the program, so that a hit costs what it costs without them. Each message is
//! a function of its own, since it takes much of the stack, and writes into a
//! piece of the ring buffer that it has reserved for itself.

use aya_log_ebpf::{
    debug, error, info,
    macro_support::{Level, level_enabled},
};
use observer_ebpf::{EventKind, ProcessKey};

use crate::pids;

/// Defines a message: its level, and a function that says it.
macro_rules! message {
    ($(#[$doc:meta])* $level:ident $name:ident($($argument:ident: $type:ty),*) { $say:expr }) => {
        $(#[$doc])*
        #[inline(always)]
        pub(crate) fn $name($($argument: $type),*) {
            #[inline(never)]
            fn say($($argument: $type),*) {
                $say;
            }
            if level_enabled(Level::$level) {
                say($($argument),*);
            }
        }
    };
}

message! {
    /// A cookie that no probe was given.
    Error unknown_kind(cookie: u64) {
        error!((), "hit with the unknown cookie {:x} in process {}", cookie, tgid())
    }
}

message! {
    /// PROCESSES refused an entry.
    Error no_room_for_process(tgid: u32) {
        error!((), "no room in PROCESSES for process {}: its hits are not counted", tgid)
    }
}

message! {
    /// GOROUTINES, GC or SPANS refused an entry.
    Error no_room_for_figures(map: Figures, tgid: u32) {
        match map {
            Figures::Goroutines => {
                error!((), "no room in GOROUTINES for process {}: the hit is not counted", tgid);
            }
            Figures::Gc => error!((), "no room in GC for process {}: the hit is not counted", tgid),
            Figures::Spans => {
                error!((), "no room in SPANS for process {}: the hit is not counted", tgid);
            }
        }
    }
}

message! {
    /// The ring buffer has no room for an event.
    Error lost_event(kind: EventKind, tgid: u32) {
        error!((), "no room for event {} of process {}", kind as u32, tgid)
    }
}

message! {
    /// Memory of a process could not be read.
    Info failed_read(address: u64) {
        info!((), "cannot read {:x} of process {}", address, tgid())
    }
}

message! {
    /// A hit that another target's probe counts.
    Info alias_hit(loser: u32, owner: u32) {
        info!((), "target {} hit in process {}, which target {} counts for", loser, tgid(), owner)
    }
}

message! {
    /// The first hit of a process's life.
    Debug first_hit(process: ProcessKey, target: u32) {
        debug!((), "first hit of process {} (epoch {}) by target {}", process.tgid, process.epoch, target)
    }
}

/// Maps of figures.
#[derive(Clone, Copy)]
pub(crate) enum Figures {
    Goroutines,
    Gc,
    Spans,
}

#[inline(always)]
fn tgid() -> u32 {
    pids::current().unwrap_or(0)
}
