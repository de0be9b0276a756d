//! The order of reads that sums stand on. A replay gives places in the order of asking, and
//! a kernel piece by piece: here the pieces tell.

use std::ops::Range;

use super::{Recorded, all, global, layout, word};
use crate::runtime::{
    RuntimeReader,
    memory::Memory,
    recording::{Read, Recording, Replay, replay::Asked},
};

/// How far the globals are moved: above all that the runtime allocated, as in a program
/// that is loaded anywhere. Places are read by address where nobody asks for another order,
/// so globals below come first by chance, and globals above come last.
const MOVED: u64 = 0x7fff_0000_0000;
/// Above the globals of a program that is not moved.
const END_OF_GLOBALS: u64 = 1 << 32;

/// A program with its globals moved. What is read by pointers stays, also `m0`.
fn moved(one: &Recorded) -> Recording {
    moved_by(one, MOVED)
}

pub(super) fn moved_by(one: &Recorded, distance: u64) -> Recording {
    let mut moved = one.first.clone();
    let globals = one.first.reads.iter();
    let globals = globals.filter(|read| read.address < END_OF_GLOBALS);
    moved.reads.extend(globals.map(|read| Read {
        address: read.address + distance,
        ..read.clone()
    }));
    moved.bias += distance;
    moved
}

/// The batches of a second sample, when all pointers are known.
fn batches(recording: &Recording) -> Vec<Vec<Range<u64>>> {
    let asked = Asked::default();
    let replay = Replay::new(recording.reads.clone(), 0).noting(&asked);
    let memory = Memory::recorded(replay, recording.bias);
    let program = &recording.program;
    let mut reader =
        RuntimeReader::over(memory, &program.globals, program.layout().unwrap()).unwrap();
    reader.sample().unwrap();
    asked.lock().unwrap().clear();
    reader.sample().unwrap();
    std::mem::take(&mut asked.lock().unwrap())
}

/// Where the Ps' caches keep their lists of spans.
fn lists(one: &Recorded) -> Vec<u64> {
    let layout = layout(&one.first);
    let spans = layout.heap_stats.as_ref().unwrap().cache_spans;
    let allp = global(&one.first, "allp");
    let (array, len) = (word(&one.first, allp), word(&one.first, allp + 8));
    let processors = (0..len).map(|number| word(&one.first, array + 8 * number));
    let caches = processors.map(|p| word(&one.first, layout.p.mcache.at(p)));
    caches
        .filter(|cache| *cache != 0)
        .map(|cache| spans.at(cache))
        .collect()
}

/// What moves between the globals and the Ps or Ms is missed for once and never counted
/// twice; and what tells whether any did is read last.
#[test]
fn globals_are_read_before_ps_and_ms_and_once_more_after_them() {
    for one in all() {
        let below = |piece: &Range<u64>| piece.start < END_OF_GLOBALS;
        let above = |piece: &Range<u64>| piece.start >= MOVED;
        are_read_before_and_after(one, &one.first, below);
        are_read_before_and_after(one, &moved(one), above);
    }
}

fn are_read_before_and_after(
    one: &Recorded,
    recording: &Recording,
    is_global: impl Fn(&Range<u64>) -> bool,
) {
    let batches = batches(recording);
    let with_globals: Vec<_> = batches
        .iter()
        .filter(|it| it.iter().any(&is_global))
        .collect();
    let parts = with_globals.iter().map(|batch| {
        let mut parts: Vec<bool> = batch.iter().map(&is_global).collect();
        parts.dedup();
        parts
    });
    let found: Vec<_> = parts.collect();
    assert_eq!(
        found,
        [[true, false, true]],
        "{}: {with_globals:x?}",
        one.name
    );
}

/// A span that its cache still holds afterwards was not given back when it was read.
#[test]
fn spans_are_read_before_the_caches_say_that_they_still_hold_them() {
    let mut lists_among_spans = 0;
    for one in all() {
        let lists = lists(one);
        let has_list = |piece: &Range<u64>| lists.iter().any(|list| piece.contains(list));
        let batches = batches(&moved(one));
        // Those of the whole sample come with the globals.
        let of_spans = batches.iter().find(|batch| {
            batch.iter().any(has_list) && batch.iter().all(|piece| piece.start < MOVED)
        });
        let of_spans = of_spans.expect(&one.name);
        let first = of_spans.iter().position(has_list).unwrap();
        let (spans, again) = of_spans.split_at(first);
        assert!(!spans.is_empty(), "{}: {of_spans:x?}", one.name);
        assert!(again.iter().all(has_list), "{}: {of_spans:x?}", one.name);
        lists_among_spans += u32::from(spans[spans.len() - 1].start > again[0].start);
    }
    assert!(lists_among_spans > 0, "the order of addresses is this one");
}
