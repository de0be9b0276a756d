//! Goroutines as probes count them and as the runtime's state tells, and which
//! of the two is needed.

use std::{
    collections::BTreeMap,
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use observer_tests::{
    Observer, Process, Workload, metrics,
    observer::{ATTACH, SETTLED, Site, changed, sites},
    paths::{self, GO, VERSIONS, fixture},
    short::Family,
    wait,
};

/// An observer that decides itself which probes it needs.
pub(crate) fn auto() -> Observer {
    let mut command = Command::new(paths::observer());
    command.env("OBSERVER_GOROUTINE_PROBES", "auto");
    Observer::start_as(command)
}

/// They stay for a minute where a program begins just when they have left.
pub(crate) const LEAVE: Duration = Duration::from_secs(90);
/// The same, where a test waits for that; need.rs tells of the minute.
const SHORTER: Duration = Duration::from_secs(20);

/// As [`auto`], with this in place of the minute.
fn auto_for(stay: Duration) -> Observer {
    let mut command = Command::new(paths::observer());
    command.env("OBSERVER_GOROUTINE_PROBES", "auto");
    command.env("OBSERVER_PROBES_STAY", format!("{}s", stay.as_secs()));
    Observer::start_as(command)
}

/// The process once nothing but batches is counted.
fn only_batches(observer: &Observer, pid: u32) -> Process {
    wait::until("probes on each goroutine to leave", LEAVE, || {
        observer
            .process(pid)
            .filter(|p| p.probes.batch && !p.probes.exact)
    })
}

/// The same, once its probes on each goroutine are gone.
fn without_exact(observer: &Observer, pid: u32) -> Process {
    let process = only_batches(observer, pid);
    // The kernel takes them off in the background, for some tens of milliseconds, and
    // they cannot come back meanwhile: whoever lives no longer is not counted.
    thread::sleep(SETTLED);
    process
}

fn difference(observer: &Observer, pid: u32, what: &str) -> Option<f64> {
    let name = format!("observer_planes_difference_{what}");
    let pid = format!("pid=\"{pid}\"");
    let ids = "figure=\"ids\"";
    let labels = [pid.as_str(), ids];
    let labels = &labels[..if what == "goroutines" { 2 } else { 1 }];
    metrics::sum(&observer.metrics(), &name, labels)
}

fn exercise(w: &mut Workload) {
    for command in ["burst 1000 20", "goexit 10", "locked 5", "hold 25", "gc 2"] {
        w.run(command);
    }
}

/// What is wrong with a process that has just done something. `whole`: it
/// began under observation.
fn compare(observer: &Observer, w: &mut Workload, seen: &Process, whole: bool) -> Vec<String> {
    let said = w.report();
    let pid = seen.pid;
    let mut wrong = Vec::new();
    let mut check = |right: bool, what: String| {
        if !right {
            wrong.push(what);
        }
    };
    let ever = (said.created, said.exited);
    check(
        seen.figures.ever == Some(ever),
        format!("the program {ever:?}, the observer {:?}", seen.figures.ever),
    );
    check(
        seen.figures.goroutines == Some(said.goroutines),
        format!(
            "live: {} and {:?}",
            said.goroutines, seen.figures.goroutines
        ),
    );
    for (figure, coverage) in seen.coverage.iter().filter(|(_, c)| !c.covered) {
        check(false, format!("{figure} is not covered: {coverage:?}"));
    }
    for (figure, compared) in [
        ("goroutines", true),
        ("gc_cycles", whole),
        ("gc_pauses_seconds", whole),
    ] {
        let found = difference(observer, pid, figure);
        check(
            found == compared.then_some(0.0),
            format!("{figure}: difference {found:?}"),
        );
    }
    wrong
}

/// Every version, exact from the state, with nothing but batches counted.
fn figures_stay_exact(observer: &Observer, variants: &[&str]) {
    let mut programs: Vec<_> = VERSIONS
        .into_iter()
        .flat_map(|version| variants.iter().map(move |variant| (version, *variant)))
        .map(|(version, variant)| {
            let path = fixture("workload", version, variant);
            // The first is found running, the second begins under observation.
            let known = Workload::start(&path);
            observer.attached(known.pid);
            (
                format!("{version} {variant}"),
                [known, Workload::start(&path)],
            )
        })
        .collect();
    let all = |programs: &[(String, [Workload; 2])]| -> Vec<Process> {
        let pids = programs.iter().flat_map(|(_, pair)| pair.each_ref());
        pids.map(|w| only_batches(observer, w.pid)).collect()
    };
    let before = all(&programs);
    // The kernel takes off those of one file after another.
    thread::sleep(3 * SETTLED);
    for (_, pair) in &mut programs {
        pair.iter_mut().for_each(exercise);
    }
    observer.settle();
    let mut after = all(&programs);
    let mut wrong = Vec::new();
    // What a busy machine read late is right at the next look.
    for _ in 0..3 {
        wrong.clear();
        for ((name, pair), seen) in programs.iter_mut().zip(after.chunks(2)) {
            for ((w, seen), whole) in pair.iter_mut().zip(seen).zip([false, true]) {
                let found = compare(observer, w, seen, whole).into_iter();
                wrong.extend(found.map(|found| format!("{name}: {found}")));
            }
        }
        if wrong.is_empty() {
            break;
        }
        observer.settle();
        after = all(&programs);
    }
    for (before, after) in before.iter().zip(&after) {
        if after.probes.counted.created != before.probes.counted.created {
            wrong.push(format!("{}: hits of probes that are off", after.process));
        }
        if after.probes.counted.batches < before.probes.counted.batches + 1000 / 16 {
            wrong.push(format!("{}: batches are not counted", after.process));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The sites of a file hit by each goroutine.
fn exact_sites(all: &[Site]) -> Vec<Site> {
    let exact = all.iter().filter(|site| site.kind.contains("Goroutine"));
    exact.cloned().collect()
}

/// They are gone from the text, and come back for a newcomer.
fn gone_until_a_newcomer(observer: &Observer) {
    // A file that nothing else runs.
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("workload");
    fs::copy(fixture("workload", GO, "default"), &path).expect("a copy");
    let exact = exact_sites(&sites(&path));
    let mut w = Workload::start(&path);
    without_exact(observer, w.pid);
    let gone = || changed(w.pid, &path, &exact) == 0;
    assert!(wait::comes_true(ATTACH, gone), "restored");

    let mut newcomer = Workload::start(&path);
    let back = observer.attached(w.pid);
    assert!(
        wait::comes_true(ATTACH, || changed(w.pid, &path, &exact) == exact.len()),
        "{back:?}"
    );
    let since = Instant::now();
    let mut ever = (0, 0);
    for round in 0.. {
        for w in [&mut w, &mut newcomer] {
            w.run("burst 200 0");
            let said = w.report();
            let seen = observer.settled(w.pid);
            let said = (said.created, said.exited);
            assert_eq!(seen.figures.ever, Some(said), "round {round}");
        }
        let now = observer.process(w.pid).expect("it is listed");
        let total = now.figures.ever.expect("it is known");
        assert!(
            total.0 >= ever.0 && total.1 >= ever.1,
            "{total:?} < {ever:?}"
        );
        ever = total;
        if !now.probes.exact {
            break;
        }
        assert!(since.elapsed() < LEAVE, "they stay on");
    }
    let stayed = since.elapsed();
    // They had come back a moment before, which takes a busy machine some seconds.
    assert!(stayed > SHORTER / 2, "only {stayed:?}");
}

#[test]
fn without_a_probe_on_each_goroutine() {
    let observer = auto_for(SHORTER);
    thread::scope(|scope| {
        // Together, since in each it is waited until they leave.
        scope.spawn(|| figures_stay_exact(&observer, &["default", "piestripped"]));
        scope.spawn(|| gone_until_a_newcomer(&observer));
    });
}

#[test]
fn what_lives_shortly_is_exact_beside_what_lives_long() {
    let observer = auto();
    let known = Family::standing();
    without_exact(&observer, known.pid());
    let mut parent = Family::of(200, 4, ["20", "50ms"]);
    let mut seen = BTreeMap::new();
    let collect = |seen: &mut BTreeMap<u32, Process>| {
        let all = observer.processes().into_iter();
        let children = all.filter(|p| p.process.starts_with("short-") && p.pid != known.pid());
        seen.extend(children.map(|p| (p.pid, p)));
    };
    while !parent.has_ended() {
        collect(&mut seen);
        thread::sleep(Duration::from_millis(500));
    }
    observer.settle();
    wait::comes_true(ATTACH, || {
        collect(&mut seen);
        seen.len() >= 200 && seen.values().all(|p| p.ended)
    });
    let truth = parent.truth();
    let ever = seen.values().filter_map(|p| p.figures.ever);
    let sum = ever.fold((0, 0), |sum, ever| (sum.0 + ever.0, sum.1 + ever.1));
    assert_eq!(
        (seen.len() as u64, sum),
        (truth.children, (truth.created, truth.exited)),
        "children, created and exited"
    );
    let known = observer.process(known.pid()).expect("it is listed");
    assert!(known.probes.exact, "more will follow");
}
