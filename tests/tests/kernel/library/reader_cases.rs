//! The reader of runtime state where it is hard: under load, with many Ps and
//! dead Gs, with a memory limit, and while the process goes away.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use observer_go::runtime::{
    MemoryError, RuntimeHistogram, RuntimeReader, StateError, StateFigures, WalkLimits,
};
use observer_tests::{
    agreement::look,
    paths::{GO, NEWEST, OLDEST, VERSIONS, fixture, go1},
    state::{Executable, Program, sample},
    wait,
};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

fn with_env(path: &Path, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(path);
    command.envs(variables.iter().copied());
    command
}

fn reader(path: &Path, program: &Program) -> RuntimeReader {
    let reader = Executable::open(path, false).reader(program.pid);
    reader.unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Compares while the program stands still. On a busy machine its runtime may
/// start a thread between the two looks, which allocates: then once more. What
/// is read wrongly is so each time.
fn exact(what: &str, reader: &mut RuntimeReader, program: &mut Program) -> Arc<StateFigures> {
    let mut wrong = Vec::new();
    for _ in 0..3 {
        let look = look(reader, program).unwrap_or_else(|e| panic!("{what}: {e}"));
        if look.agreement.wrong.is_empty() {
            return look.before;
        }
        wrong.push(look.agreement.wrong);
    }
    panic!("{what}: {wrong:#?}");
}

/// Counters of a sample, by name.
fn counters(f: &StateFigures) -> Vec<(&'static str, u64)> {
    let allocation = f.allocation.clone().expect("allocation");
    let cpu = f.cpu.clone().unwrap_or_default();
    let stops = &f.stops;
    let count = |h: &Option<RuntimeHistogram>| h.as_ref().map_or(0, RuntimeHistogram::count);
    vec![
        ("created", f.goroutines.created.expect("created")),
        ("latencies", f.scheduler.latencies.count()),
        ("mutex wait", f.scheduler.mutex_wait_ns.unwrap_or(0)),
        ("total bytes", allocation.total_bytes),
        ("mallocs", allocation.mallocs),
        ("frees", allocation.frees),
        ("cycles", f.collections.cycles),
        ("forced", f.collections.forced),
        ("pause total", f.collections.pause_total_ns),
        ("last gc", f.collections.last_gc_unix_ns),
        ("gc total", count(&stops.gc_total)),
        ("other total", count(&stops.other_total)),
        ("gc cpu", cpu.gc_total_ns),
        ("all cpu", cpu.total_ns),
    ]
}

/// What no sample of the state fixture under load may say.
fn impossible(f: &StateFigures, ps: u64) -> Vec<String> {
    let allocation = f.allocation.clone().expect("allocation");
    let checks = [
        ("live", f.goroutines.live, 1, 2000),
        ("runnable", f.goroutines.runnable, 0, 2000),
        ("threads", f.scheduler.threads, 1, 500),
        ("processors", f.scheduler.processors, ps, ps),
        ("idle", f.scheduler.idle_processors, 0, ps),
        ("heap", allocation.heap_bytes, 1 << 16, 4 << 30),
        ("objects", allocation.heap_objects, 100, 100_000_000),
        ("heap live", f.heap.live_bytes, 1 << 14, 4 << 30),
        ("next gc", f.heap.next_gc_bytes, 1 << 20, 16 << 30),
        (
            "total",
            allocation.total_bytes,
            allocation.heap_bytes,
            1 << 50,
        ),
        ("mallocs", allocation.mallocs, allocation.frees, 1 << 50),
        ("GOGC", f.settings.gogc_percent, 100, 100),
    ];
    let bad = |(name, value, low, high): (&str, u64, u64, u64)| {
        (!(low..=high).contains(&value)).then(|| format!("{name} is {value}"))
    };
    let mut wrong: Vec<String> = checks.into_iter().filter_map(bad).collect();
    for pause in &f.collections.recent {
        // As long as the load itself: it has the lowest priority, on a busy machine.
        if pause.duration_ns == 0 || pause.duration_ns > 60_000_000_000 {
            wrong.push(format!("{pause:?}"));
        }
    }
    wrong
}

fn full_load(version: &str) {
    let path = fixture("state", version, "stripped");
    // All versions' together leave nothing of the machine to whatever else is tested meanwhile.
    let mut command = Command::new("nice");
    command.args(["-n", "19"]).arg(&path).env("GOMAXPROCS", "4");
    let mut program = Program::start_as(command);
    let mut reader = reader(&path, &program);
    program.begin('l');
    let end = Instant::now() + Duration::from_secs(60);
    let (mut good, mut dropped) = (0_u32, Vec::new());
    let mut last: Option<Arc<StateFigures>> = None;
    while Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
        let figures = match reader.sample() {
            Ok(figures) => figures,
            Err(e) => {
                assert!(e.is_passing(), "{version}: {e}");
                dropped.push(e.to_string());
                continue;
            }
        };
        good += 1;
        let wrong = impossible(&figures, 4);
        assert!(wrong.is_empty(), "{version}: {wrong:?} in {figures:?}");
        if let Some(last) = &last {
            for (then, now) in counters(last).into_iter().zip(counters(&figures)) {
                assert!(then.1 <= now.1, "{version}: {then:?}, then {now:?}");
            }
            let fresh = figures.collections.cycles - last.collections.cycles;
            assert_eq!(
                figures.collections.recent.len() as u64,
                fresh.min(256),
                "{version}"
            );
        }
        last = Some(figures);
    }
    let last = last.expect("a sample");
    println!(
        "{version}: {good} samples, {} dropped {:?}, {} cycles, {:?} goroutines created",
        dropped.len(),
        dropped.first(),
        last.collections.cycles,
        last.goroutines.created,
    );
    assert!(
        last.collections.cycles > 20,
        "{version}: the collector hardly ran"
    );
    // Where the reader loses the processor amid a sample, that is dropped.
    assert!(
        dropped.len() as u32 * 10 <= good,
        "{version}: {} of {good} samples dropped: {dropped:?}",
        dropped.len()
    );
    for walk in 0..5 {
        let report = reader
            .goroutines_by_creator(&|_| None, WalkLimits::default())
            .unwrap_or_else(|e| panic!("{version}, walk {walk}: {e}"));
        assert!(
            report.states.values().sum::<u64>() < 2000,
            "{version}: {report:?}"
        );
    }
}

#[test]
fn full_load_gives_no_impossible_value() {
    thread::scope(|scope| {
        // Together, so that it takes a minute and not one for each.
        for version in VERSIONS {
            scope.spawn(move || full_load(version));
        }
    });
}

#[test]
fn a_million_goroutines_before_the_observer_came() {
    for version in [OLDEST, GO, NEWEST] {
        let path = fixture("state", version, "stripped");
        let mut program = Program::start(&path);
        program.obey('M');
        let mut reader = reader(&path, &program);
        let figures = exact(version, &mut reader, &mut program);
        let created = figures.goroutines.created.expect("created");
        assert!(
            (1_000_000..1_000_100).contains(&created),
            "{version}: {created} created"
        );
    }
}

#[test]
fn any_number_of_ps() {
    for version in [OLDEST, go1(22), NEWEST] {
        for ps in [1, 2, 64, 512] {
            let path = fixture("state", version, "stripped");
            let gomaxprocs = ps.to_string();
            let command = with_env(&path, &[("GOMAXPROCS", &gomaxprocs)]);
            let mut program = Program::start_as(command);
            let mut reader = reader(&path, &program);
            for letter in ['a', 'g', 'c'] {
                program.obey(letter);
                let what = format!("{version} with {ps} Ps after {letter}");
                let figures = exact(&what, &mut reader, &mut program);
                assert_eq!(figures.scheduler.processors, ps, "{what}");
            }
        }
    }
}

#[test]
fn a_memory_limit_without_gogc_and_a_ballast() {
    for version in [go1(19), go1(21), NEWEST] {
        let path = fixture("state", version, "piestripped");
        let command = with_env(&path, &[("GOGC", "off"), ("GOMEMLIMIT", "600MiB")]);
        let mut program = Program::start_as(command);
        let mut reader = reader(&path, &program);
        for letter in ['a', 'b', 'a', 'c', 'a'] {
            program.obey(letter);
            let what = format!("{version} after {letter}");
            let figures = exact(&what, &mut reader, &mut program);
            assert_eq!(figures.settings.gogc_percent, u64::MAX, "{what}");
            assert_eq!(
                figures.settings.memory_limit_bytes,
                Some(600 << 20),
                "{what}"
            );
            assert!(
                figures.heap.next_gc_bytes < 600 << 20,
                "{what}: {:?}",
                figures.heap
            );
        }
    }
}

#[test]
fn a_process_that_exits_while_it_is_read() {
    let path = fixture("state", GO, "stripped");
    let executable = Executable::open(&path, false);
    for round in 0..20 {
        let mut program = Program::start(&path);
        program.begin('l');
        let mut reader = executable.reader(program.pid).expect("a reader");
        let killer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(5 + 3 * round));
            drop(program);
        });
        let error = wait::until("the end", Duration::from_secs(10), || {
            loop {
                match reader.sample() {
                    Ok(_) => {}
                    Err(e) if e.is_passing() => {}
                    Err(e) => break Some(e),
                }
            }
        });
        killer.join().expect("the killer");
        assert!(
            error.to_string().contains("is gone"),
            "round {round}: {error}"
        );
    }
}

#[test]
fn a_process_that_executes_itself_while_it_is_read() {
    for variant in ["stripped", "piestripped"] {
        let path = fixture("state", GO, variant);
        let executable = Executable::open(&path, false);
        let mut program = Program::start(&path);
        for round in 0..20 {
            program.obey('a');
            let mut reader = executable.reader(program.pid).expect("a reader");
            let before = sample(&mut reader).expect("a sample");
            thread::scope(|scope| {
                let exec = scope.spawn(|| program.exec());
                let end = Instant::now() + Duration::from_secs(30);
                let error = loop {
                    match reader.sample() {
                        // The old program's, and not yet the new one's.
                        Ok(now) => assert!(
                            counters(&now)
                                .iter()
                                .zip(counters(&before))
                                .all(|(n, t)| n.1 >= t.1),
                            "round {round}: {now:?} after {before:?}"
                        ),
                        Err(e) if e.is_passing() => {}
                        Err(e) => break e,
                    }
                    assert!(Instant::now() < end, "round {round}: nothing noticed");
                };
                // While another thread than the first executes it, the first is
                // gone for a moment. Either way this reader has come to its end.
                assert!(
                    matches!(error, StateError::Replaced(_))
                        || error.to_string().contains("is gone"),
                    "{variant}, round {round}: {error}"
                );
                exec.join().expect("exec");
            });
        }
        let mut reader = executable.reader(program.pid).expect("a reader");
        exact("after exec", &mut reader, &mut program);
    }
}

#[test]
fn a_leak_is_named() {
    let source =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/state/main.go"))
            .expect("the fixture's source");
    assert!(source.contains("go wait() // the leak"), "the planted leak");
    for version in [OLDEST, go1(22), NEWEST] {
        let path = fixture("state", version, "stripped");
        let executable = Executable::open(&path, false);
        let mut program = Program::start(&path);
        for letter in ['d', 'p', 'p', 'c'] {
            program.obey(letter);
        }
        let began = Instant::now();
        thread::sleep(Duration::from_millis(300));
        let mut reader = executable.reader(program.pid).expect("a reader");
        let symbolize = |pc| executable.symbolize(pc).map(|s| (s.function, s.line));
        let limits = WalkLimits {
            time: Duration::from_secs(5),
            creators: 1,
        };
        let report = reader
            .goroutines_by_creator(&symbolize, limits)
            .expect("a walk");
        let [leak] = report.creators.as_slice() else {
            panic!("{version}: one creator was asked for: {report:?}");
        };
        let name = |s: &Option<observer_go::runtime::SourceLocation>| s.clone().map(|s| s.function);
        assert_eq!(
            name(&leak.created_by).as_deref(),
            Some("main.park"),
            "{version}"
        );
        assert_eq!(name(&leak.runs).as_deref(), Some("main.wait"), "{version}");
        assert_eq!(leak.count, 100, "{version}");
        assert!(
            report.complete && report.allocated > 10_000,
            "{version}: {report:?}"
        );
        let waited = leak
            .longest_wait_ns
            .map(Duration::from_nanos)
            .expect("a wait");
        assert!(
            waited >= Duration::from_millis(300)
                && waited < began.elapsed() + Duration::from_secs(10),
            "{version}: {waited:?}"
        );
        let all = report.longest_wait_ns.map(Duration::from_nanos);
        assert!(all >= Some(waited), "{version}: {all:?}");
    }
}

#[test]
fn without_the_capability_the_error_says_so() {
    let path = fixture("state", GO, "stripped");
    let executable = Executable::open(&path, false);
    let program = Program::start(&path);
    let mut reader = executable.reader(program.pid).expect("a reader");
    sample(&mut reader).expect("a sample, while it is permitted");
    // Capabilities are a thread's own.
    let denied = thread::scope(|scope| {
        let without = scope.spawn(|| {
            let mut sets = capabilities(None).expect("this thread's capabilities");
            assert!(
                sets.effective.contains(CapabilitySet::SYS_PTRACE),
                "this test needs CAP_SYS_PTRACE, to be without it"
            );
            sets.effective.remove(CapabilitySet::SYS_PTRACE);
            sets.permitted.remove(CapabilitySet::SYS_PTRACE);
            set_capabilities(None, sets).expect("fewer capabilities");
            let fresh = executable.reader(program.pid).and_then(|mut r| r.sample());
            [reader.sample().err(), fresh.err()]
        });
        without.join().expect("the thread without")
    });
    for error in denied {
        let permission = StateError::Memory(MemoryError::Permission { pid: program.pid });
        let error = error.expect("an error");
        assert_eq!(error.to_string(), permission.to_string());
        assert!(!error.is_passing(), "{error}");
    }
}
