//! Recordings that somebody forged: lengths that nothing has, lists that lead back,
//! pointers that lead nowhere, counters that go back. Each figure that cannot be told is
//! absent and the reason is named; none is absurd.

use super::{Random, Recorded, all, global, layout, sample, word};
use crate::{
    release::{GapReason, StateFigure},
    runtime::{MemoryError, StateError, recording::fuzz_invariants},
};

/// Random changes of each release's recording, and how many words each changes.
const ROUNDS: u64 = 40;
const WORDS: usize = 3;

/// A slice's three words.
fn slice(data: u64, len: u64, capacity: u64) -> Vec<u8> {
    [data, len, capacity].map(u64::to_le_bytes).concat()
}

/// What a sample says where somebody put something.
fn forged(one: &Recorded, at: u64, bytes: &[u8]) -> StateError {
    let mut recording = one.first.clone();
    recording.put(at, bytes);
    let result = recording.reader().unwrap().sample();
    result.expect_err(&format!("{}: {bytes:?} at {at:#x}", one.name))
}

#[test]
fn lengths_that_nothing_has() {
    for one in all() {
        let (allp, allgs) = (global(&one.first, "allp"), global(&one.first, "allgs"));
        let many = forged(one, allp, &slice(0x1000, 1 << 40, 1 << 40));
        assert!(
            matches!(many, StateError::TooMany { what: "Ps", .. }),
            "{many}"
        );
        let longer = forged(one, allp, &slice(0x1000, 5, 4));
        assert!(
            matches!(longer, StateError::Implausible { figure: "allp", .. }),
            "{longer}"
        );
        for forgery in [
            slice(0x1000, 9, 8),
            slice(0x1000, 1, 1 << 33),
            slice(0, 1, 1),
        ] {
            let error = forged(one, allgs, &forgery);
            assert!(
                matches!(
                    error,
                    StateError::Implausible {
                        figure: "allgs",
                        ..
                    }
                ),
                "{error}"
            );
        }
        let none = forged(one, allp, &slice(0, 0, 0));
        assert!(matches!(none, StateError::NotStarted), "{none}");
    }
}

#[test]
fn pointers_that_lead_nowhere() {
    let nowhere = 0xdead_0000_u64.to_le_bytes();
    for one in all() {
        let layout = layout(&one.first);
        let allp = global(&one.first, "allp");
        let first_p = word(&one.first, word(&one.first, allp));
        let cache = layout.p.mcache.at(first_p);
        let mut places = vec![allp, word(&one.first, allp), cache];
        let spans = layout.heap_stats.as_ref().unwrap().cache_spans;
        // The place of the first class of small objects.
        places.push(spans.at(word(&one.first, cache)) + 2 * 8);
        for at in places {
            let error = forged(one, at, &nowhere);
            let expected = matches!(error, StateError::Memory(MemoryError::NotRecorded { .. }));
            assert!(expected && error.is_passing(), "{}: {error}", one.name);
        }
    }
}

#[test]
fn a_list_of_threads_that_leads_back_costs_its_own_figures_only() {
    for one in all() {
        let layout = layout(&one.first);
        let head = word(&one.first, global(&one.first, "allm"));
        let mut recording = one.first.clone();
        recording.put(layout.m.next.unwrap().at(head), &head.to_le_bytes());
        let mut reader = recording.reader().unwrap();
        let honest = sample(&one.first).1;
        for _ in 0..10 {
            let figures = reader.sample().unwrap();
            assert_eq!(figures.goroutines.states, None, "{}", one.name);
            assert_eq!(figures.scheduler.go_threads, None, "{}", one.name);
            assert_eq!(figures.goroutines.live, honest.goroutines.live);
            assert_eq!(figures.allocation, honest.allocation);
        }
        let mut gaps = reader.gaps().iter();
        let gap = gaps.find(|gap| gap.figure == StateFigure::GoroutineStates);
        assert_eq!(gap.unwrap().reason, GapReason::Unconfirmed, "{}", one.name);
        // Of a list that was right before, it is a reason to wait for the next sample.
        let mut later = one.first.clone();
        let mut twisted = recording.clone();
        let made = layout.sched.threads_made.at(global(&one.first, "sched"));
        twisted.put(made, &(word(&one.first, made) + 1).to_le_bytes());
        later.reads.extend(twisted.reads);
        let (mut reader, _) = sample(&later);
        let error = reader.sample().expect_err(&one.name);
        assert!(matches!(error, StateError::Torn("allm")), "{error}");
    }
}

#[test]
fn counters_that_go_back() {
    for one in all() {
        let mut back = one.second.clone();
        back.reads.extend_from_slice(&one.first.reads);
        let (mut reader, _) = sample(&back);
        let error = reader.sample().expect_err(&one.name);
        assert!(
            matches!(error, StateError::Backwards { .. }),
            "{}: {error}",
            one.name
        );
        // The last good sample is no more believed than all since.
        let believed = (0..20).find_map(|_| reader.sample().ok());
        let (believed, first) = (believed.unwrap(), sample(&one.first).1);
        assert_eq!(believed.goroutines.created, first.goroutines.created);
    }
}

#[test]
fn figures_that_no_program_can_have() {
    for one in all() {
        let layout = layout(&one.first);
        let at = |name| global(&one.first, name);
        let (s, m) = (&layout.sched, &layout.memstats);
        let sched = |field: crate::release::Field| field.at(at("sched"));
        for (place, value) in [
            (sched(s.threads_made), 1 << 40),
            (sched(s.goid_generator), 1 << 62),
            (sched(s.run_queue), 1 << 30),
            (m.pause_total.at(at("memstats")), 0),
            (m.pause_total.at(at("memstats")), u64::MAX),
            (layout.controller.heap_live.at(at("gcController")), 1 << 60),
        ] {
            if place == sched(s.goid_generator) && s.goroutines_created.is_some() {
                continue;
            }
            let error = forged(one, place, &value.to_le_bytes()[..]);
            assert!(error.is_passing(), "{} {place:#x}: {error}", one.name);
        }
    }
}

#[test]
fn any_word_may_be_anything() {
    let edges = [
        0,
        1,
        8,
        255,
        1 << 20,
        1 << 31,
        1 << 32,
        1 << 47,
        1 << 63,
        u64::MAX,
    ];
    for one in all() {
        let both = one.both();
        for seed in 1..=ROUNDS {
            let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
            let mut changes = Vec::new();
            for _ in 0..WORDS {
                changes.extend_from_slice(&random.next().to_le_bytes()[..4]);
                let edge = edges[random.next() as usize % edges.len()];
                let value = if random.next() & 1 == 0 {
                    edge
                } else {
                    random.next()
                };
                changes.extend_from_slice(&value.to_le_bytes());
            }
            fuzz_invariants::replay(&fuzz_invariants::changed(&both, &changes));
        }
    }
}
