//! The command line as people write it.

use std::time::Duration;

use clap::Parser;
use observer_node::listen::bind::Address;

use super::{Cli, Command};

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
