//! A model of a Go program as the sites show it: goroutines that collect garbage
//! and stop the world, with the runtime's locks.

use std::sync::{Mutex, MutexGuard};

use super::{
    model::World,
    truth::{End, Truth},
};
use crate::{
    Abi, Cookie, GcFigures, ProcessKey, SiteKind, StwReason, Target, ground::Registers,
    state_machine,
};

pub(super) const RELEASES: [Abi; 4] = [
    Abi::NoReason,
    Abi::Reason,
    Abi::WorldStopStart,
    Abi::WorldStopFinished,
];

/// Where the runtime's variables and the sites lie.
const PAUSE_START: u64 = 0x50_0000;
const LAST_GC: u64 = 0x50_0108;
const SITE: u64 = 0x60_1000;

/// Reasons up to 1.20: where their text lies, the text, the number.
const TEXTS: [(u64, &[u8], StwReason); 10] = [
    (0x1000, b"read mem stats", StwReason::ReadMemStats),
    (0x1010, b"GOMAXPROCS", StwReason::Gomaxprocs),
    (0x1020, b"stack trace", StwReason::AllGoroutinesStack),
    (0x1030, b"profile", StwReason::GoroutineProfile),
    (
        0x1040,
        b"profile cleanup",
        StwReason::GoroutineProfileCleanup,
    ),
    (0x1050, b"write heap dump", StwReason::WriteHeapDump),
    (0x1060, b"doAllThreadsSyscall", StwReason::AllThreadsSyscall),
    (0x1080, b"start tracing", StwReason::StartTrace),
    (0x1090, b"stop tracing", StwReason::StopTrace),
    (0x10a0, b"something else", StwReason::Unknown),
];

/// One that waits for its turn sees it taken.
#[derive(Default)]
struct Locks {
    world: bool,
    start: bool,
}

type Lock = fn(&mut Locks) -> &mut bool;

const WORLD: Lock = |locks| &mut locks.world;
const START: Lock = |locks| &mut locks.start;

/// The probes on a program's sites.
#[derive(Clone, Copy)]
pub(super) struct Probes {
    pub(super) stand: bool,
    /// Hits that go on.
    pub(super) inside: usize,
    /// One hit in so many is lost; none where 0.
    pub(super) loses: usize,
    /// How often they left.
    pub(super) left: u64,
}

/// A Go program that runs.
pub(super) struct Go<'a> {
    pub(super) world: &'a World,
    pub(super) abi: Abi,
    pub(super) tgid: u32,
    target: u32,
    locks: Mutex<Locks>,
    probes: Mutex<Probes>,
    truth: Mutex<Truth>,
}

impl<'a> Go<'a> {
    pub(super) fn new(world: &'a World, abi: Abi, tgid: u32) -> Self {
        let target = tgid + 7;
        {
            let mut state = world.state();
            let of_target = Target {
                last_gc_from_pause_start: (LAST_GC - PAUSE_START) as i64,
                ..Target::default()
            };
            state.targets.insert(target, of_target);
            for (at, text, _) in TEXTS {
                let first = *text.first_chunk().expect("long enough");
                state.texts.insert(at, first);
            }
        }
        let go = Self {
            world,
            abi,
            tgid,
            target,
            locks: Mutex::default(),
            probes: Mutex::new(Probes {
                stand: true,
                inside: 0,
                loses: 0,
                left: 0,
            }),
            truth: Mutex::default(),
        };
        go.hit(SiteKind::GoidRefill, 0, Registers::default());
        go
    }

    /// Never to be held over a step, as what follows.
    pub(super) fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().expect("nobody panicked with it")
    }

    pub(super) fn probes(&self) -> MutexGuard<'_, Probes> {
        self.probes.lock().expect("nobody panicked with it")
    }

    /// What the map has of this process.
    pub(super) fn figures(&self) -> GcFigures {
        let state = self.world.state();
        let of_process = |key: &&ProcessKey| key.tgid == self.tgid;
        let key = state.gc.entries.keys().find(of_process);
        key.map_or(GcFigures::ZERO, |key| {
            // SAFETY: a value of the map, and nobody runs but this thread.
            unsafe { *state.gc.entries[key] }
        })
    }

    /// One thing that a goroutine does.
    pub(super) fn act(&self, goroutine: u64) {
        if self.world.random(|random| random.one_in(2)) {
            self.collect(goroutine);
        } else {
            self.stop();
        }
    }

    /// `GC` and what calls `gcStart`.
    pub(super) fn collect(&self, goroutine: u64) {
        let trigger = self.world.random(|random| random.below(5)) as u64;
        let begins = Registers {
            rax: trigger,
            r14: goroutine,
            ..self.garbage()
        };
        self.hit(SiteKind::GcStart, 0, begins);
        self.lock(START);
        let turns_back = self.world.random(|random| random.one_in(3));
        if turns_back || self.truth().is_collecting() {
            self.unlock(START);
            return;
        }
        self.lock(WORLD);
        let probes = *self.probes();
        let left = probes.stand.then_some(probes.left);
        self.truth().begins(trigger, left);
        let begins = Registers {
            r14: goroutine,
            ..self.garbage()
        };
        self.hit(SiteKind::GcCycle, 0, begins);
        self.stop_and_start(StwReason::GcSweepTermination as u32, End::SweepTermination);
        self.unlock(WORLD);
        self.unlock(START);
        loop {
            self.idle();
            self.lock(WORLD);
            let end = if self.world.random(|random| random.one_in(4)) {
                End::Restart
            } else {
                End::MarkTermination
            };
            self.stop_and_start(StwReason::GcMarkTermination as u32, end);
            self.unlock(WORLD);
            if end == End::MarkTermination {
                return;
            }
        }
    }

    /// `stopTheWorld`, for a reason that is not the collector's.
    pub(super) fn stop(&self) {
        let mut reason = self.world.random(|random| random.below(15)) as u32;
        if self.abi == Abi::NoReason {
            let (at, text, number) = TEXTS[reason as usize % TEXTS.len()];
            let said = Registers {
                rax: at,
                rbx: text.len() as u64,
                ..self.garbage()
            };
            self.hit(SiteKind::StopReason, 0, said);
            reason = number as u32;
        } else if (1..3).contains(&reason) {
            reason += 2;
        }
        self.lock(WORLD);
        self.stop_and_start(reason, End::Other);
        self.unlock(WORLD);
    }

    fn stop_and_start(&self, reason: u32, end: End) {
        let before = self.figures();
        let is_old = matches!(self.abi, Abi::NoReason | Abi::Reason);
        let mut began = self.world.later(100);
        if is_old && end != End::Other {
            self.write(PAUSE_START, began);
        }
        let mut stops = self.garbage();
        if self.abi != Abi::NoReason {
            stops.rax = stops.rax << 8 | u64::from(reason);
        }
        let is_seen = self.hit(SiteKind::StopTheWorld, self.abi as i32, stops);
        if is_old && is_seen {
            let entered = self.world.state().told[&self.tgid];
            self.truth().instants.push(entered);
            if end == End::Other {
                began = entered;
            }
        }
        let stopped = self.world.later(100);
        if self.abi == Abi::WorldStopStart {
            let tells = Registers {
                rbx: stopped - began,
                ..self.garbage()
            };
            self.hit(SiteKind::Stopped, 0, tells);
        }
        self.idle();
        let ended = if is_old {
            self.start_old(end)
        } else {
            self.start(reason, end, began, stopped)
        };
        self.truth()
            .ended(reason, (began, ended), stopped - began, end);
        self.check_stop(&before, end);
    }

    /// `startTheWorldWithSema` up to 1.21; returns when the stop ended.
    fn start_old(&self, end: End) -> u64 {
        let kind = match end {
            End::SweepTermination => SiteKind::StartAfterSweepTermination,
            End::Restart => SiteKind::StartBeforeMarkRestart,
            End::MarkTermination => SiteKind::StartAfterMarkTermination,
            End::Other => SiteKind::StartAfterOther,
        };
        let last_gc = self.world.later(50);
        if end == End::MarkTermination {
            self.write(LAST_GC, last_gc);
        }
        let at = Registers {
            rip: SITE,
            ..self.garbage()
        };
        self.hit(kind, PAUSE_START.wrapping_sub(SITE) as i32, at);
        let now = self.returns();
        if end == End::MarkTermination {
            last_gc
        } else {
            now
        }
    }

    /// The same of 1.22 and newer.
    fn start(&self, reason: u32, end: End, began: u64, stopped: u64) -> u64 {
        let now = self.world.later(50);
        let is_last = end == End::MarkTermination;
        let garbage = self.garbage();
        let starts = Registers {
            rax: if is_last { now } else { 0 },
            rbx: garbage.rbx << 8 | u64::from(reason),
            rcx: began,
            rdi: if self.abi == Abi::WorldStopFinished {
                stopped
            } else {
                garbage.rdi
            },
            ..garbage
        };
        self.hit(SiteKind::StartTheWorld, self.abi as i32, starts);
        let returned = self.returns();
        if is_last { now } else { returned }
    }

    fn returns(&self) -> u64 {
        let rax = self.world.later(50);
        let returns = Registers {
            rax,
            ..self.garbage()
        };
        self.truth().instants.push(rax);
        self.hit(SiteKind::StartTheWorldReturn, 0, returns);
        rax
    }

    /// A hit, where a probe stands and is not lost; whether it came.
    fn hit(&self, kind: SiteKind, aux: i32, registers: Registers) -> bool {
        self.world.turns.step();
        let loses = self.probes().loses;
        let is_lost = loses > 0 && self.world.random(|random| random.one_in(loses));
        let comes = self.probes().stand && !is_lost;
        if comes {
            self.probes().inside += 1;
            let cookie = Cookie::new(kind, self.target, aux);
            let kernel = self.world.kernel(self.tgid, 0);
            state_machine::hit(kernel, self.tgid, kind, cookie, || registers);
            self.probes().inside -= 1;
            self.truth().hits += u64::from(kind != SiteKind::GoidRefill);
        }
        comes
    }

    /// Registers of which no site may read any.
    fn garbage(&self) -> Registers {
        self.world.random(|random| Registers {
            rax: random.word(),
            rbx: random.word(),
            rcx: random.word(),
            rdi: random.word(),
            r14: random.word(),
            rip: random.word(),
            sp: !0,
        })
    }

    fn write(&self, at: u64, value: u64) {
        self.world.state().memory.insert((self.tgid, at), value);
    }

    /// Time in which others run.
    fn idle(&self) {
        for _ in 0..self.world.random(|random| random.below(6)) {
            self.world.turns.step();
        }
    }

    fn lock(&self, lock: Lock) {
        self.world.turns.until(|| {
            let mut locks = self.locks.lock().expect("nobody panicked with it");
            !std::mem::replace(lock(&mut locks), true)
        });
    }

    fn unlock(&self, lock: Lock) {
        let mut locks = self.locks.lock().expect("nobody panicked with it");
        *lock(&mut locks) = false;
    }
}
