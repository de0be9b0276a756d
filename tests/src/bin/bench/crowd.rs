//! Many Go processes, idle or busy: how soon all are attached, what the
//! observer takes then, and how soon it ends.

use std::{
    fs,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use observer_tests::{
    Observer, Process,
    paths::{self, VERSIONS, fixture},
};

/// How many run.
pub(crate) const PROCESSES: usize = 200;
/// How many different files they run.
pub(crate) const BINARIES: usize = 20;

const CPU_WINDOW: Duration = Duration::from_secs(20);

/// What the processes do, and what the observer may take for it.
pub(crate) struct Kind {
    /// For the table.
    pub(crate) name: &'static str,
    fixture: &'static str,
    arguments: &'static [&'static str],
    /// Start until all are attached, in seconds, where nothing competes.
    attached: Option<f64>,
    /// Percent of one core.
    cpu: f64,
    /// Resident memory in MB.
    memory: f64,
}

/// They do nothing.
pub(crate) const IDLE: Kind = Kind {
    name: "idle",
    fixture: "idle",
    arguments: &[],
    attached: Some(2.0),
    cpu: 0.5,
    memory: 40.0,
};

/// Each creates 1000 goroutines and allocates 2 MB a second.
pub(crate) const BUSY: Kind = Kind {
    name: "busy",
    fixture: "state",
    arguments: &["-busy"],
    attached: None,
    cpu: 1.0,
    memory: 40.0 + 0.03 * PROCESSES as f64,
};

struct Crowd(Vec<Child>);

impl Crowd {
    fn start(kind: &Kind) -> Self {
        let files: Vec<_> = ["default", "stripped"]
            .into_iter()
            .flat_map(|variant| VERSIONS.map(|version| fixture(kind.fixture, version, variant)))
            .take(BINARIES)
            .collect();
        let start = |n: usize| {
            Command::new(&files[n % BINARIES])
                .args(kind.arguments)
                .stdout(Stdio::null())
                .spawn()
                .unwrap_or_else(|e| panic!("{}: {e}", files[n % BINARIES].display()))
        };
        Self((0..PROCESSES).map(start).collect())
    }

    fn all_attached(&self, processes: &[Process]) -> bool {
        self.0
            .iter()
            .all(|c| processes.iter().any(|p| p.pid == c.id() && p.attached()))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
        }
        for child in &mut self.0 {
            let _ = child.wait();
        }
    }
}

/// A line of `/proc/PID/status`, in MB.
pub(crate) fn megabytes(pid: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the observer's status");
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or_else(|| panic!("no {name}")) * 1024.0 / 1e6
}

/// Seconds on a CPU so far, of all threads.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the observer's threads");
    let ns = |task: fs::DirEntry| {
        let stat = fs::read_to_string(task.path().join("schedstat")).ok()?;
        stat.split_whitespace().next()?.parse::<u64>().ok()
    };
    tasks.flatten().filter_map(ns).sum::<u64>() as f64 / 1e9
}

/// The table.
pub(crate) fn table(kind: &Kind) -> String {
    let crowd = Crowd::start(kind);
    thread::sleep(Duration::from_secs(3));

    let begin = Instant::now();
    let mut observer =
        Observer::spawn_every(Duration::from_secs(1), Command::new(paths::observer()));
    observer.await_ready();
    let ready = begin.elapsed();
    while !crowd.all_attached(&observer.processes()) {
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "not all are attached after a minute"
        );
        thread::sleep(Duration::from_millis(20));
    }
    let attached = begin.elapsed().as_secs_f64();
    let pid = observer.pid();
    thread::sleep(Duration::from_secs(5));
    let (resident, peak) = (megabytes(pid, "VmRSS"), megabytes(pid, "VmHWM"));
    let before = cpu_seconds(pid);
    thread::sleep(CPU_WINDOW);
    let cpu = 100.0 * (cpu_seconds(pid) - before) / CPU_WINDOW.as_secs_f64();
    let (status, ended) = observer.stop();
    assert!(status.success(), "the observer ended with {status}");

    let row = |what: &str, value: f64, unit: &str, limit: f64| {
        let verdict = if value <= limit { "yes" } else { "no" };
        format!("| {what} | {value:.2} {unit} | {limit} {unit} | {verdict} |\n")
    };
    [
        "| | measured | at most | held |\n| --- | --- | --- | --- |\n".to_owned(),
        format!("| start until ready | {:.2} s | | |\n", ready.as_secs_f64()),
        match kind.attached {
            Some(limit) => row("start until all are attached", attached, "s", limit),
            None => format!("| start until all are attached | {attached:.2} s | | |\n"),
        },
        row("resident memory", resident, "MB", kind.memory),
        row("its peak", peak, "MB", 80.0),
        row("CPU at 1 s, of one core", cpu, "%", kind.cpu),
        row("end", ended.as_secs_f64(), "s", 1.0),
    ]
    .concat()
}
