//! What a binary cannot give, known before anything is read.

use super::globals::Globals;
use crate::release::{Found, GapReason, Layout, StateFigure, StateGap, lacking};

/// What no process of a binary can give, and why. A gap of [`StateFigure::State`]
/// means that nothing can be read at all.
pub(super) fn expected(globals: &Globals, layout: &Layout) -> Vec<StateGap> {
    let needed = [
        ("runtime.sched", &globals.sched),
        ("runtime.allgs", &globals.allgs),
        ("runtime.allp", &globals.allp),
        ("runtime.memstats", &globals.memstats),
        ("runtime.gcController", &globals.gc_controller),
    ];
    if let Some((name, _)) = needed.iter().find(|(_, global)| global.is_none()) {
        let why = globals.gaps.iter().find(|gap| gap.global == *name);
        let why = why.map_or("", |gap| gap.detail.as_str());
        return vec![StateGap {
            figure: StateFigure::State,
            reason: GapReason::NoGlobal,
            detail: format!("{name} was not found: {why}"),
        }];
    }
    let found = Found {
        allm: globals.allm.is_some(),
        cpu_stats: globals.cpu_stats.is_some(),
    };
    lacking(layout, found)
}
