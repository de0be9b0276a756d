//! Programs that a debugger is on.
//!
//! A debugger that sets a breakpoint keeps what it found there and writes that back
//! when it takes the breakpoint away. Where it found a probe's, and the probe has left
//! since, what it writes back is a trap with nobody behind it: the program dies of
//! SIGTRAP. So no probe leaves a file while a process that runs it is traced.
//!
//! Which process that is, only /proc tells. A breakpoint stands in every process of
//! the file, and what the observer keeps of processes lacks some: those that are not to
//! be observed, those for which its maps had no room.

use super::{DiscoverError, FileId, executable::file, pids, process::tracer};

/// A process that is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traced {
    /// The process.
    pub pid: u32,
    /// Who traces it.
    pub tracer: u32,
}

impl FileId {
    /// Whether a process that runs the one may run the other's instructions. The
    /// device is left out: overlayfs shows one file under many. So are the times:
    /// whoever touches the file in one container makes a copy with times of its own,
    /// and the process goes on with the original. A file that happens to be alike in
    /// the rest keeps its probes as long as a debugger is there, and no more.
    pub fn may_share_text(&self, other: &Self) -> bool {
        (self.inode, self.size) == (other.inode, other.size)
    }
}

/// Processes that are traced, of those whose file is `wanted`: all that there are on
/// the node, whatever else is known of them.
///
/// A process counts by the file that it was started from. A child that was forked and
/// has run nothing of its own has its parent's. A program that another loads into
/// itself (`ld.so PROGRAM`) counts for the other: to find those, the maps of all
/// processes would have to be read, and each process can hold up who reads them. Nor
/// does one count that may not be looked at: probes are set by the same right.
pub fn traced(wanted: impl Fn(FileId) -> bool) -> Result<Vec<(FileId, Traced)>, DiscoverError> {
    // The file first: two system calls for a process, where to ask for its tracer
    // takes some for each of its threads.
    let of_process = |pid: u32| {
        let file = file(pid).filter(|file| wanted(*file))?;
        let tracer = tracer(pid)?;
        Some((file, Traced { pid, tracer }))
    };
    Ok(pids()?.into_iter().filter_map(of_process).collect())
}

#[cfg(test)]
mod tests {
    use super::traced;
    use crate::discover::{FileId, tracee::Tracee};

    #[test]
    fn a_process_is_found_by_its_file_as_long_as_it_is_traced() {
        let tracee = Tracee::start();
        let of = |wanted: FileId| {
            let found = traced(|file| file.may_share_text(&wanted)).expect("the processes");
            Vec::from_iter(found.into_iter().map(|(_, it)| it.pid))
        };
        assert_eq!(of(tracee.file), [tracee.pid()]);
        // As another container would show it, and after somebody touched it there.
        let elsewhere = FileId {
            device: 0,
            modified_ns: 1,
            changed_ns: 2,
            ..tracee.file
        };
        assert_eq!(of(elsewhere), [tracee.pid()]);
        let other = FileId {
            size: tracee.file.size + 1,
            ..tracee.file
        };
        assert!(of(other).is_empty());
        tracee.leave();
        assert!(of(tracee.file).is_empty());
    }
}
