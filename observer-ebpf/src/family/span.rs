//! A span: what begins at one function and ends at others, within a goroutine.
//!
//! It is declared as data. Without ends it only counts. A span that begins again in
//! its goroutine before it has ended takes the place of the first, which counts as
//! abandoned: the function was left by a panic, or has called itself. So nothing is
//! in flight for ever, and a function that calls itself is counted each time and
//! timed where it is innermost.

#[cfg(any(test, feature = "user"))]
use super::{ProcessCounts, plus};
use crate::ProcessKey;

/// What a span stands on.
#[derive(Debug)]
pub struct Span {
    /// Where it begins. Those that a program lacks are left out.
    pub begins: &'static [SpanFunction],
    /// Where it ends; nowhere where it is only counted.
    pub ends: &'static [SpanFunction],
    /// What its durations are told apart by.
    pub label: Option<Label>,
}

/// A place in a function, in some releases of Go.
#[derive(Clone, Copy, Debug)]
pub struct SpanFunction {
    /// As the function table names it.
    pub name: &'static str,
    /// The first minor version that has it.
    pub since: u16,
    /// The last one; [`NEWEST`] where it has not gone.
    pub until: u16,
    /// What it runs on.
    pub stack: Stack,
    /// Where in it.
    pub at: SitePosition,
}

/// Of a function that every release has since its first.
pub const NEWEST: u16 = u16::MAX;

/// What a function runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// A stack that does not grow.
    System,
    /// A goroutine's. When that grows, the function is entered again.
    Goroutine,
}

/// Where in a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SitePosition {
    /// Once for each call of it.
    Entry,
    /// At each of its returns.
    Returns,
}

/// A register that tells durations apart.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// As it is exported.
    pub name: &'static str,
    /// Where the register is read. None: where the span begins.
    pub at: Option<SpanFunction>,
    /// Which.
    pub register: Register,
}

/// A word of a call's arguments or results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Register {
    /// None is read.
    None = 0,
    /// The first.
    First = 1,
    /// The second.
    Second = 2,
    /// The third.
    Third = 3,
    /// The fourth.
    Fourth = 4,
}

/// Numbers from here on are one label, 0, as if there were none: whoever runs the
/// program chooses them.
pub(crate) const LABELS: u64 = 600;

/// Key of a span's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct SpanKey {
    /// Whose.
    pub process: ProcessKey,
    /// Number of the span.
    pub span: u32,
    /// What it is told apart by, below [`LABELS`].
    pub label: u32,
}

/// Key of a span that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct InFlightKey {
    /// In which process.
    pub process: ProcessKey,
    /// In which goroutine: its `g`.
    pub goroutine: u64,
    /// Number of the span.
    pub span: u64,
}

/// A span that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct InFlight {
    /// Since when (CLOCK_MONOTONIC, nanoseconds).
    pub began: u64,
    /// What it is told apart by so far.
    pub label: u64,
}

/// One that nobody has begun.
pub const IN_FLIGHT_NONE: InFlight = InFlight { began: 0, label: 0 };

/// Upper bounds of durations, as OpenTelemetry has them.
pub const SPAN_BOUNDS_NS: [u64; 14] = [
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    75_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    750_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    7_500_000_000,
    10_000_000_000,
];

/// Those that took longer are in the last.
pub const SPAN_BUCKETS: usize = SPAN_BOUNDS_NS.len() + 1;

/// Counts of one span with one label, of one process on one CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SpanFigures {
    /// Spans that began; without a label, which comes later.
    pub begun: u64,
    /// Spans that ended.
    pub ended: u64,
    /// Spans that began again before they ended.
    pub abandoned: u64,
    /// Ends of spans whose beginning was not seen.
    pub unmatched: u64,
    /// Hits in all.
    pub hits: u64,
    /// Nanoseconds that those that ended took.
    pub sum_ns: u64,
    /// How many took so long, by [`SPAN_BOUNDS_NS`].
    pub buckets: [u64; SPAN_BUCKETS],
    /// Nanoseconds that the latest hits took, until they are charged.
    pub unpaid_ns: u64,
}

impl SpanFigures {
    /// No hit yet.
    pub const ZERO: Self = Self {
        begun: 0,
        ended: 0,
        abandoned: 0,
        unmatched: 0,
        hits: 0,
        sum_ns: 0,
        buckets: [0; SPAN_BUCKETS],
        unpaid_ns: 0,
    };

    /// Which bucket a duration falls in. A bound is its bucket's last.
    #[inline(always)]
    pub fn bucket(ns: u64) -> usize {
        let mut bucket = 0;
        for bound in SPAN_BOUNDS_NS {
            bucket += usize::from(ns > bound);
        }
        bucket
    }
}

#[cfg(any(test, feature = "user"))]
impl ProcessCounts for SpanFigures {
    fn add(&mut self, more: &Self) {
        plus(&mut self.begun, more.begun);
        plus(&mut self.ended, more.ended);
        plus(&mut self.abandoned, more.abandoned);
        plus(&mut self.unmatched, more.unmatched);
        plus(&mut self.hits, more.hits);
        plus(&mut self.sum_ns, more.sum_ns);
        for (into, more) in self.buckets.iter_mut().zip(more.buckets) {
            plus(into, more);
        }
        plus(&mut self.unpaid_ns, more.unpaid_ns);
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}

#[cfg(feature = "user")]
mod pod {
    use super::{InFlight, InFlightKey, SpanFigures, SpanKey};

    // SAFETY: as all of them: `repr(C)`, only integers and no padding, as
    // `padding.rs` checks.
    unsafe impl aya::Pod for SpanKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for InFlightKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for InFlight {}
    // SAFETY: as above.
    unsafe impl aya::Pod for SpanFigures {}
}
