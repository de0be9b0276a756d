//! node-b's network namespace, the cable between both nodes, and the way of
//! their pods to each other.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};

use super::layout::{Cluster, Node, POD_RANGE, namespace_path};
use crate::ui::Step;

const FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
/// What the machine had before.
const SAVED: &str = "ip_forward";

/// Makes what is missing.
pub(super) fn create(cluster: &Cluster<'_>, step: &Step) -> Result<()> {
    claim(cluster)?;
    let (a, b) = (Node::A, Node::B);
    let namespace = b.namespace().context("node-b has no namespace")?;
    let run = |line: &str| {
        let mut command = cluster.workspace.command("ip");
        step.run(command.args(line.split(' ')))
    };
    if !namespace_path(namespace).exists() {
        run(&format!("netns add {namespace}"))?;
    }
    if !has_interface(a.interface()) {
        let (here, there) = (a.interface(), b.interface());
        run(&format!(
            "link add {here} type veth peer name {there} netns {namespace}"
        ))?;
        run(&format!("address add {}/24 dev {here}", a.address()))?;
        run(&format!("link set {here} up"))?;
        run(&format!(
            "-n {namespace} address add {}/24 dev {there}",
            b.address()
        ))?;
        run(&format!("-n {namespace} link set {there} up"))?;
        run(&format!("-n {namespace} link set lo up"))?;
        run(&format!(
            "-n {namespace} route add default via {}",
            a.address()
        ))?;
        run(&format!("route add {} via {}", b.pod_range(), b.address()))?;
    }
    forward(cluster, step)?;
    open_firewall(cluster, step)
}

/// Keeps what the machine had before, which also says whose network it is.
fn claim(cluster: &Cluster<'_>) -> Result<()> {
    if is_ours(cluster) {
        return Ok(());
    }
    ensure!(
        !has_interface(Node::A.interface()),
        "the interface {} is another cluster's: stop that one with \
         `cargo xtask cluster --dir ITS_FOLDER down`",
        Node::A.interface()
    );
    let before = fs::read_to_string(FORWARD).with_context(|| format!("cannot read {FORWARD}"))?;
    cluster.write(SAVED, &before)
}

/// True from the first thing that `up` does to the last that `down` does.
pub(super) fn is_ours(cluster: &Cluster<'_>) -> bool {
    cluster.path(SAVED).exists()
}

fn has_interface(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

/// Lets both nodes route.
fn forward(cluster: &Cluster<'_>, step: &Step) -> Result<()> {
    fs::write(FORWARD, "1").with_context(|| format!("cannot write {FORWARD}"))?;
    let mut command = cluster.on(Node::B, "sh");
    step.run(command.args(["-c", &format!("echo 1 > {FORWARD}")]))
}

/// Docker and firewalls drop what is forwarded unless someone wants it.
fn open_firewall(cluster: &Cluster<'_>, step: &Step) -> Result<()> {
    if !drops_forwarded(cluster) {
        return Ok(());
    }
    for rule in rules() {
        if iptables(cluster, "-C", &rule).output()?.status.success() {
            continue;
        }
        step.run(&mut iptables(cluster, "-I", &rule))?;
    }
    Ok(())
}

fn drops_forwarded(cluster: &Cluster<'_>) -> bool {
    let mut command = cluster.workspace.command("iptables");
    command.args(["-w", "-S", "FORWARD"]);
    command.output().is_ok_and(|output| {
        output.status.success()
            && !String::from_utf8_lossy(&output.stdout).starts_with("-P FORWARD ACCEPT")
    })
}

fn rules() -> [String; 2] {
    ["-s", "-d"].map(|side| {
        format!("FORWARD {side} {POD_RANGE} -m comment --comment go-observer-cluster -j ACCEPT")
    })
}

fn iptables(cluster: &Cluster<'_>, action: &str, rule: &str) -> std::process::Command {
    let mut command = cluster.workspace.command("iptables");
    command.args(["-w", action]).args(rule.split(' '));
    command
}

/// Takes all of it away again; no process may be left in node-b's namespace.
pub(super) fn remove(cluster: &Cluster<'_>, step: &Step) -> Result<()> {
    if drops_forwarded(cluster) {
        for rule in rules() {
            while iptables(cluster, "-D", &rule).output()?.status.success() {}
        }
    }
    // kube-proxy leaves its tables; those in node-b go with the namespace.
    for family in ["ip", "ip6"] {
        let table = |action| {
            let mut command = cluster.workspace.command("nft");
            command.args([action, "table", family, "kube-proxy"]);
            command
        };
        if table("list").output()?.status.success() {
            step.run(&mut table("delete"))?;
        }
    }
    cables(cluster, step)?;
    let here = Node::A.interface();
    if has_interface(here) {
        let mut command = cluster.workspace.command("ip");
        step.run(command.args(["link", "delete", here]))?;
    }
    for namespace in Node::ALL.into_iter().filter_map(Node::namespace) {
        if namespace_path(namespace).exists() {
            let mut command = cluster.workspace.command("ip");
            step.run(command.args(["netns", "delete", namespace]))?;
        }
    }
    namespaces(cluster, step)?;
    if let Ok(before) = fs::read_to_string(cluster.path(SAVED)) {
        fs::write(FORWARD, before).with_context(|| format!("cannot write {FORWARD}"))?;
    }
    Ok(())
}

/// Removes this node's ends of its pods' cables. They go with the pods'
/// namespaces too, but when the kernel gets to it, and not while anybody's copy
/// of the mounts has one of those.
fn cables(cluster: &Cluster<'_>, step: &Step) -> Result<()> {
    let mut command = cluster.workspace.command("ip");
    let args = ["-json", "-4", "address", "show", "type", "veth", "to"];
    let output = command.args(args).arg(Node::A.pod_range()).output()?;
    ensure!(
        output.status.success(),
        "cannot list the pods' cables: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    for name in names(&output.stdout)? {
        let mut command = cluster.workspace.command("ip");
        let deleted = step.run(command.args(["link", "delete", &name]));
        // The kernel may have been faster.
        if has_interface(&name) {
            deleted?;
        }
    }
    Ok(())
}

/// Of the interfaces that `ip -json address show` lists; it lists those that
/// its filter left out as empty.
fn names(json: &[u8]) -> Result<Vec<String>> {
    if json.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let list: Vec<serde_json::Value> =
        serde_json::from_slice(json).context("`ip -json` printed no list")?;
    let names = list.iter().filter_map(|one| one["ifname"].as_str());
    Ok(names.map(str::to_owned).collect())
}

/// `ip netns` mounts the directory of the names on itself; without a name it
/// serves nobody.
fn namespaces(cluster: &Cluster<'_>, step: &Step) -> Result<()> {
    let directory = namespace_path("");
    let is_empty = fs::read_dir(&directory).is_ok_and(|mut names| names.next().is_none());
    if !is_empty {
        return Ok(());
    }
    let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read the mounts")?;
    if mounts
        .lines()
        .any(|line| line.split(' ').nth(1) == Some("/run/netns"))
    {
        let mut command = cluster.workspace.command("umount");
        step.run(command.arg("/run/netns"))?;
    }
    fs::remove_dir(&directory).ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn interfaces_are_named_and_what_the_filter_left_out_is_not() {
        let json =
            br#"[{},{"ifindex":7,"ifname":"veth1a2b","addr_info":[{"local":"10.202.0.1"}]},{}]"#;
        assert_eq!(names(json).expect("a list"), ["veth1a2b"]);
        assert!(names(b"\n").expect("nothing").is_empty());
        assert!(names(b"{").is_err());
    }
}
