//! The state of one process, sampled again and again, whatever becomes of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::observation::Missing;
use crate::{
    discover::{self, Refusal},
    gobinary::{Binary, Figure, Gap, Reason},
    runtime::{MemoryError, Reader, StateError, StateFigures, WalkError, reader_of},
};

/// Failures in a row after which the last good sample is no longer shown.
const MOST_FAILURES: u32 = 10;
/// After as many the next try waits, so that a process that never can be read
/// costs nothing.
const LATER: Duration = Duration::from_secs(10);
/// A process that has forked and not executed shares or copies its parent's
/// memory, and with it the parent's figures. It mostly executes at once.
const FORKED: Duration = Duration::from_secs(2);

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
pub(super) struct Watch {
    reader: Option<Box<Reader>>,
    since: Instant,
    failures: u32,
    retry: Option<Instant>,
    missing: Option<Missing>,
    gaps: usize,
    changed: bool,
    /// Good samples.
    good: u32,
    /// Whether the last one told what was created and what ended.
    tells_goroutines: bool,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            reader: None,
            since: Instant::now(),
            failures: 0,
            retry: None,
            missing: Some(Missing {
                reason: Reason::NotSampled,
                detail: "the process has not been sampled, or ended before it was".to_owned(),
            }),
            gaps: 0,
            changed: false,
            good: 0,
            tells_goroutines: false,
        }
    }

    /// Whether the state tells now how many goroutines were created and ended.
    pub(super) fn tells_goroutines(&self) -> bool {
        self.missing.is_none() && self.tells_goroutines
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
    pub(super) fn missing(&self, binary: &Binary, figure: Figure) -> Option<Missing> {
        let of = |gap: &Gap| Missing {
            reason: gap.reason,
            detail: gap.detail.clone(),
        };
        if let Some(gap) = binary.state.gaps.iter().find(|gap| gap.figure == figure) {
            return Some(of(gap));
        }
        if self.missing.is_some() {
            return self.missing.clone();
        }
        let gaps = self.reader.as_ref()?.gaps().iter().cloned().map(Gap::from);
        gaps.into_iter()
            .find(|gap| gap.figure == figure)
            .map(|gap| of(&gap))
    }

    /// Whether the last sample still holds, and nothing about it is news. Asked
    /// before each sample.
    pub(super) fn stands_still(&mut self) -> bool {
        let reader = self.reader.as_mut();
        let still = reader.is_some_and(|reader| reader.stands_still())
            && self.missing.is_none()
            && !self.changed;
        self.good = self.good.saturating_add(u32::from(still));
        still
    }

    /// Reads the state once.
    pub(super) fn sample(&mut self, pid: u32, binary: &Binary) -> Sampled {
        if binary.state.globals.is_none() || self.retry.is_some_and(|at| Instant::now() < at) {
            return Sampled::Nothing;
        }
        if self.reader.is_none() {
            if self.since.elapsed() < FORKED && discover::has_only_forked(pid) {
                return Sampled::Nothing;
            }
            match reader_of(pid, binary) {
                Ok(reader) => self.reader = Some(Box::new(reader)),
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
                self.changed |= self.missing.is_some() || self.gaps != gaps;
                self.gaps = gaps;
                self.missing = None;
                self.good = self.good.saturating_add(1);
                let goroutines = &figures.goroutines;
                self.tells_goroutines = goroutines.created.and(goroutines.exited).is_some();
                self.failures = 0;
                self.retry = None;
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
        if matches!(error, StateError::Memory(MemoryError::Gone { .. })) {
            // Its exit, or its exec, is on its way.
            return Sampled::Nothing;
        }
        self.failures += 1;
        // Until the first good sample the reason is news; a good one is
        // believed for some time.
        if self.missing.is_some() || self.failures >= MOST_FAILURES {
            let missing = missing(error);
            self.changed |= self
                .missing
                .as_ref()
                .is_none_or(|before| before.reason != missing.reason);
            self.missing = Some(missing);
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

fn missing(error: &StateError) -> Missing {
    let denied = matches!(error, StateError::Memory(MemoryError::Permission { .. }));
    if let (true, Refusal::AppArmor(profile)) = (denied, discover::refusal()) {
        return Missing {
            reason: Reason::Apparmor,
            detail: format!(
                "AppArmor's profile {profile} forbids the observer to read the process's memory: \
                 run it unconfined (appArmorProfile: Unconfined), or with a profile that has \
                 `ptrace (read, trace),`"
            ),
        };
    }
    Missing {
        reason: reason(error),
        detail: error.to_string(),
    }
}

fn reason(error: &StateError) -> Reason {
    match error {
        StateError::Memory(MemoryError::Permission { .. }) => Reason::PermissionDenied,
        StateError::Memory(_) => Reason::ReadFailed,
        StateError::MissingGlobal(_) => Reason::NoGlobal,
        StateError::Unconfirmed { .. } => Reason::Unconfirmed,
        StateError::NotStarted | StateError::Replaced(_) => Reason::NotSampled,
        StateError::Moving
        | StateError::Torn(_)
        | StateError::Implausible { .. }
        | StateError::Backwards { .. } => Reason::ImplausibleValue,
    }
}
