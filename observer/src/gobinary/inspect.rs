//! The whole of an inspection.

use std::fs::File;

use serde::Serialize;

use super::{
    Arch, Binary, BuildMode, Figure, Gap, GoVersion, Reason, SitePlan, buildid, buildinfo,
    error::{InspectError, NotGoReason},
    functions,
    image::Image,
    locate,
    pclntab::Header,
    reader::Reader,
    sites,
};

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
    whole(Reader::file(file)?)
}

/// Inspects an executable that is in memory.
pub fn inspect_bytes(data: &[u8]) -> Result<Inspected, InspectError> {
    whole(Reader::memory(data))
}

fn whole(reader: Reader<'_>) -> Result<Inspected, InspectError> {
    let image = match Image::open(reader)? {
        Ok(image) => image,
        Err(reason) => return Ok(Inspected::NotGo(reason)),
    };
    let Some(info) = buildinfo::read(&image)? else {
        return Ok(Inspected::NotGo(NotGoReason::NoBuildInfo));
    };
    let build_mode = buildinfo::build_mode(&image, &info);
    let release = GoVersion::parse(&info.version);
    let found = locate::find(&image)?;
    let header = found.as_ref().map(|(header, _)| header);
    let plan = plan(&image, &info.version, release, build_mode, header)?;
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
        version: info.version,
    })))
}

fn plan(
    image: &Image<'_>,
    version: &str,
    release: Option<GoVersion>,
    build_mode: BuildMode,
    header: Option<&Header>,
) -> Result<SitePlan, InspectError> {
    let Some(release) = release.filter(|release| release.is_supported()) else {
        let (old, new) = (GoVersion::OLDEST_MINOR, GoVersion::NEWEST_MINOR);
        let detail = format!("{version} is none of go1.{old} to go1.{new}");
        return Ok(nothing(Reason::UnsupportedVersion, &detail));
    };
    if image.arch == Arch::Arm64 {
        let detail = "arm64 instructions are not decoded yet";
        return Ok(nothing(Reason::UnsupportedArch, detail));
    }
    if matches!(build_mode, BuildMode::CShared | BuildMode::Plugin) {
        let detail = "Go inside another program (c-shared or plugin) is not observed";
        return Ok(nothing(Reason::UnsupportedBuildMode, detail));
    }
    let Some(header) = header else {
        let detail = "neither .gopclntab nor a table that the module data points to";
        return Ok(nothing(Reason::NoFunctionTable, detail));
    };
    let wanted = |name: &str| name == LOADS_PLUGINS || sites::wanted(release, name);
    let functions = functions::collect(image, header, &wanted)?;
    if functions.iter().any(|it| it.name == LOADS_PLUGINS) {
        let detail = "it can load plugins, and their goroutines and collections run through \
                      copies of the runtime's functions that each plugin brings";
        return Ok(nothing(Reason::UnsupportedBuildMode, detail));
    }
    Ok(sites::plan(release, &functions, &|address| {
        Some(image.code(address)?.offset)
    }))
}

/// A plan without sites: every figure is left out for one reason.
fn nothing(reason: Reason, detail: &str) -> SitePlan {
    let gap = |figure| Gap {
        figure,
        reason,
        detail: detail.to_owned(),
    };
    SitePlan {
        gaps: Figure::ALL.map(gap).to_vec(),
        ..SitePlan::default()
    }
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
