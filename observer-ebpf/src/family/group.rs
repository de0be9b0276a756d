//! Probes that come and go together.

use super::{FAMILIES, Family};
use crate::{SiteKind, SpanSite};

/// Groups that a family has at most.
pub const TIERS: usize = 2;

/// Sites whose probes come and go together: a family's, and where in the order in
/// which its groups stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeGroup {
    family: u8,
    tier: u8,
}

/// Places of the families in [`FAMILIES`] whose sites are chosen by code.
const STOPS: u8 = 0;
const GOROUTINES: u8 = 2;

impl ProbeGroup {
    /// Collector and stops. Cycles consist of stops, so neither is of use alone.
    pub const RARE: Self = Self::new(STOPS, 0);
    /// One hit for a batch of goroutines created.
    pub const BATCH: Self = Self::new(GOROUTINES, 0);
    /// One hit for each goroutine that comes or goes.
    pub const EXACT: Self = Self::new(GOROUTINES, 1);

    /// Families that there can be.
    pub const FAMILIES_AT_MOST: usize = 32;

    /// A family's group of this tier.
    pub const fn new(family: u8, tier: u8) -> Self {
        Self { family, tier }
    }

    /// The group of a site. `aux` is its own, which names a span's family.
    pub const fn of(kind: SiteKind, aux: i32) -> Self {
        match kind {
            SiteKind::GoroutineCreated
            | SiteKind::GoroutineExited
            | SiteKind::SystemGoroutineCreated
            | SiteKind::SystemGoroutineExited => Self::EXACT,
            SiteKind::GoidRefill => Self::BATCH,
            SiteKind::SpanCounted
            | SiteKind::SpanBegins
            | SiteKind::SpanEnds
            | SiteKind::SpanLabelled => Self::new(SpanSite::of(aux).span, 0),
            _ => Self::RARE,
        }
    }

    /// Every group, in the order in which probes are set.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        let of = |(number, family): (usize, &&'static Family)| {
            (0..family.groups.len()).map(move |tier| Self::new(number as u8, tier as u8))
        };
        FAMILIES.iter().enumerate().flat_map(of)
    }

    /// The number of its family.
    pub const fn family(self) -> u8 {
        self.family
    }

    /// How many of its family's groups stay longer than it.
    pub const fn tier(self) -> u8 {
        self.tier
    }

    /// As labels and logs name it.
    pub fn name(self) -> &'static str {
        let family = Family::of(self.family);
        let name = family.and_then(|family| family.groups.get(usize::from(self.tier)));
        name.copied().unwrap_or_default()
    }

    /// Whether a set has it.
    pub const fn is_in(self, set: u64) -> bool {
        set & self.bit() != 0
    }

    /// What it is in a set of groups.
    pub const fn bit(self) -> u64 {
        1 << (self.family as usize * TIERS + self.tier as usize)
    }
}
