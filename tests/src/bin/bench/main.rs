//! What observing costs, as tables in Markdown. All figures of a table come
//! from one run, since machines differ more than programs do.
//!
//! `bench [--only NAME]...`, each NAME one of [`TABLES`]. It fails where a bound is
//! broken, once every table is printed.

mod autoscaling;
mod bounds;
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

use bounds::Report;

type Table = (&'static str, fn() -> Report);

/// Where this is set, a cluster runs.
const IN_CLUSTER: &str = "OBSERVER_XTASK";

const TABLES: [Table; 11] = [
    ("goroutines", || {
        Report::from(goroutines::table()).titled("A goroutine's price")
    }),
    ("probes", || {
        Report::from(probes::table()).titled("Each goroutine counted")
    }),
    ("storm", || storm::table().titled("The worst half second")),
    ("go_build", || {
        go_build::table().titled("A build from nothing")
    }),
    ("ebpf_log", || {
        Report::from(ebpf_log::table()).titled("What the eBPF programs say")
    }),
    ("sample", || {
        Report::from(sample::table()).titled("One sample of a process's state")
    }),
    ("idle", || crowd(&crowd::IDLE)),
    ("busy", || crowd(&crowd::BUSY)),
    ("fan_out", || {
        Report::from(fan_out::table()).titled("The adapter's requests to nodes")
    }),
    ("cluster", || {
        Report::from(cluster::table()).titled("In a cluster")
    }),
    ("autoscaling", || {
        Report::from(autoscaling::table()).titled("The autoscaler")
    }),
];

fn crowd(kind: &crowd::Kind) -> Report {
    Report::from(crowd::table(kind)).titled(&format!(
        "{} {} processes of {} binaries",
        crowd::PROCESSES,
        kind.name,
        crowd::BINARIES,
    ))
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
    let mut broken = Vec::new();
    for (name, table) in TABLES {
        let wants_cluster = matches!(name, "cluster" | "autoscaling");
        let possible = !wants_cluster || std::env::var_os(IN_CLUSTER).is_some();
        if (only.is_empty() && possible) || only.iter().any(|wanted| *wanted == name) {
            let report = table();
            println!("{}", report.text());
            broken.extend(report.broken().iter().map(|line| format!("{name}: {line}")));
        }
    }
    if broken.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("bounds that were not held:\n{}", broken.join("\n"));
    ExitCode::FAILURE
}
