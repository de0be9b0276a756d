//! A file that carries probes is written over in place, as `cp`, `scp` and
//! `rsync --inplace` do: the program that is in it afterwards runs as if nobody
//! had ever observed the one before.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use observer_tests::{
    Observer,
    observer::ATTACH,
    paths::{self, GO, OLDEST, fixture, go1},
    text, wait,
};
use rustix::{
    mount::{MountFlags, UnmountFlags, mount, unmount},
    process::{Pid, Signal, kill_process},
};

/// Other builds, other texts.
const BUILDS: [&str; 3] = [OLDEST, go1(22), GO];
/// How often in all, on three file systems.
const OVERWRITES: usize = 1_000;
/// The same with perf-event links, of which the kernel takes a tenth of a second each.
const OVERWRITES_BY_PERF_LINKS: usize = 30;
/// How often the observer is killed while somebody waits to write.
const KILLS: usize = 20;
/// How often it is left to its timer, which is two thirds of this.
const STOPS: usize = 5;
const BREAK_SECONDS: u32 = 9;
/// Until the kernel has taken the perf events of a killed observer away.
const CLEAN: Duration = Duration::from_secs(30);
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

/// A program that stays. Killed when dropped.
struct Standing(Child);

impl Standing {
    /// Starts it, and waits for its probes.
    fn probed(observer: &Observer, file: &Path) -> Self {
        let mut command = Command::new(file);
        command.args(["5", "1h"]).stdout(Stdio::null());
        let this = Self(once_not_busy(|| command.spawn()));
        observer.attached(this.pid());
        this
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The kernel's setting, until it is dropped.
struct BreakTime(String);

impl BreakTime {
    fn set(seconds: &str) -> Self {
        let usual = fs::read_to_string(BREAK_TIME).expect("a setting of the kernel");
        fs::write(BREAK_TIME, seconds).expect("a setting of the kernel");
        Self(usual)
    }
}

impl Drop for BreakTime {
    fn drop(&mut self) {
        fs::write(BREAK_TIME, &self.0).expect("a setting of the kernel");
    }
}

/// One that sets probes by these links (`--link`).
fn observer(link: &str) -> Observer {
    let mut command = Command::new(paths::observer());
    command.env("OBSERVER_LINK", link);
    Observer::start_as(command)
}

fn stop(observer: &Observer) {
    let pid = Pid::from_raw(observer.pid().cast_signed()).expect("a pid");
    kill_process(pid, Signal::STOP).expect("a signal");
}

/// Waits until somebody waits for a lease.
fn somebody_waits() {
    let waits = || {
        let locks = fs::read_to_string("/proc/locks").expect("the kernel's locks");
        locks.contains("BREAKING")
    };
    assert!(wait::comes_true(ATTACH, waits), "nobody waits to write");
}

fn written_over(link: &str, overwrites: usize) {
    let observer = observer(link);
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
                for turn in 0..overwrites.div_ceil(3) {
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
    assert!(gave_way > overwrites / 25, "{gave_way} times\n{log}");
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_program_written_over_another_runs_as_ever() {
    written_over("auto", OVERWRITES);
}

#[test]
fn also_with_perf_links() {
    written_over("perf", OVERWRITES_BY_PERF_LINKS);
}

/// Somebody writes while the observer ends, sooner or later.
fn written_over_at_its_end(link: &str, turns: usize) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = place(directory.path());
    let programs = programs();
    let mut delays = Delays(0x9e37_79b9_7f4a_7c15);
    for turn in 0..turns {
        let observer = observer(link);
        drop(Standing::probed(&observer, &file));
        let delay = delays.next();
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                thread::sleep(delay);
                overwrite(&file, &programs[(turn + 1) % programs.len()]);
                run(&file)
            });
            let (status, took) = observer.stop();
            assert!(status.success(), "turn {turn}: {status}");
            let output = writer.join().expect("no panic");
            let how = format!("turn {turn}, {delay:?} after SIGTERM, whose end took {took:?}");
            ran_well(&output, &how);
        });
    }
}

#[test]
fn also_while_the_observer_ends() {
    written_over_at_its_end("auto", 12);
}

#[test]
fn also_while_the_observer_ends_with_perf_links() {
    written_over_at_its_end("perf", 6);
}

#[test]
fn also_where_the_observer_is_stopped() {
    // The observer takes its patience from it, and the test need not take as long.
    let _break_time = BreakTime::set(&BREAK_SECONDS.to_string());
    let directory = tempfile::tempdir().expect("a directory");
    let file = place(directory.path());
    let programs = programs();
    for turn in 0..STOPS {
        let observer = Observer::start();
        drop(Standing::probed(&observer, &file));
        stop(&observer);
        let began = Instant::now();
        overwrite(&file, &programs[(turn + 1) % programs.len()]);
        let waited = began.elapsed();
        let how = format!("turn {turn}, after the observer was stopped");
        ran_well(&run(&file), &how);
        // It was not let in over the probes: the kernel had ended the observer.
        assert!(
            waited < Duration::from_secs(BREAK_SECONDS.into()),
            "{how}: {waited:?}"
        );
        wait::until("the observer's end", ATTACH, || {
            fs::read_to_string(format!("/proc/{}/stat", observer.pid()))
                .map_or(Some(()), |stat| stat.contains(") Z ").then_some(()))
        });
    }
}

/// Nobody gives the lease back but the kernel, which closes the links before it.
#[test]
fn also_where_the_observer_is_killed_while_somebody_waits() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = place(directory.path());
    let programs = programs();
    for turn in 0..KILLS {
        let observer = Observer::start();
        drop(Standing::probed(&observer, &file));
        // So that it does not give way itself.
        stop(&observer);
        let output = thread::scope(|scope| {
            let writer = scope.spawn(|| {
                overwrite(&file, &programs[(turn + 1) % programs.len()]);
                run(&file)
            });
            somebody_waits();
            observer.kill();
            writer.join().expect("no panic")
        });
        ran_well(&output, &format!("turn {turn}, after SIGKILL"));
    }
}

/// The kernel closes the perf events of a killed observer after its leases, and
/// whoever writes at once meets breakpoints (docs/limits.md). Not for long.
#[test]
fn perf_links_of_a_killed_observer_are_gone_soon() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = place(directory.path());
    let programs = programs();
    for turn in 0..3 {
        let observer = observer("perf");
        let program = Standing::probed(&observer, &file);
        let pid = program.pid();
        assert_ne!(text::changed(pid), Some(0), "turn {turn}: no probes");
        observer.kill();
        let began = Instant::now();
        let gone = wait::comes_true(CLEAN, || text::changed(pid) == Some(0));
        assert!(gone, "turn {turn}: probes stay");
        println!("turn {turn}: gone after {:?}", began.elapsed());
        drop(program);
        overwrite(&file, &programs[(turn + 1) % programs.len()]);
        ran_well(&run(&file), &format!("turn {turn}, after SIGKILL"));
    }
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
