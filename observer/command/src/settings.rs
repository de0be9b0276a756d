//! The command line and its settings, every one checked before anything starts.

mod choice;
mod node;
mod top;
mod value;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use observer_adapter::AdapterSettings;

pub(crate) use self::{
    choice::{EbpfLog, GoroutineProbes, Link, When},
    node::NodeSettings,
    top::TopSettings,
};

/// Observes the Go runtime of every process on this node, from the kernel.
#[derive(Debug, Parser)]
#[command(name = "observer", version, about, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Observe every Go process on this node and serve its figures.
    Node(NodeSettings),
    /// Serve the observers' figures to autoscalers as custom.metrics.k8s.io.
    Adapter(AdapterSettings),
    /// Tell what a file or a process would give, and why not more.
    Inspect(InspectSettings),
    /// Show what an observer, here or elsewhere, sees: the table of its page in a terminal.
    Top(TopSettings),
    /// The child that the cost of probe hits is measured on.
    #[command(hide = true)]
    CalibrateChild,
}

/// Settings of `observer inspect`.
#[derive(Clone, Debug, Args)]
pub(crate) struct InspectSettings {
    /// An executable file, a recording that --record made, or the id of a running
    /// process. A file whose name is a number is written with a slash, as ./1234.
    #[arg(value_name = "FILE|PID")]
    pub(crate) what: PathBuf,

    /// Print JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,

    /// Walk over the goroutines of a running process: by state, by what they
    /// wait for, and who created most of them.
    #[arg(long)]
    pub(crate) goroutines: bool,

    /// Keep what a sample of a running process reads, for a bug report: addresses and
    /// counters of Go's runtime. With --goroutines also the runtime's descriptions of
    /// all goroutines, and whatever lies between them on the heap.
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
}
