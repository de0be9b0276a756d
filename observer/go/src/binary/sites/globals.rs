//! Addresses of the runtime's variables, from the instructions that use them,
//! because a stripped file names none.

use std::collections::BTreeSet;

use super::super::isa::Operation;
use super::code::{Code, Mention};
use super::decoded::{DecodedFunctions, Missing};

/// `schedinit` allows 10000 threads: nothing else there stores this number.
const MAX_M_COUNT: u64 = 10_000;
/// It is an `int32`.
const MAX_M_COUNT_WIDTH: usize = 4;
/// `work.pauseStart` − `work.tSweepTerm`, Go 1.17–1.21.
const FROM_SWEEP_TERM: u64 = 40;
/// `work.pauseStart` − `work.tMarkTerm`, Go 1.17–1.21.
const FROM_MARK_TERM: u64 = 24;
/// `work.pauseStart` − `work.tEnd`, Go 1.17–1.21.
const FROM_END: u64 = 16;
/// `work.pauseStart` − `work.pauseNS`, Go 1.17–1.21.
const FROM_PAUSE_NS: u64 = 8;
/// How far apart the two stores of one `nanotime()` may be.
const PAIR_DISTANCE: usize = 4;

/// Address of `sched`, whose first field is `goidgen`.
pub(super) fn sched(image: &DecodedFunctions) -> Result<u64, Missing> {
    Ok(max_m_count(image)? - image.rules.max_m_count)
}

/// Address of `sched.ngsys`.
pub(super) fn ngsys(image: &DecodedFunctions) -> Result<u64, Missing> {
    // Sixteen behind maxmcount in all versions.
    Ok(max_m_count(image)?.wrapping_add(16))
}

/// Address of `sched.maxmcount`.
fn max_m_count(image: &DecodedFunctions) -> Result<u64, Missing> {
    let name = "runtime.schedinit";
    let addresses: BTreeSet<u64> = image
        .named(name)
        .flat_map(Code::mentions)
        .filter(|mention| {
            let access = &mention.access;
            access.operation == Operation::Set
                && access.width == MAX_M_COUNT_WIDTH
                && access.constant == Some(MAX_M_COUNT)
        })
        .map(|mention| mention.address)
        .collect();
    match addresses.into_iter().collect::<Vec<_>>()[..] {
        // Fields before it are subtracted from it.
        [address] if address > 1 << 10 => Ok(address),
        [] if image.named(name).next().is_none() => image.function(name).map(|_| 0),
        ref found => Err(image.no_site(format!(
            "{name} stores {MAX_M_COUNT} to {} variables instead of sched.maxmcount alone",
            found.len()
        ))),
    }
}

/// Address of `work.pauseStart` (up to 1.21). Three functions tell it
/// independently; two must agree and none may disagree.
pub(super) fn pause_start(image: &DecodedFunctions) -> Result<u64, Missing> {
    let witnesses = [
        witness(image, "runtime.gcStart", |code| {
            stored_twice(code, FROM_SWEEP_TERM)
        }),
        witness(image, "runtime.gcMarkDone", |code| {
            stored_twice(code, FROM_MARK_TERM)
        }),
        witness(image, "runtime.gcMarkTermination", |code| {
            let ends: BTreeSet<u64> = stores(code)
                .map(|store| store.address.wrapping_add(FROM_END))
                .collect();
            &subtracted(code) & &ends
        }),
    ];
    let mut found: Vec<&BTreeSet<u64>> = witnesses.iter().filter(|w| !w.is_empty()).collect();
    let Some(first) = found.pop() else {
        return Err(image.no_site(
            "work.pauseStart was not recognised in gcStart, gcMarkDone or gcMarkTermination".into(),
        ));
    };
    let agreed = found.iter().fold(first.clone(), |a, b| &a & b);
    match (found.is_empty(), agreed.first(), agreed.len()) {
        (false, Some(&address), 1) => Ok(address),
        _ => Err(image.no_site(format!(
            "work.pauseStart: {} of gcStart, gcMarkDone and gcMarkTermination tell it and agree on {} addresses",
            witnesses.iter().filter(|w| !w.is_empty()).count(),
            agreed.len()
        ))),
    }
}

/// Address of `memstats.last_gc_nanotime` (up to 1.21), so far behind `memstats.numgc`.
pub(super) fn last_gc_nanotime(image: &DecodedFunctions, from_numgc: u64) -> Result<u64, Missing> {
    let name = "runtime.gcMarkTermination";
    let code = image.function(name)?;
    // gcMarkTermination counts numgc and, when forced, numforcedgc behind it.
    let counted: BTreeSet<u64> = code.addresses(Operation::Increment).collect();
    // An atomic store: an exchange, perhaps by an address that is taken before it. Or a
    // plain store where it is none.
    let written: BTreeSet<u64> = code
        .addresses(Operation::Address)
        .chain(code.addresses(Operation::Exchange))
        .chain(stores(code).map(|store| store.address))
        .collect();
    let found: Vec<u64> = counted
        .iter()
        .filter(|&&numgc| counted.contains(&numgc.wrapping_add(4)))
        .map(|numgc| numgc.wrapping_add(from_numgc))
        .filter(|address| written.contains(address))
        .collect();
    match found[..] {
        [address] => Ok(address),
        _ => Err(image.no_site(format!(
            "memstats.last_gc_nanotime fits {} addresses in {name}",
            found.len()
        ))),
    }
}

fn witness(
    image: &DecodedFunctions,
    function: &str,
    read: impl Fn(&Code) -> BTreeSet<u64>,
) -> BTreeSet<u64> {
    image.named(function).flat_map(read).collect()
}

/// Variables that get the same value right behind the one `distance` below.
fn stored_twice(code: &Code, distance: u64) -> BTreeSet<u64> {
    let stores: Vec<Mention> = stores(code).collect();
    stores
        .windows(2)
        .filter(|pair| {
            pair[0].access.operation == pair[1].access.operation
                && pair[0].access.width == pair[1].access.width
                && pair[0].address.checked_add(distance) == Some(pair[1].address)
                && pair[1].index - pair[0].index <= PAIR_DISTANCE
        })
        .map(|pair| pair[1].address)
        .collect()
}

/// Variables that are loaded while something is added to `pauseNS` before them.
fn subtracted(code: &Code) -> BTreeSet<u64> {
    let added: BTreeSet<u64> = code
        .addresses(Operation::Add)
        .map(|a| a.wrapping_add(FROM_PAUSE_NS))
        .collect();
    let loaded: BTreeSet<u64> = code
        .mentions()
        .filter(|mention| matches!(mention.access.operation, Operation::Load(_)))
        .map(|mention| mention.address)
        .collect();
    &added & &loaded
}

/// Where registers are stored.
fn stores(code: &Code) -> impl Iterator<Item = Mention> {
    code.mentions()
        .filter(|mention| matches!(mention.access.operation, Operation::Store(_)))
}
