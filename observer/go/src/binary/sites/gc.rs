//! Sites that tell when a collection was asked for and really began. Its end
//! is the world starting again after mark termination, a site of the stops.

use super::super::{SiteKind, isa::Registers};
use super::choose::FunctionEntry;
use super::decoded::{DecodedFunctions, Sites};

const START: &str = "runtime.gcStart";
const START_WORKERS: &str = "runtime.gcBgMarkStartWorkers";

/// `gcStart` with the trigger's kind, and `gcBgMarkStartWorkers`, which it
/// calls once when it goes through with it.
pub(super) fn cycles(image: &DecodedFunctions) -> Sites {
    let goroutine = image.isa.goroutine();
    let entry = FunctionEntry {
        intact: Registers::NONE.with(goroutine),
        growable: true,
    };
    let workers = image.function(START_WORKERS)?.function.address;
    if !image.function(START)?.leads_to(workers) {
        return Err(image.no_site(format!("{START_WORKERS} is inlined into {START}")));
    }
    Ok(vec![
        image.argument_site(SiteKind::GcStart, START, entry, 1)?,
        image.entry_site(SiteKind::GcCycle, START_WORKERS, entry, 0)?,
    ])
}
