//! The nodes' cgroups: both have their pods in the machine's hierarchies, so
//! each gets a root of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{
    layout::{CGROUP, Node},
    process::Process,
};

/// How often to look again for processes that were started meanwhile.
const ROUNDS: usize = 50;
/// How long the kernel may take to let go of a cgroup whose processes end.
const RELEASE: Duration = Duration::from_secs(30);

/// Makes both roots in every hierarchy; the kubelet wants them to be there.
pub(super) fn create() -> Result<()> {
    for (mount, unified) in hierarchies()? {
        let base = mount.join(CGROUP);
        if unified {
            delegate(&mount);
        }
        for node in Node::ALL {
            let path = base.join(node.name());
            fs::create_dir_all(&path)
                .with_context(|| format!("cannot create the cgroup {}", path.display()))?;
            // An empty set of CPUs takes no process.
            for name in ["cpuset.cpus", "cpuset.mems"] {
                inherit(&mount, &base, name)?;
                inherit(&base, &path, name)?;
            }
        }
        if unified {
            delegate(&base);
        }
    }
    Ok(())
}

/// Gives children the controllers that the parent has. One that is taken by
/// the other version of cgroups is refused.
fn delegate(cgroup: &Path) {
    let controllers = fs::read_to_string(cgroup.join("cgroup.controllers")).unwrap_or_default();
    for controller in controllers.split_whitespace() {
        fs::write(
            cgroup.join("cgroup.subtree_control"),
            format!("+{controller}"),
        )
        .ok();
    }
}

fn inherit(parent: &Path, child: &Path, name: &str) -> Result<()> {
    let (from, to) = (parent.join(name), child.join(name));
    let (Ok(theirs), Ok(ours)) = (fs::read_to_string(from), fs::read_to_string(&to)) else {
        return Ok(());
    };
    if ours.trim().is_empty() && !theirs.trim().is_empty() {
        fs::write(&to, theirs).with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(())
}

/// Ends every process of every pod.
pub(super) fn kill() -> Result<()> {
    for _ in 0..ROUNDS {
        let processes = processes()?;
        if processes.is_empty() {
            return Ok(());
        }
        for process in processes {
            process.kill()?;
        }
        thread::sleep(Duration::from_millis(20));
    }
    bail!("the pods' cgroups {CGROUP} still have processes: something starts new ones")
}

fn processes() -> Result<Vec<Process>> {
    let mut found = Vec::new();
    for (mount, _) in hierarchies()? {
        for cgroup in below(&mount.join(CGROUP)) {
            let pids = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
            found.extend(
                pids.lines()
                    .filter_map(|pid| Process::of(pid.parse().ok()?)),
            );
        }
    }
    Ok(found)
}

/// Removes both roots and what is below.
pub(super) fn remove() -> Result<()> {
    for (mount, _) in hierarchies()? {
        for cgroup in below(&mount.join(CGROUP)) {
            remove_one(&cgroup)?;
        }
    }
    Ok(())
}

/// A cgroup stays busy after its last process was listed: one that ends is
/// listed no more, and an observer that was killed ends only once the kernel
/// has taken its probes off.
fn remove_one(cgroup: &Path) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < RELEASE {
        if fs::remove_dir(cgroup).is_ok() || !cgroup.exists() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(20));
    }
    fs::remove_dir(cgroup).with_context(|| format!("cannot remove the cgroup {}", cgroup.display()))
}

/// A cgroup and all below it, children first.
fn below(cgroup: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if !cgroup.is_dir() {
        return found;
    }
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(below(&entry.path()));
        }
    }
    found.push(cgroup.to_path_buf());
    found
}

/// Where the hierarchies are mounted, and whether it is version 2.
fn hierarchies() -> Result<Vec<(PathBuf, bool)>> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read the mounts")?;
    Ok(parse(&mounts))
}

fn parse(mounts: &str) -> Vec<(PathBuf, bool)> {
    mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (path, kind) = (words.next()?, words.next()?);
            let ours = path.starts_with("/sys/fs/cgroup");
            let unified = kind == "cgroup2";
            (ours && (unified || kind == "cgroup")).then(|| (PathBuf::from(path), unified))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn both_versions_are_found() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let found = parse(mounts);
        assert_eq!(found[0], ("/sys/fs/cgroup/cpu".into(), false));
        assert_eq!(found[1], ("/sys/fs/cgroup/unified".into(), true));
        assert_eq!(found.len(), 2);
    }
}
