//! What the state machines ask of the kernel. The programs answer with helpers,
//! maps and instructions; the tests answer with a model.

use crate::{
    EventKind, GcFigures, GoroutineFigures, ProcessKey, Registration,
    family::{InFlight, InFlightKey, SpanFigures, SpanKey},
    ground::Ground,
};

/// All that a hit, an exec and an exit need.
pub trait Kernel: Ground {
    /// What is registered for a process.
    fn registration(self, tgid: u32) -> Option<*mut Registration>;

    /// Registers a process. `false` where it is registered already, or the map
    /// has no room.
    fn register(self, tgid: u32, registration: &Registration) -> bool;

    /// Takes a process out. `false` where somebody else was first.
    fn unregister(self, tgid: u32) -> bool;

    /// A process's figures of goroutines, this CPU's copy; made where it has
    /// none. `None` where the map has no room, which is counted.
    fn goroutines(self, process: ProcessKey) -> Option<*mut GoroutineFigures>;

    /// A process's figures of collections and stops; as [`Self::goroutines`].
    fn collector(self, process: ProcessKey) -> Option<*mut GcFigures>;

    /// Whether any span is probed.
    fn has_spans(self) -> bool;

    /// A span's figures, this CPU's copy; as [`Self::goroutines`].
    fn span(self, key: &SpanKey) -> Option<*mut SpanFigures>;

    /// A span that goes on.
    fn in_flight(self, key: &InFlightKey) -> Option<*mut InFlight>;

    /// Notes that a span begins that did not go on. Where the map has no room, its end
    /// is unmatched.
    fn begin(self, key: &InFlightKey, new: &InFlight);

    /// Forgets a span that went on.
    fn end(self, key: &InFlightKey);

    /// Nanoseconds that one nanosecond of spending takes to be paid back; 0 where
    /// nothing is too much.
    fn repayment(self) -> u64;

    /// Nanoseconds that may be spent at once.
    fn burst_ns(self) -> u64;

    /// Sends an event about the current task, or counts it as lost.
    fn send(self, fields: &Fields);

    /// Counts an exec, a fork or an exit.
    fn process_event(self);

    /// Counts that the map has no room for a process.
    fn no_room_for(self, tgid: u32);

    /// Counts a hit of `loser` in a process that `owner` counts for, and notes
    /// that the two are one file.
    fn alias(self, loser: u32, owner: u32);
}

/// What differs between events; the rest is the current task's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// What happened.
    pub kind: EventKind,
    /// To which process.
    pub process: ProcessKey,
    /// The life that an exec ended; 0 otherwise.
    pub old_epoch: u32,
    /// The target that counts for it; 0 for none.
    pub target: u32,
    /// Its parent; 0 where that is not told.
    pub parent: u32,
    /// The parent's cgroup; 0 where that is not told.
    pub parent_cgroup: u64,
}

impl Fields {
    /// An event that tells of no parent and of no life before.
    #[inline(always)]
    pub const fn new(kind: EventKind, process: ProcessKey, target: u32) -> Self {
        Self {
            kind,
            process,
            old_epoch: 0,
            target,
            parent: 0,
            parent_cgroup: 0,
        }
    }
}
