//! Stops of the world as they came, each once.

use std::time::Duration;

use observer_ebpf::{GC_TRIGGERS, GcFigures, STOPS_KEPT, StopRecord, StwReason};

use crate::node::Observation;

/// Stands for both stops of a cycle together, where only the state tells.
pub(super) const BOTH: u8 = u8::MAX;

/// A stop of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stop {
    /// Nanoseconds since the epoch.
    pub(super) began_ns: u64,
    pub(super) pause_ns: u64,
    pub(super) pid: u32,
    /// As [`StwReason`], or [`BOTH`].
    pub(super) reason: u8,
    pub(super) trigger: u8,
    pub(super) ends_cycle: bool,
}

impl Stop {
    /// Whether it is the collector's.
    pub(super) const fn is_collector(&self) -> bool {
        self.reason == StwReason::GcMarkTermination as u8
            || self.reason == StwReason::GcSweepTermination as u8
            || self.reason == BOTH
    }
}

/// What was taken of a process's stops so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    /// By probes.
    recorded: u64,
    /// When the last of those began (CLOCK_MONOTONIC, nanoseconds).
    began: u64,
    /// When the last pause ended that the state told of.
    ended: u64,
}

impl Taken {
    /// The stops that came since, and how many are not known any more.
    /// `epoch` is what the monotonic clock's zero is in time since the epoch.
    pub(super) fn take(&mut self, observation: &Observation, epoch: Duration) -> (Vec<Stop>, u64) {
        let pid = observation.process.pid;
        match &observation.figures.events.gc {
            Some(gc) if gc.stops_recorded > 0 => self.of_probes(gc, pid, epoch),
            _ => (self.of_state(observation, pid), 0),
        }
    }

    fn of_probes(&mut self, gc: &GcFigures, pid: u32, epoch: Duration) -> (Vec<Stop>, u64) {
        let new = gc.stops_recorded.saturating_sub(self.recorded);
        // The oldest may be half overwritten by one that had not been counted.
        let kept = new.min(STOPS_KEPT as u64 - 1);
        let numbers = gc.stops_recorded - kept..gc.stops_recorded;
        let records: Vec<_> = numbers
            .map(|number| &gc.recent_stops[number as usize % STOPS_KEPT])
            // A processor may read records before it reads how many there are (arm64): one
            // that had not been written by then is an older stop, told of already.
            .filter(|record| {
                let is_new = record.began >= self.began;
                self.began = self.began.max(record.began);
                is_new
            })
            .collect();
        let kept = records.len() as u64;
        let stop = |record: &StopRecord| Stop {
            began_ns: record.began.saturating_add(epoch.as_nanos() as u64),
            pause_ns: record.pause_ns,
            pid,
            reason: record.reason as u8,
            trigger: record.trigger.min(GC_TRIGGERS as u16 - 1) as u8,
            ends_cycle: record.ends_cycle != 0,
        };
        let stops: Vec<_> = records.into_iter().map(stop).collect();
        // At the first look only what is there was asked for.
        let missed = if self.recorded == 0 { 0 } else { new - kept };
        self.recorded = gc.stops_recorded;
        // Should the probes go, the state tells of what comes after.
        if let Some(last) = stops.last() {
            self.ended = self.ended.max(last.began_ns.saturating_add(last.pause_ns));
        }
        (stops, missed)
    }

    fn of_state(&mut self, observation: &Observation, pid: u32) -> Vec<Stop> {
        let Some(state) = observation.state() else {
            return Vec::new();
        };
        let after = self.ended;
        let new = state.collections.recent.iter();
        let stops: Vec<_> = new
            .filter(|pause| pause.ended_unix_ns > after)
            .map(|pause| Stop {
                began_ns: pause.ended_unix_ns.saturating_sub(pause.duration_ns),
                pause_ns: pause.duration_ns,
                pid,
                reason: BOTH,
                trigger: GC_TRIGGERS as u8 - 1,
                ends_cycle: true,
            })
            .collect();
        let ends = state.collections.recent.iter().map(|it| it.ended_unix_ns);
        self.ended = ends.max().unwrap_or_default().max(after);
        stops
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use observer_ebpf::{GcFigures, STOPS_KEPT, StopRecord};

    use super::Taken;

    fn recorded(number: u64) -> GcFigures {
        let mut gc = GcFigures::ZERO;
        gc.stops_recorded = number;
        for at in number.saturating_sub(STOPS_KEPT as u64)..number {
            gc.recent_stops[at as usize % STOPS_KEPT] = StopRecord {
                began: 1000 * at,
                pause_ns: at,
                ..StopRecord::ZERO
            };
        }
        gc
    }

    #[test]
    fn each_stop_is_taken_once_and_those_overwritten_are_counted() {
        let mut taken = Taken::default();
        let mut take = |number| {
            let (stops, missed) = taken.of_probes(&recorded(number), 1, Duration::from_nanos(7));
            let numbers: Vec<_> = stops.iter().map(|stop| stop.pause_ns).collect();
            assert!(
                stops
                    .iter()
                    .all(|stop| stop.began_ns == 1000 * stop.pause_ns + 7)
            );
            (numbers, missed)
        };
        assert_eq!(take(2), (vec![0, 1], 0));
        assert_eq!(take(2), (vec![], 0));
        assert_eq!(take(5), (vec![2, 3, 4], 0));
        let (numbers, missed) = take(100);
        assert_eq!(numbers, (69..100).collect::<Vec<_>>());
        assert_eq!(missed, 64);
    }

    #[test]
    fn a_record_that_was_read_before_it_was_written_is_missed() {
        let mut taken = Taken::default();
        let mut take = |gc: &GcFigures| {
            let (stops, missed) = taken.of_probes(gc, 1, Duration::ZERO);
            let numbers: Vec<_> = stops.iter().map(|stop| stop.pause_ns).collect();
            (numbers, missed)
        };
        assert_eq!(take(&recorded(40)), ((9..40).collect(), 0));
        let mut torn = recorded(43);
        // The place of the last still has the stop that was there before.
        torn.recent_stops[42 % STOPS_KEPT] = recorded(42).recent_stops[42 % STOPS_KEPT];
        assert_eq!(take(&torn), (vec![40, 41], 1));
        assert_eq!(take(&recorded(44)), (vec![43], 0));
    }
}
