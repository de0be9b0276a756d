//! What an executable tells without running: whether Go built it, which Go,
//! where the function table lies, and where probes may stand.
//!
//! A file is data from a stranger: every read is bounded, every count and
//! offset checked, and whatever is wrong is a typed error, never a panic.

mod buildid;
mod buildinfo;
mod coverage;
mod dwarf;
mod elf;
mod elf_parts;
mod error;
mod file_reader;
mod foreign;
mod found;
mod function;
mod functions;
pub mod globals;
mod inspect;
mod isa;
mod known_gaps;
mod lines;
mod locate_pclntab;
mod pclntab;
mod release_check;
mod relocations;
mod scan;
mod sections;
mod site;
mod sites;
mod symbols;

pub use coverage::{FigureGroup, Gap, Reason};
pub use error::{InspectError, NotGoReason};
pub use foreign::{Foreign, foreign};
pub use found::{Binary, BuildMode, FunctionTable, Module, StatePlan};
pub use function::FunctionCode;
pub use functions::{CodeLocation, FunctionRange, Functions};
pub use inspect::{Inspected, inspect, inspect_bytes, inspect_for};
pub use observer_ebpf::{Abi, SiteKind};
pub use site::{Site, SitePlan, Text};
