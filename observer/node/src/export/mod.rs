//! The metric families, and their text.
//!
//! [`families`] is the one table of what is exported; [`group`] sums the
//! processes that share a series; [`collector`] encodes both through
//! prometheus-client; [`text`] makes OpenMetrics and Prometheus text of it.

pub mod boards;
mod buckets;
mod cluster_families;
mod collector;
mod creators;
mod declared_families;
pub mod families;
mod family;
mod goroutine_families;
mod group;
mod label;
mod node;
mod node_families;
mod own;
mod probe_families;
mod security_families;
mod sink;
mod state_families;
mod states;
mod stops;
mod text;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use prometheus_client::registry::Registry;

pub use self::{
    family::{Family, Kind},
    group::process_name,
};
pub(crate) use self::{
    group::MAX_GROUPS,
    own::OwnProcess,
    stops::{STOP_REASONS, TRIGGERS},
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
    registry.register_collector(Box::new(collector::NodeCollector::new(
        Arc::clone(snapshot),
        own,
    )));
    let mut raw = String::new();
    prometheus_client::encoding::text::encode(&mut raw, &registry)?;
    Ok(text::finish(&raw, format))
}
