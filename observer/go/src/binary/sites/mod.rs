//! Where probes stand: for each thing to be counted, the cheapest instruction
//! that is executed exactly as often as it happens.
//!
//! Symbols are not needed, only the function table's names and the machine
//! code: instructions are decoded, never matched by offset, so that patch
//! releases, build modes and stripping make no difference. No file here knows
//! an instruction set; [`InstructionSet`] tells what each instruction does.
//! What cannot be seen exactly is a [`Gap`], never a guess.

#[cfg(test)]
mod arm64_tests;
mod choose;
mod code;
mod declared;
mod decoded;
mod gc;
mod globals;
mod goroutines;
mod stops;
#[cfg(test)]
mod tests;
mod ways;

use decoded::{DecodedFunctions, Missing, Sites};

use super::{FigureGroup, FunctionCode, Gap, Reason, SitePlan, isa::InstructionSet};
use crate::release::{Exit, GoVersion, ReleaseRules, rules};
pub(super) use declared::{declare, explain};

/// Whether [`plan`] wants the machine code of the function of this name. Of a release
/// without rules it wants none.
pub(super) fn wanted(version: GoVersion, name: &str) -> bool {
    rules(version.minor).is_some_and(|rules| wanted_by(version, rules, name))
}

fn wanted_by(version: GoVersion, rules: &ReleaseRules, name: &str) -> bool {
    match name {
        "runtime.newproc1"
        | "runtime.goexit0"
        | "runtime.schedinit"
        | "runtime.gcBgMarkStartWorkers"
        | "runtime.stopTheWorldWithSema" => true,
        "runtime.gdestroy" => rules.exit == Exit::Gdestroy,
        _ => {
            rules.reason_function == Some(name)
                || rules.stopping_function == Some(name)
                || stops::is_caller(name)
                || goroutines::is_caller(name)
                || declared::wanted(version, name)
        }
    }
}

/// Chooses the sites. `functions` are those that are [`wanted`] (others do not
/// matter); `offset_of` tells where in the file an address is.
pub(super) fn plan(
    isa: &'static dyn InstructionSet,
    version: GoVersion,
    functions: &[FunctionCode],
    offset_of: &dyn Fn(u64) -> Option<u64>,
) -> SitePlan {
    let mut plan = SitePlan::default();
    let Some(rules) = rules(version.minor) else {
        plan.gaps = FigureGroup::EVENTS
            .map(|figure| Gap {
                figure,
                reason: Reason::UnsupportedVersion,
                detail: format!(
                    "Go {version} is not one of 1.{} to 1.{}",
                    GoVersion::OLDEST_MINOR,
                    GoVersion::NEWEST_MINOR
                ),
            })
            .to_vec();
        return plan;
    };
    let wanted = functions
        .iter()
        .filter(|it| wanted_by(version, rules, &it.name));
    let image = DecodedFunctions::new(isa, version, rules, wanted, offset_of);
    goroutines(&image, &mut plan);
    collections_and_stops(&image, &mut plan);
    plan
}

fn goroutines(image: &DecodedFunctions, plan: &mut SitePlan) {
    let created = goroutines::created(image);
    let exited = goroutines::exited(image);
    let system = goroutines::system(image);
    let live = first_missing([&created, &exited, &system]);
    if let Some(missing) = &live {
        plan.gaps.push(missing.gap(FigureGroup::Goroutines));
    }
    add(plan, FigureGroup::GoroutinesCreated, created);
    add(plan, FigureGroup::GoroutinesExited, exited);
    if live.is_none() {
        plan.sites.extend(system.into_iter().flatten());
    }
    // Another way to see what `created` sees: without it no figure is missing.
    plan.sites
        .extend(goroutines::refill(image).into_iter().flatten());
}

fn collections_and_stops(image: &DecodedFunctions, plan: &mut SitePlan) {
    let stops = match stops::stops(image) {
        Ok(stops) => stops,
        Err(missing) => {
            for figure in [
                FigureGroup::GcCycles,
                FigureGroup::GcPauses,
                FigureGroup::OtherStops,
            ] {
                plan.gaps.push(missing.gap(figure));
            }
            return;
        }
    };
    plan.sites.extend(stops.sites);
    plan.last_gc_from_pause_start = stops.last_gc_from_pause_start;
    add(plan, FigureGroup::OtherStops, stops::reasons(image));
    add(plan, FigureGroup::GcCycles, gc::cycles(image));
}

/// Takes the sites into the plan, or notes why the figure has none.
fn add(plan: &mut SitePlan, figure: FigureGroup, sites: Sites) {
    match sites {
        Ok(sites) => plan.sites.extend(sites),
        Err(missing) => plan.gaps.push(missing.gap(figure)),
    }
}

fn first_missing<const N: usize>(sites: [&Sites; N]) -> Option<Missing> {
    sites
        .into_iter()
        .find_map(|sites| sites.as_ref().err().cloned())
}
