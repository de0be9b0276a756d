//! A few samples of each process, and what they come to per container.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use observer_go::{discover::ProgramRun, runtime::RuntimeHistogram};

use super::{
    Histogram,
    sample::Sample,
    wire::{ContainerFigures, CurrentFigures, LeftOut, NodePods, WindowFigures},
};
use crate::node::{Attribution, Observation, PodContainer, Snapshot, Uncounted};

/// Samples kept of a window at most: a short interval needs no more of them.
const STEPS: u32 = 16;
/// `math.MaxInt64`, which stands for no memory limit.
const NO_LIMIT: u64 = i64::MAX as u64;

/// Remembers what rates are made of.
#[derive(Debug)]
pub(crate) struct Recorder {
    window: Duration,
    processes: HashMap<ProgramRun, VecDeque<Sample>>,
    last: Option<SystemTime>,
}

impl Recorder {
    /// Rates are taken over this window, once it has passed.
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            window,
            processes: HashMap::new(),
            last: None,
        }
    }

    /// Takes a snapshot in. One that was published again, since pods changed,
    /// has nothing new.
    pub(crate) fn record(&mut self, snapshot: &Snapshot) {
        if self.last == Some(snapshot.at) {
            return;
        }
        self.last = Some(snapshot.at);
        let mut before = std::mem::take(&mut self.processes);
        for (observation, _) in living(snapshot) {
            let run = observation.process.program_run();
            let mut samples = before.remove(&run).unwrap_or_default();
            self.add(&mut samples, Sample::of(observation, snapshot.at));
            self.processes.insert(run, samples);
        }
    }

    fn add(&self, samples: &mut VecDeque<Sample>, new: Sample) {
        let since = |earlier: &Sample| new.at.duration_since(earlier.at).ok();
        // Where the clock was set back, what came before tells nothing.
        if samples.back().is_some_and(|last| since(last).is_none()) {
            samples.clear();
        }
        // The newest is always there; the one before it only if it is a step apart.
        let step = self.window / STEPS;
        let count = samples.len();
        let apart = count >= 2 && gap(&samples[count - 2], &samples[count - 1]) < step;
        if apart {
            samples.pop_back();
        }
        samples.push_back(new);
        let newest = samples.back().map(|sample| sample.at);
        // The first that is as old as the window stays: a rate over less than
        // the window would be one over less than was asked for.
        while let (Some(newest), Some(second)) = (newest, samples.get(1)) {
            if newest.duration_since(second.at).unwrap_or_default() < self.window {
                break;
            }
            samples.pop_front();
        }
    }

    /// Samples kept, of all processes.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.processes.values().map(VecDeque::len).sum()
    }

    /// What is known of every container, from the snapshot recorded last.
    pub(crate) fn pods(&self, snapshot: &Snapshot, now: SystemTime) -> NodePods {
        let mut containers: BTreeMap<(&str, &str, &str), (ContainerFigures, u64)> = BTreeMap::new();
        for (observation, of) in living(snapshot) {
            let key = (
                of.pod.namespace.as_str(),
                of.pod.name.as_str(),
                of.name.as_str(),
            );
            let (figures, sampled) = containers.entry(key).or_insert_with(|| (first(of), 0));
            figures.processes += 1;
            figures.counted.push(observation.process.pid);
            join_now(&mut figures.now, figures.processes, observation);
            if let Some(samples) = self.processes.get(&observation.process.program_run())
                && let Some(over) = over(samples, observation)
            {
                *sampled += 1;
                figures.over = Some(match figures.over.take() {
                    None => over,
                    Some(sum) => join_over(sum, &over),
                });
            }
        }
        for (observation, of, why) in left_out(snapshot) {
            let key = (
                of.pod.namespace.as_str(),
                of.pod.name.as_str(),
                of.name.as_str(),
            );
            if let Some((figures, _)) = containers.get_mut(&key) {
                let pid = observation.process.pid;
                figures.uncounted.push(LeftOut { pid, why });
            }
        }
        let containers = containers.into_values().map(|(mut figures, sampled)| {
            if sampled < figures.processes {
                figures.over = None;
            }
            figures
        });
        NodePods {
            node: snapshot
                .cluster
                .as_ref()
                .map(|cluster| cluster.node.clone())
                .unwrap_or_default(),
            now_ms: milliseconds(now),
            observed_ms: milliseconds(snapshot.at),
            interval_ms: snapshot.health.interval.as_millis() as u64,
            containers: containers.collect(),
        }
    }
}

fn gap(earlier: &Sample, later: &Sample) -> Duration {
    later.at.duration_since(earlier.at).unwrap_or_default()
}

fn milliseconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// Live processes that count for a pod's container.
fn living(snapshot: &Snapshot) -> impl Iterator<Item = (&Arc<Observation>, &Arc<PodContainer>)> {
    snapshot
        .placed()
        .filter(|(observation, _)| observation.ended.is_none())
        .filter_map(|(observation, place)| match place {
            Attribution::Container(of) => Some((observation, of)),
            _ => None,
        })
}

/// Live processes in a pod's container that do not count for it.
fn left_out(
    snapshot: &Snapshot,
) -> impl Iterator<Item = (&Arc<Observation>, &Arc<PodContainer>, Uncounted)> {
    snapshot
        .placed()
        .filter(|(observation, _)| observation.ended.is_none())
        .filter_map(|(observation, place)| match place {
            Attribution::Uncounted(of, why) => Some((observation, of, *why)),
            _ => None,
        })
}

fn first(of: &PodContainer) -> ContainerFigures {
    ContainerFigures {
        namespace: of.pod.namespace.clone(),
        pod: of.pod.name.clone(),
        pod_uid: of.pod.uid.clone(),
        container: of.name.clone(),
        ..ContainerFigures::default()
    }
}

fn join_now(sum: &mut CurrentFigures, processes: u64, observation: &Observation) {
    let state = observation.state();
    let heap = state.and_then(|state| Some(state.allocation.as_ref()?.heap_bytes));
    // Releases before memory limits have none.
    let limit = state.map(|state| state.settings.memory_limit_bytes.unwrap_or(NO_LIMIT));
    let limited = limit.is_some_and(|limit| limit < NO_LIMIT);
    let more = CurrentFigures {
        goroutines: observation.live(),
        runnable: state.map(|state| state.goroutines.runnable),
        processors: state.map(|state| state.scheduler.processors),
        heap_bytes: heap,
        next_gc_bytes: state.map(|state| state.heap.next_gc_bytes),
        limited_heap_bytes: if limited { heap } else { limit.map(|_| 0) },
        limit_bytes: if limited { limit } else { limit.map(|_| 0) },
    };
    if processes == 1 {
        *sum = more;
        return;
    }
    for (sum, more) in [
        (&mut sum.goroutines, more.goroutines),
        (&mut sum.runnable, more.runnable),
        (&mut sum.processors, more.processors),
        (&mut sum.heap_bytes, more.heap_bytes),
        (&mut sum.next_gc_bytes, more.next_gc_bytes),
        (&mut sum.limited_heap_bytes, more.limited_heap_bytes),
        (&mut sum.limit_bytes, more.limit_bytes),
    ] {
        *sum = sum.zip(more).map(|(a, b)| a.saturating_add(b));
    }
}

/// What a process did between its oldest and its newest sample.
fn over(samples: &VecDeque<Sample>, observation: &Observation) -> Option<WindowFigures> {
    let (from, to) = (samples.front()?, samples.back()?);
    let window = gap(from, to);
    if window.is_zero() {
        return None;
    }
    let seconds = window.as_secs_f64();
    let difference = |of: fn(&Sample) -> Option<u64>| {
        // A total that fell is not the same total: what it was counted by changed.
        of(to)?.checked_sub(of(from)?).map(|more| more as f64)
    };
    let histogram = |of: fn(&Sample) -> Option<&RuntimeHistogram>| {
        let (to, from) = (of(to)?, of(from)?);
        let mut sum = Histogram::default();
        sum.add(to, from);
        Some(sum)
    };
    let processors = observation.state().map(|state| state.scheduler.processors);
    Some(WindowFigures {
        window_ms: window.as_millis() as u64,
        goroutines: mean(samples),
        created_per_second: difference(|sample| sample.created).map(|n| n / seconds),
        allocated_bytes_per_second: difference(|sample| sample.allocated_bytes)
            .map(|n| n / seconds),
        process_seconds: seconds,
        pause_seconds: difference(|sample| sample.pause_ns).map(|ns| ns / 1e9),
        processor_seconds: processors.map(|n| n as f64 * seconds),
        gc_cpu_seconds: difference(|sample| sample.gc_cpu_ns).map(|ns| ns / 1e9),
        latencies: histogram(|sample| sample.latencies.as_ref()),
        pauses: histogram(|sample| sample.pauses.as_ref()),
    })
}

/// The mean over time: between two samples the number is taken to go straight
/// from one to the other.
fn mean(samples: &VecDeque<Sample>) -> Option<f64> {
    let mut area = 0.0;
    let mut time = 0.0;
    for (earlier, later) in samples.iter().zip(samples.iter().skip(1)) {
        let seconds = gap(earlier, later).as_secs_f64();
        area += (earlier.live? + later.live?) as f64 / 2.0 * seconds;
        time += seconds;
    }
    (time > 0.0).then(|| area / time)
}

fn join_over(mut sum: WindowFigures, more: &WindowFigures) -> WindowFigures {
    sum.window_ms = sum.window_ms.max(more.window_ms);
    sum.process_seconds += more.process_seconds;
    for (sum, more) in [
        (&mut sum.goroutines, more.goroutines),
        (&mut sum.created_per_second, more.created_per_second),
        (
            &mut sum.allocated_bytes_per_second,
            more.allocated_bytes_per_second,
        ),
        (&mut sum.pause_seconds, more.pause_seconds),
        (&mut sum.processor_seconds, more.processor_seconds),
        (&mut sum.gc_cpu_seconds, more.gc_cpu_seconds),
    ] {
        *sum = sum.zip(more).map(|(a, b)| a + b);
    }
    for (sum, more) in [
        (&mut sum.latencies, &more.latencies),
        (&mut sum.pauses, &more.pauses),
    ] {
        *sum = sum.take().zip(more.as_ref()).map(|(mut sum, more)| {
            sum.merge(more);
            sum
        });
    }
    sum
}
