//! `observer adapter`: the observers' figures as `custom.metrics.k8s.io`.
//!
//! **In** go requests of autoscalers, which the API server forwards, and the answers of
//! the nodes' observers.
//!
//! **Out** come lists of values, and the objects in the cluster that lead the aggregator
//! here ([`run`]).
//!
//! `api` has the words of requests and answers, and `serve` answers. `front_proxy` tells
//! who asks and whether they may. `data` finds the pods that are meant and asks the
//! observers of their nodes. `metrics` is the table of what is served. `tls_secrets`
//! keeps certificates in order, and `registration` keeps the objects that lead the
//! aggregator here.

mod api;
mod data;
#[cfg(test)]
mod fixtures;
mod front_proxy;
mod listen;
mod metrics;
mod pki;
mod reconcile;
mod registration;
mod run;
mod serve;
mod settings;
mod telemetry;
mod tls_secrets;

pub use self::{
    data::node_client::OBSERVER_NAME,
    pki::{Authority, PemPair},
    run::{ServeError, run},
    settings::AdapterSettings,
};
