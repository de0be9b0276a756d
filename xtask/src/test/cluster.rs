//! The tests in a real cluster: one cluster, one installation for all of them.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::as_root::{as_root, this_program};
use crate::{
    again::{Again, failed_of_libtest},
    arch::Arch,
    cache, cluster, image,
    slowest::{ALLOWED, TIMED},
    ui::step,
    workspace::Workspace,
};

/// What users are told to do so that their Prometheus may scrape.
const BINDING: [&str; 5] = [
    "create",
    "clusterrolebinding",
    "prometheus-go-observer",
    "--clusterrole=go-observer-metrics-reader",
    "--serviceaccount=monitoring:prometheus",
];
const NAMESPACE: &str = "--namespace=go-observer";

/// Runs the tests in a cluster with the observer installed, and leaves nothing.
pub(super) fn run(
    workspace: &Workspace,
    fixtures: &Path,
    filter: Option<&str>,
    again: &Again,
) -> Result<()> {
    // They mostly wait, and know which of them may do so together.
    let args = |name| {
        let mut args = vec!["--test", name];
        args.extend(filter);
        args.extend(["--", "--test-threads=4"]);
        args.extend(TIMED);
        args
    };
    // The adapter changes the observers that the others want as they are.
    let all = [args("cluster"), args("adapter")];
    let definitions = cluster::cert_manager_definitions(workspace)?;
    let (allowed, yes) = ALLOWED;
    let more = [
        ("OBSERVER_CERT_MANAGER", definitions.into_os_string()),
        (allowed, yes.into()),
    ];
    within(workspace, fixtures, &["test"], &all, &more, again)
}

/// Runs targets of the tests crate by cargo, one after the other, within a
/// cluster in which the observer is installed, and leaves nothing. They get
/// more variables.
pub(crate) fn within(
    workspace: &Workspace,
    fixtures: &Path,
    cargo: &[&str],
    targets: &[Vec<&str>],
    more: &[(&str, OsString)],
    again: &Again,
) -> Result<()> {
    cluster::ensure_down(workspace)?;
    let reference = cluster::reference_adapter(workspace)?;
    let images = image::directory(workspace);
    let mut archives = vec![image::observer(workspace, &[Arch::Amd64], &images)?];
    archives.extend(image::workloads(workspace, &images)?);
    let tests = Tests {
        workspace,
        fixtures,
        cargo,
        reference: &reference,
        more,
        again,
    };
    // What a killed run may have left.
    tests.cluster(&["down"])?;
    let result = tests
        .cluster(&["up", "--with=metrics-server", "--with=kube-state-metrics"])
        .and_then(|()| tests.install(&archives))
        .and_then(|()| targets.iter().try_for_each(|args| tests.run(args)));
    if result.is_err() {
        // The first error is the one to tell.
        tests
            .collect()
            .unwrap_or_else(|error| eprintln!("{error:#}"));
    }
    let down = tests.cluster(&["down"]);
    result.and(down)
}

struct Tests<'a> {
    workspace: &'a Workspace,
    fixtures: &'a Path,
    cargo: &'a [&'a str],
    /// What the adapter's answers are held against.
    reference: &'a Path,
    more: &'a [(&'a str, OsString)],
    again: &'a Again,
}

impl Tests<'_> {
    /// `cargo xtask cluster …`, which becomes root by itself.
    fn cluster(&self, args: &[&str]) -> Result<()> {
        let status = self
            .xtask()?
            .arg("cluster")
            .args(args)
            .status()
            .context("cannot start xtask again")?;
        ensure!(status.success(), "`cluster {}` failed", args.join(" "));
        Ok(())
    }

    fn xtask(&self) -> Result<Command> {
        let mut command = self.workspace.command(this_program()?);
        command.env("CARGO_MANIFEST_DIR", self.workspace.root.join("xtask"));
        Ok(command)
    }

    /// As a user would, but for the images, which nothing can be pulled from.
    fn install(&self, archives: &[PathBuf]) -> Result<()> {
        let archives: Vec<_> = archives
            .iter()
            .map(|archive| archive.to_string_lossy())
            .collect();
        let mut load = vec!["load-image"];
        load.extend(archives.iter().map(AsRef::as_ref));
        self.cluster(&load)?;
        step("kubectl apply -k deploy/observer", |step| {
            let deploy = self.workspace.root.join("deploy/observer");
            let mut command = cluster::administer(self.workspace)?;
            step.run(command.args(["apply", "-k"]).arg(deploy))?;
            step.run(cluster::administer(self.workspace)?.args(BINDING))?;
            step.note("waiting for both pods");
            let wait = ["rollout", "status", "daemonset/observer", NAMESPACE];
            let mut command = cluster::administer(self.workspace)?;
            step.run(command.args(wait).arg("--timeout=60s"))
        })
    }

    fn run(&self, args: &[&str]) -> Result<()> {
        let program = this_program()?;
        let mut more = vec![
            ("OBSERVER_XTASK", program.into_os_string()),
            ("OBSERVER_REFERENCE_ADAPTER", self.reference.into()),
            (cache::VARIABLE, self.workspace.cache.root().into()),
        ];
        more.extend_from_slice(self.more);
        let command = |args: &[&str]| {
            let mut command = as_root(self.workspace, self.fixtures, self.cargo, &more)?;
            command
                .args(["--locked", "--package", "observer-tests"])
                .args(args);
            anyhow::Ok(command)
        };
        // Of tests, the first two words say which program they are in.
        let alone = |name: &str| command(&[&args[..2], &[name, "--", "--exact"]].concat());
        step("in the cluster", |step| {
            let again = self.again;
            again.run(step, &mut command(args)?, failed_of_libtest, alone)
        })
    }

    /// What is gone once the cluster is down; the components' logs stay.
    fn collect(&self) -> Result<()> {
        let directory = self.workspace.root.join("target/cluster-logs");
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        let questions: [(&str, &[&str]); 7] = [
            (
                "pods",
                &["get", "pods", "--all-namespaces", "--output=wide"],
            ),
            ("describe", &["describe", "pods", "--all-namespaces"]),
            ("events", &["get", "events", "--all-namespaces"]),
            (
                "autoscalers",
                &["describe", "horizontalpodautoscalers", "--all-namespaces"],
            ),
            (
                "adapters",
                &[
                    "logs",
                    "deployment/observer-adapter",
                    "--all-pods",
                    NAMESPACE,
                ],
            ),
            (
                "observers",
                &["logs", "daemonset/observer", "--all-pods", NAMESPACE],
            ),
            (
                "observers-before",
                &[
                    "logs",
                    "daemonset/observer",
                    "--all-pods",
                    "--previous",
                    NAMESPACE,
                ],
            ),
        ];
        for (name, args) in questions {
            let output = cluster::administer(self.workspace)?
                .args(args)
                .output()
                .context("cannot run kubectl")?;
            let text = [output.stdout, output.stderr].concat();
            fs::write(directory.join(name).with_extension("txt"), text)?;
        }
        eprintln!("what the cluster said is in {}", directory.display());
        Ok(())
    }
}
