//! A component: a process of the cluster, and how its health is asked for.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use super::layout::Node;

/// A process of the cluster.
#[derive(Debug)]
pub(super) struct Component {
    pub(super) name: String,
    pub(super) command: Command,
    /// Succeeds when the component does its work.
    pub(super) health: Command,
    /// How long it may take to end.
    pub(super) patience: Duration,
    /// The node in whose container it runs.
    pub(super) container: Option<Node>,
}

impl Component {
    pub(super) fn new(name: impl Into<String>, command: Command, health: Command) -> Self {
        Self {
            name: name.into(),
            command,
            health,
            patience: Duration::from_secs(10),
            container: None,
        }
    }

    /// One of a node's own.
    pub(super) fn of(node: Node, kind: &str, command: Command, health: Command) -> Self {
        Self {
            container: node.is_container().then_some(node),
            ..Self::new(format!("{kind}-{}", node.name()), command, health)
        }
    }

    /// Nothing, or why it is not healthy.
    pub(super) fn check(&mut self) -> Result<(), String> {
        let output = self
            .health
            .stdin(Stdio::null())
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = said.lines().map(str::trim).rfind(|line| !line.is_empty());
        Err(line.unwrap_or("no answer").to_owned())
    }
}

/// A `--flag=value` for each pair.
pub(super) fn flags<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> Vec<String> {
    pairs
        .into_iter()
        .map(|(name, value)| format!("--{name}={value}"))
        .collect()
}
