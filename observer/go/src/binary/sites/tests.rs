//! Plans of recorded machine code: the functions that matter of a small
//! program, as the Go release in the file's name compiled and linked them.

use super::super::{FigureGroup, FunctionCode, Reason, Site, SiteKind, SitePlan, isa};
use super::wanted;
use crate::release::{Arch, GoVersion};

const GO_1_17: (GoVersion, &str) = (version(17, 13), include_str!("testdata/go1.17.13.txt"));
const GO_1_21: (GoVersion, &str) = (version(21, 13), include_str!("testdata/go1.21.13.txt"));
const GO_1_22: (GoVersion, &str) = (version(22, 12), include_str!("testdata/go1.22.12.txt"));
const GO_1_22_PGO: (GoVersion, &str) =
    (version(22, 12), include_str!("testdata/go1.22.12-pgo.txt"));
const GO_1_27: (GoVersion, &str) = (version(27, 4), include_str!("testdata/go1.27.4.txt"));

/// How the recorded files lie in memory.
const TEXT: u64 = 0x40_0000;

const fn version(minor: u16, patch: u16) -> GoVersion {
    GoVersion { minor, patch }
}

/// Lines of name, address and bytes.
fn functions(recorded: &str) -> Vec<FunctionCode> {
    recorded
        .lines()
        .map(|line| {
            let mut fields = line.split(' ');
            let name = fields.next().unwrap().to_owned();
            let address = u64::from_str_radix(fields.next().unwrap(), 16).unwrap();
            let hex = fields.next().unwrap();
            let code = (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect();
            FunctionCode {
                name,
                address,
                code,
            }
        })
        .collect()
}

fn offset_of(address: u64) -> Option<u64> {
    address.checked_sub(TEXT)
}

/// What was recorded is x86-64.
fn plan(
    version: GoVersion,
    functions: &[FunctionCode],
    at: &dyn Fn(u64) -> Option<u64>,
) -> SitePlan {
    super::plan(isa::of(Arch::Amd64), version, functions, at)
}

fn plan_of((version, recorded): (GoVersion, &str)) -> SitePlan {
    plan(version, &functions(recorded), &offset_of)
}

/// `kind function+distance: instruction`, a single-stepped one in brackets;
/// without what depends on where the program was linked.
fn lines(plan: &SitePlan, (_, recorded): (GoVersion, &str)) -> Vec<String> {
    let functions = functions(recorded);
    let line = |site: &Site| {
        let function = functions
            .iter()
            .filter(|f| f.name == site.function && f.address <= site.address)
            .max_by_key(|f| f.address)
            .unwrap();
        assert_eq!(site.offset, site.address - TEXT);
        let words: Vec<&str> = site.instruction.split(' ').collect();
        let text = match words[..] {
            ["call" | "jbe", _] | ["jmp", _, _] => words[0],
            _ => &site.instruction,
        };
        let text = if site.emulated {
            text.to_owned()
        } else {
            format!("[{text}]")
        };
        let name = site.function.strip_prefix("runtime.").unwrap();
        format!(
            "{:?} {name}+{:#x}: {text}",
            site.kind,
            site.address - function.address
        )
    };
    plan.sites.iter().map(line).collect()
}

#[test]
fn go_1_17() {
    let plan = plan_of(GO_1_17);
    assert_eq!(plan.gaps, []);
    assert_eq!(
        lines(&plan, GO_1_17),
        [
            "GoroutineCreated newproc1+0x4: jbe",
            "GoroutineExited goexit0+0x4: jbe",
            "SystemGoroutineCreated newproc1+0x20c: [mov edx, 1]",
            "SystemGoroutineExited goexit0+0x44: [mov ecx, 0xFFFFFFFF]",
            "GoidRefill newproc1+0x293: [mov ecx, 0x10]",
            "StopTheWorld stopTheWorldWithSema+0x4: jbe",
            "StartTheWorldReturn startTheWorldWithSema+0x1ac: [ret]",
            "StartAfterSweepTermination gcStart.func2+0x28: call",
            "StartBeforeMarkRestart gcMarkDone.func3+0x20: call",
            "StartAfterMarkTermination gcMarkTermination.func3+0x19: call",
            "StartAfterOther startTheWorld.func1+0x16: call",
            "StopReason stopTheWorld+0xa: [sub rsp, 0x40]",
            "GcStart gcStart+0x1c: nop",
            "GcCycle gcBgMarkStartWorkers+0x14: jmp",
        ]
    );
    // The linker's map of the recorded program: work at 0x519420, memstats at 0x51a020.
    assert_distances(&plan, 0x51_9420 + 376, 0x51_a020 + 5944);
}

#[test]
fn go_1_21() {
    let plan = plan_of(GO_1_21);
    assert_eq!(plan.gaps, []);
    assert_eq!(
        lines(&plan, GO_1_21),
        [
            "GoroutineCreated newproc1+0xa: push rbp",
            "GoroutineExited goexit0+0xa: push rbp",
            "SystemGoroutineCreated newproc1+0x17c: nop",
            "SystemGoroutineExited goexit0+0xa9: nop",
            "GoidRefill newproc1+0x2c9: nop",
            "StopTheWorld stopTheWorldWithSema+0xa: push rbp",
            "StartTheWorldReturn startTheWorldWithSema+0x1bb: [ret]",
            "StartAfterSweepTermination gcStart.func3+0x20: call",
            "StartAfterOther startTheWorld.func1+0xa: call",
            "StartAfterMarkTermination gcMarkTermination.func3+0xa: call",
            "StartBeforeMarkRestart gcMarkDone.func4+0xe: call",
            "GcStart gcStart+0xf: push rbp",
            "GcCycle gcBgMarkStartWorkers+0x6: push rbp",
        ]
    );
    // The linker's map: work at 0x4e4960, memstats at 0x513ac0.
    assert_distances(&plan, 0x4e_4960 + 456, 0x51_3ac0 + 7720);
}

#[test]
fn go_1_22() {
    let plan = plan_of(GO_1_22);
    assert_eq!(plan.gaps, []);
    assert_eq!(plan.last_gc_from_pause_start, None);
    assert_eq!(
        lines(&plan, GO_1_22),
        [
            "GoroutineCreated newproc1+0xa: push rbp",
            "GoroutineExited gdestroy+0xa: push rbp",
            "SystemGoroutineCreated newproc1+0x17c: nop",
            "SystemGoroutineExited gdestroy+0xa9: nop",
            "GoidRefill newproc1+0x2ef: nop",
            "StopTheWorld stopTheWorldWithSema+0xf: push rbp",
            "StartTheWorldReturn startTheWorldWithSema+0x254: [ret]",
            "StartTheWorld startTheWorldWithSema+0xa: push rbp",
            "Stopped stopTheWorldWithSema+0x2d7: call",
            "Stopped stopTheWorldWithSema+0x2e5: call",
            "GcStart gcStart+0xf: push rbp",
            "GcCycle gcBgMarkStartWorkers+0x6: push rbp",
        ]
    );
}

#[test]
fn go_1_27() {
    let plan = plan_of(GO_1_27);
    assert_eq!(plan.gaps, []);
    assert_eq!(
        lines(&plan, GO_1_27),
        [
            "GoroutineCreated newproc1+0xa: push rbp",
            "GoroutineExited gdestroy+0xa: push rbp",
            "SystemGoroutineCreated newproc1+0x189: nop",
            "SystemGoroutineExited gdestroy+0xa9: nop",
            "GoidRefill newproc1+0x349: nop",
            "StopTheWorld stopTheWorldWithSema+0xf: push rbp",
            "StartTheWorldReturn startTheWorldWithSema+0x25e: [ret]",
            "StartTheWorld startTheWorldWithSema+0xa: push rbp",
            "GcStart gcStart+0x12: push rbp",
            "GcCycle gcBgMarkStartWorkers+0xa: push rbp",
        ]
    );
    let refill = plan.sites.iter().find(|s| s.kind == SiteKind::GoidRefill);
    assert_eq!(refill.map(|s| s.weight), Some(16));
}

/// The distances of a plan up to 1.21 lead to the variables.
fn assert_distances(plan: &SitePlan, pause_start: u64, last_gc_nanotime: u64) {
    use SiteKind as K;
    let starts = plan.sites.iter().filter(|site| {
        matches!(
            site.kind,
            K::StartAfterSweepTermination
                | K::StartAfterMarkTermination
                | K::StartBeforeMarkRestart
                | K::StartAfterOther
        )
    });
    for site in starts {
        assert_eq!(
            site.address.wrapping_add_signed(site.aux.into()),
            pause_start
        );
    }
    assert_eq!(
        plan.last_gc_from_pause_start,
        Some((last_gc_nanotime - pause_start) as i64)
    );
}

fn gaps(plan: &SitePlan) -> Vec<(FigureGroup, Reason)> {
    let gaps = plan.gaps.iter();
    gaps.map(|gap| (gap.figure, gap.reason)).collect()
}

fn has(plan: &SitePlan, kind: SiteKind) -> bool {
    plan.sites.iter().any(|site| site.kind == kind)
}

#[test]
fn everything_recorded_is_wanted() {
    for (version, recorded) in [GO_1_17, GO_1_21, GO_1_22, GO_1_22_PGO, GO_1_27] {
        for function in functions(recorded) {
            assert!(wanted(version, &function.name), "{}", function.name);
        }
    }
    let (version, _) = GO_1_27;
    for name in [
        "runtime.gcStartup",
        "runtime.newproc",
        "main.gcStart",
        "runtime.stopTheWorld",
    ] {
        assert!(!wanted(version, name), "{name}");
    }
}

#[test]
fn a_missing_function_takes_away_only_what_needs_it() {
    let (version, recorded) = GO_1_27;
    let mut functions = functions(recorded);
    functions.retain(|f| f.name != "runtime.newproc1");
    let plan = plan(version, &functions, &offset_of);
    assert_eq!(
        gaps(&plan),
        [
            (FigureGroup::Goroutines, Reason::NoFunction),
            (FigureGroup::GoroutinesCreated, Reason::NoFunction),
        ]
    );
    assert!(
        plan.gaps[0].detail.contains("runtime.newproc1") && plan.gaps[0].detail.contains("1.27.4")
    );
    assert!(has(&plan, SiteKind::GoroutineExited));
    assert!(!has(&plan, SiteKind::SystemGoroutineExited));
    assert!(has(&plan, SiteKind::GcCycle));
}

/// Only what counts goroutines is recorded here: built with a profile in which
/// `go` statements are hot, so that `newproc1` is inlined into its caller and
/// what is left of it serves coroutines.
#[test]
fn profile_guided() {
    let plan = plan_of(GO_1_22_PGO);
    let mut figures: Vec<FigureGroup> = plan.gaps.iter().map(|gap| gap.figure).collect();
    figures.sort_unstable();
    assert_eq!(
        figures,
        [
            FigureGroup::GcCycles,
            FigureGroup::GcPauses,
            FigureGroup::OtherStops
        ]
    );
    assert_eq!(
        lines(&plan, GO_1_22_PGO),
        [
            "GoroutineCreated newproc1+0xa: push rbp",
            "GoroutineCreated newproc.func1+0xa: push rbp",
            "GoroutineExited gdestroy+0xa: push rbp",
            "SystemGoroutineCreated newproc1+0x315: nop",
            "SystemGoroutineCreated newproc.func1+0x17e: nop",
            "SystemGoroutineExited gdestroy+0x10e: nop",
            "GoidRefill newproc1+0x472: nop",
            "GoidRefill newproc.func1+0x2f0: nop",
        ]
    );
}

#[test]
fn an_inlined_function_is_noticed() {
    let (version, recorded) = GO_1_22;
    let mut functions = functions(recorded);
    let goexit0 = functions
        .iter_mut()
        .find(|f| f.name == "runtime.goexit0")
        .unwrap();
    let call = goexit0.code.iter().position(|&byte| byte == 0xe8).unwrap();
    goexit0.code[call..call + 5].fill(0x90);
    // What was left of goexit0 does not count ngsys: that is inlined too, or nothing is.
    let without = plan(version, &functions, &offset_of);
    assert_eq!(gaps(&without), [(FigureGroup::Goroutines, Reason::NoSite)]);
    let exits = without
        .sites
        .iter()
        .filter(|s| s.kind == SiteKind::GoroutineExited);
    let exits: Vec<&str> = exits.map(|s| s.function.as_str()).collect();
    assert_eq!(exits, ["runtime.gdestroy", "runtime.goexit0"]);

    // Inlined where it is done under a condition only: no place counts exactly.
    let nothing = FunctionCode {
        name: "runtime.coroswitch_m".into(),
        address: TEXT,
        code: vec![0xc3],
    };
    functions.push(nothing);
    let plan = plan(version, &functions, &offset_of);
    assert_eq!(
        gaps(&plan),
        [
            (FigureGroup::Goroutines, Reason::NoSite),
            (FigureGroup::GoroutinesExited, Reason::NoSite),
        ]
    );
    assert!(!has(&plan, SiteKind::GoroutineExited));
}

#[test]
fn one_witness_is_not_enough() {
    let (version, recorded) = GO_1_17;
    let mut functions = functions(recorded);
    functions.retain(|f| f.name != "runtime.gcMarkDone");
    assert_eq!(plan(version, &functions, &offset_of).gaps, []);
    functions.retain(|f| f.name != "runtime.gcStart");
    let stops = [
        (FigureGroup::GcCycles, Reason::NoSite),
        (FigureGroup::GcPauses, Reason::NoSite),
        (FigureGroup::OtherStops, Reason::NoSite),
    ];
    assert_eq!(gaps(&plan(version, &functions, &offset_of)), stops);
}

#[test]
fn without_stop_the_world_there_is_no_reason_to_read() {
    let (version, recorded) = GO_1_17;
    let mut functions = functions(recorded);
    functions.retain(|f| f.name != "runtime.stopTheWorld");
    let plan = plan(version, &functions, &offset_of);
    assert_eq!(plan.gaps, []);
    assert!(!has(&plan, SiteKind::StopReason));
}

#[test]
fn an_address_outside_the_file_is_a_gap() {
    let (version, recorded) = GO_1_27;
    let plan = plan(version, &functions(recorded), &|_| None);
    assert!(plan.sites.is_empty());
    let mut figures: Vec<FigureGroup> = plan.gaps.iter().map(|gap| gap.figure).collect();
    figures.sort_unstable();
    assert_eq!(figures, FigureGroup::EVENTS);
}

#[test]
fn an_unknown_version_has_no_sites() {
    let (_, recorded) = GO_1_27;
    let plan = plan(version(28, 0), &functions(recorded), &offset_of);
    assert!(plan.sites.is_empty());
    assert_eq!(plan.gaps.len(), FigureGroup::EVENTS.len());
    assert!(
        plan.gaps
            .iter()
            .all(|gap| gap.reason == Reason::UnsupportedVersion)
    );
}

/// Code from a stranger's file must not end the observer.
#[test]
fn damaged_code_is_no_panic() {
    for (version, recorded) in [GO_1_17, GO_1_22, GO_1_27] {
        let whole = functions(recorded);
        for keep in [0, 1, 5, 14, 50, 111, 333] {
            let mut cut = whole.clone();
            for function in &mut cut {
                function.code.truncate(keep);
                function.address = u64::MAX - 20;
            }
            plan(version, &cut, &|address| Some(address));
        }
        let mut state = 1u32;
        for _ in 0..20 {
            let mut noise = whole.clone();
            for byte in noise.iter_mut().flat_map(|f| &mut f.code) {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if state >> 28 == 0 {
                    *byte = (state >> 16) as u8;
                }
            }
            plan(version, &noise, &|address| Some(address));
        }
    }
}
