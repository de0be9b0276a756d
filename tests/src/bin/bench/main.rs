//! What observing costs, as tables in Markdown. All figures of a table come
//! from one run, since machines differ more than programs do.
//!
//! `bench [--only NAME]...`, each NAME one of [`TABLES`].

mod autoscaling;
mod cluster;
mod crowd;
mod ebpf_log;
mod fan_out;
mod go_build;
mod goroutines;
mod probes;
mod sample;
mod statistics;
mod storm;
mod tracer;

use std::process::ExitCode;

type Table = (&'static str, fn() -> String);

/// Where this is set, a cluster runs.
const IN_CLUSTER: &str = "OBSERVER_XTASK";

const TABLES: [Table; 11] = [
    ("goroutines", || {
        format!("## A goroutine's price\n\n{}", goroutines::table())
    }),
    ("probes", || {
        format!("## Each goroutine counted\n\n{}", probes::table())
    }),
    ("storm", || {
        format!("## The worst half second\n\n{}", storm::table())
    }),
    ("go_build", || {
        format!("## A build from nothing\n\n{}", go_build::table())
    }),
    ("ebpf_log", || {
        format!("## What the eBPF programs say\n\n{}", ebpf_log::table())
    }),
    ("sample", || {
        format!("## One sample of a process's state\n\n{}", sample::table())
    }),
    ("idle", || crowd(&crowd::IDLE)),
    ("busy", || crowd(&crowd::BUSY)),
    ("fan_out", || {
        format!("## The adapter's requests to nodes\n\n{}", fan_out::table())
    }),
    ("cluster", || {
        format!("## In a cluster\n\n{}", cluster::table())
    }),
    ("autoscaling", || {
        format!("## The autoscaler\n\n{}", autoscaling::table())
    }),
];

fn crowd(kind: &crowd::Kind) -> String {
    format!(
        "## {} {} processes of {} binaries\n\n{}",
        crowd::PROCESSES,
        kind.name,
        crowd::BINARIES,
        crowd::table(kind)
    )
}

fn main() -> ExitCode {
    if fan_out::was_part() {
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let known = |name: &str| TABLES.iter().any(|(table, _)| *table == name);
    let mut only = Vec::new();
    for pair in arguments.chunks(2) {
        match pair {
            [option, name] if option == "--only" && known(name) => only.push(name),
            other => {
                let names = TABLES.map(|(name, _)| name).join(", ");
                eprintln!("{other:?}: expected --only and one of {names}");
                return ExitCode::FAILURE;
            }
        }
    }
    for (name, table) in TABLES {
        let wants_cluster = matches!(name, "cluster" | "autoscaling");
        let possible = !wants_cluster || std::env::var_os(IN_CLUSTER).is_some();
        if (only.is_empty() && possible) || only.iter().any(|wanted| *wanted == name) {
            println!("{}", table());
        }
    }
    ExitCode::SUCCESS
}
