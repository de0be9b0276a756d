//! Who created the goroutines of each process, walked over now and then by a
//! thread of its own: one process at a time, and each walk within a time limit.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use observer_go::{
    discover::{self, ProgramRun},
    runtime::{self, WalkLimits},
};

use super::{
    observation::Observation,
    snapshot::Snapshots,
    walks::{WalkCounts, Walked, Walks},
};
use crate::liveness::Liveness;

/// Between two walks over one process, at least.
const EVERY: Duration = Duration::from_secs(10);
/// Age at which what was found is no longer shown.
const STALE: Duration = Duration::from_secs(60);
/// After a walk, times as long as it took, nothing is walked: 2 % of one CPU.
const REST: u32 = 49;
/// Longest walk.
const LONGEST: Duration = Duration::from_millis(500);
/// While there is nothing to do.
const IDLE: Duration = Duration::from_millis(500);

#[derive(Default)]
struct Known {
    /// When each was last walked over, and what was found.
    walked: HashMap<ProgramRun, (Instant, Option<Arc<Walked>>)>,
    counts: WalkCounts,
}

/// The thread that walks, for as long as this lives.
pub(super) struct CreatorWalker(Arc<Mutex<Known>>);

impl CreatorWalker {
    /// Starts walking; `None` for no creators.
    pub(super) fn start(
        most: usize,
        snapshots: Snapshots,
        liveness: &Liveness,
    ) -> io::Result<Option<Self>> {
        if most == 0 {
            return Ok(None);
        }
        let known = Arc::new(Mutex::new(Known::default()));
        let weak = Arc::downgrade(&known);
        let pulse = liveness.part("creators");
        thread::Builder::new()
            .name("creators".into())
            .spawn(move || {
                let _pulse = pulse;
                run(&weak, &snapshots, most);
            })?;
        Ok(Some(Self(known)))
    }

    /// What was found lately.
    pub(super) fn latest(&self) -> Walks {
        let known = lock(&self.0);
        let fresh = known.walked.iter().filter_map(|(identity, (at, found))| {
            let found = found.as_ref().filter(|_| at.elapsed() < STALE)?;
            Some((*identity, Arc::clone(found)))
        });
        Walks {
            found: fresh.collect(),
            counts: Some(known.counts),
        }
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    // Nothing here leaves it half changed.
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(known: &Weak<Mutex<Known>>, snapshots: &Snapshots, most: usize) {
    while let Some(known) = known.upgrade() {
        if snapshots.has_changed().is_err() {
            return;
        }
        let snapshot = snapshots.borrow().clone();
        let next = snapshot.and_then(|snapshot| {
            let mut known = lock(&known);
            let alive: Vec<_> = snapshot
                .processes
                .iter()
                .filter(|process| process.ended.is_none())
                .collect();
            known
                .walked
                .retain(|walked, _| alive.iter().any(|it| it.process.program_run() == *walked));
            next(&known, &alive)
        });
        let Some(process) = next else {
            drop(known);
            thread::sleep(IDLE);
            continue;
        };
        let began = Instant::now();
        let walked = Arc::clone(&process);
        let found = runtime::apart(process.process.pid, move || walk(&walked, most));
        // Who waits for one that holds it up takes nothing from a CPU.
        let took = found.as_ref().map_or(Duration::ZERO, |_| began.elapsed());
        let found = found.unwrap_or(Err(()));
        {
            let mut known = lock(&known);
            match &found {
                Ok(Some(_)) => known.counts.complete += 1,
                Ok(None) => known.counts.cut_short += 1,
                Err(()) => known.counts.failed += 1,
            }
            let found = found.ok().flatten().map(Arc::new);
            known
                .walked
                .insert(process.process.program_run(), (Instant::now(), found));
        }
        drop(known);
        thread::sleep(took * REST);
    }
}

/// The one whose turn it is: never walked over, or longest ago.
fn next(known: &Known, alive: &[&Arc<Observation>]) -> Option<Arc<Observation>> {
    let readable = alive.iter().filter(|process| process.state().is_some());
    let at = |process: &Observation| {
        known
            .walked
            .get(&process.process.program_run())
            .map(|it| it.0)
    };
    let oldest = readable.min_by_key(|process| at(process))?;
    let due = at(oldest).is_none_or(|at| at.elapsed() >= EVERY);
    due.then(|| Arc::clone(oldest))
}

/// `None` where the time did not suffice.
fn walk(process: &Observation, most: usize) -> Result<Option<Walked>, ()> {
    let (pid, known) = (process.process.pid, process.process.executable.id);
    let file = discover::open_known(pid, known).map_err(drop)?;
    let limits = WalkLimits {
        time: LONGEST,
        creators: most,
    };
    let report = runtime::walk(pid, &file, &process.binary, limits).map_err(drop)?;
    // Its memory was read by its id.
    discover::runs(pid, known).map_err(drop)?;
    if !report.complete {
        return Ok(None);
    }
    let all: u64 = report.states.values().sum();
    let named = report.creators.into_iter().filter_map(|creator| {
        let symbol = creator.created_by?;
        Some((symbol, creator.count))
    });
    let creators: Vec<_> = named.collect();
    let shown: u64 = creators.iter().map(|(_, count)| count).sum();
    Ok(Some(Walked {
        other: all.saturating_sub(shown),
        creators,
        most,
    }))
}
