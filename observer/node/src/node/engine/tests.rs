//! What the engine does with events, without a kernel behind it.

mod detach;
mod execs;
mod lost;
mod newcomers;
mod random;
mod refused;
mod reuse;
mod threads;

use std::{
    fs::File,
    sync::Arc,
    time::{Duration, Instant},
};

use observer_ebpf::{COMM_LEN, Event, EventKind, ProcessKey};
use observer_go::{
    binary::{Binary, Inspected},
    discover::{Executable, FileId},
};
use tokio::sync::watch;

use super::{Engine, Stop, fake::limits};
use crate::{
    fixtures::binary,
    liveness::Liveness,
    node::{
        inspector::{Done, Opened},
        probe_policy::ProbePolicy,
    },
};

/// No process has it: above the kernel's limit.
pub(super) const PID: u32 = 1 << 23;

pub(super) fn engine() -> Engine {
    let (sender, _) = watch::channel(None);
    let stop = Arc::new(Stop::new().expect("a descriptor"));
    let liveness = Liveness::default();
    Engine::new(Duration::from_secs(1), limits(), sender, stop, &liveness).expect("a descriptor")
}

/// A file without probes, which is said to be this.
pub(super) fn target(engine: &mut Engine, binary: &Arc<Binary>) -> (u32, Executable) {
    let file = File::open("/proc/self/exe").expect("this program");
    let executable = Executable {
        id: FileId::of_file(&file).expect("its identity"),
        path: "/srv/app".into(),
        deleted: false,
        memfd: false,
    };
    let target = target_of(engine, binary, &executable, &file);
    (target, executable)
}

/// The same, of a certain file.
pub(super) fn target_of(
    engine: &mut Engine,
    binary: &Arc<Binary>,
    executable: &Executable,
    file: &File,
) -> u32 {
    let (binary, need) = (Arc::clone(binary), ProbePolicy::new());
    let opened = Opened::Here(file.try_clone().expect("another descriptor"));
    (engine.targets).attach(None, executable, &opened, binary, need)
}

fn end_of(key: ProcessKey, target: u32) -> Event {
    Event {
        kind: EventKind::Exit as u32,
        tgid: key.tgid,
        epoch: key.epoch,
        old_epoch: 0,
        target,
        parent: 0,
        at: 0,
        cgroup: 0,
        parent_cgroup: 0,
        comm: [0; COMM_LEN],
    }
}

/// The writer is let in once nobody runs the file, which may be before the event
/// of the last one's end has come.
#[test]
fn who_ends_while_its_file_gives_way_is_counted() {
    let mut engine = engine();
    let (target, executable) = target(&mut engine, &Arc::new(binary("go1.26.8")));
    engine.targets.give_way(target, None);
    // The kernel may have told whose it was, or have been told to forget it by then.
    for (epoch, told) in [(1, target), (2, 0)] {
        let key = ProcessKey { tgid: PID, epoch };
        engine.disowned.put(key, target);
        engine.event(&end_of(key, told));
    }
    let ended = engine.processes.shown(Instant::now());
    assert_eq!(ended.len(), 2);
    for process in ended {
        assert_eq!(process.process.pid, PID);
        assert_eq!(process.process.executable.id, executable.id);
        assert!(process.ended.is_some());
    }
}

/// What was inspected may be the file of another program than the process ran when it
/// was looked at, or have been written to.
#[test]
fn what_was_found_holds_for_the_file_that_was_looked_at_only() {
    let program = || File::open("/proc/self/exe").expect("this program");
    let id = FileId::of_file(program()).expect("its identity");
    let other = File::open("/dev/null").expect("another file");
    for (file, targets) in [(other, 0), (program(), 1)] {
        let mut engine = engine();
        let executable = Executable {
            id,
            path: "/srv/app".into(),
            deleted: false,
            memfd: false,
        };
        let waiting = vec![(executable, PID, None)];
        engine.waiting.insert(id, waiting);
        engine.inspected(Done {
            id,
            opened: Some(Opened::Here(file)),
            result: Ok(Inspected::Go(Box::new(binary("go1.26.8")))),
        });
        assert_eq!(engine.targets.len(), targets);
        assert!(engine.waiting.is_empty());
    }
}
