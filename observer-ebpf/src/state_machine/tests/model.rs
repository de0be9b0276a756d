//! A model of the kernel: its maps, its clock, the memory of its processes.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use super::{random::Random, turns::Turns};
use crate::{
    GcFigures, GoroutineFigures, ProcessKey, Registration, Target,
    family::{InFlight, InFlightKey, SpanFigures, SpanKey},
    ground::{Ground, Memory, Words},
    state_machine::{Fields, Kernel},
};

/// Values of a map, which stay where they are, also after they were taken out.
pub(super) struct Values<K, V> {
    pub(super) entries: BTreeMap<K, *mut V>,
    made: Vec<*mut V>,
    pub(super) room: usize,
}

impl<K: Ord, V> Values<K, V> {
    fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            made: Vec::new(),
            room: usize::MAX,
        }
    }

    pub(super) fn insert(&mut self, key: K, value: V) -> bool {
        let is_new = !self.entries.contains_key(&key) && self.entries.len() < self.room;
        if is_new {
            let value = Box::into_raw(Box::new(value));
            self.made.push(value);
            self.entries.insert(key, value);
        }
        is_new
    }

    fn get_or(&mut self, key: K, value: V) -> Option<*mut V>
    where
        K: Copy,
    {
        self.insert(key, value);
        self.entries.get(&key).copied()
    }
}

impl<K, V> Drop for Values<K, V> {
    fn drop(&mut self) {
        for value in self.made.drain(..) {
            // SAFETY: made by `Box::into_raw`, and dropped once, with the map.
            drop(unsafe { Box::from_raw(value) });
        }
    }
}

/// What the kernel knows.
pub(super) struct State {
    pub(super) random: Random,
    pub(super) clock: u64,
    /// What the clock last said to each process's hits.
    pub(super) told: BTreeMap<u32, u64>,
    pub(super) processes: Values<u32, Registration>,
    /// Copies by CPU.
    pub(super) goroutines: Values<(ProcessKey, usize), GoroutineFigures>,
    pub(super) gc: Values<ProcessKey, GcFigures>,
    /// Copies by CPU.
    pub(super) spans: Values<(SpanKey, usize), SpanFigures>,
    pub(super) in_flight: Values<InFlightKey, InFlight>,
    pub(super) targets: Values<u32, Target>,
    pub(super) memory: BTreeMap<(u32, u64), u64>,
    pub(super) texts: BTreeMap<u64, [u8; 7]>,
    /// One read in so many fails; none where 0.
    pub(super) unreadable: usize,
    pub(super) events: Vec<Fields>,
    /// One event in so many is lost; none where 0.
    pub(super) loses: usize,
    pub(super) lost: usize,
    pub(super) process_events: u64,
    pub(super) refused: Vec<u32>,
    pub(super) aliases: Vec<(u32, u32)>,
    pub(super) repayment: u64,
    pub(super) burst_ns: u64,
}

impl State {
    fn reads(&mut self) -> bool {
        self.unreadable == 0 || !self.random.one_in(self.unreadable)
    }
}

// SAFETY: one thread runs at a time, see `turns`.
unsafe impl Send for State {}

/// One kernel, and the threads that run in it.
pub(super) struct World {
    pub(super) turns: Turns,
    state: Mutex<State>,
}

impl World {
    pub(super) fn new(seed: u64, threads: usize) -> Self {
        Self::with(seed, Turns::new(seed, threads))
    }

    /// See [`Turns::preempted`].
    pub(super) fn preempted(at: u64) -> Self {
        Self::with(at, Turns::preempted(at))
    }

    fn with(seed: u64, turns: Turns) -> Self {
        Self {
            turns,
            state: Mutex::new(State {
                random: Random::new(!seed),
                clock: 5_000_000_000,
                told: BTreeMap::new(),
                processes: Values::new(),
                goroutines: Values::new(),
                gc: Values::new(),
                spans: Values::new(),
                in_flight: Values::new(),
                targets: Values::new(),
                memory: BTreeMap::new(),
                texts: BTreeMap::new(),
                unreadable: 0,
                events: Vec::new(),
                loses: 0,
                lost: 0,
                process_events: 0,
                refused: Vec::new(),
                aliases: Vec::new(),
                repayment: 0,
                burst_ns: 0,
            }),
        }
    }

    /// Never to be held over a step.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panicked with it")
    }

    pub(super) fn random<T>(&self, choose: impl FnOnce(&mut Random) -> T) -> T {
        choose(&mut self.state().random)
    }

    /// What the clock says, some time later.
    pub(super) fn later(&self, at_least: u64) -> u64 {
        let mut state = self.state();
        let more = state.random.word() % 5000;
        state.clock += at_least + more;
        state.clock
    }

    /// The kernel for a hit of a process on a CPU.
    pub(super) fn kernel(&self, tgid: u32, cpu: usize) -> Model<'_> {
        Model {
            world: self,
            tgid,
            cpu,
        }
    }

    fn step(&self) -> MutexGuard<'_, State> {
        self.turns.step();
        self.state()
    }
}

/// The kernel as one task sees it.
#[derive(Clone, Copy)]
pub(super) struct Model<'a> {
    world: &'a World,
    tgid: u32,
    cpu: usize,
}

impl Model<'_> {
    /// Changes a word in one step.
    unsafe fn change(self, word: *mut u64, change: impl FnOnce(u64) -> u64) -> u64 {
        let _state = self.world.step();
        // SAFETY: as the caller promises; one thread runs at a time.
        unsafe {
            let was = word.read();
            word.write(change(was));
            was
        }
    }
}

impl Words for Model<'_> {
    unsafe fn load(self, word: *const u64) -> u64 {
        let _state = self.world.step();
        // SAFETY: as the caller promises, and so below.
        unsafe { word.read() }
    }

    unsafe fn store(self, word: *mut u64, value: u64) {
        // SAFETY: as above.
        unsafe { self.change(word, |_| value) };
        // Whoever looks now sees this, and not what comes after it.
        self.world.turns.step();
    }

    unsafe fn add(self, word: *mut u64, by: u64) {
        // SAFETY: as above.
        unsafe { self.change(word, |was| was.wrapping_add(by)) };
    }

    unsafe fn set(self, word: *mut u64, bits: u64) {
        // SAFETY: as above.
        unsafe { self.change(word, |was| was | bits) };
    }

    unsafe fn fetch_add(self, word: *mut u64, by: u64) -> u64 {
        // SAFETY: as above.
        let was = unsafe { self.change(word, |was| was.wrapping_add(by)) };
        // As for a store.
        self.world.turns.step();
        was
    }

    unsafe fn exchange(self, word: *mut u64, old: u64, new: u64) -> u64 {
        // SAFETY: as above.
        unsafe { self.change(word, |was| if was == old { new } else { was }) }
    }

    fn opaque(self, number: usize) -> usize {
        number
    }

    fn next(self, number: usize) -> usize {
        number + 1
    }
}

impl Memory for Model<'_> {
    fn word(self, address: u64) -> Option<u64> {
        let mut state = self.world.step();
        let found = state.memory.get(&(self.tgid, address)).copied();
        found.filter(|_| state.reads())
    }

    fn text(self, address: u64) -> Option<[u8; 7]> {
        let mut state = self.world.step();
        let found = state.texts.get(&address).copied();
        found.filter(|_| state.reads())
    }
}

impl Ground for Model<'_> {
    const STACK_ARGUMENTS: bool = true;

    fn now(self) -> u64 {
        self.world.turns.step();
        let now = self.world.later(0);
        self.world.state().told.insert(self.tgid, now);
        now
    }

    fn target(self, target: u32) -> Option<*mut Target> {
        self.world.step().targets.entries.get(&target).copied()
    }
}

impl Kernel for Model<'_> {
    fn registration(self, tgid: u32) -> Option<*mut Registration> {
        self.world.step().processes.entries.get(&tgid).copied()
    }

    fn register(self, tgid: u32, registration: &Registration) -> bool {
        self.world.step().processes.insert(tgid, *registration)
    }

    fn unregister(self, tgid: u32) -> bool {
        let mut state = self.world.step();
        let removed = state.processes.entries.remove(&tgid);
        if let Some(registration) = removed {
            // Its memory is another's now.
            let another = Registration {
                epoch: 0xdead,
                target: 0xdead,
                repaid_at_ns: 0,
                stops_repaid_at_ns: 0,
                spans_repaid_at_ns: 0,
            };
            // SAFETY: made by the map, and nobody runs but this thread.
            unsafe { registration.write(another) };
        }
        removed.is_some()
    }

    fn goroutines(self, process: ProcessKey) -> Option<*mut GoroutineFigures> {
        let mut state = self.world.step();
        state
            .goroutines
            .get_or((process, self.cpu), GoroutineFigures::ZERO)
    }

    fn collector(self, process: ProcessKey) -> Option<*mut GcFigures> {
        self.world.step().gc.get_or(process, GcFigures::ZERO)
    }

    fn has_spans(self) -> bool {
        true
    }

    fn span(self, key: &SpanKey) -> Option<*mut SpanFigures> {
        let mut state = self.world.step();
        state.spans.get_or((*key, self.cpu), SpanFigures::ZERO)
    }

    fn in_flight(self, key: &InFlightKey) -> Option<*mut InFlight> {
        self.world.step().in_flight.entries.get(key).copied()
    }

    fn begin(self, key: &InFlightKey, new: &InFlight) {
        self.world.step().in_flight.insert(*key, *new);
    }

    fn end(self, key: &InFlightKey) {
        if let Some(entry) = self.world.step().in_flight.entries.remove(key) {
            // Its memory is another's now.
            let another = InFlight {
                began: 0xdead,
                label: 0xdead,
            };
            // SAFETY: made by the map, and nobody runs but this thread.
            unsafe { entry.write(another) };
        }
    }

    fn repayment(self) -> u64 {
        self.world.state().repayment
    }

    fn burst_ns(self) -> u64 {
        self.world.state().burst_ns
    }

    fn send(self, fields: &Fields) {
        let mut state = self.world.step();
        let loses = state.loses;
        if loses > 0 && state.random.one_in(loses) {
            state.lost += 1;
        } else {
            state.events.push(*fields);
        }
    }

    fn process_event(self) {
        self.world.step().process_events += 1;
    }

    fn no_room_for(self, tgid: u32) {
        self.world.step().refused.push(tgid);
    }

    fn alias(self, loser: u32, owner: u32) {
        self.world.step().aliases.push((loser, owner));
    }
}
