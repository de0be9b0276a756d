//! Globals of a made-up runtime, by the code that each instruction set would have for it.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod assemble;
mod cpu_stats;

use self::assemble::{Statement, function};
use super::{Global, Globals, find, find_by};
use crate::{
    binary::FunctionCode,
    release::{Arch, GoVersion, Layout},
};
use Statement::{Load, Pair, Set, Store, Take};

const SCHED: u64 = 0x0060_1140;
const ALLGS: u64 = 0x0061_00f8;
const ALLP: u64 = 0x0061_1108;
const ALLM: u64 = 0x0061_2210;
const MEMSTATS: u64 = 0x0062_0340;
const CONTROLLER: u64 = 0x0063_0080;
const CPU_STATS: u64 = 0x0064_0500;
/// Where a program may be on arm64, and is beyond what x86-64 has for programs.
const HIGH: u64 = 0xaaaa_0000_0000;

/// A runtime of one release.
struct Runtime {
    version: GoVersion,
    arch: Arch,
    /// Added to the address of everything.
    base: u64,
}

impl Runtime {
    fn layout(&self) -> Layout {
        Layout::of(self.version, self.arch).unwrap()
    }

    /// Where a field of a global lies; none where this release has no such field.
    fn place(&self, global: u64, field: &str) -> Option<u64> {
        let field = Layout::field(self.version, self.arch, field)?;
        Some(self.base + global + field.offset as u64)
    }

    fn loads(&self, global: u64, fields: &[&str]) -> Vec<Statement> {
        let places = fields.iter().filter_map(|field| self.place(global, field));
        places.map(Load).collect()
    }

    fn functions(&self) -> Vec<FunctionCode> {
        let at = |address: u64| self.base + address;
        let lock = Take(at(SCHED) + 16);
        let maximum = self.place(SCHED, "schedt.maxmcount").unwrap();
        let mut collector = self.loads(
            MEMSTATS,
            &[
                "mstats.last_gc_unix",
                "mstats.pause_total_ns",
                "mstats.numgc",
                "mstats.numforcedgc",
                "mstats.gc_cpu_fraction",
            ],
        );
        collector.extend(self.place(MEMSTATS, "mstats.pause_ns").map(Take));
        collector.extend(self.place(MEMSTATS, "mstats.pause_end").map(Take));
        collector.push(Take(at(CONTROLLER)));
        if self.layout().cpu_stats.is_some() {
            let stats = at(CPU_STATS);
            collector.extend([Store(stats + 24), Store(stats + 32), Take(stats)]);
            collector.extend([Load(stats + 32), Load(stats + 16), Load(stats + 80)]);
        }
        let pacer = self.loads(
            CONTROLLER,
            &[
                "gcControllerState.heapMinimum",
                "gcControllerState.heapLive",
                "gcControllerState.heapMarked",
                "gcControllerState.heapScan",
                "gcControllerState.lastHeapGoal",
                "gcControllerState.triggered",
                "gcControllerState.trigger",
            ],
        );
        let counts = ["schedt.mnext", "schedt.nmfreed", "schedt.ngsys"];
        let written = [
            ("schedinit", vec![lock, Set(maximum, 10_000)]),
            ("newproc1", vec![Take(at(SCHED))]),
            ("checkmcount", self.loads(SCHED, &counts)),
            (
                "allgadd",
                vec![Pair(at(ALLGS)), Load(at(ALLGS) + 16), Store(at(ALLGS) + 8)],
            ),
            ("procresize", vec![Load(at(ALLP)), Pair(at(ALLP) + 8)]),
            ("stopTheWorldWithSema", vec![lock, Load(at(ALLP))]),
            (
                "mcommoninit",
                vec![lock, Load(at(ALLM)), Take(at(ALLM)), Store(at(ALLM))],
            ),
            ("mexit", vec![Take(at(ALLM)), lock]),
            ("schedtrace", vec![lock, Load(at(ALLM))]),
            ("gcMarkTermination", collector),
            ("gcMarkDone", vec![Take(at(CONTROLLER))]),
            ("gcControllerCommit", vec![Take(at(CONTROLLER))]),
            ("gcStart", pacer),
        ];
        let starts = (0..).map(|number| at(0x0040_1000 + 0x1000 * number));
        let functions = written.into_iter().zip(starts);
        functions
            .map(|((name, statements), start)| FunctionCode {
                name: format!("runtime.{name}"),
                address: start,
                code: function(self.arch, self.version, start, &statements),
            })
            .collect()
    }

    fn found(&self) -> Globals {
        find(&self.layout(), &self.functions(), &|_| None)
    }
}

fn address(global: Option<&Global>) -> Option<u64> {
    global.map(|global| global.address)
}

#[test]
fn each_instruction_set_tells_the_same_globals() {
    for minor in GoVersion::OLDEST_MINOR..=GoVersion::NEWEST_MINOR {
        // In 1.20 every field of cpuStats is met, and no address is taken.
        if minor == 20 {
            continue;
        }
        let version = GoVersion { minor, patch: 0 };
        let mut others = None;
        for (arch, base) in Arch::ALL
            .into_iter()
            .flat_map(|arch| [(arch, 0), (arch, HIGH)])
        {
            let runtime = Runtime {
                version,
                arch,
                base,
            };
            let globals = runtime.found();
            let said = format!("go{version} {arch:?} {:?}", globals.gaps);
            assert!(globals.gaps.is_empty(), "{said}");
            let at = |address: u64| Some(base + address);
            assert_eq!(address(globals.sched.as_ref()), at(SCHED), "{said}");
            assert_eq!(address(globals.allgs.as_ref()), at(ALLGS), "{said}");
            assert_eq!(address(globals.allp.as_ref()), at(ALLP), "{said}");
            assert_eq!(address(globals.allm.as_ref()), at(ALLM), "{said}");
            assert_eq!(address(globals.memstats.as_ref()), at(MEMSTATS), "{said}");
            assert_eq!(
                address(globals.gc_controller.as_ref()),
                at(CONTROLLER),
                "{said}"
            );
            let cpu_stats = (minor > 20).then_some(base + CPU_STATS);
            assert_eq!(address(globals.cpu_stats.as_ref()), cpu_stats, "{said}");
            // Neither more nor fewer witnesses, whatever the code looks like.
            let witnesses = [
                &globals.sched,
                &globals.allgs,
                &globals.allp,
                &globals.allm,
                &globals.memstats,
                &globals.gc_controller,
                &globals.cpu_stats,
            ]
            .map(|global| global.as_ref().map(|global| global.witnesses));
            assert_eq!(*others.get_or_insert(witnesses), witnesses, "{said}");
        }
    }
}

#[test]
fn what_no_code_refers_to_is_not_found() {
    for arch in Arch::ALL {
        let version = GoVersion {
            minor: GoVersion::NEWEST_MINOR,
            patch: 0,
        };
        let runtime = Runtime {
            version,
            arch,
            base: 0,
        };
        for (function, lost) in [
            ("runtime.schedinit", "runtime.sched"),
            ("runtime.allgadd", "runtime.allgs"),
            ("runtime.procresize", "runtime.allp"),
            ("runtime.mexit", "runtime.allm"),
            ("runtime.gcControllerCommit", "runtime.gcController"),
            ("runtime.gcMarkTermination", "runtime.work.cpuStats"),
        ] {
            let mut functions = runtime.functions();
            functions.retain(|it| it.name != function);
            let globals = find(&runtime.layout(), &functions, &|_| None);
            let mut gaps = globals.gaps.iter();
            assert!(gaps.any(|gap| gap.global == lost), "{arch:?} {function}");
        }
    }
}

/// Each finds fields where its own runtime has them: what lies behind cache lines of padding
/// is elsewhere on the other one, and a symbol table names only what it is in.
#[test]
fn a_symbol_and_the_layout_of_its_own_instruction_set_tell_cpu_stats() {
    let version = GoVersion {
        minor: GoVersion::NEWEST_MINOR,
        patch: 0,
    };
    let found = Arch::ALL.map(|arch| {
        let layout = Layout::of(version, arch).unwrap();
        let fields = |name: &str| Layout::field(version, arch, name);
        let work = |name: &str| (name == "runtime.work").then_some(0x0064_0000);
        let globals = find_by(layout.rules, arch, &fields, &[], &work);
        address(globals.cpu_stats.as_ref())
    });
    assert_eq!(found, [Some(0x0064_0000 + 728), Some(0x0064_0000 + 984)]);
}
