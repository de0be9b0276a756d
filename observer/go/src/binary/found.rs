//! What was found in an executable that Go built.

use std::sync::{Arc, OnceLock};

use serde::Serialize;

use super::{coverage::Gap, globals::Globals, site::SitePlan};
use crate::release::{Arch, DwarfTypes, GoVersion, Layout};

/// An executable that Go built.
#[derive(Clone, Debug, Serialize)]
pub struct Binary {
    /// As `runtime.Version()` says it, for example `go1.26.8` or
    /// `go1.27.4 X:nodwarf5`.
    pub version: String,
    /// The release in it; `None` for development builds.
    pub release: Option<GoVersion>,
    /// Main package's path, for example `example.com/shop/cmd/server`.
    pub path: Option<String>,
    /// Main module, as path and version.
    pub module: Option<Module>,
    /// How it was linked.
    pub build_mode: BuildMode,
    /// Instruction set.
    pub arch: Arch,
    /// Whether it has no symbol table.
    pub stripped: bool,
    /// GNU build id, else Go build id, where one is there.
    pub build_id: Option<String>,
    /// Size of the file.
    pub size: u64,
    /// The function table, where it was found.
    pub pclntab: Option<FunctionTable>,
    /// Where probes may stand, and what cannot be seen and why.
    pub plan: SitePlan,
    /// Where the runtime keeps its state, and what cannot be read and why.
    pub state: StatePlan,
}

impl Binary {
    /// Whether it is loaded into other programs, and none itself.
    pub const fn is_library(&self) -> bool {
        matches!(self.build_mode, BuildMode::CShared | BuildMode::Plugin)
    }

    /// Where fields lie in this release, where that is known and any of it can
    /// be read.
    pub fn layout(&self) -> Option<Arc<Layout>> {
        self.state.globals.as_ref()?;
        let release = self.release?;
        let find = || match &self.state.described {
            Some(described) => Layout::described(release, self.arch, described),
            None => Layout::of(release, self.arch),
        };
        // One for all processes that run it.
        let layout = &self.state.layout;
        let found = layout.get_or_init(|| find().ok().map(Arc::new));
        found.clone()
    }
}

/// What is known for reading the runtime's state from a process's memory.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StatePlan {
    /// `e_entry` of the ELF header, from which a process's load bias is told.
    pub entry: u64,
    /// The runtime's globals; `None` where nothing can be read, and
    /// [`Self::gaps`] says why.
    pub globals: Option<Globals>,
    /// Where fields lie by the binary's own debug information: of a release
    /// newer than the table of layouts.
    pub described: Option<DwarfTypes>,
    /// Figures this binary cannot give.
    pub gaps: Vec<Gap>,
    /// [`Binary::layout`], made when it is first asked for.
    #[serde(skip)]
    pub(super) layout: OnceLock<Option<Arc<Layout>>>,
}

/// A module's path and version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Module {
    /// For example `example.com/shop`.
    pub path: String,
    /// For example `v1.4.2` or `(devel)`.
    pub version: String,
}

/// How the executable was linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuildMode {
    /// Fixed address.
    Exe,
    /// Position independent.
    Pie,
    /// A Go shared library for C (`-buildmode=c-shared`).
    CShared,
    /// A Go plugin.
    Plugin,
}

/// Where the function table (pclntab) is and how it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FunctionTable {
    /// Virtual address of its header.
    pub address: u64,
    /// The header's magic, for example `0xfffffff1`.
    pub magic: u32,
    /// `section .gopclntab`, `scan of .data.rel.ro`, `scan of a segment`.
    pub found_by: String,
    /// Address that function offsets count from.
    pub text_start: u64,
    /// How many functions it has.
    pub functions: u32,
}
