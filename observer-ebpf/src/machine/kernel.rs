//! What the state machines ask of the kernel. The programs answer with helpers,
//! maps and instructions; the tests answer with a model.
//!
//! Implementations are `Copy` and passed by value. The programs' has no size, so
//! that it takes neither a register nor stack.

use crate::{
    EventKind, GcFigures, GoroutineFigures, ProcessKey, Registration, Target,
    family::{InFlight, InFlightKey, SpanFigures, SpanKey},
};

/// Words of map values that several hits may change at once.
///
/// Each call is one instruction, and others may come before and after it. The
/// tests switch threads at each.
pub trait Words: Copy {
    /// What `word` points to.
    ///
    /// # Safety
    ///
    /// `word` must be a field of a live map value.
    unsafe fn load(self, word: *const u64) -> u64;

    /// Replaces what `word` points to.
    ///
    /// # Safety
    ///
    /// As for [`Self::load`].
    unsafe fn store(self, word: *mut u64, value: u64);

    /// Adds to what `word` points to.
    ///
    /// # Safety
    ///
    /// As for [`Self::load`].
    unsafe fn add(self, word: *mut u64, by: u64);

    /// Sets bits in what `word` points to.
    ///
    /// # Safety
    ///
    /// As for [`Self::load`].
    unsafe fn set(self, word: *mut u64, bits: u64);

    /// Adds to what `word` points to and returns what was there.
    ///
    /// # Safety
    ///
    /// As for [`Self::load`].
    unsafe fn fetch_add(self, word: *mut u64, by: u64) -> u64;

    /// Puts `new` in the place of `old` and returns what was there, `old` or not.
    ///
    /// # Safety
    ///
    /// As for [`Self::load`].
    unsafe fn exchange(self, word: *mut u64, old: u64, new: u64) -> u64;

    /// The same number, of which the compiler knows nothing. It proves more than
    /// the verifier can, and would drop a range check that the verifier needs.
    fn opaque(self, number: usize) -> usize;

    /// One more, which the compiler does not know: it counts no loop's rounds, and
    /// does not write the loop out.
    fn next(self, number: usize) -> usize;
}

/// Memory of the process that was hit. `None` where it cannot be read.
pub trait Memory: Copy {
    /// The word at an address.
    fn word(self, address: u64) -> Option<u64>;

    /// The first bytes of a text at an address.
    fn text(self, address: u64) -> Option<[u8; 7]>;
}

/// All that a hit, an exec and an exit need.
pub trait Kernel: Words + Memory {
    /// Nanoseconds, CLOCK_MONOTONIC.
    fn now(self) -> u64;

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

    /// What is known about a target.
    fn target(self, target: u32) -> Option<*mut Target>;

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
