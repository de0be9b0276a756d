//! The file a process runs.

use std::{
    ffi::OsString,
    fs::{File, Metadata},
    io,
    os::{
        fd::{AsFd, AsRawFd as _, OwnedFd},
        unix::{ffi::OsStringExt, fs::MetadataExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags, makedev},
    io::Errno,
};
use serde::{Serialize, Serializer};

use super::{
    DiscoverError,
    label::label,
    proc_dir::{ProcDir, ended, first_thread_ended, is_kernel_thread},
};

/// What the kernel appends to the path of an unlinked file.
const DELETED: &[u8] = b" (deleted)";
/// What the kernel makes of a `memfd_create` file's name.
const MEMFD: &[u8] = b"/memfd:";

/// The file a process runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Executable {
    /// Which file.
    pub id: FileId,
    /// Its path as the process sees it, without ` (deleted)`.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// Whether the path no longer leads to it.
    pub deleted: bool,
    /// Whether it lives in memory only (`memfd_create`).
    pub memfd: bool,
}

/// Paths need not be UTF-8, JSON must: one odd path must not spoil a whole answer.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// What tells one version of a file from another. `device` and `inode` alone
/// do not: overlayfs shows one file under many devices, and a rebuilt program
/// may get its predecessor's inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct FileId {
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub inode: u64,
    /// `st_size`.
    pub size: u64,
    /// `st_mtim` in nanoseconds.
    pub modified_ns: i128,
    /// `st_ctim` in nanoseconds.
    pub changed_ns: i128,
}

impl FileId {
    /// The identity in a file's metadata.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The identity of an open file. What is known of a file's content is to
    /// be filed under this one, not under [`executable`]'s: between the two a
    /// process may have begun another program.
    pub fn of_file(file: impl AsFd) -> io::Result<Self> {
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        let statx = rustix::fs::statx(file, "", flags, StatxFlags::BASIC_STATS)?;
        Ok(Self::of_statx(&statx))
    }

    /// Whether a process that runs this now is one that was found to run `known`. The
    /// change time is left out: who renames or deletes the file changes it, and the
    /// program stays. Its content cannot change while it runs.
    fn is_still(&self, known: &Self) -> bool {
        let changed_ns = known.changed_ns;
        Self {
            changed_ns,
            ..*self
        } == *known
    }

    pub(super) fn of_statx(statx: &Statx) -> Self {
        Self {
            device: makedev(statx.stx_dev_major, statx.stx_dev_minor),
            inode: statx.stx_ino,
            size: statx.stx_size,
            modified_ns: nanoseconds(statx.stx_mtime.tv_sec, statx.stx_mtime.tv_nsec.into()),
            changed_ns: nanoseconds(statx.stx_ctime.tv_sec, statx.stx_ctime.tv_nsec.into()),
        }
    }
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
}

impl Executable {
    /// The base name of its path, made fit for a label: see
    /// [`super::Process::name`]. Empty where the path has none.
    pub(super) fn base_name(&self) -> String {
        let name = if self.memfd {
            self.path
                .as_os_str()
                .to_string_lossy()
                .trim_start_matches("/memfd:")
                .to_owned()
        } else {
            self.path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        label(&name)
    }
}

/// The file that process `pid` runs: the cheap first step of a look, a few
/// system calls, so that a file known not to be Go is dismissed by its
/// [`FileId`].
pub fn executable(pid: u32) -> Result<Executable, DiscoverError> {
    let entry = ProcDir::open(pid)?;
    match of_entry(&entry) {
        Ok(executable) => Ok(executable),
        Err(Errno::NOENT) => {
            of_entry(&why_none(&entry, pid)?).map_err(|errno| DiscoverError::of(pid, "exe", errno))
        }
        Err(errno) => Err(DiscoverError::of(pid, "exe", errno)),
    }
}

/// Opens the file that process `pid` runs, whatever has become of its path:
/// deleted, in memory, in another mount namespace. The path beside it,
/// `/proc/PID/exe`, leads there as long as the process lives and runs the same
/// program; `/proc/self/fd/N` of the file always does.
pub(super) fn open_executable(pid: u32) -> Result<(File, PathBuf), DiscoverError> {
    let entry = ProcDir::open(pid)?;
    let mut path = PathBuf::from(format!("/proc/{pid}/exe"));
    let error = |errno| DiscoverError::of(pid, "exe", errno);
    let file = match open(&entry) {
        Ok(file) => file,
        Err(Errno::NOENT) => {
            let thread = why_none(&entry, pid)?;
            path = PathBuf::from(format!("/proc/{}/exe", thread.pid()));
            open(&thread).map_err(error)?
        }
        Err(errno) => return Err(error(errno)),
    };
    let stat = rustix::fs::fstat(&file).map_err(error)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        let source = io::Error::other("it is not a regular file");
        return Err(DiscoverError::Read { path, source });
    }
    Ok((File::from(file), path))
}

/// Opens the file that process `pid` was found to run. Two looks by a process's id may
/// be at two programs: what is opened is compared, and nothing that is looked up again.
pub fn open_known(pid: u32, known: FileId) -> Result<File, DiscoverError> {
    let (file, path) = open_executable(pid)?;
    match FileId::of_file(&file) {
        Ok(now) if now.is_still(&known) => Ok(file),
        Ok(_) => Err(DiscoverError::Replaced(pid)),
        Err(source) => Err(DiscoverError::Read { path, source }),
    }
}

/// Fails where process `pid` does not run the file any more that it was found to run:
/// what was read by its id since may be another program's.
pub fn runs(pid: u32, known: FileId) -> Result<(), DiscoverError> {
    match file(pid) {
        Some(now) if now.is_still(&known) => Ok(()),
        Some(_) => Err(DiscoverError::Replaced(pid)),
        None => Err(DiscoverError::Gone(pid)),
    }
}

/// Which file a process runs, asked such that no file system can hold it up. `None`
/// for what runs no file, and for what may not be looked at.
pub(super) fn file(pid: u32) -> Option<FileId> {
    let entry = ProcDir::open(pid).ok()?;
    match id(&entry) {
        // Its first thread may have ended before the others.
        Err(Errno::NOENT) => id(&entry.living_thread().ok()??).ok(),
        found => found.ok(),
    }
}

/// Holds the file that process `pid` runs without opening it, so that its file system
/// is not asked and cannot hold anybody up. `/proc/self/fd/N` leads to it.
pub fn pin_executable(pid: u32) -> Result<OwnedFd, DiscoverError> {
    let entry = ProcDir::open(pid)?;
    let error = |errno| DiscoverError::of(pid, "exe", errno);
    let file = match held(&entry) {
        Err(Errno::NOENT) => held(&why_none(&entry, pid)?),
        held => held,
    };
    let file = file.map_err(error)?;
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = rustix::fs::statx(&file, "", flags, StatxFlags::TYPE).map_err(error)?;
    if FileType::from_raw_mode(stat.stx_mode.into()) != FileType::RegularFile {
        let path = PathBuf::from(format!("/proc/{pid}/exe"));
        let source = io::Error::other("it is not a regular file");
        return Err(DiscoverError::Read { path, source });
    }
    Ok(file)
}

/// Its file system is not asked.
fn held(entry: &ProcDir) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    rustix::fs::openat(entry, "exe", flags, Mode::empty())
}

fn open(entry: &ProcDir) -> Result<OwnedFd, Errno> {
    // NONBLOCK: neither a FIFO nor a file lease may hold the observer up.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    rustix::fs::openat(entry, "exe", flags, Mode::empty())
}

/// Called where `exe` leads nowhere: gives the thread whose `exe` does, or why
/// there is none.
fn why_none(entry: &ProcDir, pid: u32) -> Result<ProcDir, DiscoverError> {
    let stat = entry.stat()?;
    if is_kernel_thread(&stat) {
        Err(DiscoverError::NotAProgram(pid))
    } else if ended(&stat) {
        Err(DiscoverError::Zombie(pid))
    } else if first_thread_ended(&stat) {
        entry.living_thread()?.ok_or(DiscoverError::Gone(pid))
    } else {
        // On its way out: its memory is gone, and it is no zombie yet.
        Err(DiscoverError::Gone(pid))
    }
}

/// Which file a task runs, and nothing of its path. NOENT where it runs none.
fn id(entry: &ProcDir) -> Result<FileId, Errno> {
    statx(entry, "exe", AtFlags::empty()).map(|file| FileId::of_statx(&file))
}

/// The program of one task. NOENT where it has none.
pub(super) fn of_entry(entry: &ProcDir) -> Result<Executable, Errno> {
    // Held meanwhile, since two looks by the process's id may be at two programs.
    let held = held(entry)?;
    let link = format!("/proc/self/fd/{}", held.as_raw_fd());
    let link = match rustix::fs::readlink(link, Vec::with_capacity(256)) {
        Ok(link) => link.into_bytes(),
        // Deeper than a page; the file can be read all the same.
        Err(Errno::NAMETOOLONG) => Vec::new(),
        Err(errno) => return Err(errno),
    };
    let file = statx(&held, "", AtFlags::EMPTY_PATH)?;
    let id = FileId::of_statx(&file);
    let Some(path) = link.strip_suffix(DELETED) else {
        return Ok(Executable {
            id,
            path: path(&link),
            deleted: false,
            memfd: false,
        });
    };
    // Rare from here on. A memfd's device is the kernel's own, mounted nowhere.
    let memfd = link.starts_with(MEMFD)
        && file.stx_nlink == 0
        && statx(entry, "root", AtFlags::empty())
            .map_or(true, |root| FileId::of_statx(&root).device != id.device);
    // The suffix may belong to the name. A link count above zero proves
    // nothing alone: a deleted path may have been one of several.
    if !memfd && file.stx_nlink > 0 && leads_to(entry, &link, id) {
        return Ok(Executable {
            id,
            path: self::path(&link),
            deleted: false,
            memfd: false,
        });
    }
    Ok(Executable {
        id,
        path: self::path(path),
        deleted: !memfd,
        memfd,
    })
}

/// Whether `path`, seen from the process's root, is this file.
fn leads_to(entry: &ProcDir, path: &[u8], id: FileId) -> bool {
    // The kernel also gives up where a name changes under the look.
    const TRIES: u32 = 3;
    let held = OFlags::PATH | OFlags::CLOEXEC;
    let Ok(root) = rustix::fs::openat(entry, "root", held, Mode::empty()) else {
        return false;
    };
    let leads = || {
        // CACHED: a server that is away would be asked for each name on the way. All
        // of them are in memory where the path leads to a file that is being run.
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::CACHED;
        let flags = held | OFlags::NOFOLLOW;
        let file = rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve);
        file.is_ok_and(|file| FileId::of_file(file).is_ok_and(|found| found == id))
    };
    (0..TRIES).any(|_| leads())
}

fn statx(entry: impl AsFd, path: impl rustix::path::Arg, flags: AtFlags) -> Result<Statx, Errno> {
    // DONT_SYNC: a network file system whose server is away must not hold the
    // observer up, and what the kernel remembers identifies the file.
    let flags = flags | AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    rustix::fs::statx(entry, path, flags, StatxFlags::BASIC_STATS)
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.to_vec()))
}
