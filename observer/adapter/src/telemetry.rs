//! What the adapter tells of itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use observer_node::{auth::SecurityFigures, listen::ConnectionCounters};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

type Number = Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    route: &'static str,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GroupName {
    group: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

/// Numbers of nodes, as they are when asked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Nodes {
    /// Whose observer failed when asked last.
    pub unreachable: u64,
    /// That can have none.
    pub without_observer: u64,
}

/// The adapter's own figures.
pub(crate) struct Telemetry {
    registry: Registry,
    requests: Family<Code, Counter>,
    seconds: Histogram,
    ages: Histogram,
    cache_hits: Counter,
    merged: Counter,
    nodes_asked: Family<Outcome, Counter>,
    node_seconds: Histogram,
    unreachable: Gauge,
    /// Where connections are counted.
    pub crowd: Arc<ConnectionCounters>,
    without_observer: Gauge,
    left_out: Counter,
    connections: Gauge,
    crowded_out: Counter,
    authentications: Family<Outcome, Counter>,
    authorizations: Family<Outcome, Counter>,
    handshakes_failed: Counter,
    certificate_expiry: Number,
    registered: Family<GroupName, Gauge>,
}

impl Default for Telemetry {
    fn default() -> Self {
        let latency = || Histogram::new([0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0]);
        let mut telemetry = Self {
            registry: Registry::with_prefix("observer_adapter"),
            requests: Family::default(),
            seconds: latency(),
            ages: Histogram::new([0.25, 0.5, 1.0, 1.5, 2.0, 5.0, 10.0, 30.0]),
            cache_hits: Counter::default(),
            merged: Counter::default(),
            nodes_asked: Family::default(),
            node_seconds: latency(),
            unreachable: Gauge::default(),
            crowd: Arc::default(),
            without_observer: Gauge::default(),
            left_out: Counter::default(),
            connections: Gauge::default(),
            crowded_out: Counter::default(),
            authentications: Family::default(),
            authorizations: Family::default(),
            handshakes_failed: Counter::default(),
            certificate_expiry: Number::default(),
            registered: Family::default(),
        };
        telemetry.register();
        telemetry
    }
}

impl Telemetry {
    fn register(&mut self) {
        let registry = &mut self.registry;
        let requests = self.requests.clone();
        registry.register(
            "requests",
            "Requests answered, by what they asked for and how",
            requests,
        );
        let (seconds, unit) = (self.seconds.clone(), Unit::Seconds);
        registry.register_with_unit(
            "request",
            "How long requests for values took",
            unit,
            seconds,
        );
        let (ages, unit) = (self.ages.clone(), Unit::Seconds);
        registry.register_with_unit(
            "value_age",
            "How old the figures of values were when served",
            unit,
            ages,
        );
        let hits = self.cache_hits.clone();
        registry.register(
            "node_cache_hits",
            "Nodes whose figures were fresh enough not to be asked",
            hits,
        );
        let merged = self.merged.clone();
        registry.register(
            "node_requests_merged",
            "Nodes that were being asked already",
            merged,
        );
        let asked = self.nodes_asked.clone();
        registry.register("node_requests", "Requests to observers of nodes", asked);
        let (seconds, unit) = (self.node_seconds.clone(), Unit::Seconds);
        registry.register_with_unit(
            "node_request",
            "How long observers took to answer",
            unit,
            seconds,
        );
        let unreachable = self.unreachable.clone();
        registry.register(
            "nodes_unreachable",
            "Nodes whose observer failed when asked last",
            unreachable,
        );
        let without = self.without_observer.clone();
        registry.register(
            "nodes_without_observer",
            "Nodes that can have no observer: their DaemonSet leaves them out, or their pod cannot be scheduled",
            without,
        );
        let left_out = self.left_out.clone();
        registry.register(
            "pods_left_out",
            "Pods left out of values that were served, since no observer can be on their node",
            left_out,
        );
        let connections = self.connections.clone();
        registry.register("connections", "Connections that are open", connections);
        let crowded_out = self.crowded_out.clone();
        registry.register(
            "connections_crowded_out",
            "Connections closed to let others in: strangers that had asked nothing for longest",
            crowded_out,
        );
        let found = self.authentications.clone();
        registry.register(
            "token_authentications",
            "Callers by token, known or not",
            found,
        );
        let found = self.authorizations.clone();
        registry.register("authorizations", "Decisions on what callers may", found);
        let failed = self.handshakes_failed.clone();
        registry.register(
            "tls_handshakes_failed",
            "Connections that ended before their handshake was through",
            failed,
        );
        let (expiry, unit) = (self.certificate_expiry.clone(), Unit::Seconds);
        registry.register_with_unit(
            "certificate_expiry_timestamp",
            "When the serving certificate ends",
            unit,
            expiry,
        );
        let registered = self.registered.clone();
        registry.register(
            "group_registered",
            "Whether the API server leads to the adapter for a group that it serves: 0 where another server has it",
            registered,
        );
    }

    /// A request was answered.
    pub(crate) fn answered(&self, route: &'static str, code: u16, begun: Instant) {
        self.requests.get_or_create(&Code { route, code }).inc();
        if route == "values" {
            self.seconds.observe(begun.elapsed().as_secs_f64());
        }
    }

    /// A value was found whose figures are of this age, and in which so many
    /// pods have no part.
    pub(crate) fn served(&self, age: Duration, left_out: usize) {
        self.ages.observe(age.as_secs_f64());
        self.left_out.inc_by(left_out as u64);
    }

    /// It was looked whose a group is.
    pub(crate) fn registered(&self, group: &'static str, ours: bool) {
        let gauge = self.registered.get_or_create(&GroupName { group });
        gauge.set(ours.into());
    }

    /// A node need not be asked.
    pub(crate) fn cache_hit(&self) {
        self.cache_hits.inc();
    }

    /// A node is being asked already.
    pub(crate) fn merged(&self) {
        self.merged.inc();
    }

    /// A node was asked.
    pub(crate) fn node_asked(&self, answered: bool, took: Duration) {
        let result = if answered { "success" } else { "failure" };
        self.nodes_asked.get_or_create(&Outcome { result }).inc();
        self.node_seconds.observe(took.as_secs_f64());
    }

    /// OpenMetrics text of all that.
    pub(crate) fn text(
        &self,
        nodes: Nodes,
        security: &SecurityFigures,
    ) -> Result<String, std::fmt::Error> {
        let crowd = self.crowd.read();
        self.connections.set(crowd.open as i64);
        let crowded_out = self.crowded_out.inner();
        crowded_out.store(crowd.crowded_out, Ordering::Relaxed);
        self.unreachable.set(nodes.unreachable as i64);
        self.without_observer.set(nodes.without_observer as i64);
        if let Some(guarded) = &security.guarded {
            for (family, found) in [
                (&self.authentications, guarded.authentications),
                (&self.authorizations, guarded.authorizations),
            ] {
                for (result, count) in [
                    ("positive", found.positive),
                    ("negative", found.negative),
                    ("unavailable", found.unavailable),
                ] {
                    let counter = family.get_or_create(&Outcome { result });
                    // The guard counts for itself.
                    counter.inner().store(count, Ordering::Relaxed);
                }
            }
        }
        if let Some((expiry, failures)) = security.tls {
            self.certificate_expiry.set(expiry as f64);
            let failed = self.handshakes_failed.inner();
            failed.store(failures.handshakes, Ordering::Relaxed);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
