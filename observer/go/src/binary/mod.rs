//! What an executable tells without running: whether Go built it, which Go,
//! where the function table lies, and where probes may stand.
//!
//! A file is data from a stranger: every read is bounded, every count and
//! offset checked, and whatever is wrong is a typed error, never a panic.

mod buildid;
mod buildinfo;
mod coverage;
mod dwarf;
mod error;
mod expected;
mod foreign;
mod found;
mod function;
mod functions;
pub mod globals;
mod image;
mod inspect;
mod isa;
mod lines;
mod locate;
mod milestones;
mod parts;
mod pclntab;
mod reader;
mod scan;
mod sections;
mod site;
mod sites;
mod symbols;

pub use coverage::{Figure, Gap, Reason};
pub use error::{InspectError, NotGoReason};
pub use foreign::{Foreign, foreign};
pub use found::{Binary, BuildMode, FunctionTable, Module, StatePlan};
pub use function::Function;
pub use functions::{Functions, Place, Symbol};
pub use inspect::{Inspected, inspect, inspect_bytes, inspect_for};
pub use observer_ebpf::{Abi, SiteKind};
pub use site::{Site, SitePlan, Text};
