//! However the observer ends, not a byte of any program's text stays changed.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::AtomicBool,
    thread,
    time::{Duration, Instant},
};

use observer_testkit::{Observer, Workload, wait};

use crate::{
    arguments::argument,
    builds,
    load::{self, Stop},
    text::changed,
};

/// Until the kernel has taken all probes away: before 6.6 one after another.
const CLEAN: Duration = Duration::from_secs(15);
/// The same of many files.
const CLEAN_OF_MANY: Duration = Duration::from_secs(60);
/// Programs that are busy meanwhile.
const PROGRAMS: usize = 4;
/// Until probes stand on many files.
const ATTACHED: Duration = Duration::from_secs(60);

/// `end N`: ends by SIGTERM and by SIGKILL in turn while programs are busy.
pub(crate) fn under_load(arguments: &[String]) {
    let ends = argument(arguments, 0, 4);
    let files = builds::spread(&builds::of("workload", PROGRAMS), PROGRAMS);
    let mut programs: Vec<_> = files.iter().map(|file| Workload::start(file)).collect();
    let pids: Vec<_> = programs.iter().map(|program| program.pid).collect();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        for program in &mut programs {
            let stop = &stop;
            scope.spawn(move || load::until(program, stop));
        }
        let all: Vec<_> = (0..ends).map(|n| end(&pids, n % 2 == 1, CLEAN)).collect();
        println!("  {}", times(&all));
    });
    for program in &mut programs {
        program.report();
    }
}

/// `leftover N`: the same with programs that stand still and few probes, so
/// that there is time for many ends; all but every fourth by SIGTERM.
pub(crate) fn many(arguments: &[String]) {
    let ends = argument(arguments, 0, 25);
    let idle = Idle::start(&builds::of("idle", 1));
    let all: Vec<_> = (0..ends)
        .map(|n| end(&idle.pids(), n % 4 == 3, CLEAN))
        .collect();
    println!("  {}", times(&all));
}

/// `files N SECONDS`: the end with so many files takes so long at most, as a
/// pod's grace period is over some time. With perf-event links it takes as long as
/// the kernel does for them, minutes.
pub(crate) fn many_files(arguments: &[String]) {
    let number = argument(arguments, 0, 200);
    let most = Duration::from_secs(argument(arguments, 1, 8));
    let original = builds::of("idle", 1).remove(0);
    fs::create_dir_all("/tmp/files").expect("a directory");
    let copies: Vec<_> = (0..number)
        .map(|n| {
            let copy = PathBuf::from(format!("/tmp/files/idle-{n}"));
            fs::copy(&original, &copy).expect("a copy");
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("permissions");
            copy
        })
        .collect();
    let idle = Idle::start(&copies);
    let end = end(&idle.pids(), false, CLEAN_OF_MANY);
    println!("  {number} files, {}", times(std::slice::from_ref(&end)));
    let took = end.gone;
    assert!(
        took <= most,
        "the end took {took:?}, {most:?} at most are allowed"
    );
}

/// One end of an observer.
struct End {
    killed: bool,
    /// Until its process was gone.
    gone: Duration,
    /// Until no text was changed any more.
    clean: Duration,
}

/// Starts an observer, ends it once its probes stand, and looks at all text
/// until it is as it was: the kernel may take its time where nobody waits.
fn end(pids: &[u32], kill: bool, clean_within: Duration) -> End {
    let observer = Observer::start();
    let mut bare = pids.to_vec();
    let attached = wait::comes_true(ATTACHED, || {
        bare.retain(|pid| changed(*pid) == 0);
        bare.is_empty()
    });
    assert!(attached, "no probes in {bare:?}:\n{}", observer.log());
    let begin = Instant::now();
    if kill {
        observer.kill();
    } else {
        let (status, _) = observer.stop();
        assert!(status.success(), "{status}");
    }
    let gone = begin.elapsed();
    let mut left = pids.to_vec();
    let clean = wait::comes_true(clean_within, || {
        left.retain(|pid| changed(*pid) > 0);
        left.is_empty()
    });
    let how = if kill { "SIGKILL" } else { "SIGTERM" };
    assert!(
        clean,
        "after an end by {how} text is still changed in {left:?}"
    );
    End {
        killed: kill,
        gone,
        clean: begin.elapsed(),
    }
}

/// Ends and how long they took.
fn times(ends: &[End]) -> String {
    let span = |of: fn(&End) -> Duration, killed: bool| {
        let ends = ends.iter().filter(|end| end.killed == killed);
        let mut times: Vec<_> = ends.map(|end| of(end).as_secs_f64()).collect();
        times.sort_by(f64::total_cmp);
        let (least, most) = times.first().zip(times.last())?;
        Some((times.len(), format!("{least:.2} to {most:.2} s")))
    };
    let of = |killed| {
        let ends = span(|end| end.gone, killed).zip(span(|end| end.clean, killed));
        ends.map_or_else(
            || "none".into(),
            |((number, gone), (_, clean))| {
                format!("{number}, gone after {gone}, clean after {clean}")
            },
        )
    };
    format!("ends by SIGTERM: {}; by SIGKILL: {}", of(false), of(true))
}

/// Programs that do nothing. Killed when dropped.
struct Idle(Vec<Child>);

impl Idle {
    fn start(files: &[PathBuf]) -> Self {
        let start = |file| {
            Command::new(file)
                .stdin(Stdio::null())
                .spawn()
                .expect("an idle program")
        };
        Self(files.iter().map(start).collect())
    }

    fn pids(&self) -> Vec<u32> {
        self.0.iter().map(Child::id).collect()
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
