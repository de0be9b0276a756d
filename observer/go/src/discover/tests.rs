//! Against real processes of every odd kind.

use std::{
    fs, io,
    os::{fd::AsRawFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime},
};

use super::{executable::open_executable, *};

/// A child that does not outlive the test.
struct Running(Child);

impl Running {
    fn start(program: impl AsRef<Path>) -> Self {
        Self::spawn(Command::new(program.as_ref()).arg("600"))
    }

    fn spawn(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        // A fork of another test may hold a just copied file open for writing.
        eventually(&format!("{command:?} starts"), || match command.spawn() {
            Ok(child) => Some(Self(child)),
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => None,
            Err(error) => panic!("{command:?}: {error}"),
        })
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "not within 10 s: {what}"
        );
        thread::sleep(Duration::from_millis(2));
    }
}

fn sleep_program() -> PathBuf {
    ["/usr/bin/sleep", "/bin/sleep"]
        .iter()
        .find_map(|path| fs::canonicalize(path).ok())
        .expect("these tests start `sleep` of coreutils: install it")
}

fn need_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test makes namespaces: run it as root"
    );
}

fn copy_of_sleep(directory: &tempfile::TempDir, name: &str) -> PathBuf {
    let path = fs::canonicalize(directory.path()).unwrap().join(name);
    fs::copy(sleep_program(), &path).unwrap();
    path
}

/// Opens the file and holds its identity against the look's.
fn opened(process: &Process) -> Vec<u8> {
    let (file, path) = open_executable(process.pid).unwrap();
    assert_eq!(FileId::of_file(&file).unwrap(), process.executable.id);
    assert_eq!(
        FileId::of(&fs::metadata(&path).unwrap()),
        process.executable.id
    );
    assert_eq!(executable(process.pid).unwrap(), process.executable);
    fs::read(path).unwrap()
}

#[test]
fn itself() {
    let pid = std::process::id();
    assert!(pids().unwrap().contains(&pid));
    let me = process(pid).unwrap();
    assert_eq!(
        me.executable.path,
        fs::canonicalize("/proc/self/exe").unwrap()
    );
    assert!(!me.executable.deleted && !me.executable.memfd);
    assert!(alive(pid, me.start_ticks));
    assert!(
        !alive(pid, me.start_ticks + 1),
        "another start time is another process"
    );
    assert!(me.name().starts_with("observer_go-"), "{}", me.name());
    opened(&me);
}

#[test]
fn start_times_are_right_to_a_tick() {
    let before = SystemTime::now();
    let child = Running::start(sleep_program());
    let after = SystemTime::now();
    let look = process(child.pid()).unwrap();
    let start = started(look.start_ticks);
    // Two readings of clocks that are not read at one instant, hence the spare.
    let tick = Duration::from_nanos(1_000_000_000 / procfs::ticks_per_second().max(1));
    let spare = tick + Duration::from_millis(5);
    assert!(
        start + spare >= before && start <= after + spare,
        "{before:?} {start:?} {after:?}"
    );
}

#[test]
fn a_deleted_executable() {
    let directory = tempfile::tempdir().unwrap();
    let path = copy_of_sleep(&directory, "gone");
    // Another name keeps the link count above zero.
    fs::hard_link(&path, directory.path().join("other")).unwrap();
    let child = Running::start(&path);
    for unlinked in ["gone", "other"] {
        fs::remove_file(path.with_file_name(unlinked)).unwrap();
        let look = process(child.pid()).unwrap();
        assert!(
            look.executable.deleted && !look.executable.memfd,
            "{look:?}"
        );
        assert_eq!(look.executable.path, path);
        assert_eq!(look.name(), "gone");
        assert_eq!(opened(&look), fs::read(sleep_program()).unwrap());
    }
}

#[test]
fn a_name_that_ends_like_a_deleted_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = copy_of_sleep(&directory, "odd (deleted)");
    let child = Running::start(&path);
    let look = process(child.pid()).unwrap();
    assert!(!look.executable.deleted);
    assert_eq!(look.executable.path, path);
    assert_eq!(executable::file(child.pid()), Some(look.executable.id));
    fs::remove_file(&path).unwrap();
    let look = process(child.pid()).unwrap();
    assert!(look.executable.deleted);
    assert_eq!(look.executable.path, path);
}

#[test]
fn an_executable_in_memory() {
    use rustix::fs::{MemfdFlags, memfd_create};
    let content = fs::read(sleep_program()).unwrap();
    let memory = memfd_create("payload", MemfdFlags::empty()).unwrap();
    rustix::io::write(&memory, &content).unwrap();
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    let child = Running::start(path);
    let look = process(child.pid()).unwrap();
    assert!(
        look.executable.memfd && !look.executable.deleted,
        "{look:?}"
    );
    assert_eq!(look.executable.path, Path::new("/memfd:payload"));
    assert_eq!(look.name(), "payload");
    assert_eq!(opened(&look), content);
}

#[test]
fn a_path_that_is_not_utf8() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(OsStr::from_bytes(b"a\xff\nb"));
    fs::copy(sleep_program(), &path).unwrap();
    let child = Running::start(&path);
    let look = process(child.pid()).unwrap();
    assert_eq!(look.name(), "a\u{fffd}\u{fffd}b");
    assert_eq!(look.executable.path.file_name(), path.file_name());
    serde_json::to_string(&look).unwrap();
}

#[test]
fn a_pid_namespace() {
    need_root();
    let mut command = Command::new("unshare");
    command
        .args(["--pid", "--fork", "--kill-child"])
        .arg(sleep_program())
        .arg("600");
    let unshare = Running::spawn(&mut command);
    let inner = eventually("a child of unshare", || {
        let parent = unshare.pid() as i32;
        let of = |pid: &u32| proc_dir::ProcDir::open(*pid)?.stat();
        pids()
            .unwrap()
            .into_iter()
            .find(|pid| of(pid).is_ok_and(|stat| stat.ppid == parent))
    });
    let look = process(inner).unwrap();
    assert_eq!((look.pid, look.inner_pid), (inner, 1));
}

#[test]
fn what_is_opened_is_what_was_found_or_nothing() {
    let child = Running::start(sleep_program());
    let pid = child.pid();
    let known = process(pid).unwrap().executable.id;
    let file = open_known(pid, known).unwrap();
    assert_eq!(FileId::of_file(&file).unwrap(), known);
    // As it was before somebody renamed it.
    let renamed = FileId {
        changed_ns: known.changed_ns - 1,
        ..known
    };
    assert!(open_known(pid, renamed).is_ok());
    assert!(runs(pid, renamed).is_ok());
    let other = FileId {
        size: known.size + 1,
        ..known
    };
    for found in [open_known(pid, other).map(drop), runs(pid, other)] {
        let error = found.unwrap_err().to_string();
        let expected = format!("process {pid} started another program meanwhile");
        assert_eq!(error, expected);
    }
}

#[test]
fn a_zombie_and_what_is_gone() {
    let mut child = Running::spawn(Command::new(sleep_program()).arg("0.2"));
    let pid = child.pid();
    let look = process(pid).unwrap();
    eventually("sleep ends", || {
        matches!(process(pid), Err(DiscoverError::Zombie(zombie)) if zombie == pid).then_some(())
    });
    assert!(matches!(executable(pid), Err(DiscoverError::Zombie(_))));
    assert!(matches!(
        open_executable(pid),
        Err(DiscoverError::Zombie(_))
    ));
    assert!(!alive(pid, look.start_ticks));
    child.0.wait().unwrap();
    assert!(matches!(process(pid), Err(DiscoverError::Gone(gone)) if gone == pid));
    assert!(matches!(executable(pid), Err(DiscoverError::Gone(_))));
    assert!(matches!(open_executable(pid), Err(DiscoverError::Gone(_))));
    assert!(!alive(pid, look.start_ticks));
}

/// The main thread ends, another one goes on.
fn only_the_first_thread_ends() -> io::Result<()> {
    extern "C" fn pause(_: *mut libc::c_void) -> *mut libc::c_void {
        loop {
            thread::park();
        }
    }
    let mut thread = 0;
    // SAFETY: `pause` needs nothing of this thread, and nothing is joined.
    let error = unsafe {
        libc::pthread_create(
            &raw mut thread,
            std::ptr::null(),
            pause,
            std::ptr::null_mut(),
        )
    };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    // SAFETY: SYS_exit ends this thread only; nobody waits for its values.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    unreachable!("exit returned")
}

#[test]
fn a_process_whose_first_thread_ended() {
    let mut command = Command::new("/nonexistent");
    // SAFETY: the child has this thread only, and glibc lets a forked child
    // make threads.
    unsafe { command.pre_exec(only_the_first_thread_ends) };
    // spawn() waits for exec's result, which never comes.
    let spawning = thread::spawn(move || drop(command.spawn()));
    let me = std::process::id();
    let found = eventually("a child without its first thread", || {
        pids().unwrap().into_iter().find(|pid| {
            proc_dir::ProcDir::open(*pid)
                .and_then(|entry| entry.stat())
                .is_ok_and(|stat| {
                    stat.ppid == me as i32
                        && stat.num_threads == 2
                        && proc_dir::first_thread_ended(&stat)
                })
        })
    });
    let looks = (
        process(found),
        executable(found),
        open_executable(found).map(|_| ()),
    );
    let still = process(found).is_ok_and(|look| alive(found, look.start_ticks));
    let pid = rustix::process::Pid::from_raw(found as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    spawning.join().unwrap();
    let look = looks.0.unwrap();
    assert_eq!(
        (look.pid, look.executable.path),
        (found, std::env::current_exe().unwrap())
    );
    assert_eq!(looks.1.unwrap().id, look.executable.id);
    looks.2.unwrap();
    assert!(still);
}

#[test]
fn kernel_threads_are_no_programs() {
    let kernel = |pid: &u32| {
        let stat = proc_dir::ProcDir::open(*pid).and_then(|entry| entry.stat());
        stat.is_ok_and(|stat| proc_dir::is_kernel_thread(&stat))
    };
    let pid = pids()
        .unwrap()
        .into_iter()
        .find(kernel)
        .expect("no kernel thread in /proc: run this in the host's pid namespace");
    assert!(matches!(process(pid), Err(DiscoverError::NotAProgram(_))));
    assert!(matches!(
        executable(pid),
        Err(DiscoverError::NotAProgram(_))
    ));
    assert!(matches!(
        open_executable(pid),
        Err(DiscoverError::NotAProgram(_))
    ));
}

#[test]
fn a_thread_is_no_process() {
    let (pid, tid) = thread::spawn(|| (std::process::id(), rustix::thread::gettid()))
        .join()
        .unwrap();
    assert_ne!(pid as i32, tid.as_raw_nonzero().get());
    let tid = thread::spawn(|| {
        let tid = rustix::thread::gettid().as_raw_nonzero().get() as u32;
        process(tid)
    });
    let error = tid.join().unwrap().unwrap_err();
    assert!(
        matches!(error, DiscoverError::Thread { leader, .. } if leader == pid),
        "{error}"
    );
}

#[test]
fn what_the_kernel_forbids() {
    need_root();
    let child = Running::start(sleep_program());
    let pid = child.pid();
    // The raw call changes this thread's user only, and with it what it may do.
    let (look, file, file_id) = thread::spawn(move || {
        // SAFETY: three plain numbers.
        let result = unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) };
        assert_eq!(result, 0, "setresuid: {}", io::Error::last_os_error());
        (process(pid), open_executable(pid), executable(pid))
    })
    .join()
    .unwrap();
    for error in [look.unwrap_err(), file.unwrap_err(), file_id.unwrap_err()] {
        assert!(matches!(error, DiscoverError::Denied { .. }), "{error}");
        assert!(
            error.to_string().contains(&format!("/proc/{pid}/exe")),
            "{error}"
        );
    }
}
