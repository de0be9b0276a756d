//! Programs in cgroups and namespaces of their own, as a container runtime
//! starts them.

use std::{
    env, fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, id},
};

use rustix::{
    mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount},
    thread::{UnshareFlags, unshare_unsafe},
};

const ROOT: &str = "/sys/fs/cgroup";

/// A command that runs a program in a cgroup.
pub(crate) fn within(cgroup: &str, program: &Path) -> Command {
    start("within", cgroup, program)
}

/// A command that runs a program in a cgroup which is, to the program, the root
/// of all; with the hierarchy mounted as a pod has it, or not at all.
pub(crate) fn inside(cgroup: &str, mounted: bool, program: &Path) -> Command {
    start(if mounted { "pod" } else { "unmounted" }, cgroup, program)
}

fn start(how: &str, cgroup: &str, program: &Path) -> Command {
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.args(["exec", how, cgroup]).arg(program);
    command
}

/// `exec within|pod|unmounted CGROUP PROGRAM [ARGUMENT …]`: becomes the program
/// there.
pub(crate) fn become_program(arguments: &[String]) {
    let [how, cgroup, program, rest @ ..] = arguments else {
        panic!("expected exec HOW CGROUP PROGRAM [ARGUMENT …]");
    };
    let directory = Path::new(ROOT).join(cgroup);
    fs::create_dir_all(&directory).expect("the cgroup");
    fs::write(directory.join("cgroup.procs"), id().to_string()).expect("a place in the cgroup");
    if how != "within" {
        // SAFETY: this process has one thread, no file table is shared, and what
        // it has open stays open.
        unsafe { unshare_unsafe(UnshareFlags::NEWCGROUP | UnshareFlags::NEWNS) }
            .expect("namespaces");
        // The mounts below must not show in the guest.
        mount_change(
            "/",
            MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
        )
        .expect("mounts of its own");
        unmount(ROOT, UnmountFlags::DETACH).expect("no hierarchy of the host's");
        if how == "pod" {
            mount("cgroup", ROOT, "cgroup2", MountFlags::empty(), None).expect("the hierarchy");
        }
    }
    let error = Command::new(program).args(rest).exec();
    panic!("{program}: {error}");
}
