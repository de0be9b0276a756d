//! What the adapter tells of itself.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::auth::SecurityFigures;

type Number = Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    route: &'static str,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

/// The adapter's own figures.
pub struct Telemetry {
    registry: Registry,
    requests: Family<Code, Counter>,
    seconds: Histogram,
    ages: Histogram,
    cache_hits: Counter,
    merged: Counter,
    nodes_asked: Family<Outcome, Counter>,
    node_seconds: Histogram,
    unreachable: Gauge,
    connections: Gauge,
    crowded_out: Counter,
    authentications: Family<Outcome, Counter>,
    authorizations: Family<Outcome, Counter>,
    handshakes_failed: Counter,
    certificate_expiry: Number,
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
            connections: Gauge::default(),
            crowded_out: Counter::default(),
            authentications: Family::default(),
            authorizations: Family::default(),
            handshakes_failed: Counter::default(),
            certificate_expiry: Number::default(),
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
    }

    /// A request was answered.
    pub fn answered(&self, route: &'static str, code: u16, begun: Instant) {
        self.requests.get_or_create(&Code { route, code }).inc();
        if route == "values" {
            self.seconds.observe(begun.elapsed().as_secs_f64());
        }
    }

    /// A value was found whose figures are of this age.
    pub fn served(&self, age: Duration) {
        self.ages.observe(age.as_secs_f64());
    }

    /// A connection was opened.
    pub fn connected(&self) {
        self.connections.inc();
    }

    /// A connection ended.
    pub fn disconnected(&self) {
        self.connections.dec();
    }

    /// A connection was closed to let another in.
    pub fn crowded_out(&self) {
        self.crowded_out.inc();
    }

    /// A node need not be asked.
    pub fn cache_hit(&self) {
        self.cache_hits.inc();
    }

    /// A node is being asked already.
    pub fn merged(&self) {
        self.merged.inc();
    }

    /// A node was asked.
    pub fn node_asked(&self, answered: bool, took: Duration) {
        let result = if answered { "success" } else { "failure" };
        self.nodes_asked.get_or_create(&Outcome { result }).inc();
        self.node_seconds.observe(took.as_secs_f64());
    }

    /// OpenMetrics text of all that.
    pub fn text(
        &self,
        unreachable: u64,
        security: &SecurityFigures,
    ) -> Result<String, std::fmt::Error> {
        self.unreachable.set(unreachable as i64);
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
