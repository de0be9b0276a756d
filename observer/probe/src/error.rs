//! What may fail.

use std::{fmt::Write as _, io, path::PathBuf};

use observer_go::discover::NamespaceError;
use thiserror::Error;

use super::private_stacks::StackError;

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
    #[error("failed to parse the kernel's BTF ({path}): {reason}")]
    BadBtf {
        /// The file.
        path: &'static str,
        /// Why.
        reason: String,
    },
    /// The process ids that /proc shows are not the observer's.
    #[error(transparent)]
    PidNamespace(#[from] NamespaceError),
    /// The observer is not in the initial pid namespace, and how processes are
    /// numbered in others cannot be read from the kernel.
    #[error(
        "the observer's pid namespace is not the machine's, and how the kernel numbers processes \
         in others cannot be told: {reason}; share the machine's pid namespace (hostPID in \
         Kubernetes, --pid=host in Docker)"
    )]
    NoPids {
        /// Why.
        reason: &'static str,
    },
    /// The kernel refused the programs or their maps.
    #[error(
        "failed to load the eBPF programs: {reason}; loading them takes CAP_BPF and CAP_PERFMON \
         (or CAP_SYS_ADMIN) and kernel 5.15 or newer"
    )]
    Load {
        /// The whole chain of causes.
        reason: String,
    },
    /// One program was refused.
    #[error("failed to load the eBPF program {program}: {reason}")]
    Program {
        /// Its name.
        program: &'static str,
        /// The whole chain of causes, the verifier's words included.
        reason: String,
    },
    /// A program is not safe on this kernel.
    #[error("eBPF programs not loaded, since they could crash this kernel: {0}")]
    PrivateStack(#[from] StackError),
    /// The observer runs by emulation.
    #[error(
        "eBPF programs not loaded: this kernel's registers (pt_regs in its BTF) are not those of \
         {built_for}, which this observer was built for; expected is the observer that was built \
         for the machine's own architecture"
    )]
    ForeignKernel {
        /// For which architecture.
        built_for: &'static str,
    },
    /// The kernel has no atomics that tell what was there before.
    #[error(
        "eBPF programs not loaded: this kernel runs none with atomics that tell what was there \
         before; expected is Linux 5.12 or newer, on arm64 5.18"
    )]
    NoAtomics,
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
    #[error("no uprobes attached to {path}: its plan has no site")]
    NoSites {
        /// The file.
        path: PathBuf,
    },
    /// A target's number is out of range or in use.
    #[error("failed to attach probe target {target}: {reason}")]
    Target {
        /// Its number.
        target: u32,
        /// Why.
        reason: &'static str,
    },
    /// The kernel refused every probe of a file.
    #[error("failed to attach uprobes to {path}: {reason}")]
    Attach {
        /// The file.
        path: PathBuf,
        /// The whole chain of causes.
        reason: String,
    },
    /// Nothing would keep a writer from the file while it carries probes.
    #[error(
        "no uprobes attached to {path}: {source}; a program that is written over a file with probes \
         would crash, so the observer first takes a lease on the file (fcntl F_SETLEASE), \
         which wants CAP_LEASE, a file system with leases and nobody who writes to it"
    )]
    Unguarded {
        /// The file.
        path: PathBuf,
        /// Why there is no lease.
        source: io::Error,
    },
    /// The file is for another machine.
    #[error(
        "no uprobes attached to {path}: it is no executable for {expected}, whose instructions \
         this machine runs by itself; in a program that is emulated a breakpoint would stand amid \
         other instructions"
    )]
    ForeignFile {
        /// The file.
        path: PathBuf,
        /// Which architecture this machine is of.
        expected: &'static str,
    },
    /// The file is not what was inspected.
    #[error(
        "no uprobes attached to {path}: it has changed since it was inspected, {function} is another"
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// The function that differs.
        function: String,
    },
    /// A map refused an entry or could not be read.
    #[error("eBPF map {map}: {reason}")]
    Map {
        /// Its name.
        map: &'static str,
        /// Why.
        reason: String,
    },
}

/// How many of the verifier's lines say why it refused a program. Up to
/// thousands before them say how it came there.
const LAST_LINES: usize = 3;

/// An error with all its causes in one line. What the verifier wrote is cut down
/// to its end; the whole goes to the log, for whoever asks for it.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    if text.lines().nth(LAST_LINES).is_some() {
        tracing::debug!("{text}");
    }
    in_one_line(&text)
}

fn in_one_line(text: &str) -> String {
    // Behind the reason the verifier counts what it did.
    let counts = ["processed ", "verification time ", "stack depth "];
    let told = |line: &&str| !line.is_empty() && !counts.iter().any(|it| line.starts_with(it));
    let lines: Vec<_> = text.lines().map(str::trim).filter(told).collect();
    match lines.split_first() {
        Some((first, rest)) if rest.len() > LAST_LINES => {
            let last = rest[rest.len() - LAST_LINES..].join(" | ");
            let first = first.split_once(". Verifier output: ");
            let first = first.map_or(lines[0], |(first, _)| first);
            format!("{first}. The verifier's last lines: {last}")
        }
        _ => lines.join(" | "),
    }
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

#[cfg(test)]
mod tests {
    use super::in_one_line;

    #[test]
    fn the_verifiers_last_lines_say_why() {
        let instructions = "7: (b7) r1 = 7\n".repeat(2_000);
        let text = format!(
            "the BPF_PROG_LOAD syscall returned Permission denied. Verifier output: {instructions}\
             2000: (85) call bpf_probe_read#4\n\
             program of this type cannot use helper bpf_probe_read#4\n\
             processed 2001 insns (limit 1000000) max_states_per_insn 4\n: Permission denied"
        );
        let said = in_one_line(&text);
        assert!(said.len() < 400, "{said}");
        assert!(
            said.starts_with(
                "the BPF_PROG_LOAD syscall returned Permission denied. The verifier's"
            ),
            "{said}"
        );
        assert!(
            said.contains("cannot use helper bpf_probe_read#4"),
            "{said}"
        );
        assert!(!said.contains("processed"), "{said}");
        assert_eq!(in_one_line("a: b"), "a: b");
        assert_eq!(in_one_line("a\nb\n"), "a | b");
    }
}
