//! The observer as a process.

use std::{
    ffi::OsStr,
    fs::{self, File},
    net::TcpListener,
    os::unix::fs::FileExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

use crate::{api::Process, metrics::Exposition, paths, wait};

/// How often the observer under test reads its counters.
pub const INTERVAL: Duration = Duration::from_millis(200);

/// Mostly long enough that the observer has looked at what began, and that the kernel has
/// taken away what was to leave. What is counted is waited for by [`Observer::settle`].
pub const SETTLED: Duration = Duration::from_millis(700);

/// Inspecting and attaching, on a busy machine.
pub const ATTACH: Duration = Duration::from_secs(15);

/// `observer node` at work. Killed when dropped.
#[derive(Debug)]
pub struct Observer {
    child: Child,
    address: String,
    log: NamedTempFile,
    agent: ureq::Agent,
}

impl Observer {
    /// Starts it and waits until it is ready.
    pub fn start() -> Self {
        Self::start_as(Command::new(paths::observer()))
    }

    /// Starts it by a command that runs the observer with the arguments it is given.
    pub fn start_as(command: Command) -> Self {
        let mut this = Self::spawn(command);
        this.await_ready();
        this
    }

    /// Starts it and does not wait.
    pub fn spawn(command: Command) -> Self {
        Self::spawn_every(INTERVAL, command)
    }

    /// Starts it with another interval and does not wait.
    pub fn spawn_every(interval: Duration, mut command: Command) -> Self {
        let address = free_address();
        let log = NamedTempFile::new().expect("a file for the observer's log");
        let out = File::options()
            .append(true)
            .open(log.path())
            .expect("the observer's log");
        // Most tests count every hit of short and heavy loads, at short intervals.
        for (setting, value) in [
            ("OBSERVER_PROBE_BUDGET", "100"),
            ("OBSERVER_CPU_CEILING", "100"),
            ("OBSERVER_GOROUTINE_PROBES", "always"),
        ] {
            if command.get_envs().all(|(name, _)| name != setting) {
                command.env(setting, value);
            }
        }
        let child = command
            .args(["node", "--listen", &address])
            .arg(format!("--interval={}ms", interval.as_millis()))
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("the observer's log"))
            .stderr(out)
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(wait::patient(Duration::from_secs(10))))
            .http_status_as_error(false)
            // One that is kept may be closed just as the next question goes out on it:
            // the observer makes room so where a test opens many.
            .max_idle_connections(0)
            .build()
            .new_agent();
        Self {
            child,
            address,
            log,
            agent,
        }
    }

    /// Waits until it says that it is ready.
    pub fn await_ready(&mut self) {
        let ready = wait::comes_true(Duration::from_secs(30), || {
            if let Some(status) = self.child.try_wait().expect("the observer's status") {
                panic!("the observer ended with {status}:\n{}", self.log());
            }
            self.try_get("/readyz")
                .is_some_and(|(status, _)| status == 200)
        });
        assert!(ready, "the observer is not ready:\n{}", self.log());
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What it has written.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log.path()).expect("the observer's log")
    }

    /// One answer, with its status, where there is one.
    pub fn try_get(&self, path: &str) -> Option<(u16, String)> {
        let mut response = self
            .agent
            .get(format!("http://{}{path}", self.address))
            .call()
            .ok()?;
        let status = response.status().as_u16();
        let body = response
            .body_mut()
            .with_config()
            .limit(256 << 20)
            .read_to_string()
            .ok()?;
        Some((status, body))
    }

    /// One good answer.
    pub fn get(&self, path: &str) -> String {
        match self.try_get(path) {
            Some((200, body)) => body,
            other => panic!(
                "GET {path}: {other:?}; the observer {}; its log:\n{}",
                if Path::new(&format!("/proc/{}/exe", self.pid())).exists() {
                    "runs"
                } else {
                    "has ended"
                },
                self.log()
            ),
        }
    }

    /// Every Go process it knows.
    pub fn processes(&self) -> Vec<Process> {
        Process::parse_list(&self.get("/api/v1/processes"))
    }

    /// One process, where it is known.
    pub fn process(&self, pid: u32) -> Option<Process> {
        // The latest life of the pid, should an ended one still be listed.
        let mut all: Vec<_> = self
            .processes()
            .into_iter()
            .filter(|p| p.pid == pid)
            .collect();
        all.sort_by_key(|p| !p.ended);
        all.pop()
    }

    /// Waits until a process's probes are attached.
    pub fn attached(&self, pid: u32) -> Process {
        wait::until(&format!("pid {pid} attached"), ATTACH, || {
            self.process(pid).filter(Process::attached)
        })
    }

    /// Waits until all that has happened is in the next answer: of two snapshots from
    /// here on, the second was begun after the first was done.
    pub fn settle(&self) {
        let (mut last, mut new) = (self.taken(), 0);
        wait::until("two more snapshots", Duration::from_secs(60), || {
            // Often enough to see each of them.
            std::thread::sleep(INTERVAL / 4);
            let taken = self.taken();
            if taken.is_some() && taken != last {
                (last, new) = (taken, new + 1);
            }
            (new >= 2).then_some(())
        });
    }

    /// When the last snapshot was taken, as it is written.
    fn taken(&self) -> Option<String> {
        let (_, text) = self.try_get("/metrics")?;
        let mut lines = text.lines();
        let value = lines.find_map(|it| it.strip_prefix("observer_snapshot_timestamp_seconds "));
        value.map(str::to_owned)
    }

    /// A process once all that had happened before is counted.
    pub fn settled(&self, pid: u32) -> Process {
        self.settle();
        self.process(pid)
            .unwrap_or_else(|| panic!("pid {pid} is not listed; log:\n{}", self.log()))
    }

    /// All series.
    pub fn metrics(&self) -> Exposition {
        Exposition::parse(&self.get("/metrics"))
    }

    /// Asks it to end, and says how it did and how long that took.
    pub fn stop(mut self) -> (ExitStatus, Duration) {
        let begin = Instant::now();
        self.signal(Signal::TERM);
        let status = wait::until("the observer's end", Duration::from_secs(30), || {
            self.child.try_wait().expect("the observer's status")
        });
        (status, begin.elapsed())
    }

    /// Asks it to end, and waits until its first thread has: its probes are gone by then,
    /// and another thread may still wait for a file system.
    pub fn end_all_but_waiting_threads(&self) -> Duration {
        let begin = Instant::now();
        self.signal(Signal::TERM);
        let path = format!("/proc/{}/stat", self.child.id());
        wait::until("its first thread's end", Duration::from_secs(30), || {
            let stat = fs::read_to_string(&path).expect("nobody has waited for it");
            let (_, behind_name) = stat.rsplit_once(") ").expect("a stat");
            behind_name.starts_with('Z').then_some(())
        });
        begin.elapsed()
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.end();
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("the observer's status")
            .is_none()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("signal to the observer");
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the observer's log:\n{}", self.log());
        }
        self.end();
    }
}

/// Runs the observer to its end, for commands that have one.
pub fn run<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(args: I) -> Output {
    let mut command = Command::new("timeout");
    command
        .args(["--signal=KILL", "60"])
        .arg(paths::observer())
        .args(args);
    command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

/// An instruction that a probe stands on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Site {
    /// The function it is in.
    pub function: String,
    /// What a hit means.
    pub kind: String,
    /// Virtual address in the file.
    pub address: u64,
    /// Offset in the file.
    pub offset: u64,
}

/// The sites of a file, as `observer inspect --json` gives them.
pub fn sites(file: &Path) -> Vec<Site> {
    let output = run([
        OsStr::new("inspect"),
        OsStr::new("--json"),
        file.as_os_str(),
    ]);
    assert!(
        output.status.success(),
        "inspect {}: {output:?}",
        file.display()
    );
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("inspect's JSON");
    let plan = json
        .pointer("/plan/sites")
        .or_else(|| json.pointer("/binary/plan/sites"));
    let sites = plan.unwrap_or_else(|| panic!("no sites: {json}")).clone();
    serde_json::from_value(sites).expect("inspect's sites")
}

/// How many of the sites differ, in a process's memory, from its file.
/// For executables that are not position-independent.
pub fn changed(pid: u32, file: &Path, sites: &[Site]) -> usize {
    let memory = File::open(format!("/proc/{pid}/mem")).expect("the process's memory");
    let file = File::open(file).expect("the executable");
    let differs = |site: &&Site| {
        let (mut there, mut here) = ([0; 5], [0; 5]);
        memory
            .read_exact_at(&mut there, site.address)
            .expect("the site in memory");
        file.read_exact_at(&mut here, site.offset)
            .expect("the site in the file");
        there != here
    };
    sites.iter().filter(differs).count()
}

/// One below those that the kernel gives to whoever asks for any: nobody is given it
/// before the observer has it.
fn free_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id();
    let mut all = (0..10_000).map(|_| {
        let turn = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        format!("127.0.0.1:{}", 20_000 + turn % 10_000)
    });
    let free = all.find(|address| TcpListener::bind(address).is_ok());
    free.expect("a free port")
}
