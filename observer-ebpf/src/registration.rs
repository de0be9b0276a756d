//! Which processes are known to the programs, and which of their lives goes on.

/// Key of a process's figures. The epoch changes at every exec, so that a
/// program that replaces itself, or a pid that is used again, starts at zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct ProcessKey {
    /// Process id in the observer's pid namespace.
    pub tgid: u32,
    /// Which life of that id, by [`Registration::epoch`].
    pub epoch: u32,
}

/// Which probes count for a process. Two targets may turn out to be one file
/// (overlayfs shows each container its own inode): only the owner's hits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Registration {
    /// Changes at exec; 0 never occurs.
    pub epoch: u32,
    /// The target whose hits count; 0 until the first hit or registration.
    pub target: u32,
    /// When all that its probes on goroutines took is paid back, as the budget
    /// goes (CLOCK_MONOTONIC, nanoseconds).
    pub repaid_at_ns: u64,
    /// The same of those on collections and stops.
    pub stops_repaid_at_ns: u64,
    /// The same of those at spans.
    pub spans_repaid_at_ns: u64,
}

/// Epoch and owner as one word, so that nobody sees one change without the other.
impl Registration {
    /// The word of a map value.
    #[inline(always)]
    pub const fn life(registration: *mut Self) -> *mut u64 {
        const {
            assert!(cfg!(target_endian = "little") && align_of::<Self>() == 8);
            assert!(core::mem::offset_of!(Self, epoch) == 0);
            assert!(core::mem::offset_of!(Self, target) == 4);
        }
        registration.cast()
    }

    /// The word for an epoch and an owner.
    #[inline(always)]
    pub const fn word(epoch: u32, target: u32) -> u64 {
        epoch as u64 | (target as u64) << 32
    }

    /// The epoch and the owner in a word.
    #[inline(always)]
    pub const fn parts(word: u64) -> (u32, u32) {
        (word as u32, (word >> 32) as u32)
    }
}

#[cfg(feature = "user")]
mod pod {
    use super::{ProcessKey, Registration};

    // SAFETY: as all of them: `repr(C)`, only integers and no padding, as
    // `padding.rs` checks.
    unsafe impl aya::Pod for ProcessKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Registration {}
}
