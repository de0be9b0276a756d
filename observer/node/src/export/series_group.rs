//! Which processes share a series, and their sums.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use observer_ebpf::{
    GC_TRIGGERS, ProbeGroup as Probes, STW_REASONS, StopFigures, family::ProcessCounts as _,
};
use observer_go::{
    binary::{FigureGroup, Reason},
    discover::Process,
    release::GoVersion,
};
use observer_probe::{HitCost, Spans};

use super::{buckets::Reduced, creators::Creators, label::label};
use crate::node::{
    Attribution, Differences, Observation, PodContainer, ProbeGroups, Snapshot, StateSample, Walks,
    cost_ns,
};

/// Most groups in one exposition. Living processes come first; what is left
/// out is counted in `observer_processes_not_exported`.
pub(crate) const MAX_GROUPS: usize = 2048;

/// The labels that tell one group's series from another's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SeriesKey {
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) container: String,
    pub(super) process: String,
    pub(super) pid: String,
}

impl SeriesKey {
    /// The series a process belongs to, where it has one. A pod's container is
    /// one series. Outside a pod a container has no name, so its id stands
    /// there, and each process is a series of its own; but those of a program that lived
    /// briefly and have ended are one.
    fn of(observation: &Observation, place: &Attribution, folds: bool) -> Option<Self> {
        match place {
            Attribution::Host if folds => Some(Self::of_program(&observation.process)),
            Attribution::Host => Some(Self::of_host(&observation.process)),
            Attribution::Container(container) => Some(Self::of_container(container)),
            Attribution::LeftOut | Attribution::Unknown | Attribution::Uncounted(..) => None,
        }
    }

    fn of_host(process: &Process) -> Self {
        Self {
            namespace: String::new(),
            pod: String::new(),
            container: process
                .container
                .as_ref()
                .map(|container| label(&container.id))
                .unwrap_or_default(),
            process: label(&process_name(process)),
            pid: process.pid.to_string(),
        }
    }

    fn of_program(process: &Process) -> Self {
        Self {
            container: String::new(),
            process: label(&process.name()),
            pid: String::new(),
            ..Self::of_host(process)
        }
    }

    fn of_container(container: &PodContainer) -> Self {
        Self {
            namespace: label(&container.pod.namespace),
            pod: label(&container.pod.name),
            container: label(&container.name),
            process: String::new(),
            pid: String::new(),
        }
    }
}

/// Base name of the executable; the task's name where the path has none.
pub fn process_name(process: &Process) -> String {
    process.executable.path.file_name().map_or_else(
        || process.comm.clone(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// What the processes of one [`SeriesKey`] have in common: sums, and what is known of all.
#[derive(Debug, Default)]
pub(super) struct SeriesGroup {
    /// `runtime.Version()` of each.
    pub(super) versions: BTreeSet<String>,
    /// Whether each runs a release whose stops tell how long stopping took.
    pub(super) tells_stopping: bool,
    /// For each figure, why it is left out for the first process that lacks it.
    pub(super) coverage: BTreeMap<FigureGroup, Option<Reason>>,
    /// How many processes it has.
    pub(super) processes: u64,
    /// How many of them live.
    pub(super) living: u64,
    /// Live goroutines of the living; `None` where one's are not known, as for
    /// the totals that follow.
    pub(super) live: Option<u64>,
    /// Goroutines created.
    pub(super) created: Option<u64>,
    /// Goroutines ended.
    pub(super) exited: Option<u64>,
    /// Completed cycles.
    pub(super) completed: Option<u64>,
    /// Of those, the forced ones.
    pub(super) forced: Option<u64>,
    /// Pauses in nanoseconds, and the cycles they were in.
    pub(super) pauses: Option<(u64, u64)>,
    /// The state of each process, and whether the process lives; `None` where
    /// one's is not known.
    pub(super) states: Option<Vec<(Arc<StateSample>, bool)>>,
    /// State less events by figure, of the process where they differ most.
    pub(super) differences: Differences,
    /// What was counted of spans. Those of the ended that had not ended then never will.
    pub(super) spans: Spans,
    /// Which probes stand for all of its processes.
    pub(super) probes: ProbeGroups,
    /// Probe hits.
    pub(super) hits: u64,
    /// What they cost.
    pub(super) cost_ns: f64,
    /// Completed cycles by trigger.
    pub(super) cycles: [u64; GC_TRIGGERS],
    /// Concurrent mark, of cycles seen whole.
    pub(super) mark_ns: u64,
    /// Cycles seen whole.
    pub(super) whole_cycles: u64,
    /// Living goroutines by creator; `None` where they are not known of every
    /// living process.
    pub(super) creators: Option<Creators>,
    /// Stops by reason.
    pub(super) stops: [StopFigures; STW_REASONS],
    /// `/sched/pauses/total/gc:seconds`.
    pub(super) total_gc: Reduced,
    /// `/sched/pauses/total/other:seconds`.
    pub(super) total_other: Reduced,
    /// `/sched/pauses/stopping/gc:seconds`.
    pub(super) stopping_gc: Reduced,
    /// `/sched/pauses/stopping/other:seconds`.
    pub(super) stopping_other: Reduced,
}

impl SeriesGroup {
    fn first(observation: &Observation) -> Self {
        let mut group = Self {
            tells_stopping: true,
            live: Some(0),
            created: Some(0),
            exited: Some(0),
            completed: Some(0),
            forced: Some(0),
            pauses: Some((0, 0)),
            states: Some(Vec::new()),
            probes: observation.probes,
            coverage: observation
                .coverage
                .0
                .keys()
                .map(|figure| (*figure, None))
                .collect(),
            ..Self::default()
        };
        group.add(observation);
        group
    }

    fn add(&mut self, observation: &Observation) {
        self.versions.insert(label(&observation.binary.version));
        let release = observation.binary.release;
        self.tells_stopping &= release.is_some_and(GoVersion::tells_stopping);

        // A figure is exact for the group only where every process says so.
        self.coverage
            .retain(|figure, _| observation.coverage.0.contains_key(figure));
        for (figure, known) in &mut self.coverage {
            let missing = observation.coverage.0.get(figure).and_then(Option::as_ref);
            *known = known.or(missing.map(|missing| missing.reason));
        }

        if observation.ended.is_none() {
            self.living += 1;
            self.live = plus(self.live, observation.live());
        }
        self.created = plus(self.created, observation.created());
        self.exited = plus(self.exited, observation.exited());
        self.completed = plus(self.completed, observation.cycles());
        self.forced = plus(self.forced, observation.forced_cycles());
        self.pauses = self
            .pauses
            .zip(observation.pauses())
            .map(|(a, b)| (a.0.saturating_add(b.0), a.1.saturating_add(b.1)));
        let sample = observation.state().and(observation.figures.state.clone());
        if let (Some(states), Some(sample)) = (&mut self.states, &sample) {
            states.push((Arc::clone(sample), observation.ended.is_none()));
        }
        if sample.is_none() {
            self.states = None;
        }
        self.add_events(observation);
    }

    /// Adds what a process that has ended is known to have counted. What is not
    /// known of it, it does not take from the others: it was over before it was
    /// sampled, or ran a release that keeps less, and that will stay so.
    fn add_ended(&mut self, observation: &Observation) {
        let known = |value: Option<u64>| Some(value.unwrap_or_default());
        self.created = plus(self.created, known(observation.created()));
        self.exited = plus(self.exited, known(observation.exited()));
        self.completed = plus(self.completed, known(observation.cycles()));
        self.forced = plus(self.forced, known(observation.forced_cycles()));
        let (total_ns, cycles) = observation.pauses().unwrap_or_default();
        self.pauses = self
            .pauses
            .map(|sum| (sum.0.saturating_add(total_ns), sum.1.saturating_add(cycles)));
        let sample = observation.state().and(observation.figures.state.clone());
        if let (Some(states), Some(sample)) = (&mut self.states, sample) {
            states.push((sample, false));
        }
        self.add_events(observation);
    }

    fn add_events(&mut self, observation: &Observation) {
        self.processes += 1;
        let events = &observation.figures.events;
        let differences = match observation.ended {
            None => observation.figures.differences,
            // Whatever was under way at its last sample has ended since.
            Some(_) => Differences::default(),
        };
        let worst = &mut self.differences;
        for (worst, found) in [
            (&mut worst.created, differences.created),
            (&mut worst.ids, differences.ids),
            (&mut worst.cycles, differences.cycles),
            (&mut worst.pause_total_ns, differences.pause_total_ns),
        ] {
            *worst = (*worst)
                .into_iter()
                .chain(found)
                .max_by_key(|difference| difference.unsigned_abs());
        }
        self.probes = self.probes.and(observation.probes);
        self.hits = self.hits.saturating_add(events.hits());
        for (label, more) in events.spans.iter() {
            self.spans.entry(*label).or_default().add(more);
        }

        let Some(gc) = &events.gc else { return };
        for (sum, count) in self.cycles.iter_mut().zip(gc.completed) {
            *sum = sum.saturating_add(count);
        }
        self.mark_ns = self.mark_ns.saturating_add(gc.mark_ns);
        self.whole_cycles = self.whole_cycles.saturating_add(gc.whole_cycles);
        for (sum, stops) in self.stops.iter_mut().zip(&gc.stops) {
            sum.count = sum.count.saturating_add(stops.count);
            sum.total_ns = sum.total_ns.saturating_add(stops.total_ns);
            sum.stopping_ns = sum.stopping_ns.saturating_add(stops.stopping_ns);
        }
        self.total_gc.add(&gc.total_gc);
        self.total_other.add(&gc.total_other);
        self.stopping_gc.add(&gc.stopping_gc);
        self.stopping_other.add(&gc.stopping_other);
    }

    fn add_creators(&mut self, observation: &Observation, walks: &Walks) {
        if observation.ended.is_some() {
            return;
        }
        let found = walks.of(&observation.process);
        self.creators = match (self.creators.take(), found) {
            (sum, Some(found)) if self.living == 1 => {
                let mut sum = sum.unwrap_or_default();
                sum.add(found);
                Some(sum)
            }
            (Some(mut sum), Some(found)) => {
                sum.add(found);
                Some(sum)
            }
            _ => None,
        };
    }

    fn charge(&mut self, observation: &Observation, price: HitCost) {
        let plan = &observation.binary.plan;
        self.cost_ns += cost_ns(plan, price, &observation.figures.events);
    }

    /// Whether a family of this figure has samples of it.
    pub(super) fn knows(&self, figure: Option<FigureGroup>) -> bool {
        figure.is_none_or(|figure| self.is_exact(figure))
    }

    /// The groups of probes that leave where they cost too much, the dearest first.
    pub(super) fn hot_probes(&self) -> impl Iterator<Item = Probes> {
        let declared = self.coverage.keys().filter_map(|figure| match figure {
            FigureGroup::Declared(family) => Some(Probes::new(*family, 0)),
            _ => None,
        });
        [Probes::EXACT, Probes::BATCH].into_iter().chain(declared)
    }

    /// Whether the figure is known of every process of the group.
    pub(super) fn is_exact(&self, figure: FigureGroup) -> bool {
        self.coverage.get(&figure).is_some_and(Option::is_none)
    }
}

fn plus(sum: Option<u64>, more: Option<u64>) -> Option<u64> {
    Some(sum?.saturating_add(more?))
}

/// The groups of a snapshot, and how many processes found no room.
pub(super) fn groups(snapshot: &Snapshot) -> (BTreeMap<SeriesKey, SeriesGroup>, u64) {
    let mut groups = BTreeMap::<SeriesKey, SeriesGroup>::new();
    let mut left_out = 0;
    let past = snapshot.cluster.iter().flat_map(|cluster| &cluster.past);
    let past = past.map(|(container, sum)| (SeriesKey::of_container(container), sum));
    let now = snapshot.placed().filter_map(|(observation, place)| {
        let key = SeriesKey::of(observation, place, snapshot.folds(observation))?;
        Some((key, observation))
    });
    let programs = snapshot.past.iter().filter(|sum| snapshot.folds(sum));
    let programs = programs.map(|sum| (SeriesKey::of_program(&sum.process), sum));
    let mut all: Vec<_> = now.chain(programs).chain(past).collect();
    // The living tell which figures there are; of the ended those that know most.
    all.sort_by_key(|(_, observation)| {
        (observation.ended.is_some(), observation.state().is_none())
    });
    for (key, observation) in all {
        let group = if let Some(group) = groups.get_mut(&key) {
            if observation.ended.is_some() {
                group.add_ended(observation);
            } else {
                group.add(observation);
            }
            group
        } else if groups.len() < MAX_GROUPS {
            groups.entry(key).or_insert(SeriesGroup::first(observation))
        } else {
            left_out += 1;
            continue;
        };
        group.charge(observation, snapshot.health.price);
        group.add_creators(observation, &snapshot.creators);
    }
    (groups, left_out)
}
