//! What probes count of the workload fixture, held against what it says of itself.

use std::collections::BTreeMap;

use crate::{
    api::Process,
    metrics::{self, Exposition},
    workload::{Report, Workload},
};

/// Figures by name, so that two readings can be subtracted and compared.
pub type Figures = BTreeMap<String, i128>;

/// What a workload says of itself.
pub fn said(report: &Report, minor: u32) -> Figures {
    let pauses = report.histograms["total_gc"];
    let others = report.stops.values().sum::<u64>();
    let mut f: Vec<(String, u64)> = [
        ("created", report.created),
        ("exited", report.exited),
        ("system goroutines", report.system),
        ("cycles", report.num_gc),
        ("forced cycles", report.num_forced_gc),
        ("unknown cycles", 0),
        ("pause_total_ns", report.pause_total_ns),
        ("gc_sweep_termination", report.num_gc),
        ("gc_mark_termination", pauses - report.num_gc),
        ("other stops", others),
        ("pauses_total_gc histogram", pauses),
        ("pauses_total_other histogram", others),
    ]
    .map(|(name, n)| (name.to_owned(), n))
    .into();
    // Before 1.21 the runtime itself knows no reasons.
    if minor >= 21 {
        f.extend(report.stops.iter().map(|(reason, n)| (reason.clone(), *n)));
    }
    if minor >= 22 {
        assert_eq!(
            report.histograms["total_other"], others,
            "the program's two counts of stops"
        );
        f.push((
            "pauses_stopping_gc histogram".into(),
            report.histograms["stopping_gc"],
        ));
        f.push((
            "pauses_stopping_other histogram".into(),
            report.histograms["stopping_other"],
        ));
    }
    f.into_iter()
        .map(|(name, n)| (name, i128::from(n)))
        .collect()
}

/// Asserts that what the observer has of a workload that it saw from its start is what
/// that says of itself. `who` is for the message.
pub fn from_start(seen: &Process, said: &Report, who: &str) {
    let f = &seen.figures;
    assert!(f.from_start, "{who}: {:?}", seen.coverage);
    assert_eq!(
        (
            f.created,
            f.exited,
            f.goroutines,
            f.cycles(),
            f.pause_total_ns
        ),
        (
            said.created,
            said.exited,
            Some(said.goroutines),
            said.num_gc,
            said.pause_total_ns
        ),
        "{who}: created, exited, live, cycles, pauses"
    );
}

/// The same figures, as the observer has them.
pub fn seen(process: &Process, samples: &Exposition, names: &Figures) -> Figures {
    let f = &process.figures;
    let pid = format!("pid=\"{}\"", process.pid);
    let of = |name: &str| match name {
        "created" => f.created.into(),
        "exited" => f.exited.into(),
        "system goroutines" => i128::from(f.system_created) - i128::from(f.system_exited),
        "cycles" => f.cycles().into(),
        "forced cycles" => f.gc_cycles.get("forced").copied().unwrap_or(0).into(),
        "unknown cycles" => f.gc_cycles.get("unknown").copied().unwrap_or(0).into(),
        "pause_total_ns" => f.pause_total_ns.into(),
        "other stops" => f.other_stops().into(),
        name => match name.strip_suffix(" histogram") {
            Some(family) => {
                let series = format!("go_sched_{family}_seconds_count");
                metrics::sum(samples, &series, &[&pid]).unwrap_or(0.0) as i128
            }
            None => f.stops_for(name).into(),
        },
    };
    names.keys().map(|name| (name.clone(), of(name))).collect()
}

/// What came between two readings.
pub fn minus(later: &Figures, earlier: &Figures) -> Figures {
    later
        .iter()
        .map(|(k, n)| (k.clone(), n - earlier.get(k).copied().unwrap_or(0)))
        .collect()
}

/// Notes what differs.
pub fn compare(who: &str, said: &Figures, seen: &Figures, wrong: &mut Vec<String>) {
    for (name, want) in said {
        if seen[name] != *want {
            wrong.push(format!(
                "{who}: {name}: the program {want}, the observer {}",
                seen[name]
            ));
        }
    }
}

/// Has a workload do everything it can, a little of each.
pub fn exercise(w: &mut Workload) {
    for command in [
        "burst 1000 20",
        "deep 50",
        "goexit 10",
        "locked 5",
        "hold 25",
    ] {
        w.run(command);
    }
    if w.minor() >= 23 {
        w.run("pull 100");
    }
    for command in [
        "gc 3",
        "alloc 96",
        "readmem 4",
        "stacks 2",
        "profile 3",
        "heapdump 1",
    ] {
        w.run(command);
    }
    for command in ["gomaxprocs 1", "burst 200 0", "gomaxprocs 3", "alloc 32"] {
        w.run(command);
    }
}
