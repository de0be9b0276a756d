//! One thread of the observer hangs while all others go on: `/healthz` names it.

use std::{fs, io, ptr, thread, time::Duration};

use observer_tests::{
    Observer, Workload,
    paths::{GO, fixture},
    wait,
};

const SOON: Duration = Duration::from_secs(30);
/// `/healthz` tells of an engine that is a minute late.
const TOLD: Duration = Duration::from_secs(90);
/// What the observer needs to give up a read, several times over.
const GIVEN_UP: Duration = Duration::from_secs(1);

/// How long the kernel lets a writer wait for a lease. For two thirds of that, and five
/// minutes at most, an engine may be silent before a timer kills the observer: usually
/// too soon for `/healthz` to tell. It is as usual again when this is dropped.
struct BreakTime(String);

impl BreakTime {
    const SETTING: &str = "/proc/sys/fs/lease-break-time";

    fn set(seconds: &str) -> Self {
        let usual = fs::read_to_string(Self::SETTING).expect("a setting of the kernel");
        fs::write(Self::SETTING, seconds).expect("a setting of the kernel");
        Self(usual)
    }
}

impl Drop for BreakTime {
    fn drop(&mut self) {
        let _ = fs::write(Self::SETTING, &self.0);
    }
}

/// A thread of another process that stands still until this is dropped, which is for
/// the thread that made it to do: the kernel lets no other.
struct Hung(libc::pid_t);

impl Hung {
    /// Stops that thread alone; SIGSTOP would stop all of its process.
    fn stop(thread: libc::pid_t) -> Self {
        ptrace(libc::PTRACE_SEIZE, thread).expect("to trace the thread");
        let hung = Self(thread);
        ptrace(libc::PTRACE_INTERRUPT, thread).expect("to stop the thread");
        wait::until("the thread stopped", SOON, || {
            let mut status = 0;
            let options = libc::__WALL | libc::WNOHANG;
            // SAFETY: the pointer is to a live variable of the type asked for.
            let found = unsafe { libc::waitpid(thread, &raw mut status, options) };
            (found == thread && libc::WIFSTOPPED(status)).then_some(())
        });
        hung
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        // It may have ended with its process.
        let _ = ptrace(libc::PTRACE_DETACH, self.0);
    }
}

/// One of the requests that take no address and no data.
fn ptrace(request: libc::c_uint, thread: libc::pid_t) -> io::Result<()> {
    let nothing = ptr::null_mut::<libc::c_void>();
    // SAFETY: such a request reads and writes no memory, neither of this process nor of
    // the other.
    let result = unsafe { libc::ptrace(request, thread, nothing, nothing) };
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// The observer's threads that have the engine, or sleep in a read that was given up.
fn engines(observer: &Observer) -> Vec<libc::pid_t> {
    let tasks = fs::read_dir(format!("/proc/{}/task", observer.pid())).expect("its threads");
    let engine = |task: io::Result<fs::DirEntry>| {
        let path = task.ok()?.path();
        let name = fs::read_to_string(path.join("comm")).ok()?;
        let thread = path.file_name()?.to_str()?.parse().ok()?;
        (name.trim_end() == "engine").then_some(thread)
    };
    tasks.filter_map(engine).collect()
}

/// Stops the engine. Where that falls into a read of a process's memory, another thread
/// goes on with the engine; then it is let go, and that one is stopped.
fn hang(observer: &Observer) -> Hung {
    wait::until("the engine stopped", SOON, || {
        let [engine] = engines(observer)[..] else {
            return None;
        };
        let hung = Hung::stop(engine);
        thread::sleep(GIVEN_UP);
        (engines(observer) == [engine]).then_some(hung)
    })
}

#[test]
fn an_engine_that_hangs_is_named_until_it_goes_on() {
    let _usual_again = BreakTime::set("450");
    let observer = Observer::start();
    let mut w = Workload::start(&fixture("workload", GO, "default"));
    observer.attached(w.pid);
    let health = || observer.try_get("/healthz").expect("an answer");
    assert_eq!(health().0, 200);

    let hung = hang(&observer);
    let told = wait::find(TOLD, || {
        let (status, body) = health();
        (status == 503).then_some(body)
    });
    let told = told.unwrap_or_else(|| panic!("/healthz says nothing of it: {:?}", health()));
    assert!(told.contains("engine: STUCK, moved "), "{told}");
    assert_eq!(told.matches("STUCK").count(), 1, "{told}");
    let (status, body) = observer.try_get("/metrics").expect("an answer");
    assert_eq!(status, 200, "{body}");

    drop(hung);
    let well = wait::comes_true(SOON, || health().0 == 200);
    assert!(well, "{:?}", health());
    w.run("burst 100 0");
    let said = w.report();
    wait::until("the figures of now", SOON, || {
        let ever = observer.process(w.pid)?.figures.ever?;
        (ever == (said.created, said.exited)).then_some(())
    });
    let (status, _) = observer.stop();
    assert!(status.success(), "{status}");
}
