//! The metric families, and their text.
//!
//! [`families`] is the one table of what is exported; [`series_group`] sums the
//! processes that share a series; [`prometheus_collector`] encodes both through
//! prometheus-client; [`text`] makes OpenMetrics and Prometheus text of it.

pub mod boards;
mod buckets;
mod cluster_families;
mod creators;
mod declared_families;
pub mod families;
mod family;
mod goroutine_families;
mod label;
mod node;
mod node_families;
mod own_process;
mod probe_families;
mod prometheus_collector;
mod security_families;
mod series_group;
mod sink;
mod state_families;
mod states;
mod stop_labels;
mod text;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use prometheus_client::registry::Registry;

pub use self::{
    family::{Family, Kind},
    series_group::process_name,
};
pub(crate) use self::{
    own_process::OwnProcess,
    series_group::MAX_GROUPS,
    stop_labels::{STOP_REASONS, TRIGGERS},
    text::Format,
};
use crate::node::Snapshot;

/// The whole exposition of a snapshot.
pub(crate) fn render(
    snapshot: &Arc<Snapshot>,
    own: OwnProcess,
    format: Format,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(prometheus_collector::NodeCollector::new(
        Arc::clone(snapshot),
        own,
    )));
    let mut raw = String::new();
    prometheus_client::encoding::text::encode(&mut raw, &registry)?;
    Ok(text::finish(&raw, format))
}
