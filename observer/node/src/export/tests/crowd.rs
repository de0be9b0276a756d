//! Processes that share a series, and more of them than there is room for.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::read::{exposition, old, read, text};
use crate::{
    export::{Format, MAX_GROUPS, prometheus_collector, series_group},
    fixtures::{in_container, observation, snapshot, with_gc, with_state},
    node::{Attribution, Cluster, Observation, Snapshot},
};

#[test]
fn processes_of_one_series_are_summed() {
    // One pid used twice by the same program, both lives still in the snapshot.
    let mut ended = with_gc(observation(10, "/srv/shop"));
    ended.ended = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1));
    let mut newer = old(with_gc(observation(10, "/srv/shop")), "go1.27.4");
    newer.figures.events.goroutines.created += 3;
    let found = exposition(vec![ended.clone(), newer]);
    assert_eq!(
        found.value("go_sched_goroutines_created_goroutines_total", &[]),
        Some(2023.0)
    );
    assert_eq!(
        found.value("go_goroutines", &[]),
        Some(8.0),
        "an ended process has none"
    );
    assert_eq!(
        found.value("go_sched_pauses_total_gc_seconds_count", &[]),
        Some(12.0)
    );
    assert_eq!(
        found.value("go_info", &[("version", "go1.26.8")]),
        None,
        "nothing runs it"
    );
    assert_eq!(
        found.value("go_info", &[("version", "go1.27.4")]),
        Some(1.0)
    );
    assert_eq!(
        found.value("observer_processes", &[("state", "ended")]),
        Some(1.0)
    );

    let found = exposition(vec![ended]);
    assert_eq!(found.value("go_goroutines", &[]), None);
    assert_eq!(
        found.value("go_sched_goroutines_created_goroutines_total", &[]),
        Some(1010.0)
    );
}

#[test]
fn a_crowd_is_bounded_and_the_living_come_first() {
    let mut processes: Vec<_> = (0..MAX_GROUPS as u32 + 5)
        .map(|pid| observation(pid, "/x"))
        .collect();
    processes[0].ended = Some(SystemTime::UNIX_EPOCH);
    let snapshot = snapshot(processes);
    let (groups, left_out) = series_group::groups(&snapshot);
    assert_eq!((groups.len(), left_out), (MAX_GROUPS, 5));
    let is_there = |pid: &str| groups.keys().any(|key| key.pid == pid);
    assert!(!is_there("0") && is_there("1"));
    // Those are still more than there is room for.
    let found = read(&text(&snapshot, Format::OpenMetrics), Format::OpenMetrics);
    let of = |name| found.value(name, &[]).unwrap() as u64;
    let shown = found.select("go_info", &[]).count() as u64;
    assert_eq!(
        of("observer_processes_not_exported") + shown,
        MAX_GROUPS as u64 + 5
    );
    assert!(of("observer_series_not_exported") > 0);
    let lines = found.all().count() as u64;
    let all = prometheus_collector::MAX_SERIES;
    assert!((all * 9 / 10..all * 11 / 10).contains(&lines), "{lines}");
}

/// One that ended soon after it began.
fn brief(pid: u32, path: &str) -> Observation {
    let mut brief = with_state(with_gc(observation(pid, path)));
    brief.ended = Some(SystemTime::UNIX_EPOCH);
    brief.brief = true;
    brief
}

const CREATED: &str = "go_sched_goroutines_created_goroutines_total";

#[test]
fn those_that_lived_briefly_are_one_series_for_each_program() {
    let churn = |count: u32| {
        let programs = ["/bin/compile", "/usr/bin/link"];
        let mut processes: Vec<_> = (0..count)
            .map(|pid| brief(pid, programs[pid as usize % 2]))
            .map(|it| in_container(it, &"ab".repeat(32)))
            .collect();
        processes.push(with_state(observation(50_000, "/bin/compile")));
        let mut long = brief(50_001, "/bin/compile");
        long.brief = false;
        processes.push(long);
        exposition(processes)
    };
    let found = churn(1000);
    for program in ["compile", "link"] {
        let labels = [("process", program), ("pid", ""), ("container", "")];
        assert_eq!(found.value(CREATED, &labels), Some(500.0 * 2000.0));
        // What is of the living only.
        assert_eq!(found.value("go_goroutines", &labels), None);
    }
    for pid in ["50000", "50001"] {
        assert_eq!(found.value(CREATED, &[("pid", pid)]), Some(2000.0), "{pid}");
    }
    assert_eq!(
        found.value("observer_processes_not_exported", &[]),
        Some(0.0)
    );
    // Ten times as many have no more series.
    for fewer in [10, 100] {
        assert_eq!(churn(fewer).all().count(), found.all().count());
    }
}

#[test]
fn what_those_counted_stays_when_they_are_shown_no_more() {
    let mut one = Arc::unwrap_or_clone(snapshot(vec![brief(1, "/bin/compile")]));
    one.past.push(Arc::new(brief(2, "/bin/compile")));
    one.past.push(Arc::new(brief(3, "/bin/link")));
    let value = |snapshot: &Snapshot, program| {
        let text = text(&Arc::new(snapshot.clone()), Format::OpenMetrics);
        let labels = [("process", program), ("pid", "")];
        read(&text, Format::OpenMetrics).value(CREATED, &labels)
    };
    assert_eq!(value(&one, "compile"), Some(4000.0));
    assert_eq!(value(&one, "link"), Some(2000.0));
    // On a cluster, where processes outside pods are asked for.
    for (host_processes, expected) in [(true, Some(4000.0)), (false, None)] {
        one.cluster = Some(Arc::new(Cluster {
            places: vec![if host_processes {
                Attribution::Host
            } else {
                Attribution::LeftOut
            }],
            host_processes,
            ..Cluster::default()
        }));
        assert_eq!(value(&one, "compile"), expected);
    }
}
