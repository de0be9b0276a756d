//! Goroutines by state, by what they wait for and by who created them.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{
    error::StateError,
    memory::{Slot, VectoredRead, words},
    runtime_reader::RuntimeReader,
    status::state,
};
use crate::release::{Field, Layout, number};

/// Most places told apart that create goroutines, and most functions that
/// goroutines begin with: no program has as many `go` statements.
const MOST_PLACES: usize = 16 << 10;
/// Goroutines looked at between two looks at the clock.
const CHUNK: u64 = 4096;
/// Gs nearer to one another than this are read in one piece.
const NEAR: u64 = 1024;
/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct SourceLocation {
    /// For example `main.(*server).listen`.
    pub function: String,
    /// The line, where it is known.
    pub line: Option<u32>,
}

/// Names link-time addresses of code; the function table does.
pub trait Symbolize {
    /// The function that contains `pc` and the line there.
    fn symbolize(&self, pc: u64) -> Option<SourceLocation>;
}

impl<F: Fn(u64) -> Option<(String, Option<u32>)>> Symbolize for F {
    fn symbolize(&self, pc: u64) -> Option<SourceLocation> {
        let (function, line) = self(pc)?;
        Some(SourceLocation { function, line })
    }
}

/// How far a walk goes.
#[derive(Clone, Copy, Debug)]
pub struct WalkLimits {
    /// Longest time.
    pub time: Duration,
    /// Most creators named.
    pub creators: usize,
}

impl Default for WalkLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_millis(500),
            creators: 20,
        }
    }
}

/// Goroutines created at one `go` statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Creator {
    /// The function with the `go` statement and its line.
    pub created_by: Option<SourceLocation>,
    /// Link-time address behind the `go` statement.
    pub pc: u64,
    /// What the goroutines run, of the first one met.
    pub runs: Option<SourceLocation>,
    /// How many are alive.
    pub count: u64,
    /// For how long one of them has waited, at least. The runtime notes the
    /// time when a collection finds it waiting, not when it begins to.
    pub longest_wait_ns: Option<u64>,
}

/// What a walk over all goroutines found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GoroutineReport {
    /// Gs there are, dead ones included.
    pub allocated: u64,
    /// Gs looked at.
    pub walked: u64,
    /// Whether the walk reached the end in its time.
    pub complete: bool,
    /// The program's goroutines by state: `running`, `runnable`, `syscall`,
    /// `waiting`, `preempted`, `leaked`.
    pub states: BTreeMap<&'static str, u64>,
    /// The waiting ones by what they wait for.
    pub waiting: BTreeMap<&'static str, u64>,
    /// The runtime's own goroutines, which are in none of the other counts.
    pub system: u64,
    /// Those that most were created by.
    pub creators: Vec<Creator>,
    /// Of all that wait, the longest.
    pub longest_wait_ns: Option<u64>,
}

#[derive(Default)]
struct CreatorGroup {
    count: u64,
    starts: u64,
    longest: Option<u64>,
}

/// What is read of one G.
struct G {
    status: u64,
    reason: u64,
    since: u64,
    creator: u64,
    starts: u64,
}

impl RuntimeReader {
    /// Walks over all goroutines. Costs as much as there are, dead ones
    /// included: for people who ask, not for every sample.
    pub fn goroutines_by_creator(
        &mut self,
        symbols: &dyn Symbolize,
        limits: WalkLimits,
    ) -> Result<GoroutineReport, StateError> {
        self.snapshot.take(&self.memory, &[])?;
        let started = Instant::now();
        let now = self.memory.now_ns();
        let allgs = self.snapshot.allgs();
        let mut report = GoroutineReport {
            allocated: allgs.len,
            complete: true,
            ..GoroutineReport::default()
        };
        let mut groups: HashMap<u64, CreatorGroup> = HashMap::new();
        let mut system: HashMap<u64, bool> = HashMap::new();
        let mut batch = VectoredRead::default();
        let mut next = 0;
        while next < allgs.len {
            if started.elapsed() > limits.time {
                report.complete = false;
                break;
            }
            let count = CHUNK.min(allgs.len - next);
            batch.clear();
            let slot = batch.add(allgs.data.wrapping_add(8 * next), 8 * count as usize);
            self.memory.fetch(&mut batch)?;
            let mut addresses: Vec<u64> = words(batch.bytes(slot)).filter(|g| *g != 0).collect();
            addresses.sort_unstable();
            batch.clear();
            let places = ask(&mut batch, &self.layout, &addresses);
            self.memory.fetch(&mut batch)?;
            for (slot, skip) in places {
                let g = G::read(&self.layout, &batch.bytes(slot)[skip..]);
                let is_system = |pc| is_system(symbols, self.memory.linked(pc));
                report.add(&self.layout, &g, now, &mut groups, &mut system, is_system);
            }
            let places = groups.len().max(system.len());
            if places > MOST_PLACES {
                return Err(StateError::TooMany {
                    what: "places that create goroutines",
                    value: places as u64,
                    most: MOST_PLACES as u64,
                });
            }
            report.walked += count;
            next += count;
        }
        let mut largest: Vec<(u64, CreatorGroup)> = groups.into_iter().collect();
        largest.sort_unstable_by_key(|(pc, group)| (std::cmp::Reverse(group.count), *pc));
        largest.truncate(limits.creators);
        report.creators = largest
            .into_iter()
            .map(|(pc, group)| {
                let pc = self.memory.linked(pc);
                Creator {
                    // The address is the one the call returns to.
                    created_by: symbols.symbolize(pc.wrapping_sub(1)),
                    pc,
                    runs: symbols.symbolize(self.memory.linked(group.starts)),
                    count: group.count,
                    longest_wait_ns: group.longest,
                }
            })
            .collect();
        Ok(report)
    }
}

impl GoroutineReport {
    fn add(
        &mut self,
        layout: &Layout,
        g: &G,
        now: u64,
        groups: &mut HashMap<u64, CreatorGroup>,
        system: &mut HashMap<u64, bool>,
        is_system: impl Fn(u64) -> bool,
    ) {
        let Some(state) = state(g.status) else { return };
        // One without a go statement belongs to a thread of C that is not in Go.
        if g.creator == 0 && state == "syscall" {
            return;
        }
        if *system
            .entry(g.starts)
            .or_insert_with(|| is_system(g.starts))
        {
            self.system += 1;
            return;
        }
        *self.states.entry(state).or_default() += 1;
        let group = groups.entry(g.creator).or_default();
        if group.count == 0 {
            group.starts = g.starts;
        }
        group.count += 1;
        if state != "waiting" {
            return;
        }
        let reasons = &layout.wait_reasons;
        let reason = match reasons.get(g.reason as usize) {
            Some(&"") | None => "unknown",
            Some(reason) => reason,
        };
        *self.waiting.entry(reason).or_default() += 1;
        if g.since != 0 && g.since <= now {
            let waited = Some(now - g.since);
            group.longest = group.longest.max(waited);
            self.longest_wait_ns = self.longest_wait_ns.max(waited);
        }
    }
}

impl G {
    fn read(layout: &Layout, bytes: &[u8]) -> Self {
        let first = first(layout);
        let of = |field: Field| number(bytes, field.offset - first, field.size);
        let g = &layout.g;
        Self {
            status: of(g.status),
            reason: of(g.wait_reason),
            since: of(g.waiting_since),
            creator: of(g.created_by),
            starts: of(g.starts),
        }
    }
}

/// As the runtime's `isSystemGoroutine`: by the function it starts with.
fn is_system(symbols: &dyn Symbolize, starts: u64) -> bool {
    let Some(symbol) = symbols.symbolize(starts) else {
        return false;
    };
    symbol.function.starts_with("runtime.")
        && !matches!(
            symbol.function.as_str(),
            "runtime.main" | "runtime.corostart" | "runtime.handleAsyncEvent"
        )
}

/// The first byte that is read of a G.
fn first(layout: &Layout) -> usize {
    let g = &layout.g;
    let read = [
        g.status,
        g.waiting_since,
        g.wait_reason,
        g.created_by,
        g.starts,
    ];
    read.map(|field| field.offset)
        .into_iter()
        .min()
        .unwrap_or(0)
}

/// Asks for sorted Gs, those near one another in one piece; where each is.
fn ask(batch: &mut VectoredRead, layout: &Layout, addresses: &[u64]) -> Vec<(Slot, usize)> {
    let first = first(layout);
    let len = layout.g.end() - first;
    let mut places = Vec::with_capacity(addresses.len());
    let mut i = 0;
    while i < addresses.len() {
        let mut j = i;
        while j + 1 < addresses.len() && addresses[j + 1] - addresses[j] <= NEAR {
            j += 1;
        }
        let start = addresses[i];
        let slot = batch.add(
            start.wrapping_add(first as u64),
            (addresses[j] - start) as usize + len,
        );
        places.extend(
            addresses[i..=j]
                .iter()
                .map(|g| (slot, (g - start) as usize)),
        );
        i = j + 1;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::is_system;

    #[test]
    fn the_runtimes_own_are_told_from_main() {
        let names = |pc: u64| {
            let name = ["runtime.main", "runtime.bgsweep", "main.wait"][pc as usize];
            Some((name.to_owned(), None))
        };
        assert!(!is_system(&names, 0));
        assert!(is_system(&names, 1));
        assert!(!is_system(&names, 2));
    }
}
