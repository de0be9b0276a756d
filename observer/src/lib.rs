//! go-observer: the Go runtime of every process on a node, seen from the kernel.
//!
//! Data goes one way, each room a step: [`discover`] → [`gobinary`] →
//! [`probe`] and [`runtime`] → [`node`] → [`kube`] → [`export`] → [`serve`] / [`terminal`]; and from many
//! nodes over [`scaling`] to the [`adapter`].

pub mod adapter;
pub mod auth;
pub mod discover;
pub mod export;
pub mod gobinary;
pub mod inspect;
pub mod kube;
pub mod node;
pub mod probe;
pub mod runtime;
pub mod scaling;
pub mod serve;
pub mod settings;
pub mod terminal;
