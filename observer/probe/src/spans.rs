//! Reading what was counted of spans.

use std::collections::BTreeMap;

use aya::maps::PerCpuValues;
use observer_ebpf::{
    ProcessKey,
    family::{InFlightKey, ProcessCounts as _, SpanFigures, SpanKey},
};

use super::{Probes, read::EXIST};

/// What was counted of spans, each with what it is told apart by.
pub type Spans = BTreeMap<SpanLabel, SpanFigures>;

/// A span, and what it is told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpanLabel {
    /// Its number.
    pub span: u8,
    /// 0 where nothing tells it apart.
    pub label: u32,
}

impl Probes {
    /// Whether any span is probed.
    pub fn has_spans(&self) -> bool {
        self.selection.has_spans()
    }

    /// What a process's spans counted, summed over CPUs. Nothing where none was hit.
    pub fn spans(&self, process: ProcessKey) -> Spans {
        let keys = self.keys_of(process).into_iter();
        let read = |key: SpanKey| {
            let label = SpanLabel {
                span: key.span as u8,
                label: key.label,
            };
            Some((label, self.sum(key)?))
        };
        keys.filter_map(read).collect()
    }

    /// Where a process's spans may have figures.
    fn keys_of(&self, process: ProcessKey) -> Vec<SpanKey> {
        let spans = self.selection.families();
        let spans = spans.filter_map(|(number, family)| Some((number, family.span()?)));
        let mut keys = Vec::new();
        for (number, span) in spans {
            let span_of = |key: &SpanKey| key.process == process && key.span == u32::from(number);
            if span.label.is_some() {
                keys.extend(self.spans.keys().flatten().filter(span_of));
            } else {
                keys.push(SpanKey {
                    process,
                    span: u32::from(number),
                    label: 0,
                });
            }
        }
        keys
    }

    fn sum(&self, key: SpanKey) -> Option<SpanFigures> {
        let cpus = self.spans.get(&key, 0).ok()?;
        let mut sum = SpanFigures::ZERO;
        cpus.iter().for_each(|cpu| sum.add(cpu));
        Some(sum)
    }

    /// All that is kept of spans. Where none is probed, nothing is.
    pub(super) fn span_keys(&self) -> (Vec<SpanKey>, Vec<InFlightKey>) {
        if !self.selection.has_spans() {
            return (Vec::new(), Vec::new());
        }
        let counted = self.spans.keys().flatten().collect();
        if !self.selection.has_durations() {
            return (counted, Vec::new());
        }
        (counted, self.in_flight.keys().flatten().collect())
    }

    /// Deletes what was counted of a process's spans.
    pub(super) fn take_spans(&mut self, process: ProcessKey) {
        for key in self.keys_of(process) {
            // Where there was none, there is nothing to delete.
            let _ = self.spans.remove(&key);
        }
    }

    /// Deletes the spans of processes that are no more: nobody tells of their end.
    pub fn forget_spans(&mut self, lives: impl Fn(ProcessKey) -> bool) {
        let (_, in_flight) = self.span_keys();
        for key in in_flight.iter().filter(|key| !lives(key.process)) {
            // Where it went meanwhile, that is as good.
            let _ = self.in_flight.remove(key);
        }
    }

    /// Forgets the spans that went on when the probes of a span left a target's
    /// processes: nobody saw how they ended. None may stand.
    pub(super) fn forget_in_flight(&mut self, span: u8, processes: &[ProcessKey]) {
        let (_, in_flight) = self.span_keys();
        let number = u32::from(span);
        let its =
            |key: &&InFlightKey| key.span == u64::from(span) && processes.contains(&key.process);
        for key in in_flight.iter().filter(its) {
            // Where it went meanwhile, that is as good.
            if self.in_flight.remove(key).is_ok() {
                self.abandoned(SpanKey {
                    process: key.process,
                    span: number,
                    label: 0,
                });
            }
        }
    }

    /// One more that was never seen to end, on whichever CPU.
    fn abandoned(&mut self, key: SpanKey) {
        let Ok(cpus) = self.spans.get(&key, 0) else {
            return;
        };
        let mut copies = cpus.to_vec();
        if let Some(first) = copies.first_mut() {
            first.abandoned += 1;
        }
        if let Ok(copies) = PerCpuValues::try_from(copies) {
            // Fails where the process has ended, as it should.
            let _ = self.spans.insert(&key, copies, EXIST);
        }
    }
}
