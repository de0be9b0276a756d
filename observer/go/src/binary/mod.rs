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
mod sites;
mod symbols;

pub use coverage::{Figure, Gap, Reason};
pub use error::{InspectError, NotGoReason};
pub use foreign::{Foreign, foreign};
pub use functions::{Functions, Place, Symbol};
pub use inspect::{Inspected, inspect, inspect_bytes, inspect_for};
pub use observer_ebpf::{Abi, SiteKind};
use observer_ebpf::{Group, family::Family};
use std::sync::{Arc, OnceLock};

use serde::Serialize;

use self::globals::Globals;
use crate::release::{Arch, Described, GoVersion, Layout};

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
    pub described: Option<Described>,
    /// Figures this binary cannot give.
    pub gaps: Vec<Gap>,
    /// [`Binary::layout`], made when it is first asked for.
    #[serde(skip)]
    layout: OnceLock<Option<Arc<Layout>>>,
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

/// An instruction that a probe may stand on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Site {
    /// What a hit means.
    #[serde(serialize_with = "serialize_debug")]
    pub kind: SiteKind,
    /// The function it is in, for example `runtime.newproc1`.
    pub function: String,
    /// Virtual address in the file.
    pub address: u64,
    /// Offset in the file, which is what the kernel asks for.
    pub offset: u64,
    /// The instruction, for people.
    pub instruction: String,
    /// Whether the kernel emulates it (one trap) or single-steps it (two).
    pub emulated: bool,
    /// What one hit counts for: 16 at the goid-refill site, else 1.
    pub weight: u32,
    /// The cookie's third part: a distance, an [`Abi`] or what a span's site says, by kind.
    pub aux: i32,
    /// What the file has there, by which a probe's place is known again.
    #[serde(skip)]
    pub text: Text,
}

impl Site {
    /// Which probes its own comes and goes with.
    pub const fn group(&self) -> Group {
        Group::of(self.kind, self.aux)
    }
}

/// Some bytes of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// Where they begin in the file.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The sites chosen for a binary.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SitePlan {
    /// Everything a probe is set on.
    pub sites: Vec<Site>,
    /// Distance from `work.pauseStart` to `memstats.last_gc_nanotime` (up to 1.21).
    pub last_gc_from_pause_start: Option<i64>,
    /// Figures this binary cannot give, and why.
    pub gaps: Vec<Gap>,
}

impl SitePlan {
    /// The numbers of the declared families that were asked for, each once at least.
    pub fn declared(&self) -> impl Iterator<Item = u8> {
        let probed = self.sites.iter().map(|site| site.group().family());
        let declared = |number: &u8| Family::of(*number).is_some_and(|it| it.span().is_some());
        let lacking = self.gaps.iter().filter_map(|gap| match gap.figure {
            Figure::Declared(number) => Some(number),
            _ => None,
        });
        probed.filter(declared).chain(lacking)
    }
}

fn serialize_debug<T: std::fmt::Debug, S: serde::Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{value:?}"))
}

/// A function's machine code, as the function table delimits it.
#[derive(Clone, Debug)]
pub struct Function {
    /// For example `runtime.newproc1`. Names are not unique: an ABIInternal
    /// function and its ABI0 wrapper have the same one.
    pub name: String,
    /// Virtual address of the first instruction.
    pub address: u64,
    /// Its instructions, padding up to the next function included.
    pub code: Vec<u8>,
}
