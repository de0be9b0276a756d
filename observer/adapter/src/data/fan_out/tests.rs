//! How old figures may be, by the interval that the node tells.

use std::time::Duration;

use observer_node::scaling::wire::NodePods;
use tokio::time::Instant;

use super::{FanOutLimits, NodeFigures};

fn limits(fresh_ms: u64) -> FanOutLimits {
    FanOutLimits {
        fresh: Duration::from_millis(fresh_ms),
        intervals: 5,
        patience: Duration::from_secs(2),
    }
}

/// Of a node that observes so often, and told what was so old then.
fn figures(interval_ms: u64, age_ms: u64, asked: Instant) -> NodeFigures {
    let pods = NodePods {
        now_ms: 1_000_000 + age_ms,
        observed_ms: 1_000_000,
        interval_ms,
        ..NodePods::default()
    };
    NodeFigures {
        fetched: asked,
        ..NodeFigures::of(pods, asked)
    }
}

#[test]
fn figures_hold_for_a_few_of_their_nodes_intervals() {
    let asked = Instant::now();
    for (interval_ms, age_ms, holds_ms) in [
        (1_000, 0, 5_000),
        (1_000, 400, 4_600),
        // Less often than an old limit of half a minute would have allowed.
        (60_000, 0, 300_000),
        (60_000, 59_000, 241_000),
        // So often that an answer on its way would be too old already.
        (10, 0, 2_000),
        (10, 1_500, 500),
        // What is told may be too old: an observer that answers and is stuck.
        (1_000, 5_000, 0),
    ] {
        let told = figures(interval_ms, age_ms, asked);
        let after = |ms| asked + Duration::from_millis(ms);
        let usable = |at| told.is_usable(&limits(1_000), at);
        assert!(!usable(after(holds_ms)), "{interval_ms} ms, {age_ms} ms");
        if let Some(before) = holds_ms.checked_sub(1) {
            assert!(usable(after(before)), "{interval_ms} ms, {age_ms} ms");
        }
    }
}

#[test]
fn what_is_too_old_to_serve_is_never_too_fresh_to_ask_again() {
    let asked = Instant::now();
    for fresh_ms in [0, 1_000, 60_000] {
        let told = figures(1_000, 0, asked);
        for ms in (0..70_000).step_by(250) {
            let now = asked + Duration::from_millis(ms);
            let limits = limits(fresh_ms);
            assert!(
                told.is_usable(&limits, now) || !told.is_fresh(&limits, now),
                "{fresh_ms} ms: {ms} ms later"
            );
        }
    }
}

#[test]
fn the_way_of_an_answer_is_in_its_age() {
    let asked = Instant::now() - Duration::from_millis(700);
    let pods = NodePods {
        now_ms: 1_300,
        observed_ms: 1_000,
        interval_ms: 1_000,
        ..NodePods::default()
    };
    let told = NodeFigures::of(pods, asked);
    assert!(told.age() >= Duration::from_secs(1), "{:?}", told.age());
}
