//! Why an object has no value, for those who read events of autoscalers.

use std::fmt::Write as _;

/// Nodes named in a message.
const NAMED: usize = 3;

/// The reason, of one object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoValue {
    /// The table has no such metric.
    #[error("there is no metric of this name")]
    Metric,
    /// The API server tells of no such object.
    #[error("there is no such object")]
    Object,
    /// None that counts.
    #[error("it stands for no running pod; one that is being deleted does not count")]
    Pods,
    /// All its pods are where no observer can be.
    #[error("its pods run on nodes that can have no observer: {0}")]
    Beyond(String),
    /// Of the pods that an observer can tell of something lacks, and others it can not.
    #[error("{lack}; besides, pods on nodes that can have no observer are left out: {beyond}")]
    Besides {
        /// What lacks.
        lack: Box<NoValue>,
        /// The nodes.
        beyond: String,
    },
    /// Less than all would be too little.
    #[error("the observer of node {0} gives no figures, or none that are young enough")]
    Silent(String),
    /// As before.
    #[error("node {0} has no observer yet")]
    Awaited(String),
    /// As programs of other languages, and of pods that have just begun.
    #[error(
        "no Go process is known in its containers; one that has just begun is within some intervals"
    )]
    Process,
    /// A rate needs two samples.
    #[error(
        "container {container} of pod {pod} was observed only once yet, and this figure is over a window"
    )]
    Window {
        /// The pod's name.
        pod: String,
        /// The container's.
        container: String,
    },
    /// It is left out by the node, with its reason there.
    #[error(
        "container {container} of pod {pod} lacks this figure; why says observer_process_coverage of its node"
    )]
    Figure {
        /// The pod's name.
        pod: String,
        /// The container's.
        container: String,
    },
    /// A ratio to nothing.
    #[error("what it is a share of is zero")]
    Zero,
}

impl NoValue {
    /// Of nodes, each with why.
    pub(crate) fn beyond(nodes: &[(&str, &str)]) -> Self {
        Self::Beyond(named(nodes))
    }

    /// The same, and nodes that have no part in it.
    #[must_use]
    pub(crate) fn besides(self, nodes: &[(&str, &str)]) -> Self {
        if nodes.is_empty() {
            return self;
        }
        Self::Besides {
            lack: Box::new(self),
            beyond: named(nodes),
        }
    }
}

/// Some of them, each with why.
fn named(nodes: &[(&str, &str)]) -> String {
    let named = nodes.iter().take(NAMED);
    let mut text = named
        .map(|(node, why)| format!("{node} ({why})"))
        .collect::<Vec<_>>()
        .join(", ");
    if nodes.len() > NAMED {
        // Writing to a String does not fail.
        let _ = write!(text, " and {} more", nodes.len() - NAMED);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::NoValue;

    #[test]
    fn a_message_names_some_nodes_and_counts_the_rest() {
        let one = NoValue::beyond(&[("b", "linux/arm64")]);
        let many = NoValue::beyond(&[("b", "x"), ("c", "x"), ("d", "x"), ("e", "x"), ("f", "x")]);
        assert!(one.to_string().ends_with(": b (linux/arm64)"), "{one}");
        assert!(many.to_string().ends_with("d (x) and 2 more"), "{many}");
        let both = NoValue::Process
            .besides(&[("b", "linux/arm64")])
            .to_string();
        assert!(both.starts_with("no Go process is known"), "{both}");
        assert!(both.ends_with("left out: b (linux/arm64)"), "{both}");
        assert_eq!(NoValue::Process.besides(&[]), NoValue::Process);
    }
}
