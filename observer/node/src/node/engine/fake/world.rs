//! What goes on in the model: processes that begin, execute, fork, end and create
//! goroutines. What the programs make of it is the programs' own code.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs::File,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use observer_ebpf::{
    Cookie, EventKind, ProcessKey, SiteKind,
    ground::Registers,
    state_machine::{self, Fields, Kernel as _},
};
use observer_go::{
    binary::{Binary, Site, Text, globals::Globals},
    discover::{Executable, FileId},
};
use rustix::fs::{MemfdFlags, memfd_create};

use super::{
    links::Links,
    maps::{Maps, Task},
};
use crate::fixtures::binary;

/// A Go program: a file, and what is known of it.
#[derive(Clone, Debug)]
pub(in crate::node::engine) struct Program {
    pub(in crate::node::engine) id: FileId,
    pub(in crate::node::engine) binary: Arc<Binary>,
    path: PathBuf,
    file: Arc<File>,
}

impl Program {
    /// One whose goroutines only probes count.
    pub(in crate::node::engine) fn new(path: &str) -> Self {
        let file = memfd_create(path, MemfdFlags::CLOEXEC).expect("a file in memory");
        let site = |kind, offset| Site {
            kind,
            function: String::new(),
            address: offset,
            offset,
            instruction: String::new(),
            emulated: true,
            weight: 1,
            aux: 0,
            text: Text::default(),
        };
        let mut binary = binary("go1.26.8");
        binary.plan.sites = vec![
            site(SiteKind::GoroutineCreated, 16),
            site(SiteKind::GoroutineExited, 32),
            site(SiteKind::GoidRefill, 48),
        ];
        Self {
            id: FileId::of_file(&file).expect("its identity"),
            binary: Arc::new(binary),
            path: path.into(),
            file: Arc::new(file.into()),
        }
    }

    /// One whose memory tells of them too.
    pub(in crate::node::engine) fn with_state(path: &str) -> Self {
        let mut program = Self::new(path);
        let binary = Arc::make_mut(&mut program.binary);
        binary.state.globals = Some(Globals::default());
        program
    }

    /// The same file as another container's overlayfs shows it.
    pub(in crate::node::engine) fn elsewhere(&self) -> Self {
        let device = self.id.device + 1;
        Self {
            id: FileId { device, ..self.id },
            ..self.clone()
        }
    }

    pub(super) fn executable(&self) -> Executable {
        Executable {
            id: self.id,
            path: self.path.clone(),
            deleted: false,
            memfd: false,
        }
    }

    pub(super) fn pinned(&self) -> OwnedFd {
        self.file.try_clone().expect("another descriptor").into()
    }
}

/// A process that runs.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) program: Program,
    pub(super) start_ticks: u64,
    pub(super) forked: bool,
    /// Of its programs, one after the other.
    pub(super) life: u64,
    pub(super) created: u64,
    pub(super) exited: u64,
    /// Whether whoever reads its memory dies of a bug.
    pub(super) kills_its_reader: bool,
}

/// What the engine asks, before which something else may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::node::engine) enum Call {
    /// A whole look at a process.
    Process,
    /// Its file is to be held.
    Pin,
    /// It is to be registered.
    Register,
    /// What its memory holds.
    Sample,
}

type Meanwhile = (Call, u32, Box<dyn FnOnce(&mut State) + Send>);

/// All that there is.
pub(in crate::node::engine) struct State {
    pub(in crate::node::engine) maps: RefCell<Maps>,
    pub(in crate::node::engine) links: Links,
    pub(super) processes: BTreeMap<u32, Running>,
    meanwhile: Vec<Meanwhile>,
    started: u64,
    /// Targets whose file somebody waits to write to.
    pub(in crate::node::engine) wanted: Vec<u32>,
    /// Why user space registers no process.
    pub(in crate::node::engine) unregistrable: Option<&'static str>,
    /// Whether the thread that takes probes away has ended.
    pub(in crate::node::engine) has_lost_a_thread: bool,
    /// Whether whoever asks how the programs are dies of a bug.
    pub(in crate::node::engine) panics: bool,
}

/// The same, shared by the engine's fakes and the test.
#[derive(Clone)]
pub(in crate::node::engine) struct World(Arc<Mutex<State>>);

impl World {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            maps: RefCell::new(Maps::new()),
            links: Links::default(),
            processes: BTreeMap::new(),
            meanwhile: Vec::new(),
            started: 100,
            wanted: Vec::new(),
            unregistrable: None,
            has_lost_a_thread: false,
            panics: false,
        })))
    }

    /// Not to be held while the engine does anything.
    pub(in crate::node::engine) fn state(&self) -> MutexGuard<'_, State> {
        // Some tests let a thread die with it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// This happens once the engine asks that of a process, before it is answered.
    pub(in crate::node::engine) fn meanwhile(
        &mut self,
        call: Call,
        pid: u32,
        what: impl FnOnce(&mut Self) + Send + 'static,
    ) {
        self.meanwhile.push((call, pid, Box::new(what)));
    }

    pub(super) fn before(&mut self, call: Call, pid: u32) {
        let due = |(at, of, _): &mut Meanwhile| (*at, *of) == (call, pid);
        let due: Vec<_> = self.meanwhile.extract_if(.., due).collect();
        for (_, _, what) in due {
            what(self);
        }
    }

    /// A process begins by executing a program; nobody knows who forked it.
    pub(in crate::node::engine) fn start(&mut self, pid: u32, program: &Program) {
        self.runs(pid, program);
        self.executed(pid);
    }

    /// A process runs of which no event tells: it began before there were any.
    pub(in crate::node::engine) fn runs(&mut self, pid: u32, program: &Program) {
        self.started += 1;
        let running = Running {
            program: program.clone(),
            start_ticks: self.started,
            forked: false,
            life: 0,
            created: 0,
            exited: 0,
            kills_its_reader: false,
        };
        let was = self.processes.insert(pid, running);
        assert!(was.is_none(), "process {pid} runs already");
    }

    /// A process executes another program, or the same again.
    pub(in crate::node::engine) fn exec(&mut self, pid: u32, program: &Program) {
        let running = self.running(pid);
        *running = Running {
            program: program.clone(),
            forked: false,
            life: running.life + 1,
            created: 0,
            exited: 0,
            ..running.clone()
        };
        self.executed(pid);
    }

    fn executed(&mut self, pid: u32) {
        state_machine::exec(Task(&self.maps), pid, || (0, 0));
    }

    /// A process forks.
    pub(in crate::node::engine) fn fork(&mut self, parent: u32, child: u32) {
        let program = self.running(parent).program.clone();
        self.runs(child, &program);
        self.running(child).forked = true;
        // As the program at the tracepoint does it, which is no state machine.
        let task = Task(&self.maps);
        if task.registration(parent).is_some() {
            let process = ProcessKey {
                tgid: child,
                epoch: 0,
            };
            task.process_event();
            task.send(&Fields {
                parent,
                ..Fields::new(EventKind::Fork, process, 0)
            });
        }
    }

    /// A process ends.
    pub(in crate::node::engine) fn exit(&mut self, pid: u32) {
        state_machine::exit(Task(&self.maps), pid, || true);
        let was = self.processes.remove(&pid);
        assert!(was.is_some(), "process {pid} runs");
    }

    /// A process creates so many goroutines.
    pub(in crate::node::engine) fn creates(&mut self, pid: u32, count: u64) {
        for _ in 0..count {
            self.running(pid).created += 1;
            self.hit(pid, SiteKind::GoroutineCreated);
        }
    }

    /// So many goroutines of a process end.
    pub(in crate::node::engine) fn ends(&mut self, pid: u32, count: u64) {
        for _ in 0..count {
            self.running(pid).exited += 1;
            self.hit(pid, SiteKind::GoroutineExited);
        }
    }

    fn hit(&mut self, pid: u32, kind: SiteKind) {
        let file = self.running(pid).program.id;
        for target in self.links.hit(file, kind) {
            let cookie = Cookie::new(kind, target, 0);
            state_machine::hit(Task(&self.maps), pid, kind, cookie, Registers::default);
        }
    }

    /// Whoever reads this process's memory dies of a bug, or no more.
    pub(in crate::node::engine) fn kills_its_reader(&mut self, pid: u32, kills: bool) {
        self.running(pid).kills_its_reader = kills;
    }

    fn running(&mut self, pid: u32) -> &mut Running {
        self.processes.get_mut(&pid).expect("the process runs")
    }
}
