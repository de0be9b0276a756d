//! Stops of the world: why, for how long, and how long it took to stop.

mod figures;
mod older;
mod record;
mod sites;
mod waiting;

pub use figures::{STOPS_KEPT, STW_REASONS, StopFigures, StopRecord, StwReason};

use super::{CostControl, Family, Sites};

pub(super) static FAMILY: Family = Family {
    name: "stops",
    on_request: false,
    groups: &["rare"],
    thinning: CostControl::AtOnce,
    sites: Sites::Chosen,
    figures: &[],
};
