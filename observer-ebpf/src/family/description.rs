//! What is said of a family, so that all others need not know it by name.

use super::Span;

/// What is known of a family without looking at a program.
#[derive(Debug)]
pub struct Family {
    /// As settings, labels and logs name it.
    pub name: &'static str,
    /// Whether it is probed only where somebody asks for it.
    pub on_request: bool,
    /// Its groups of probes, by name. Where they cost too much, the last leaves first.
    pub groups: &'static [&'static str],
    /// How they are kept from costing too much.
    pub thinning: CostControl,
    /// Where its probes stand.
    pub sites: Sites,
    /// What is exported of it, besides what is exported of the runtime's state.
    pub figures: &'static [SpanMetric],
}

/// How probes are kept from costing too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CostControl {
    /// What they cost is measured, and groups leave until the rest is within the
    /// budget.
    Measured,
    /// The programs tell where it is too much at once, and all leave.
    AtOnce,
}

/// Where a family's probes stand.
#[derive(Clone, Copy, Debug)]
pub enum Sites {
    /// Code chooses, since the functions may be inlined into others.
    Chosen,
    /// At the functions of a span.
    Declared(&'static Span),
}

/// A figure of a span that is exported.
#[derive(Clone, Copy, Debug)]
pub struct SpanMetric {
    /// As OpenMetrics names it: a counter without `_total`.
    pub name: &'static str,
    /// One sentence for people.
    pub help: &'static str,
    /// The unit, which is also the end of the name.
    pub unit: Option<&'static str>,
    /// Where it comes from.
    pub source: &'static str,
    /// What it is of a span's figures.
    pub of: SpanQuantity,
}

/// Which number of a span's figures something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanQuantity {
    /// How many began: a counter.
    Begun,
    /// How many go on: a gauge.
    InFlight,
    /// How many were never seen to end: a counter.
    Abandoned,
    /// How long those that ended took, by label where there is one: a histogram.
    Durations,
}

impl Family {
    /// Its span, where it is one.
    pub const fn span(&self) -> Option<&'static Span> {
        match self.sites {
            Sites::Declared(span) => Some(span),
            Sites::Chosen => None,
        }
    }
}
