//! What a probe hit costs.

use observer_go::binary::Site;

/// What one hit of a probe takes from the process, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HitCost {
    /// On an instruction that the kernel emulates: one trap.
    pub emulated_ns: f64,
    /// On one that it single-steps: two.
    pub single_stepped_ns: f64,
}

impl HitCost {
    /// For a machine where it could not be measured.
    pub const FALLBACK: Self = Self {
        emulated_ns: 600.0,
        single_stepped_ns: 6_000.0,
    };

    /// What a hit of a site costs.
    pub fn of(self, site: &Site) -> f64 {
        if site.emulated {
            self.emulated_ns
        } else {
            self.single_stepped_ns
        }
    }
}

impl Default for HitCost {
    fn default() -> Self {
        Self::FALLBACK
    }
}
