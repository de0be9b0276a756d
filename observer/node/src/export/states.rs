//! What the states of a group's processes come to.

use observer_go::runtime::{RuntimeHistogram, StateFigures};

use super::{
    buckets::Reduced,
    series_group::SeriesGroup,
    sink::{Sink, Value, seconds},
};

/// The states of all processes of the group, or of those that live, and whether
/// each lives.
fn states(group: &SeriesGroup, ended: bool) -> impl Iterator<Item = (&StateFigures, bool)> {
    let states = group.states.iter().flatten();
    states
        .filter(move |(_, living)| ended || *living)
        .map(|(sample, living)| (sample.figures.as_ref(), *living))
}

/// What the processes know of a figure. Where one that lives does not know it,
/// nothing; one that has ended and does not know it is left out.
fn known<T>(
    group: &SeriesGroup,
    ended: bool,
    of: impl Fn(&StateFigures) -> Option<T>,
) -> Option<Vec<T>> {
    let mut all = Vec::new();
    for (state, living) in states(group, ended) {
        match of(state) {
            Some(value) => all.push(value),
            None if living => return None,
            None => {}
        }
    }
    (!all.is_empty()).then_some(all)
}

fn sum(group: &SeriesGroup, ended: bool, of: impl Fn(&StateFigures) -> Option<u64>) -> Option<u64> {
    let all = known(group, ended, of)?;
    Some(all.into_iter().fold(0, u64::saturating_add))
}

pub(super) fn now(group: &SeriesGroup, sink: &mut Sink, of: fn(&StateFigures) -> Option<u64>) {
    sink.known(sum(group, false, of));
}

/// The sum, where it is not above what stands for no bound.
pub(super) fn at_most(
    group: &SeriesGroup,
    sink: &mut Sink,
    most: u64,
    of: fn(&StateFigures) -> Option<u64>,
) {
    sink.known(sum(group, false, of).map(|sum| sum.min(most)));
}

pub(super) fn total(group: &SeriesGroup, sink: &mut Sink, of: fn(&StateFigures) -> Option<u64>) {
    sink.known(sum(group, true, of));
}

pub(super) fn total_seconds(
    group: &SeriesGroup,
    sink: &mut Sink,
    of: fn(&StateFigures) -> Option<u64>,
) {
    if let Some(ns) = sum(group, true, of) {
        sink.float(seconds(ns));
    }
}

pub(super) fn largest(
    group: &SeriesGroup,
    sink: &mut Sink,
    of: fn(&StateFigures) -> u64,
    value: fn(u64) -> Value,
) {
    if let Some(most) = states(group, false).map(|(state, _)| of(state)).max() {
        sink.0.push((Vec::new(), value(most)));
    }
}

/// The histograms of all processes, where each has one.
pub(super) fn reduced(
    group: &SeriesGroup,
    of: impl Fn(&StateFigures) -> Option<&RuntimeHistogram>,
) -> Option<Reduced> {
    let each = known(group, true, |state| {
        of(state).map(|histogram| {
            let mut reduced = Reduced::default();
            reduced.add_runtime(histogram);
            reduced
        })
    })?;
    let mut sum = Reduced::default();
    for reduced in &each {
        sum.join(reduced);
    }
    Some(sum)
}

pub(super) fn times(
    group: &SeriesGroup,
    sink: &mut Sink,
    of: fn(&StateFigures) -> Option<&RuntimeHistogram>,
) {
    if let Some(reduced) = reduced(group, of) {
        sink.histogram(&reduced);
    }
}
