//! Plans of assembled code of arm64.
//!
//! It has the shape of what Go compiles for the runtime, and nothing else: the checks of
//! the stack, the two ways to add atomically, the first branch of each function.
//! `tests/tests/kernel/library` plans what Go's releases really compiled.

use super::super::{FigureGroup, FunctionCode, Gap, Reason, Site, SiteKind, SitePlan, isa};
use super::{decoded::DecodedFunctions, gc};
use crate::release::{Arch, GoVersion, rules};

/// As from 1.22 on, for processors with and without atomic instructions.
const NEWER: &str = include_str!("testdata/arm64.txt");
/// As up to 1.18: with another check of the stack, and three instructions for an address.
const OLDER: &str = include_str!("testdata/arm64-old.txt");
/// With GOARM64=v8.1: no processor without atomic instructions.
const ATOMIC: &str = include_str!("testdata/arm64-lse.txt");

const fn version(minor: u16) -> GoVersion {
    GoVersion { minor, patch: 1 }
}

/// A line with a function's name and address, and one for each of its instructions.
fn functions(assembled: &str) -> Vec<FunctionCode> {
    let mut functions: Vec<FunctionCode> = Vec::new();
    for line in assembled.lines() {
        if let Some(instruction) = line.strip_prefix("  ") {
            let word = u32::from_str_radix(&instruction[..8], 16).unwrap();
            let function = functions.last_mut().unwrap();
            function.code.extend(word.to_le_bytes());
        } else {
            let (name, address) = line.split_once(' ').unwrap();
            functions.push(FunctionCode {
                name: name.to_owned(),
                address: u64::from_str_radix(address, 16).unwrap(),
                code: Vec::new(),
            });
        }
    }
    functions
}

fn plan(minor: u16, functions: &[FunctionCode]) -> SitePlan {
    let isa = isa::of(Arch::Arm64);
    super::plan(isa, version(minor), functions, &Some::<u64>)
}

/// `kind function+distance: name of the instruction`, a single-stepped one in brackets.
fn lines(plan: &SitePlan, functions: &[FunctionCode]) -> Vec<String> {
    let line = |site: &Site| {
        let function = functions
            .iter()
            .find(|it| it.name == site.function)
            .unwrap();
        let text = site.instruction.as_str();
        let instruction = text.split_once(' ').map_or(text, |(name, _)| name);
        let instruction = if site.emulated {
            instruction.to_owned()
        } else {
            format!("[{instruction}]")
        };
        let name = site.function.strip_prefix("runtime.").unwrap();
        let distance = site.address - function.address;
        format!("{:?} {name}+{distance:#x}: {instruction}", site.kind)
    };
    plan.sites.iter().map(line).collect()
}

#[test]
fn every_site_is_on_a_branch() {
    let functions = functions(NEWER);
    let plan = plan(27, &functions);
    assert_eq!(plan.gaps, []);
    assert_eq!(
        lines(&plan, &functions),
        [
            "GoroutineCreated newproc1+0x8: b.ls",
            "GoroutineExited gdestroy+0xc: b.ls",
            "SystemGoroutineCreated newproc1+0x34: tbz",
            "SystemGoroutineExited gdestroy+0x2c: tbz",
            "GoidRefill newproc1+0x5c: tbz",
            "StopTheWorld stopTheWorldWithSema+0x8: b.ls",
            "StartTheWorldReturn startTheWorldWithSema+0x1c: ret",
            "StartTheWorld startTheWorldWithSema+0x8: b.ls",
            "GcStart gcStart+0x20: cbnz",
            "GcCycle gcBgMarkStartWorkers+0x18: b",
        ]
    );
}

/// What older releases compile, and what is compiled for newer processors alone.
#[test]
fn goroutines_and_their_ids() {
    let older = functions(OLDER);
    for minor in [17, 18] {
        let plan = plan(minor, &older);
        assert_eq!(
            lines(&plan, &older),
            [
                "GoroutineCreated newproc1+0xc: b.ls",
                "GoidRefill newproc1+0x34: cbz",
            ],
            "1.{minor}"
        );
    }
    let mut newer = functions(ATOMIC);
    newer.extend(older.into_iter().filter(|it| it.name != "runtime.newproc1"));
    let plan = plan(24, &newer);
    assert_eq!(
        lines(&plan, &newer),
        [
            "GoroutineCreated newproc1+0x8: b.ls",
            "GoidRefill newproc1+0x18: adrp",
        ]
    );
}

/// If the branch that decides goes elsewhere, nothing is known to be executed as often as
/// both ways together.
#[test]
fn two_ways_that_nothing_decides_are_a_gap() {
    let mut functions = functions(NEWER);
    let newproc1 = &mut functions[0].code;
    // `tbz w7`, before the ids: now it tests another bit, and goes to the instruction behind
    // the one that it went to.
    newproc1[0x5c..0x60].copy_from_slice(&0x3600_0167_u32.to_le_bytes());
    let plan = plan(27, &functions);
    let has = |kind| plan.sites.iter().any(|site| site.kind == kind);
    assert!(!has(SiteKind::GoidRefill));
    assert!(has(SiteKind::SystemGoroutineCreated));
}

/// Only from Go 1.18 on are arguments in registers.
#[test]
fn arguments_on_the_stack_are_above_its_pointer() {
    let functions = functions(NEWER);
    let isa = isa::of(Arch::Arm64);
    let offset_of = Some::<u64>;
    let of = |minor| {
        let rules = rules(minor).unwrap();
        DecodedFunctions::new(isa, version(minor), rules, functions.iter(), &offset_of)
    };
    let asked = |minor| {
        let sites = gc::cycles(&of(minor)).unwrap();
        let found = sites.iter().find(|site| site.kind == SiteKind::GcStart);
        found.map(|site| (site.address, site.aux))
    };
    let (at, aux) = asked(17).unwrap();
    // 16 bytes were made room for on the way there.
    assert_eq!(aux, 16 + 8);
    assert_eq!(asked(18), Some((at, 0)));
    assert_eq!(of(17).result_on_stack(), 16);
    assert_eq!(of(18).result_on_stack(), 0);
    let missing = of(17).arguments(1).unwrap_err();
    let Gap { reason, detail, .. } = missing.gap(FigureGroup::GcCycles);
    assert_eq!(reason, Reason::NoSite);
    assert!(detail.contains("on the stack"), "{detail}");
}

/// Code from a stranger's file must not end the observer.
#[test]
fn damaged_code_is_no_panic() {
    for (minor, assembled) in [(27, NEWER), (18, OLDER), (24, ATOMIC)] {
        let whole = functions(assembled);
        for keep in [0, 1, 4, 18, 52, 111] {
            let mut cut = whole.clone();
            for function in &mut cut {
                function.code.truncate(keep);
                function.address = u64::MAX - 20;
            }
            plan(minor, &cut);
        }
        let mut state = 1u32;
        for _ in 0..50 {
            let mut noise = whole.clone();
            for byte in noise.iter_mut().flat_map(|it| &mut it.code) {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if state >> 28 == 0 {
                    *byte = (state >> 16) as u8;
                }
            }
            plan(minor, &noise);
        }
    }
}
