//! What a cluster was started with; `start` and a second `up` keep it.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde_json::{Value, json};

/// A component that is not part of every cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Extra {
    /// The resource metrics API, `metrics.k8s.io`.
    MetricsServer,
    /// What the API server knows of objects, as metrics for Prometheus.
    KubeStateMetrics,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) metrics_server: bool,
    pub(super) kube_state_metrics: bool,
    /// Seconds between two looks of the HorizontalPodAutoscaler's controller.
    pub(super) autoscaler_seconds: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            metrics_server: false,
            kube_state_metrics: false,
            autoscaler_seconds: 5,
        }
    }
}

impl Settings {
    /// The stored settings, else the default ones.
    pub(super) fn load(path: &Path) -> Result<Self> {
        let Ok(text) = fs::read_to_string(path) else {
            return Ok(Self::default());
        };
        let value: Value = serde_json::from_str(&text)
            .with_context(|| format!("{} is not JSON: remove it", path.display()))?;
        let default = Self::default();
        Ok(Self {
            metrics_server: value["metrics_server"].as_bool().unwrap_or(false),
            kube_state_metrics: value["kube_state_metrics"].as_bool().unwrap_or(false),
            autoscaler_seconds: value["autoscaler_seconds"]
                .as_u64()
                .and_then(|seconds| u32::try_from(seconds).ok())
                .unwrap_or(default.autoscaler_seconds),
        })
    }

    pub(super) fn text(&self) -> String {
        json!({
            "metrics_server": self.metrics_server,
            "kube_state_metrics": self.kube_state_metrics,
            "autoscaler_seconds": self.autoscaler_seconds,
        })
        .to_string()
    }

    /// Adds what the command line asks for.
    pub(super) fn merge(&mut self, with: &[Extra], autoscaler_seconds: Option<u32>) {
        self.metrics_server |= with.contains(&Extra::MetricsServer);
        self.kube_state_metrics |= with.contains(&Extra::KubeStateMetrics);
        if let Some(seconds) = autoscaler_seconds {
            self.autoscaler_seconds = seconds;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Extra, Settings};

    #[test]
    fn settings_outlive_the_command_and_add_up() {
        let path = std::env::temp_dir().join(format!("settings-{}", std::process::id()));
        let mut first = Settings::default();
        first.merge(&[Extra::MetricsServer], Some(15));
        std::fs::write(&path, first.text()).unwrap();
        let mut second = Settings::load(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        second.merge(&[], None);
        assert_eq!(second, first);
        second.merge(&[Extra::KubeStateMetrics], None);
        assert!(second.metrics_server && second.kube_state_metrics);
        assert_eq!(Settings::load(&path).unwrap(), Settings::default());
    }
}
