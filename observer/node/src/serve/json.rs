//! The form of `/api/v1/processes`. Names of fields are stable: new ones may
//! come, none goes or changes its meaning. Durations are in nanoseconds,
//! instants in seconds since the epoch.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use observer_ebpf::{ProbeGroup, family::ProcessCounts as _};
use observer_go::{
    binary::{BuildMode, FigureGroup, Module, Reason},
    discover::{Container, Origin},
    release::GoVersion,
    runtime::StateFigures,
};
use observer_probe::HitCost;
use serde::Serialize;

use crate::{
    export::{STOP_REASONS, TRIGGERS, process_name},
    node::{Attribution, Observation, PodContainer, Snapshot, Uncounted, cost_ns},
};

/// One Go process.
#[derive(Debug, Serialize)]
pub(super) struct ProcessJson<'a> {
    /// Process id on the node.
    pub pid: u32,
    /// Its id in its own pid namespace.
    pub inner_pid: u32,
    /// Base name of its executable.
    pub process: String,
    /// Path of its executable as the process sees it.
    pub exe: String,
    /// Whether that path no longer leads to it.
    pub exe_deleted: bool,
    /// Its container, where it is in one.
    pub container: Option<&'a Container>,
    /// How it came into its container: `service` where it is the container's main
    /// process or one that it begot, `injected` where it was begun from outside
    /// later, `runtime` for a program of the runtime's; `null` in no container.
    pub origin: Option<Origin>,
    /// The pod it is in, once that is known; `null` outside Kubernetes.
    pub kubernetes: Option<KubernetesJson<'a>>,
    /// What it runs; where that is not Go, the library that is.
    pub binary: BinaryJson<'a>,
    /// By group of figures, whether it is exact.
    pub coverage: BTreeMap<&'static str, CoverageJson<'a>>,
    /// Its figures; those that [`Self::coverage`] calls exact are.
    pub figures: FiguresJson<'a>,
    /// Its probes.
    pub probes: ProbesJson,
    /// When it ended, for one that has.
    pub ended: Option<f64>,
}

/// A container of a pod.
#[derive(Debug, Serialize)]
pub(super) struct KubernetesJson<'a> {
    /// Namespace, pod, its UID, node, workload and the container's name.
    #[serde(flatten)]
    pub container: &'a PodContainer,
    /// Whether the process counts for the container's series.
    pub counted: bool,
    /// Why not: `not_begun`, `injected`, `runtime`, `earlier_run`, `excluded` or
    /// `shared_library`.
    pub uncounted: Option<Uncounted>,
}

/// An executable.
#[derive(Debug, Serialize)]
pub(super) struct BinaryJson<'a> {
    /// `runtime.Version()`.
    pub version: &'a str,
    /// Path of the main package.
    pub path: Option<&'a str>,
    /// Main module.
    pub module: Option<&'a Module>,
    /// `exe`, `pie`, `c-shared` or `plugin`.
    pub build_mode: BuildMode,
    /// Path of the library as the process sees it, where the process's program is
    /// not Go and a library of it is.
    pub library: Option<Cow<'a, str>>,
    /// Whether it has no symbol table.
    pub stripped: bool,
    /// GNU build id, else Go's.
    pub build_id: Option<&'a str>,
}

/// What a process's probes take from it.
#[derive(Debug, Serialize)]
pub(super) struct ProbesJson {
    /// Hits.
    pub hits: u64,
    /// What they cost the process.
    pub cost_ns: u64,
    /// Whether any on goroutines are set: they are not while they cost more
    /// than the budget.
    pub hot: bool,
    /// Of those, whether the ones hit by each goroutine are set.
    pub exact: bool,
    /// Whether the one hit by every 16th is set.
    pub batch: bool,
    /// What those on goroutines have counted, whenever they were set.
    pub counted: CountedJson,
}

/// What probes on goroutines have counted.
#[derive(Debug, Serialize)]
pub(super) struct CountedJson {
    /// Created.
    pub created: u64,
    /// Ended.
    pub exited: u64,
    /// Batches of 16 goroutine ids.
    pub batches: u64,
}

/// Whether a group of figures is exact.
#[derive(Debug, Serialize)]
pub(super) struct CoverageJson<'a> {
    /// Whether it is.
    pub covered: bool,
    /// Why not, as in the label of `observer_process_coverage`.
    pub reason: Option<Reason>,
    /// Why not, for people.
    pub detail: Option<&'a str>,
}

/// Figures counted since the probes were attached, and the state.
#[derive(Debug, Serialize)]
pub(super) struct FiguresJson<'a> {
    /// Whether nothing came before the probes, and no goroutine while those on
    /// each were off.
    pub from_start: bool,
    /// Goroutines.
    pub goroutines: GoroutinesJson,
    /// Collector and stops; `null` until the first of either.
    pub gc: Option<GcJson>,
    /// The runtime's own state since the process began; `null` where
    /// [`ProcessJson::coverage`] says why.
    pub state: Option<StateJson<'a>>,
}

/// What was read from the process's memory.
#[derive(Debug, Serialize)]
pub(super) struct StateJson<'a> {
    /// When it was read; a later sample that found the same keeps this.
    pub at: Option<f64>,
    /// The figures.
    #[serde(flatten)]
    pub figures: &'a StateFigures,
}

/// Goroutines; those of the runtime itself are in `created` and `exited` too.
#[derive(Debug, Serialize)]
pub(super) struct GoroutinesJson {
    /// Created since the process began; where its state cannot be read, since
    /// the probes were attached; `null` where neither is known.
    pub created: Option<u64>,
    /// Ended, likewise.
    pub exited: Option<u64>,
    /// Of those that probes saw created, the runtime's own.
    pub system_created: u64,
    /// Of those that probes saw end, the runtime's own.
    pub system_exited: u64,
    /// As `runtime.NumGoroutine`, where it is known; `null` for an ended process.
    pub live: Option<u64>,
}

/// Collector and stops of the world.
#[derive(Debug, Serialize)]
pub(super) struct GcJson {
    /// Cycles by trigger: `heap`, `time`, `forced`, `unknown`.
    pub cycles: BTreeMap<&'static str, CyclesJson>,
    /// Stops by reason; one that has not occurred is left out.
    pub pauses: BTreeMap<&'static str, PausesJson>,
    /// `MemStats.PauseTotalNs` of cycles seen whole.
    pub pause_total_ns: u64,
    /// Concurrent mark of cycles seen whole.
    pub mark_ns: u64,
    /// Cycles seen whole.
    pub whole_cycles: u64,
    /// The last of them.
    pub last_cycle: Option<CycleJson>,
}

/// Cycles of one trigger.
#[derive(Debug, Serialize)]
pub(super) struct CyclesJson {
    /// Begun.
    pub started: u64,
    /// Whose mark termination ended.
    pub completed: u64,
}

/// Stops for one reason.
#[derive(Debug, Serialize)]
pub(super) struct PausesJson {
    /// How many.
    pub count: u64,
    /// From deciding to stop until the world ran again.
    pub total_ns: u64,
    /// Of that, until every P had stopped; `null` before Go 1.22.
    pub stopping_ns: Option<u64>,
}

/// The parts of one cycle.
#[derive(Debug, Serialize)]
pub(super) struct CycleJson {
    /// The stop for sweep termination.
    pub sweep_termination_ns: u64,
    /// Concurrent mark.
    pub mark_ns: u64,
    /// The stops for mark termination.
    pub mark_termination_ns: u64,
}

/// Every Go process of a snapshot.
pub(super) fn processes(snapshot: &Snapshot) -> Vec<ProcessJson<'_>> {
    snapshot
        .placed()
        .map(|(observation, place)| process(observation, place, snapshot.health.price))
        .collect()
}

fn process<'a>(
    observation: &'a Observation,
    place: &'a Attribution,
    price: HitCost,
) -> ProcessJson<'a> {
    let Observation {
        process,
        binary,
        library,
        coverage,
        ended,
        ..
    } = observation;
    ProcessJson {
        pid: process.pid,
        inner_pid: process.inner_pid,
        process: process_name(process),
        exe: process.executable.path.to_string_lossy().into_owned(),
        exe_deleted: process.executable.deleted,
        container: process.container.as_ref(),
        origin: process.origin,
        kubernetes: match place {
            Attribution::Container(container) => Some((container, None)),
            Attribution::Uncounted(container, why) => Some((container, Some(*why))),
            Attribution::Host | Attribution::LeftOut | Attribution::Unknown => None,
        }
        .map(|(container, uncounted)| KubernetesJson {
            container,
            counted: uncounted.is_none(),
            uncounted,
        }),
        binary: BinaryJson {
            version: &binary.version,
            path: binary.path.as_deref(),
            module: binary.module.as_ref(),
            build_mode: binary.build_mode,
            library: library.as_deref().map(Path::to_string_lossy),
            stripped: binary.stripped,
            build_id: binary.build_id.as_deref(),
        },
        coverage: coverage
            .0
            .iter()
            .map(|(figure, missing)| {
                let coverage = CoverageJson {
                    covered: missing.is_none(),
                    reason: missing.as_ref().map(|missing| missing.reason),
                    detail: missing.as_ref().map(|missing| missing.detail.as_str()),
                };
                (figure.label(), coverage)
            })
            .collect(),
        figures: figures(observation),
        probes: probes(observation, price),
        ended: ended.and_then(epoch_seconds),
    }
}

fn probes(observation: &Observation, price: HitCost) -> ProbesJson {
    let events = &observation.figures.events;
    let (batch, exact) = (
        observation.probes.has(ProbeGroup::BATCH),
        observation.probes.has(ProbeGroup::EXACT),
    );
    ProbesJson {
        hits: events.hits(),
        cost_ns: cost_ns(&observation.binary.plan, price, events) as u64,
        hot: batch || exact,
        exact,
        batch,
        counted: CountedJson {
            created: events.goroutines.created,
            exited: events.goroutines.exited,
            batches: events.goroutines.goid_refills,
        },
    }
}

fn figures(observation: &Observation) -> FiguresJson<'_> {
    let events = &observation.figures.events;
    let goroutines = &events.goroutines;
    let tells_stopping = observation
        .binary
        .release
        .is_some_and(GoVersion::tells_stopping);
    let sample = observation.figures.state.as_ref();
    FiguresJson {
        state: sample
            .filter(|_| observation.covers(FigureGroup::State))
            .map(|sample| StateJson {
                at: epoch_seconds(sample.at),
                figures: &sample.figures,
            }),
        from_start: events.from_start,
        goroutines: GoroutinesJson {
            created: observation.created(),
            exited: observation.exited(),
            system_created: goroutines.system_created,
            system_exited: goroutines.system_exited,
            live: observation.live(),
        },
        gc: events.gc.as_ref().map(|gc| GcJson {
            cycles: TRIGGERS
                .into_iter()
                .zip(gc.started.into_iter().zip(gc.completed))
                .map(|(trigger, (started, completed))| (trigger, CyclesJson { started, completed }))
                .collect(),
            pauses: STOP_REASONS
                .into_iter()
                .zip(&gc.stops)
                .filter(|(_, stops)| stops.count > 0)
                .map(|(reason, stops)| {
                    let stopping_ns = tells_stopping.then_some(stops.stopping_ns);
                    (
                        reason,
                        PausesJson {
                            count: stops.count,
                            total_ns: stops.total_ns,
                            stopping_ns,
                        },
                    )
                })
                .collect(),
            pause_total_ns: gc.pause_total_ns,
            mark_ns: gc.mark_ns,
            whole_cycles: gc.whole_cycles,
            last_cycle: (gc.whole_cycles > 0).then_some(CycleJson {
                sweep_termination_ns: gc.last.sweep_termination_ns,
                mark_ns: gc.last.mark_ns,
                mark_termination_ns: gc.last.mark_termination_ns,
            }),
        }),
    }
}

fn epoch_seconds(at: SystemTime) -> Option<f64> {
    at.duration_since(UNIX_EPOCH)
        .ok()
        .map(|since| since.as_secs_f64())
}
