//! go-observer: the Go runtime of every process on a node, seen from the kernel.
//!
//! Data goes one way, each room a step: [`discover`] → [`gobinary`], by what is
//! known of each [`release`] → [`probe`] and [`runtime`] → [`node`] → [`kube`] → [`export`] → [`serve`] / [`terminal`]; and from many
//! nodes over [`scaling`] to the [`adapter`].
//!
//! The fuzzer is given the rooms that read what strangers wrote, and no more to
//! compile.

#[cfg(not(fuzzing))]
pub mod adapter;
#[cfg(not(fuzzing))]
pub mod auth;
#[cfg(not(fuzzing))]
pub mod discover;
#[cfg(not(fuzzing))]
pub mod exclude;
#[cfg(not(fuzzing))]
pub mod export;
pub mod gobinary;
#[cfg(not(fuzzing))]
pub mod history;
#[cfg(not(fuzzing))]
pub mod inspect;
#[cfg(not(fuzzing))]
pub mod kube;
#[cfg(not(fuzzing))]
pub mod listen;
#[cfg(not(fuzzing))]
pub mod log;
#[cfg(not(fuzzing))]
pub mod node;
#[cfg(not(fuzzing))]
pub mod preconditions;
#[cfg(not(fuzzing))]
pub mod probe;
pub mod release;
pub mod runtime;
#[cfg(not(fuzzing))]
pub mod scaling;
#[cfg(not(fuzzing))]
pub mod serve;
#[cfg(not(fuzzing))]
pub mod settings;
#[cfg(not(fuzzing))]
pub mod terminal;
#[cfg(not(fuzzing))]
pub mod top;
#[cfg(not(fuzzing))]
pub mod vitals;
