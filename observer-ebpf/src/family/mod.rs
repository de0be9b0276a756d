//! Probe families: what probes count, one folder each.
//!
//! A family's folder has both of its halves: what the programs do at a hit, and the
//! description ([`Family`]) by which all others work. They know no family by name
//! unless they have to, as the one that compares goroutines with the runtime's state
//! does. A family that is a [`Span`] has nothing outside its folder but its line in
//! [`FAMILIES`].

pub(crate) mod collector;
pub(crate) mod goroutines;
mod group;
mod morestack;
mod selection;
pub(crate) mod span;
pub(crate) mod stops;

pub use group::{Group, TIERS};
pub use selection::{Selection, UnknownFamily};
pub use span::{
    At, Function, IN_FLIGHT_NONE, InFlight, InFlightKey, Label, NEWEST, Register, SPAN_BOUNDS_NS,
    SPAN_BUCKETS, Span, SpanFigures, SpanKey, SpanSite, Stack,
};

/// Every family. Its place is its number: it must not change while probes stand, and
/// means nothing otherwise.
pub static FAMILIES: &[&Family] = &[
    &stops::FAMILY,
    &collector::FAMILY,
    &goroutines::FAMILY,
    &morestack::FAMILY,
];

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
    pub thinning: Thinning,
    /// Where its probes stand.
    pub sites: Sites,
    /// What is exported of it, besides what is exported of the runtime's state.
    pub figures: &'static [Figure],
}

/// How probes are kept from costing too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinning {
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
pub struct Figure {
    /// As OpenMetrics names it: a counter without `_total`.
    pub name: &'static str,
    /// One sentence for people.
    pub help: &'static str,
    /// The unit, which is also the end of the name.
    pub unit: Option<&'static str>,
    /// Where it comes from.
    pub source: &'static str,
    /// What it is of a span's figures.
    pub of: Of,
}

/// Which number of a span's figures something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
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
    /// The family of this number.
    pub fn of(number: u8) -> Option<&'static Self> {
        FAMILIES.get(usize::from(number)).copied()
    }

    /// Its span, where it is one.
    pub const fn span(&self) -> Option<&'static Span> {
        match self.sites {
            Sites::Declared(span) => Some(span),
            Sites::Chosen => None,
        }
    }
}

/// What probes counted of one process.
#[cfg(any(test, feature = "user"))]
pub trait Reading {
    /// Adds what was counted on another CPU, or of another process.
    fn add(&mut self, more: &Self);

    /// Probe hits in all.
    fn hits(&self) -> u64;
}

/// A counter and more of it.
#[cfg(any(test, feature = "user"))]
pub(crate) fn plus(into: &mut u64, more: u64) {
    *into = into.saturating_add(more);
}

#[cfg(test)]
mod tests {
    use super::{FAMILIES, Group, Sites, TIERS};

    #[test]
    fn families_are_told_apart() {
        for (number, family) in FAMILIES.iter().enumerate() {
            let same = |other: &&&super::Family| other.name == family.name;
            assert_eq!(FAMILIES.iter().filter(same).count(), 1, "{}", family.name);
            assert!(family.groups.len() <= TIERS, "{}", family.name);
            if let Sites::Declared(span) = family.sites {
                assert_eq!(family.groups.len(), 1, "{}", family.name);
                assert!(!span.begins.is_empty(), "{}", family.name);
            } else {
                assert!(family.figures.is_empty(), "{}", family.name);
            }
            assert!(number < Group::FAMILIES_AT_MOST);
        }
        assert_eq!(Group::RARE.name(), "rare");
        assert_eq!(
            (Group::BATCH.name(), Group::EXACT.name()),
            ("batch", "exact")
        );
    }
}
