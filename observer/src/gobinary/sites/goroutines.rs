//! Sites that count goroutines.

use iced_x86::Mnemonic;

use super::super::{Site, SiteKind};
use super::choose::{Entry, before};
use super::globals;
use super::image::{Image, Missing, Sites};

const CREATES: &str = "runtime.newproc1";
const CALLS_CREATES: &str = "runtime.newproc.func1";
const EXITS: &str = "runtime.goexit0";
/// From 1.22 on, also where a coroutine ends without `goexit0`.
const DESTROYS: &str = "runtime.gdestroy";
/// How many goroutine ids a P takes at once.
const ID_BATCH: u32 = 16;
/// Both run on g0 and hand the program nothing but the hit.
const ON_G0: Entry = Entry {
    intact: &[],
    growable: false,
};

/// One hit per goroutine created.
pub(super) fn created(image: &Image) -> Sites {
    not_inlined(image, CREATES, CALLS_CREATES)?;
    let site = image.entry_site(SiteKind::GoroutineCreated, CREATES, ON_G0, 0)?;
    Ok(vec![site])
}

/// One hit per goroutine that ended.
pub(super) fn exited(image: &Image) -> Sites {
    let name = exit_function(image);
    if name == DESTROYS {
        not_inlined(image, DESTROYS, EXITS)?;
    }
    let site = image.entry_site(SiteKind::GoroutineExited, name, ON_G0, 0)?;
    Ok(vec![site])
}

/// Where `sched.ngsys` is counted up and down: the goroutines that
/// `runtime.NumGoroutine` leaves out.
pub(super) fn system(image: &Image) -> Sites {
    let ngsys = globals::ngsys(image)?;
    let site = |kind, name| counted(image, kind, name, ngsys, "sched.ngsys");
    Ok(vec![
        site(SiteKind::SystemGoroutineCreated, CREATES)?,
        site(SiteKind::SystemGoroutineExited, exit_function(image))?,
    ])
}

/// Where a P takes its next goroutine ids.
pub(super) fn refill(image: &Image) -> Sites {
    let goidgen = globals::sched(image)?;
    let site = counted(
        image,
        SiteKind::GoidRefill,
        CREATES,
        goidgen,
        "sched.goidgen",
    )?;
    Ok(vec![Site {
        weight: ID_BATCH,
        ..site
    }])
}

fn exit_function(image: &Image) -> &'static str {
    if image.version.minor >= 22 {
        DESTROYS
    } else {
        EXITS
    }
}

/// The one place in the function that adds to the variable atomically. No
/// probe may stand on the locked instruction itself, so it is before it.
fn counted(
    image: &Image,
    kind: SiteKind,
    name: &str,
    address: u64,
    variable: &str,
) -> Result<Site, Missing> {
    let code = image.function(name)?;
    let adds = code.locked(address);
    let &[index] = &adds[..] else {
        return Err(image.no_site(format!(
            "{name} adds to {variable} in {} places",
            adds.len()
        )));
    };
    let adds = matches!(
        code.instructions[index].mnemonic(),
        Mnemonic::Xadd | Mnemonic::Add | Mnemonic::Inc | Mnemonic::Dec | Mnemonic::Sub
    );
    let site = before(code, index).filter(|_| adds).ok_or_else(|| {
        image.no_site(format!(
            "{name} has no place for a probe before it adds to {variable}"
        ))
    })?;
    image.site(kind, code, site, 0)
}

/// A profile-guided build may inline a hot function into a caller, where its
/// sites would not see it: the caller that is always there must still call it.
fn not_inlined(image: &Image, name: &str, caller: &str) -> Result<(), Missing> {
    let address = image.function(name)?.function.address;
    let mut callers = image.named(caller).peekable();
    if callers.peek().is_none() || callers.any(|code| code.calls(address).next().is_some()) {
        return Ok(());
    }
    Err(image.no_site(format!("{name} is inlined into {caller}")))
}
