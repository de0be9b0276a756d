//! What runs, in a table for people and in lines for scripts.

use anyhow::{Result, bail};

use super::{
    build,
    component::Component,
    components, kubelet,
    layout::{API_URL, Cluster, Node},
    process, prometheus, up,
};

/// A line of the table.
#[derive(Debug)]
struct Row {
    name: String,
    pid: String,
    health: String,
    advice: String,
}

impl Row {
    fn new(name: &str, pid: Option<i32>, health: &str, advice: &str) -> Self {
        Self {
            name: name.to_owned(),
            pid: pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            health: health.to_owned(),
            advice: advice.to_owned(),
        }
    }
}

/// `cluster status`: an error if anything is not as it should be.
pub(super) fn show(cluster: &Cluster<'_>) -> Result<()> {
    if !components::any_runs(cluster) {
        println!("no cluster runs in {}", cluster.dir.display());
        bail!("no component runs: start the cluster with `cargo xtask cluster up`");
    }
    let mut rows = vec![Row {
        pid: "PID".to_owned(),
        ..Row::new("COMPONENT", None, "HEALTH", "WHAT TO DO")
    }];
    let mut well = true;
    for mut one in components::all(cluster) {
        let row = component_row(cluster, &mut one);
        well &= row.advice.is_empty();
        rows.push(row);
    }
    let ready = up::ready_nodes(cluster)?;
    for node in Node::ALL.map(Node::name) {
        let is_ready = ready.iter().any(|name| name == node);
        well &= is_ready;
        rows.push(if is_ready {
            Row::new(node, None, "Ready", "")
        } else {
            let advice = format!("cargo xtask cluster kubectl describe node {node}");
            Row::new(node, None, "not Ready", &advice)
        });
    }
    print(&rows);
    if !well {
        bail!("not everything runs: `cargo xtask cluster up` starts what does not");
    }
    Ok(())
}

fn component_row(cluster: &Cluster<'_>, one: &mut Component) -> Row {
    let name = one.name.clone();
    match process::pid(cluster, &name) {
        None if process::is_known(cluster, &name) => Row::new(
            &name,
            None,
            "has ended",
            &format!("see {}, then cluster up", cluster.log(&name).display()),
        ),
        None => Row::new(
            &name,
            None,
            "stopped",
            &format!("cargo xtask cluster start {name}"),
        ),
        pid => match one.check() {
            Ok(()) => Row::new(&name, pid, "healthy", ""),
            Err(reason) => Row::new(
                &name,
                pid,
                &reason,
                &format!("see {}", cluster.log(&name).display()),
            ),
        },
    }
}

fn print(rows: &[Row]) {
    let width = |field: fn(&Row) -> &str| rows.iter().map(|row| field(row).chars().count()).max();
    let name = width(|row| &row.name).unwrap_or(0);
    let pid = width(|row| &row.pid).unwrap_or(0);
    let health = width(|row| &row.health).unwrap_or(0);
    for row in rows {
        let line = format!(
            "{:<name$}  {:>pid$}  {:<health$}  {}",
            row.name, row.pid, row.health, row.advice
        );
        println!("{}", line.trim_end());
    }
}

/// `cluster env`: `KEY=VALUE` lines for tests and `eval`.
pub(super) fn environment(cluster: &Cluster<'_>) {
    let mut lines = vec![
        ("CLUSTER_DIR".to_owned(), cluster.dir.display().to_string()),
        (
            "KUBECONFIG".to_owned(),
            cluster.kubeconfig().display().to_string(),
        ),
        (
            "KUBECTL".to_owned(),
            cluster.binary("kubectl").display().to_string(),
        ),
        ("KUBERNETES_URL".to_owned(), API_URL.to_owned()),
        (
            "KUBERNETES_BIN".to_owned(),
            build::directory(cluster.workspace).display().to_string(),
        ),
        ("PROMETHEUS_URL".to_owned(), prometheus::url()),
        (
            "NODES".to_owned(),
            // A comma, so that the line can be evaluated as it is.
            Node::ALL.map(Node::name).join(","),
        ),
    ];
    for node in Node::ALL {
        let key = |what: &str| format!("{}_{what}", node.name().to_uppercase().replace('-', "_"));
        lines.push((key("ADDRESS"), node.address().to_owned()));
        lines.push((key("CONTAINERD"), cluster.containerd_socket(node)));
        lines.push((key("CGROUP"), node.cgroup()));
        lines.push((key("MANIFESTS"), kubelet::manifests(cluster, node)));
        let namespace = node.namespace().map_or_else(
            || "/proc/1/ns/net".to_owned(),
            |name| super::layout::namespace_path(name).display().to_string(),
        );
        lines.push((key("NETWORK"), namespace));
    }
    for one in components::all(cluster) {
        let key = one.name.to_uppercase().replace('-', "_");
        let log = cluster.log(&one.name).display().to_string();
        lines.push((format!("LOG_{key}"), log));
        if let Some(pid) = process::pid(cluster, &one.name) {
            lines.push((format!("PID_{key}"), pid.to_string()));
        }
    }
    for (key, value) in lines {
        println!("{key}={value}");
    }
}
