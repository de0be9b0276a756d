//! Sites that count goroutines.

use std::iter;

use super::super::{Site, SiteKind, isa::Registers};
use super::choose::{FunctionEntry, before};
use super::decoded::{DecodedFunctions, Missing, Sites};
use super::globals;
use super::ways::{fork, has_unknown_twin};
use crate::release::Exit;

/// What makes a goroutine.
const CREATES: Body = Body {
    name: "runtime.newproc1",
    callers: &["runtime.newproc.func1", "runtime.newcoro.func1"],
    conditional: &[],
};
/// What ends one where there is no `gdestroy`.
const EXITS: Body = Body {
    name: "runtime.goexit0",
    callers: &[],
    conditional: &[],
};
/// The same where there is one, also where a coroutine ends without `goexit0`.
const DESTROYS: Body = Body {
    name: "runtime.gdestroy",
    callers: &["runtime.goexit0"],
    conditional: &["runtime.coroswitch_m"],
};
/// How many goroutine ids a P takes at once.
const ID_BATCH: u32 = 16;
/// Both run on g0 and hand the program nothing but the hit.
const ON_G0: FunctionEntry = FunctionEntry {
    intact: Registers::NONE,
    growable: false,
};

/// A function and those that call it. A profile-guided build inlines it where
/// the profile says that it is hot; what happens there the function does not see.
struct Body {
    name: &'static str,
    /// These run on g0 and call it exactly once whenever they are called.
    callers: &'static [&'static str],
    /// These call it under a condition.
    conditional: &'static [&'static str],
}

impl Body {
    /// The functions that have the body: its own, and callers that it is inlined into.
    fn hosts(&self, image: &DecodedFunctions) -> Result<Vec<&'static str>, Missing> {
        let address = image.function(self.name)?.function.address;
        let inlined = |caller: &str| {
            let mut named = image.named(caller).peekable();
            named.peek().is_some() && !named.any(|code| code.leads_to(address))
        };
        if let Some(caller) = self.conditional.iter().find(|caller| inlined(caller)) {
            return Err(image.no_site(format!("{} is inlined into {caller}", self.name)));
        }
        let hosts = self.callers.iter().filter(|caller| inlined(caller));
        Ok(iter::once(self.name).chain(hosts.copied()).collect())
    }

    /// A site at the entry of each of them.
    fn entries(&self, image: &DecodedFunctions, kind: SiteKind) -> Sites {
        self.hosts(image)?
            .into_iter()
            .map(|name| image.entry_site(kind, name, ON_G0, 0))
            .collect()
    }

    /// A site in each of them, where the variable is added to.
    fn counted(
        &self,
        image: &DecodedFunctions,
        kind: SiteKind,
        address: u64,
        variable: &str,
    ) -> Sites {
        self.hosts(image)?
            .into_iter()
            .map(|name| counted(image, kind, name, address, variable))
            .collect()
    }
}

/// Whether this is a function that may have another's body inlined.
pub(super) fn is_caller(name: &str) -> bool {
    [CREATES, DESTROYS]
        .iter()
        .any(|body| body.callers.contains(&name) || body.conditional.contains(&name))
}

/// One hit per goroutine created.
pub(super) fn created(image: &DecodedFunctions) -> Sites {
    CREATES.entries(image, SiteKind::GoroutineCreated)
}

/// One hit per goroutine that ended.
pub(super) fn exited(image: &DecodedFunctions) -> Sites {
    ends(image).entries(image, SiteKind::GoroutineExited)
}

/// Where `sched.ngsys` is counted up and down: the goroutines that
/// `runtime.NumGoroutine` leaves out.
pub(super) fn system(image: &DecodedFunctions) -> Sites {
    let ngsys = globals::ngsys(image)?;
    let variable = "sched.ngsys";
    let mut sites = CREATES.counted(image, SiteKind::SystemGoroutineCreated, ngsys, variable)?;
    sites.extend(ends(image).counted(image, SiteKind::SystemGoroutineExited, ngsys, variable)?);
    Ok(sites)
}

/// Where a P takes its next goroutine ids.
pub(super) fn refill(image: &DecodedFunctions) -> Sites {
    let goidgen = globals::sched(image)?;
    let mut sites = CREATES.counted(image, SiteKind::GoidRefill, goidgen, "sched.goidgen")?;
    for site in &mut sites {
        site.weight = ID_BATCH;
    }
    Ok(sites)
}

fn ends(image: &DecodedFunctions) -> Body {
    match image.rules.exit {
        Exit::Goexit0 => EXITS,
        Exit::Gdestroy => DESTROYS,
    }
}

/// The one place in the function that adds to the variable atomically. No
/// probe may stand on the atomic instruction itself, so it is before it.
///
/// Where the processor may lack such instructions, the function adds in one of two ways,
/// and a branch decides which.
fn counted(
    image: &DecodedFunctions,
    kind: SiteKind,
    name: &str,
    address: u64,
    variable: &str,
) -> Result<Site, Missing> {
    let code = image.function(name)?;
    let atomic = code.atomic(address);
    let place = match atomic[..] {
        [(index, _)] => Some(index),
        [(one, _), (other, _)] => fork(code, one, other),
        _ => None,
    };
    let Some(index) = place else {
        return Err(image.no_site(format!(
            "{name} adds to {variable} in {} places",
            atomic.len()
        )));
    };
    if atomic.len() == 1 && has_unknown_twin(code, index) {
        return Err(image.no_site(format!(
            "{name} may add to {variable} in another place as well"
        )));
    }
    let all_add = atomic.iter().all(|(_, operation)| operation.adds());
    let site = before(code, index).filter(|_| all_add);
    let site = site.ok_or_else(|| {
        image.no_site(format!(
            "{name} has no place for a probe before it adds to {variable}"
        ))
    })?;
    image.site(kind, code, site, 0)
}
