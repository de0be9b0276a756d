//! A file that carries probes is written over in place, as `cp`, `scp` and
//! `rsync --inplace` do: the program that is in it afterwards runs as if nobody
//! had ever observed the one before.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

use observer_tests::{Observer, observer::ATTACH, paths::fixture, wait};
use rustix::{
    mount::{MountFlags, UnmountFlags, mount, unmount},
    process::{Pid, Signal, kill_process},
};

/// Other builds, other texts.
const BUILDS: [&str; 3] = ["1.17.13", "1.22.12", "1.26.8"];
/// How often in all, on three file systems.
const OVERWRITES: usize = 1_000;
/// The kernel's own setting of how long a writer waits for a lease.
const BREAK_TIME: &str = "/proc/sys/fs/lease-break-time";

/// A file system of the test's own.
struct Mounted(PathBuf);

impl Mounted {
    fn tmpfs(at: &Path) -> Self {
        Self::new("tmpfs", at, "size=256m")
    }

    fn overlay(at: &Path, below: &Path) -> Self {
        let part = |name: &str| {
            let path = below.join(name);
            fs::create_dir(&path).expect("a directory");
            path.display().to_string()
        };
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            part("lower"),
            part("upper"),
            part("work")
        );
        Self::new("overlay", at, &options)
    }

    fn new(kind: &str, at: &Path, options: &str) -> Self {
        fs::create_dir(at).expect("a directory");
        let options = std::ffi::CString::new(options).expect("options");
        mount(
            kind,
            at,
            kind,
            MountFlags::empty(),
            Some(options.as_c_str()),
        )
        .unwrap_or_else(|error| panic!("{kind} on {}: {error}", at.display()));
        Self(at.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

/// The same delays in every run (xorshift64).
struct Delays(u64);

impl Delays {
    /// From none at all to a tenth of a second; short ones more often.
    fn next(&mut self) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let most = [0, 1_000, 10_000, 100_000][(self.0 % 4) as usize];
        Duration::from_micros((self.0 >> 8) % (most + 1))
    }
}

/// Writes another program over the file; the inode stays.
fn overwrite(file: &Path, program: &[u8]) {
    let mut file = once_not_busy(|| File::options().write(true).truncate(true).open(file));
    file.write_all(program).expect("the program");
}

fn run(file: &Path) -> Output {
    once_not_busy(|| Command::new(file).args(["5", "0s"]).output())
}

/// A file may be "text busy" for a moment. What another thread starts has a copy
/// of a writer's descriptor up to its own exec; and whoever looks at a process
/// when it ends, be it `ps` or the observer, keeps its memory and so its file a
/// little longer.
fn once_not_busy<T>(mut ask: impl FnMut() -> io::Result<T>) -> T {
    wait::until("a file that is not busy", ATTACH, || match ask() {
        Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => None,
        result => Some(result.expect("a program to write or to run")),
    })
}

/// It ran whole and said what it says.
fn ran_well(output: &Output, how: &str) {
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("\"created\""),
        "{how}: {} (signal {:?})\n{said}{}",
        output.status,
        output.status.signal(),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn programs() -> Vec<Vec<u8>> {
    BUILDS
        .map(|version| fs::read(fixture("short", version, "default")).expect("a program"))
        .into()
}

/// A copy that may be executed.
fn place(directory: &Path) -> PathBuf {
    let file = directory.join("app");
    fs::copy(fixture("short", BUILDS[0], "default"), &file).expect("a copy");
    file
}

#[test]
fn a_program_written_over_another_runs_as_ever() {
    let observer = Observer::start();
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    let tmpfs = Mounted::tmpfs(&at("tmpfs"));
    let overlay = Mounted::overlay(&at("overlay"), directory.path());
    let places = [directory.path(), &tmpfs.0, &overlay.0];
    let programs = programs();
    thread::scope(|scope| {
        for (number, place_of) in places.into_iter().enumerate() {
            let programs = &programs;
            scope.spawn(move || {
                let file = place(place_of);
                let mut delays = Delays(0x9e37_79b9_7f4a_7c15 + number as u64);
                for turn in 0..OVERWRITES.div_ceil(3) {
                    let how = format!("{}, turn {turn}", file.display());
                    ran_well(&run(&file), &how);
                    thread::sleep(delays.next());
                    overwrite(&file, &programs[(turn + 1) % programs.len()]);
                }
                ran_well(&run(&file), "the last");
            });
        }
    });
    // It was observed all the while, and made writers wait: the busier the machine, the
    // more of them come before probes stand.
    let log = observer.log();
    let gave_way = log.matches("its probes leave first").count();
    assert!(gave_way > OVERWRITES / 25, "{gave_way} times\n{log}");
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn also_where_the_observer_is_stopped() {
    let usual = fs::read_to_string(BREAK_TIME).expect("a setting of the kernel");
    // The observer takes its patience from it, and the test need not take as long.
    fs::write(BREAK_TIME, "15").expect("a setting of the kernel");
    let observer = Observer::start();
    let directory = tempfile::tempdir().expect("a directory");
    let file = place(directory.path());
    let mut program = Command::new(&file)
        .args(["5", "3s"])
        .spawn()
        .expect("the program starts");
    observer.attached(program.id());
    let pid = Pid::from_raw(observer.pid().cast_signed()).expect("a pid");
    kill_process(pid, Signal::STOP).expect("a signal");
    program.wait().expect("its end");
    let began = Instant::now();
    overwrite(&file, &programs()[2]);
    let waited = began.elapsed();
    ran_well(&run(&file), "after the observer was stopped");
    fs::write(BREAK_TIME, usual).expect("a setting of the kernel");
    // It was not let in over the probes: the kernel had ended the observer.
    assert!(waited < Duration::from_secs(15), "{waited:?}");
    wait::until("the observer's end", ATTACH, || {
        fs::read_to_string(format!("/proc/{}/stat", observer.pid()))
            .map_or(Some(()), |stat| stat.contains(") Z ").then_some(()))
    });
}

#[test]
fn a_file_that_nobody_writes_to_keeps_its_probes() {
    let observer = Observer::start();
    let directory = tempfile::tempdir().expect("a directory");
    let file = place(directory.path());
    let mut program = Command::new(&file)
        .args(["5", "1h"])
        .spawn()
        .expect("the program starts");
    observer.attached(program.id());
    // Reading is free, and while it runs the kernel refuses writers by itself.
    fs::read(&file).expect("readable");
    let refused = File::options().write(true).open(&file);
    assert!(refused.is_err(), "{refused:?}");
    // As package managers do.
    let new = directory.path().join("new");
    fs::copy(fixture("short", BUILDS[1], "default"), &new).expect("a copy");
    fs::rename(&new, &file).expect("a rename");
    ran_well(&run(&file), "the new file");
    let seen = observer.attached(program.id());
    assert!(seen.coverage["gc_cycles"].covered, "{:?}", seen.coverage);
    program
        .kill()
        .and_then(|()| program.wait())
        .expect("its end");
}
