//! Runs the benchmark of the tests crate.

use anyhow::Result;

use crate::{
    again::Again, arch::Arch, build, cluster, fixtures, setup, test, ui::step, workspace::Workspace,
};

/// The tables that want a cluster.
const IN_CLUSTER: [&str; 2] = ["cluster", "autoscaling"];

/// `cargo xtask bench`.
pub(crate) fn bench(workspace: &Workspace, args: &[String]) -> Result<()> {
    setup::everything(workspace)?;
    build::observer(workspace)?;
    let fixtures = fixtures::build(workspace, Arch::Amd64)?;
    if args.iter().any(|arg| IN_CLUSTER.contains(&arg.as_str())) {
        let mut all = vec!["--release", "--bin", "bench", "--"];
        all.extend(args.iter().map(String::as_str));
        let scraped = cluster::prometheus_adapter(workspace)?;
        let more = [("OBSERVER_PROMETHEUS_ADAPTER", scraped.into_os_string())];
        return test::cluster::within(
            workspace,
            &fixtures,
            &["run"],
            &[all],
            &more,
            &Again::new(false),
        );
    }
    let reference = cluster::reference_adapter(workspace)?;
    let more = [
        ("OBSERVER_BIN", workspace.observer().into_os_string()),
        ("OBSERVER_REFERENCE_ADAPTER", reference.into_os_string()),
    ];
    let mut command = test::as_root(workspace, &fixtures, &["run"], &more)?;
    command
        .args(["--release", "--locked", "--package", "observer-tests"])
        .args(["--bin", "bench", "--"])
        .args(args);
    step("benchmark", |step| step.stream(&mut command))
}
