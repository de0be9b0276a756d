//! Starts the cluster, or what of it does not run.

use std::{
    fs,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{
    build, certificates, cgroups,
    component::Component,
    components, containerd, images, kube_state_metrics, kubeconfig, kubelet,
    layout::{Cluster, Node},
    metrics_server, network, process, prometheus, proxy, start,
};
use crate::{
    setup,
    ui::{Step, step},
};

/// For a component on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(250);

/// What the API server may do at kubelets.
const ROLES: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: kube-apiserver-kubelet-client }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:kubelet-api-admin" }
subjects: [{ kind: User, name: kube-apiserver-kubelet-client }]
---
"#;

/// Installs and builds what is missing; as an ordinary user too.
pub(super) fn prepare(cluster: &Cluster<'_>) -> Result<()> {
    let workspace = cluster.workspace;
    setup::cluster(workspace)?;
    build::kubernetes(workspace)?;
    build::prometheus(workspace)?;
    if cluster.settings.metrics_server {
        build::metrics_server(workspace)?;
    }
    if cluster.settings.kube_state_metrics {
        build::kube_state_metrics(workspace)?;
    }
    images::build_pause(workspace)
}

/// Starts everything; what runs already is left alone.
pub(super) fn start(cluster: &Cluster<'_>) -> Result<()> {
    let fresh = !components::any_runs(cluster);
    step("files, network, cgroups", |step| {
        if fresh {
            // Those of the last cluster.
            fs::remove_dir_all(cluster.path("logs")).ok();
        }
        network::create(cluster, step)?;
        cluster.write("settings.json", &cluster.settings.text())?;
        cgroups::create()?;
        files(cluster, step)
    })?;
    let mut all = components::all(cluster);
    let mut take = |wanted: &[&str]| -> Vec<Component> {
        let (now, later) = std::mem::take(&mut all)
            .into_iter()
            .partition(|one| wanted.iter().any(|start| one.name.starts_with(start)));
        all = later;
        now
    };
    group("the node that is a container", cluster, take(&["init"]))?;
    // containerd takes seconds, so it starts beside the control plane.
    group(
        "etcd and containerd",
        cluster,
        take(&["etcd", "containerd"]),
    )?;
    group("API server", cluster, take(&["kube-apiserver"]))?;
    step("roles and images", |step| {
        objects(cluster, step)?;
        Node::ALL
            .into_iter()
            .try_for_each(|node| images::import_pause(cluster, step, node))
    })?;
    group(
        "the rest of the control plane, nodes",
        cluster,
        take(&["kube"]),
    )?;
    step("Prometheus", |step| prometheus::configure(cluster, step))?;
    group("Prometheus and extras", cluster, take(&[""]))?;
    ready(cluster)
}

/// `cluster start`: one component.
pub(super) fn start_one(cluster: &Cluster<'_>, name: &str) -> Result<()> {
    let component = components::find(cluster, name)?;
    group(name, cluster, vec![component])
}

fn files(cluster: &Cluster<'_>, step: &Step) -> Result<()> {
    certificates::create(cluster, step)?;
    kubeconfig::write(cluster, step)?;
    for node in Node::ALL {
        containerd::configure(cluster, node)?;
        kubelet::configure(cluster, node)?;
        proxy::configure(cluster, node)?;
    }
    Ok(())
}

fn objects(cluster: &Cluster<'_>, step: &Step) -> Result<()> {
    let mut text = format!("{ROLES}{}", prometheus::ROLES);
    if cluster.settings.metrics_server {
        text.push_str(&metrics_server::objects(cluster, step)?);
    }
    if cluster.settings.kube_state_metrics {
        text.push_str(kube_state_metrics::ROLES);
    }
    cluster.write("bootstrap.yaml", &text)?;
    let mut command = cluster.kubectl();
    command
        .args(["apply", "--filename"])
        .arg(cluster.path("bootstrap.yaml"));
    step.run(&mut command)
}

/// Starts components together and waits until each is healthy.
fn group(title: &str, cluster: &Cluster<'_>, mut components: Vec<Component>) -> Result<()> {
    step(title, |step| {
        let mut started = 0;
        for component in &mut components {
            if process::find(cluster, &component.name).is_none() {
                start::component(cluster, component)?;
                started += 1;
            }
        }
        let start = Instant::now();
        for component in &mut components {
            step.note(format!("waiting for {}", component.name));
            wait(cluster, component, start)?;
        }
        step.note(match started {
            0 => "already there".to_owned(),
            started => format!("{started} started"),
        });
        Ok(())
    })
}

fn wait(cluster: &Cluster<'_>, component: &mut Component, start: Instant) -> Result<()> {
    let name = component.name.clone();
    loop {
        let Err(reason) = component.check() else {
            return Ok(());
        };
        let end = components::log_tail(cluster, &name);
        if process::find(cluster, &name).is_none() {
            bail!("{name} has ended; {end}");
        }
        if start.elapsed() > PATIENCE {
            bail!(
                "{name} is not healthy after {} s ({reason}); {end}",
                PATIENCE.as_secs()
            );
        }
        thread::sleep(POLL);
    }
}

/// Waits until pods can be scheduled to both nodes.
fn ready(cluster: &Cluster<'_>) -> Result<()> {
    step("both nodes ready", |step| {
        let start = Instant::now();
        loop {
            let missing = missing(cluster)?;
            let Some(first) = missing.first() else {
                step.note(Node::ALL.map(Node::name).join(" "));
                return Ok(());
            };
            if start.elapsed() > PATIENCE {
                let log = if first.starts_with("node-") {
                    format!("kubelet-{first}")
                } else {
                    "kube-controller-manager".to_owned()
                };
                bail!(
                    "not ready after {} s: {}; {}",
                    PATIENCE.as_secs(),
                    missing.join(", "),
                    components::log_tail(cluster, &log)
                );
            }
            step.note(format!("waiting for {}", missing.join(", ")));
            thread::sleep(POLL);
        }
    })
}

/// Nodes that are not ready, and the account that pods run as by default.
fn missing(cluster: &Cluster<'_>) -> Result<Vec<String>> {
    let mut missing: Vec<_> = Node::ALL.map(|node| node.name().to_owned()).into();
    let ready = ready_nodes(cluster)?;
    missing.retain(|name| !ready.contains(name));
    let mut command = cluster.kubectl();
    command
        .args(["get", "serviceaccount", "default", "--output", "name"])
        .stdin(Stdio::null());
    if !command
        .output()
        .context("cannot run kubectl")?
        .status
        .success()
    {
        missing.push("service account default".to_owned());
    }
    Ok(missing)
}

/// Names of the nodes whose condition `Ready` is true.
pub(super) fn ready_nodes(cluster: &Cluster<'_>) -> Result<Vec<String>> {
    let path = "{range .items[*]}{.metadata.name} \
                {.status.conditions[?(@.type==\"Ready\")].status}{\"\\n\"}{end}";
    let mut command = cluster.kubectl();
    command
        .args(["get", "nodes", "--request-timeout=5s", "--output"])
        .arg(format!("jsonpath={path}"))
        .stdin(Stdio::null());
    let output = command.output().context("cannot run kubectl")?;
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.strip_suffix(" True"))
        .map(|name| name.trim().to_owned())
        .collect())
}
