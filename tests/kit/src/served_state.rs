//! The runtimes' state as the observer serves it, held against what programs say of
//! themselves.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use crate::{agreement::Agreement, observer::Observer, program::Program, wait};

/// A process that runs, as JSON.
pub fn process(observer: &Observer, pid: u32) -> Option<Value> {
    let mut list: Value =
        serde_json::from_str(&observer.get("/api/v1/processes")).expect("the list of processes");
    if let Some(inner) = list.get_mut("processes") {
        list = inner.take();
    }
    let is = |p: &&Value| p["pid"] == pid && p["ended"].is_null();
    list.as_array()?.iter().find(is).cloned()
}

/// The runtime's state of a process, where the observer has it.
pub fn state(observer: &Observer, pid: u32) -> Option<Value> {
    let state = process(observer, pid)?.pointer("/figures/state")?.clone();
    (!state.is_null()).then_some(state)
}

/// The same, once the observer has it.
pub fn awaited(observer: &Observer, pid: u32, within: Duration) -> Value {
    wait::until(&format!("state of pid {pid}"), within, || {
        state(observer, pid)
    })
}

/// What the node says wrongly of programs that stand still. On a busy machine a
/// runtime may start a thread between the two looks, which allocates; what is
/// read wrongly is so each time.
pub fn differing<'a>(
    observer: &Observer,
    programs: impl Iterator<Item = &'a mut (String, Program)>,
    within: Duration,
) -> BTreeMap<String, Vec<String>> {
    let mut programs: Vec<_> = programs.collect();
    if programs.is_empty() {
        return BTreeMap::new();
    }
    observer.settle();
    let before: Vec<_> = programs
        .iter()
        .map(|(_, program)| awaited(observer, program.pid, within))
        .collect();
    let said: Vec<_> = programs.iter_mut().map(|(_, p)| p.report()).collect();
    observer.settle();
    let all = programs.iter().zip(before).zip(said);
    all.filter_map(|(((name, program), before), said)| {
        let mut agreement = Agreement::default();
        let after = awaited(observer, program.pid, within);
        agreement.compare(&before, &said, &after);
        let wrong = agreement.wrong;
        (!wrong.is_empty()).then(|| (name.clone(), wrong))
    })
    .collect()
}
