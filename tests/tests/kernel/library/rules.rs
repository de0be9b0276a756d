//! The configuration and the rules of Prometheus, by Prometheus' own checker.
#![expect(
    clippy::unwrap_used,
    reason = "what these helpers read is this repository's own"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

fn prometheus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus")
}

fn promtool(args: &[&str]) -> (bool, String) {
    let output = Command::new("promtool")
        .args(args)
        .current_dir(prometheus())
        .output()
        .expect("promtool is not in PATH; run cargo xtask setup");
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        text += &String::from_utf8_lossy(&output.stderr);
    }
    (output.status.success(), text)
}

/// The configuration with these targets in place of what Kubernetes would
/// discover: Debian's build of Prometheus has no discovery for it.
fn with_targets(targets: &str) -> String {
    let text = fs::read_to_string(prometheus().join("prometheus.yaml")).unwrap();
    let with = |text: &str, targets: &str| {
        let from = text.find("    kubernetes_sd_configs:").unwrap();
        let to = from + text[from..].find("    relabel_configs:").unwrap();
        assert!(text[from..to].contains("role: pod"));
        format!("{}{targets}{}", &text[..from], &text[to..])
    };
    let rules = prometheus();
    // The observers' job, then the adapter's.
    let text = with(&with(&text, targets), "    static_configs: []\n");
    assert!(!text.contains("kubernetes_sd_configs"));
    text.replace(
        "- recording.yaml",
        &format!("- {}/recording.yaml", rules.display()),
    )
    .replace(
        "- alerts.yaml",
        &format!("- {}/alerts.yaml", rules.display()),
    )
}

#[test]
fn promtool_accepts_configuration_and_rules() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("prometheus.yaml");
    fs::write(&config, with_targets("    static_configs: []\n")).unwrap();
    let config = config.to_str().unwrap();
    let (passed, text) = promtool(&["check", "config", "--syntax-only", config]);
    assert!(passed, "{text}");
    let (passed, text) = promtool(&["check", "rules", "recording.yaml", "alerts.yaml"]);
    assert!(passed, "{text}");
}

#[test]
fn every_rule_does_what_its_test_says() {
    let (passed, text) = promtool(&["test", "rules", "tests/recording.yaml", "tests/alerts.yaml"]);
    assert!(passed, "{text}");
    for file in ["recording.yaml", "alerts.yaml"] {
        let rules = fs::read_to_string(prometheus().join(file)).unwrap();
        let tests = fs::read_to_string(prometheus().join("tests").join(file)).unwrap();
        for line in rules.lines().map(str::trim) {
            let name = line
                .strip_prefix("- record: ")
                .or_else(|| line.strip_prefix("- alert: "));
            // What only others are made of is tested with them.
            if let Some(name) = name.filter(|name| *name != "go_observer:goroutines:sum") {
                assert!(tests.contains(name), "{file}: no test of {name}");
            }
        }
    }
}

/// A pod as discovery describes it, with one label changed.
fn pod(ip: &str, node: &str, change: (&str, &str)) -> String {
    let labels = [
        ("pod_ip", ip),
        ("pod_node_name", node),
        ("pod_phase", "Running"),
        ("pod_label_app_kubernetes_io_name", "observer"),
        ("pod_annotation_prometheus_io_scrape", "true"),
        ("pod_annotation_prometheus_io_scheme", "https"),
        ("pod_annotation_prometheus_io_port", "9920"),
        ("pod_annotation_prometheus_io_path", "/metrics"),
    ];
    let labels = labels.map(|(name, value)| {
        let value = if name == change.0 { change.1 } else { value };
        format!("          __meta_kubernetes_{name}: \"{value}\"\n")
    });
    format!(
        "      - targets: [\"{node}\"]\n        labels:\n{}",
        labels.concat()
    )
}

#[test]
fn annotated_observers_are_scraped_by_node_and_nothing_else_is() {
    let mut targets = "    static_configs:\n".to_owned();
    targets += &pod("10.0.0.7", "four", ("", ""));
    targets += &pod("fd00::7", "six", ("", ""));
    targets += &pod(
        "10.0.0.8",
        "plain",
        ("pod_annotation_prometheus_io_scheme", "http"),
    );
    targets += &pod("10.0.0.9", "gone", ("pod_phase", "Succeeded"));
    targets += &pod(
        "10.0.0.10",
        "unasked",
        ("pod_annotation_prometheus_io_scrape", ""),
    );
    targets += &pod(
        "10.0.0.11",
        "other",
        ("pod_label_app_kubernetes_io_name", "adapter"),
    );
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("prometheus.yaml");
    fs::write(&config, with_targets(&targets)).unwrap();
    let (passed, text) = promtool(&[
        "check",
        "service-discovery",
        "--timeout=2s",
        config.to_str().unwrap(),
        "go-observer",
    ]);
    assert!(passed, "{text}");
    let found: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut scraped: Vec<_> = found
        .iter()
        .map(|target| &target["labels"])
        .filter(|labels| labels["__address__"].is_string())
        .map(|labels| {
            [
                "instance",
                "node",
                "__scheme__",
                "__address__",
                "__metrics_path__",
            ]
            .map(|name| labels[name].as_str().unwrap_or_default())
        })
        .collect();
    scraped.sort_unstable();
    assert_eq!(
        scraped,
        [
            ["four", "four", "https", "10.0.0.7:9920", "/metrics"],
            ["plain", "plain", "http", "10.0.0.8:9920", "/metrics"],
            ["six", "six", "https", "[fd00::7]:9920", "/metrics"],
        ]
    );
}
