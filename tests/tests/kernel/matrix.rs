//! Every Go version, linked in every way: what the observer counts is what the
//! program says of itself.

use std::{collections::BTreeMap, fmt::Write as _, thread};

use observer_tests::{
    Observer, Process, Workload, metrics,
    observer::SETTLED,
    paths::{VARIANTS, VERSIONS, fixture},
    workload::Report,
};

/// Figures by name, so that two readings can be subtracted and compared.
type Figures = BTreeMap<String, i128>;

fn said(report: &Report, minor: u32) -> Figures {
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

/// The same figures, as the observer has them.
fn seen(process: &Process, samples: &[metrics::Sample], names: &Figures) -> Figures {
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

fn minus(later: &Figures, earlier: &Figures) -> Figures {
    later
        .iter()
        .map(|(k, n)| (k.clone(), n - earlier.get(k).copied().unwrap_or(0)))
        .collect()
}

fn compare(who: &str, said: &Figures, seen: &Figures, wrong: &mut Vec<String>) {
    for (name, want) in said {
        if seen[name] != *want {
            wrong.push(format!(
                "{who}: {name}: the program {want}, the observer {}",
                seen[name]
            ));
        }
    }
}

fn exercise(w: &mut Workload) {
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

/// One program as it was found running, one that began under observation.
struct Cell {
    variant: &'static str,
    running: Workload,
    before: Figures,
    seen_before: Figures,
    fresh: Workload,
    wrong: Vec<String>,
}

fn of(processes: &[Process], pid: u32) -> &Process {
    processes
        .iter()
        .find(|p| p.pid == pid && !p.ended)
        .unwrap_or_else(|| panic!("pid {pid} is not listed"))
}

fn try_version(observer: &Observer, version: &str) -> Vec<(&'static str, Vec<String>)> {
    let running: Vec<_> = VARIANTS
        .map(|variant| {
            (
                variant,
                Workload::start(&fixture("workload", version, variant)),
            )
        })
        .into();
    for (_, w) in &running {
        observer.attached(w.pid);
    }
    let mut cells: Vec<_> = running
        .into_iter()
        .map(|(variant, mut running)| Cell {
            variant,
            before: said(&running.report(), running.minor()),
            seen_before: Figures::new(),
            running,
            fresh: Workload::start(&fixture("workload", version, variant)),
            wrong: Vec::new(),
        })
        .collect();
    thread::sleep(SETTLED);
    let (processes, samples) = (observer.processes(), observer.metrics());
    for cell in &mut cells {
        // Taken with all names the later report has: one that is new there was zero.
        exercise(&mut cell.running);
        let after = said(&cell.running.report(), cell.running.minor());
        cell.seen_before = seen(of(&processes, cell.running.pid), &samples, &after);
        cell.before = minus(&after, &cell.before);
        exercise(&mut cell.fresh);
    }
    let reports: Vec<_> = cells.iter_mut().map(|c| c.fresh.report()).collect();
    thread::sleep(SETTLED);
    let (processes, samples) = (observer.processes(), observer.metrics());
    for (cell, report) in cells.iter_mut().zip(reports) {
        let fresh = of(&processes, cell.fresh.pid);
        let truth = said(&report, cell.fresh.minor());
        compare(
            "from its start",
            &truth,
            &seen(fresh, &samples, &truth),
            &mut cell.wrong,
        );
        if !fresh.figures.from_start {
            cell.wrong
                .push("from its start: from_start is false".into());
        }
        if fresh.figures.goroutines != Some(report.goroutines) {
            cell.wrong.push(format!(
                "from its start: live goroutines: the program {}, the observer {:?}",
                report.goroutines, fresh.figures.goroutines
            ));
        }
        for (reason, stop) in &fresh.figures.stops {
            if stop.stopping_ns.is_some_and(|ns| ns > stop.total_ns) {
                cell.wrong
                    .push(format!("{reason}: stopping took longer than all: {stop:?}"));
            }
        }
        for (figure, c) in fresh.coverage.iter().filter(|(_, c)| !c.covered) {
            cell.wrong
                .push(format!("from its start: {figure} is not covered: {c:?}"));
        }
        if fresh.binary.version != cell.fresh.version {
            cell.wrong
                .push(format!("version {:?}", fresh.binary.version));
        }

        let running = of(&processes, cell.running.pid);
        let now = seen(running, &samples, &cell.before);
        compare(
            "found running",
            &cell.before,
            &minus(&now, &cell.seen_before),
            &mut cell.wrong,
        );
    }
    cells.into_iter().map(|c| (c.variant, c.wrong)).collect()
}

#[test]
fn every_version_and_way_of_linking_is_exact() {
    let observer = Observer::start();
    let mut table = format!(
        "| Go | {} |\n|{}\n",
        VARIANTS.join(" | "),
        " --- |".repeat(7)
    );
    let mut details = String::new();
    for version in VERSIONS {
        let _ = write!(table, "| {version} |");
        for (variant, wrong) in try_version(&observer, version) {
            let verdict = if wrong.is_empty() {
                "exact".into()
            } else {
                format!("{} wrong", wrong.len())
            };
            let _ = write!(table, " {verdict} |");
            for w in wrong {
                let _ = writeln!(details, "{version} {variant}: {w}");
            }
        }
        table.push('\n');
    }
    println!("{table}");
    assert!(details.is_empty(), "{table}\n{details}");
}
