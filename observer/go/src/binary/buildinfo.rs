//! Build information: which Go built a file, from what, and how.

use super::{
    BuildMode, Module,
    elf::{ElfFile, Range},
    error::InspectError,
    file_reader::u64_at,
    scan,
};

pub(super) const MAGIC: &[u8; 14] = b"\xff Go buildinf:";
const ALIGN: u64 = 16;
const HEADER: u64 = 32;
/// Flag: strings follow the header (1.18+), rather than pointers to them.
pub(super) const INLINE: u8 = 2;
pub(super) const MAX_VERSION_BYTES: u64 = 1 << 10;
/// Enough for tens of thousands of dependencies.
const MAX_MODINFO_BYTES: u64 = 4 << 20;
/// Most bytes that are kept of a path, a version or a setting: each stays in memory
/// for as long as its build is remembered, and no honest one is as long.
const MAX_KEPT_BYTES: usize = 1 << 10;
/// Marks around the module information (cmd/go's `infoStart`, `infoEnd`).
const FRAME: usize = 16;

/// What the build information says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BuildInfo {
    pub(super) version: String,
    pub(super) path: Option<String>,
    pub(super) module: Option<Module>,
    pub(super) build_mode: Option<String>,
    /// GOEXPERIMENT, where it was set.
    pub(super) experiments: Option<String>,
}

/// Finds and reads it; `None` where the file has none.
pub(super) fn read(image: &ElfFile<'_>) -> Result<Option<BuildInfo>, InspectError> {
    if let Some(range) = image.section(".go.buildinfo") {
        return match first(image, range, false)? {
            Some(info) => Ok(Some(info)),
            None => by_segments(image),
        };
    }
    // Go's linker always makes the section: where section headers are there
    // and none of Go's is among them, the magic would be another program's,
    // embedded in this one.
    let go = |name: &str| name.contains("gopclntab") || name.starts_with(".go.");
    if !image.sections.is_empty() && !image.sections.iter().any(|section| go(&section.name)) {
        return Ok(None);
    }
    by_segments(image)
}

fn by_segments(image: &ElfFile<'_>) -> Result<Option<BuildInfo>, InspectError> {
    for segment in image.segments.iter().filter(|segment| segment.writable) {
        if let Some(info) = first(image, segment.range, true)? {
            return Ok(Some(info));
        }
    }
    Ok(None)
}

/// The first valid build information in a range. A strange version is
/// accepted only where the section's name vouches for it.
fn first(
    image: &ElfFile<'_>,
    range: Range,
    strict: bool,
) -> Result<Option<BuildInfo>, InspectError> {
    let mut result = Ok(None);
    scan::pattern(image, range, MAGIC, ALIGN, &mut |address| {
        match at(image, address) {
            Ok(info) if info.version.is_empty() => {}
            Ok(info)
                if strict
                    && !info.version.starts_with("go")
                    && !info.version.starts_with("devel") => {}
            Ok(info) => {
                result = Ok(Some(info));
                return false;
            }
            Err(error @ (InspectError::Io { .. } | InspectError::WorkExceeded { .. })) => {
                result = Err(error);
                return false;
            }
            // A damaged one is an error unless a good one follows.
            Err(error) if !strict => result = Err(error),
            Err(_) => {}
        }
        true
    })?;
    result
}

fn at(image: &ElfFile<'_>, address: u64) -> Result<BuildInfo, InspectError> {
    let header = image.bytes("the build information", address, HEADER, HEADER)?;
    let (pointer_size, flags) = (header[14], header[15]);
    let (version, modinfo) = if flags & INLINE != 0 {
        let (version, next) = inline(image, address + HEADER, MAX_VERSION_BYTES)?;
        (version, inline(image, next, MAX_MODINFO_BYTES)?.0)
    } else {
        if pointer_size != 8 || flags & 1 != 0 {
            return Err(InspectError::Malformed {
                what: "the build information's pointer size",
                value: pointer_size.into(),
            });
        }
        let version = pointed(image, address + 16, MAX_VERSION_BYTES)?;
        (version, pointed(image, address + 24, MAX_MODINFO_BYTES)?)
    };
    let Ok(version) = String::from_utf8(version) else {
        return Err(InspectError::Malformed {
            what: "the Go version",
            value: address,
        });
    };
    if version.chars().any(char::is_control) {
        return Err(InspectError::Malformed {
            what: "the Go version",
            value: address,
        });
    }
    Ok(parse(version, &modinfo))
}

/// A string behind its length as a varint; and the address after it.
fn inline(image: &ElfFile<'_>, address: u64, limit: u64) -> Result<(Vec<u8>, u64), InspectError> {
    let what = "a build information string";
    let there = image.loaded(address).map_or(0, |range| range.size).min(10);
    let bytes = image.bytes(what, address, there, 10)?;
    let (mut length, mut used) = (0_u64, 0);
    loop {
        let Some(&byte) = bytes.get(used) else {
            return Err(InspectError::Truncated {
                what,
                at: address,
                need: used as u64 + 1,
            });
        };
        if used == 9 {
            return Err(InspectError::Malformed {
                what,
                value: address,
            });
        }
        length |= u64::from(byte & 0x7f) << (7 * used);
        used += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let start = address + used as u64;
    if length == 0 {
        return Ok((Vec::new(), start));
    }
    let string = image.bytes(what, start, length, limit)?;
    Ok((string, start + length))
}

/// A string behind a pointer to its header.
fn pointed(image: &ElfFile<'_>, place: u64, limit: u64) -> Result<Vec<u8>, InspectError> {
    let what = "a build information string";
    let header = image.word(what, place)?;
    if header == 0 {
        return Ok(Vec::new());
    }
    // A program built without modules has no modinfo: the variable is zero, and
    // where it lies in .bss the file has no bytes for it.
    if image.loaded(header).is_none() && image.maps(header) {
        return Ok(Vec::new());
    }
    let mut words = image.bytes(what, header, 16, 16)?;
    if u64_at(&words, 8) == 0 {
        return Ok(Vec::new());
    }
    image.load_pointers(header, &mut words, &[0])?;
    image.bytes(what, u64_at(&words, 0), u64_at(&words, 8), limit)
}

fn parse(version: String, modinfo: &[u8]) -> BuildInfo {
    let mut info = BuildInfo {
        version,
        ..BuildInfo::default()
    };
    let framed = modinfo.len() > 2 * FRAME && modinfo[modinfo.len() - FRAME - 1] == b'\n';
    if !framed {
        return info;
    }
    let text = &modinfo[FRAME..modinfo.len() - FRAME];
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut fields = line.split(|byte| *byte == b'\t');
        match (fields.next(), fields.next()) {
            (Some(b"path"), Some(path)) => info.path = Some(kept(path)),
            (Some(b"mod"), Some(path)) => {
                info.module = Some(Module {
                    path: kept(path),
                    version: kept(fields.next().unwrap_or_default()),
                });
            }
            (Some(b"build"), Some(setting)) => {
                if let Some(mode) = setting.strip_prefix(b"-buildmode=") {
                    info.build_mode = Some(kept(mode));
                }
                if let Some(experiments) = setting.strip_prefix(b"GOEXPERIMENT=") {
                    info.experiments = Some(kept(experiments));
                }
            }
            _ => {}
        }
    }
    info
}

/// What is kept of a string that a stranger's file holds.
pub(super) fn kept(text: &[u8]) -> String {
    let cut = &text[..text.len().min(MAX_KEPT_BYTES)];
    let mut text = String::from_utf8_lossy(cut).into_owned();
    // What is no UTF-8 takes up to three times its room.
    text.truncate(text.floor_char_boundary(MAX_KEPT_BYTES));
    text.shrink_to_fit();
    text
}

/// How the file was linked: what ELF shows, and what only the build settings tell.
pub(super) fn build_mode(image: &ElfFile<'_>, info: &BuildInfo) -> BuildMode {
    match info.build_mode.as_deref() {
        Some("plugin") => BuildMode::Plugin,
        Some("c-shared" | "shared") => BuildMode::CShared,
        // `-ldflags=-extldflags=-pie` makes a PIE that the settings call exe.
        _ if !image.dynamic => BuildMode::Exe,
        Some(_) => BuildMode::Pie,
        None if image.runnable => BuildMode::Pie,
        None => BuildMode::CShared,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_lines_between_the_marks() {
        let text = "0123456789abcdefpath\texample.com/a/cmd\nmod\texample.com/a\tv1.2.3\th1:x\n\
                    dep\tb\tv1\nbuild\t-buildmode=pie\nbuild\tGOEXPERIMENT=nogreenteagc\n\
                    0123456789abcdef";
        let info = parse("go1.26.8".to_owned(), text.as_bytes());
        assert_eq!(info.path.as_deref(), Some("example.com/a/cmd"));
        let module = Module {
            path: "example.com/a".into(),
            version: "v1.2.3".into(),
        };
        assert_eq!(info.module, Some(module));
        assert_eq!(info.build_mode.as_deref(), Some("pie"));
        assert_eq!(info.experiments.as_deref(), Some("nogreenteagc"));
        assert_eq!(parse("go1.17".to_owned(), b"short").path, None);
    }

    #[test]
    fn of_what_is_endless_the_beginning_is_kept() {
        let mut text = b"0123456789abcdef".to_vec();
        for (line, filling) in [
            ("path\t", &b"a"[..]),
            ("mod\t", "\u{20ac}".as_bytes()),
            ("build\tGOEXPERIMENT=", b"\xff"),
        ] {
            text.extend(line.as_bytes());
            text.extend(filling.repeat(1 << 20));
            text.push(b'\n');
        }
        text.extend(b"0123456789abcdef");
        let info = parse("go1.26.8".to_owned(), &text);
        let module = info.module.map(|module| module.path);
        for kept in [info.path, module, info.experiments] {
            let kept = kept.expect("it is there");
            assert!((MAX_KEPT_BYTES - 3..=MAX_KEPT_BYTES).contains(&kept.len()));
            assert!(kept.capacity() <= 2 * MAX_KEPT_BYTES, "{}", kept.capacity());
        }
    }
}
