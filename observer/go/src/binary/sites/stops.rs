//! Sites around stops of the world.

use super::super::{Abi, Site, SiteKind, isa::Registers};
use super::choose::FunctionEntry;
use super::code::Code;
use super::decoded::{DecodedFunctions, Missing, Sites, in_family};
use super::globals;
use crate::release::Start;

const STOP: &str = "runtime.stopTheWorldWithSema";
const START: &str = "runtime.startTheWorldWithSema";

/// The collector's functions that start the world, and what that ends.
const COLLECTOR: [(&str, SiteKind); 3] = [
    ("runtime.gcStart", SiteKind::StartAfterSweepTermination),
    (
        "runtime.gcMarkTermination",
        SiteKind::StartAfterMarkTermination,
    ),
    ("runtime.gcMarkDone", SiteKind::StartBeforeMarkRestart),
];

/// Whether this is one of the functions that start the world.
pub(super) fn is_caller(name: &str) -> bool {
    COLLECTOR
        .iter()
        .any(|(function, _)| in_family(name, function))
        || (name.starts_with("runtime.") && (name.contains("tartTheWorld") || is_stop(name)))
}

/// Whether this is the closure of `stopTheWorld`, also where that was inlined.
fn is_stop(name: &str) -> bool {
    is_closure(name, "stopTheWorld.func")
}

fn is_closure(name: &str, of: &str) -> bool {
    name.split_once(of)
        .is_some_and(|(_, number)| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What the stops' sites are.
pub(super) struct Stops {
    pub(super) sites: Vec<Site>,
    /// See [`super::SitePlan::last_gc_from_pause_start`].
    pub(super) last_gc_from_pause_start: Option<i64>,
}

/// Every stop and start. They are one set: a start that is not seen would
/// be taken for a stop that goes on.
pub(super) fn stops(image: &DecodedFunctions) -> Result<Stops, Missing> {
    let (rules, abi) = (image.rules, image.rules.stop_abi);
    let mut sites = vec![image.entry_site(
        SiteKind::StopTheWorld,
        STOP,
        arguments(image, abi, 1)?,
        abi as i32,
    )?];
    sites.extend(returns(image)?);
    if rules.stop_is_called {
        stops_called(image)?;
    }
    let mut last_gc_from_pause_start = None;
    if let Start::Caller { last_gc_from_numgc } = rules.start {
        let pause_start = globals::pause_start(image)?;
        let last_gc = globals::last_gc_nanotime(image, last_gc_from_numgc)?;
        last_gc_from_pause_start = Some(last_gc.wrapping_sub(pause_start) as i64);
        sites.extend(starts(image, |site| distance(image, site, pause_start))?);
    } else {
        sites.push(image.entry_site(
            SiteKind::StartTheWorld,
            START,
            arguments(image, abi, 4)?,
            abi as i32,
        )?);
        // No probe stands on them: they show that no start was inlined.
        starts(image, |_| Ok(0))?;
    }
    if let Some(record) = rules.stopping_function {
        sites.extend(stopped(image, record)?);
    }
    Ok(Stops {
        sites,
        last_gc_from_pause_start,
    })
}

/// The reason of a stop that is not the collector's, where a function of its own is
/// told. A program without that function never makes such a stop.
pub(super) fn reasons(image: &DecodedFunctions) -> Sites {
    let told = image.rules.reason_function;
    let Some(told) = told.filter(|name| image.named(name).next().is_some()) else {
        return Ok(Vec::new());
    };
    let entry = FunctionEntry {
        intact: Registers::NONE,
        growable: true,
    };
    let site = image.argument_site(SiteKind::StopReason, told, entry, 2)?;
    Ok(vec![site])
}

/// Both functions run on g0.
fn arguments(image: &DecodedFunctions, abi: Abi, count: usize) -> Result<FunctionEntry, Missing> {
    Ok(FunctionEntry {
        intact: match abi {
            Abi::NoReason => Registers::NONE,
            _ => image.arguments(count)?,
        },
        growable: false,
    })
}

/// Every RET of `startTheWorldWithSema`.
fn returns(image: &DecodedFunctions) -> Sites {
    let code = image.function(START)?;
    let sites: Vec<Site> = code
        .returns()
        .map(|index| {
            let aux = image.result_on_stack();
            image.site(SiteKind::StartTheWorldReturn, code, index, aux)
        })
        .collect::<Result<_, _>>()?;
    if sites.is_empty() {
        return Err(image.no_site(format!("{START} never returns")));
    }
    Ok(sites)
}

/// The calls of `startTheWorldWithSema`, each as what it ends.
fn starts(image: &DecodedFunctions, aux: impl Fn(&Site) -> Result<i32, Missing>) -> Sites {
    let start = image.function(START)?.function.address;
    let mut sites = Vec::new();
    for code in image.all() {
        let name = &code.function.name;
        let kind = COLLECTOR
            .iter()
            .find(|(function, _)| in_family(name, function))
            .map_or(SiteKind::StartAfterOther, |&(_, kind)| kind);
        for index in code.calls(start) {
            let site = image.site(kind, code, index, 0)?;
            let aux = aux(&site)?;
            sites.push(Site { aux, ..site });
        }
    }
    for (function, kind) in COLLECTOR {
        if !sites.iter().any(|site| site.kind == kind) {
            // Says that it is missing where it is.
            image.function(function)?;
            return Err(image.no_site(format!("{function} does not call {START}")));
        }
    }
    all_call(
        image,
        |name| is_closure(name, "startTheWorld.func"),
        START,
        start,
    )?;
    Ok(sites)
}

/// A profile-guided build may inline a stop into its caller, where the site
/// would not see it.
fn stops_called(image: &DecodedFunctions) -> Result<(), Missing> {
    let stop = image.function(STOP)?.function.address;
    for function in ["runtime.gcStart", "runtime.gcMarkDone"] {
        let calls = |code: &Code| code.calls(stop).next().is_some();
        if !image.family(function).any(calls) {
            return Err(image.no_site(format!("{function} does not call {STOP}")));
        }
    }
    all_call(image, is_stop, STOP, stop)
}

/// The closures that exist to call the function do call it.
fn all_call(
    image: &DecodedFunctions,
    is_caller: impl Fn(&str) -> bool,
    name: &str,
    address: u64,
) -> Result<(), Missing> {
    let caller = |code: &&Code| is_caller(&code.function.name) && !code.leads_to(address);
    match image.all().find(caller) {
        Some(code) => Err(image.no_site(format!("{name} is inlined into {}", code.function.name))),
        None => Ok(()),
    }
}

/// From the site to `work.pauseStart`, as the cookie carries it.
fn distance(image: &DecodedFunctions, site: &Site, pause_start: u64) -> Result<i32, Missing> {
    let distance = pause_start.wrapping_sub(site.address) as i64;
    i32::try_from(distance).map_err(|_| {
        image.no_site(format!(
            "work.pauseStart is {distance} bytes from {}, more than a cookie holds",
            site.function
        ))
    })
}

/// Where `stopTheWorldWithSema` has it recorded how long stopping took, once for the
/// collector and once for the others.
fn stopped(image: &DecodedFunctions, recorder: &str) -> Sites {
    let record = image.function(recorder)?.function.address;
    let code = image.function(STOP)?;
    let sites: Vec<Site> = code
        .calls(record)
        .map(|index| image.site(SiteKind::Stopped, code, index, 0))
        .collect::<Result<_, _>>()?;
    if sites.len() != 2 {
        return Err(image.no_site(format!(
            "{STOP} calls {recorder} in {} places instead of two",
            sites.len()
        )));
    }
    Ok(sites)
}
