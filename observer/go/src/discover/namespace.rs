//! Which pid namespace the ids in /proc are of.
//!
//! The kernel answers system calls by the caller's namespace, and /proc by the
//! one that it was mounted in. Where the two differ, an id read from /proc is
//! another process's in a system call.

use std::{fs, io, os::unix::fs::MetadataExt, process};

/// The inode of the initial namespace, fixed in the kernel (`PROC_PID_INIT_INO`).
const INITIAL: u32 = 0xEFFF_FFFC;

/// The observer's pid namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PidNamespace {
    /// The number that the kernel gave it.
    pub inode: u32,
}

impl PidNamespace {
    /// Whether it is the machine's own.
    pub const fn is_initial(self) -> bool {
        self.inode == INITIAL
    }

    /// Whether it is one that this process of its was the first of, as in a
    /// container that shares the namespace of nobody.
    pub const fn is_own_first(self, pid: u32) -> bool {
        !self.is_initial() && pid == 1
    }
}

/// Why process ids cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// /proc is not mounted, or hides the reader from itself.
    #[error(
        "/proc shows processes of another pid namespace than the observer's own, or is no procfs \
         ({0}): mount the observer's own there (`mount -t proc proc /proc`), or start it in the \
         namespace that /proc is of"
    )]
    Unknown(#[source] io::Error),
    /// /proc was mounted in a namespace above.
    #[error(
        "/proc shows processes of another pid namespace than the observer's own, where this \
         process has the id {there} and not {here}, so figures could not be told to processes: \
         mount the observer's own there (`mount -t proc proc /proc`), or start it in the \
         namespace that /proc is of"
    )]
    Foreign {
        /// Its id by the system call.
        here: u32,
        /// Its id as /proc says it.
        there: u32,
    },
}

/// The observer's pid namespace, where it is also the one that /proc shows.
pub fn pid_namespace() -> Result<PidNamespace, NamespaceError> {
    let status = fs::read_to_string("/proc/self/status").map_err(NamespaceError::Unknown)?;
    is_of(&status, process::id())?;
    let inode = match fs::metadata("/proc/self/ns/pid") {
        Ok(metadata) => metadata.ino() as u32,
        // A kernel without pid namespaces has only the one.
        Err(error) if error.kind() == io::ErrorKind::NotFound => INITIAL,
        Err(error) => return Err(NamespaceError::Unknown(error)),
    };
    Ok(PidNamespace { inode })
}

/// Whether a process with this status, in its own words, has the id `here` in
/// the namespace that /proc shows.
fn is_of(status: &str, here: u32) -> Result<(), NamespaceError> {
    // The numbers go down from the namespace of /proc to the process's own. A
    // kernel without pid namespaces has no such line.
    let line = |name| status.lines().find_map(|line| line.strip_prefix(name));
    let numbers = line("NSpid:").or_else(|| line("Pid:")).unwrap_or_default();
    let mut numbers = numbers.split_ascii_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(there)), None) if there == here => Ok(()),
        (Some(Ok(there)), _) => Err(NamespaceError::Foreign { here, there }),
        _ => Err(NamespaceError::Unknown(io::ErrorKind::InvalidData.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_in_the_namespace_of_proc() {
        assert!(pid_namespace().expect("a namespace").inode > 0);
    }

    #[test]
    fn proc_of_a_namespace_above_is_refused() {
        assert!(is_of("Name:\tx\nPid:\t7\nNSpid:\t7\n", 7).is_ok());
        assert!(is_of("Name:\tx\nPid:\t7\n", 7).is_ok());
        let above = is_of("Pid:\t812\nNSpid:\t812\t7\n", 7);
        let said = above.expect_err("/proc of another namespace").to_string();
        assert!(said.contains("the id 812 and not 7"), "{said}");
        // Its numbers may be the same in both by chance.
        assert!(is_of("Pid:\t7\nNSpid:\t7\t7\n", 7).is_err());
        assert!(is_of("NSpid:\t8\n", 7).is_err());
        assert!(is_of("nothing", 7).is_err());
    }
}
