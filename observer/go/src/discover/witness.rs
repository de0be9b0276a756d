//! What a process tells of its cgroup: whoever else is in the cgroup is in the
//! same container, also one that is gone before it can be looked at.

use super::{
    Container, cgroup,
    hierarchy::{self, Cgroup},
    proc_dir::ProcDir,
};

/// How many processes of a cgroup are asked.
const MOST_ASKED: usize = 16;

/// What a process tells of a cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// The cgroup's number in the unified hierarchy.
    pub cgroup: u64,
    /// The container that the process is in.
    pub container: Option<Container>,
    /// Whether every process of the cgroup is in that container. Where cgroup
    /// v1 is in use too, processes of several containers may share a cgroup of
    /// the unified hierarchy; and where no cgroup can be opened by its number,
    /// the process may have come from another cgroup.
    pub sure: bool,
}

/// Asks a process that was in this cgroup a moment ago. `None` where it is gone,
/// or has moved to a cgroup whose number cannot be told.
pub fn witness(pid: u32, cgroup: u64) -> Option<Witness> {
    let groups = ProcDir::open(pid).ok()?.read("cgroup").ok()?;
    let groups = String::from_utf8_lossy(&groups);
    let path = cgroup::unified(&groups)?;
    let of = |cgroup, sure| {
        Some(Witness {
            cgroup,
            container: cgroup::container(&groups),
            sure: sure && cgroup::is_unified_only(&groups),
        })
    };
    if let Some(number) = hierarchy::id(path) {
        return of(number, true);
    }
    // It was there before its cgroup was read: if it is there now, it was in between.
    match Cgroup::open(cgroup) {
        Ok(Some(there)) => match there.processes() {
            Ok(pids) if pids.contains(&pid) => of(cgroup, true),
            Ok(_) => None,
            // A cgroup of threads has no such list.
            Err(_) => of(cgroup, false),
        },
        Ok(None) => None,
        Err(_) => of(cgroup, false),
    }
}

/// Asks the processes that are in a cgroup now, one after the other.
pub fn witnesses(cgroup: u64) -> impl Iterator<Item = Witness> {
    let there = Cgroup::open(cgroup).ok().flatten();
    let pids = there.and_then(|there| there.processes().ok());
    pids.unwrap_or_default()
        .into_iter()
        .take(MOST_ASKED)
        .filter_map(move |pid| witness(pid, cgroup))
        .filter(move |witness| witness.cgroup == cgroup)
}
