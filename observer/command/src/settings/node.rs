//! Settings of `observer node`.

use std::{
    net::{Ipv6Addr, SocketAddr},
    time::Duration,
};

use clap::Args;
use observer_node::{
    Clocks,
    auth::SecuritySettings,
    exclude::{ExclusionRules, Rule},
    listen::bind::Address,
    log::LogFormat,
};
use observer_probe::Selection;

use super::{
    choice::{EbpfLog, GoroutineProbes, Link, When},
    value::{creators, family, interval, percent},
};

/// Settings of `observer node`.
#[derive(Clone, Debug, Args)]
pub(crate) struct NodeSettings {
    /// Address to serve the page, /metrics, /api/v1, /healthz and /readyz on; [::]:9920 is
    /// every address of IPv6 and IPv4 [default: on Kubernetes [::]:9920, elsewhere this
    /// machine alone: 127.0.0.1:9920 and [::1]:9920].
    #[arg(long, value_name = "ADDR", env = "OBSERVER_LISTEN")]
    pub(crate) listen: Option<SocketAddr>,

    /// How often figures are read, for example 1s or 250ms (10ms to 1h).
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval, env = "OBSERVER_INTERVAL")]
    pub(crate) interval: Duration,

    /// Whether to show the live table: auto shows it when standard output is a terminal.
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        env = "OBSERVER_TABLE"
    )]
    pub(crate) table: When,

    /// How log lines are written to standard error.
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        env = "OBSERVER_LOG_FORMAT"
    )]
    pub(crate) log_format: LogFormat,

    /// What the eBPF programs tell of themselves in the log: refused entries and
    /// lost events (error), hits that are left out and reads that failed (info),
    /// first hits (debug). With off, nothing of it is in the programs.
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "off",
        env = "OBSERVER_EBPF_LOG"
    )]
    pub(crate) ebpf_log: EbpfLog,

    /// Which kernel interface holds the probes: auto takes uprobe_multi where
    /// the kernel has it (6.6) and perf events elsewhere.
    #[arg(
        long,
        value_name = "LINK",
        default_value = "auto",
        env = "OBSERVER_LINK"
    )]
    pub(crate) link: Link,

    /// What probes may take from a process, in percent of one CPU (above 0, up
    /// to 100). Where it is more, probes on goroutines leave the file that the
    /// process runs, for all its processes, for a minute or more; where it is ten
    /// times as much, or 10 %, at once, and those on stops of the world, too, if it
    /// is they that take it. With 100 nothing is too much at once.
    #[arg(long, value_name = "PERCENT", default_value = "1", value_parser = percent, env = "OBSERVER_PROBE_BUDGET")]
    pub(crate) probe_budget: f64,

    /// When every goroutine is counted by a probe as it comes and goes: auto
    /// does so only where the state of a file's processes, read from memory,
    /// does not tell as much (before the first samples, without permission,
    /// for programs that end too soon); always does so as long as
    /// --probe-budget allows.
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        env = "OBSERVER_GOROUTINE_PROBES"
    )]
    pub(crate) goroutine_probes: GoroutineProbes,

    /// A family of probes beside those that always count; may be repeated.
    #[arg(long, value_name = "NAME", value_parser = family, value_delimiter = ',', env = "OBSERVER_FAMILY", hide = true)]
    pub(crate) family: Vec<String>,

    /// What the observer itself may take, in percent of one core (above 0, up
    /// to 100). Above it, figures are read less often: up to 8 times the interval.
    /// Half of it is for inspecting executables, and half of that for those of one
    /// cgroup: where many new ones are run, the others wait.
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = percent, env = "OBSERVER_CPU_CEILING")]
    pub(crate) cpu_ceiling: f64,

    /// How many creators of goroutines are named in
    /// observer_goroutines_by_creator, of each process (0 to 50). Above 0, all
    /// goroutines of each process are walked over, every 10 s at most.
    #[arg(long, value_name = "N", default_value = "0", value_parser = creators, env = "OBSERVER_GOROUTINE_CREATORS")]
    pub(crate) goroutine_creators: usize,

    /// How long probes on each goroutine stay at least once they came back to a file.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = interval, env = "OBSERVER_PROBES_STAY", hide = true)]
    pub(crate) probes_stay: Duration,

    /// How often everything is compared with /proc where no event was missed.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = interval, env = "OBSERVER_FULL_SWEEP", hide = true)]
    pub(crate) full_sweep: Duration,

    /// Whether to ask the Kubernetes API server which pods run on this node:
    /// auto does where the observer runs in a pod with a service account.
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        env = "OBSERVER_KUBE"
    )]
    pub(crate) kube: When,

    /// This node's name in Kubernetes; needed to ask for its pods.
    #[arg(long, value_name = "NAME", env = "NODE_NAME")]
    pub(crate) node_name: Option<String>,

    /// With Kubernetes, include processes outside pods; without it all are.
    #[arg(long, env = "OBSERVER_HOST_PROCESSES")]
    pub(crate) host_processes: bool,

    /// What is not to be observed, which carries no probe and is not read: a
    /// program by the path of its file (path=/usr/sbin/criu), pods by namespace
    /// (namespace=kube-*), by label (label=KEY or label=KEY=VALUE) or by
    /// annotation (annotation=KEY[=VALUE]). In paths and namespaces * stands for
    /// any characters but /, ** for any, ? for one. Several are given one by one,
    /// or with commas between them. Pods and namespaces with the label or
    /// annotation go-observer.dev/observe: "false" are left alone in any case.
    #[arg(
        long = "exclude",
        value_name = "RULE",
        value_delimiter = ',',
        env = "OBSERVER_EXCLUDE"
    )]
    pub(crate) exclude: Vec<Rule>,

    /// TLS, and who may ask.
    #[command(flatten)]
    pub(crate) security: SecuritySettings,
}

/// The port, unless another is asked for.
const PORT: u16 = 9920;

impl NodeSettings {
    /// The families of probes that are set.
    pub(crate) fn selection(&self) -> Selection {
        let named = self.family.iter();
        // Each was looked up when it was parsed.
        named.fold(Selection::default(), |all, name| {
            all.with(name).unwrap_or(all)
        })
    }

    /// How long things are left as they are.
    pub(crate) fn clocks(&self) -> Clocks {
        Clocks {
            stay: self.probes_stay,
            full_sweep: self.full_sweep,
        }
    }

    /// Where to listen, on Kubernetes or not.
    pub(crate) fn address(&self, on_kubernetes: bool) -> Address {
        match self.listen {
            Some(address) => Address::At(address),
            None if on_kubernetes => Address::At((Ipv6Addr::UNSPECIFIED, PORT).into()),
            None => Address::Loopback(PORT),
        }
    }

    /// What is not to be observed. `on_kubernetes`: somebody can tell of pods.
    pub(crate) fn exclusions(&self, on_kubernetes: bool) -> Result<ExclusionRules, ExcludeError> {
        let rules = ExclusionRules::new(self.exclude.clone());
        match rules.of_kubernetes() {
            Some(rule) if !on_kubernetes => Err(ExcludeError(rule.clone())),
            _ => Ok(rules),
        }
    }

    /// This node's name, which goes into a selector as it is.
    pub(crate) fn node_name(&self) -> Result<&str, NodeNameError> {
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        match self.node_name.as_deref() {
            None | Some("") => Err(NodeNameError::Missing),
            Some(name) if name.len() <= 253 && name.chars().all(valid) => Ok(name),
            Some(name) => Err(NodeNameError::Invalid(name.to_owned())),
        }
    }
}

/// A rule about pods, and nobody to ask which pods there are.
#[derive(Debug, thiserror::Error)]
#[error(
    "--exclude {0} is about pods, and Kubernetes is not asked which there are; expected path=PATTERN \
     without Kubernetes, or run with --kube on"
)]
pub(crate) struct ExcludeError(Rule);

/// The node's name cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeNameError {
    /// There is none.
    #[error(
        "the name of this node is not known; set --node-name, or NODE_NAME from the pod's field spec.nodeName, or run with --kube off"
    )]
    Missing,
    /// No node can have it.
    #[error(
        "{0:?} is no name of a node; expected it as kubectl get nodes shows it: lower-case letters, digits, - and ."
    )]
    Invalid(String),
}
