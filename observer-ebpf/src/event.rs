//! What the ring buffer carries: only what is rare.

/// Length of a task's name in the kernel.
pub const COMM_LEN: usize = 16;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum EventKind {
    /// A process runs a new program. `old_epoch` is the life that ended and
    /// `epoch` the new one; both are 0 where the process was not registered.
    Exec = 1,
    /// A registered process forked; `tgid` is the child, `parent` its parent.
    Fork = 2,
    /// The last thread of a registered process ends; `epoch`, `target` as registered.
    Exit = 3,
    /// A process got its first hit, and `target` was made its owner by the
    /// kernel side.
    FirstHit = 4,
    /// Probes on goroutines take too much from a process, or from all young ones
    /// of a file: those of `target`.
    TooMuchAtOnce = 5,
    /// The same of probes on collections and stops.
    TooManyStops = 6,
    /// The same of probes at spans.
    TooManySpans = 7,
}

impl EventKind {
    /// The kind with this number.
    pub const fn from_u32(kind: u32) -> Option<Self> {
        match kind {
            1 => Some(Self::Exec),
            2 => Some(Self::Fork),
            3 => Some(Self::Exit),
            4 => Some(Self::FirstHit),
            5 => Some(Self::TooMuchAtOnce),
            6 => Some(Self::TooManyStops),
            7 => Some(Self::TooManySpans),
            _ => None,
        }
    }
}

/// One event.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Event {
    /// Number of the [`EventKind`].
    pub kind: u32,
    /// The process, as the observer's pid namespace numbers it.
    pub tgid: u32,
    /// Its life, see [`crate::ProcessKey`].
    pub epoch: u32,
    /// The life that ended by an exec, else 0.
    pub old_epoch: u32,
    /// The target that counts for it, 0 for none.
    pub target: u32,
    /// Parent at a fork and at an exec, where it has an id in that namespace;
    /// else 0.
    pub parent: u32,
    /// When (CLOCK_MONOTONIC, nanoseconds).
    pub at: u64,
    /// The task's cgroup in the unified hierarchy.
    pub cgroup: u64,
    /// The parent's at an exec, where the kernel's types tell; else 0.
    pub parent_cgroup: u64,
    /// The task's name.
    pub comm: [u8; COMM_LEN],
}
