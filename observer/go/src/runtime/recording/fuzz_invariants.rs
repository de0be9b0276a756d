//! What must hold of recorded memory, whoever made it up: for the fuzzer, and for tests
//! that change words at random.

use std::{fmt::Write as _, io, sync::Arc};

use super::{Read, Recording};
use crate::runtime::{StateFigures, WalkLimits};

/// Bytes that say one change.
pub const CHANGE: usize = 12;
/// Samples of one recording: the second is held against the first.
const SAMPLES: usize = 3;

/// Changes words of a recording. Each change is a number of a read, an offset in it, and
/// eight bytes to put there; an odd number of a read changes every read of that place.
#[must_use]
pub fn changed(recording: &Recording, changes: &[u8]) -> Recording {
    let mut recording = recording.clone();
    let (changes, _) = changes.as_chunks::<CHANGE>();
    for change in changes {
        let [a, b, c, d, word @ ..] = *change;
        let number = usize::from(u16::from_le_bytes([a, b]));
        let offset = u64::from(u16::from_le_bytes([c, d]));
        let Some(read) = recording
            .reads
            .get(number / 2 % recording.reads.len().max(1))
        else {
            return recording;
        };
        let at = read.address.wrapping_add(offset % read.bytes.len() as u64);
        if number % 2 == 1 {
            recording.put(at, &word);
        } else {
            let number = number / 2 % recording.reads.len();
            put(&mut recording.reads[number], at, &word);
        }
    }
    recording
}

impl Recording {
    /// Changes what was there, whenever it was read.
    pub(super) fn put(&mut self, at: u64, bytes: &[u8]) {
        for read in &mut self.reads {
            put(read, at, bytes);
        }
    }
}

/// Puts as much of the bytes as the read has room for.
pub(super) fn put(read: &mut Read, at: u64, bytes: &[u8]) {
    let start = at.wrapping_sub(read.address);
    let apart = start >= read.bytes.len() as u64;
    if apart && read.address.wrapping_sub(at) >= bytes.len() as u64 {
        return;
    }
    let mut whole = read.bytes.to_vec();
    for (offset, byte) in bytes.iter().enumerate() {
        let offset = start.wrapping_add(offset as u64) as usize;
        if let Some(there) = whole.get_mut(offset) {
            *there = *byte;
        }
    }
    read.bytes = whole.into();
}

/// Reads a file that may be a recording, and replays it.
pub fn file(bytes: &[u8]) {
    if let Ok(recording) = Recording::read(bytes) {
        recording.write(io::sink()).expect("nothing fails there");
        replay(&recording);
    }
}

/// Takes samples of what was recorded, and walks over the goroutines. Panics where a
/// figure cannot be that of any program, or a counter goes back.
pub fn replay(recording: &Recording) {
    let Ok(mut reader) = recording.reader() else {
        return;
    };
    let mut last: Option<Arc<StateFigures>> = None;
    for _ in 0..SAMPLES {
        let Ok(figures) = reader.sample() else {
            continue;
        };
        let wrong = impossible(&figures, last.as_deref());
        let (g, s) = (&figures.goroutines, &figures.allocation);
        assert!(wrong.is_empty(), "{wrong}in {g:?}, {s:?}");
        last = Some(figures);
    }
    let _ = reader.goroutines_by_creator(&|_| None, WalkLimits::default());
}

/// What figures say that no program can have, a line each.
pub(super) fn impossible(figures: &StateFigures, before: Option<&StateFigures>) -> String {
    let (g, s) = (&figures.goroutines, &figures.scheduler);
    let allocation = figures.allocation.clone().unwrap_or_default();
    let states = g.states.clone().unwrap_or_default();
    let mut wrong = String::new();
    for (name, value, most) in [
        ("live", g.live, u64::from(u32::MAX)),
        ("runnable", g.runnable, g.live + (1 << 20)),
        ("running", states.running, 1 << 20),
        ("not in Go", states.not_in_go, 1 << 20),
        ("waiting", states.waiting, u64::from(u32::MAX)),
        ("created", g.created.unwrap_or(0), 1 << 60),
        ("threads", s.threads, 1 << 22),
        ("Go's threads", s.go_threads.unwrap_or(0), s.threads),
        ("idle", s.idle_processors, s.processors),
        ("processors", s.processors, 1 << 16),
        ("heap", allocation.heap_bytes, 1 << 48),
        ("objects", allocation.heap_objects, 1 << 45),
        ("total bytes", allocation.total_bytes, 1 << 60),
        ("frees", allocation.frees, allocation.mallocs),
        ("heap live", figures.heap.live_bytes, 1 << 48),
        (
            "forced",
            figures.collections.forced,
            figures.collections.cycles,
        ),
        ("recent", figures.collections.recent.len() as u64, 256),
        ("mutex wait", s.mutex_wait_ns.unwrap_or(0), i64::MAX as u64),
    ] {
        if value > most {
            let _ = writeln!(wrong, "{name} is {value}, more than {most}");
        }
    }
    let then = before.map(counters).unwrap_or_default();
    for ((name, then), (_, now)) in then.into_iter().zip(counters(figures)) {
        if let (Some(then), Some(now)) = (then, now)
            && now < then
        {
            let _ = writeln!(wrong, "{name} went back from {then} to {now}");
        }
    }
    wrong
}

/// Counters of a sample, as far as it tells them.
pub(super) fn counters(f: &StateFigures) -> Vec<(&'static str, Option<u64>)> {
    let (c, allocation) = (&f.collections, f.allocation.as_ref());
    vec![
        ("created", f.goroutines.created),
        ("exited", f.goroutines.exited),
        ("latencies", Some(f.scheduler.latencies.count())),
        ("mutex wait", f.scheduler.mutex_wait_ns),
        ("total bytes", allocation.map(|all| all.total_bytes)),
        ("mallocs", allocation.map(|all| all.mallocs)),
        ("frees", allocation.map(|all| all.frees)),
        ("cycles", Some(c.cycles)),
        ("forced", Some(c.forced)),
        ("pause total", Some(c.pause_total_ns)),
    ]
}
