//! A real Kubernetes of two nodes on this machine: the components' own
//! processes, in one folder, for tests and for trying things out.

mod build;
mod certificates;
mod cgroups;
mod component;
mod components;
mod container;
mod containerd;
mod control_plane;
mod down;
mod images;
mod kube_state_metrics;
mod kubeconfig;
mod kubelet;
mod layout;
mod metrics_server;
mod network;
mod probe;
mod process;
mod prometheus;
mod proxy;
mod root;
mod settings;
mod start;
mod status;
mod sweep;
mod up;

use std::{
    ffi::OsString, os::unix::process::CommandExt as _, path::PathBuf, process::Command,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand};

use crate::{ui, workspace::Workspace};
use layout::Cluster;
use settings::Extra;

/// Arguments of `cargo xtask cluster`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Folder of everything the cluster writes, cluster/state in the cache by
    /// default. A machine runs one cluster at a time.
    #[arg(long)]
    dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install and build what it needs, and start nothing.
    Build {
        /// Components to add.
        #[arg(long, value_enum)]
        with: Vec<Extra>,
    },
    /// Build and start it, or start again what has ended.
    Up {
        /// Components to add.
        #[arg(long, value_enum)]
        with: Vec<Extra>,
        /// Seconds between two looks of the HorizontalPodAutoscaler's
        /// controller [default: 5].
        #[arg(long)]
        autoscaler_seconds: Option<u32>,
    },
    /// Stop it and remove everything but the logs.
    Down,
    /// Show every component, its pid, its health and what to do.
    Status,
    /// Run kubectl on it.
    Kubectl {
        /// Arguments of kubectl.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Give both nodes the images of OCI or docker archives.
    LoadImage {
        /// Archives.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Stop one component; pods go on.
    Stop {
        /// Its name in `status`.
        component: String,
    },
    /// Start one component and wait until it is healthy.
    Start {
        /// Its name in `status`.
        component: String,
    },
    /// Print what a test needs to know, as KEY=VALUE.
    Env,
}

/// `cargo xtask cluster`.
pub(crate) fn run(workspace: &Workspace, arguments: Arguments) -> Result<()> {
    let mut cluster = Cluster::open(workspace, arguments.dir.as_deref())?;
    match arguments.command {
        Task::Build { with } => {
            cluster.settings.merge(&with, None);
            up::prepare(&cluster)
        }
        Task::Up {
            with,
            autoscaler_seconds,
        } => {
            let start = Instant::now();
            cluster.settings.merge(&with, autoscaler_seconds);
            up::prepare(&cluster)?;
            root::become_root(workspace)?;
            let _lock = root::lock(&cluster)?;
            up::start(&cluster)?;
            eprintln!(
                "the cluster is up ({}); try: cargo xtask cluster kubectl get pods --all-namespaces",
                ui::seconds(start.elapsed())
            );
            Ok(())
        }
        Task::Down => {
            root::become_root(workspace)?;
            let _lock = root::lock(&cluster)?;
            down::all(&cluster)
        }
        Task::Status => status::show(&cluster),
        Task::Kubectl { args } => kubectl(&cluster, &args),
        Task::LoadImage { files } => {
            root::become_root(workspace)?;
            images::load(&cluster, &files)
        }
        Task::Stop { component } => {
            root::become_root(workspace)?;
            let _lock = root::lock(&cluster)?;
            down::one(&cluster, &component)
        }
        Task::Start { component } => {
            root::become_root(workspace)?;
            let _lock = root::lock(&cluster)?;
            up::start_one(&cluster, &component)
        }
        Task::Env => {
            status::environment(&cluster);
            Ok(())
        }
    }
}

fn kubectl(cluster: &Cluster<'_>, args: &[OsString]) -> Result<()> {
    ensure!(
        cluster.kubeconfig().exists(),
        "no cluster in {}: start it with `cargo xtask cluster up`",
        cluster.dir.display()
    );
    let mut command = cluster.kubectl();
    // Files are named from where the caller is.
    command.args(args).current_dir(std::env::current_dir()?);
    let error = command.exec();
    Err(error).context("cannot start kubectl")
}

/// Installs and builds what a cluster needs, and starts nothing.
pub(crate) fn prepare(workspace: &Workspace) -> Result<()> {
    up::prepare(&Cluster::open(workspace, None)?)
}

/// The adapter that the reference library comes with, built.
pub(crate) fn reference_adapter(workspace: &Workspace) -> Result<PathBuf> {
    build::reference_adapter(workspace)
}

/// What many clusters have between Prometheus and the autoscaler, built.
pub(crate) fn prometheus_adapter(workspace: &Workspace) -> Result<PathBuf> {
    build::prometheus_adapter(workspace)
}

/// A folder with the definitions of cert-manager's objects, fetched.
pub(crate) fn cert_manager_definitions(workspace: &Workspace) -> Result<PathBuf> {
    build::cert_manager_definitions(workspace)
}

/// Where kubectl is, once all is built.
pub(crate) fn kubectl_binary(workspace: &Workspace) -> PathBuf {
    build::directory(workspace).join("kubectl")
}

/// kubectl as the administrator of the cluster in the cache.
pub(crate) fn administer(workspace: &Workspace) -> Result<Command> {
    Ok(Cluster::open(workspace, None)?.kubectl())
}

/// An error if a cluster runs in the cache.
pub(crate) fn ensure_down(workspace: &Workspace) -> Result<()> {
    let cluster = Cluster::open(workspace, None)?;
    ensure!(
        !components::any_runs(&cluster),
        "a cluster runs in {}: stop it with `cargo xtask cluster down`",
        cluster.dir.display()
    );
    Ok(())
}
