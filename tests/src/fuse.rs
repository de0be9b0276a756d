//! A file system of one file, served by this process, that can fail or fall silent.

use std::{
    ffi::CString,
    fs::File,
    io::{self, Read as _, Write as _},
    os::{fd::AsRawFd, unix::ffi::OsStrExt},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::Duration,
};

use observer_testkit::wait;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tempfile::TempDir;

/// The name of the one file.
const NAME: &[u8] = b"file";
const ROOT: u64 = 1;
const NODE: u64 = 2;
/// Of a request, before what is particular to it.
const HEADER: usize = 40;

/// How requests for the file's content are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Manner {
    /// As they should be.
    Right,
    /// With EIO.
    Failing,
    /// No request is even taken any more, as by a server that is stopped. (One that takes
    /// requests and keeps them makes processes that even SIGKILL does not end.)
    Silent,
}

/// The mounted file system. Unmounted, and every waiting request ended, when dropped.
#[derive(Debug)]
pub struct Served {
    mount: TempDir,
    manner: Arc<AtomicU8>,
    /// What the serving thread has noticed of it.
    at: Arc<AtomicU8>,
}

impl Served {
    /// Serves an executable file with this content.
    pub fn mount(content: Vec<u8>) -> Self {
        let mount = tempfile::tempdir().expect("a directory");
        let connection = File::options()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .expect("/dev/fuse");
        let options = format!(
            "fd={},rootmode=40000,user_id=0,group_id=0,allow_other",
            connection.as_raw_fd()
        );
        let options = CString::new(options).expect("no zero byte");
        let target = CString::new(mount.path().as_os_str().as_bytes()).expect("no zero byte");
        // SAFETY: all are strings that end with a zero byte, and outlive the call.
        let result = unsafe {
            libc::mount(
                c"observer-tests".as_ptr(),
                target.as_ptr(),
                c"fuse".as_ptr(),
                0,
                options.as_ptr().cast(),
            )
        };
        assert_eq!(result, 0, "mount: {}", io::Error::last_os_error());
        let manner = Arc::new(AtomicU8::new(Manner::Right as u8));
        let served = Self {
            manner: Arc::clone(&manner),
            at: Arc::new(AtomicU8::new(Manner::Right as u8)),
            mount,
        };
        let at = Arc::clone(&served.at);
        thread::spawn(move || serve(connection, &manner, &at, &content));
        served
    }

    /// The file.
    pub fn file(&self) -> PathBuf {
        self.mount.path().join("file")
    }

    /// Answers so from here on.
    pub fn be(&self, manner: Manner) {
        self.manner.store(manner as u8, Ordering::SeqCst);
        let taken = || self.at.load(Ordering::SeqCst) == manner as u8;
        assert!(wait::comes_true(Duration::from_secs(30), taken));
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let target = CString::new(self.mount.path().as_os_str().as_bytes());
        let target = target.expect("no zero byte");
        // By force: that ends every request that waits, whoever still uses it.
        let flags = libc::MNT_FORCE | libc::MNT_DETACH;
        // SAFETY: a string that ends with a zero byte.
        unsafe { libc::umount2(target.as_ptr(), flags) };
    }
}

fn serve(mut connection: File, manner: &AtomicU8, at: &AtomicU8, content: &[u8]) {
    let mut buffer = vec![0; 1 << 20];
    let often = Timespec {
        tv_sec: 0,
        tv_nsec: 10_000_000,
    };
    loop {
        let manner = manner.load(Ordering::SeqCst);
        at.store(manner, Ordering::SeqCst);
        let mut ready = [PollFd::new(&connection, PollFlags::IN)];
        let asked = poll(&mut ready, Some(&often));
        let events = ready[0].revents();
        if events.intersects(PollFlags::ERR | PollFlags::HUP) {
            // Unmounted.
            return;
        }
        if manner == Manner::Silent as u8 {
            thread::sleep(Duration::from_millis(10));
            continue;
        }
        if !matches!(asked, Ok(1..)) {
            continue;
        }
        let Ok(length) = connection.read(&mut buffer) else {
            return;
        };
        let request = &buffer[..length];
        if length < HEADER {
            continue;
        }
        let u32_at = |at: usize| u32::from_le_bytes(request[at..at + 4].try_into().expect("four"));
        let u64_at = |at: usize| u64::from_le_bytes(request[at..at + 8].try_into().expect("eight"));
        let (operation, unique, node) = (u32_at(4), u64_at(8), u64_at(16));
        let body = &request[HEADER..];
        let answer = match operation {
            // FORGET and BATCH_FORGET have no answer.
            2 | 42 => continue,
            // INIT, as of 7.31.
            26 => Ok(init(u32_at(HEADER + 8))),
            // LOOKUP.
            1 if body.starts_with(NAME) && body.get(NAME.len()) == Some(&0) => {
                let mut entry = Vec::new();
                for value in [NODE, 0, 1, 1, 0] {
                    entry.extend(value.to_le_bytes());
                }
                entry.extend(attributes(NODE, content.len()));
                Ok(entry)
            }
            1 => Err(libc::ENOENT),
            // GETATTR.
            3 => {
                let mut answer = 1_u64.to_le_bytes().to_vec();
                answer.extend([0; 8]);
                answer.extend(attributes(node, content.len()));
                Ok(answer)
            }
            // OPEN and OPENDIR.
            14 | 27 => Ok(vec![0; 16]),
            // READ.
            15 if manner == Manner::Failing as u8 => Err(libc::EIO),
            15 => {
                let from = (u64_at(HEADER + 8) as usize).min(content.len());
                let to = (from + u32_at(HEADER + 16) as usize).min(content.len());
                Ok(content[from..to].to_vec())
            }
            // STATFS.
            17 => Ok(vec![0; 80]),
            // RELEASE, FSYNC, FLUSH, RELEASEDIR, ACCESS.
            18 | 20 | 25 | 29 | 34 => Ok(Vec::new()),
            _ => Err(libc::ENOSYS),
        };
        let (error, answer) = match answer {
            Ok(answer) => (0, answer),
            Err(error) => (-error, Vec::new()),
        };
        let mut reply = ((16 + answer.len()) as u32).to_le_bytes().to_vec();
        reply.extend(error.to_le_bytes());
        reply.extend(unique.to_le_bytes());
        reply.extend(answer);
        // Who asked may be gone.
        let _ = connection.write_all(&reply);
    }
}

fn init(readahead: u32) -> Vec<u8> {
    let mut answer = Vec::new();
    for value in [7, 31, readahead, 0, 0, 128 << 10, 1] {
        answer.extend(u32::to_le_bytes(value));
    }
    answer.resize(64, 0);
    answer
}

fn attributes(node: u64, size: usize) -> Vec<u8> {
    let (mode, size) = if node == ROOT {
        (0o040_755_u32, 0)
    } else {
        (0o100_755, size as u64)
    };
    let mut answer = Vec::new();
    // Inode, size, blocks, times.
    for value in [node, size, size.div_ceil(512), 1, 1, 1] {
        answer.extend(value.to_le_bytes());
    }
    // Their nanoseconds, mode, links, owner, device, block size, flags.
    for value in [0, 0, 0, mode, 1, 0, 0, 0, 4096, 0] {
        answer.extend(value.to_le_bytes());
    }
    answer
}
