//! What is covered of a process, and why not more.

use std::sync::Arc;

use observer_ebpf::{ProbeGroup, ProcessKey, SiteKind};
use observer_go::binary::{Binary, FigureGroup, Reason, Site};
use observer_probe::Attached;

use super::{
    kernel::KernelSide,
    observation::{Coverage, CoverageGap},
    state_sampler::StateSampler,
};

/// How a target's probes stand.
#[derive(Debug)]
pub(super) enum Attachment {
    /// The links are live.
    Live(Attached),
    /// There is nothing to attach; the plan's gaps say why.
    NoSites,
    /// The kernel, or the lack of eBPF, refused all of them.
    Refused(Reason, String),
}

impl Attachment {
    /// An excluded process runs the same file.
    pub(super) fn shared_with_excluded() -> Self {
        let detail = "a process that is not to be observed runs the same file, and probes stand on \
         files; what is read from memory is not touched by that";
        Self::Refused(Reason::Excluded, detail.to_owned())
    }
}

/// What holds of one process besides its binary.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProcessStatus {
    /// The kernel's table has it.
    pub(super) registered: bool,
    pub(super) sight: Sight,
}

/// Which of a process's goroutines its probes have counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sight {
    /// It is not known when it began.
    #[default]
    Unknown,
    /// All: nothing came before its probes.
    Whole,
    /// It lived while they were not counted.
    Partial,
}

impl ProcessStatus {
    /// Of a process with this place in the kernel's maps. Where there are no probes,
    /// there are no maps that could have been full.
    pub(super) fn new(
        key: Option<ProcessKey>,
        probes: Option<&dyn KernelSide>,
        sight: Sight,
    ) -> Self {
        Self {
            registered: key.is_some() || probes.is_none(),
            sight,
        }
    }
}

pub(super) fn coverage(
    binary: &Binary,
    attachment: &Attachment,
    standing: ProcessStatus,
    sampler: &StateSampler,
) -> Coverage {
    let state = |figure| sampler.missing(binary, figure);
    let events = |figure| {
        gap(binary, figure)
            .or_else(|| refused(attachment, state(FigureGroup::State), figure))
            .or_else(|| by_standing(standing, figure))
            .or_else(|| unsampled(binary, standing, state(FigureGroup::State), figure))
    };
    let declared = binary.plan.declared().map(FigureGroup::Declared);
    let events = FigureGroup::EVENTS
        .into_iter()
        .chain(declared)
        .map(|figure| {
            // The state tells, whenever the process began and whatever probes stand.
            let by_state = match figure {
                FigureGroup::Goroutines => state(FigureGroup::State).is_none(),
                FigureGroup::GoroutinesCreated | FigureGroup::GoroutinesExited => {
                    sampler.tells_goroutines()
                }
                _ => false,
            };
            let missing = events(figure).filter(|_| !by_state);
            (figure, sampler.doubted(figure).or(missing))
        });
    let of_state = FigureGroup::STATE
        .into_iter()
        .map(|figure| (figure, state(figure)))
        // What a release does not keep is nothing that it lacks.
        .filter(|(_, missing)| {
            let reason = missing.as_ref().map(|missing| missing.reason);
            reason != Some(Reason::NotInRelease)
        });
    Coverage(Arc::new(events.chain(of_state).collect()))
}

/// Nothing is covered of a process that nobody touches.
pub(super) fn left_alone(reason: Reason, detail: &str) -> Coverage {
    let missing = CoverageGap {
        reason,
        detail: detail.to_owned(),
    };
    Coverage(Arc::new(
        FigureGroup::all()
            .map(|figure| (figure, Some(missing.clone())))
            .collect(),
    ))
}

fn gap(binary: &Binary, figure: FigureGroup) -> Option<CoverageGap> {
    let gap = binary.plan.gaps.iter().find(|gap| gap.figure == figure)?;
    Some(CoverageGap {
        reason: gap.reason,
        detail: gap.detail.clone(),
    })
}

/// Whether every probe that a figure needs can stand, as far as the kernel and the
/// executable go.
pub(super) fn is_whole(binary: &Binary, attachment: &Attachment, figure: FigureGroup) -> bool {
    let is_refused = match attachment {
        Attachment::Live(attached) => attached
            .refused
            .iter()
            .any(|(site, _)| is_needed(site, figure)),
        Attachment::NoSites | Attachment::Refused(..) => true,
    };
    !is_refused && gap(binary, figure).is_none()
}

fn refused(
    attachment: &Attachment,
    no_state: Option<CoverageGap>,
    figure: FigureGroup,
) -> Option<CoverageGap> {
    match attachment {
        Attachment::NoSites => None,
        Attachment::Refused(reason, detail) => Some(CoverageGap {
            reason: *reason,
            detail: detail.clone(),
        }),
        Attachment::Live(attached)
            if attached.of(ProbeGroup::EXACT).since_ns.is_none() && is_of_goroutines(figure) =>
        {
            // They are off because the state tells, of this process in a moment.
            let soon = no_state.filter(|missing| missing.reason == Reason::NotSampled);
            Some(soon.unwrap_or_else(|| {
                CoverageGap {
                    reason: Reason::OverBudget,
                    detail: "the probes on goroutines cost a process of this file more than \
                         --probe-budget; they are off, and tried again after a while"
                        .to_owned(),
                }
            }))
        }
        Attachment::Live(attached) if is_off(attached, ProbeGroup::RARE) && is_of_stops(figure) => {
            Some(CoverageGap {
                reason: Reason::OverBudget,
                detail: "the probes on collections and stops of the world cost a process of this \
                     file ten times --probe-budget; they are off, and tried again after a while"
                    .to_owned(),
            })
        }
        Attachment::Live(attached)
            if matches!(figure, FigureGroup::Declared(family)
                if is_off(attached, ProbeGroup::new(family, 0))) =>
        {
            Some(CoverageGap {
                reason: Reason::OverBudget,
                detail: format!(
                    "the probes of {} cost a process of this file more than --probe-budget; they \
                     are off, and tried again after a while",
                    figure.label()
                ),
            })
        }
        Attachment::Live(attached) => {
            let (site, error) = attached
                .refused
                .iter()
                .find(|(site, _)| is_needed(site, figure))?;
            Some(CoverageGap {
                reason: Reason::ProbeRefused,
                detail: format!("{} at {:#x}: {error}", site.function, site.address),
            })
        }
    }
}

/// Whether a figure comes from the probes on every goroutine.
fn is_of_goroutines(figure: FigureGroup) -> bool {
    SiteKind::ALL.into_iter().any(|kind| {
        ProbeGroup::of(kind, 0) == ProbeGroup::EXACT && figures_of(kind).contains(&figure)
    })
}

/// Whether a figure comes from the probes on collections and stops.
fn is_of_stops(figure: FigureGroup) -> bool {
    !is_of_goroutines(figure) && !matches!(figure, FigureGroup::Declared(_))
}

/// Whether a file has probes of a group, and they are off.
fn is_off(attached: &Attached, group: ProbeGroup) -> bool {
    let standing = attached.of(group);
    standing.sites > 0 && !standing.is_on()
}

/// Whether a figure needs this site.
fn is_needed(site: &Site, figure: FigureGroup) -> bool {
    match figure {
        FigureGroup::Declared(family) => site.group().family() == family,
        _ => figures_of(site.kind).contains(&figure),
    }
}

fn by_standing(standing: ProcessStatus, figure: FigureGroup) -> Option<CoverageGap> {
    if !standing.registered {
        return Some(CoverageGap {
            reason: Reason::MapFull,
            detail: "the kernel's table of processes is full".to_owned(),
        });
    }
    // Counters count from here on; a number of live ones needs the beginning.
    (figure == FigureGroup::Goroutines && standing.sight != Sight::Whole).then(|| CoverageGap {
        reason: Reason::StartedBefore,
        detail: "the process ran before its probes were attached".to_owned(),
    })
}

/// The state would tell what came before the probes, and has not yet. What they counted
/// is no total then; of who ends before it is sampled there is none.
fn unsampled(
    binary: &Binary,
    standing: ProcessStatus,
    no_state: Option<CoverageGap>,
    figure: FigureGroup,
) -> Option<CoverageGap> {
    let is_total = matches!(
        figure,
        FigureGroup::GoroutinesCreated | FigureGroup::GoroutinesExited
    );
    // Where it never will, they are counted from here on.
    let will_tell = binary.state.globals.is_some()
        && no_state.is_some_and(|missing| {
            matches!(
                missing.reason,
                Reason::NotSampled | Reason::ImplausibleValue
            )
        });
    (is_total && standing.sight == Sight::Partial && will_tell).then(|| CoverageGap {
        reason: Reason::StartedBefore,
        detail: "the process ran before its probes were attached, and has not been sampled, or \
                 ended before it was"
            .to_owned(),
    })
}

/// Which figures need sites of this kind.
fn figures_of(kind: SiteKind) -> &'static [FigureGroup] {
    use FigureGroup::{
        GcCycles, GcPauses, Goroutines, GoroutinesCreated, GoroutinesExited, OtherStops,
    };
    match kind {
        SiteKind::GoroutineCreated => &[GoroutinesCreated, Goroutines],
        SiteKind::GoroutineExited => &[GoroutinesExited, Goroutines],
        SiteKind::SystemGoroutineCreated | SiteKind::SystemGoroutineExited => &[Goroutines],
        SiteKind::GoidRefill
        | SiteKind::SpanCounted
        | SiteKind::SpanBegins
        | SiteKind::SpanEnds
        | SiteKind::SpanLabelled => &[],
        SiteKind::GcStart | SiteKind::GcCycle => &[GcCycles],
        SiteKind::StopReason | SiteKind::StartAfterOther => &[OtherStops],
        SiteKind::StopTheWorld
        | SiteKind::Stopped
        | SiteKind::StartTheWorld
        | SiteKind::StartTheWorldReturn => &[GcCycles, GcPauses, OtherStops],
        SiteKind::StartAfterSweepTermination
        | SiteKind::StartAfterMarkTermination
        | SiteKind::StartBeforeMarkRestart => &[GcCycles, GcPauses],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use observer_ebpf::ProbeGroup;
    use observer_go::binary::{FigureGroup, Gap, Reason};
    use observer_probe::{Attached, GroupStatus as Probes};

    use super::{Attachment, ProcessStatus, Sight, coverage};
    use crate::{fixtures::binary, node::state_sampler::StateSampler};

    #[test]
    fn without_probes_no_map_is_full() {
        let binary = binary("go1.26.8");
        let standing = ProcessStatus::new(None, None, Sight::Unknown);
        let found = coverage(
            &binary,
            &Attachment::NoSites,
            standing,
            &StateSampler::new(),
        );
        let missing = found.0.values().flatten();
        assert!(missing.into_iter().all(|it| it.reason != Reason::MapFull));
    }

    #[test]
    fn over_the_budget_only_goroutines_are_left_out() {
        let standing = |since_ns| Probes { sites: 5, since_ns };
        let attachment = Attachment::Live(Attached {
            refused: Vec::new(),
            groups: BTreeMap::from([
                (ProbeGroup::RARE, standing(Some(1))),
                (ProbeGroup::EXACT, standing(None)),
            ]),
        });
        let standing = ProcessStatus {
            registered: true,
            sight: Sight::Unknown,
        };
        let mut binary = binary("go1.26.8");
        let found = coverage(&binary, &attachment, standing, &StateSampler::new());
        let missing = found.0[&FigureGroup::GoroutinesCreated].as_ref();
        assert_eq!(missing.map(|it| it.reason), Some(Reason::NotSampled));
        // Without state there is nothing but the probes.
        binary.state.gaps.push(Gap {
            figure: FigureGroup::State,
            reason: Reason::UnknownLayout,
            detail: String::new(),
        });
        let found = coverage(&binary, &attachment, standing, &StateSampler::new());
        for figure in FigureGroup::EVENTS {
            let is_hot = figure.label().starts_with("goroutines");
            let reason = found.0[&figure].as_ref().map(|missing| missing.reason);
            assert_eq!(reason, is_hot.then_some(Reason::OverBudget), "{figure:?}");
        }
    }
}
