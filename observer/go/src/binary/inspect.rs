//! The whole of an inspection.

use std::fs::File;

use observer_ebpf::family::Selection;
use serde::Serialize;

use super::{
    Binary, BuildMode, FigureGroup, FunctionCode, Gap, Reason, SitePlan, StatePlan, buildid,
    buildinfo, dwarf,
    elf::ElfFile,
    error::{InspectError, NotGoReason},
    file_reader::FileReader,
    functions,
    globals::{self, Globals},
    isa::{self, InstructionSet},
    known_gaps, locate_pclntab,
    pclntab::Header,
    release_check, sites, symbols,
};
use crate::release::{self, DwarfTypes, GoVersion, Layout, LayoutError};

/// What a file turned out to be.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Inspected {
    /// Go built it.
    Go(Box<Binary>),
    /// It is no Go program that could be observed.
    NotGo(NotGoReason),
}

/// In the table only where the program can reach it: the linker drops the rest.
const LOADS_PLUGINS: &str = "plugin.open";

/// Inspects an open executable. Reads with `pread` only: the file's position
/// does not move.
pub fn inspect(file: &File) -> Result<Inspected, InspectError> {
    inspect_for(file, Selection::default())
}

/// The same, for the probes of these families.
pub fn inspect_for(file: &File, selection: Selection) -> Result<Inspected, InspectError> {
    whole(FileReader::file(file)?, selection)
}

/// Inspects an executable that is in memory.
pub fn inspect_bytes(data: &[u8]) -> Result<Inspected, InspectError> {
    whole(FileReader::memory(data), Selection::default())
}

fn whole(reader: FileReader<'_>, selection: Selection) -> Result<Inspected, InspectError> {
    let image = match ElfFile::open(reader)? {
        Ok(image) => image,
        Err(reason) => return Ok(Inspected::NotGo(reason)),
    };
    let Some(info) = buildinfo::read(&image)? else {
        let loads_libraries = image.interpreter.is_some();
        return Ok(Inspected::NotGo(NotGoReason::NoBuildInfo {
            loads_libraries,
        }));
    };
    let build_mode = buildinfo::build_mode(&image, &info);
    let release = GoVersion::parse(&info.version);
    let found = locate_pclntab::find(&image)?;
    let header = found.as_ref().map(|(header, _)| header);
    let usable = usable(&image, &info.version, release, build_mode, header);
    let (mut plan, state) = match usable {
        Ok(usable) => plans(&image, &info, &usable, selection)?,
        Err((reason, detail)) => nothing(&image, reason, &detail),
    };
    sites::explain(&mut plan, selection);
    Ok(Inspected::Go(Box::new(Binary {
        release,
        path: info.path,
        module: info.module,
        build_mode,
        arch: image.arch,
        stripped: !image.has_symbols,
        build_id: buildid::read(&image),
        size: image.reader.size(),
        pclntab: found.map(|(_, table)| table),
        plan,
        state,
        version: info.version,
    })))
}

/// What plans are made by, of an executable that can be observed.
struct Usable<'h> {
    release: GoVersion,
    header: &'h Header,
    isa: &'static dyn InstructionSet,
}

fn usable<'h>(
    image: &ElfFile<'_>,
    version: &str,
    release: Option<GoVersion>,
    build_mode: BuildMode,
    header: Option<&'h Header>,
) -> Result<Usable<'h>, (Reason, String)> {
    let known = |release: &GoVersion| release.is_supported() || Layout::is_newer(*release);
    let Some(release) = release.filter(known) else {
        return Err((Reason::UnsupportedVersion, unsupported(version)));
    };
    if matches!(build_mode, BuildMode::CShared | BuildMode::Plugin) {
        let detail = "Go inside another program (c-shared or plugin) is not observed";
        return Err((Reason::UnsupportedBuildMode, detail.to_owned()));
    }
    let Some(header) = header else {
        let detail = "neither .gopclntab nor a table that the module data points to";
        return Err((Reason::NoFunctionTable, detail.to_owned()));
    };
    Ok(Usable {
        release,
        header,
        isa: isa::of(image.arch),
    })
}

fn unsupported(version: &str) -> String {
    let (old, new) = (GoVersion::OLDEST_MINOR, GoVersion::NEWEST_MINOR);
    format!("{version} is none of go1.{old} to go1.{new}")
}

/// Why a build of a known release may have another runtime than the release.
enum Doubt {
    /// Go's own experiments, which add fields to the runtime's types and take
    /// some away; the functions stay.
    Experiments(String),
    /// A candidate, a vendor's build, or whatever calls itself so.
    Version(String),
}

impl Doubt {
    fn detail(&self) -> String {
        let (what, lack) = match self {
            Self::Experiments(experiments) => ("GOEXPERIMENT", experiments),
            Self::Version(version) => ("the version", version),
        };
        format!(
            "no plain release of Go: {what} is {lack:?}, and the file's own debug information \
             does not tell all that is read"
        )
    }
}

fn doubt(info: &buildinfo::BuildInfo) -> Option<Doubt> {
    let (version, experiments) = match info.version.split_once(" X:") {
        Some((version, experiments)) => (version, Some(experiments)),
        None => (info.version.as_str(), None),
    };
    if !GoVersion::is_plain(version) {
        return Some(Doubt::Version(info.version.clone()));
    }
    let experiments = experiments.or(info.experiments.as_deref())?;
    (!experiments.is_empty()).then(|| Doubt::Experiments(experiments.to_owned()))
}

/// Of a build that is no plain release: the state only where the file itself tells
/// how it lies. Probes stand where this very file's instructions were understood;
/// in a runtime that others may have changed, that alone proves nothing.
fn doubtful(
    image: &ElfFile<'_>,
    isa: &'static dyn InstructionSet,
    release: GoVersion,
    functions: Vec<FunctionCode>,
    doubt: &Doubt,
    selection: Selection,
) -> Result<(SitePlan, StatePlan), InspectError> {
    let described = dwarf::describe(image, &DwarfTypes::wanted())?;
    let layout = described
        .as_ref()
        .and_then(|described| Layout::described(release, image.arch, described).ok());
    let (none, no_state) = nothing(image, Reason::UnverifiedBuild, &doubt.detail());
    let described = described.zip(layout);
    if described.is_none() && matches!(doubt, Doubt::Version(_)) {
        return Ok((none, no_state));
    }
    let state = match described {
        Some((described, layout)) => state_by(image, &functions, described, &layout)?,
        None => no_state,
    };
    Ok((site_plan(image, isa, release, functions, selection), state))
}

/// Of a release that nobody has looked at yet: no probes, and the state only
/// where the binary itself tells how it lies.
fn newer(
    image: &ElfFile<'_>,
    version: &str,
    release: GoVersion,
    functions: &[FunctionCode],
) -> Result<(SitePlan, StatePlan), InspectError> {
    let (plan, none) = nothing(image, Reason::UnsupportedVersion, &unsupported(version));
    let unknown = |error: LayoutError| StatePlan {
        gaps: gaps(
            &FigureGroup::STATE,
            Reason::UnknownLayout,
            &error.to_string(),
        ),
        ..none.clone()
    };
    let Some(described) = dwarf::describe(image, &DwarfTypes::wanted())? else {
        let lack = "has no debug information that would tell where fields lie".to_owned();
        let version = release;
        return Ok((plan, unknown(LayoutError::NotDescribed { version, lack })));
    };
    let layout = match Layout::described(release, image.arch, &described) {
        Ok(layout) => layout,
        Err(error) => return Ok((plan, unknown(error))),
    };
    let state = state_by(image, functions, described, &layout)?;
    Ok((plan, state))
}

/// The state by a layout that the file itself describes.
fn state_by(
    image: &ElfFile<'_>,
    functions: &[FunctionCode],
    described: DwarfTypes,
    layout: &Layout,
) -> Result<StatePlan, InspectError> {
    let symbols = symbols::addresses(image, &globals::SYMBOLS)?;
    let fields = |name: &str| described.field(name);
    let globals = globals::find_by(layout.rules, image.arch, &fields, functions, &|name| {
        symbols.get(name).copied()
    });
    Ok(StatePlan {
        described: Some(described),
        ..planned(image, globals, layout)
    })
}

/// Where probes may stand and where the state lies: both by the instructions of a few
/// functions. Whatever the version looks like, and whatever the file describes of
/// itself, each plan is for a release, and only where the runtime is of that release.
fn plans(
    image: &ElfFile<'_>,
    info: &buildinfo::BuildInfo,
    usable: &Usable<'_>,
    selection: Selection,
) -> Result<(SitePlan, StatePlan), InspectError> {
    let Usable {
        release,
        header,
        isa,
    } = *usable;
    let functions = functions_of(image, release, header)?;
    let is_there = |name: &str| functions.iter().any(|it| it.name == name);
    if let Some(why) = release_check::contradiction(release, is_there) {
        let detail = format!("its runtime is not that of {release}: {why}");
        return Ok(nothing(image, Reason::UnverifiedBuild, &detail));
    }
    if Layout::is_newer(release) {
        return newer(image, &info.version, release, &functions);
    }
    if let Some(doubt) = doubt(info) {
        return doubtful(image, isa, release, functions, &doubt, selection);
    }
    let state = state(image, release, &functions)?;
    Ok((site_plan(image, isa, release, functions, selection), state))
}

/// All that either needs.
fn functions_of(
    image: &ElfFile<'_>,
    release: GoVersion,
    header: &Header,
) -> Result<Vec<FunctionCode>, InspectError> {
    let wanted = |name: &str| {
        name == LOADS_PLUGINS
            || release_check::wanted(name)
            || sites::wanted(release, name)
            || globals::wanted(name)
    };
    functions::collect(image, header, &wanted)
}

fn site_plan(
    image: &ElfFile<'_>,
    isa: &'static dyn InstructionSet,
    release: GoVersion,
    functions: Vec<FunctionCode>,
    selection: Selection,
) -> SitePlan {
    if functions.iter().any(|it| it.name == LOADS_PLUGINS) {
        // What plugins and their host do is all in the host's memory.
        let detail = "it can load plugins, and their goroutines and collections run through \
                      copies of the runtime's functions that each plugin brings";
        let gaps = gaps(&FigureGroup::EVENTS, Reason::UnsupportedBuildMode, detail);
        return SitePlan {
            gaps,
            ..SitePlan::default()
        };
    }
    let functions: Vec<_> = functions
        .into_iter()
        .filter(|it| sites::wanted(release, &it.name))
        .collect();
    let offset_of = |address| Some(image.code(address)?.offset);
    let mut plan = sites::plan(isa, release, &functions, &offset_of);
    sites::declare(&mut plan, isa, selection, release, &functions, &offset_of);
    plan
}

fn state(
    image: &ElfFile<'_>,
    release: GoVersion,
    functions: &[FunctionCode],
) -> Result<StatePlan, InspectError> {
    let layout = match Layout::of(release, image.arch) {
        Ok(layout) => layout,
        Err(error) => {
            return Ok(StatePlan {
                entry: image.entry,
                gaps: gaps(
                    &FigureGroup::STATE,
                    Reason::UnknownLayout,
                    &error.to_string(),
                ),
                ..StatePlan::default()
            });
        }
    };
    let symbols = symbols::addresses(image, &globals::SYMBOLS)?;
    let globals = globals::find(&layout, functions, &|name| symbols.get(name).copied());
    Ok(planned(image, globals, &layout))
}

/// What can be read from where the globals are.
fn planned(image: &ElfFile<'_>, globals: Globals, layout: &Layout) -> StatePlan {
    let expected = known_gaps::expected(&globals, layout);
    let lost = expected
        .iter()
        .find(|gap| gap.figure == release::StateFigure::State);
    let (globals, gaps) = match lost {
        Some(gap) => (
            None,
            gaps(&FigureGroup::STATE, Reason::NoGlobal, &gap.detail),
        ),
        None => (Some(globals), expected.into_iter().map(Gap::from).collect()),
    };
    StatePlan {
        entry: image.entry,
        globals,
        gaps,
        ..StatePlan::default()
    }
}

/// Plans for a binary of which nothing can be observed, for one reason.
fn nothing(image: &ElfFile<'_>, reason: Reason, detail: &str) -> (SitePlan, StatePlan) {
    let plan = SitePlan {
        gaps: gaps(&FigureGroup::EVENTS, reason, detail),
        ..SitePlan::default()
    };
    let state = StatePlan {
        entry: image.entry,
        gaps: gaps(&FigureGroup::STATE, reason, detail),
        ..StatePlan::default()
    };
    (plan, state)
}

fn gaps(figures: &[FigureGroup], reason: Reason, detail: &str) -> Vec<Gap> {
    let gap = |&figure: &FigureGroup| Gap {
        figure,
        reason,
        detail: detail.to_owned(),
    };
    figures.iter().map(gap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_elf_is_not_go() {
        for data in [&b""[..], b"#!/bin/sh\n", b"\x7fEL"] {
            assert!(matches!(
                inspect_bytes(data),
                Ok(Inspected::NotGo(NotGoReason::NotElf))
            ));
        }
    }

    #[test]
    fn a_cut_header_is_a_typed_error() {
        let error = inspect_bytes(b"\x7fELF\x02\x01\x01").err();
        assert!(matches!(error, Some(InspectError::Truncated { .. })));
    }
}
