//! What tells a process from whatever has its process id at another time.

use super::Process;

/// A process while it runs one program. A process id is used again, so its start
/// belongs to it; an exec keeps both, and changes the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProgramRun {
    /// [`Process::pid`].
    pub pid: u32,
    /// [`Process::start_ticks`].
    pub start_ticks: u64,
    /// Of the program's file, [`FileId::device`](super::FileId::device).
    pub device: u64,
    /// Of the program's file, [`FileId::inode`](super::FileId::inode).
    pub inode: u64,
}

impl Process {
    /// What tells it from whatever has its process id at another time.
    pub fn program_run(&self) -> ProgramRun {
        ProgramRun {
            pid: self.pid,
            start_ticks: self.start_ticks,
            device: self.executable.id.device,
            inode: self.executable.id.inode,
        }
    }
}
