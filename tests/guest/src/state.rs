//! Many builds at once: what is read from the runtimes' memory is what each
//! program says of itself, whether or not this kernel takes probes.

use std::{collections::BTreeMap, time::Duration};

use observer_testkit::{Observer, agreement::Agreement, program::Program, wait};
use serde_json::Value;

use crate::builds;

/// Builds at once.
const BUILDS: usize = 10;
/// Until a program is read. Without probes a new one is found by a scan.
const READ: Duration = Duration::from_secs(20);
/// Looks at programs that stand still: a runtime may start a thread between two
/// looks, which allocates; what is read wrongly is so each time.
const LOOKS: usize = 5;

pub(crate) fn run(_: &[String]) {
    let observer = Observer::start();
    let files = builds::of("state", BUILDS);
    let mut programs: Vec<_> = files
        .iter()
        .map(|file| (builds::name(file), Program::start(file)))
        .collect();
    for (_, program) in &programs {
        awaited(&observer, program.pid);
    }
    for letter in ['a', 'g'] {
        for (_, program) in &mut programs {
            program.obey(letter);
        }
        let mut wrong = BTreeMap::new();
        for look in 0..LOOKS {
            let again = programs
                .iter_mut()
                .filter(|(name, _)| look == 0 || wrong.contains_key(name));
            wrong = differing(&observer, again.collect());
            if wrong.is_empty() {
                break;
            }
        }
        assert!(wrong.is_empty(), "after {letter}: {wrong:#?}");
    }
    println!("  {} builds exact", programs.len());
}

fn differing(
    observer: &Observer,
    mut programs: Vec<&mut (String, Program)>,
) -> BTreeMap<String, Vec<String>> {
    observer.settle();
    let before: Vec<_> = programs
        .iter()
        .map(|(_, program)| awaited(observer, program.pid))
        .collect();
    let said: Vec<_> = programs.iter_mut().map(|(_, p)| p.report()).collect();
    observer.settle();
    let all = programs.iter().zip(before).zip(said);
    all.filter_map(|(((name, program), before), said)| {
        let mut agreement = Agreement::default();
        agreement.compare(&before, &said, &awaited(observer, program.pid));
        let wrong = agreement.wrong;
        (!wrong.is_empty()).then(|| (name.clone(), wrong))
    })
    .collect()
}

/// The runtime's state of a process, once the observer has it.
fn awaited(observer: &Observer, pid: u32) -> Value {
    wait::until(&format!("state of pid {pid}"), READ, || {
        let all: Value = serde_json::from_str(&observer.get("/api/v1/processes")).expect("JSON");
        let list = all.get("processes").unwrap_or(&all).as_array()?;
        let process = list
            .iter()
            .find(|p| p["pid"] == pid && p["ended"].is_null())?;
        let state = process.pointer("/figures/state")?;
        (!state.is_null()).then(|| state.clone())
    })
}
