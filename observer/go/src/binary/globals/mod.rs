//! Where the runtime's global variables are.
//!
//! A stripped binary does not say. But the runtime's functions refer to the
//! fields of each global by fixed addresses, and a global's fields lie at
//! known distances from one another: the base for which the most fields are
//! met by references is the global, and each field met is a witness of its
//! own. With a symbol table the symbol is one more witness.

mod patterns;
mod references;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::Serialize;

use self::{
    patterns::{
        ALLGS, ALLM, ALLP, CONTROLLER, CONTROLLER_BEFORE_COMMIT, CPU_STATS, CPU_STATS_INLINED,
        MEMSTATS, Pattern, SCHED,
    },
    references::{Reference, collect},
};
use super::{FunctionCode, isa};
use crate::release::{Arch, ControllerShown, CpuStatsAdded, Field, Layout, ReleaseRules};

/// A global that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Global {
    /// Its link-time address.
    pub address: u64,
    /// How many references agree that it is there, the symbol included.
    pub witnesses: u32,
    /// They, for people.
    pub found_by: String,
}

/// The globals of one binary; `None` where not found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Globals {
    /// `runtime.sched`.
    pub sched: Option<Global>,
    /// `runtime.allgs`.
    pub allgs: Option<Global>,
    /// `runtime.allp`.
    pub allp: Option<Global>,
    /// `runtime.memstats`.
    pub memstats: Option<Global>,
    /// `runtime.gcController`.
    pub gc_controller: Option<Global>,
    /// `runtime.work.cpuStats`, 1.20 and later. Found itself, because what
    /// lies before it in `work` differs between patch releases.
    pub cpu_stats: Option<Global>,
    /// `runtime.allm`.
    pub allm: Option<Global>,
    /// What was not found, and why.
    pub gaps: Vec<GlobalGap>,
}

/// A global that was not found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GlobalGap {
    /// For example `runtime.allm`.
    pub global: &'static str,
    /// What is missing or contradicts.
    pub detail: String,
}

const PATTERNS: [&Pattern; 7] = [
    &SCHED,
    &MEMSTATS,
    &CONTROLLER,
    &CPU_STATS,
    &ALLGS,
    &ALLP,
    &ALLM,
];

/// The symbols that [`find`] asks for.
pub(crate) const SYMBOLS: [&str; 7] = [
    "runtime.sched",
    "runtime.allgs",
    "runtime.allp",
    "runtime.memstats",
    "runtime.gcController",
    "runtime.work",
    "runtime.allm",
];

/// Whether [`find`] needs this function.
pub fn wanted(name: &str) -> bool {
    PATTERNS
        .iter()
        .any(|p| p.functions.contains(&name) || p.base_in.contains(&name))
}

/// Finds the globals of a binary of a release in the table. `functions` are those for which
/// [`wanted`] holds; `symbols` gives a symbol's address where there is a
/// symbol table.
pub fn find(
    layout: &Layout,
    functions: &[FunctionCode],
    symbols: &dyn Fn(&str) -> Option<u64>,
) -> Globals {
    let fields = |name: &str| Layout::field(layout.version, layout.arch, name);
    find_by(layout.rules, layout.arch, &fields, functions, symbols)
}

/// As [`find`], by where the fields lie.
pub(crate) fn find_by(
    rules: &ReleaseRules,
    arch: Arch,
    fields: &dyn Fn(&str) -> Option<Field>,
    functions: &[FunctionCode],
    symbols: &dyn Fn(&str) -> Option<u64>,
) -> Globals {
    let references = collect(isa::of(arch), functions);
    let mut globals = Globals::default();
    let mut look = |pattern: &Pattern, not_in: Option<(u64, u64)>| {
        let symbol = match pattern.global {
            "runtime.work.cpuStats" => fields("workType.cpuStats")
                .and_then(|field| Some(symbols("runtime.work")?.wrapping_add(field.offset as u64))),
            global => symbols(global),
        };
        match locate(fields, pattern, &references, not_in, symbol) {
            Ok(global) => Some(global),
            Err(detail) => {
                globals.gaps.push(GlobalGap {
                    global: pattern.global,
                    detail,
                });
                None
            }
        }
    };
    let sched = look(&SCHED, None);
    // `allm` is one word; the scheduler's own words look like it.
    let size = fields("schedt").map_or(0, |whole| whole.size as u64);
    let in_sched = sched
        .as_ref()
        .map(|s| (s.address, s.address.saturating_add(size)));
    let allgs = look(&ALLGS, None);
    let allp = look(&ALLP, None);
    let memstats = look(&MEMSTATS, None);
    let gc_controller = match rules.controller {
        ControllerShown::Collector => look(&CONTROLLER_BEFORE_COMMIT, None),
        ControllerShown::Commit => look(&CONTROLLER, None),
    };
    let threads = look(&ALLM, in_sched);
    let cpu_stats = fields("cpuStats").and_then(|_| match rules.cpu_stats {
        CpuStatsAdded::Nowhere => None,
        CpuStatsAdded::Inlined => look(&CPU_STATS_INLINED, None),
        CpuStatsAdded::Called => look(&CPU_STATS, None),
    });
    Globals {
        sched,
        allgs,
        allp,
        memstats,
        gc_controller,
        cpu_stats,
        allm: threads,
        gaps: globals.gaps,
    }
}

/// A base and the places in it that references meet.
struct Candidate {
    base: u64,
    met: Vec<u64>,
}

fn locate(
    fields: &dyn Fn(&str) -> Option<Field>,
    pattern: &Pattern,
    references: &[Reference<'_>],
    not_in: Option<(u64, u64)>,
    symbol: Option<u64>,
) -> Result<Global, String> {
    let place = |name: &&str| Some(fields(name)?.offset as u64);
    let mut places: Vec<u64> = pattern.fields.iter().filter_map(place).collect();
    places.extend(pattern.places);
    places.sort_unstable();
    places.dedup();
    let mut targets: Vec<u64> = references
        .iter()
        .filter(|r| pattern.functions.contains(&r.function))
        .map(|r| r.target)
        .collect();
    targets.sort_unstable();
    targets.dedup();
    let met = |base: u64| -> Vec<u64> {
        let hit = |place: &&u64| targets.binary_search(&base.wrapping_add(**place)).is_ok();
        places.iter().filter(hit).copied().collect()
    };
    if let Some(symbol) = symbol {
        let met = met(symbol).len();
        return Ok(Global {
            address: symbol,
            witnesses: 1 + met as u32,
            found_by: format!(
                "symbol table; {met} of its places referred to by {}",
                pattern.functions.join(", ")
            ),
        });
    }
    let mut bases: Vec<u64> = match pattern.anchor {
        Some((field, constant)) => {
            let offset =
                place(&field).ok_or_else(|| format!("the place of {field} is not known"))?;
            references
                .iter()
                .filter(|r| r.constant == Some(constant))
                .filter(|r| pattern.functions.contains(&r.function))
                .map(|r| r.target.wrapping_sub(offset))
                .collect()
        }
        None => targets
            .iter()
            .flat_map(|target| places.iter().map(|place| target.wrapping_sub(*place)))
            .collect(),
    };
    bases.sort_unstable();
    bases.dedup();
    // There are thousands of bases, so nothing is searched for each from the start.
    let targets_of = |wanted: &dyn Fn(&Reference<'_>) -> bool| -> BTreeSet<u64> {
        let wanted = references.iter().filter(|r| wanted(r));
        wanted.map(|r| r.target).collect()
    };
    let base_in: Vec<BTreeSet<u64>> = pattern
        .base_in
        .iter()
        .map(|function| targets_of(&|r| r.function == *function))
        .collect();
    let taken = targets_of(&|r| r.taken && pattern.functions.contains(&r.function));
    bases.retain(|base| {
        let free = |distance: &u64| {
            targets
                .binary_search(&base.wrapping_add(*distance))
                .is_err()
        };
        pattern.not_at.iter().all(free)
            && not_in.is_none_or(|(start, end)| !(start..end).contains(base))
            && base_in.iter().all(|targets| targets.contains(base))
            && (!pattern.base_taken || taken.contains(base))
    });
    let mut candidates: Vec<Candidate> = bases
        .into_iter()
        .map(|base| Candidate {
            base,
            met: met(base),
        })
        .filter(|candidate| candidate.met.len() as u32 >= pattern.least)
        .collect();
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.met.len()));
    let best = match candidates.as_slice() {
        [one] => Some(one),
        [first, second, ..] if first.met.len() > second.met.len() => Some(first),
        _ => None,
    };
    let extra = pattern.base_in.len() as u32;
    let Some(best) = best else {
        return Err(format!(
            "{} bases fit the references of {}",
            candidates.len(),
            pattern.functions.join(", ")
        ));
    };
    Ok(Global {
        address: best.base,
        witnesses: best.met.len() as u32 + extra,
        found_by: format!(
            "{} of its places referred to by {}",
            best.met.len(),
            pattern.functions.join(", ")
        ),
    })
}
