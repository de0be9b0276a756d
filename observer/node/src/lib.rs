//! One node: observes every Go process on it, finds out whose container each is, and
//! serves the figures.
//!
//! **In** go settings that are checked already, the loaded probes and, on a cluster, a
//! connection to the API server.
//!
//! **Out** comes a [`Snapshot`] at each interval ([`EngineHandle::start`] gives the
//! [`Snapshots`]), and a server of them ([`serve::serve`]).
//!
//! Data goes one way. `node` joins what processes, their files and their memory tell
//! with what probes counted. [`kube`] adds whose container each process is. [`export`],
//! [`history`] and [`scaling`] make figures of it, and [`serve`] hands them out.
//!
//! The adapter asks many nodes, so it takes some rooms from here: [`listen`], [`auth`],
//! the client of [`kube`], and the form of the answers, [`scaling::wire`].

pub mod auth;
pub mod exclude;
pub mod export;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
pub mod history;
pub mod kube;
pub mod listen;
pub mod liveness;
pub mod log;
mod node;
pub mod scaling;
pub mod serve;

pub use self::node::{
    Admission, Attribution, Clocks, Cluster, CostLimits, Coverage, CoverageGap, Crowded,
    Differences, EngineHandle, Environment, EventFigures, Exclusion, Figures, GoroutineProbes,
    Observation, ObserverHealth, OptOut, Pod, PodContainer, PodWatch, ProbeGroups, Snapshot,
    Snapshots, StartError, StateSample, Uncounted, WalkCounts, Walked, Walks, Workload, at_once,
};
