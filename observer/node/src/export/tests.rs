//! The exposition as a scraper reads it.

use std::{collections::BTreeSet, sync::Arc};

mod crowd;
mod page;
mod read;
mod state;

use observer_go::binary::{FigureGroup, Reason};
use observer_testkit::metrics::{Exposition, Family};

use self::read::{exposition, old, read, text};
use super::{Format, OwnProcess, families, family, render};
use crate::{
    auth::{Failures, Guarded, SecurityFigures},
    fixtures::{in_a_pod, in_container, lacking, observation, snapshot, with_gc, with_state},
};

#[test]
fn both_formats_say_the_same() {
    let snapshot = snapshot(vec![
        with_gc(observation(10, "/srv/shop")),
        with_state(observation(9, "/srv/sampled")),
        in_container(observation(11, "/app"), &"ab".repeat(32)),
        lacking(
            observation(12, "/old"),
            FigureGroup::Goroutines,
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
    let in_format = |format| read(&render(&snapshot, own, format).unwrap(), format);
    let open_metrics = in_format(Format::OpenMetrics);
    let prometheus = in_format(Format::Prometheus);
    assert_eq!(open_metrics.series, prometheus.series);
    for (name, Family { kind, help }) in &open_metrics.families {
        let (name, kind) = match kind.as_str() {
            "counter" => (format!("{name}_total"), "counter"),
            // Its name would be that of a gauge.
            "unknown" => (name.clone(), "counter"),
            kind => (name.clone(), kind),
        };
        let (kind, help) = (kind.to_owned(), help.clone());
        assert_eq!(prometheus.families[&name], Family { kind, help });
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
    assert_eq!(found.families["go_gc_duration_seconds"].kind, "summary");
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
        FigureGroup::Goroutines,
        Reason::StartedBefore,
    );
    started_before.figures.events.from_start = false;
    let found = exposition(vec![
        lacking(
            with_gc(observation(10, "/a")),
            FigureGroup::GcPauses,
            Reason::NoSite,
        ),
        unknown,
        started_before,
        old(with_gc(observation(13, "/d")), "go1.21.13"),
        old(with_gc(observation(14, "/e")), "devel go1.28-abcdef"),
    ]);
    let has = |name: &str, pid: &str| {
        let labels = [("pid", pid)];
        found.select(name, &labels).next().is_some()
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
    let found = read(&open_metrics, Format::OpenMetrics);
    let prometheus = read(&text(&snapshot, Format::Prometheus), Format::Prometheus);
    let names = |of: &Exposition| -> Vec<_> {
        let all = of
            .all()
            .map(|(name, one)| (name.to_owned(), one.labels.clone()));
        all.collect()
    };
    assert_eq!(names(&found), names(&prometheus));
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
fn the_table_is_well_formed() {
    let mut names = BTreeSet::new();
    for family in families::all() {
        assert!(names.insert(family.name), "{} twice", family.name);
        assert_eq!(
            family.name.ends_with("_total"),
            family.kind == family::Kind::Clashing,
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
