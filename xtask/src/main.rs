//! Set-up, build, run, test and bench of go-observer.

mod again;
mod arch;
mod bench;
mod build;
mod cache;
mod checkout;
mod cluster;
mod fixtures;
mod fuzz;
mod graph;
mod image;
mod layouts;
mod recordings;
mod run;
mod setup;
mod slowest;
mod test;
mod ui;
mod vm;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Set-up, build, run, test and bench of go-observer.
///
/// Everything that is missing is installed first. What is built is kept in
/// $GO_OBSERVER_CACHE (default $XDG_CACHE_HOME/go-observer, else
/// ~/.cache/go-observer).
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install what is missing: toolchain, Debian packages, bpf-linker, Go.
    Setup {
        /// Only what building and running needs, not what the tests need.
        #[arg(long)]
        build_only: bool,
    },
    /// Build target/release/observer, the eBPF programs inside it.
    Build,
    /// Build and start `observer node` on this machine.
    Run {
        /// Arguments of `observer node`, after `--`.
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Build and start a Go program that is worth observing, until ctrl-c.
    Demo {
        /// Arguments of the program, after `--`.
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Everything a change must pass: format, lints, unit tests, a short fuzz
    /// run, and the tests on the real kernel.
    Test {
        /// Run only tests whose name contains this: unit tests, those on kernels, and
        /// those in the cluster.
        filter: Option<String>,
        /// Run only these steps; what they need is installed first.
        #[arg(long, value_enum)]
        step: Vec<test::Stage>,
        /// Run a test that failed once more, alone, and say at the end which passed
        /// only then.
        #[arg(long)]
        retry_failed: bool,
    },
    /// A real Kubernetes of two nodes on this machine.
    Cluster(cluster::Arguments),
    /// Other kernels than this machine's, in virtual machines.
    Vm(vm::Arguments),
    /// Make a container image of the observer, or of the demo workload: an OCI
    /// archive that `ctr --namespace k8s.io images import` takes.
    Image(image::Settings),
    /// Measure what observing costs.
    Bench {
        /// Arguments of the benchmark, after `--`.
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Feed what strangers may say to whatever reads it: executables, debug
    /// information, /proc's texts, recorded memory.
    Fuzz(fuzz::Settings),
    /// Read anew where the fields of Go's runtime lie in each release, into
    /// observer/go/src/release/layouts.tsv. Fetches some 30 toolchains, 10 GB.
    Layouts {
        /// Releases to add to those of the table, for example 1.27.5.
        release: Vec<String>,
    },
    /// Record again, of a program of each release of Go, what a sample reads, into
    /// observer/go/src/runtime/testdata. The unit tests replay it.
    Recordings,
    /// Write the Grafana boards to deploy/dashboards, from their description
    /// beside the table of metrics.
    Dashboards,
    /// Remove the cache: tools, Go toolchains, everything built.
    CleanCache,
}

fn main() -> ExitCode {
    let task = Cli::parse().command;
    match Workspace::open().and_then(|workspace| dispatch(&workspace, task)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(workspace: &Workspace, task: Task) -> anyhow::Result<()> {
    match task {
        Task::Setup { build_only: true } => setup::build(workspace),
        Task::Setup { build_only: false } => setup::everything(workspace),
        Task::Build => {
            setup::build(workspace)?;
            build::observer(workspace)
        }
        Task::Run { args } => run::node(workspace, &args),
        Task::Demo { args } => run::demo(workspace, &args),
        Task::Test {
            filter,
            step,
            retry_failed,
        } => test::test(workspace, filter.as_deref(), &step, retry_failed),
        Task::Cluster(arguments) => cluster::run(workspace, arguments),
        Task::Vm(arguments) => vm::vm(workspace, &arguments),
        Task::Image(settings) => image::images(workspace, &settings),
        Task::Bench { args } => bench::bench(workspace, &args),
        Task::Fuzz(settings) => fuzz::alone(workspace, &settings),
        Task::Layouts { release } => layouts::layouts(workspace, &release),
        Task::Recordings => recordings::recordings(workspace),
        Task::Dashboards => build::dashboards(workspace),
        Task::CleanCache => {
            cluster::ensure_down(workspace)?;
            ui::step(
                &format!("remove {}", workspace.cache.root().display()),
                |_| workspace.cache.remove(),
            )
        }
    }
}
