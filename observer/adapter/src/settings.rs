//! Settings of `observer adapter`, each checked before anything starts.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use observer_node::{auth::CertificateFiles, log::LogFormat};

use super::api::group::ApiGroups;

/// Settings of `observer adapter`.
#[derive(Clone, Debug, Args)]
pub struct AdapterSettings {
    /// Address to serve metrics on, over TLS; [::]:6443 is every address of IPv6 and IPv4.
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "[::]:6443",
        env = "OBSERVER_ADAPTER_LISTEN"
    )]
    pub listen: SocketAddr,

    /// Which group of metrics to serve.
    #[arg(
        long,
        value_name = "GROUP",
        default_value = "custom",
        env = "OBSERVER_GROUP"
    )]
    pub group: ApiGroups,

    /// Port that observers of nodes serve on.
    #[arg(long, value_name = "PORT", default_value = "9920", value_parser = clap::value_parser!(u16).range(1..), env = "OBSERVER_NODE_PORT")]
    pub node_port: u16,

    /// How old a node's figures may be that are taken without asking it again
    /// (0s to 1m), as long as they may be served at all; it is asked four times
    /// within this at most.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = ttl, env = "OBSERVER_TTL")]
    pub ttl: Duration,

    /// How many of its node's own intervals a figure may be old, 2s at least;
    /// of a node that is silent for longer there are no values (1 to 100).
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=100), env = "OBSERVER_STALE_INTERVALS")]
    pub stale_intervals: u32,

    /// How long a request waits for nodes (50ms to 30s). The aggregator and
    /// the autoscaler give up on their own.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = patience, env = "OBSERVER_NODE_TIMEOUT")]
    pub node_timeout: Duration,

    /// Namespace of the adapter and of the observers.
    #[arg(long, value_name = "NAME", default_value = "go-observer", value_parser = dns_label, env = "POD_NAMESPACE")]
    pub namespace: String,

    /// Name of the Service that APIServices lead to.
    #[arg(long, value_name = "NAME", default_value = "observer-adapter", value_parser = dns_label, env = "OBSERVER_ADAPTER_SERVICE")]
    pub service: String,

    /// Name of the ClusterRole that owns the adapter's APIServices, so that they
    /// go when it is deleted: one of the observers' manifests.
    #[arg(long, value_name = "NAME", default_value = "go-observer", value_parser = dns_label, env = "OBSERVER_CLUSTER_ROLE")]
    pub cluster_role: String,

    /// PEM file with the authorities of the observers' certificates, read again
    /// as it changes. Without it they are those of Secret go-observer-node-tls,
    /// which the adapter makes where there is none.
    #[arg(long, value_name = "FILE", env = "OBSERVER_NODE_CA_FILE")]
    pub node_ca_file: Option<PathBuf>,

    /// File with the token to show to observers, read again as it changes.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/var/run/secrets/kubernetes.io/serviceaccount/token",
        env = "OBSERVER_TOKEN_FILE"
    )]
    pub token_file: PathBuf,

    /// What is served. Without it the adapter has an authority of its own.
    #[command(flatten)]
    pub certificate: CertificateFiles,

    /// PEM file with the authority of --tls-cert-file, read again as it changes:
    /// the caBundle of APIServices. Without it somebody else writes that.
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_cert_file",
        env = "OBSERVER_TLS_CA_FILE"
    )]
    pub tls_ca_file: Option<PathBuf>,

    /// How log lines are written to standard error.
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        env = "OBSERVER_LOG_FORMAT"
    )]
    pub log_format: LogFormat,
}

fn between(text: &str, least: Duration, most: Duration) -> Result<Duration, String> {
    let value = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; expected a duration such as 1s or 250ms"))?;
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    let (least, most) = (
        humantime::format_duration(least),
        humantime::format_duration(most),
    );
    Err(format!("must be between {least} and {most}"))
}

fn ttl(text: &str) -> Result<Duration, String> {
    between(text, Duration::ZERO, Duration::from_mins(1))
}

fn patience(text: &str) -> Result<Duration, String> {
    between(text, Duration::from_millis(50), Duration::from_secs(30))
}

fn dns_label(text: &str) -> Result<String, String> {
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = |c| text.starts_with(c) || text.ends_with(c);
    if (1..=63).contains(&text.len()) && text.chars().all(valid) && !ends('-') {
        Ok(text.to_owned())
    } else {
        Err("expected a name in lower-case letters, digits and -".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    /// As `observer adapter` takes them.
    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        settings: super::AdapterSettings,
    }

    fn adapter(args: &[&str]) -> Result<super::AdapterSettings, String> {
        Cli::try_parse_from(["adapter"].iter().chain(args))
            .map(|cli| cli.settings)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let settings = adapter(&[]).unwrap();
        assert_eq!(settings.listen.to_string(), "[::]:6443");
        assert_eq!(settings.node_port, 9920);
        assert_eq!(settings.ttl, Duration::from_secs(1));
        assert_eq!(settings.stale_intervals, 5);
        assert_eq!(settings.node_timeout, Duration::from_secs(2));
    }

    #[test]
    fn bad_settings_name_the_setting_and_what_was_expected() {
        for (args, expected) in [
            (&["--ttl", "2m"][..], "between 0s and 1m"),
            (&["--ttl", "soon"], "such as 1s or 250ms"),
            (&["--stale-intervals", "0"], "1..=100"),
            (&["--node-timeout", "1m"], "between 50ms and 30s"),
            (&["--node-port", "0"], "--node-port"),
            (&["--namespace", "A b"], "lower-case letters"),
            (&["--service=-a"], "lower-case letters"),
            (&["--tls-cert-file", "a"], "--tls-key-file"),
            (&["--tls-ca-file", "a"], "--tls-cert-file"),
            (&["--cluster-role", "A"], "lower-case letters"),
            (&["--listen", "here"], "--listen"),
            (&["--group", "resource"], "custom, external, both"),
        ] {
            let error = adapter(args).unwrap_err();
            assert!(error.contains(expected), "{args:?}: {error}");
        }
    }
}
