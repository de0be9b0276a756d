//! What can be wrong with a file, and what is simply not Go.

use std::fmt;

use serde::Serialize;

/// A file that could not be inspected to the end.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The file system refused or failed.
    #[error("cannot read {size} bytes at offset {offset:#x}: {source}")]
    Io {
        /// Where.
        offset: u64,
        /// How many.
        size: u64,
        /// Why.
        source: std::io::Error,
    },
    /// The file's size could not be read.
    #[error("cannot read the file's size: {0}")]
    Metadata(std::io::Error),
    /// A structure reaches beyond what holds it.
    #[error(
        "{what} at {at:#x} needs {need} bytes beyond what is there: the file is truncated or damaged"
    )]
    Truncated {
        /// Which structure.
        what: &'static str,
        /// Offset or address.
        at: u64,
        /// How many bytes it needs.
        need: u64,
    },
    /// A field holds what it never holds.
    #[error("{what} is {value:#x}: the file is damaged or was made by an unknown tool")]
    Malformed {
        /// Which field.
        what: &'static str,
        /// What it holds.
        value: u64,
    },
    /// A count or size beyond every program seen.
    #[error("{what} is {value}, more than the {limit} that are read")]
    TooLarge {
        /// Which.
        what: &'static str,
        /// What the file says.
        value: u64,
        /// What is accepted.
        limit: u64,
    },
    /// The file leads in circles.
    #[error("gave up after reading {budget} bytes: the file's tables lead in circles")]
    WorkExceeded {
        /// How much was allowed.
        budget: u64,
    },
}

/// Why a file is not a Go program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NotGoReason {
    /// It does not begin as ELF files do.
    NotElf,
    /// A 32-bit ELF file.
    Elf32,
    /// A big-endian ELF file.
    BigEndian,
    /// Another instruction set, by its ELF number.
    Machine(u16),
    /// An object file or core dump, by its ELF type.
    NotExecutable(u16),
    /// No Go build information: another language, or packed.
    NoBuildInfo {
        /// Whether it is a program that asks for a dynamic linker, by which it may
        /// have Go in it all the same.
        loads_libraries: bool,
    },
}

impl NotGoReason {
    /// Whether it is a program that libraries are loaded into.
    pub const fn loads_libraries(self) -> bool {
        matches!(
            self,
            Self::NoBuildInfo {
                loads_libraries: true
            }
        )
    }
}

impl fmt::Display for NotGoReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotElf => f.write_str("not an ELF file"),
            Self::Elf32 => f.write_str("a 32-bit ELF file"),
            Self::BigEndian => f.write_str("a big-endian ELF file"),
            Self::Machine(m) => write!(f, "an ELF file for machine {m}, not x86-64 or arm64"),
            Self::NotExecutable(t) => write!(f, "an ELF file of type {t}, not an executable"),
            Self::NoBuildInfo { .. } => {
                f.write_str("no Go build information: not built by Go, or packed")
            }
        }
    }
}
