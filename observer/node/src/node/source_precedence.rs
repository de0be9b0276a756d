//! The best known value of what both probes and the runtime's state tell.
//!
//! The state is exact since the process began, whenever the observer did, so it
//! comes first. It is never mixed with the probes' counts within one process:
//! where it is withheld, so is the figure, or a counter would go back.

use observer_ebpf::GcFigures;
use observer_go::{
    binary::{FigureGroup, Reason},
    runtime::StateFigures,
};

use super::observation::{EventFigures, Observation, StateSample};

/// Where a figure comes from.
enum Source<'a> {
    State(&'a StateFigures),
    Events(&'a EventFigures),
    /// It is not known now.
    Withheld,
}

impl Observation {
    /// Whether the figures of a group are exact.
    pub fn covers(&self, figure: FigureGroup) -> bool {
        matches!(self.coverage.0.get(&figure), Some(None))
    }

    /// Whether nobody touches the process, so that it has no figures.
    pub fn is_left_alone(&self) -> bool {
        let state = self.coverage.0.get(&FigureGroup::State);
        let missing = state.and_then(Option::as_ref);
        missing.is_some_and(|it| {
            matches!(
                it.reason,
                Reason::Excluded | Reason::PodUnknown | Reason::SharedLibrary
            )
        })
    }

    /// Whether the process's program is not Go, and has Go in a library only.
    pub(crate) fn is_host(&self) -> bool {
        self.library.is_some()
    }

    /// The runtime's state, where it holds.
    pub fn state(&self) -> Option<&StateFigures> {
        let sample = self.figures.state.as_ref()?;
        self.covers(FigureGroup::State).then_some(&sample.figures)
    }

    /// Live goroutines as `runtime.NumGoroutine` counts them; of an ended
    /// process none.
    pub fn live(&self) -> Option<u64> {
        if self.ended.is_some() || !self.covers(FigureGroup::Goroutines) {
            return None;
        }
        match self.state() {
            Some(state) => Some(state.goroutines.live),
            None => self.figures.events.live(),
        }
    }

    /// Goroutines created, the runtime's own included.
    pub fn created(&self) -> Option<u64> {
        self.best(
            FigureGroup::GoroutinesCreated,
            |state| state.goroutines.created,
            |events| events.goroutines.created,
        )
    }

    /// Goroutines ended, the runtime's own included.
    pub fn exited(&self) -> Option<u64> {
        self.best(
            FigureGroup::GoroutinesExited,
            |state| state.goroutines.exited,
            |events| events.goroutines.exited,
        )
    }

    /// Collections completed.
    pub fn cycles(&self) -> Option<u64> {
        self.best(
            FigureGroup::GcCycles,
            |state| Some(state.collections.cycles),
            |events| of_gc(events, |gc| gc.completed.iter().sum()),
        )
    }

    /// Collections that the program forced.
    pub fn forced_cycles(&self) -> Option<u64> {
        self.best(
            FigureGroup::GcCycles,
            |state| Some(state.collections.forced),
            |events| of_gc(events, |gc| gc.completed[FORCED]),
        )
    }

    /// Pauses of the collector together, and of how many cycles.
    pub fn pauses(&self) -> Option<(u64, u64)> {
        let total = self.best(
            FigureGroup::GcPauses,
            |state| Some(state.collections.pause_total_ns),
            |events| of_gc(events, |gc| gc.pause_total_ns),
        )?;
        let cycles = self.best(
            FigureGroup::GcPauses,
            |state| Some(state.collections.cycles),
            |events| of_gc(events, |gc| gc.whole_cycles),
        )?;
        Some((total, cycles))
    }

    /// The pause of the last collection; of its stops together.
    pub fn last_pause(&self) -> Option<u64> {
        if let Some(state) = self.state() {
            return state
                .collections
                .recent
                .last()
                .map(|pause| pause.duration_ns);
        }
        let gc = self.figures.events.gc.as_deref();
        let last = gc.filter(|gc| gc.whole_cycles > 0 && self.covers(FigureGroup::GcPauses))?;
        let (sweep, mark) = (
            last.last.sweep_termination_ns,
            last.last.mark_termination_ns,
        );
        Some(sweep.saturating_add(mark))
    }

    fn best(
        &self,
        figure: FigureGroup,
        of_state: impl Fn(&StateFigures) -> Option<u64>,
        of_events: impl Fn(&EventFigures) -> u64,
    ) -> Option<u64> {
        let known = |sample: &StateSample| of_state(&sample.figures).is_some();
        let source = match (&self.figures.state, self.state()) {
            (_, Some(state)) if of_state(state).is_some() => Source::State(state),
            (Some(sample), None) if known(sample) => Source::Withheld,
            _ => Source::Events(&self.figures.events),
        };
        match source {
            Source::State(state) => of_state(state),
            Source::Events(events) => self.covers(figure).then(|| of_events(events)),
            Source::Withheld => None,
        }
    }
}

/// Index of the forced cycles among the triggers.
pub(super) const FORCED: usize = 2;

fn of_gc(events: &EventFigures, of: impl Fn(&GcFigures) -> u64) -> u64 {
    events.gc.as_deref().map_or(0, of)
}
