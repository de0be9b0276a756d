//! What was recorded on one machine, as if another one had made it: by an address and by an
//! instruction set of its own. Nothing of the machine that replays it may show.

use super::{all, order::moved_by, sample};
use crate::{release::Arch, runtime::StateError};

/// Where programs may be: beyond the 47 bits that x86-64 has without asking, at the end of
/// arm64's 48, and where 52 and 57 are in use.
const FAR: [u64; 4] = [
    0xaaaa_0000_0000,
    0xffff_0000_0000,
    0x000f_ffff_0000_0000,
    0x01ff_ffff_0000_0000,
];

#[test]
fn addresses_may_be_of_any_width() {
    for one in all() {
        let expected = sample(&one.first).1;
        for distance in FAR {
            let found = sample(&moved_by(one, distance)).1;
            assert_eq!(found, expected, "{} {distance:#x}", one.name);
        }
    }
}

/// All that a reader asks for lies alike on both (`layouts.tsv`), so the same memory says the
/// same, and a reader for arm64 asks for nothing that was not recorded.
#[test]
fn each_instruction_set_reads_the_same_places() {
    for one in all() {
        for both in [one.first.clone(), one.both()] {
            let (reader, expected) = sample(&both);
            let mut other = both;
            assert_eq!(other.program.arch, Arch::Amd64);
            other.program.arch = Arch::Arm64;
            let (as_other, found) = sample(&other);
            assert_eq!(found, expected, "{}", one.name);
            assert_eq!(as_other.gaps(), reader.gaps(), "{}", one.name);
            let mut file = Vec::new();
            other.write_text(&mut file).unwrap();
            let again = super::Recording::read(&*file).unwrap();
            assert_eq!(again.program.arch, Arch::Arm64);
            assert_eq!(sample(&again).1, expected, "{}", one.name);
        }
    }
}

/// On either, what cannot be there is refused before anything is said of it.
#[test]
fn each_instruction_set_is_confirmed_as_strictly() {
    for one in all() {
        let layout = super::layout(&one.first);
        let sched = super::global(&one.first, "sched");
        let controller = super::global(&one.first, "gcController");
        let memstats = super::global(&one.first, "memstats");
        for (place, said) in [
            (layout.sched.threads_most.at(sched), "sched"),
            (
                layout.controller.heap_minimum.at(controller),
                "gcController",
            ),
            (layout.memstats.last_gc.at(memstats), "memstats"),
        ] {
            for arch in Arch::ALL {
                let mut forged = one.first.clone();
                forged.program.arch = arch;
                forged.put(place, &[0xff; 4]);
                let error = forged.reader().unwrap().sample().unwrap_err();
                assert!(
                    matches!(error, StateError::Unconfirmed { global, .. } if global == said),
                    "{} {arch:?} {said}: {error}",
                    one.name
                );
            }
        }
    }
}

/// A machine of many CPUs is recorded, and one of few replays it.
#[test]
fn the_machine_that_replays_sets_no_bound() {
    let one = all().last().unwrap();
    let allp = super::global(&one.first, "allp");
    let mut many = one.first.clone();
    many.put(allp + 16, &2048_u64.to_le_bytes());
    let error = many.reader().unwrap().sample().unwrap_err();
    // Not that there are too many, but that they were not recorded.
    assert!(!matches!(error, StateError::TooMany { .. }), "{error}");
    many.put(allp + 16, &u64::from(u32::MAX).to_le_bytes());
    let error = many.reader().unwrap().sample().unwrap_err();
    assert!(matches!(error, StateError::TooMany { .. }), "{error}");
}
