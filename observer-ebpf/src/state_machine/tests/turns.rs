//! Threads of which one runs at a time, and a seed says which.

use std::{
    cell::Cell,
    panic::{self, AssertUnwindSafe},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use super::random::Random;

/// Far more turns than any test takes: threads that wait for each other do so
/// for ever.
const MOST: u64 = 5_000_000;

thread_local! {
    static ME: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Runs a test once for each seed. A failure names its seed.
pub(super) fn for_each_seed(seeds: u64, test: impl Fn(u64)) {
    struct Seed(u64);
    impl Drop for Seed {
        fn drop(&mut self) {
            if thread::panicking() {
                eprintln!("with seed {}", self.0);
            }
        }
    }
    for seed in 0..seeds {
        let _names = Seed(seed);
        test(seed);
    }
}

/// Whose turn it is.
pub(super) struct Turns {
    state: Mutex<State>,
    changed: Vec<Condvar>,
}

struct State {
    random: Random,
    turn: usize,
    live: Vec<usize>,
    /// One turn in so many goes to another thread.
    stays: usize,
    /// The first thread's step at which the second one runs from its start to its
    /// end; at random where `None`.
    preempted_at: Option<u64>,
    taken: u64,
    failed: bool,
}

impl State {
    fn pass(&mut self) {
        if let Some(last) = self.live.len().checked_sub(1) {
            self.turn = self.live[self.random.below(last + 1)];
        }
    }
}

impl Turns {
    pub(super) fn new(seed: u64, threads: usize) -> Self {
        let mut state = State {
            random: Random::new(seed),
            turn: 0,
            live: (0..threads).collect(),
            // Some orders show only where threads run for long, some where they do not.
            stays: 2 + 3 * (seed as usize % 4),
            preempted_at: None,
            taken: 0,
            failed: false,
        };
        state.pass();
        Self {
            state: Mutex::new(state),
            changed: (0..threads).map(|_| Condvar::new()).collect(),
        }
    }

    /// Two threads, of which the second preempts the first at one of its steps.
    pub(super) fn preempted(at: u64) -> Self {
        let turns = Self::new(0, 2);
        {
            let mut state = turns.lock();
            state.turn = 0;
            state.preempted_at = Some(at);
        }
        turns
    }

    /// Runs `task` in every thread, with the thread's number.
    pub(super) fn run(&self, task: impl Fn(usize) + Sync) {
        let in_turn = |me: usize| {
            ME.set(me);
            drop(self.wait(me, self.lock()));
            let result = panic::catch_unwind(AssertUnwindSafe(|| task(me)));
            let mut state = self.lock();
            state.live.retain(|it| *it != me);
            state.failed |= result.is_err();
            state.pass();
            self.changed[state.turn].notify_one();
            drop(state);
            result
        };
        let results: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..self.changed.len())
                .map(|me| {
                    let in_turn = &in_turn;
                    scope.spawn(move || in_turn(me))
                })
                .collect();
            let ends = threads.into_iter().map(thread::ScopedJoinHandle::join);
            ends.map(|end| end.expect("caught")).collect()
        });
        for result in results {
            if let Err(panic) = result {
                panic::resume_unwind(panic);
            }
        }
    }

    /// A moment at which another thread may come. Where none of these threads
    /// calls, nobody may.
    pub(super) fn step(&self) {
        let me = ME.get();
        if me == usize::MAX {
            return;
        }
        let mut state = self.lock();
        let (stays, preempted_at) = (state.stays, state.preempted_at);
        state.taken += 1;
        match preempted_at {
            Some(at) if state.taken == at => state.turn = 1,
            None if state.random.one_in(stays) => state.pass(),
            Some(_) | None => {}
        }
        let (failed, taken) = (state.failed, state.taken);
        if failed || taken > MOST {
            drop(state);
            assert!(failed, "the threads wait for each other");
            panic!("another thread failed");
        }
        if state.turn != me {
            self.changed[state.turn].notify_one();
            drop(self.wait(me, state));
        }
    }

    /// Waits, in turns, until `ready`.
    pub(super) fn until(&self, mut ready: impl FnMut() -> bool) {
        while !ready() {
            self.step();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, me: usize, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed[me]
            .wait_while(state, |state| state.turn != me)
            .unwrap_or_else(PoisonError::into_inner)
    }
}
