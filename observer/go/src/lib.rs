//! What a Go program's file, its process and its memory tell.
//!
//! **In** goes an open executable ([`binary::inspect`]), or the id of a process
//! ([`discover::process`], [`runtime::RuntimeReader`]).
//!
//! **Out** comes what the file is and where probes may stand in it ([`binary::Binary`]),
//! what a process runs and in which container ([`discover::Process`]), and the Go
//! runtime's own figures as they are now ([`runtime::StateFigures`]). Whatever cannot be
//! told is named with its reason.
//!
//! [`discover`] looks at /proc. [`release`] is what is known of Go's releases, [`binary`]
//! reads files by it, and [`runtime`] reads memory by both.
//!
//! Strangers wrote all that is read here. Nothing in it may cause a panic or decide how
//! much memory is taken. This crate writes nothing anywhere.

pub mod binary;
pub mod discover;
pub mod release;
pub mod runtime;
