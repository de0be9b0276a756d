//! The kernel's maps, and the kernel as the programs' own code sees it.

use std::{
    cell::{RefCell, UnsafeCell},
    collections::{BTreeMap, BTreeSet, VecDeque},
};

use observer_ebpf::{
    COMM_LEN, Event, GcFigures, GoroutineFigures, ProcessKey, ProgramHealth, Registration, Target,
    family::{InFlight, InFlightKey, SpanFigures, SpanKey},
    ground::{Ground, Memory, Words},
    state_machine::{Fields, Kernel},
};

/// Between two instants that anybody asks for: epochs tell microseconds apart.
const TICK: u64 = 1 << 12;

/// A map, whose values stay where they are until they are removed.
pub(in crate::node::engine) struct Values<K, V> {
    entries: BTreeMap<K, Box<UnsafeCell<V>>>,
    /// Most entries.
    pub(in crate::node::engine) room: usize,
}

impl<K: Copy + Ord, V: Copy> Values<K, V> {
    fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            room: usize::MAX,
        }
    }

    /// `false` where there is one already, or no room.
    pub(super) fn insert(&mut self, key: K, value: V) -> bool {
        let is_new = !self.entries.contains_key(&key) && self.entries.len() < self.room;
        if is_new {
            self.entries.insert(key, Box::new(UnsafeCell::new(value)));
        }
        is_new
    }

    /// Changes a value that is there.
    pub(super) fn change(&mut self, key: K, change: impl FnOnce(&mut V)) {
        if let Some(value) = self.entries.get_mut(&key) {
            change(value.get_mut());
        }
    }

    pub(super) fn get(&self, key: K) -> Option<V> {
        // SAFETY: no hit goes on, so nobody else holds what this points to.
        self.at(key).map(|value| unsafe { *value })
    }

    pub(super) fn remove(&mut self, key: K) -> Option<V> {
        self.entries.remove(&key).map(|value| value.into_inner())
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = K> {
        self.entries.keys().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn at(&self, key: K) -> Option<*mut V> {
        self.entries.get(&key).map(|value| value.get())
    }

    fn at_or_new(&mut self, key: K, value: V) -> Option<*mut V> {
        self.insert(key, value);
        self.at(key)
    }
}

/// All that the programs keep.
pub(in crate::node::engine) struct Maps {
    clock: u64,
    pub(in crate::node::engine) processes: Values<u32, Registration>,
    pub(super) goroutines: Values<ProcessKey, GoroutineFigures>,
    pub(super) gc: Values<ProcessKey, GcFigures>,
    pub(super) targets: Values<u32, Target>,
    pub(super) aliases: BTreeSet<(u32, u32)>,
    pub(in crate::node::engine) health: ProgramHealth,
    pub(in crate::node::engine) events: VecDeque<Event>,
    /// Events that the ring buffer has room for.
    pub(in crate::node::engine) ring: usize,
}

impl Maps {
    pub(super) fn new() -> Self {
        Self {
            clock: 5_000_000_000,
            processes: Values::new(),
            goroutines: Values::new(),
            gc: Values::new(),
            targets: Values::new(),
            aliases: BTreeSet::new(),
            health: ProgramHealth::default(),
            events: VecDeque::new(),
            ring: usize::MAX,
        }
    }

    /// What the clock says: later each time.
    pub(super) fn now(&mut self) -> u64 {
        self.clock += TICK;
        self.clock
    }

    fn send(&mut self, fields: &Fields) {
        if self.events.len() >= self.ring {
            self.health.lost_events += 1;
            return;
        }
        let at = self.now();
        self.events.push_back(Event {
            kind: fields.kind as u32,
            tgid: fields.process.tgid,
            epoch: fields.process.epoch,
            old_epoch: fields.old_epoch,
            target: fields.target,
            parent: fields.parent,
            at,
            cgroup: 0,
            parent_cgroup: fields.parent_cgroup,
            comm: [0; COMM_LEN],
        });
    }
}

/// The kernel as a program sees it that runs now. One runs at a time.
#[derive(Clone, Copy)]
pub(super) struct Task<'a>(pub(super) &'a RefCell<Maps>);

impl Words for Task<'_> {
    unsafe fn load(self, word: *const u64) -> u64 {
        // SAFETY: as the caller promises, and so below.
        unsafe { word.read() }
    }

    unsafe fn store(self, word: *mut u64, value: u64) {
        // SAFETY: as above.
        unsafe { word.write(value) };
    }

    unsafe fn add(self, word: *mut u64, by: u64) {
        // SAFETY: as above.
        unsafe { self.fetch_add(word, by) };
    }

    unsafe fn set(self, word: *mut u64, bits: u64) {
        // SAFETY: as above.
        unsafe { word.write(word.read() | bits) };
    }

    unsafe fn fetch_add(self, word: *mut u64, by: u64) -> u64 {
        // SAFETY: as above.
        unsafe {
            let was = word.read();
            word.write(was.wrapping_add(by));
            was
        }
    }

    unsafe fn exchange(self, word: *mut u64, old: u64, new: u64) -> u64 {
        // SAFETY: as above.
        unsafe {
            let was = word.read();
            if was == old {
                word.write(new);
            }
            was
        }
    }

    fn opaque(self, number: usize) -> usize {
        number
    }

    fn next(self, number: usize) -> usize {
        number + 1
    }
}

impl Memory for Task<'_> {
    fn word(self, _: u64) -> Option<u64> {
        None
    }

    fn text(self, _: u64) -> Option<[u8; 7]> {
        None
    }
}

impl Ground for Task<'_> {
    // The programs of this kernel are those of x86-64.
    const STACK_ARGUMENTS: bool = false;

    fn now(self) -> u64 {
        self.0.borrow_mut().now()
    }

    fn target(self, target: u32) -> Option<*mut Target> {
        self.0.borrow().targets.at(target)
    }
}

impl Kernel for Task<'_> {
    fn registration(self, tgid: u32) -> Option<*mut Registration> {
        self.0.borrow().processes.at(tgid)
    }

    fn register(self, tgid: u32, registration: &Registration) -> bool {
        self.0.borrow_mut().processes.insert(tgid, *registration)
    }

    fn unregister(self, tgid: u32) -> bool {
        self.0.borrow_mut().processes.remove(tgid).is_some()
    }

    fn goroutines(self, process: ProcessKey) -> Option<*mut GoroutineFigures> {
        let zero = GoroutineFigures::ZERO;
        self.0.borrow_mut().goroutines.at_or_new(process, zero)
    }

    fn collector(self, process: ProcessKey) -> Option<*mut GcFigures> {
        self.0.borrow_mut().gc.at_or_new(process, GcFigures::ZERO)
    }

    fn has_spans(self) -> bool {
        false
    }

    fn span(self, _: &SpanKey) -> Option<*mut SpanFigures> {
        None
    }

    fn in_flight(self, _: &InFlightKey) -> Option<*mut InFlight> {
        None
    }

    fn begin(self, _: &InFlightKey, _: &InFlight) {}

    fn end(self, _: &InFlightKey) {}

    fn repayment(self) -> u64 {
        0
    }

    fn burst_ns(self) -> u64 {
        0
    }

    fn send(self, fields: &Fields) {
        self.0.borrow_mut().send(fields);
    }

    fn process_event(self) {
        self.0.borrow_mut().health.process_events += 1;
    }

    fn no_room_for(self, _: u32) {
        self.0.borrow_mut().health.refused_processes += 1;
    }

    fn alias(self, loser: u32, owner: u32) {
        let mut maps = self.0.borrow_mut();
        maps.health.alias_hits += 1;
        maps.aliases.insert((loser, owner));
    }
}
