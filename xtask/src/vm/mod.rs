//! `cargo xtask vm`: other kernels than this machine's, in virtual machines
//! whose processor is emulated. Neither root nor KVM nor a disk is needed.

mod apparmor;
mod apt;
mod complaints;
mod contents;
mod guest;
mod initramfs;
mod inspected;
mod kernel;
mod machine;
mod programs;
mod results;
mod run;
mod table;
mod test;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::{arch::Arch, workspace::Workspace};

use self::run::Run;
pub(crate) use self::test::{step, test};

/// The scenarios that some kernel is to stand, without their arguments.
#[cfg(test)]
pub(crate) fn scenarios() -> std::collections::BTreeSet<&'static str> {
    let rows = table::rows().into_iter();
    let all = rows.flat_map(|row| row.scenarios);
    all.filter_map(|scenario| scenario.split(' ').next())
        .collect()
}

/// Arguments of `cargo xtask vm`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// The kernels that packages offer, and which of them are in the cache.
    List {
        #[arg(long, value_enum, default_value_t = Arch::Amd64)]
        arch: Arch,
    },
    /// Run a command in a virtual machine with another kernel. The observer is
    /// /observer there, Go programs are in /fixtures, `guest SCENARIO` runs a
    /// part of the tests.
    Run(Run),
    /// Run the tests on other kernels.
    Test {
        /// Only on these kernels, by the names of `vm list`.
        #[arg(long, value_name = "KERNEL")]
        kernel: Vec<String>,
        /// Only on this architecture.
        #[arg(long, value_enum)]
        arch: Option<Arch>,
        /// Only these scenarios.
        #[arg(long)]
        scenario: Vec<String>,
    },
}

/// `cargo xtask vm`.
pub(crate) fn vm(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    match &arguments.task {
        Task::List { arch } => run::list(workspace, *arch),
        Task::Run(settings) => run::run(workspace, settings),
        Task::Test {
            kernel,
            arch,
            scenario,
        } => test(workspace, kernel, *arch, scenario),
    }
}
