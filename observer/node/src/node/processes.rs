//! Go processes that are observed, and those that ended lately.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use observer_ebpf::{ProbeGroup, ProcessKey};
use observer_go::{
    binary::{Binary, FigureGroup},
    discover::{self, Process},
};

use super::{
    coverage::{Sight, is_whole},
    cross_check::{self, Counted, Ids},
    ended_programs::{Crowded, Programs},
    observation::{BRIEF, Coverage, EventFigures, Figures, Observation, ProbeGroups, StateSample},
    state_sampler::StateSampler,
    target::Target,
};

/// How long a process that ended is still shown from when that was first done, so that
/// a scrape every 30 s sees it.
const SHOWN: Duration = Duration::from_secs(30);
/// How many of those at most: a shell loop must not fill the memory.
const SHOWN_AT_MOST: usize = 8192;

/// A process that is observed.
pub(super) struct Tracked {
    pub(super) target: u32,
    /// Its place in the kernel's maps; `None` where they had no room or there
    /// are no probes.
    pub(super) key: Option<ProcessKey>,
    /// Its state.
    pub(super) sampler: StateSampler,
    /// When its state was last read.
    pub(super) sampled: Option<Instant>,
    /// How fast it created goroutines at the last sample of its state.
    pub(super) created_per_second: Option<f64>,
    /// Goroutine ids by batches and by the runtime.
    pub(super) ids: Ids,
    /// Whether every goroutine was counted since the last sample of its state.
    pub(super) counted: bool,
    /// Which of its goroutines were counted.
    pub(super) sight: Sight,
    /// What probes had counted at that sample. The observation may know later counts:
    /// a process that is about to end is counted, and cannot be sampled any more.
    pub(super) at_sample: Counted,
    /// Whether probes counted other than the last sample of its state said,
    /// so that the next is to be taken between two readings of theirs.
    pub(super) apart: bool,
    /// What is known of it, as last published.
    pub(super) observation: Arc<Observation>,
}

/// What probes saw of a process from its first instruction on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// Which goroutines.
    pub(super) goroutines: Sight,
    /// Every batch of goroutine ids.
    pub(super) batches: bool,
    /// Every collection, and every pause for one.
    pub(super) collections: bool,
    /// Which of them stand now.
    pub(super) probes: ProbeGroups,
}

impl Seen {
    /// Of a program that began then.
    pub(super) fn of(target: &Target, exec: Option<u64>) -> Self {
        use FigureGroup::{GcCycles, GcPauses, GoroutinesCreated, GoroutinesExited};
        let is_whole = |figure| is_whole(&target.binary, &target.attachment, figure);
        let goroutines = [GoroutinesCreated, GoroutinesExited]
            .into_iter()
            .all(is_whole);
        let collections = [GcCycles, GcPauses].into_iter().all(is_whole);
        Self {
            goroutines: match exec {
                Some(_) if !target.saw(ProbeGroup::EXACT, exec) => Sight::Partial,
                Some(_) if goroutines => Sight::Whole,
                _ => Sight::Unknown,
            },
            batches: target.has(ProbeGroup::BATCH) && target.saw(ProbeGroup::BATCH, exec),
            collections: collections && target.saw(ProbeGroup::RARE, exec),
            probes: target.groups(),
        }
    }
}

/// One that ended, and when its end was first shown.
struct Ended {
    shown: Option<Instant>,
    observation: Arc<Observation>,
}

/// All of them.
pub(super) struct Processes {
    tracked: HashMap<u32, Tracked>,
    ended: VecDeque<Ended>,
    past: Programs,
}

impl Processes {
    pub(super) fn new() -> Self {
        Self {
            tracked: HashMap::new(),
            ended: VecDeque::new(),
            past: Programs::new(),
        }
    }

    pub(super) fn contains(&self, pid: u32) -> bool {
        self.tracked.contains_key(&pid)
    }

    pub(super) fn get(&self, pid: u32) -> Option<&Tracked> {
        self.tracked.get(&pid)
    }

    pub(super) fn get_mut(&mut self, pid: u32) -> Option<&mut Tracked> {
        self.tracked.get_mut(&pid)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Tracked> {
        self.tracked.values_mut()
    }

    /// Their places in the kernel's maps.
    pub(super) fn keys(&self) -> impl Iterator<Item = ProcessKey> {
        self.tracked.values().filter_map(|tracked| tracked.key)
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.tracked.keys().copied().collect()
    }

    pub(super) fn insert(
        &mut self,
        process: Process,
        binary: Arc<Binary>,
        target: u32,
        key: Option<ProcessKey>,
        seen: Seen,
        coverage: Coverage,
    ) {
        let pid = process.pid;
        let events = EventFigures {
            from_start: seen.goroutines == Sight::Whole,
            collections_from_start: seen.collections,
            ..EventFigures::default()
        };
        let observation = Arc::new(Observation {
            process: Arc::new(process),
            binary,
            library: None,
            coverage,
            figures: Figures {
                events,
                ..Figures::default()
            },
            probes: seen.probes,
            ended: None,
            brief: false,
        });
        self.tracked.insert(
            pid,
            Tracked {
                target,
                key,
                sampler: StateSampler::new(),
                sampled: None,
                created_per_second: None,
                ids: if seen.batches {
                    Ids::FROM_START
                } else {
                    Ids::default()
                },
                counted: false,
                sight: seen.goroutines,
                at_sample: Counted::default(),
                apart: false,
                observation,
            },
        );
    }

    pub(super) fn remove(&mut self, pid: u32) -> Option<Tracked> {
        self.tracked.remove(&pid)
    }

    /// Keeps the last figures of a process that ended.
    pub(super) fn end(&mut self, tracked: &Tracked, events: EventFigures) {
        let observation = &tracked.observation;
        if self.ended.len() == SHOWN_AT_MOST
            && let Some(first) = self.ended.pop_front()
        {
            self.past.add(&first.observation);
        }
        let now = SystemTime::now();
        let lived = now.duration_since(discover::started(observation.process.start_ticks));
        let figures = &observation.figures;
        let state = figures.state.as_ref().map(|sample| {
            let mut sample = StateSample::clone(sample);
            cross_check::last(
                Arc::make_mut(&mut sample.figures),
                &tracked.at_sample,
                &events,
                tracked.counted,
            );
            Arc::new(sample)
        });
        let ended = Observation {
            figures: Figures {
                events,
                state,
                differences: figures.differences,
            },
            ended: Some(now),
            // By a clock that was set back it is not known.
            brief: lived.is_ok_and(|lived| lived < BRIEF),
            ..Observation::clone(observation)
        };
        self.ended.push_back(Ended {
            shown: None,
            observation: Arc::new(ended),
        });
    }

    /// Sums of those that are shown no more; to be asked for after [`Self::shown`].
    pub(super) fn past(&self) -> Vec<Arc<Observation>> {
        self.past.all()
    }

    /// Those that found no room in these sums.
    pub(super) fn crowded(&self) -> Crowded {
        self.past.crowded()
    }

    /// Everything to be shown, ordered by pid. However long it is until the next time,
    /// each that ended is shown as such for long enough.
    pub(super) fn shown(&mut self, now: Instant) -> Vec<Arc<Observation>> {
        let over = |ended: &mut Ended| {
            let shown = *ended.shown.get_or_insert(now);
            now.saturating_duration_since(shown) > SHOWN
        };
        while let Some(over) = self.ended.pop_front_if(over) {
            self.past.add(&over.observation);
        }
        for ended in &mut self.ended {
            ended.shown.get_or_insert(now);
        }
        let alive = self.tracked.values().map(|tracked| &tracked.observation);
        let ended = self.ended.iter().map(|ended| &ended.observation);
        let mut shown: Vec<_> = alive.chain(ended).cloned().collect();
        shown.sort_by_key(|observation| (observation.process.pid, observation.process.start_ticks));
        shown
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        time::{Duration, Instant},
    };

    use super::{Coverage, EventFigures, Processes, Seen};
    use crate::fixtures::{binary, observation};

    #[test]
    fn an_end_is_shown_however_long_the_interval_is() {
        for interval in [1, 20, 60, 3600].map(Duration::from_secs) {
            let mut processes = Processes::new();
            let binary = Arc::new(binary("go1.26.8"));
            let seen = Seen::default();
            let process = observation(7, "/srv/shop").process;
            let process = Arc::unwrap_or_clone(process);
            processes.insert(process, binary, 1, None, seen, Coverage::default());
            let mut now = Instant::now();
            assert_eq!(processes.shown(now).len(), 1);
            let tracked = processes.remove(7).expect("it is there");
            processes.end(&tracked, EventFigures::default());
            let mut shown = 0;
            let first = now + interval;
            loop {
                now += interval;
                let all = processes.shown(now);
                if all.is_empty() {
                    break;
                }
                assert!(all[0].ended.is_some());
                shown += 1;
            }
            assert!(shown > 0, "{interval:?}");
            assert!(now - first > Duration::from_secs(30), "{interval:?}");
        }
    }
}
