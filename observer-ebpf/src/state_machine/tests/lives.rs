//! Hits count for the process and the program that they came from, whatever comes
//! in between: threads at once, execs, ends, ids that are used again, files with
//! two targets, events that are lost, maps without room.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use super::{model::World, turns::for_each_seed};
use crate::{
    Cookie, EventKind, GoroutineFigures, ProcessKey, Registration, SiteKind,
    family::ProcessCounts as _,
    state_machine::{self, Fields},
};

const IDS: [u32; 3] = [100, 101, 102];
/// The targets of each file: two of one file fire both at each hit.
const FILES: [&[u32]; 4] = [&[1], &[2], &[3, 4], &[5, 6]];
const KINDS: [SiteKind; 5] = [
    SiteKind::GoroutineCreated,
    SiteKind::GoroutineExited,
    SiteKind::SystemGoroutineCreated,
    SiteKind::SystemGoroutineExited,
    SiteKind::GoidRefill,
];
const THREADS: usize = 4;

/// A program in a process, from its exec, or the fork, to the next exec or the end.
#[derive(Clone, Default)]
struct Life {
    file: usize,
    /// What it was registered as, once anybody saw that.
    epoch: Option<u32>,
    /// Hits by target and kind.
    hits: BTreeMap<(u32, u8), u64>,
    /// Hits that came while there was no room for the process.
    refused: u64,
}

#[derive(Default)]
struct Process {
    lives: Vec<Life>,
    is_alive: bool,
    /// Threads in the kernel for it.
    inside: usize,
    /// A thread that executes or ends, alone.
    alone: bool,
}

/// The machine's processes.
struct Machine<'a> {
    world: &'a World,
    processes: Mutex<BTreeMap<u32, Process>>,
    /// What execs and ends must have told, in their order for each process.
    told: Mutex<Vec<Fields>>,
}

impl<'a> Machine<'a> {
    fn new(world: &'a World) -> Self {
        let processes = IDS.map(|id| (id, Process::default()));
        Self {
            world,
            processes: Mutex::new(processes.into()),
            told: Mutex::new(Vec::new()),
        }
    }

    fn process<T>(&self, tgid: u32, then: impl FnOnce(&mut Process) -> T) -> T {
        let mut processes = self.processes.lock().expect("nobody panicked with it");
        then(processes.get_mut(&tgid).expect("one of them"))
    }

    /// One thing that happens to one of the processes.
    fn act(&self, cpu: usize) {
        let tgid = self.world.random(|random| random.of(&IDS));
        if self.process(tgid, |it| !it.is_alive && it.inside == 0) {
            self.fork(tgid);
            return;
        }
        match self.world.random(|random| random.below(20)) {
            0 => self.exec(tgid),
            1 => self.exit(tgid),
            2 => self.user_space_registers(tgid),
            3 => self.thread_exit(tgid, cpu),
            _ => self.hit(tgid, cpu),
        }
    }

    fn fork(&self, tgid: u32) {
        // An id comes back later than an epoch lasts.
        self.world.later(2048);
        let file = self.world.random(|random| random.below(FILES.len()));
        self.process(tgid, |it| {
            it.is_alive = true;
            it.lives.push(Life {
                file,
                ..Life::default()
            });
        });
    }

    fn hit(&self, tgid: u32, cpu: usize) {
        let file = self.process(tgid, |it| {
            let enters = it.is_alive && !it.alone;
            it.inside += usize::from(enters);
            enters.then(|| it.lives.last().expect("it lives").file)
        });
        let Some(file) = file else {
            return;
        };
        let kernel = self.world.kernel(tgid, cpu);
        let kind = self.world.random(|random| random.of(&KINDS));
        for target in FILES[file] {
            let refused = || {
                let state = self.world.state();
                state.refused.iter().filter(|it| **it == tgid).count() as u64
            };
            let before = refused();
            let cookie = Cookie::new(kind, *target, 100);
            state_machine::hit(kernel, tgid, kind, cookie, || {
                unreachable!("for none of these")
            });
            let is_refused = refused() > before;
            let registered = self.registered(tgid);
            self.process(tgid, |it| {
                let life = it.lives.last_mut().expect("it lives");
                *life.hits.entry((*target, kind as u8)).or_default() += 1;
                life.refused += u64::from(is_refused);
                if let Some(epoch) = registered {
                    assert_eq!(
                        *life.epoch.get_or_insert(epoch),
                        epoch,
                        "changed in one life"
                    );
                }
            });
        }
        self.process(tgid, |it| it.inside -= 1);
    }

    fn registered(&self, tgid: u32) -> Option<u32> {
        let state = self.world.state();
        let registration = state.processes.entries.get(&tgid)?;
        // SAFETY: a value of the map, and nobody runs but this thread.
        Some(unsafe { (**registration).epoch })
    }

    /// Whether a thread of a process has it alone now. The kernel ends the others
    /// before an exec, and they do not end within a hit.
    fn alone(&self, tgid: u32) -> bool {
        self.process(tgid, |it| {
            let may = it.is_alive && !it.alone && it.inside == 0;
            it.alone |= may;
            may
        })
    }

    fn exec(&self, tgid: u32) {
        if !self.alone(tgid) {
            return;
        }
        self.world.later(2048);
        let old = self.registered(tgid);
        state_machine::exec(self.world.kernel(tgid, 0), tgid, || (7, 8));
        let new = self.registered(tgid);
        assert_eq!(old.is_some(), new.is_some());
        self.tell(Fields {
            old_epoch: old.unwrap_or(0),
            parent: 7,
            parent_cgroup: 8,
            ..fields(EventKind::Exec, tgid, new.unwrap_or(0), 0)
        });
        let file = self.world.random(|random| random.below(FILES.len()));
        self.process(tgid, |it| {
            it.lives.push(Life {
                file,
                epoch: new,
                ..Life::default()
            });
            it.alone = false;
        });
    }

    fn exit(&self, tgid: u32) {
        if !self.alone(tgid) {
            return;
        }
        let kernel = self.world.kernel(tgid, 0);
        let before = {
            let state = self.world.state();
            let found = state.processes.entries.get(&tgid);
            // SAFETY: a value of the map, and nobody runs but this thread.
            found.map(|it| unsafe { **it })
        };
        state_machine::exit(kernel, tgid, || true);
        if let Some(Registration { epoch, target, .. }) = before {
            self.tell(fields(EventKind::Exit, tgid, epoch, target));
        }
        self.process(tgid, |it| (it.is_alive, it.alone) = (false, false));
    }

    /// One of several threads ends, while others go on.
    fn thread_exit(&self, tgid: u32, cpu: usize) {
        state_machine::exit(self.world.kernel(tgid, cpu), tgid, || false);
    }

    /// User space finds a process and registers it. It may have ended, or be
    /// about to run something else.
    fn user_space_registers(&self, tgid: u32) {
        // An exec or an end looks once, so what is registered amid it comes before
        // or after.
        if self.process(tgid, |it| it.alone) {
            return;
        }
        let now = self.world.later(2048);
        let registration = Registration {
            epoch: (now >> 10) as u32,
            target: 0,
            repaid_at_ns: 0,
            stops_repaid_at_ns: 0,
            spans_repaid_at_ns: 0,
        };
        self.world.state().processes.insert(tgid, registration);
    }

    fn tell(&self, fields: Fields) {
        self.told
            .lock()
            .expect("nobody panics with it")
            .push(fields);
    }

    /// That all was counted, once, for whom it came from.
    fn check(&self) {
        let mut expected = BTreeMap::new();
        let mut first_hits = BTreeSet::new();
        for (tgid, process) in &*self.processes.lock().expect("nobody panicked") {
            let mut epochs = BTreeSet::new();
            for life in &process.lives {
                let Some(epoch) = life.epoch else {
                    let hits: u64 = life.hits.values().sum();
                    assert_eq!(hits, life.refused, "hits without a registration");
                    continue;
                };
                assert!(
                    epochs.insert(epoch),
                    "two lives of {tgid} have epoch {epoch}"
                );
                if life.hits.is_empty() {
                    continue;
                }
                let process = ProcessKey { tgid: *tgid, epoch };
                let owner = self.owner_of(process, life);
                first_hits.insert((process, owner));
                let figures = figures_of(life, owner);
                expected.insert(process, figures);
            }
        }
        let mut counted: BTreeMap<_, GoroutineFigures> = BTreeMap::new();
        let state = self.world.state();
        for ((process, _), figures) in &state.goroutines.entries {
            let sum = counted.entry(*process).or_default();
            // SAFETY: a value of the map, and nobody else runs any more.
            sum.add(unsafe { &**figures });
        }
        for figures in counted.values_mut() {
            figures.unpaid_ns = 0;
        }
        assert_eq!(counted, expected);
        self.check_events(&state.events, state.lost, &first_hits);
    }

    /// The target that a life's first hit made the owner. Told by an event; where
    /// that is lost, the one whose hits are those that were counted.
    fn owner_of(&self, process: ProcessKey, life: &Life) -> u32 {
        let state = self.world.state();
        let told = state
            .events
            .iter()
            .find(|it| it.kind == EventKind::FirstHit && it.process == process);
        if let Some(told) = told {
            return told.target;
        }
        assert!(
            state.lost > 0,
            "nobody told of the first hit of {process:?}"
        );
        let of_process = state.goroutines.entries.iter();
        let counted = of_process.filter(|((key, _), _)| *key == process).fold(
            GoroutineFigures::ZERO,
            |mut sum, (_, it)| {
                // SAFETY: a value of the map, and nobody else runs any more.
                sum.add(unsafe { &**it });
                sum
            },
        );
        let counted = GoroutineFigures {
            unpaid_ns: 0,
            ..counted
        };
        let targets = FILES[life.file].iter().copied();
        targets
            .clone()
            .find(|it| figures_of(life, *it) == counted)
            .expect("the hits of one")
    }

    fn check_events(&self, events: &[Fields], lost: usize, first: &BTreeSet<(ProcessKey, u32)>) {
        let told = self.told.lock().expect("nobody panicked");
        assert_eq!(events.len() + lost, told.len() + first.len());
        let mut firsts = BTreeSet::new();
        for event in events {
            if event.kind == EventKind::FirstHit {
                let first_hit = (event.process, event.target);
                assert!(first.contains(&first_hit), "{event:?} of nobody");
                assert!(firsts.insert(first_hit), "{event:?} twice");
            } else {
                assert!(told.contains(event), "{event:?}, which did not happen");
            }
        }
    }
}

fn fields(kind: EventKind, tgid: u32, epoch: u32, target: u32) -> Fields {
    Fields::new(kind, ProcessKey { tgid, epoch }, target)
}

fn figures_of(life: &Life, owner: u32) -> GoroutineFigures {
    let hits = |kind| life.hits.get(&(owner, kind as u8)).copied().unwrap_or(0);
    GoroutineFigures {
        created: hits(SiteKind::GoroutineCreated),
        exited: hits(SiteKind::GoroutineExited),
        system_created: hits(SiteKind::SystemGoroutineCreated),
        system_exited: hits(SiteKind::SystemGoroutineExited),
        goid_refills: hits(SiteKind::GoidRefill),
        unpaid_ns: 0,
    }
}

fn run(seed: u64, configure: impl Fn(&World)) {
    let world = World::new(seed, THREADS);
    configure(&world);
    let machine = Machine::new(&world);
    world.turns.run(|cpu| {
        for _ in 0..60 {
            machine.act(cpu % 2);
        }
    });
    machine.check();
}

#[test]
fn hits_count_for_the_life_that_they_came_from() {
    for_each_seed(60, |seed| run(seed, |_| ()));
}

#[test]
fn lost_events_change_no_figure() {
    for_each_seed(30, |seed| run(seed, |world| world.state().loses = 3));
}
