//! What the observer itself may take.

use std::{process::Command, time::Duration};

use observer_tests::{Observer, metrics, paths::observer, wait};

#[test]
fn an_observer_over_its_ceiling_looks_less_often() {
    let mut command = Command::new(observer());
    command.env("OBSERVER_CPU_CEILING", "0.001");
    let observer = Observer::start_as(command);
    let interval = || metrics::sum(&observer.metrics(), "observer_interval_seconds", &[]);
    assert_eq!(interval(), Some(0.2));
    // It is averaged over ten seconds.
    let longer = wait::comes_true(Duration::from_secs(40), || interval() >= Some(0.4));
    assert!(longer, "{:?}\n{}", interval(), observer.log());
}
