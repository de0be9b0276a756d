//! What is `work.cpuStats`, and what only looks like it.

use super::super::{Globals, find};
use super::assemble::{
    Statement::{self, Atomic, Load, Store, Take},
    function,
};
use super::{CPU_STATS, HIGH, address};
use crate::{
    binary::FunctionCode,
    release::{Arch, GoVersion, Layout},
};

const AT: u64 = HIGH + CPU_STATS;
/// Where variables are that are not it.
const OTHER: u64 = HIGH + 0x0063_1140;

/// What the end of a collection does with it.
const WRITTEN: [Statement; 6] = [
    Store(AT + 24),
    Store(AT + 32),
    Take(AT),
    Load(AT + 32),
    Load(AT + 16),
    Load(AT + 80),
];

/// What is found where the end of a collection is this code.
fn found(minor: u16, arch: Arch, statements: &[Statement]) -> Globals {
    let version = GoVersion { minor, patch: 0 };
    let start = HIGH + 0x0040_1000;
    let functions = [FunctionCode {
        name: "runtime.gcMarkTermination".to_owned(),
        address: start,
        code: function(arch, version, start, statements),
    }];
    find(&Layout::of(version, arch).unwrap(), &functions, &|_| None)
}

/// Each release that gives it to a method, for each instruction set.
fn runtimes() -> impl Iterator<Item = (u16, Arch)> {
    let minors = 21..=GoVersion::NEWEST_MINOR;
    minors.flat_map(|minor| Arch::ALL.map(|arch| (minor, arch)))
}

#[test]
fn an_atomic_variable_among_others_is_not_it() {
    // As gcController.assistTime is, with the other times of marking behind it.
    let others = [0, 8, 16, 24, 80].map(|distance| Atomic(OTHER + distance));
    for (minor, arch) in runtimes() {
        let globals = found(minor, arch, &[&others[..], &WRITTEN].concat());
        let stats = address(globals.cpu_stats.as_ref());
        assert_eq!(stats, Some(AT), "1.{minor} {arch:?} {:?}", globals.gaps);
    }
}

#[test]
fn each_of_its_places_must_be_met() {
    for (minor, arch) in runtimes() {
        for missing in [0, 16, 24, 32, 80] {
            let is_elsewhere = |statement: &Statement| match statement {
                Store(at) | Take(at) | Load(at) => *at != AT + missing,
                _ => true,
            };
            let rest: Vec<_> = WRITTEN.into_iter().filter(is_elsewhere).collect();
            let stats = found(minor, arch, &rest).cpu_stats;
            assert_eq!(stats, None, "1.{minor} {arch:?} without {missing}");
        }
    }
}

#[test]
fn of_two_that_fit_it_is_neither() {
    let other = [0, 16, 24, 32, 80].map(|distance| Take(OTHER + distance));
    for (minor, arch) in runtimes() {
        let globals = found(minor, arch, &[&WRITTEN[..], &other].concat());
        let why = "2 bases fit the references of runtime.gcMarkTermination";
        let mut gaps = globals.gaps.iter();
        let gap = gaps.find(|gap| gap.global == "runtime.work.cpuStats");
        assert_eq!(gap.map(|gap| gap.detail.as_str()), Some(why), "{arch:?}");
        assert_eq!(globals.cpu_stats, None, "1.{minor} {arch:?}");
    }
}
