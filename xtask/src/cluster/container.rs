//! node-b as a container, the way kind makes nodes: what runs on it is in a pid
//! namespace of its own, with a /proc and mounts of its own.
//!
//! The pid files hold the machine's numbers all the same, so every component is
//! found and stopped alike.

use std::{
    fs::{self, File},
    io,
    os::fd::AsFd as _,
    process::{Child, Command},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use super::{
    component::Component,
    layout::{Cluster, Node},
    process,
};

/// Told a pid file, succeeds when the child of the process in it sleeps.
const IS_UP: &str = "read -r outer _ <\"$0\" && \
    set -- $(cat \"/proc/$outer/task/$outer/children\") && \
    read -r name <\"/proc/$1/comm\" && [ \"$name\" = sleep ]";

/// The first process of each such node. The end of it is the end of everything
/// in its namespace.
pub(super) fn components(cluster: &Cluster<'_>) -> Vec<Component> {
    let nodes = Node::ALL.into_iter().filter(|node| node.is_container());
    nodes.map(|node| component(cluster, node)).collect()
}

fn component(cluster: &Cluster<'_>, node: Node) -> Component {
    let mut command = cluster.workspace.command("unshare");
    // Mounts that the machine gets later, of a network's name for example, come
    // in; none of the node's go out.
    command
        .args(["--pid", "--fork", "--kill-child"])
        .args(["--mount", "--propagation=slave", "--mount-proc"])
        // Whoever loses its parent is this one's, which lets it go unasked.
        .args(["sh", "-c", "trap '' CHLD; exec sleep infinity"]);
    // Before it has become `sleep` there is no /proc yet.
    let mut health = cluster.workspace.command("sh");
    health
        .args(["-c", IS_UP])
        .arg(process::pid_file(cluster, &name(node)));
    Component {
        // It has nothing to do at its end, and takes SIGTERM for the node's.
        patience: Duration::ZERO,
        ..Component::new(name(node), command, health)
    }
}

fn name(node: Node) -> String {
    format!("init-{}", node.name())
}

/// Starts a program on a node.
pub(super) fn spawn(cluster: &Cluster<'_>, node: Node, command: &mut Command) -> Result<Child> {
    let pid = first(cluster, node)
        .with_context(|| format!("{} does not run, in which it is to start", name(node)))?;
    let open = |kind: &str| {
        let path = format!("/proc/{pid}/ns/{kind}");
        File::open(&path).with_context(|| format!("cannot open {path}"))
    };
    let (mounts, pids) = (open("mnt")?, open("pid")?);
    // Only this thread goes there, and ends.
    let spawned = thread::scope(|scope| {
        let start = || -> io::Result<Child> {
            // SAFETY: of what threads share it parts with the working directory
            // and the root only, which nothing in this program relies on.
            unsafe { unshare_unsafe(UnshareFlags::FS)? };
            move_into_link_name_space(mounts.as_fd(), Some(LinkNameSpaceType::Mount))?;
            move_into_link_name_space(pids.as_fd(), Some(LinkNameSpaceType::ProcessID))?;
            command.spawn()
        };
        scope.spawn(start).join()
    });
    let spawned = spawned.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    spawned.with_context(|| format!("cannot start it on {}", node.name()))
}

/// The first process of a node's namespace, by the machine's number.
fn first(cluster: &Cluster<'_>, node: Node) -> Option<i32> {
    let outer = process::pid(cluster, &name(node))?;
    let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}
