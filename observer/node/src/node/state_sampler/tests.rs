//! What becomes of the figures of a process whose samples fail, and when they come back.

use std::time::Duration;

use observer_go::{
    binary::{FigureGroup, Reason},
    runtime::{MemoryError, StateError, StateFigures},
};

use super::StateSampler;
use crate::fixtures::binary;

const SECOND: Duration = Duration::from_secs(1);

fn figures() -> StateFigures {
    let mut figures = StateFigures::default();
    figures.goroutines.created = Some(20);
    figures.goroutines.exited = Some(7);
    figures
}

/// One with a good sample that has been told.
fn sampled() -> StateSampler {
    let mut sampler = StateSampler::new();
    sampler.was_read(&figures(), 0);
    assert!(sampler.has_changed());
    sampler
}

fn reason(sampler: &StateSampler) -> Option<Reason> {
    let missing = sampler.missing(&binary("go1.26.8"), FigureGroup::State);
    missing.map(|missing| missing.reason)
}

/// A round at which a sample was dropped, so long after the last good one; whether the
/// figures are withheld from here on.
fn dropped(sampler: &mut StateSampler, error: &StateError, age: Duration) -> bool {
    sampler.failed(error);
    sampler.grows_old(age, SECOND)
}

#[test]
fn a_hiccup_withholds_nothing() {
    let mut sampler = sampled();
    for _ in 0..10 {
        for late in [1.0, 2.0, 2.4] {
            assert!(!dropped(
                &mut sampler,
                &StateError::Moving,
                SECOND.mul_f64(late)
            ));
            assert!(sampler.tells_goroutines());
        }
        sampler.was_read(&figures(), 0);
    }
    assert!(!sampler.has_changed());
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
        let mut sampler = sampled();
        assert!(!dropped(&mut sampler, &error, SECOND));
        assert!(!dropped(&mut sampler, &error, 2 * SECOND));
        assert_eq!(reason(&sampler), None);
        assert!(!sampler.has_changed());
        assert!(dropped(&mut sampler, &error, 3 * SECOND), "{error}");
        assert!(sampler.has_changed());
        assert_eq!(reason(&sampler), Some(expected));
        assert!(!sampler.tells_goroutines());
        assert!(!dropped(&mut sampler, &error, 4 * SECOND), "no news");
        assert!(!sampler.has_changed());
        sampler.was_read(&figures(), 0);
        assert!(sampler.has_changed());
        assert_eq!(reason(&sampler), None);
        assert!(sampler.is_known());
        // Earlier drops are no reason for later ones.
        assert!(sampler.grows_old(3 * SECOND, SECOND));
        assert_eq!(reason(&sampler), Some(Reason::NotSampled));
    }
}

#[test]
fn while_figures_are_withheld_the_last_reason_stands() {
    let mut sampler = sampled();
    assert!(dropped(&mut sampler, &StateError::Moving, 3 * SECOND));
    assert!(sampler.has_changed());
    let elsewhere = StateError::Unconfirmed {
        global: "sched",
        field: "nmidle",
        value: 7,
    };
    assert!(!dropped(&mut sampler, &elsewhere, 4 * SECOND));
    assert!(sampler.has_changed());
    assert_eq!(reason(&sampler), Some(Reason::Unconfirmed));
}

#[test]
fn a_process_that_is_sampled_seldom_is_shown_no_longer() {
    let mut sampler = sampled();
    assert!(!sampler.grows_old(2 * SECOND, SECOND));
    assert!(sampler.grows_old(49 * SECOND, SECOND));
    assert_eq!(reason(&sampler), Some(Reason::NotSampled));
}

#[test]
fn a_short_interval_leaves_a_busy_machine_time() {
    let mut sampler = sampled();
    let interval = Duration::from_millis(10);
    assert!(!sampler.grows_old(SECOND, interval));
    assert!(sampler.grows_old(2 * SECOND, interval));
}

#[test]
fn a_process_never_read_has_no_figures_that_grow_old() {
    let mut sampler = StateSampler::new();
    sampler.failed(&StateError::NotStarted);
    assert!(!sampler.has_changed());
    assert!(!sampler.grows_old(49 * SECOND, SECOND));
    assert_eq!(reason(&sampler), Some(Reason::NotSampled));
}
