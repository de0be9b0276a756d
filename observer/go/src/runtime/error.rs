//! Why state could not be read.

use super::memory::MemoryError;

/// Why a sample was dropped or a process cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The memory could not be read.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A global that every sample needs is not known in this binary.
    #[error("the address of runtime.{0} is not known in this binary")]
    MissingGlobal(&'static str),
    /// The process has executed another program, or the same again: its
    /// state needs a new reader.
    #[error("process {0} has executed a new program")]
    Replaced(u32),
    /// The runtime has not set itself up yet.
    #[error("the runtime has not started yet; try again")]
    NotStarted,
    /// Pointers changed at each try.
    #[error("the runtime's Ps changed while they were read; try again")]
    Moving,
    /// Two reads of one thing do not fit together.
    #[error("{0} changed while it was read; try again")]
    Torn(&'static str),
    /// A relation that always holds does not: something is not where it is
    /// believed to be. Nothing is read from this process unless it holds.
    #[error("runtime.{global} is not confirmed: {field} is {value}")]
    Unconfirmed {
        /// The global.
        global: &'static str,
        /// The field that gave it away.
        field: &'static str,
        /// What was read.
        value: u64,
    },
    /// Two figures that cannot both be true.
    #[error("{what} is {value}, and {other} only {bound}: the sample is dropped")]
    Contradicts {
        /// The larger.
        what: &'static str,
        /// What was read.
        value: u64,
        /// What it cannot be larger than.
        other: &'static str,
        /// What was read of that.
        bound: u64,
    },
    /// A value out of its bounds.
    #[error("{figure} cannot be {value}: the sample is dropped")]
    Implausible {
        /// Which.
        figure: &'static str,
        /// What was read.
        value: u64,
    },
    /// More of something than a program of this machine has any use for.
    #[error("it has {value} {what}, and at most {most} are read")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// What was read.
        value: u64,
        /// How many are read.
        most: u64,
    },
    /// A counter that went back.
    #[error("{figure} went back from {then} to {now}: the sample is dropped")]
    Backwards {
        /// Which.
        figure: &'static str,
        /// At the last sample.
        then: u64,
        /// At this one.
        now: u64,
    },
}

impl StateError {
    pub(super) const fn implausible(figure: &'static str, value: u64) -> Self {
        Self::Implausible { figure, value }
    }

    pub(super) const fn unconfirmed(global: &'static str, field: &'static str, value: u64) -> Self {
        Self::Unconfirmed {
            global,
            field,
            value,
        }
    }

    /// Whether the next try may well succeed.
    pub const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::NotStarted
                | Self::Moving
                | Self::Torn(_)
                | Self::Implausible { .. }
                | Self::Contradicts { .. }
                | Self::Backwards { .. }
                | Self::Memory(MemoryError::Fault { .. } | MemoryError::NotRecorded { .. })
        )
    }
}
