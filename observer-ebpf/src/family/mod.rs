//! Probe families: what probes count, one folder each.
//!
//! A family's folder has both of its halves: what the programs do at a hit, and the
//! description ([`Family`]) by which all others work. They know no family by name
//! unless they have to, as the one that compares goroutines with the runtime's state
//! does. A family that is a [`Span`] has nothing outside its folder but its line in
//! [`FAMILIES`].

pub(crate) mod collector;
mod description;
pub(crate) mod goroutines;
mod group;
mod morestack;
#[cfg(any(test, feature = "user"))]
mod process_counts;
mod selection;
pub(crate) mod span;
pub(crate) mod stops;

pub use description::{CostControl, Family, Sites, SpanMetric, SpanQuantity};
pub use group::{ProbeGroup, TIERS};
#[cfg(any(test, feature = "user"))]
pub use process_counts::ProcessCounts;
#[cfg(any(test, feature = "user"))]
pub(crate) use process_counts::plus;
pub use selection::{Selection, UnknownFamily};
pub use span::{
    IN_FLIGHT_NONE, InFlight, InFlightKey, Label, NEWEST, Register, SPAN_BOUNDS_NS, SPAN_BUCKETS,
    SitePosition, Span, SpanFigures, SpanFunction, SpanKey, Stack,
};

/// Every family. Its place is its number: it must not change while probes stand, and
/// means nothing otherwise.
pub static FAMILIES: &[&Family] = &[
    &stops::FAMILY,
    &collector::FAMILY,
    &goroutines::FAMILY,
    &morestack::FAMILY,
];

impl Family {
    /// The family of this number.
    pub fn of(number: u8) -> Option<&'static Self> {
        FAMILIES.get(usize::from(number)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{FAMILIES, ProbeGroup, Sites, TIERS};

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
            assert!(number < ProbeGroup::FAMILIES_AT_MOST);
        }
        assert_eq!(ProbeGroup::RARE.name(), "rare");
        assert_eq!(
            (ProbeGroup::BATCH.name(), ProbeGroup::EXACT.name()),
            ("batch", "exact")
        );
    }
}
