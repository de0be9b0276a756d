//! The rows against what each of them decides, said once more by ranges of releases:
//! whoever changes a row by mistake has to make the same mistake here.

use observer_ebpf::Abi;

use super::{ControllerShown, CpuStatsAdded, Exit, ROWS, Start, rules};
use crate::release::{Arch, GoVersion, Layout};

#[test]
fn an_unknown_release_has_no_rules() {
    for minor in [0, 16, 28, 29, 127, u16::MAX] {
        assert_eq!(rules(minor), None, "{minor}");
    }
    assert_eq!((GoVersion::OLDEST_MINOR, GoVersion::NEWEST_MINOR), (17, 27));
}

/// A release that the tests build with and that has no row, or the reverse, is half added.
#[test]
fn the_tests_build_with_every_release_that_has_a_row() {
    let built = observer_releases::VERSIONS.map(observer_releases::minor);
    assert!(ROWS.iter().map(|(minor, _)| u32::from(*minor)).eq(built));
}

#[test]
fn rows_are_in_order_and_each_is_its_releases() {
    assert_eq!(ROWS.len(), 11);
    for (place, (minor, row)) in ROWS.into_iter().enumerate() {
        assert_eq!(usize::from(minor), 17 + place);
        assert_eq!(rules(minor), Some(row));
    }
}

#[test]
fn goroutines_end_in_gdestroy_from_1_22_on() {
    for (minor, row) in ROWS {
        let gdestroy = minor >= 22;
        assert_eq!(row.exit == Exit::Gdestroy, gdestroy, "{minor}");
    }
}

#[test]
fn stops_are_as_each_release_makes_them() {
    for (minor, row) in ROWS {
        let abi = match minor {
            ..=20 => Abi::NoReason,
            21 => Abi::Reason,
            22 => Abi::WorldStopStart,
            _ => Abi::WorldStopFinished,
        };
        assert_eq!(row.stop_abi, abi, "{minor}");
        let reason = (minor <= 20).then_some("runtime.stopTheWorld");
        assert_eq!(row.reason_function, reason, "{minor}");
        assert_eq!(row.stop_is_called, minor > 20, "{minor}");
        let stopping = (minor == 22).then_some("runtime.(*timeHistogram).record");
        assert_eq!(row.stopping_function, stopping, "{minor}");
        let start = if minor <= 21 {
            let last_gc_from_numgc = if minor <= 18 { 1664 } else { 16 };
            Start::Caller { last_gc_from_numgc }
        } else {
            Start::Argument
        };
        assert_eq!(row.start, start, "{minor}");
    }
}

#[test]
fn variables_are_found_as_each_release_uses_them() {
    for (minor, row) in ROWS {
        let max_m_count = match minor {
            ..=24 => 56,
            25 => 64,
            _ => 80,
        };
        assert_eq!(row.max_m_count, max_m_count, "{minor}");
        let by_commit = minor > 18;
        assert_eq!(
            row.controller == ControllerShown::Commit,
            by_commit,
            "{minor}"
        );
        let cpu_stats = match minor {
            ..=19 => CpuStatsAdded::Nowhere,
            20 => CpuStatsAdded::Inlined,
            _ => CpuStatsAdded::Called,
        };
        assert_eq!(row.cpu_stats, cpu_stats, "{minor}");
        assert_eq!(row.scaled_headroom, minor >= 21, "{minor}");
    }
}

#[test]
fn rows_agree_with_the_table_of_layouts() {
    for (minor, row) in ROWS {
        let first = GoVersion { minor, patch: 0 };
        for arch in Arch::ALL {
            let said = format!("go{first} {arch:?}");
            let offset = |name| Some(Layout::field(first, arch, name)?.offset as u64);
            assert_eq!(offset("schedt.maxmcount"), Some(row.max_m_count), "{said}");
            let of_system = row.max_m_count + 16;
            assert_eq!(offset("schedt.ngsys"), Some(of_system), "{said}");
            let kept = offset("cpuStats").is_some();
            assert_eq!(row.cpu_stats != CpuStatsAdded::Nowhere, kept, "{said}");
            if let Start::Caller { last_gc_from_numgc } = row.start {
                let numgc = offset("mstats.numgc");
                let last = offset("mstats.last_gc_nanotime");
                let distance = last
                    .zip(numgc)
                    .map(|(last, numgc)| last.wrapping_sub(numgc));
                assert_eq!(distance, Some(last_gc_from_numgc), "{said}");
            }
        }
    }
}

#[test]
fn each_release_but_the_oldest_brought_functions_of_its_own() {
    let mut seen = Vec::new();
    for (minor, row) in ROWS {
        assert_eq!(row.brought.is_none(), minor == 17, "{minor}");
        for name in row.brought.into_iter().flatten() {
            assert!(name.starts_with("runtime."), "{name}");
            assert!(!seen.contains(&name), "{name} came twice");
            seen.push(name);
        }
    }
}
