//! One row and its past.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use observer_go::{
    binary::{Binary, FigureGroup, Reason},
    discover::{Process, ProgramRun},
    runtime::{GoroutineStates, StateFigures},
};
use observer_probe::HitCost;

use super::{
    attention,
    bounds::WINDOW,
    percentiles::p99,
    row::{About, LiveFigures, Row, rounded},
    row_process::{RowProcess, growth},
    series::{Point, Ring, number},
    stops::Stop,
};
use crate::node::{Observation, PodContainer};

/// Points of goroutines that go with a row.
const SPARK: usize = 60;
/// Go's "no limit" is the largest number there is.
const NO_LIMIT: u64 = i64::MAX as u64;

/// When and with what an entry is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) now: Instant,
    /// Milliseconds since the epoch.
    pub(super) at_ms: f64,
    /// What the monotonic clock's zero is in time since the epoch.
    pub(super) epoch: Duration,
    pub(super) price: HitCost,
    /// Whether a point is due.
    pub(super) tick: bool,
    /// Most points and stops kept.
    pub(super) points: usize,
    pub(super) stops: usize,
}

/// Sums of what members grew by, at an instant.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Instant,
    stopped_ns: u64,
    cost_ns: f64,
}

/// What a row is about. What changes of it is another allocation.
#[derive(Clone, Debug, Default)]
pub(super) struct Subject {
    container: Option<Arc<PodContainer>>,
    processes: Vec<(Arc<Process>, Arc<Binary>)>,
}

impl Subject {
    pub(super) fn new(
        container: Option<Arc<PodContainer>>,
        processes: &[&Arc<Observation>],
    ) -> Self {
        let of = |it: &&Arc<Observation>| (Arc::clone(&it.process), Arc::clone(&it.binary));
        Self {
            container,
            processes: processes.iter().map(of).collect(),
        }
    }

    /// Whether it is the very same.
    fn is(&self, container: Option<&Arc<PodContainer>>, processes: &[&Arc<Observation>]) -> bool {
        let of = self.container.as_ref();
        of.map(Arc::as_ptr) == container.map(Arc::as_ptr)
            && self.processes.len() == processes.len()
            && self.processes.iter().zip(processes).all(|(known, now)| {
                Arc::ptr_eq(&known.0, &now.process) && Arc::ptr_eq(&known.1, &now.binary)
            })
    }
}

/// One row and its past.
#[derive(Debug)]
pub(super) struct RowHistory {
    pub(super) key: u32,
    pub(super) about: Arc<About>,
    /// What `about` was made from.
    subject: Subject,
    members: BTreeMap<ProgramRun, RowProcess>,
    points: Ring<Point>,
    stops: Ring<Stop>,
    /// Stops that were over before they could be taken.
    missed: u64,
    /// Since the entry began.
    sums: Mark,
    /// `sums` at the beginnings of the last two windows.
    windows: VecDeque<Mark>,
    last_point: Option<Instant>,
    rates: (Option<f64>, Option<f64>),
}

impl RowHistory {
    pub(super) fn new(key: u32, now: Instant) -> Self {
        let sums = Mark {
            at: now,
            stopped_ns: 0,
            cost_ns: 0.0,
        };
        Self {
            key,
            about: Arc::default(),
            subject: Subject::default(),
            members: BTreeMap::new(),
            points: Ring::default(),
            stops: Ring::default(),
            missed: 0,
            sums,
            windows: VecDeque::from([sums]),
            last_point: None,
            rates: (None, None),
        }
    }

    /// Whether it is about these, so that [`Self::name`] has nothing new for it.
    pub(super) fn is_about(
        &self,
        container: Option<&Arc<PodContainer>>,
        processes: &[&Arc<Observation>],
    ) -> bool {
        self.subject.is(container, processes)
    }

    /// Says what it is about.
    pub(super) fn name(&mut self, subject: Subject, about: About) {
        self.subject = subject;
        if *self.about != about {
            self.about = Arc::new(about);
        }
    }

    /// Takes in its processes as they are now.
    pub(super) fn take(&mut self, processes: &[&Arc<Observation>], look: &Look) {
        let alone = self.members.is_empty();
        self.members.retain(|known, _| {
            processes
                .iter()
                .any(|it| it.process.program_run() == *known)
        });
        for observation in processes {
            let mut first = false;
            let member = self
                .members
                .entry(observation.process.program_run())
                .or_insert_with(|| {
                    first = true;
                    RowProcess::new(observation, look.price)
                });
            let before = member.totals;
            let (stops, missed) = member.look(observation, look.price, look.epoch, first);
            let stopped = growth(member.totals.stopped_ns, before.stopped_ns);
            self.sums.stopped_ns += stopped.unwrap_or_default();
            self.sums.cost_ns += (member.totals.cost_ns - before.cost_ns).max(0.0);
            // Of a process that joins others only what comes from now on is of interest.
            if !first || alone {
                self.missed += missed;
                for stop in stops {
                    self.stops.push(stop, look.stops);
                }
            }
        }
        self.sums.at = look.now;
        if look.tick {
            self.tick(look);
        }
    }

    fn tick(&mut self, look: &Look) {
        let since = self.last_point.map(|last| look.now.duration_since(last));
        let seconds = since.map(|since| since.as_secs_f64());
        let rate = |grown: Option<u64>| Some(grown? as f64 / seconds.filter(|it| *it > 0.0)?);
        let sum = |of: fn(&RowProcess) -> Option<u64>| {
            let all = self.members.values().map(of);
            all.sum::<Option<u64>>().and_then(|sum| rate(Some(sum)))
        };
        let created = sum(|it| growth(it.totals.created, it.at_point.created));
        let exited = sum(|it| growth(it.totals.exited, it.at_point.exited));
        let stopped = sum(|it| growth(it.totals.stopped_ns, it.at_point.stopped_ns));
        let latency = self
            .members
            .values_mut()
            .filter_map(RowProcess::point)
            .max();
        self.rates = (created, exited);
        self.last_point = Some(look.now);
        let of = |get: fn(&GoroutineStates) -> u64| {
            self.sum_of(|state| state.goroutines.states.as_ref().map(get))
        };
        let point = Point {
            at_ms: look.at_ms,
            goroutines: number(self.goroutines().map(|live| live as f64)),
            runnable: self.sum_of(|state| Some(state.goroutines.runnable)),
            running: of(|states| states.running),
            waiting: of(|states| states.waiting),
            not_in_go: of(|states| states.not_in_go),
            created: number(created),
            exited: number(exited),
            stopped: number(stopped.map(|ns| (ns / 1e9).min(1.0))),
            heap: self.sum_of(|state| Some(heap(state))),
            next_gc: self.sum_of(goal),
            latency: number(latency.map(|ns| ns as f64)),
            threads: self.sum_of(|state| Some(state.scheduler.threads)),
        };
        self.points.push(point, look.points);
        if self
            .windows
            .back()
            .is_none_or(|mark| look.now.duration_since(mark.at) >= WINDOW)
        {
            self.windows.push_back(self.sums);
            if self.windows.len() > 2 {
                self.windows.pop_front();
            }
            self.members.values_mut().for_each(RowProcess::window);
        }
    }

    /// The row as it is now.
    pub(super) fn row(&self) -> Row {
        let live = self.points.iter().map(|point| point.goroutines);
        let skip = live.len().saturating_sub(SPARK);
        let spark = |live: f32| if live.is_nan() { -1 } else { live as i64 };
        Row {
            key: self.key,
            about: Arc::clone(&self.about),
            figures: self.figures(),
            spark: live.skip(skip).map(spark).collect(),
        }
    }

    fn figures(&self) -> LiveFigures {
        let pauses = self
            .recent_stops()
            .filter(|stop| stop.is_collector())
            .map(|stop| stop.pause_ns)
            .collect();
        let window = self.windows.front().copied().unwrap_or(self.sums);
        let elapsed = self.sums.at.duration_since(window.at).as_nanos() as f64;
        let share = |ns: f64| (elapsed > 0.0).then(|| rounded(ns / elapsed));
        let stopped = (self.sums.stopped_ns - window.stopped_ns) as f64;
        let (covered, coverable) = self.coverage();
        let mut figures = LiveFigures {
            goroutines: self.goroutines(),
            created_per_second: self.rates.0.map(rounded),
            exited_per_second: self.rates.1.map(rounded),
            pause_p99_ns: p99(pauses),
            stopped_share: share(stopped).filter(|_| {
                let mut members = self.members.values();
                members.all(|member| member.totals.stopped_ns.is_some())
            }),
            heap_bytes: self.sum(|state| Some(heap(state))),
            next_gc_bytes: self.sum(goal),
            memory_limit_bytes: self.sum(limit),
            // Over the window, so that one slow moment stays to be seen for a while.
            latency_p99_ns: self.members.values().filter_map(RowProcess::latency).max(),
            covered,
            coverable,
            cost_share: share(self.sums.cost_ns - window.cost_ns),
            attention: Vec::new(),
        };
        figures.attention = attention::of(&figures, &self.points, &self.lost());
        figures
    }

    /// Stops of the last two windows.
    fn recent_stops(&self) -> impl Iterator<Item = &Stop> {
        let now = self
            .points
            .iter()
            .next_back()
            .map_or(0.0, |point| point.at_ms);
        let from = ((now - 2.0 * WINDOW.as_secs_f64() * 1e3).max(0.0) * 1e6) as u64;
        self.stops.iter().filter(move |stop| stop.began_ns >= from)
    }

    pub(super) fn goroutines(&self) -> Option<u64> {
        let live = self.members.values().map(|it| it.observation.live());
        live.sum::<Option<u64>>()
            .filter(|_| !self.members.is_empty())
    }

    pub(super) fn members(&self) -> impl Iterator<Item = &Arc<Observation>> {
        self.members.values().map(|member| &member.observation)
    }

    pub(super) const fn points(&self) -> &Ring<Point> {
        &self.points
    }

    pub(super) const fn stops(&self) -> &Ring<Stop> {
        &self.stops
    }

    pub(super) const fn missed(&self) -> u64 {
        self.missed
    }

    /// A figure of every process's state.
    pub(super) fn of_states<T>(&self, of: impl Fn(&StateFigures) -> Option<T>) -> Option<Vec<T>> {
        let states = self.members().map(|it| it.state().and_then(&of));
        states
            .collect::<Option<Vec<T>>>()
            .filter(|all| !all.is_empty())
    }

    pub(super) fn sum(&self, of: impl Fn(&StateFigures) -> Option<u64>) -> Option<u64> {
        let mut each = self.members().map(|it| it.state().and_then(&of));
        let first = each.next()??;
        each.try_fold(first, |sum, one| Some(sum.saturating_add(one?)))
    }

    fn sum_of(&self, of: impl Fn(&StateFigures) -> Option<u64>) -> f32 {
        number(self.sum(of).map(|sum| sum as f64))
    }

    /// Groups of figures that are exact of every process, and that their
    /// releases have.
    fn coverage(&self) -> (u32, u32) {
        let (mut covered, mut coverable) = (0, 0);
        for figure in FigureGroup::all() {
            let mut known = self
                .members()
                .filter_map(|it| it.coverage.0.get(&figure))
                .peekable();
            if known.peek().is_none() {
                continue;
            }
            let missing: Vec<_> = known.flatten().map(|missing| missing.reason).collect();
            if missing.contains(&Reason::NotInRelease) {
                continue;
            }
            coverable += 1;
            covered += u32::from(missing.is_empty());
        }
        (covered, coverable)
    }

    /// Groups that are not exact though they could be, and why.
    fn lost(&self) -> BTreeMap<FigureGroup, Reason> {
        let of = |observation: &Arc<Observation>| {
            let missing = observation.coverage.0.iter();
            let missing = missing.filter_map(|(figure, it)| Some((*figure, it.as_ref()?.reason)));
            missing.collect::<Vec<_>>()
        };
        self.members().flat_map(of).collect()
    }
}

fn heap(state: &StateFigures) -> u64 {
    let allocation = state.allocation.as_ref();
    allocation.map_or(state.heap.live_bytes, |allocation| allocation.heap_bytes)
}

/// With GOGC off and no memory limit there is none: nothing is that large.
fn goal(state: &StateFigures) -> Option<u64> {
    Some(state.heap.next_gc_bytes).filter(|goal| *goal < 1 << 60)
}

pub(super) fn limit(state: &StateFigures) -> Option<u64> {
    state
        .settings
        .memory_limit_bytes
        .filter(|limit| *limit < NO_LIMIT)
}
