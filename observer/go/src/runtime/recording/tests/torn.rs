//! What is read while the program runs is of more than one moment: here half of it is of
//! the first, and half of the second. Then a sample is dropped, or its counters lie
//! between those of the two.

use super::{Random, Recorded, all, global, layout, sample, word};
use crate::runtime::{
    RuntimeReader, StateError, StateFigures,
    memory::Memory,
    recording::{
        Read, Recording, Replay,
        fuzz_invariants::{counters, impossible, put},
    },
};

/// Bytes of a cell that changes as a whole: a processor tears no aligned word.
const WORD: usize = 8;

/// The second moment, where `is_old` says so with what the first had there.
fn mixed(one: &Recorded, mut is_old: impl FnMut(usize, usize) -> bool) -> Recording {
    let before = &one.first.reads;
    let mut mixed = one.both();
    let from = before.len();
    for (number, read) in mixed.reads[from..].iter_mut().enumerate() {
        let same_place =
            |old: &&Read| old.address == read.address && old.bytes.len() == read.bytes.len();
        let Some(old) = before.iter().rfind(same_place) else {
            continue;
        };
        let mut bytes = read.bytes.to_vec();
        let words = bytes.chunks_mut(WORD).zip(old.bytes.chunks(WORD));
        for (place, (new, old)) in words.enumerate() {
            if is_old(number, place) {
                new.copy_from_slice(old);
            }
        }
        read.bytes = bytes.into();
    }
    mixed
}

/// Takes both samples; the second is of two moments.
fn hold(one: &Recorded, recording: &Recording, what: &str) -> Result<(), StateError> {
    let (first, second) = (sample(&one.first).1, sample(&one.second).1);
    let (mut reader, before) = sample(recording);
    assert_eq!(before, first, "{} {what}", one.name);
    let figures = match reader.sample() {
        Ok(figures) => figures,
        Err(error) => {
            assert!(error.is_passing(), "{} {what}: {error}", one.name);
            return Err(error);
        }
    };
    let wrong = impossible(&figures, Some(&before)) + &beyond(&figures, &second, true);
    assert!(
        wrong.is_empty(),
        "{} {what}: {wrong}{:?}",
        one.name,
        figures.goroutines
    );
    Ok(())
}

/// Counters that are ahead of those at the second moment; in any order, by more than what
/// is on its way from a P to the counters and is then counted twice.
fn beyond(figures: &StateFigures, second: &StateFigures, any_order: bool) -> String {
    let ps = second.scheduler.processors;
    let slack = |name| match name {
        _ if !any_order => 0,
        "created" => 64 * ps,
        "exited" => 512 * ps,
        "total bytes" => ps << 22,
        "mallocs" | "frees" => ps << 17,
        "mutex wait" => 1_000_000_000,
        _ => 0,
    };
    let pairs = counters(figures).into_iter().zip(counters(second));
    let ahead = pairs.filter(|((name, now), (_, then))| {
        now.zip(*then)
            .is_some_and(|(now, then)| now > then + slack(name))
    });
    let ahead: Vec<_> = ahead.map(|pair| format!("{pair:?} is ahead")).collect();
    ahead.join("\n")
}

/// A reader of a program that is at the first moment and, after so many places, at the
/// second.
fn turning(one: &Recorded, after: usize) -> RuntimeReader {
    let [first, second] = [&one.first, &one.second].map(|r| Replay::new(r.reads.clone(), 0));
    let memory = Memory::recorded(first.turning(after, second), one.first.bias);
    let layout = one.first.program.layout().unwrap();
    RuntimeReader::over(memory, &one.first.program.globals, layout).unwrap()
}

/// How many places a reader's first sample asks for, and its second.
fn places(one: &Recorded) -> [usize; 2] {
    let mut reader = one.first.reader().unwrap();
    [(); 2].map(|()| {
        reader.memory.record();
        reader.sample().unwrap();
        reader.memory.take_recorded().unwrap().len()
    })
}

/// Counters are read before what is counted up from them in the Ps: what moves from one
/// to the other meanwhile is missed for once, and nothing is counted twice.
#[test]
fn a_program_that_runs_on_amid_a_sample_is_never_ahead_of_itself() {
    for one in all() {
        let second = sample(&one.second).1;
        let [before, during] = places(one);
        let mut mixed = 0;
        for after in before..before + during {
            let mut reader = turning(one, after);
            let first = reader.sample().unwrap();
            let what = format!("{}, {after} of {during} after {before}", one.name);
            let Ok(figures) = reader.sample() else {
                continue;
            };
            let wrong = impossible(&figures, Some(&first)) + &beyond(&figures, &second, false);
            assert!(wrong.is_empty(), "{what}: {wrong}{:?}", figures.goroutines);
            mixed += u32::from(figures.allocation != second.allocation);
        }
        assert!(mixed > 0, "{}: {mixed} of two moments", one.name);
    }
}

#[test]
fn one_moment_ends_amid_a_sample() {
    let (mut taken, mut dropped) = (0, 0);
    for one in all() {
        let reads = one.second.reads.len();
        for cut in (0..reads).step_by(reads.div_ceil(12)) {
            // Time goes on: first the old, from some read on the new.
            let forth = mixed(one, |number, _| number < cut);
            let back = mixed(one, |number, _| number >= cut);
            for (recording, what) in [(forth, "forth"), (back, "back")] {
                match hold(one, &recording, &format!("{what} at {cut}")) {
                    Ok(()) => taken += 1,
                    Err(_) => dropped += 1,
                }
            }
        }
    }
    assert!(taken > 0 && dropped > 0, "{taken} taken, {dropped} dropped");
}

#[test]
fn every_word_is_of_either_moment() {
    for one in all() {
        for seed in 1..=8 {
            let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
            let recording = mixed(one, |_, _| random.next() & 1 == 0);
            let _ = hold(one, &recording, &format!("seed {seed}"));
        }
    }
}

/// The first moment, where reads of so many bytes of a global find another word.
fn again(one: &Recorded, name: &str, len: usize, at: u64, word: u64) -> Recording {
    let mut recording = one.first.clone();
    let global = global(&one.first, name);
    let within = |read: &&mut Read| {
        let is_global = read.address >= global && read.address <= at;
        is_global && read.bytes.len() == len
    };
    for read in recording.reads.iter_mut().filter(within) {
        put(read, at, &word.to_le_bytes());
    }
    recording
}

/// As the runtime's `gcount`, which looks at the scheduler before the Ps.
#[test]
fn of_dead_ones_that_never_stand_still_the_scheduler_is_asked_first() {
    for one in all() {
        let layout = layout(&one.first);
        let s = &layout.sched;
        let dead = s.dead.or(s.dead_with_stack).unwrap();
        let at = dead.at(global(&one.first, "sched"));
        let more = word(&one.first, at) + 1;
        let moving = again(one, "sched", layout.sizes().sched_head, at, more);
        assert_eq!(sample(&moving).1, sample(&one.first).1, "{}", one.name);
    }
}

/// What was allocated before the Ps were read is what counts; a ring that fell meanwhile is
/// being merged.
#[test]
fn a_ring_may_grow_amid_a_sample_and_not_fall() {
    for one in all() {
        let layout = layout(&one.first);
        let heap = layout.heap_stats.as_ref().unwrap();
        let at = heap.stats.at(global(&one.first, "memstats"));
        let at = heap.large_bytes.at(heap.ring.at(at));
        let bytes = word(&one.first, at);
        let ring = |bytes| again(one, "memstats", heap.stats.size, at, bytes);
        let grown = sample(&ring(bytes.wrapping_add(4096))).1;
        assert_eq!(grown, sample(&one.first).1, "{}", one.name);
        let fallen = ring(bytes.wrapping_sub(4096)).reader().unwrap().sample();
        let is_torn = matches!(fallen, Err(StateError::Torn("memstats.heapStats")));
        assert!(is_torn, "{}: {fallen:?}", one.name);
    }
}
