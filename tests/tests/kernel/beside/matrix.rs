//! Every Go version, linked in every way: what the observer counts is what the
//! program says of itself.

use std::fmt::Write as _;

use observer_tests::{
    Observer, Process, Workload,
    exact::{Figures, compare, exercise, minus, said, seen},
    paths::{VARIANTS, VERSIONS, fixture},
};

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
    observer.settle();
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
    observer.settle();
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
