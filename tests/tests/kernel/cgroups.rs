//! An observer in a cgroup namespace of its own, as a pod has one on cgroup v2.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use observer_tests::{
    Observer,
    observer::ATTACH,
    paths::{self, GO, fixture},
    short::Family,
    wait,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A mount of the unified hierarchy, and a cgroup in it that others lie below.
/// Both are gone when this is dropped.
pub(crate) struct Hierarchy {
    mount: TempDir,
    name: String,
}

impl Hierarchy {
    pub(crate) fn mount() -> Self {
        let mount = tempfile::tempdir().expect("a directory");
        run(Command::new("mount")
            .args(["-t", "cgroup2", "none"])
            .arg(mount.path()));
        let name = mount.path().file_name().expect("its name");
        let name = name.to_string_lossy().into_owned();
        Self { mount, name }
    }

    fn top(&self) -> PathBuf {
        self.mount.path().join(&self.name)
    }

    /// Makes a cgroup, with those above it.
    pub(crate) fn make(&self, path: &str) -> PathBuf {
        let directory = self.top().join(path);
        fs::create_dir_all(&directory).expect("a cgroup");
        directory
    }
}

impl Drop for Hierarchy {
    fn drop(&mut self) {
        // Whoever was in them has just been killed.
        wait::comes_true(Duration::from_secs(5), || remove(&self.top()).is_ok());
        run(Command::new("umount").arg(self.mount.path()));
    }
}

fn remove(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(directory)
}

fn run(command: &mut Command) {
    let status = command.status();
    let status = status.unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(status.success(), "{command:?}: {status}");
}

/// A command that becomes a program, with its arguments to follow, in a cgroup.
pub(crate) fn within(cgroup: &Path, program: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""])
        .arg(cgroup)
        .args(program);
    command
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn who_is_gone_before_a_look_is_in_the_container_of_its_cgroup() {
    const CHILDREN: usize = 40;
    let hierarchy = Hierarchy::mount();
    let id = "5a".repeat(32);
    let app = hierarchy.make(&format!(
        "kubepods/besteffort/pod11111111-2222-3333-4444-555555555555/{id}"
    ));
    let own = hierarchy.make(&format!(
        "kubepods/besteffort/pod99999999-2222-3333-4444-555555555555/{}",
        "6b".repeat(32)
    ));
    // Its file has probes throughout.
    let standing = Family::standing();
    // As a pod's: its root is the observer's own cgroup, and nothing above can be seen.
    let pod = format!(
        "umount {0} && mount -t cgroup2 none {0} && exec {1}",
        hierarchy.mount.path().display(),
        "\"$0\" \"$@\""
    );
    let program = paths::observer();
    let program = program.to_str().expect("a plain path");
    let observer = Observer::start_as(within(
        &own,
        &["unshare", "-C", "-m", "sh", "-c", &pod, program],
    ));
    observer.attached(standing.pid());
    // What keeps a container alive need not be a Go program.
    let keeper = within(&app, &["sleep", "1h"]).spawn().expect("a shell");
    let keeper = Killed(keeper);
    wait::until("a process in the container", ATTACH, || {
        let comm = fs::read_to_string(format!("/proc/{}/comm", keeper.0.id()));
        (comm.ok()?.trim() == "sleep").then_some(())
    });
    observer.settle();

    let signal = |signal| {
        let pid = Pid::from_raw(observer.pid().cast_signed()).expect("a process id");
        kill_process(pid, signal).expect("a signal to the observer");
    };
    signal(Signal::STOP);
    let short = fixture("short", GO, "default");
    let short = short.to_str().expect("a plain path");
    for _ in 0..CHILDREN {
        run(within(&app, &[short, "1", "0s"]).stdout(Stdio::null()));
    }
    signal(Signal::CONT);

    let mut ended = Vec::new();
    let all = wait::comes_true(Duration::from_secs(60), || {
        ended = observer.processes();
        ended.retain(|p| p.ended && p.process.starts_with("short"));
        ended.len() >= CHILDREN
    });
    assert!(all, "{} of {CHILDREN} were seen", ended.len());
    let told = |p: &&observer_tests::Process| p.container.as_ref().is_some_and(|c| c.id == id);
    let told = ended.iter().filter(told).count();
    assert_eq!(told, CHILDREN, "are in their container");
    let container = ended[0].container.as_ref().expect("its container");
    assert_eq!(
        container.pod_uid.as_deref(),
        Some("11111111-2222-3333-4444-555555555555")
    );
}
