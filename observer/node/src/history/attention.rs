//! Which rows need attention, and why.

use std::collections::BTreeMap;

use observer_go::binary::{FigureGroup, Reason};

use super::{
    row::LiveFigures,
    series::{Point, Ring},
    why::{Attention, Why},
};

/// Points that growth is looked for in: at least, and at most.
const GROWTH: (usize, usize) = (20, 60);
/// Goroutines that are worth a word.
const GROWN: f32 = 20.0;
/// So much more created than before explains more goroutines.
const FASTER: f32 = 1.25;
/// The collector's pauses that a program's clients may notice.
const PAUSE_NS: u64 = 10_000_000;
/// Share of time stopped that is a loss.
const STOPPED: f64 = 0.01;
/// Share of GOMEMLIMIT from which on the limit makes the collector run more often.
const NEAR_LIMIT: f64 = 0.9;

pub(super) fn of(
    figures: &LiveFigures,
    points: &Ring<Point>,
    lost: &BTreeMap<FigureGroup, Reason>,
) -> Vec<Attention> {
    [
        (Why::GoroutinesGrow, growth(points)),
        (Why::Pauses, pauses(figures)),
        (Why::NearLimit, near_limit(figures)),
        (Why::CoverageLost, coverage(lost)),
    ]
    .into_iter()
    .filter_map(|(why, text)| Some(Attention { why, text: text? }))
    .collect()
}

/// Whether the least number of goroutines rose from each quarter of the last
/// points to the next, by more than a little, with no faster creation behind it.
fn growth(points: &Ring<Point>) -> Option<String> {
    let skip = points.iter().len().saturating_sub(GROWTH.1);
    let last: Vec<&Point> = points.iter().skip(skip).collect();
    if last.len() < GROWTH.0 || last.iter().any(|point| point.goroutines.is_nan()) {
        return None;
    }
    let quarter = last.len() / 4;
    let last = &last[last.len() - 4 * quarter..];
    let lowest = |quarter: &[&Point]| {
        let live = quarter.iter().map(|point| point.goroutines);
        live.fold(f32::INFINITY, f32::min)
    };
    let floors: Vec<f32> = last.chunks_exact(quarter).map(lowest).collect();
    let (first, now) = (floors[0], floors[3]);
    let grows = floors.is_sorted_by(|a, b| a < b) && now - first >= GROWN.max(first / 10.0);
    if !grows {
        return None;
    }
    let (early, late) = last.split_at(2 * quarter);
    if mean_created(late)? > mean_created(early)? * FASTER + 1.0 {
        return None;
    }
    let seconds = (last[last.len() - 1].at_ms - last[0].at_ms) / 1e3;
    Some(format!(
        "goroutines grew from {first} to {now} in {seconds:.0} s, and none is created faster: they do not end"
    ))
}

fn mean_created(points: &[&Point]) -> Option<f32> {
    let known = points.iter().map(|point| point.created);
    let known: Vec<_> = known.filter(|rate| !rate.is_nan()).collect();
    (!known.is_empty()).then(|| known.iter().sum::<f32>() / known.len() as f32)
}

fn pauses(figures: &LiveFigures) -> Option<String> {
    let long = figures.pause_p99_ns.filter(|ns| *ns >= PAUSE_NS);
    if let Some(ns) = long {
        let ms = ns as f64 / 1e6;
        return Some(format!(
            "the collector's pauses reach {ms:.1} ms (99th percentile), above {} ms",
            PAUSE_NS / 1_000_000
        ));
    }
    let share = figures.stopped_share.filter(|share| *share >= STOPPED)?;
    Some(format!(
        "the world stands still {:.1} % of the time, above {} %",
        share * 100.0,
        STOPPED * 100.0
    ))
}

fn near_limit(figures: &LiveFigures) -> Option<String> {
    let share =
        figures.next_gc_bytes? as f64 / figures.memory_limit_bytes.filter(|it| *it > 0)? as f64;
    (share >= NEAR_LIMIT).then(|| {
        format!(
            "the next collection is at {:.0} % of GOMEMLIMIT: from here on the limit makes it run more often",
            share * 100.0
        )
    })
}

/// What could be known and is not: not a newcomer, whose probes and first
/// samples are under way, and not what this file or its release never gives.
fn coverage(lost: &BTreeMap<FigureGroup, Reason>) -> Option<String> {
    let counts = |reason: &Reason| {
        matches!(
            reason,
            Reason::ProbeRefused
                | Reason::PermissionDenied
                | Reason::Apparmor
                | Reason::MapFull
                | Reason::NoEbpf
                | Reason::OverBudget
                | Reason::TooManyThreads
                | Reason::ImplausibleValue
                | Reason::ReadFailed
                | Reason::ReadBlocked
                | Reason::PlanesDisagree
                | Reason::TooMany
        )
    };
    let mut lost = lost.iter().filter(|(_, reason)| counts(reason));
    let (figure, reason) = lost.next()?;
    let more = lost.count();
    let more = if more > 0 {
        format!(", and {more} more")
    } else {
        String::new()
    };
    Some(format!(
        "not exact: {} ({}){more}",
        figure.label(),
        reason.label()
    ))
}
