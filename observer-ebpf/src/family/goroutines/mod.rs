//! Goroutines created and ended: each, and by batches of 16 ids.

mod figures;
mod program;

pub use figures::GoroutineFigures;
pub(crate) use program::count;

use super::{CostControl, Family, Sites};

pub(super) static FAMILY: Family = Family {
    name: "goroutines",
    on_request: false,
    groups: &["batch", "exact"],
    thinning: CostControl::Measured,
    sites: Sites::Chosen,
    figures: &[],
};
