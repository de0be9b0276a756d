//! Go in programs that are not Go: listed, named, and not touched.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use observer_tests::{
    Observer, Process, observer,
    observer::SETTLED,
    paths::{GO, fixture},
    wait,
    workload::Conversation,
};

/// A program that began or changed is looked at by a sweep within five seconds, and at
/// the latest half a minute after the look before.
const FOUND: Duration = Duration::from_secs(20);
const FOUND_LATER: Duration = Duration::from_secs(60);

/// A directory with the Go library in it.
struct Place(tempfile::TempDir);

impl Place {
    fn make() -> Self {
        let place = Self(tempfile::tempdir().expect("a directory"));
        fs::copy(fixture("cshared", GO, "default"), place.library()).expect("a copy");
        place
    }

    fn library(&self) -> PathBuf {
        self.0.path().join("libburst.so")
    }

    /// Builds a C program of the fixture.
    fn compile(&self, name: &str, source: &str, arguments: &[&str]) -> PathBuf {
        let program = self.0.path().join(name);
        let file = program.with_extension("c");
        fs::write(&file, source).expect("the C source");
        let mut cc = Command::new("cc");
        cc.arg("-o").arg(&program).arg(&file).args(arguments);
        let status = cc.status();
        assert!(
            status
                .expect("cc; run cargo xtask test, which installs it")
                .success()
        );
        program
    }

    fn linked(&self) -> PathBuf {
        let source = include_str!("../../../fixtures/cshared/hosts/linked.c");
        let directory = self.0.path().display();
        let (search, run) = (format!("-L{directory}"), format!("-Wl,-rpath,{directory}"));
        self.compile("linked", source, &[&search, "-lburst", &run])
    }

    fn later(&self) -> PathBuf {
        let source = include_str!("../../../fixtures/cshared/hosts/later.c");
        self.compile("later", source, &["-ldl"])
    }
}

fn start(program: &Path, argument: &Path) -> Conversation {
    let mut command = Command::new(program);
    command.arg(argument);
    Conversation::start(command)
}

/// How many bytes of what a process executes of a library are others than the file's:
/// each breakpoint is one.
fn changed(pid: u32, library: &Path) -> usize {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("its mappings");
    let memory = File::open(format!("/proc/{pid}/mem")).expect("its memory");
    let file = fs::read(library).expect("the library");
    let (mut compared, mut differences) = (0, 0);
    for line in maps.lines() {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let [range, rights, offset, _, _, path] = fields[..] else {
            continue;
        };
        if !rights.contains('x') || Path::new(path) != library {
            continue;
        }
        let number = |text: &str| u64::from_str_radix(text, 16).expect("a number of maps");
        let (from, to) = range.split_once('-').expect("a range of maps");
        let mut there = vec![0; (number(to) - number(from)) as usize];
        memory
            .read_exact_at(&mut there, number(from))
            .expect("its code");
        // Behind the file's end the last page is zero.
        let here = &file[number(offset) as usize..];
        compared += there.len().min(here.len());
        differences += there.iter().zip(here).filter(|(a, b)| a != b).count();
    }
    assert!(compared > 0, "process {pid} executes nothing of it");
    differences
}

fn listed(observer: &Observer, pid: u32, within: Duration) -> Process {
    wait::until(&format!("pid {pid} listed"), within, || {
        observer.process(pid)
    })
}

/// It is said that it is there, what it has loaded and why nothing is known of that.
fn is_named_and_not_touched(observer: &Observer, seen: &Process, library: &Path) {
    let pid = seen.pid;
    assert!(!seen.ended);
    assert_eq!(seen.binary.version, format!("go{GO}"));
    assert_eq!(seen.binary.build_mode, "c-shared");
    assert_eq!(
        seen.binary.library.as_deref().map(Path::new),
        Some(library),
        "{seen:?}"
    );
    assert_eq!(seen.coverage.len(), 14, "all there are");
    for (figure, coverage) in &seen.coverage {
        assert!(!coverage.covered, "{figure}");
        assert_eq!(coverage.reason.as_deref(), Some("shared_library"));
        let detail = coverage.detail.as_deref().unwrap_or_default();
        assert!(detail.contains("libburst.so"), "{detail}");
        assert!(detail.contains(&format!("go{GO}")), "{detail}");
    }
    assert_eq!(seen.figures.goroutines, None);
    assert_eq!(seen.figures.ever, None);
    assert_eq!(seen.probes.hits, 0);
    assert_eq!(changed(pid, library), 0);

    let (metrics, own) = (observer.metrics(), pid.to_string());
    let of_it: Vec<_> = metrics
        .all()
        .filter(|(_, it)| it.label("pid") == own)
        .collect();
    let mut reasons = 0;
    for sample in metrics.select("observer_process_coverage", &[("pid", own.as_str())]) {
        assert_eq!(sample.label("reason"), "shared_library", "{sample:?}");
        assert!(sample.value.abs() < f64::EPSILON, "{sample:?}");
        reasons += 1;
    }
    assert_eq!(reasons, 14, "{of_it:?}");
    for figure in ["go_goroutines", "go_threads", "go_memstats_alloc_bytes"] {
        assert!(of_it.iter().all(|(name, _)| *name != figure), "{of_it:?}");
    }
    let counters = ["go_sched_", "go_gc_", "go_memstats_", "go_cpu_", "go_sync_"];
    for (name, sample) in of_it {
        let counts = counters.iter().any(|it| name.starts_with(it));
        assert!(!counts, "{name} {sample:?}");
    }

    let (status, text) = observer
        .try_get(&format!("/api/v1/processes/{pid}/goroutines"))
        .expect("an answer");
    assert_eq!(status, 403, "{text}");
}

#[test]
fn programs_that_were_linked_with_a_go_library_or_load_one_are_listed() {
    let place = Place::make();
    let (linked, later) = (place.linked(), place.later());
    let library = place.library();
    // One that ran before the observer, and one that began after it.
    let mut before = start(&linked, &later);
    assert_eq!(before.ask("100"), "100");
    let observer = Observer::start();
    let mut after = start(&linked, &later);
    assert_eq!(after.ask("100"), "100");
    let (mut loads, mut plain) = (start(&later, &library), start(&later, &library));
    for waits in [&mut loads, &mut plain] {
        assert_eq!(waits.hear(), "ready");
    }

    for host in [&mut before, &mut after] {
        let seen = listed(&observer, host.pid(), FOUND);
        assert_eq!(seen.process, "linked");
        is_named_and_not_touched(&observer, &seen, &library);
        assert_eq!(host.ask("1000"), "1000");
    }
    // As C programs without Go they have been looked at by now.
    for other in [&loads, &plain] {
        assert!(observer.process(other.pid()).is_none());
    }
    assert_eq!(loads.ask("load"), "loaded");
    assert_eq!(loads.ask("1000"), "1000");
    let seen = listed(&observer, loads.pid(), FOUND_LATER);
    assert_eq!(seen.process, "later");
    is_named_and_not_touched(&observer, &seen, &library);
    assert!(observer.process(plain.pid()).is_none());
    assert!(plain.runs() && loads.runs());

    // Once it has ended, nothing is told of it.
    let pid = before.pid();
    drop(before);
    wait::until("its end", FOUND, || {
        observer.process(pid).is_none().then_some(())
    });
    let log = observer.log();
    assert!(!log.contains(" ERROR "), "{log}");
}

#[test]
fn a_process_that_runs_another_program_is_judged_anew() {
    let place = Place::make();
    let observer = Observer::start();
    let mut talk = start(&place.linked(), &place.later());
    assert_eq!(talk.ask("10"), "10");
    let pid = talk.pid();
    listed(&observer, pid, FOUND);
    // What is no number has it run the other program, in which nothing is Go.
    assert_eq!(talk.ask("enough"), "ready");
    wait::until("the end of its first program", FOUND, || {
        observer.process(pid).is_none().then_some(())
    });
    std::thread::sleep(SETTLED);
    assert!(observer.process(pid).is_none());
    assert!(talk.runs());
}

#[test]
fn inspect_tells_of_a_library_and_of_who_has_loaded_it() {
    let place = Place::make();
    let library = place.library();
    let output = observer::run([Path::new("inspect"), &library]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains(&format!("go{GO}")), "{text}");
    assert!(text.contains("CShared"), "{text}");
    assert!(text.contains("unsupported_build_mode"), "{text}");
    let mut host = start(&place.linked(), &place.later());
    assert_eq!(host.ask("1"), "1");
    let output = observer::run(["inspect", &host.pid().to_string()]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{output:?}");
    assert!(text.contains(&library.display().to_string()), "{text}");
}
