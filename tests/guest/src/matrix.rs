//! `matrix [confidential] [N/M]`: many builds at once; what probes count is what each
//! program says of itself. `confidential`: the kernel lets no program read the
//! memory of processes. `N/M`: only this share of the builds.

use std::{
    path::PathBuf,
    thread::{self, ScopedJoinHandle},
    time::Duration,
};

use observer_testkit::{
    Observer, Process, Workload,
    exact::{compare, exercise, said, seen},
    wait,
    workload::Report,
};

use crate::builds;

/// Builds at once.
const BUILDS: usize = 10;
/// Until what happened is in the figures.
const COUNTED: Duration = Duration::from_secs(10);

/// What programs in the kernel may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    All,
    /// Only registers. Up to Go 1.21 they do not tell what a start of the world
    /// ends, and up to 1.20 not why it was stopped.
    Registers,
}

impl Reads {
    /// What is not observed then of a program of Go 1.`minor`.
    fn unread(self, minor: u32) -> &'static [&'static str] {
        match (self, minor) {
            (Self::Registers, ..21) => &["gc_cycles", "gc_pauses", "other_stops"],
            (Self::Registers, 21) => &["gc_cycles", "gc_pauses"],
            _ => &[],
        }
    }

    /// Whether a figure of [`said`] still is.
    fn tells(self, minor: u32, name: &str) -> bool {
        let unread = self.unread(minor);
        let of_collector =
            name.contains("gc") || name.contains("cycles") || name.contains("pause_");
        match name {
            "created" | "exited" | "system goroutines" => true,
            _ if of_collector => !unread.contains(&"gc_cycles"),
            _ => !unread.contains(&"other_stops"),
        }
    }
}

pub(crate) fn run(arguments: &[String]) {
    let mut reads = Reads::All;
    for argument in arguments {
        match argument.as_str() {
            "confidential" => reads = Reads::Registers,
            share if share.contains('/') => {}
            other => panic!("{other}: expected confidential, a share such as 1/8, or nothing"),
        }
    }
    let observer = Observer::start();
    let files = builds::share(builds::of("workload", BUILDS), arguments);
    for at_once in files.chunks(BUILDS) {
        count(&observer, at_once, reads);
    }
}

/// Programs of some files do what they can, and all of it is counted.
pub(crate) fn count(observer: &Observer, files: &[PathBuf], reads: Reads) {
    let _standing = attach(observer, files);
    let programs: Vec<_> = files.iter().map(|file| Workload::start(file)).collect();
    let reports: Vec<_> = thread::scope(|scope| {
        let work = programs.into_iter().map(|mut program| {
            scope.spawn(move || {
                exercise(&mut program);
                let report = program.report();
                (program, report)
            })
        });
        let work: Vec<_> = work.collect();
        let done = work.into_iter().map(ScopedJoinHandle::join);
        done.map(|done| done.expect("a program")).collect()
    });
    let wrong = differences(observer, &reports, reads);
    assert!(wrong.is_empty(), "{wrong:#?}");
    println!("  {} builds exact", reports.len());
}

/// Programs of which each file has one, and probes: what begins now is counted
/// from its start.
pub(crate) fn attach(observer: &Observer, files: &[PathBuf]) -> Vec<Workload> {
    let standing: Vec<_> = files.iter().map(|file| Workload::start(file)).collect();
    for program in &standing {
        observer.attached(program.pid);
    }
    standing
}

/// What still differs when all that happened should have been counted.
pub(crate) fn differences(
    observer: &Observer,
    reports: &[(Workload, Report)],
    reads: Reads,
) -> Vec<String> {
    let mut wrong = Vec::new();
    wait::comes_true(COUNTED, || {
        wrong = look(observer, reports, reads);
        wrong.is_empty()
    });
    wrong
}

fn look(observer: &Observer, reports: &[(Workload, Report)], reads: Reads) -> Vec<String> {
    let (processes, samples) = (observer.processes(), observer.metrics());
    let mut wrong = Vec::new();
    for (program, report) in reports {
        let listed = processes.iter().find(|p| p.pid == program.pid && !p.ended);
        match listed {
            Some(process) => {
                let mut truth = said(report, program.minor());
                truth.retain(|name, _| reads.tells(program.minor(), name));
                let who = format!("{} {}", process.process, process.pid);
                let seen = seen(process, &samples, &truth);
                compare(&who, &truth, &seen, &mut wrong);
                held_against(
                    &who,
                    report,
                    process,
                    reads.unread(program.minor()),
                    &mut wrong,
                );
            }
            None => wrong.push(format!("{} {}: not listed", program.version, program.pid)),
        }
    }
    wrong
}

fn held_against(
    who: &str,
    report: &Report,
    process: &Process,
    unread: &[&str],
    wrong: &mut Vec<String>,
) {
    let figures = &process.figures;
    if figures.goroutines != Some(report.goroutines) {
        let (said, seen) = (report.goroutines, figures.goroutines);
        wrong.push(format!(
            "{who}: goroutines: the program {said}, the observer {seen:?}"
        ));
    }
    if figures.ever != Some((report.created, report.exited)) {
        let said = (report.created, report.exited);
        wrong.push(format!(
            "{who}: ever: the program {said:?}, the observer {:?}",
            figures.ever
        ));
    }
    for (figure, coverage) in &process.coverage {
        let lacks = unread.contains(&figure.as_str());
        let reason = coverage.reason.as_deref();
        if coverage.covered == lacks || (lacks && reason != Some("probe_refused")) {
            wrong.push(format!("{who}: {figure}: {coverage:?}"));
        }
    }
}
