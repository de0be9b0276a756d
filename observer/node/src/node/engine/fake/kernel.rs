//! The kernel's side as the engine sees it: [`KernelSide`] over the model.

use std::{
    fs::File,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::Path,
    sync::Arc,
};

use observer_ebpf::{
    Event, GcFigures, GoroutineFigures, ProbeGroup, ProcessKey, ProgramHealth, Registration,
    Target, names,
};
use observer_go::{binary::SitePlan, discover::FileId};
use observer_probe::{Attached, GroupStatus, Inventory, ProbeError, Spans};
use rustix::event::{EventfdFlags, eventfd};

use super::world::{Call, World};
use crate::node::{cross_check::Counted, kernel::KernelSide};

/// The model's kernel, for one engine.
pub(super) struct FakeKernel {
    world: World,
    /// Always readable, so that the engine never sleeps.
    ready: OwnedFd,
    /// Never readable.
    quiet: OwnedFd,
}

impl FakeKernel {
    pub(super) fn new(world: World) -> Self {
        let descriptor = |count| eventfd(count, EventfdFlags::CLOEXEC).expect("a descriptor");
        Self {
            world,
            ready: descriptor(1),
            quiet: descriptor(0),
        }
    }
}

impl KernelSide for FakeKernel {
    fn attach(
        &mut self,
        target: u32,
        path: &Path,
        plan: &SitePlan,
    ) -> Result<Attached, ProbeError> {
        let mut state = self.world.state();
        if let Some(reason) = state.links.refused {
            return Err(ProbeError::Attach {
                path: path.to_owned(),
                reason: reason.to_owned(),
            });
        }
        let file = File::open(path).and_then(FileId::of_file);
        let sites = (state.links).attach(target, file.expect("the file"), plan);
        let mut maps = state.maps.borrow_mut();
        maps.targets.insert(target, Target::default());
        let since_ns = Some(maps.now());
        let standing = |sites| GroupStatus { sites, since_ns };
        let groups = sites.into_iter();
        let groups = groups.map(|(group, sites)| (group, standing(sites)));
        Ok(Attached {
            refused: Vec::new(),
            groups: groups.collect(),
        })
    }

    fn set_group(
        &mut self,
        target: u32,
        group: ProbeGroup,
        on: bool,
    ) -> Result<Option<u64>, ProbeError> {
        let mut state = self.world.state();
        if let Some(reason) = state.links.refused {
            return Err(ProbeError::Attach {
                path: "/srv/app".into(),
                reason: reason.to_owned(),
            });
        }
        state.links.set_group(target, group, on);
        Ok(on.then(|| state.maps.borrow_mut().now()))
    }

    fn detach(&mut self, target: u32) {
        self.world.state().links.detach(target);
    }

    fn forget_target(&mut self, target: u32) -> Vec<ProcessKey> {
        let state = self.world.state();
        let mut maps = state.maps.borrow_mut();
        maps.targets.remove(target);
        maps.aliases
            .retain(|(loser, owner)| *loser != target && *owner != target);
        let mut freed = Vec::new();
        for tgid in Vec::from_iter(maps.processes.keys()) {
            maps.processes.change(tgid, |registration| {
                if registration.target == target {
                    registration.target = 0;
                    let epoch = registration.epoch;
                    freed.push(ProcessKey { tgid, epoch });
                }
            });
        }
        freed
    }

    fn aliases(&self) -> Vec<(u32, u32)> {
        let state = self.world.state();
        let aliases = state.maps.borrow().aliases.clone();
        aliases.into_iter().collect()
    }

    fn register(&mut self, tgid: u32, target: u32) -> Result<Option<Registration>, ProbeError> {
        let mut state = self.world.state();
        state.before(Call::Register, tgid);
        if let Some(reason) = state.unregistrable {
            return Err(ProbeError::Map {
                map: names::PROCESSES,
                reason: reason.to_owned(),
            });
        }
        let mut maps = state.maps.borrow_mut();
        let new = Registration {
            epoch: (maps.now() >> 10) as u32,
            target,
            repaid_at_ns: 0,
            stops_repaid_at_ns: 0,
            spans_repaid_at_ns: 0,
        };
        maps.processes.insert(tgid, new);
        match maps.processes.get(tgid) {
            None => Err(ProbeError::Map {
                map: names::PROCESSES,
                reason: "Argument list too long (os error 7)".to_owned(),
            }),
            registered => Ok(registered),
        }
    }

    fn registration(&self, tgid: u32) -> Option<Registration> {
        self.world.state().maps.borrow().processes.get(tgid)
    }

    fn unregister(&mut self, tgid: u32) {
        self.world.state().maps.borrow_mut().processes.remove(tgid);
    }

    fn read(&self, key: ProcessKey, known: Option<&Arc<GcFigures>>) -> Counted {
        let goroutines = self.goroutines(key);
        let gc = self.world.state().maps.borrow().gc.get(key);
        let gc = gc.map(|gc| match known {
            Some(known) if known.same(&gc) => Arc::clone(known),
            _ => Arc::new(gc),
        });
        (goroutines, gc)
    }

    fn goroutines(&self, key: ProcessKey) -> GoroutineFigures {
        let figures = self.world.state().maps.borrow().goroutines.get(key);
        figures.unwrap_or(GoroutineFigures::ZERO)
    }

    fn take(&mut self, key: ProcessKey) -> Counted {
        let figures = self.read(key, None);
        let state = self.world.state();
        let mut maps = state.maps.borrow_mut();
        maps.goroutines.remove(key);
        maps.gc.remove(key);
        figures
    }

    fn has_spans(&self) -> bool {
        false
    }

    fn spans(&self, _: ProcessKey) -> Spans {
        Spans::new()
    }

    fn forget_spans(&mut self, _: &dyn Fn(ProcessKey) -> bool) {}

    fn inventory(&self) -> Inventory {
        let state = self.world.state();
        let maps = state.maps.borrow();
        let registered = maps.processes.keys().filter_map(|tgid| {
            let epoch = maps.processes.get(tgid)?.epoch;
            Some(ProcessKey { tgid, epoch })
        });
        let figures = maps.goroutines.keys().chain(maps.gc.keys());
        Inventory {
            keys: figures.chain(registered).collect(),
            entries: [
                (names::PROCESSES, maps.processes.len() as u64),
                (names::GOROUTINES, maps.goroutines.len() as u64),
                (names::GC, maps.gc.len() as u64),
            ]
            .into(),
        }
    }

    fn health(&self) -> ProgramHealth {
        let state = self.world.state();
        if state.panics {
            // Without a message: the test wants it.
            std::panic::resume_unwind(Box::new("a bug"));
        }
        state.maps.borrow().health
    }

    fn event_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }

    fn drain(&mut self) -> Vec<Event> {
        let state = self.world.state();
        let events = std::mem::take(&mut state.maps.borrow_mut().events);
        events.into()
    }

    fn wanted_fd(&self) -> BorrowedFd<'_> {
        self.quiet.as_fd()
    }

    fn is_wanted(&self) -> bool {
        !self.world.state().wanted.is_empty()
    }

    fn wanted(&self) -> Vec<u32> {
        std::mem::take(&mut self.world.state().wanted)
    }

    fn has_lost_a_thread(&self) -> bool {
        self.world.state().has_lost_a_thread
    }
}
