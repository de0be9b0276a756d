//! Why memory could not be read.

use std::io;

/// Most bytes gathered at once: more than a machine of a thousand CPUs needs, and
/// so little that a forged length costs the observer nothing.
pub(super) const MAX_BYTES: usize = 16 << 20;

/// Why memory could not be read.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// Needs CAP_SYS_PTRACE, or a security module forbids it.
    #[error(
        "not permitted to read the memory of process {pid}: the observer needs CAP_SYS_PTRACE, \
         and no security module (AppArmor, SELinux, Yama) may forbid it"
    )]
    Permission {
        /// Whose memory.
        pid: u32,
    },
    /// It exited or runs something else now.
    #[error("process {pid} is gone")]
    Gone {
        /// Which.
        pid: u32,
    },
    /// An address is not mapped: the state moved while it was read, or it is
    /// not where the layout says.
    #[error("process {pid}: {got} of {wanted} bytes could be read from {address:#x} on")]
    Fault {
        /// Whose memory.
        pid: u32,
        /// The first place asked for.
        address: u64,
        /// Bytes asked for.
        wanted: usize,
        /// Bytes there were.
        got: usize,
    },
    /// What was recorded does not have this.
    #[error("the recording has nothing of {len} bytes from {address:#x} on")]
    NotRecorded {
        /// Where.
        address: u64,
        /// How much was asked for.
        len: usize,
    },
    /// No honest program needs as much to be read.
    #[error(
        "process {pid}: {wanted} bytes would have to be read at once, and at most {MAX_BYTES} are"
    )]
    TooMuch {
        /// Whose memory.
        pid: u32,
        /// Bytes asked for.
        wanted: usize,
    },
    /// `/proc/PID/auxv` names no entry point.
    #[error("process {pid}: no AT_ENTRY in its auxiliary vector")]
    NoEntry {
        /// Which.
        pid: u32,
    },
    /// Anything else.
    #[error("reading the memory of process {pid}: {source}")]
    Other {
        /// Whose memory.
        pid: u32,
        /// What the kernel said.
        source: io::Error,
    },
}
