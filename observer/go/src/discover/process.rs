//! One look at one process.

use std::hash::{DefaultHasher, Hasher as _};

use rustix::io::Errno;
use serde::Serialize;

use super::{
    DiscoverError, cgroup,
    container::{Container, Origin},
    executable::{self, Executable},
    hierarchy,
    label::label,
    proc_dir::{ProcDir, ended, first_thread_ended, is_kernel_thread},
};

/// `PF_FORKNOEXEC`, which the kernel sets at a fork and takes away at an exec.
const FORK_NO_EXEC: u32 = 0x40;

/// A process as /proc shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Process {
    /// Process id in the observer's pid namespace.
    pub pid: u32,
    /// Its id in its own pid namespace (the last of `NSpid`).
    pub inner_pid: u32,
    /// Start time in clock ticks since boot: with the pid, its identity.
    pub start_ticks: u64,
    /// What it runs.
    pub executable: Executable,
    /// The task's name (`/proc/PID/comm`).
    pub comm: String,
    /// The container it runs in.
    pub container: Option<Container>,
    /// UID of the Kubernetes pod in whose cgroup it is, in a container of it or not.
    pub pod_uid: Option<String>,
    /// How it came into its container, where it is in one.
    pub origin: Option<Origin>,
    /// Its cgroup in the unified hierarchy as the kernel numbers it, where there is one.
    pub cgroup_id: Option<u64>,
    /// Whether it has run no program of its own since it was forked: a child on
    /// its way to an exec. What a container's runtime does in a container before
    /// the container's program (`runc init`) is such a process.
    pub forked: bool,
}

impl Process {
    /// What to call it: the executable's base name, the task's name where there
    /// is none. Both are in a user's hands: at most 64 characters, no control
    /// characters, valid UTF-8.
    pub fn name(&self) -> String {
        let name = self.executable.base_name();
        if name.is_empty() {
            label(&self.comm)
        } else {
            name
        }
    }
}

/// Looks at process `pid` once. All that is returned belongs to one process,
/// also where the id is given to another one meanwhile; but a process may begin
/// another program during the look, and an exec event is then on its way.
pub fn process(pid: u32) -> Result<Process, DiscoverError> {
    let entry = ProcDir::open(pid)?;
    let stat = entry.stat()?;
    if is_kernel_thread(&stat) {
        return Err(DiscoverError::NotAProgram(pid));
    }
    if ended(&stat) {
        return Err(DiscoverError::Zombie(pid));
    }
    let thread = if first_thread_ended(&stat) {
        entry.living_thread()?
    } else {
        None
    };
    let task = thread.as_ref().unwrap_or(&entry);
    let executable = match executable::of_entry(task) {
        Ok(executable) => executable,
        // It ended since `stat` was read: let that decide whether it is a zombie.
        Err(Errno::NOENT) => {
            let over = ended(&entry.stat()?);
            return Err(if over {
                DiscoverError::Zombie(pid)
            } else {
                DiscoverError::Gone(pid)
            });
        }
        Err(errno) => return Err(DiscoverError::of(pid, "exe", errno)),
    };
    let groups = cgroups(task)?;
    let status = entry
        .read("status")
        .map_err(|errno| entry.error("status", errno))?;
    let leader = field(&status, "Tgid:").unwrap_or(pid);
    if leader != pid {
        return Err(DiscoverError::Thread { pid, leader });
    }
    Ok(Process {
        pid,
        // A kernel without pid namespaces has no `NSpid`.
        inner_pid: field(&status, "NSpid:").unwrap_or(pid),
        start_ticks: stat.starttime,
        executable,
        comm: stat.comm,
        container: cgroup::container(&groups),
        pod_uid: cgroup::pod_uid(&groups),
        // One look at one process does not tell.
        origin: None,
        cgroup_id: cgroup::unified(&groups).and_then(hierarchy::id),
        forked: stat.flags & FORK_NO_EXEC != 0,
    })
}

/// Where a process is, and no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// The container.
    pub container: Option<Container>,
    /// UID of the Kubernetes pod, whether in a container of it or not.
    pub pod_uid: Option<String>,
}

/// Looks only at where process `pid` is: the cheap step before a whole look.
pub fn membership(pid: u32) -> Result<Membership, DiscoverError> {
    let entry = ProcDir::open(pid)?;
    let stat = entry.stat()?;
    let thread = if first_thread_ended(&stat) {
        entry.living_thread()?
    } else {
        None
    };
    let groups = cgroups(thread.as_ref().unwrap_or(&entry))?;
    // Without cgroups none is told of; that the process ended is another thing.
    if groups.is_empty() {
        entry.stat()?;
    }
    Ok(Membership {
        container: cgroup::container(&groups),
        pod_uid: cgroup::pod_uid(&groups),
    })
}

pub(super) fn cgroups(task: &ProcDir) -> Result<String, DiscoverError> {
    match task.read("cgroup") {
        Ok(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
        // A kernel without cgroups, or a process that is gone: what is read next tells.
        Err(Errno::NOENT) => Ok(String::new()),
        Err(errno) => Err(task.error("cgroup", errno)),
    }
}

/// Whether process `pid` is still the one that started then. A process whose
/// threads have all ended is not, though its parent may not have collected it.
pub fn alive(pid: u32, start_ticks: u64) -> bool {
    ProcDir::open(pid)
        .and_then(|entry| entry.stat())
        .is_ok_and(|stat| stat.starttime == start_ticks && !ended(&stat))
}

/// What tells the processes of one cgroup from all others, in whatever hierarchies
/// there are; 0 where nothing does.
pub fn cgroup_key(pid: u32) -> u64 {
    let text = ProcDir::open(pid).map(|entry| entry.read("cgroup"));
    let Ok(Ok(text)) = text else { return 0 };
    let mut hasher = DefaultHasher::new();
    hasher.write(&text);
    hasher.finish()
}

/// The user that process `pid` acts as. Not the owner of its entry in /proc: a process
/// has that made root's at will (`PR_SET_DUMPABLE`).
pub fn user(pid: u32) -> Option<u32> {
    let status = ProcDir::open(pid).ok()?.read("status").ok()?;
    field(&status, "Uid:")
}

/// Whether a process, not a thread, has this id and runs still.
pub fn exists(pid: u32) -> bool {
    ProcDir::open(pid).is_ok_and(|entry| {
        let leads = |status: Vec<u8>| field(&status, "Tgid:") == Some(pid);
        entry.read("status").is_ok_and(leads) && entry.stat().is_ok_and(|stat| !ended(&stat))
    })
}

/// Whether the process has run no program of its own since it was forked.
pub fn has_only_forked(pid: u32) -> bool {
    ProcDir::open(pid)
        .and_then(|entry| entry.stat())
        .is_ok_and(|stat| stat.flags & FORK_NO_EXEC != 0)
}

/// Who traces a process or one of its threads, as a debugger does. One above the
/// observer's pid namespace has no id here, and cannot be told.
pub(super) fn tracer(pid: u32) -> Option<u32> {
    let entry = ProcDir::open(pid).ok()?;
    let threads = entry.threads().ok()?;
    let tracer = |tid| {
        let status = entry.read(&format!("task/{tid}/status")).ok()?;
        field(&status, "TracerPid:").filter(|tracer| *tracer != 0)
    };
    threads.into_iter().find_map(tracer)
}

/// The last number of a line of `/proc/PID/status`. procfs would read all
/// sixty lines into a map, and refuse the whole for one that it does not know.
pub(super) fn field(status: &[u8], name: &str) -> Option<u32> {
    let line = status
        .split(|byte| *byte == b'\n')
        .find_map(|l| l.strip_prefix(name.as_bytes()))?;
    str::from_utf8(line)
        .ok()?
        .split_ascii_whitespace()
        .next_back()?
        .parse()
        .ok()
}
