//! What is known of a release of Go: its number, what sets its runtime apart
//! (`rules.rs`, one row a release), where its runtime keeps which field, and what it
//! does not keep at all.
//!
//! Nothing here looks at a file or a process. The table of layouts is data
//! (`layouts.tsv`, written by `cargo xtask layouts`); of a release newer than the
//! table, a binary's own debug information says the same ([`DwarfTypes`]).
//! `docs/new-go-release.md` says how a release is added.

mod dwarf_layout;
mod error;
mod field;
mod gaps;
mod layout;
mod layout_table;
mod rules;
mod sizes;
mod types;
mod version;

use serde::Serialize;

pub use self::{
    dwarf_layout::DwarfTypes,
    error::LayoutError,
    field::Field,
    gaps::{GapReason, StateFigure, StateGap},
    layout::Layout,
    version::GoVersion,
};
pub(crate) use self::{
    field::number,
    gaps::{Found, lacking},
    rules::{ControllerShown, CpuStatsAdded, Exit, ROWS, ReleaseRules, Start, rules},
    sizes::Sizes,
    types::{Controller, HeapStats, Histogram},
};

/// Instruction set of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// x86-64.
    Amd64,
    /// 64-bit ARM.
    Arm64,
}

impl Arch {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// Its name, as Go has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}
