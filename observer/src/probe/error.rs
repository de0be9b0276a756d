//! What may fail.

use std::{fmt::Write as _, io, path::PathBuf};

use thiserror::Error;

/// Why programs could not be loaded or probes not be set.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// The kernel does not describe its types.
    #[error(
        "cannot read {path}: {source}; the kernel must be built with CONFIG_DEBUG_INFO_BTF, \
         and /sys must be mounted"
    )]
    NoBtf {
        /// The file.
        path: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The kernel's description of its types is not understood.
    #[error("cannot parse {path}: {reason}")]
    BadBtf {
        /// The file.
        path: &'static str,
        /// Why.
        reason: String,
    },
    /// The kernel refused the programs or their maps.
    #[error(
        "cannot load the eBPF programs: {reason}; loading them takes CAP_BPF and CAP_PERFMON \
         (or CAP_SYS_ADMIN) and kernel 5.15 or newer"
    )]
    Load {
        /// The whole chain of causes.
        reason: String,
    },
    /// One program was refused.
    #[error("cannot load the eBPF program {program}: {reason}")]
    Program {
        /// Its name.
        program: &'static str,
        /// The whole chain of causes, the verifier's words included.
        reason: String,
    },
    /// The object and this code do not fit together.
    #[error("the eBPF object has no {kind} {name} as expected: {reason}")]
    Object {
        /// `map` or `program`.
        kind: &'static str,
        /// Its name.
        name: &'static str,
        /// What was found.
        reason: String,
    },
    /// Nothing to set a probe on.
    #[error("{path}: no site to probe")]
    NoSites {
        /// The file.
        path: PathBuf,
    },
    /// A target's number is out of range or in use.
    #[error("probe target {target} cannot be attached: {reason}")]
    Target {
        /// Its number.
        target: u32,
        /// Why.
        reason: &'static str,
    },
    /// The kernel refused every probe of a file.
    #[error("cannot probe {path}: {reason}")]
    Attach {
        /// The file.
        path: PathBuf,
        /// The whole chain of causes.
        reason: String,
    },
    /// A map refused an entry or could not be read.
    #[error("map {map}: {reason}")]
    Map {
        /// Its name.
        map: &'static str,
        /// Why.
        reason: String,
    },
}

/// An error with all its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

/// The system call's error number at the root of an error.
pub(super) fn errno(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(number) = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::raw_os_error)
        {
            return Some(number);
        }
        cause = error.source();
    }
    None
}
