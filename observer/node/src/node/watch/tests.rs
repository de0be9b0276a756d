//! What becomes of the figures of a process whose samples fail, and when they come back.

use std::time::Duration;

use observer_go::{
    binary::{Figure, Reason},
    runtime::{MemoryError, StateError, StateFigures},
};

use super::Watch;
use crate::fixtures::binary;

const SECOND: Duration = Duration::from_secs(1);

fn figures() -> StateFigures {
    let mut figures = StateFigures::default();
    figures.goroutines.created = Some(20);
    figures.goroutines.exited = Some(7);
    figures
}

/// One with a good sample that has been told.
fn sampled() -> Watch {
    let mut watch = Watch::new();
    watch.was_read(&figures(), 0);
    assert!(watch.has_changed());
    watch
}

fn reason(watch: &Watch) -> Option<Reason> {
    let missing = watch.missing(&binary("go1.26.8"), Figure::State);
    missing.map(|missing| missing.reason)
}

/// A round at which a sample was dropped, so long after the last good one; whether the
/// figures are withheld from here on.
fn dropped(watch: &mut Watch, error: &StateError, age: Duration) -> bool {
    watch.failed(error);
    watch.grows_old(age, SECOND)
}

#[test]
fn a_hiccup_withholds_nothing() {
    let mut watch = sampled();
    for _ in 0..10 {
        for late in [1.0, 2.0, 2.4] {
            assert!(!dropped(
                &mut watch,
                &StateError::Moving,
                SECOND.mul_f64(late)
            ));
            assert!(watch.tells_goroutines());
        }
        watch.was_read(&figures(), 0);
    }
    assert!(!watch.has_changed());
}

#[test]
fn figures_are_withheld_for_the_reason_of_the_drops_and_come_back() {
    for (error, expected) in [
        (StateError::Torn("gcController"), Reason::ImplausibleValue),
        (
            StateError::Memory(MemoryError::Gone { pid: 1 }),
            Reason::ReadFailed,
        ),
        (
            StateError::TooMany {
                what: "Ps",
                value: 5000,
                most: 1024,
            },
            Reason::TooMany,
        ),
    ] {
        let mut watch = sampled();
        assert!(!dropped(&mut watch, &error, SECOND));
        assert!(!dropped(&mut watch, &error, 2 * SECOND));
        assert_eq!(reason(&watch), None);
        assert!(!watch.has_changed());
        assert!(dropped(&mut watch, &error, 3 * SECOND), "{error}");
        assert!(watch.has_changed());
        assert_eq!(reason(&watch), Some(expected));
        assert!(!watch.tells_goroutines());
        assert!(!dropped(&mut watch, &error, 4 * SECOND), "no news");
        assert!(!watch.has_changed());
        watch.was_read(&figures(), 0);
        assert!(watch.has_changed());
        assert_eq!(reason(&watch), None);
        assert!(watch.is_known());
        // Earlier drops are no reason for later ones.
        assert!(watch.grows_old(3 * SECOND, SECOND));
        assert_eq!(reason(&watch), Some(Reason::NotSampled));
    }
}

#[test]
fn while_figures_are_withheld_the_last_reason_stands() {
    let mut watch = sampled();
    assert!(dropped(&mut watch, &StateError::Moving, 3 * SECOND));
    assert!(watch.has_changed());
    let elsewhere = StateError::Unconfirmed {
        global: "sched",
        field: "nmidle",
        value: 7,
    };
    assert!(!dropped(&mut watch, &elsewhere, 4 * SECOND));
    assert!(watch.has_changed());
    assert_eq!(reason(&watch), Some(Reason::Unconfirmed));
}

#[test]
fn a_process_that_is_sampled_seldom_is_shown_no_longer() {
    let mut watch = sampled();
    assert!(!watch.grows_old(2 * SECOND, SECOND));
    assert!(watch.grows_old(49 * SECOND, SECOND));
    assert_eq!(reason(&watch), Some(Reason::NotSampled));
}

#[test]
fn a_short_interval_leaves_a_busy_machine_time() {
    let mut watch = sampled();
    let interval = Duration::from_millis(10);
    assert!(!watch.grows_old(SECOND, interval));
    assert!(watch.grows_old(2 * SECOND, interval));
}

#[test]
fn a_process_never_read_has_no_figures_that_grow_old() {
    let mut watch = Watch::new();
    watch.failed(&StateError::NotStarted);
    assert!(!watch.has_changed());
    assert!(!watch.grows_old(49 * SECOND, SECOND));
    assert_eq!(reason(&watch), Some(Reason::NotSampled));
}
