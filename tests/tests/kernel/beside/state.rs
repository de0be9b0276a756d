//! The runtime's own state as the node serves it, against what programs say of
//! themselves.

use std::{
    collections::BTreeMap,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use observer_tests::{
    Observer, Workload, metrics,
    observer::{ATTACH, SETTLED, run},
    paths::{self, GO, NEWEST, OLDEST, VARIANTS, fixture, go1},
    served_state::{self, differing, process, state},
    state::Program,
    wait,
};
use serde_json::Value;

fn awaited(observer: &Observer, pid: u32) -> Value {
    served_state::awaited(observer, pid, ATTACH)
}

fn number(state: &Value, place: &str) -> u64 {
    let number = state.pointer(place).and_then(Value::as_u64);
    number.unwrap_or_else(|| panic!("{place} in {state}"))
}

#[test]
fn what_the_node_serves_is_what_the_programs_say() {
    let observer = Observer::start();
    let mut programs: Vec<_> = [OLDEST, go1(19), go1(22), GO, NEWEST]
        .into_iter()
        .flat_map(|version| VARIANTS.map(|variant| (version, variant)))
        .map(|(version, variant)| {
            let program = Program::start(&fixture("state", version, variant));
            (format!("{version} {variant}"), program)
        })
        .collect();
    for (_, program) in &programs {
        awaited(&observer, program.pid);
    }
    for letter in ['a', 'p', 'c', 'P', 'g'] {
        for (_, program) in &mut programs {
            program.obey(letter);
        }
        let mut wrong = differing(&observer, programs.iter_mut(), ATTACH);
        for _ in 0..2 {
            let again = programs
                .iter_mut()
                .filter(|(name, _)| wrong.contains_key(name));
            wrong = differing(&observer, again, ATTACH);
        }
        assert!(wrong.is_empty(), "after {letter}: {wrong:#?}");
    }
}

#[test]
fn a_restarted_observer_knows_all_from_its_first_second() {
    let mut workload = Workload::start(&fixture("workload", GO, "stripped"));
    for command in ["burst 1000 20", "gc 3", "hold 7"] {
        workload.run(command);
    }
    let said = workload.report();
    for round in 0..2 {
        let observer = Observer::start();
        let begin = Instant::now();
        let seen = awaited(&observer, workload.pid);
        assert!(
            begin.elapsed() < Duration::from_secs(10),
            "round {round}: {:?} until there was state",
            begin.elapsed()
        );
        assert_eq!(
            (
                number(&seen, "/goroutines/created"),
                number(&seen, "/goroutines/live"),
                number(&seen, "/collections/cycles"),
                number(&seen, "/collections/forced"),
                number(&seen, "/collections/pause_total_ns"),
            ),
            (
                said.created,
                said.goroutines,
                said.num_gc,
                said.num_forced_gc,
                said.pause_total_ns
            ),
            "round {round}: created, live, cycles, forced, pauses"
        );
        observer.kill();
    }
}

#[test]
fn a_program_that_executes_another_is_read_anew() {
    let observer = Observer::start();
    let program = Program::start(&fixture("state", GO, "piestripped"));
    let mut one = ("the new program".to_owned(), program);
    one.1.obey('g');
    awaited(&observer, one.1.pid);
    one.1.exec();
    one.1.obey('p');
    wait::until("the new program's state", ATTACH, || {
        let seen = state(&observer, one.1.pid)?;
        (number(&seen, "/goroutines/live") == 51).then_some(())
    });
    let mut wrong = BTreeMap::new();
    for _ in 0..3 {
        wrong = differing(&observer, std::iter::once(&mut one), ATTACH);
        if wrong.is_empty() {
            break;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let created = number(&awaited(&observer, one.1.pid), "/goroutines/created");
    assert!(
        created < 1000,
        "{created} created, of which 1000 by the old program"
    );
}

/// The largest group of goroutines, as served and as printed.
fn leaks(version: &str) -> [Value; 2] {
    let observer = Observer::start();
    let mut program = Program::start(&fixture("state", version, "piestripped"));
    awaited(&observer, program.pid);
    program.obey('p');
    let served = observer.get(&format!("/api/v1/processes/{}/goroutines", program.pid));
    let pid = program.pid.to_string();
    let output = run(["inspect", &pid, "--goroutines", "--json"]);
    assert!(output.status.success(), "{version}: {output:?}");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    [served, printed].map(|json| {
        let answer: Value = serde_json::from_str(&json).expect("JSON");
        // Alone, or beside what else there is to say of the process.
        let report = answer.get("goroutines").unwrap_or(&answer);
        assert_eq!(report["waiting"]["chan receive"], 50, "{version}: {json}");
        report["creators"][0].clone()
    })
}

#[test]
fn states_and_creators_are_metrics() {
    let mut command = Command::new(paths::observer());
    command.env("OBSERVER_GOROUTINE_CREATORS", "2");
    let observer = Observer::start_as(command);
    for version in [OLDEST, NEWEST] {
        let mut program = Program::start(&fixture("state", version, "stripped"));
        for letter in ['p', 'p', 'g'] {
            program.obey(letter);
        }
        let pid = format!("pid=\"{}\"", program.pid);
        let value = |name: &str, labels: &[&str]| {
            let labels: Vec<_> = labels.iter().copied().chain([pid.as_str()]).collect();
            metrics::sum(&observer.metrics(), name, &labels)
        };
        let park = "function=\"main.park\"";
        wait::until(&format!("{version}'s leak"), ATTACH, || {
            let found = value("observer_goroutines_by_creator", &[park])?;
            ((found - 100.0).abs() < 0.5).then_some(())
        });
        // Everyone is in it, be it as one of the others. At a look one of the runtime's
        // own may run.
        let mut last = Vec::new();
        let right = wait::comes_true(ATTACH, || {
            let samples = observer.metrics();
            let value = |name: &str| metrics::sum(&samples, name, &[&pid]);
            let state = |name: &str| value(&format!("go_sched_goroutines_{name}_goroutines"));
            last = [
                value("observer_goroutines_by_creator"),
                value("go_goroutines"),
                state("running"),
                state("not_in_go"),
                state("runnable"),
                state("waiting"),
            ]
            .to_vec();
            last[0] == last[1]
                && last[2..5] == [Some(0.0), Some(1.0), Some(0.0)]
                && last[5] >= Some(100.0)
        });
        assert!(
            right,
            "{version}: by creator, live, running, not in Go, runnable, waiting: {last:?}"
        );
        let complete = ["result=\"complete\""];
        let walks = metrics::sum(
            &observer.metrics(),
            "observer_goroutine_walks_total",
            &complete,
        );
        assert!(walks >= Some(1.0), "{version}: {walks:?}");
    }
    let observer = Observer::start();
    let program = Program::start(&fixture("state", GO, "stripped"));
    awaited(&observer, program.pid);
    let metrics = observer.get("/metrics");
    assert!(
        !metrics.contains("observer_goroutines_by_creator"),
        "not asked for"
    );
}

#[test]
fn a_leak_is_named() {
    for version in [OLDEST, go1(22), NEWEST] {
        for leak in leaks(version) {
            assert_eq!(
                leak["created_by"]["function"], "main.park",
                "{version}: {leak}"
            );
            assert_eq!(leak["runs"]["function"], "main.wait", "{version}: {leak}");
            assert_eq!(leak["count"], 50, "{version}: {leak}");
        }
    }
}

#[test]
fn a_leak_is_named_with_its_line() {
    let source = include_str!("../../../fixtures/state/main.go");
    let line = source
        .lines()
        .position(|l| l.contains("go wait() // the leak"));
    let line = 1 + line.expect("the planted leak") as u64;
    for version in [OLDEST, go1(22), NEWEST] {
        for leak in leaks(version) {
            assert_eq!(leak["created_by"]["line"], line, "{version}: {leak}");
        }
    }
}

#[test]
fn without_the_capability_no_state_is_made_up() {
    let mut workload = Workload::start(&fixture("workload", GO, "default"));
    workload.run("gc 1");
    let mut command = Command::new("setpriv");
    command.args(["--inh-caps=-sys_ptrace", "--bounding-set=-sys_ptrace"]);
    command.arg(paths::observer());
    let observer = Observer::start_as(command);
    assert!(
        observer.log().contains("CAP_SYS_PTRACE"),
        "{}",
        observer.log()
    );
    // Where the kernel does not even let its executable be opened, it is not
    // listed, which the log has said.
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        thread::sleep(SETTLED);
        let Some(process) = process(&observer, workload.pid) else {
            continue;
        };
        let at = |place| process.pointer(place).unwrap_or(&Value::Null);
        assert!(at("/figures/state").is_null(), "{process}");
        let reason = at("/coverage/state/reason").as_str();
        assert!(
            matches!(reason, None | Some("permission_denied")),
            "{process}"
        );
    }
}
