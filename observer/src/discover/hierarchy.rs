//! Where the unified cgroup hierarchy is mounted, and its directories' numbers.

use std::{
    ffi::OsString,
    fs,
    os::unix::{ffi::OsStringExt, fs::MetadataExt},
    path::{Component, Path, PathBuf},
    sync::LazyLock,
};

/// Mounts of the unified hierarchy, as they were when first asked for.
static MOUNTS: LazyLock<Vec<Mount>> =
    LazyLock::new(|| fs::read("/proc/self/mountinfo").map_or_else(|_| Vec::new(), |t| mounts(&t)));

#[derive(Debug, PartialEq)]
struct Mount {
    /// The cgroup that is mounted, as the reader's cgroup namespace names it:
    /// `/../..` for the host's root mounted into a container.
    root: PathBuf,
    point: PathBuf,
}

/// What `bpf_get_current_cgroup_id` gives for a process in this cgroup: the
/// inode of its directory. `None` where no mount shows it.
pub(super) fn id(path: &str) -> Option<u64> {
    MOUNTS.iter().find_map(|mount| {
        let directory = mount.directory(Path::new(path))?;
        fs::metadata(directory).ok().map(|metadata| metadata.ino())
    })
}

impl Mount {
    fn directory(&self, path: &Path) -> Option<PathBuf> {
        let below = path.strip_prefix(&self.root).ok()?;
        // What lies above the mounted cgroup cannot be reached through it, and
        // its `..` would leave the file system instead.
        let inside = below
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        inside.then(|| self.point.join(below))
    }
}

fn mounts(mountinfo: &[u8]) -> Vec<Mount> {
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
