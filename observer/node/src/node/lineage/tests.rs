use std::collections::BTreeMap;

use observer_ebpf::{COMM_LEN, Event, EventKind};
use observer_go::discover::{Container, Kin, Origin, Runtime};

use super::{Kinship, Lineage};

/// A node's processes as a table.
#[derive(Default)]
struct Table {
    all: BTreeMap<u32, Kin>,
    /// Those whose program is their parent's.
    from_outside: Vec<u32>,
    /// Those in a pid namespace that containers share.
    shared: Vec<u32>,
}

const POD: &str = "8d0c6f2e-4a1b-4c3d-9e5f-0123456789ab";

fn container(id: &str) -> Container {
    Container {
        id: id.to_owned(),
        runtime: Runtime::Containerd,
        pod_uid: Some(POD.to_owned()),
    }
}

impl Table {
    /// The shim, which begins everything in containers, and a container's main
    /// process.
    fn new(main_inner: u32) -> Self {
        let mut table = Self::default();
        table.add(10, 1, 10, 10, None);
        table.add(20, 10, 20, main_inner, Some("c"));
        table
    }

    fn add(&mut self, pid: u32, parent: u32, session: u32, inner: u32, id: Option<&str>) {
        let kin = Kin {
            pid,
            parent,
            session,
            inner_pid: inner,
            start_ticks: u64::from(pid),
            enters: false,
            container: id.map(container),
            pod_uid: id.map(|_| POD.to_owned()),
        };
        self.all.insert(pid, kin);
    }

    fn origin(&self, lineage: &mut Lineage, pid: u32) -> Origin {
        lineage.origin(self, pid, &container("c"), |cgroup| cgroup == INSIDE)
    }
}

impl Kinship for Table {
    fn kin(&self, pid: u32) -> Option<Kin> {
        self.all.get(&pid).cloned()
    }

    fn all_in(&self, id: &str) -> Vec<Kin> {
        let inside = |kin: &&Kin| kin.container.as_ref().is_some_and(|it| it.id == id);
        let mut all: Vec<_> = self.all.values().filter(inside).cloned().collect();
        all.sort_by_key(|kin| kin.start_ticks);
        all
    }

    fn is_from_outside(&self, pid: u32, _parent: u32) -> bool {
        self.from_outside.contains(&pid)
    }

    fn share_pid_namespace(&self, one: u32, other: u32) -> bool {
        self.shared.contains(&one) && self.shared.contains(&other)
    }

    fn lives(&self, pid: u32, start_ticks: u64) -> bool {
        let kin = self.all.get(&pid);
        kin.is_some_and(|kin| kin.start_ticks == start_ticks)
    }
}

const INSIDE: u64 = 7;
const OUTSIDE: u64 = 3;

fn exec(pid: u32, parent: u32, parent_cgroup: u64) -> Event {
    Event {
        kind: EventKind::Exec as u32,
        tgid: pid,
        epoch: 0,
        old_epoch: 0,
        target: 0,
        parent,
        at: 0,
        cgroup: INSIDE,
        parent_cgroup,
        comm: [0; COMM_LEN],
    }
}

fn fork(pid: u32, parent: u32) -> Event {
    Event {
        kind: EventKind::Fork as u32,
        ..exec(pid, parent, 0)
    }
}

/// Where the pid namespace is shared, nothing but its name tells the runtime's
/// first process from a service's.
#[test]
fn what_runc_enters_by_is_not_what_it_executes() {
    for order in [[15, 20], [20, 15]] {
        let mut table = Table::new(20);
        table.add(15, 10, 15, 15, Some("c"));
        for pid in [15, 20] {
            table.all.get_mut(&pid).expect("it is there").enters = true;
        }
        let mut lineage = Lineage::new();
        let mut forked = fork(20, 15);
        forked.comm[..7].copy_from_slice(b"runc:[0");
        lineage.told(&forked, &table);
        for pid in order {
            let origin = table.origin(&mut lineage, pid);
            assert_eq!(origin, Origin::Runtime, "{pid}");
        }
        table.all.remove(&15);
        table.all.get_mut(&20).expect("it is there").enters = false;
        // A scan may be faster than the exec's event.
        assert_eq!(table.origin(&mut lineage, 20), Origin::Service);
        lineage.told(&exec(20, 10, OUTSIDE), &table);
        assert_eq!(table.origin(&mut lineage, 20), Origin::Service);
        // Whoever comes later does not become the main process.
        table.add(30, 10, 30, 30, Some("c"));
        assert_eq!(table.origin(&mut lineage, 30), Origin::Injected);
    }
}

#[test]
fn the_first_process_and_what_it_begot_are_the_service() {
    // Alone in its pid namespace, or not.
    for inner in [1, 20] {
        let mut table = Table::new(inner);
        table.add(21, 20, 20, 2, Some("c"));
        table.add(22, 21, 22, 3, Some("c"));
        for order in [[20, 21, 22], [22, 21, 20]] {
            let mut lineage = Lineage::new();
            for pid in order {
                assert_eq!(table.origin(&mut lineage, pid), Origin::Service, "{pid}");
            }
        }
    }
}

#[test]
fn what_the_runtime_begins_later_is_injected_with_what_it_begets() {
    for inner in [1, 20] {
        let mut table = Table::new(inner);
        // `runc exec` is gone; the shim has taken its child in.
        table.add(30, 10, 30, 7, Some("c"));
        table.add(31, 30, 30, 8, Some("c"));
        let mut lineage = Lineage::new();
        assert_eq!(table.origin(&mut lineage, 31), Origin::Injected);
        assert_eq!(table.origin(&mut lineage, 30), Origin::Injected);
        assert_eq!(table.origin(&mut lineage, 20), Origin::Service);
        // What it leaves behind the container's first process takes in.
        table.all.remove(&30);
        table.add(32, 20, 30, 9, Some("c"));
        assert_eq!(table.origin(&mut lineage, 32), Origin::Injected);
    }
}

#[test]
fn a_sandbox_is_the_runtimes_also_as_the_first_process_of_a_namespace() {
    let mut table = Table::new(1);
    table.add(15, 10, 15, 1, Some("c"));
    table.add(16, 15, 15, 2, Some("c"));
    table.from_outside.push(15);
    let mut lineage = Lineage::new();
    assert_eq!(table.origin(&mut lineage, 16), Origin::Runtime);
    assert_eq!(table.origin(&mut lineage, 15), Origin::Runtime);
    // Though it began first, it is not what the container runs.
    table.add(30, 10, 30, 7, Some("c"));
    assert_eq!(table.origin(&mut lineage, 30), Origin::Injected);
    assert_eq!(table.origin(&mut lineage, 20), Origin::Service);
}

#[test]
fn orphans_in_a_shared_pid_namespace_are_the_services() {
    let mut table = Table::new(5);
    // The pod's first process is in no container that is looked at.
    table.add(12, 10, 12, 1, Some("pause"));
    table.shared = vec![12, 20, 25, 30];
    table.add(25, 12, 25, 9, Some("c"));
    table.add(30, 10, 30, 11, Some("c"));
    let mut lineage = Lineage::new();
    assert_eq!(table.origin(&mut lineage, 25), Origin::Service);
    assert_eq!(table.origin(&mut lineage, 30), Origin::Injected);
    // In the host's pid namespace the shim takes them in.
    let mut table = Table::new(20);
    table.add(25, 10, 20, 25, Some("c"));
    assert_eq!(table.origin(&mut Lineage::new(), 25), Origin::Service);
}

#[test]
fn those_that_are_gone_are_known_by_what_the_kernel_told() {
    let table = Table::new(1);
    let mut lineage = Lineage::new();
    // A shell that a probe began, and what it ran.
    lineage.told(&exec(40, 39, OUTSIDE), &table);
    lineage.told(&exec(41, 40, INSIDE), &table);
    assert_eq!(table.origin(&mut lineage, 41), Origin::Injected);
    // What the service ran.
    lineage.told(&exec(50, 20, INSIDE), &table);
    lineage.told(&fork(51, 50), &table);
    assert_eq!(table.origin(&mut lineage, 51), Origin::Service);
    // In another cgroup of the same container, such as a service of its systemd.
    lineage.told(&exec(52, 20, INSIDE), &table);
    assert_eq!(table.origin(&mut lineage, 52), Origin::Service);
    // An id that is used again is another process.
    lineage.told(&exec(41, 20, INSIDE), &table);
    assert_eq!(table.origin(&mut lineage, 41), Origin::Service);
    // Of whom nothing was told.
    assert_eq!(table.origin(&mut lineage, 60), Origin::Service);
}

#[test]
fn a_container_that_is_over_was_its_main_process() {
    let mut table = Table::new(1);
    table.all.remove(&20);
    let mut lineage = Lineage::new();
    lineage.told(&exec(20, 10, OUTSIDE), &table);
    assert_eq!(table.origin(&mut lineage, 20), Origin::Service);
}

#[test]
fn another_program_in_the_same_process_changes_nothing() {
    let mut table = Table::new(1);
    table.add(30, 10, 30, 7, Some("c"));
    let mut lineage = Lineage::new();
    lineage.told(&exec(30, 29, OUTSIDE), &table);
    assert_eq!(table.origin(&mut lineage, 30), Origin::Injected);
    // Left by its parent, it is the main process's child by now.
    table.add(30, 20, 30, 7, Some("c"));
    lineage.told(&exec(30, 20, INSIDE), &table);
    assert_eq!(table.origin(&mut lineage, 30), Origin::Injected);
}

#[test]
fn the_runtime_becomes_the_main_process() {
    let mut table = Table::new(1);
    table.from_outside.push(20);
    let mut lineage = Lineage::new();
    lineage.told(&fork(20, 19), &table);
    assert_eq!(table.origin(&mut lineage, 20), Origin::Runtime);
    table.from_outside.clear();
    lineage.told(&exec(20, 19, OUTSIDE), &table);
    assert_eq!(table.origin(&mut lineage, 20), Origin::Service);
    // And though nobody told.
    table.from_outside.push(20);
    let mut lineage = Lineage::new();
    assert_eq!(table.origin(&mut lineage, 20), Origin::Runtime);
    table.from_outside.clear();
    assert_eq!(table.origin(&mut lineage, 20), Origin::Service);
}

#[test]
fn beside_cgroup_v1_only_proc_is_believed() {
    let mut table = Table::new(1);
    table.add(30, 10, 30, 7, Some("c"));
    table.add(31, 30, 30, 8, Some("c"));
    let mut lineage = Lineage::new();
    // All processes are in one cgroup of the unified hierarchy, runc too.
    for (pid, parent) in [(19, 10), (20, 19), (29, 10), (30, 29), (31, 30)] {
        lineage.told(&exec(pid, parent, INSIDE), &table);
    }
    for (pid, origin) in [
        (20, Origin::Service),
        (30, Origin::Injected),
        (31, Origin::Injected),
    ] {
        let found = lineage.origin(&table, pid, &container("c"), |_| false);
        assert_eq!(found, origin, "{pid}");
    }
}

#[test]
fn a_ring_of_ancestors_ends() {
    let mut table = Table::new(1);
    table.add(30, 31, 30, 7, Some("c"));
    table.add(31, 30, 30, 8, Some("c"));
    assert_eq!(table.origin(&mut Lineage::new(), 30), Origin::Service);
}
