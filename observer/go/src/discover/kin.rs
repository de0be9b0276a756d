//! Who begot whom, as /proc shows it now.

use rustix::fs::{AtFlags, StatxFlags};

use super::{
    Container, DiscoverError, cgroup,
    proc_dir::{ProcDir, ended, first_thread_ended},
    process::{cgroups, field},
    scan,
};

/// How runc calls each of the processes by which it enters a container
/// (`runc:[2:INIT]`), until one of them executes the container's program.
pub const RUNC: &str = "runc:[";

/// Whether a process of this name is one by which runc enters a container.
pub fn enters_container(comm: &str) -> bool {
    comm.starts_with(RUNC)
}

/// A process among its kin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kin {
    /// Its id in the observer's pid namespace, as are all ids but one.
    pub pid: u32,
    /// Its parent now; 0 where that is outside of the namespace.
    pub parent: u32,
    /// Its session.
    pub session: u32,
    /// Its id in its own pid namespace.
    pub inner_pid: u32,
    /// When it began, in clock ticks since boot.
    pub start_ticks: u64,
    /// Whether it is the runtime's still, on its way into the container.
    pub enters: bool,
    /// The container it runs in.
    pub container: Option<Container>,
    /// UID of the Kubernetes pod in whose cgroup it is.
    pub pod_uid: Option<String>,
}

/// Looks at one process.
pub fn kin(pid: u32) -> Result<Kin, DiscoverError> {
    let entry = ProcDir::open(pid)?;
    let stat = entry.stat()?;
    if ended(&stat) {
        return Err(DiscoverError::Zombie(pid));
    }
    let thread = if first_thread_ended(&stat) {
        entry.living_thread()?
    } else {
        None
    };
    let groups = cgroups(thread.as_ref().unwrap_or(&entry))?;
    let status = entry
        .read("status")
        .map_err(|errno| entry.error("status", errno))?;
    Ok(Kin {
        pid,
        parent: u32::try_from(stat.ppid).unwrap_or(0),
        session: u32::try_from(stat.session).unwrap_or(0),
        inner_pid: field(&status, "NSpid:").unwrap_or(pid),
        start_ticks: stat.starttime,
        enters: enters_container(&stat.comm),
        container: cgroup::container(&groups),
        pod_uid: cgroup::pod_uid(&groups),
    })
}

/// Every process of a container, the first to begin first. All of /proc is
/// looked through: its cgroups may lie anywhere.
pub fn all_in(container: &str) -> Vec<Kin> {
    let here = |kin: &Kin| kin.container.as_ref().is_some_and(|it| it.id == container);
    let pids = scan::pids().unwrap_or_default();
    let mut all: Vec<Kin> = pids
        .into_iter()
        .filter_map(|pid| kin(pid).ok())
        .filter(here)
        .collect();
    all.sort_by_key(|kin| (kin.start_ticks, kin.inner_pid, kin.pid));
    all
}

/// Whether two processes are in one pid namespace.
pub fn share_pid_namespace(one: u32, other: u32) -> bool {
    share(one, other, "ns/pid")
}

fn share(one: u32, other: u32, namespace: &str) -> bool {
    let of = |pid| {
        let entry = ProcDir::open(pid).ok()?;
        rustix::fs::readlinkat(&entry, namespace, Vec::new()).ok()
    };
    of(one).is_some_and(|it| of(other) == Some(it))
}

/// Whether the program of `pid` lies on a mount of its parent's mount namespace,
/// and none of its own: what a container runs lies on one of the container's.
pub fn is_from_outside(pid: u32, parent: u32) -> bool {
    if share(pid, parent, "ns/mnt") {
        return true;
    }
    let Some(mount) = mount_of_program(pid) else {
        return false;
    };
    // A program that changed its root since sees no mount above that.
    !has_mount(pid, mount) && has_mount(parent, mount)
}

/// The number of the mount that a program lies on; `None` where the kernel does
/// not tell.
fn mount_of_program(pid: u32) -> Option<u64> {
    let entry = ProcDir::open(pid).ok()?;
    let flags = AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    let found = rustix::fs::statx(&entry, "exe", flags, StatxFlags::MNT_ID).ok()?;
    (found.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(found.stx_mnt_id)
}

fn has_mount(pid: u32, mount: u64) -> bool {
    let text = ProcDir::open(pid)
        .ok()
        .and_then(|it| it.read("mountinfo").ok());
    text.is_some_and(|text| ids(&text).any(|id| id == mount))
}

/// The first number of each line of `/proc/PID/mountinfo`.
fn ids(mountinfo: &[u8]) -> impl Iterator<Item = u64> {
    let id = |line: &[u8]| {
        let number = line.split(|byte| *byte == b' ').next()?;
        str::from_utf8(number).ok()?.parse().ok()
    };
    mountinfo.split(|byte| *byte == b'\n').filter_map(id)
}

#[cfg(test)]
mod tests {
    use std::process;

    use super::{ids, is_from_outside, kin, share_pid_namespace};

    #[test]
    fn a_child_is_kin_and_its_program_is_its_parents() {
        let mut child = process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("a child");
        let (own, pid) = (process::id(), child.id());
        let found = kin(pid).expect("it runs");
        assert_eq!((found.pid, found.parent), (pid, own));
        assert_eq!(found.session, kin(own).expect("this process").session);
        assert!(share_pid_namespace(pid, own));
        assert!(is_from_outside(pid, own), "no mount namespace of its own");
        child.kill().expect("its end");
        child.wait().expect("its end");
        assert!(kin(pid).is_err());
        assert!(!is_from_outside(pid, own) && !share_pid_namespace(pid, own));
    }

    #[test]
    fn mounts_are_told_by_their_numbers() {
        let text = b"22 1 0:21 / /a rw - proc proc rw\n4294967300 22 0:6 / / rw\n\nx";
        assert_eq!(ids(text).collect::<Vec<_>>(), [22, 4294967300]);
    }
}
