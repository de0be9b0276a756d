//! `cgroups host|pod|unmounted`: programs that are gone before the observer
//! has looked at them belong to their containers, wherever the observer is.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use observer_testkit::{Observer, Process, paths, wait};
use rustix::process::{Pid, Signal, kill_process};

use crate::{builds, pod};

const ROOT: &str = "/sys/fs/cgroup";
/// Programs that come and go, of each container.
const EACH: usize = 8;
/// Until all that happened is shown.
const SHOWN: Duration = Duration::from_secs(15);

/// A container as its runtime places it.
struct Container {
    shape: &'static str,
    id: String,
    pod: Option<String>,
    cgroup: String,
}

fn containers() -> Vec<Container> {
    let pod = |n: u8| format!("{n:08x}-1111-2222-3333-444444444444");
    let id = |n: u8| format!("{n:02x}").repeat(32);
    let slice = |n: u8, class: &str| {
        let uid = pod(n).replace('-', "_");
        format!("kubepods.slice/kubepods-{class}.slice/kubepods-{class}-pod{uid}.slice")
    };
    let of = |n: u8, shape, in_pod: bool, cgroup: String| Container {
        shape,
        id: id(n),
        pod: in_pod.then(|| pod(n)),
        cgroup,
    };
    vec![
        of(
            1,
            "containerd, systemd",
            true,
            format!("{}/cri-containerd-{}.scope", slice(1, "burstable"), id(1)),
        ),
        of(
            2,
            "CRI-O, crun",
            true,
            format!("{}/crio-{}.scope/container", slice(2, "besteffort"), id(2)),
        ),
        of(
            3,
            "containerd, cgroupfs",
            true,
            format!("kubepods/besteffort/pod{}/{}", pod(3), id(3)),
        ),
        of(
            4,
            "Docker",
            false,
            format!("system.slice/docker-{}.scope", id(4)),
        ),
        of(
            5,
            "podman, crun",
            false,
            format!("machine.slice/libpod-{}.scope/container", id(5)),
        ),
    ]
}

pub(crate) fn run(arguments: &[String]) {
    let view = arguments.first().map_or("host", String::as_str);
    let short = builds::of("short", 1).remove(0);
    let containers = containers();
    for container in &containers {
        fs::create_dir_all(Path::new(ROOT).join(&container.cgroup)).expect("a cgroup");
    }
    let start = |container: &Container, life: &str| {
        let mut command = pod::within(&container.cgroup, &short);
        command
            .args(["5", life])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command.spawn().expect("a program")
    };
    // By these the observer knows the containers.
    let residents: Vec<_> = containers.iter().map(|c| Killed(start(c, "1h"))).collect();
    let observer = Observer::start_as(observer(view));
    for (container, resident) in containers.iter().zip(&residents) {
        let process = observer.attached(resident.0.id());
        assert_eq!(
            seen(&process),
            Some(told(container)),
            "a resident of {}",
            container.shape
        );
    }
    let pid = Pid::from_raw(observer.pid().cast_signed()).expect("a pid");
    let signal = |signal| kill_process(pid, signal).expect("a signal");
    signal(Signal::STOP);
    let mut gone = Vec::new();
    for container in &containers {
        let mut programs: Vec<_> = (0..EACH).map(|_| start(container, "20ms")).collect();
        for program in &mut programs {
            assert!(program.wait().expect("its end").success());
            gone.push((program.id(), container));
        }
    }
    signal(Signal::CONT);
    // Of the best look: those that ended are shown for a while, and then no more.
    let mut wrong = differing(&observer.processes(), &gone);
    wait::comes_true(SHOWN, || {
        let found = differing(&observer.processes(), &gone);
        if found.len() < wrong.len() {
            wrong = found;
        }
        wrong.is_empty()
    });
    let right = gone.len() - wrong.len();
    println!(
        "  {right} of {} have their container, seen as {view}",
        gone.len()
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// How the observer is started: as it is on the host, in a pod with a cgroup
/// namespace of its own, or there without a mount of the hierarchy.
fn observer(view: &str) -> Command {
    let own = "kubepods.slice/observer.scope";
    match view {
        "host" => Command::new(paths::observer()),
        "pod" => pod::inside(own, true, &paths::observer()),
        "unmounted" => pod::inside(own, false, &paths::observer()),
        other => panic!("{other}: expected host, pod or unmounted"),
    }
}

fn differing(processes: &[Process], gone: &[(u32, &Container)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (pid, container) in gone {
        let found = processes.iter().find(|p| p.pid == *pid).and_then(seen);
        if found != Some(told(container)) {
            wrong.push(format!("{} {pid}: {found:?}", container.shape));
        }
    }
    wrong
}

/// A container's id and its pod.
type Told = (String, Option<String>);

fn told(container: &Container) -> Told {
    (container.id.clone(), container.pod.clone())
}

fn seen(process: &Process) -> Option<Told> {
    let container = process.container.as_ref()?;
    Some((container.id.clone(), container.pod_uid.clone()))
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
