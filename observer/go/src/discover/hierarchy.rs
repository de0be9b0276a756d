//! Where the unified cgroup hierarchy is mounted, and its directories' numbers.
//!
//! In a cgroup namespace of the observer's own the mount shows its own cgroup
//! only. A directory outside of that has no path there, but it is open to who
//! knows its number: kernfs makes a file handle of nothing else, and
//! CAP_DAC_READ_SEARCH lets handles be opened.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read as _},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::{ffi::OsStringExt, fs::MetadataExt},
    },
    path::{Component, Path, PathBuf},
    sync::LazyLock,
};

use rustix::{
    fs::{FsWord, Mode, OFlags},
    io::Errno,
};

/// How kernfs calls its handles (`FILEID_KERNFS`).
const KERNFS_HANDLE: i32 = 0xfe;
/// `CGROUP2_SUPER_MAGIC`.
const CGROUP2: FsWord = 0x6367_7270;
/// Where the first process of the pid namespace has it, for an observer without
/// a mount of its own.
const FIRST: [&str; 2] = [
    "/proc/1/root/sys/fs/cgroup",
    "/proc/1/root/sys/fs/cgroup/unified",
];
/// No list of a cgroup's processes is read further than that.
const MAX_LIST_BYTES: u64 = 4 << 20;

/// Mounts of the unified hierarchy, as they were when first asked for.
static MOUNTS: LazyLock<Vec<Mount>> =
    LazyLock::new(|| fs::read("/proc/self/mountinfo").map_or_else(|_| Vec::new(), |t| mounts(&t)));

#[derive(Debug, PartialEq)]
pub(super) struct Mount {
    /// The cgroup that is mounted, as the reader's cgroup namespace names it:
    /// `/../..` for the host's root mounted into a container.
    pub(super) root: PathBuf,
    pub(super) point: PathBuf,
}

/// What `bpf_get_current_cgroup_id` gives for a process in this cgroup: the
/// inode of its directory. `None` where no mount shows it.
pub(super) fn id(path: &str) -> Option<u64> {
    MOUNTS.iter().find_map(|mount| {
        let directory = mount.directory(Path::new(path))?;
        fs::metadata(directory).ok().map(|metadata| metadata.ino())
    })
}

/// A cgroup's directory, wherever it lies.
pub(super) struct Cgroup(File);

impl Cgroup {
    /// Opens the cgroup of this number: `Ok(None)` where it is no more, an error
    /// where no mount or no capability lets it be opened.
    pub(super) fn open(id: u64) -> io::Result<Option<Self>> {
        let own = MOUNTS.iter().map(|mount| mount.point.as_path());
        let mut failed = io::Error::from(io::ErrorKind::NotFound);
        for point in own.chain(FIRST.map(Path::new)) {
            match unified(point).and_then(|point| by_handle(&point, id)) {
                Ok(directory) => return Ok(Some(Self(directory))),
                // The hierarchy is one, so no other mount has it either.
                Err(error) if error.raw_os_error() == Some(libc::ESTALE) => return Ok(None),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Its processes, by the ids of the reader's pid namespace; those that have
    /// none there are left out.
    pub(super) fn processes(&self) -> io::Result<Vec<u32>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let list = rustix::fs::openat(&self.0, "cgroup.procs", flags, Mode::empty())?;
        let mut text = String::new();
        File::from(list)
            .take(MAX_LIST_BYTES)
            .read_to_string(&mut text)?;
        let pids = text.lines().filter_map(|line| line.parse().ok());
        Ok(pids.filter(|pid| *pid != 0).collect())
    }
}

/// Opens what is mounted there, if it is the unified hierarchy and nothing
/// covers it.
fn unified(point: &Path) -> io::Result<File> {
    let point = File::open(point)?;
    if rustix::fs::fstatfs(&point)?.f_type == CGROUP2 {
        Ok(point)
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Opens the directory of this number in the file system that `within` lies in.
fn by_handle(within: &File, id: u64) -> io::Result<File> {
    #[repr(C)]
    struct Handle {
        head: libc::file_handle,
        id: [u8; size_of::<u64>()],
    }
    let mut handle = Handle {
        head: libc::file_handle {
            handle_bytes: size_of::<u64>() as u32,
            handle_type: KERNFS_HANDLE,
            f_handle: [],
        },
        id: id.to_ne_bytes(),
    };
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: the handle is as long as it says, and the call changes nothing
    // but the descriptor that it returns.
    let fd = unsafe {
        libc::open_by_handle_at(
            within.as_raw_fd(),
            (&raw mut handle).cast::<libc::file_handle>(),
            flags,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given this descriptor, to nobody else.
    let directory = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    if directory.metadata()?.ino() == id {
        Ok(directory)
    } else {
        Err(Errno::STALE.into())
    }
}

impl Mount {
    pub(super) fn directory(&self, path: &Path) -> Option<PathBuf> {
        let below = path.strip_prefix(&self.root).ok()?;
        // What lies above the mounted cgroup cannot be reached through it, and
        // its `..` would leave the file system instead.
        let inside = below
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        inside.then(|| self.point.join(below))
    }
}

pub(super) fn mounts(mountinfo: &[u8]) -> Vec<Mount> {
    mountinfo
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            // id parent major:minor root point options [optional…] - type …
            let mut fields = line.split(|byte| *byte == b' ').skip(3);
            let (root, point) = (fields.next()?, fields.next()?);
            let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
            (kind == b"cgroup2").then(|| Mount {
                root: unescape(root),
                point: unescape(point),
            })
        })
        .collect()
}

/// Undoes mountinfo's `\040` for blanks.
fn unescape(field: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        rest = tail;
        let octal = match tail {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] if *first == b'\\' => {
                rest = &tail[3..];
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        path.push(octal.unwrap_or(*first));
    }
    PathBuf::from(OsString::from_vec(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unified_mounts_are_taken() {
        let text = br"31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:1 master:2 - cgroup2 cgroup2 rw
42 31 0:38 /../.. /host\040cgroup rw - cgroup2 cgroup2 rw
";
        let mount = |root: &str, point: &str| Mount {
            root: root.into(),
            point: point.into(),
        };
        assert_eq!(
            mounts(text),
            [
                mount("/", "/sys/fs/cgroup/unified"),
                mount("/../..", "/host cgroup")
            ]
        );
    }

    #[test]
    fn paths_above_the_mount_are_not_guessed() {
        let own = Mount {
            root: "/".into(),
            point: "/sys/fs/cgroup".into(),
        };
        let host = Mount {
            root: "/../..".into(),
            point: "/host".into(),
        };
        let at = |mount: &Mount, path: &str| mount.directory(Path::new(path));
        assert_eq!(at(&own, "/a/b"), Some("/sys/fs/cgroup/a/b".into()));
        assert_eq!(at(&own, "/../a"), None);
        assert_eq!(at(&host, "/../../a"), Some("/host/a".into()));
        assert_eq!(at(&host, "/../../../a"), None);
        assert_eq!(at(&host, "/../a"), None);
        assert_eq!(at(&host, "/a"), None);
    }
}
