//! The state of one process, sampled again and again, whatever becomes of it.

mod missing;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use observer_go::{
    binary::{Binary, FigureGroup, Gap, Reason},
    runtime::{HeldUp, MemoryError, StateError, StateFigures, WalkError},
};
use rustix::time::{ClockId, clock_gettime};

use super::{
    observation::CoverageGap,
    plausibility::{FigureVerdicts, Plausibility},
    system::{StateReader, System},
};

/// With so many samples in a row that were not good, or not taken, figures are withheld:
/// they would be shown under the node's newer time.
const MISSED: u32 = 3;
/// They are shown for as long at any interval, as the adapter shows a node's: on a busy
/// machine a few samples in a row may fail.
const SHOWN_AT_LEAST: Duration = Duration::from_secs(2);
/// Failures in a row after which the next try waits, so that a process that never can
/// be read costs nothing.
const MOST_FAILURES: u32 = 10;
const LATER: Duration = Duration::from_secs(10);
/// A process that has forked and not executed shares or copies its parent's
/// memory, and with it the parent's figures. It mostly executes at once.
const FORKED: Duration = Duration::from_secs(2);

/// A sample that takes longer is looked at: by the CPU's time the next.
const LONG: Duration = Duration::from_millis(5);
/// After one that took long, times as long as it took, the process is not sampled.
const REST: u32 = 49;
/// After a read that was given up has come back, the next waits for as long; twice
/// as long after each more.
const AFTER_BLOCK: Duration = Duration::from_secs(2);
/// At most so many times twice as long.
const MOST_DOUBLED: u32 = 8;

/// What came of a look.
pub(super) enum Looked {
    /// Nothing ran since the last sample, which holds.
    StandsStill,
    /// A sample was taken, or tried.
    Sampled(Sampled),
}

/// What came of a sample.
pub(super) enum Sampled {
    /// The state.
    Read(Arc<StateFigures>),
    /// Nothing was tried, or there is nothing.
    Nothing,
    /// It was tried, and what was read is not used.
    Dropped,
    /// The process runs another program.
    Replaced,
}

/// Watches one process.
pub(super) struct StateSampler {
    reader: Option<Box<dyn StateReader>>,
    since: Instant,
    failures: u32,
    retry: Option<Instant>,
    missing: Option<CoverageGap>,
    /// Why the samples since the last good one were dropped.
    dropped: Option<CoverageGap>,
    gaps: usize,
    changed: bool,
    /// Good samples.
    good: u32,
    /// Whether the last one told what was created and what ended.
    tells_goroutines: bool,
    /// Whether the last look took long.
    slow: bool,
    /// The read that was given up and has not come back.
    out: Option<u64>,
    /// Reads that were given up.
    given_up: u32,
    /// What is to be believed of what was read.
    plausibility: Plausibility,
}

impl StateSampler {
    pub(super) fn new() -> Self {
        Self {
            reader: None,
            since: Instant::now(),
            failures: 0,
            retry: None,
            missing: Some(missing::never()),
            dropped: None,
            gaps: 0,
            changed: false,
            good: 0,
            tells_goroutines: false,
            slow: false,
            out: None,
            given_up: 0,
            plausibility: Plausibility::default(),
        }
    }

    /// A sample was held against what probes counted; the process did something
    /// since the one before.
    pub(super) fn compared(&mut self, verdicts: FigureVerdicts) {
        self.changed |= self.plausibility.sampled(verdicts);
    }

    /// Nothing ran since the last sample, which was held against what probes have
    /// counted by now; whether that settles a doubt.
    pub(super) fn stood_still(&mut self, verdicts: FigureVerdicts) -> bool {
        let settled = self.plausibility.stood_still(verdicts);
        self.changed |= settled;
        settled
    }

    /// Why a figure is withheld that is known otherwise.
    pub(super) fn doubted(&self, figure: FigureGroup) -> Option<CoverageGap> {
        self.plausibility.missing(figure)
    }

    /// What stands in its place while it is lent to a read.
    pub(super) fn stand_in(&self) -> Self {
        Self {
            reader: None,
            missing: None,
            dropped: None,
            retry: None,
            ..*self
        }
    }

    /// The read that this stands in for was given up.
    pub(super) fn give_up(&mut self, number: u64, pid: u32) {
        self.out = Some(number);
        self.given_up += 1;
        self.leave_out(HeldUp::By(pid));
    }

    /// A read that was given up has come back; whether it was of this process.
    pub(super) fn came_back(&mut self, number: u64) -> bool {
        let of_this = self.out == Some(number);
        if of_this {
            self.out = None;
            let times = 1 << (self.given_up - 1).min(MOST_DOUBLED);
            self.retry = Some(Instant::now() + AFTER_BLOCK * times);
        }
        of_this
    }

    /// It is not read, since whoever does may be held up.
    pub(super) fn leave_out(&mut self, why: HeldUp) {
        self.changed |= self
            .missing
            .as_ref()
            .is_none_or(|before| before.reason != Reason::ReadBlocked);
        self.missing = Some(CoverageGap {
            reason: Reason::ReadBlocked,
            detail: why.to_string(),
        });
    }

    /// The last good sample is so old, and samples are taken at this interval. Whether
    /// its figures are withheld from here on, lest they be shown as those of now.
    pub(super) fn grows_old(&mut self, age: Duration, interval: Duration) -> bool {
        if self.missing.is_some() || age < shown(interval) {
            return false;
        }
        self.missing = Some(self.dropped.take().unwrap_or_else(missing::seldom));
        self.changed = true;
        true
    }

    /// A good sample was taken, which lacks so many figures.
    pub(super) fn was_read(&mut self, figures: &StateFigures, gaps: usize) {
        self.changed |= self.missing.is_some() || self.gaps != gaps;
        self.gaps = gaps;
        self.missing = None;
        self.dropped = None;
        self.good = self.good.saturating_add(1);
        let goroutines = &figures.goroutines;
        self.tells_goroutines = goroutines.created.and(goroutines.exited).is_some();
        self.failures = 0;
        self.retry = None;
    }

    /// The good sample that was just taken is not used, and none was before.
    pub(super) fn set_aside(&mut self) {
        self.missing = Some(missing::never());
        self.good = 0;
    }

    /// Whether there is anything to be read now.
    pub(super) fn is_due(&self, binary: &Binary) -> bool {
        let rests = self.retry.is_some_and(|at| Instant::now() < at);
        binary.state.globals.is_some() && !rests && self.out.is_none()
    }

    /// Looks at the process once: everything here that reads its memory. A process
    /// that makes looking dear is looked at less often.
    pub(super) fn look(&mut self, system: &dyn System, pid: u32, binary: &Binary) -> Looked {
        let began = Instant::now();
        let cpu = self.slow.then(thread_time);
        let looked = if self.stands_still() {
            Looked::StandsStill
        } else {
            Looked::Sampled(self.sample(system, pid, binary))
        };
        self.slow = began.elapsed() > LONG;
        if self.slow
            && let Some(cpu) = cpu
        {
            let took = thread_time().saturating_sub(cpu);
            if took > LONG {
                self.retry = self.retry.max(Some(Instant::now() + took * REST));
            }
        }
        looked
    }

    /// Whether the state tells now how many goroutines were created and ended.
    pub(super) fn tells_goroutines(&self) -> bool {
        self.missing.is_none() && self.tells_goroutines && !self.plausibility.is_settled()
    }

    /// The same, of a process that was sampled more than once.
    pub(super) fn is_known(&self) -> bool {
        self.good > 1 && self.tells_goroutines()
    }

    /// Whether there was time for some samples at the usual interval.
    pub(super) fn is_old(&self) -> bool {
        self.since.elapsed() > FORKED + FORKED
    }

    /// Whether what is missing has changed since this was last asked.
    pub(super) fn has_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Why a figure of the state is left out; what the release does not keep
    /// at all is not asked here.
    pub(super) fn missing(&self, binary: &Binary, figure: FigureGroup) -> Option<CoverageGap> {
        let of = |gap: &Gap| CoverageGap {
            reason: gap.reason,
            detail: gap.detail.clone(),
        };
        if let Some(gap) = binary.state.gaps.iter().find(|gap| gap.figure == figure) {
            return Some(of(gap));
        }
        if self.missing.is_some() {
            return self.missing.clone();
        }
        if let Some(doubted) = self.doubted(figure) {
            return Some(doubted);
        }
        let gaps = self.reader.as_ref()?.gaps().iter().cloned().map(Gap::from);
        gaps.into_iter()
            .find(|gap| gap.figure == figure)
            .map(|gap| of(&gap))
    }

    /// Whether the last sample still holds, and nothing about it is news.
    fn stands_still(&mut self) -> bool {
        let reader = self.reader.as_mut();
        let still = reader.is_some_and(|reader| reader.stands_still())
            && self.missing.is_none()
            && !self.changed;
        self.good = self.good.saturating_add(u32::from(still));
        still
    }

    /// Reads the state once.
    fn sample(&mut self, system: &dyn System, pid: u32, binary: &Binary) -> Sampled {
        if self.reader.is_none() {
            if self.since.elapsed() < FORKED && system.has_only_forked(pid) {
                return Sampled::Nothing;
            }
            match system.reader(pid, binary) {
                Ok(reader) => self.reader = Some(reader),
                Err(WalkError::State(error)) => return self.failed(&error),
                Err(_) => return Sampled::Nothing,
            }
        }
        let Some(reader) = &mut self.reader else {
            return Sampled::Nothing;
        };
        match reader.sample() {
            Ok(figures) => {
                let gaps = reader.gaps().len();
                self.was_read(&figures, gaps);
                Sampled::Read(figures)
            }
            Err(StateError::Replaced(_)) => {
                *self = Self::new();
                self.changed = true;
                Sampled::Replaced
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &StateError) -> Sampled {
        let passing = error.is_passing();
        if !passing {
            self.reader = None;
        }
        let missing = missing::after(error);
        if matches!(error, StateError::Memory(MemoryError::Gone { .. })) {
            // Its exit, or its exec, is on its way.
            self.dropped = Some(missing);
            return Sampled::Nothing;
        }
        self.failures += 1;
        // Where no figures are shown the reason is news; else they are, for some time.
        match &mut self.missing {
            Some(before) => {
                self.changed |= before.reason != missing.reason;
                *before = missing;
            }
            None => self.dropped = Some(missing),
        }
        if !passing && self.failures >= MOST_FAILURES {
            self.retry = Some(Instant::now() + LATER);
        }
        if matches!(error, StateError::NotStarted) {
            return Sampled::Nothing;
        }
        Sampled::Dropped
    }
}

/// How old a good sample is when it is shown no more. Rounds are never on the dot, so
/// half an interval before the last that may be missed.
fn shown(interval: Duration) -> Duration {
    (interval * (MISSED - 1) + interval / 2).max(SHOWN_AT_LEAST)
}

/// What this thread has had of a CPU.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests;
