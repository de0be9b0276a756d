//! Files that a process has mapped as code: its program, and the libraries that
//! it was linked with or has loaded since.
//!
//! What a process maps is its own choice: there may be as many mappings as the
//! kernel allows, of files that are gone, that lie on a file system which does not
//! answer, or whose names are meant to mislead. So everything here is bounded, no
//! name leads out of the process's root or through a symbolic link, and whoever
//! looks must be able to wait: the kernel keeps the list back while the process
//! changes it.

use std::{
    collections::HashSet,
    ffi::OsString,
    io::{BufRead, BufReader, Read},
    ops::ControlFlow,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags, openat, openat2},
    io::Errno,
};

use super::{
    DiscoverError, FileId,
    label::label,
    proc_dir::{ProcDir, ended, first_thread_ended, is_kernel_thread},
};

/// Most that is read of `/proc/PID/maps`. Libraries are at its end, behind whatever
/// else a process has mapped: this is enough for as many mappings as Linux allows
/// by default (65,530), at 128 bytes each.
const MOST_TEXT: u64 = 8 << 20;
/// Most files that are looked at.
const MOST_FILES: usize = 1024;

/// A file that a process has mapped as code.
#[derive(Debug)]
pub struct MappedFile {
    /// Which.
    pub id: FileId,
    /// Its path as the process sees it.
    pub path: PathBuf,
    /// The file, held without having been opened. `/proc/self/fd/N` leads to it.
    pub pinned: OwnedFd,
}

/// Calls `visit` with each regular file that process `pid` has mapped as code, until
/// it breaks off. What cannot be reached, since its name leads elsewhere by now, is
/// passed over. Gives the process's start time in clock ticks since boot, by which
/// it is known again.
///
/// This may wait for the process, or for a file system that it uses.
pub fn mapped_files(
    pid: u32,
    visit: &mut dyn FnMut(MappedFile) -> ControlFlow<()>,
) -> Result<u64, DiscoverError> {
    let entry = ProcDir::open(pid)?;
    let stat = entry.stat()?;
    if is_kernel_thread(&stat) {
        return Err(DiscoverError::NotAProgram(pid));
    }
    if ended(&stat) {
        return Err(DiscoverError::Zombie(pid));
    }
    let thread = if first_thread_ended(&stat) {
        entry.living_thread()?
    } else {
        None
    };
    let task = thread.as_ref().unwrap_or(&entry);
    let text = task
        .stream("maps", MOST_TEXT)
        .map_err(|errno| entry.error("maps", errno))?;
    let mappings = code(text).map_err(|errno| entry.error("maps", errno))?;
    // The magic link is followed without a look at what lies behind it.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root =
        openat(task, "root", flags, Mode::empty()).map_err(|errno| entry.error("root", errno))?;
    for mapping in mappings {
        if let Some(file) = mapping.pin(task, &root)
            && visit(file).is_break()
        {
            break;
        }
    }
    Ok(stat.starttime)
}

/// How much memory a process has mapped, in pages: one that loads a library has more
/// than before. Asking waits for nothing.
pub fn mapped_pages(pid: u32) -> Option<u64> {
    let text = ProcDir::open(pid).ok()?.read("statm").ok()?;
    let first = text.split(|byte| *byte == b' ').next()?;
    str::from_utf8(first).ok()?.parse().ok()
}

/// The base name of a file, made fit for people: see [`super::Process::name`].
pub fn base_name(path: &Path) -> String {
    label(&path.file_name().unwrap_or_default().to_string_lossy())
}

/// A line of `/proc/PID/maps`.
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    range: (u64, u64),
    device: (u64, u64),
    inode: u64,
    path: Vec<u8>,
}

impl Mapping {
    /// Of code that lies in a file with a path; `None` for all else.
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.splitn(6, |byte| *byte == b' ');
        let range = pair(fields.next()?, b'-')?;
        let is_code = fields.next()?.get(2) == Some(&b'x');
        let (_offset, device) = (fields.next()?, pair(fields.next()?, b':')?);
        let inode = str::from_utf8(fields.next()?).ok()?.parse().ok()?;
        let path = fields.next()?.trim_ascii_start();
        (is_code && inode != 0 && path.first() == Some(&b'/')).then(|| Self {
            range,
            device,
            inode,
            path: unescaped(path),
        })
    }

    /// Holds the file. The way by the mapping itself leads to it whatever has become
    /// of its name, and needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN; by its name it
    /// may be another one by now.
    fn pin(self, task: &ProcDir, root: &OwnedFd) -> Option<MappedFile> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let link = format!("map_files/{:x}-{:x}", self.range.0, self.range.1);
        let (pinned, by_name) = match openat(task, link, flags, Mode::empty()) {
            Ok(file) => (file, false),
            Err(_) => (self.by_name(root)?, true),
        };
        let (id, kind) = looked_at(&pinned).ok()?;
        // Not by the device: overlayfs and btrfs show another one in `maps`.
        if kind != FileType::RegularFile || (by_name && id.inode != self.inode) {
            return None;
        }
        let path = PathBuf::from(OsString::from_vec(self.path));
        Some(MappedFile { id, path, pinned })
    }

    fn by_name(&self, root: &OwnedFd) -> Option<OwnedFd> {
        let below = self.path.strip_prefix(b"/")?;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        // The kernel's own paths have no symbolic link in them.
        let resolve =
            ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        openat2(root, below, flags, Mode::empty(), resolve).ok()
    }
}

/// The mappings of code, one of each file.
fn code(text: impl Read) -> Result<Vec<Mapping>, Errno> {
    let mut text = BufReader::with_capacity(64 << 10, text);
    let (mut line, mut found, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    while found.len() < MOST_FILES {
        line.clear();
        let read = text.read_until(b'\n', &mut line);
        if read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))? == 0 {
            break;
        }
        let Some(whole) = line.strip_suffix(b"\n") else {
            // Cut off by the bound.
            break;
        };
        found.extend(
            Mapping::parse(whole).filter(|mapping| seen.insert((mapping.device, mapping.inode))),
        );
    }
    Ok(found)
}

fn looked_at(file: impl AsFd) -> Result<(FileId, FileType), Errno> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let statx = rustix::fs::statx(file, "", flags, StatxFlags::BASIC_STATS)?;
    let kind = FileType::from_raw_mode(statx.stx_mode.into());
    Ok((FileId::of_statx(&statx), kind))
}

/// Two hexadecimal numbers.
fn pair(text: &[u8], between: u8) -> Option<(u64, u64)> {
    let mut numbers = text.split(|byte| *byte == between).map(|digits| {
        let digits = str::from_utf8(digits).ok()?;
        u64::from_str_radix(digits, 16).ok()
    });
    let found = (numbers.next()??, numbers.next()??);
    numbers.next().is_none().then_some(found)
}

/// A path as it is: in `maps` a newline is written `\012`, and nothing else is escaped.
fn unescaped(path: &[u8]) -> Vec<u8> {
    const NEWLINE: &[u8] = b"\\012";
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some(first) = rest.first() {
        if let Some(behind) = rest.strip_prefix(NEWLINE) {
            plain.push(b'\n');
            rest = behind;
        } else {
            plain.push(*first);
            rest = &rest[1..];
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::{
        ops::ControlFlow,
        path::Path,
        process::{self, Command},
    };

    use super::{MOST_FILES, Mapping, base_name, code, mapped_files, mapped_pages};

    fn parsed(line: &str) -> Option<(u64, String)> {
        let found = Mapping::parse(line.as_bytes())?;
        Some((found.inode, String::from_utf8(found.path).expect("text")))
    }

    #[test]
    fn code_of_files_is_told_from_all_else() {
        let line = "7f00-7f10 r-xp 00001000 fd:01 42                 /usr/lib/a b.so";
        assert_eq!(parsed(line), Some((42, "/usr/lib/a b.so".to_owned())));
        let found = Mapping::parse(line.as_bytes()).expect("code");
        assert_eq!((found.range, found.device), ((0x7f00, 0x7f10), (0xfd, 1)));
        let line = r"7f00-7f10 r-xp 0 fd:01 42 /a\012b.so (deleted)";
        assert_eq!(parsed(line), Some((42, "/a\nb.so (deleted)".to_owned())));
        for line in [
            "7f00-7f10 r--p 00001000 fd:01 42                 /usr/lib/a.so",
            "7f00-7f10 r-xp 00000000 00:00 0                  [vdso]",
            "7f00-7f10 r-xp 00000000 00:00 0 ",
            "7f00-7f10 rwxp 00000000 00:00 0",
            "7f00-7f10 r-xp 00000000 00:0e 9                  anon_inode:[perf_event]",
            "7f00-7f10 r-xp 00000000 00:0e 9                  (unreachable)/a.so",
            "7f00 r-xp 0 fd:01 42 /a.so",
            "7f00-7f10-7f20 r-xp 0 fd:01 42 /a.so",
            "7f00-7f10 r-xp 0 fd:01 -42 /a.so",
            "7f00-7f10 r",
            "",
        ] {
            assert_eq!(parsed(line), None, "{line}");
        }
    }

    #[test]
    fn each_file_is_taken_once_and_no_more_than_so_many() {
        let line = |inode: usize| format!("7f00-7f10 r-xp 0 fd:01 {inode} /lib{inode}.so\n");
        let twice = [line(1), line(1), line(2)].concat();
        let found = code(twice.as_bytes()).expect("text");
        assert_eq!(found.len(), 2);
        let many: String = (1..=65_530).map(line).collect();
        assert_eq!(code(many.as_bytes()).expect("text").len(), MOST_FILES);
        // What was cut off in the middle may be any file's name.
        let cut = format!("{}{}", line(1), line(2).trim_end());
        assert_eq!(code(cut.as_bytes()).expect("text").len(), 1);
    }

    #[test]
    fn a_program_has_its_own_file_and_its_libraries() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("a child");
        // It is this program until its exec, and maps its libraries after it.
        let mut names = Vec::new();
        for _ in 0..500 {
            names.clear();
            let visited = mapped_files(child.id(), &mut |file| {
                names.push(base_name(&file.path));
                ControlFlow::Continue(())
            });
            if visited.is_ok() && names.iter().any(|name| name.starts_with("libc.so")) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(names.len() >= 2, "{names:?}");
        assert!(mapped_pages(child.id()).is_some_and(|pages| pages > 0));
        let mut visits = 0;
        let visited = mapped_files(child.id(), &mut |_| {
            visits += 1;
            ControlFlow::Break(())
        });
        assert!(visited.is_ok());
        assert_eq!(visits, 1);
        child.kill().expect("its end");
        child.wait().expect("its end");
        assert!(mapped_files(child.id(), &mut |_| ControlFlow::Continue(())).is_err());
        assert_eq!(mapped_pages(child.id()), None);
    }

    #[test]
    fn a_file_that_was_replaced_is_not_taken_for_the_one_that_is_mapped() {
        let own = std::fs::read_link("/proc/self/exe").expect("this program");
        let entry = super::ProcDir::open(process::id()).expect("this process");
        let flags = super::OFlags::PATH | super::OFlags::CLOEXEC;
        let root = super::openat(&entry, "root", flags, super::Mode::empty()).expect("its root");
        let pinned = |inode: u64, path: &Path| {
            let mapping = Mapping {
                // Nothing is mapped there, so that its name decides.
                range: (0, 1),
                device: (0, 0),
                inode,
                path: path.as_os_str().as_encoded_bytes().to_vec(),
            };
            mapping.pin(&entry, &root).is_some()
        };
        let inode = std::os::unix::fs::MetadataExt::ino(&own.metadata().expect("its file"));
        assert!(pinned(inode, &own));
        assert!(!pinned(inode + 1, &own));
        let link = tempfile::tempdir().expect("a directory");
        let link = link.path().join("link");
        std::os::unix::fs::symlink(&own, &link).expect("a link");
        assert!(!pinned(inode, &link));
        assert!(!pinned(inode, Path::new("/dev/null")));
    }
}
