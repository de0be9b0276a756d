//! Rates and means held against what was put in.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{Histogram, Recorder, wire::ContainerFigures};
use crate::{
    fixtures::{in_a_pod, observation, snapshot, with_state},
    node::{Observation, Snapshot},
};

const WINDOW: Duration = Duration::from_secs(10);

fn at(snapshot: Arc<Snapshot>, seconds: f64) -> Snapshot {
    let mut snapshot = Arc::unwrap_or_clone(snapshot);
    snapshot.at = SystemTime::UNIX_EPOCH + Duration::from_secs_f64(1e9 + seconds);
    snapshot
}

/// A process in a pod with so many goroutines alive and created.
fn process(live: u64, created: u64) -> Observation {
    let mut observation = with_state(observation(10, "/srv/shop"));
    let sample = Arc::make_mut(observation.figures.state.as_mut().unwrap());
    let figures = Arc::make_mut(&mut sample.figures);
    figures.goroutines.live = live;
    figures.goroutines.created = Some(created);
    figures.collections.pause_total_ns = created * 1_000_000;
    figures.cpu.as_mut().unwrap().gc_total_ns = created * 4_000_000;
    observation
}

fn only(recorder: &Recorder, snapshot: &Snapshot) -> ContainerFigures {
    let mut pods = recorder.pods(snapshot, snapshot.at + Duration::from_millis(40));
    assert_eq!(pods.now_ms - pods.observed_ms, 40);
    assert_eq!(pods.containers.len(), 1);
    pods.containers.remove(0)
}

fn close(a: Option<f64>, b: f64) {
    let a = a.expect("known");
    assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{a} is not {b}");
}

#[test]
fn a_rate_is_over_the_window_that_it_names() {
    let mut recorder = Recorder::new(WINDOW);
    for second in 0..=25_u64 {
        // 100 a second, and a burst of 500 that has left the window at the end.
        let burst = if second > 5 { 500 } else { 0 };
        let process = process(20 + second, 1000 + 100 * second + burst);
        let snapshot = at(in_a_pod(snapshot(vec![process]), 0), second as f64);
        recorder.record(&snapshot);
        recorder.record(&snapshot);
        let found = only(&recorder, &snapshot);
        assert_eq!(found.now.goroutines, Some(20 + second));
        let over = match (second, found.over) {
            (0, over) => {
                assert_eq!(over, None, "one sample has no rate");
                continue;
            }
            (_, over) => over.unwrap(),
        };
        let expected = second.min(10);
        assert_eq!(over.window_ms, expected * 1000, "at {second}");
        let seconds = expected as f64;
        let in_window = (6..=15).contains(&second);
        let burst = if in_window { 500.0 } else { 0.0 };
        close(over.created_per_second, 100.0 + burst / seconds);
        close(over.pause_seconds, (100.0 * seconds + burst) / 1000.0);
        close(over.goroutines, 20.0 + second as f64 - seconds / 2.0);
        close(over.processor_seconds, 4.0 * seconds);
        close(over.gc_cpu_seconds, (100.0 * seconds + burst) / 250.0);
    }
}

#[test]
fn a_short_interval_keeps_few_samples() {
    let mut recorder = Recorder::new(WINDOW);
    for tick in 0..4000_u64 {
        let snapshot = in_a_pod(snapshot(vec![process(5, tick)]), 0);
        recorder.record(&at(snapshot, tick as f64 / 100.0));
    }
    let snapshot = at(in_a_pod(snapshot(vec![process(5, 3999)]), 0), 39.99);
    let over = only(&recorder, &snapshot).over.unwrap();
    assert!(
        (10_000..10_700).contains(&over.window_ms),
        "{}",
        over.window_ms
    );
    close(over.created_per_second, 100.0);
    let kept: usize = recorder.kept();
    assert!(kept <= 19, "{kept}");
}

#[test]
fn a_process_that_began_anew_is_not_held_against_the_one_before() {
    let mut recorder = Recorder::new(WINDOW);
    for (second, created) in [(0_u32, 5000), (1, 6000)] {
        let snapshot = at(
            in_a_pod(snapshot(vec![process(1, created)]), 0),
            second.into(),
        );
        recorder.record(&snapshot);
    }
    let mut new = process(1, 30);
    Arc::make_mut(&mut new.process).start_ticks = 999;
    let snapshot = at(in_a_pod(snapshot(vec![new]), 0), 2.0);
    recorder.record(&snapshot);
    assert_eq!(only(&recorder, &snapshot).over, None);
}

#[test]
fn a_limit_counts_where_there_is_one() {
    let mut recorder = Recorder::new(WINDOW);
    let mut limited = process(1, 1);
    let without = at(in_a_pod(snapshot(vec![limited.clone()]), 0), 0.0);
    recorder.record(&without);
    assert_eq!(only(&recorder, &without).now.limit_bytes, Some(0));
    let sample = Arc::make_mut(limited.figures.state.as_mut().unwrap());
    let figures = Arc::make_mut(&mut sample.figures);
    figures.settings.memory_limit_bytes = Some(4 << 20);
    let with = at(in_a_pod(snapshot(vec![limited]), 0), 1.0);
    recorder.record(&with);
    let now = only(&recorder, &with).now;
    assert_eq!(now.limit_bytes, Some(4 << 20));
    assert_eq!(now.limited_heap_bytes, Some(1 << 20));
}

#[test]
fn a_quantile_lies_in_its_bucket_and_merging_is_adding() {
    let mut histogram = Histogram::default();
    assert!(histogram.quantile(0.99).abs() < 1e-12);
    histogram.0.insert(1024, 99);
    histogram.0.insert(1 << 20, 1);
    let median = histogram.quantile(0.5) * 1e9;
    assert!((1024.0..1280.0).contains(&median), "{median}");
    let most = histogram.quantile(1.0) * 1e9;
    assert!(
        (most - f64::from((1 << 20) + (1 << 18))).abs() < 1e-3,
        "{most}"
    );
    let mut twice = histogram.clone();
    twice.merge(&histogram);
    assert_eq!(twice.0[&1024], 198);
    assert!((twice.quantile(0.5) - histogram.quantile(0.5)).abs() < 1e-15);
}
