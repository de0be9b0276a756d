//! The command line and its settings, every one checked before anything starts.

use std::{
    net::{Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use axum::http::Uri;
use clap::{Args, Parser, Subcommand, ValueEnum};
use observer_adapter::AdapterSettings;
use observer_node::{
    Clocks,
    auth::SecuritySettings,
    exclude::{Rule, Rules},
    listen::bind::Address,
    log::LogFormat,
};
use observer_probe::{Selection, UnknownFamily};

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
    pub(crate) fn exclusions(&self, on_kubernetes: bool) -> Result<Rules, ExcludeError> {
        let rules = Rules::new(self.exclude.clone());
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

/// Settings of `observer top`.
#[derive(Clone, Debug, Args)]
pub(crate) struct TopSettings {
    /// Where the observer answers, for example https://localhost:9920 behind
    /// kubectl port-forward.
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:9920",
        value_parser = url,
        env = "OBSERVER_URL"
    )]
    pub(crate) url: Uri,

    /// File with the bearer token to show; read again at each request.
    #[arg(long, value_name = "FILE", env = "OBSERVER_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// PEM file with the authority of the observer's certificate.
    #[arg(long, value_name = "FILE", env = "OBSERVER_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,

    /// The name that the observer's certificate has to bear, where it is not
    /// the URL's, for example observer.go-observer.svc.
    #[arg(long, value_name = "NAME")]
    pub(crate) tls_server_name: Option<String>,

    /// PEM file with the client certificate to show.
    #[arg(long, value_name = "FILE", requires = "client_key_file")]
    pub(crate) client_cert_file: Option<PathBuf>,

    /// PEM file with the private key of --client-cert-file.
    #[arg(long, value_name = "FILE", requires = "client_cert_file")]
    pub(crate) client_key_file: Option<PathBuf>,

    /// Take any certificate of the observer's, such as one it signed itself.
    #[arg(long, conflicts_with = "ca_file")]
    pub(crate) insecure_skip_tls_verify: bool,
}

fn url(text: &str) -> Result<Uri, String> {
    let expected = "expected an address such as https://localhost:9920";
    let url: Uri = text
        .parse()
        .map_err(|error| format!("{error}; {expected}"))?;
    let known = matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some();
    if known && url.query().is_none() {
        Ok(url)
    } else {
        Err(expected.to_owned())
    }
}

/// On, off, or as the surroundings suggest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// As the surroundings suggest.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// When every goroutine is counted by a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GoroutineProbes {
    /// Where memory does not tell as much.
    Auto,
    /// As long as the budget allows.
    Always,
}

/// Which kernel interface holds the probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Link {
    /// The best the kernel has.
    Auto,
    /// One uprobe_multi link per target.
    Multi,
    /// One perf event per site.
    Perf,
}

/// What the eBPF programs tell of themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EbpfLog {
    /// Nothing.
    Off,
    /// What they had no room for.
    Error,
    /// What they left out or could not read, too.
    Info,
    /// Everything.
    Debug,
}

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(3600);

fn interval(text: &str) -> Result<Duration, String> {
    let value = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; expected a duration such as 1s or 250ms"))?;
    if (SHORTEST..=LONGEST).contains(&value) {
        Ok(value)
    } else {
        Err(format!(
            "must be between {} and {}",
            humantime::format_duration(SHORTEST),
            humantime::format_duration(LONGEST)
        ))
    }
}

/// A family that is to be asked for.
fn family(text: &str) -> Result<String, UnknownFamily> {
    Selection::default().with(text).map(|_| text.to_owned())
}

fn percent(text: &str) -> Result<f64, String> {
    let expected = "expected percent of one CPU: a number above 0 and up to 100, such as 1 or 0.5";
    match text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 100.0 => Ok(value),
        _ => Err(expected.to_owned()),
    }
}

/// Most creators named: each is a series for each process.
const MOST_CREATORS: usize = 50;

fn creators(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(value) if value <= MOST_CREATORS => Ok(value),
        _ => Err(format!("expected a whole number from 0 to {MOST_CREATORS}")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::{Address, Cli, Command};

    fn node(args: &[&str]) -> Result<super::NodeSettings, String> {
        let cli = Cli::try_parse_from(["observer", "node"].iter().chain(args))
            .map_err(|error| error.to_string())?;
        match cli.command {
            Command::Node(settings) => Ok(settings),
            _ => unreachable!("asked for node"),
        }
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let settings = node(&[]).unwrap();
        assert_eq!(settings.address(false), Address::Loopback(9920));
        let everywhere = Address::At("[::]:9920".parse().unwrap());
        assert_eq!(settings.address(true), everywhere);
        let chosen = node(&["--listen", "10.0.0.7:80"]).unwrap();
        for on_kubernetes in [false, true] {
            let expected = Address::At("10.0.0.7:80".parse().unwrap());
            assert_eq!(chosen.address(on_kubernetes), expected);
        }
        assert_eq!(settings.interval, Duration::from_secs(1));
        assert!((settings.probe_budget - 1.0).abs() < 1e-9);
        assert!((settings.cpu_ceiling - 5.0).abs() < 1e-9);
        assert_eq!(settings.goroutine_probes, super::GoroutineProbes::Auto);
        assert_eq!(settings.goroutine_creators, 0);
        // Those that tests shorten are the engine's own otherwise.
        let clocks = (settings.clocks(), observer_node::Clocks::default());
        assert_eq!(clocks.0.stay, clocks.1.stay);
        assert_eq!(clocks.0.full_sweep, clocks.1.full_sweep);
        assert!((node(&["--probe-budget", "0.25%"]).unwrap().probe_budget - 0.25).abs() < 1e-9);
    }

    #[test]
    fn the_nodes_name_is_one_that_a_node_can_have() {
        let named = |name: &str| node(&["--node-name", name]).unwrap();
        let settings = named("node-1.example");
        assert_eq!(settings.node_name().unwrap(), "node-1.example");
        for (name, expected) in [
            ("", "spec.nodeName"),
            ("a,metadata.name=b", "kubectl get nodes"),
            ("Node", "kubectl get nodes"),
        ] {
            let error = named(name).node_name().unwrap_err().to_string();
            assert!(error.contains(expected), "{name:?}: {error}");
        }
    }

    #[test]
    fn rules_of_what_is_excluded_are_checked_before_anything_starts() {
        let settings = node(&["--exclude", "path=/a/*,path=/b", "--exclude", "label=app"]).unwrap();
        let texts: Vec<_> = settings.exclude.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["path=/a/*", "path=/b", "label=app"]);
        assert!(settings.exclusions(true).is_ok());
        let error = settings.exclusions(false).unwrap_err().to_string();
        assert!(error.contains("--exclude label=app"), "{error}");
        assert!(error.contains("--kube on"), "{error}");
        let settings = node(&["--exclude", "path=/a"]).unwrap();
        assert!(settings.exclusions(false).is_ok());
    }

    #[test]
    fn a_certificate_comes_with_its_key_and_not_with_plain_http() {
        assert!(node(&["--tls-cert-file", "a", "--tls-key-file", "b"]).is_ok());
        for (args, expected) in [
            (&["--tls-cert-file", "a"][..], "--tls-key-file"),
            (&["--tls-key-file", "b"], "--tls-cert-file"),
            (
                &["--insecure-http", "--client-ca-file", "c"],
                "--client-ca-file",
            ),
        ] {
            let error = node(args).unwrap_err();
            assert!(error.contains(expected), "{args:?}: {error}");
        }
    }

    #[test]
    fn bad_settings_name_the_setting_and_what_was_expected() {
        for (args, expected) in [
            (["--interval", "0s"], "between 10ms and 1h"),
            (["--interval", "soon"], "such as 1s or 250ms"),
            (["--listen", "nonsense"], "--listen"),
            (["--probes-stay", "0s"], "between 10ms and 1h"),
            (["--full-sweep", "soon"], "such as 1s or 250ms"),
            (["--table", "maybe"], "auto"),
            (["--probe-budget", "0"], "above 0 and up to 100"),
            (["--probe-budget", "NaN"], "above 0 and up to 100"),
            (["--probe-budget", "101"], "above 0 and up to 100"),
            (["--goroutine-creators", "51"], "from 0 to 50"),
            (["--goroutine-creators", "some"], "from 0 to 50"),
            (["--cpu-ceiling", "little"], "--cpu-ceiling"),
            (["--goroutine-probes", "never"], "auto, always"),
            (["--kube", "maybe"], "auto"),
            (["--exclude", "criu"], "path=PATTERN"),
            (["--exclude", "path=/a,path=b"], "begin with /"),
            (
                ["--exclude", "path=/a,"],
                "does not say what it excludes by",
            ),
        ] {
            let error = node(&args).unwrap_err();
            assert!(error.contains(expected), "{args:?}: {error}");
        }
    }
}
