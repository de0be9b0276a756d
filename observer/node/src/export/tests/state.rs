//! What is exported of the runtime's state.

use std::{sync::Arc, time::SystemTime};

use observer_go::binary::{FigureGroup, Reason};

use super::read::exposition;
use crate::fixtures::{lacking, observation, with_gc, with_state};

#[test]
fn the_state_comes_before_what_probes_counted() {
    let sampled = with_state(with_gc(observation(10, "/srv/shop")));
    let found = exposition(vec![sampled.clone()]);
    for (name, expected) in [
        ("go_goroutines", 7.0),
        ("go_sched_goroutines_created_goroutines_total", 2000.0),
        ("go_sched_goroutines_exited_goroutines_total", 1990.0),
        ("go_gc_cycles_total_gc_cycles_total", 30.0),
        ("go_gc_cycles_automatic_gc_cycles_total", 20.0),
        ("go_gc_duration_seconds_sum", 0.003),
        ("go_gc_duration_seconds_count", 30.0),
        ("go_sched_pauses_total_gc_seconds_count", 60.0),
        // Not in this state: as probes counted them.
        ("go_sched_pauses_total_other_seconds_count", 1.0),
        ("go_threads", 9.0),
        ("go_sched_threads_total_threads", 8.0),
        ("go_sched_goroutines_running_goroutines", 1.0),
        ("go_sched_goroutines_not_in_go_goroutines", 2.0),
        ("go_sched_goroutines_waiting_goroutines", 6.0),
        ("go_memstats_alloc_bytes", 1_048_576.0),
        ("go_memstats_alloc_bytes_total", 5_242_880.0),
        ("go_memstats_mallocs_total", 10_000.0),
        ("go_gc_gogc_percent", 18_446_744_073_709_551_615.0),
        ("go_sync_mutex_wait_total_seconds_total", 1.5),
        ("go_cpu_classes_gc_total_cpu_seconds_total", 0.25),
        ("go_sched_latencies_seconds_count", 6.0),
        ("observer_planes_difference_gc_cycles", -2.0),
        ("observer_planes_difference_gc_pauses_seconds", 0.0015),
    ] {
        assert_eq!(found.value(name, &[]), Some(expected), "{name}");
    }
    for (figure, difference) in [("created", 0.0), ("ids", 16.0)] {
        let name = "observer_planes_difference_goroutines";
        let found = found.value(name, &[("figure", figure)]);
        assert_eq!(found, Some(difference), "{figure}");
    }
    for (function, count) in [("main.(*server).listen", 4.0), ("other", 1.0)] {
        let found = found.value("observer_goroutines_by_creator", &[("function", function)]);
        assert_eq!(found, Some(count), "{function}");
    }
    let waited = |le| found.value("go_sched_latencies_seconds_bucket", &[("le", le)]);
    assert_eq!(waited("6.399999999999999e-08"), Some(3.0));
    assert_eq!(waited("6.399999999999999e-07"), Some(6.0));

    // A state that no longer holds is not made up for by smaller counts.
    let found = exposition(vec![lacking(
        sampled.clone(),
        FigureGroup::State,
        Reason::ImplausibleValue,
    )]);
    for name in [
        "go_sched_goroutines_created_goroutines_total",
        "go_gc_cycles_total_gc_cycles_total",
        "go_threads",
    ] {
        assert_eq!(found.value(name, &[]), None, "{name}");
    }

    let mut ended = sampled;
    ended.ended = Some(SystemTime::UNIX_EPOCH);
    let found = exposition(vec![ended]);
    assert_eq!(found.value("go_goroutines", &[]), None);
    assert_eq!(found.value("go_threads", &[]), None);
    assert_eq!(
        found.value("go_memstats_mallocs_total", &[]),
        Some(10_000.0)
    );
}

/// Of processes that share a series, one memory limit each.
fn limited(limits: &[u64]) -> Option<f64> {
    let of = |limit: &u64| {
        let mut process = with_state(observation(10, "/srv/shop"));
        let sample = process.figures.state.as_mut().expect("its state");
        let sample = Arc::make_mut(sample);
        Arc::make_mut(&mut sample.figures)
            .settings
            .memory_limit_bytes = Some(*limit);
        process
    };
    let found = exposition(limits.iter().map(of).collect());
    found.value("go_gc_gomemlimit_bytes", &[])
}

#[test]
fn no_limit_is_no_number_to_be_added() {
    const NONE: u64 = i64::MAX as u64;
    for (limits, together) in [
        (&[NONE][..], NONE),
        (&[NONE, NONE, NONE], NONE),
        (&[1 << 30, NONE], NONE),
        (&[1 << 30, 1 << 31], 3 << 30),
    ] {
        assert_eq!(limited(limits), Some(together as f64), "{limits:?}");
    }
}
