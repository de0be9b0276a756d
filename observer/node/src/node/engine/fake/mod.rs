//! A model of a kernel, its processes and the programs' maps, and an engine among them.
//!
//! Everything happens when the test says so: probes are hit, events are lost, programs
//! are executed between two questions of the engine. Nothing waits for a clock.

mod kernel;
mod links;
mod maps;
mod system;
mod world;

use std::{
    io,
    sync::{Arc, MutexGuard},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use observer_ebpf::family::Selection;
use observer_probe::HitCost;
use tokio::sync::watch;

pub(super) use self::world::{Call, Program, State};
use self::{kernel::FakeKernel, system::FakeSystem, world::World};
use super::{state::Engine, stop::Stop};
use crate::{
    liveness::Liveness,
    node::{
        clocks::Clocks,
        observation::Observation,
        read_watchdog::ReadWatchdog,
        settings::{CostLimits, GoroutineProbes},
        snapshot::{Snapshot, Snapshots},
    },
};

/// Longer than any test takes.
const NEVER: Duration = Duration::from_hours(1);

pub(super) fn limits() -> CostLimits {
    CostLimits {
        probe_budget: 1.0,
        cpu_ceiling: 100.0,
        price: HitCost::FALLBACK,
        goroutine_probes: GoroutineProbes::Auto,
        creators: 0,
        selection: Selection::default(),
        clocks: Clocks::default(),
    }
}

/// Files are inspected by whoever asks for it.
#[expect(clippy::unnecessary_wraps, reason = "threads may not be had")]
fn at_once(work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    work();
    Ok(())
}

/// Whoever watches the reads of memory is the test.
#[expect(clippy::unnecessary_wraps, reason = "threads may not be had")]
fn nobody(_: Box<dyn FnOnce() + Send>) -> io::Result<Thread> {
    Ok(thread::current())
}

/// An engine in a world.
pub(super) struct Stage {
    /// `None` while somebody else has it.
    pub(super) engine: Option<Box<Engine>>,
    pub(super) snapshots: Snapshots,
    pub(super) liveness: Liveness,
    world: World,
}

impl Stage {
    pub(super) fn new() -> Self {
        let (world, liveness) = (World::new(), Liveness::default());
        let (sender, snapshots) = watch::channel(None);
        let stop = Arc::new(Stop::new().expect("a descriptor"));
        let parts = Liveness::default();
        let engine = Engine::new(NEVER, limits(), sender, stop, &parts);
        let watchdog = ReadWatchdog::start_by(nobody, liveness.part("watch"));
        let mut engine = Engine {
            pulse: liveness.part("engine"),
            watchdog: watchdog.expect("nobody"),
            probes: Some(Box::new(FakeKernel::new(world.clone()))),
            system: Arc::new(FakeSystem(world.clone())),
            ..engine.expect("a descriptor")
        };
        engine.inspector.spawn_by(at_once);
        Self {
            engine: Some(Box::new(engine)),
            snapshots,
            liveness,
            world,
        }
    }

    /// What goes on in the world. Not to be held while the engine does anything.
    pub(super) fn world(&self) -> MutexGuard<'_, State> {
        self.world.state()
    }

    pub(super) fn engine(&mut self) -> &mut Engine {
        self.engine.as_mut().expect("it is here")
    }

    /// A program that only probes tell of.
    pub(super) fn program(&mut self, path: &str) -> Program {
        let program = Program::new(path);
        self.knows(&program);
        program
    }

    /// One whose memory tells too.
    pub(super) fn program_with_state(&mut self, path: &str) -> Program {
        let program = Program::with_state(path);
        self.knows(&program);
        program
    }

    /// Inspecting is not what is tested: what a file is, is known.
    pub(super) fn knows(&mut self, program: &Program) {
        let binary = Arc::clone(&program.binary);
        self.engine().targets.remember(program.id, binary);
    }

    /// A program that is run already, and goes on: its file carries probes.
    pub(super) fn probed(&mut self, path: &str, keeper: u32) -> Program {
        let program = self.program(path);
        self.world().start(keeper, &program);
        self.hear();
        program
    }

    /// The engine hears what was told, and looks at whatever that is.
    pub(super) fn hear(&mut self) {
        self.turn(None, None);
    }

    /// The same, after it has held everything against /proc.
    pub(super) fn sweep(&mut self) {
        self.turn(Some(Instant::now()), None);
    }

    /// The same, after it has sampled and published. What it has published.
    pub(super) fn sample(&mut self) -> Shown {
        self.turn(None, Some(Instant::now()));
        Shown(self.snapshots.borrow().clone().expect("a snapshot"))
    }

    /// Turns until nothing is under way.
    fn turn(&mut self, mut sweep: Option<Instant>, mut sample: Option<Instant>) {
        loop {
            let later = Instant::now() + NEVER;
            let engine = self.engine();
            engine.schedule.next_sweep = sweep.take().unwrap_or(later);
            engine.schedule.next_sample = sample.take().unwrap_or(later);
            let engine = self.engine.take().expect("it is here");
            self.engine = Some(engine.turn().expect("it goes on"));
            if self.engine().inspector.is_idle() {
                return;
            }
        }
    }
}

/// A snapshot, as tests ask it.
pub(super) struct Shown(pub(super) Arc<Snapshot>);

impl Shown {
    /// A process that runs.
    pub(super) fn running(&self, pid: u32) -> &Observation {
        let mut found = self.of(pid).filter(|it| it.ended.is_none());
        let first = found.next().expect("it is shown");
        assert!(found.next().is_none(), "process {pid} is shown twice");
        first
    }

    /// What is shown of a process id: path, goroutines created, and whether it has ended;
    /// in the order of path.
    pub(super) fn lives(&self, pid: u32) -> Vec<(String, Option<u64>, bool)> {
        let life = |it: &Observation| {
            let path = it.process.executable.path.display().to_string();
            (path, it.created(), it.ended.is_some())
        };
        let mut lives: Vec<_> = self.of(pid).map(life).collect();
        lives.sort();
        lives
    }

    fn of(&self, pid: u32) -> impl Iterator<Item = &Observation> {
        let all = self.0.processes.iter().map(AsRef::as_ref);
        all.filter(move |it: &&Observation| it.process.pid == pid)
    }
}

/// One of [`Shown::lives`].
pub(super) fn life(path: &str, created: u64, ended: bool) -> (String, Option<u64>, bool) {
    (path.to_owned(), Some(created), ended)
}
