//! The exposition as a scraper reads it.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

mod page;
mod state;

use observer_go::binary::{Figure, Reason};

use super::{
    Format, MAX_GROUPS, OwnProcess, collector, families, group,
    parser::{Exposition, parse},
    render,
};
use crate::{
    auth::{Failures, Guarded, SecurityFigures},
    fixtures::{self, in_a_pod, in_container, lacking, observation, snapshot, with_gc, with_state},
    node::{Cluster, Observation, Place, Snapshot},
};

fn text(snapshot: &Arc<Snapshot>, format: Format) -> String {
    render(snapshot, OwnProcess::read(), format).unwrap()
}

fn exposition(processes: Vec<Observation>) -> Exposition {
    parse(&text(&snapshot(processes), Format::OpenMetrics), true)
}

fn old(mut observation: Observation, version: &str) -> Observation {
    observation.binary = Arc::new(fixtures::binary(version));
    observation
}

#[test]
fn both_formats_say_the_same() {
    let snapshot = snapshot(vec![
        with_gc(observation(10, "/srv/shop")),
        with_state(observation(9, "/srv/sampled")),
        in_container(observation(11, "/app"), &"ab".repeat(32)),
        lacking(
            observation(12, "/old"),
            Figure::Goroutines,
            Reason::StartedBefore,
        ),
    ]);
    let snapshot = in_a_pod(snapshot, 3);
    let own = OwnProcess {
        security: SecurityFigures {
            guarded: Some(Guarded::default()),
            tls: Some((1_900_000_000, Failures::default())),
        },
        ..OwnProcess::read()
    };
    assert!(
        own.cpu_seconds.is_some() && own.resident_bytes > Some(1 << 20) && own.open_fds > Some(2)
    );
    let open_metrics = parse(&render(&snapshot, own, Format::OpenMetrics).unwrap(), true);
    let prometheus = parse(&render(&snapshot, own, Format::Prometheus).unwrap(), false);
    assert_eq!(open_metrics.samples, prometheus.samples);
    for (name, (kind, help)) in &open_metrics.families {
        let (name, kind) = match kind.as_str() {
            "counter" => (format!("{name}_total"), "counter"),
            // Its name would be that of a gauge.
            "unknown" => (name.clone(), "counter"),
            kind => (name.clone(), kind),
        };
        assert_eq!(prometheus.families[&name], (kind.to_owned(), help.clone()));
    }
    assert_eq!(open_metrics.families.len(), prometheus.families.len());
    assert_eq!(
        open_metrics.families.len(),
        families::all().count(),
        "each family has samples here"
    );
}

#[test]
fn figures_are_those_of_the_snapshot() {
    let found = exposition(vec![with_gc(observation(10, "/srv/shop"))]);
    let own = [
        ("namespace", ""),
        ("pod", ""),
        ("container", ""),
        ("process", "shop"),
        ("pid", "10"),
    ];
    let value = |name: &str, extra: &[(&str, &str)]| {
        let labels: Vec<_> = own.iter().chain(extra).copied().collect();
        found.value(name, &labels)
    };
    assert_eq!(value("go_info", &[("version", "go1.26.8")]), Some(1.0));
    assert_eq!(value("go_goroutines", &[]), Some(5.0));
    assert_eq!(
        value("go_sched_goroutines_created_goroutines_total", &[]),
        Some(1010.0)
    );
    assert_eq!(
        value("go_sched_goroutines_exited_goroutines_total", &[]),
        Some(1000.0)
    );
    assert_eq!(value("go_gc_cycles_total_gc_cycles_total", &[]), Some(3.0));
    assert_eq!(
        value("go_gc_cycles_automatic_gc_cycles_total", &[]),
        Some(2.0)
    );
    assert_eq!(value("go_gc_cycles_forced_gc_cycles_total", &[]), Some(1.0));
    assert_eq!(
        value(
            "go_gc_cycles_by_trigger_gc_cycles_total",
            &[("trigger", "heap")]
        ),
        Some(2.0)
    );
    assert_eq!(value("go_gc_duration_seconds_sum", &[]), Some(0.00015));
    assert_eq!(value("go_gc_duration_seconds_count", &[]), Some(3.0));
    assert_eq!(value("go_gc_concurrent_mark_seconds_sum", &[]), Some(0.003));
    assert_eq!(
        value("go_gc_sweep_termination_seconds_sum", &[]),
        Some(0.00006)
    );
    assert_eq!(
        value("go_gc_mark_termination_seconds_count", &[]),
        Some(3.0)
    );
    assert_eq!(
        value("go_sched_stops_total", &[("reason", "read_mem_stats")]),
        Some(1.0)
    );
    assert_eq!(
        value(
            "go_sched_stops_seconds_total",
            &[("reason", "read_mem_stats")]
        ),
        Some(0.02)
    );
    assert_eq!(
        value("go_sched_stops_total", &[("reason", "start_trace")]),
        None
    );
    assert_eq!(
        value("go_sched_pauses_total_gc_seconds_sum", &[]),
        Some(0.00015)
    );
    let bucket = |le| value("go_sched_pauses_total_gc_seconds_bucket", &[("le", le)]);
    assert_eq!(bucket("6.399999999999999e-08"), Some(0.0));
    assert_eq!(bucket("7.167999999999999e-06"), Some(0.0));
    assert_eq!(bucket("8.191999999999999e-05"), Some(6.0));
    assert_eq!(bucket("+Inf"), Some(6.0));
    assert_eq!(value("observer_probe_hits_total", &[]), Some(2119.0));
    assert_eq!(
        found.value("observer_map_refused_total", &[("map", "GC")]),
        Some(1.0)
    );
    assert_eq!(
        found.value("observer_snapshot_timestamp_seconds", &[]),
        Some(1_800_000_000.5)
    );
    assert_eq!(found.families["go_gc_duration_seconds"].0, "summary");
}

#[test]
fn before_the_first_collection_there_are_zeros() {
    let found = exposition(vec![observation(10, "/srv/shop")]);
    assert_eq!(
        found.value("go_gc_cycles_total_gc_cycles_total", &[]),
        Some(0.0)
    );
    assert_eq!(
        found.value("go_sched_pauses_total_gc_seconds_count", &[]),
        Some(0.0)
    );
    assert_eq!(
        found.value("go_sched_stops_total", &[("reason", "gc_mark_termination")]),
        Some(0.0)
    );
}

#[test]
fn what_is_not_exact_is_left_out_and_said_so() {
    let mut unknown = observation(11, "/b");
    Arc::make_mut(&mut unknown.coverage.0).clear();
    let mut started_before = lacking(
        observation(12, "/c"),
        Figure::Goroutines,
        Reason::StartedBefore,
    );
    started_before.figures.events.from_start = false;
    let found = exposition(vec![
        lacking(
            with_gc(observation(10, "/a")),
            Figure::GcPauses,
            Reason::NoSite,
        ),
        unknown,
        started_before,
        old(with_gc(observation(13, "/d")), "go1.21.13"),
        old(with_gc(observation(14, "/e")), "devel go1.28-abcdef"),
    ]);
    let has = |name: &str, pid: &str| {
        found.samples.keys().any(|(sample, labels)| {
            sample == name && labels.contains(&("pid".to_owned(), pid.to_owned()))
        })
    };
    assert!(
        !has("go_gc_duration_seconds_sum", "10")
            && has("go_sched_pauses_total_other_seconds_sum", "10")
    );
    assert_eq!(
        found.value(
            "observer_process_coverage",
            &[
                ("pid", "10"),
                ("figure", "gc_pauses"),
                ("reason", "no_site")
            ]
        ),
        Some(0.0)
    );
    assert_eq!(
        found.value(
            "observer_process_coverage",
            &[("pid", "10"), ("figure", "gc_cycles"), ("reason", "")]
        ),
        Some(1.0)
    );
    assert_eq!(
        found.value(
            "go_sched_stops_total",
            &[("pid", "10"), ("reason", "gc_mark_termination")]
        ),
        None
    );
    assert_eq!(
        found.value(
            "go_sched_stops_total",
            &[("pid", "10"), ("reason", "read_mem_stats")]
        ),
        Some(1.0)
    );
    assert!(!has("go_sched_goroutines_created_goroutines_total", "11") && has("go_info", "11"));
    assert!(
        !has("go_goroutines", "12") && has("go_sched_goroutines_created_goroutines_total", "12")
    );
    assert!(
        has("go_sched_pauses_total_gc_seconds_sum", "13")
            && !has("go_sched_pauses_stopping_gc_seconds_sum", "13")
    );
    assert!(
        !has("go_sched_stops_stopping_seconds_total", "13")
            && !has("go_sched_pauses_stopping_gc_seconds_sum", "14")
    );
}

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
fn hostile_names_stay_inside_their_label() {
    let names = [
        "a\"} 1\nevil_total 7\n# EOF\n",
        "x\\",
        "x\\\"",
        "{le=\"5\",le=",
        "_bucket{le=\"6.4e-8\"}",
        "\r\u{7f}\u{1b}[31m\u{2028}",
        "日本語",
        "  ",
    ];
    let mut processes: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(i, name)| {
            old(
                with_gc(observation(
                    i as u32,
                    &format!("/tmp/{}", name.replace('/', "")),
                )),
                &format!("go1.26.8 {name}"),
            )
        })
        .collect();
    processes.push(old(
        observation(90, &format!("/tmp/{}", "ü\"".repeat(100_000))),
        &"v".repeat(1 << 20),
    ));
    processes.push(observation(91, "/"));
    let snapshot = snapshot(processes);
    let open_metrics = text(&snapshot, Format::OpenMetrics);
    let found = parse(&open_metrics, true);
    let prometheus = parse(&text(&snapshot, Format::Prometheus), false);
    assert!(found.samples.keys().eq(prometheus.samples.keys()));
    assert!(!found.families.contains_key("evil_total"));
    assert_eq!(
        found.value(
            "go_goroutines",
            &[("process", "a\"} 1\u{fffd}evil_total 7\u{fffd}# EOF\u{fffd}")]
        ),
        Some(5.0)
    );
    assert_eq!(
        found.value("go_goroutines", &[("pid", "91"), ("process", "server")]),
        Some(5.0)
    );
    assert!(open_metrics.lines().all(|line| line.len() < 2000));
}

#[test]
fn a_crowd_is_bounded_and_the_living_come_first() {
    let mut processes: Vec<_> = (0..MAX_GROUPS as u32 + 5)
        .map(|pid| observation(pid, "/x"))
        .collect();
    processes[0].ended = Some(SystemTime::UNIX_EPOCH);
    let snapshot = snapshot(processes);
    let (groups, left_out) = group::groups(&snapshot);
    assert_eq!((groups.len(), left_out), (MAX_GROUPS, 5));
    let is_there = |pid: &str| groups.keys().any(|key| key.pid == pid);
    assert!(!is_there("0") && is_there("1"));
    // Those are still more than there is room for.
    let found = parse(&text(&snapshot, Format::OpenMetrics), true);
    let of = |name| found.value(name, &[]).unwrap() as u64;
    let shown = found.samples.keys().filter(|(name, _)| name == "go_info");
    let shown = shown.count() as u64;
    assert_eq!(
        of("observer_processes_not_exported") + shown,
        MAX_GROUPS as u64 + 5
    );
    assert!(of("observer_series_not_exported") > 0);
    let lines = found.samples.len() as u64;
    let all = collector::MAX_SERIES;
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
    assert_eq!(churn(10).samples.len(), churn(100).samples.len());
    assert_eq!(churn(100).samples.len(), found.samples.len());
}

#[test]
fn what_those_counted_stays_when_they_are_shown_no_more() {
    let mut one = Arc::unwrap_or_clone(snapshot(vec![brief(1, "/bin/compile")]));
    one.past.push(Arc::new(brief(2, "/bin/compile")));
    one.past.push(Arc::new(brief(3, "/bin/link")));
    let value = |snapshot: &Snapshot, program| {
        let text = text(&Arc::new(snapshot.clone()), Format::OpenMetrics);
        let labels = [("process", program), ("pid", "")];
        parse(&text, true).value(CREATED, &labels)
    };
    assert_eq!(value(&one, "compile"), Some(4000.0));
    assert_eq!(value(&one, "link"), Some(2000.0));
    // On a cluster, where processes outside pods are asked for.
    for (host_processes, expected) in [(true, Some(4000.0)), (false, None)] {
        one.cluster = Some(Arc::new(Cluster {
            places: vec![if host_processes {
                Place::Host
            } else {
                Place::LeftOut
            }],
            host_processes,
            ..Cluster::default()
        }));
        assert_eq!(value(&one, "compile"), expected);
    }
}

#[test]
fn the_table_is_well_formed() {
    let mut names = BTreeSet::new();
    for family in families::all() {
        assert!(names.insert(family.name), "{} twice", family.name);
        assert_eq!(
            family.name.ends_with("_total"),
            family.kind == families::Kind::Clashing,
            "{}",
            family.name
        );
        assert!(
            !family.help.contains(['\\', '"', '\n']) && family.help.ends_with('.'),
            "{}",
            family.help
        );
        assert!(!family.source.is_empty());
        assert!(
            family
                .unit
                .is_none_or(|unit| family.name.ends_with(&format!("_{unit}"))),
            "{}",
            family.name
        );
    }
}
