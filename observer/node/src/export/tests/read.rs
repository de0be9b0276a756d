//! Texts of snapshots, and what is read of them.

use std::sync::Arc;

use observer_testkit::metrics::Exposition;

use crate::{
    export::{Format, OwnProcess, render},
    fixtures::{self, snapshot},
    node::{Observation, Snapshot},
};

pub(super) fn text(snapshot: &Arc<Snapshot>, format: Format) -> String {
    render(snapshot, OwnProcess::read(), format).unwrap()
}

/// What is read of a text, which is of this format.
pub(super) fn read(text: &str, format: Format) -> Exposition {
    let found = Exposition::parse(text);
    assert_eq!(found.open_metrics, format == Format::OpenMetrics);
    found
}

pub(super) fn exposition(processes: Vec<Observation>) -> Exposition {
    let text = text(&snapshot(processes), Format::OpenMetrics);
    read(&text, Format::OpenMetrics)
}

pub(super) fn old(mut observation: Observation, version: &str) -> Observation {
    observation.binary = Arc::new(fixtures::binary(version));
    observation
}
