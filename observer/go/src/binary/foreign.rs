//! Go programs for other machines than are observed: what they are, for people.

use std::{fmt, fs::File, os::unix::fs::FileExt};

use memchr::memmem;

use super::buildinfo::{INLINE, MAGIC, MAX_VERSION_BYTES};

/// Read at a time, and how much of the next piece is read again.
const PIECE: usize = 1 << 20;
const OVERLAP: usize = 64;
/// No more of a file is looked through.
const MOST: u64 = 1 << 30;
/// Where the version begins, behind the magic and the flags.
const VERSION: u64 = 32;

/// A Go program that another machine runs, or another system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// What the file is.
    format: &'static str,
    /// For which instruction set, as Go calls it.
    arch: &'static str,
    /// `runtime.Version()`; `None` before Go 1.18, which puts it elsewhere.
    version: Option<String>,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.version.as_deref().unwrap_or("of an unknown version");
        write!(
            f,
            "a Go program ({version}) for {}, in {}; observed are Linux programs for amd64 and arm64",
            self.arch, self.format
        )
    }
}

/// What a file is, where it is a Go program in another form than
/// [`inspect`](super::inspect) knows.
pub fn foreign(file: &File) -> Option<Foreign> {
    let mut head = vec![0; 4096];
    let read = file.read_at(&mut head, 0).ok()?;
    head.truncate(read);
    let (format, arch) = kind(&head)?;
    let version = match find(file) {
        Some(at) => version(file, at),
        // Its build id is named at the very beginning.
        None if arch == "wasm" && memmem::find(&head, b"go:buildid").is_some() => None,
        None if arch == "wasm" && memmem::find(&head, b"go.buildid").is_some() => None,
        None => return None,
    };
    Some(Foreign {
        format,
        arch,
        version,
    })
}

fn kind(head: &[u8]) -> Option<(&'static str, &'static str)> {
    match head {
        [0x7f, b'E', b'L', b'F', class, order, ..] => {
            let machine = number(head, 18, *order == 2)? & 0xffff;
            Some(("an ELF file", elf(machine, *class == 2, *order == 2)?))
        }
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] => {
            let arch = match number(head, 4, false)? {
                0x0100_0007 => "amd64",
                0x0100_000c => "arm64",
                7 => "386",
                _ => "an unknown machine",
            };
            Some(("a Mach-O file (macOS, iOS)", arch))
        }
        // A universal file holds one program for each machine.
        [0xca, 0xfe, 0xba, 0xbe, ..] => Some(("a Mach-O file (macOS)", "several machines")),
        [b'M', b'Z', ..] => {
            let at = number(head, 0x3c, false)? as usize;
            if head.get(at..at + 4)? != b"PE\0\0" {
                return None;
            }
            let arch = match number(head, at + 4, false)? & 0xffff {
                0x8664 => "amd64",
                0xaa64 => "arm64",
                0x014c => "386",
                0x01c4 => "arm",
                _ => "an unknown machine",
            };
            Some(("a PE file (Windows)", arch))
        }
        [0, b'a', b's', b'm', ..] => Some(("a WebAssembly module", "wasm")),
        _ => None,
    }
}

/// As the System V ABI numbers machines.
fn elf(machine: u32, wide: bool, big: bool) -> Option<&'static str> {
    Some(match (machine, wide, big) {
        (3, ..) => "386",
        (8, false, true) => "mips",
        (8, false, false) => "mipsle",
        (8, true, true) => "mips64",
        (8, true, false) => "mips64le",
        (21, _, true) => "ppc64",
        (21, _, false) => "ppc64le",
        (22, ..) => "s390x",
        (40, ..) => "arm",
        (243, ..) => "riscv64",
        (258, ..) => "loong64",
        _ => return None,
    })
}

/// Four bytes, or two of a big-endian file.
fn number(bytes: &[u8], at: usize, big: bool) -> Option<u32> {
    if big {
        let two = bytes.get(at..at.checked_add(2)?)?;
        return Some(u16::from_be_bytes(two.try_into().ok()?).into());
    }
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(four.try_into().ok()?))
}

/// Where the build information begins.
fn find(file: &File) -> Option<u64> {
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    while at < MOST {
        let read = read(file, &mut piece, at);
        if let Some(found) = memmem::find(&piece[..read], MAGIC) {
            return Some(at + found as u64);
        }
        if read < PIECE {
            return None;
        }
        at += (PIECE - OVERLAP) as u64;
    }
    None
}

fn version(file: &File, at: u64) -> Option<String> {
    let mut bytes = vec![0; (VERSION + MAX_VERSION_BYTES) as usize];
    let read = read(file, &mut bytes, at);
    bytes.truncate(read);
    if bytes.get(15)? & INLINE == 0 {
        return None;
    }
    let text = bytes.get(VERSION as usize..)?;
    // No version is longer than one byte of a varint tells.
    let length = usize::from(*text.first()?);
    let text = str::from_utf8(text.get(1..1 + length)?).ok()?;
    let plain = length < 0x80 && !text.is_empty() && !text.contains(char::is_control);
    plain.then(|| text.to_owned())
}

/// As much as there is.
fn read(file: &File, into: &mut [u8], offset: u64) -> usize {
    let mut read = 0;
    while let Ok(more @ 1..) = file.read_at(&mut into[read..], offset + read as u64) {
        read += more;
    }
    read
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write};

    use super::foreign;

    fn file(parts: &[&[u8]]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        for part in parts {
            file.write_all(part).unwrap();
        }
        file
    }

    /// As Go's linker makes it since 1.18.
    fn info(version: &str) -> Vec<u8> {
        let mut info = b"\xff Go buildinf:\x08\x02".to_vec();
        info.resize(32, 0);
        info.push(version.len() as u8);
        info.extend(version.as_bytes());
        info
    }

    fn told(file: &File) -> Option<String> {
        foreign(file).map(|found| found.to_string())
    }

    #[test]
    fn what_is_for_another_machine_is_said() {
        let mut s390x = b"\x7fELF\x02\x02\x01".to_vec();
        s390x.resize(18, 0);
        s390x.extend([0, 22]);
        s390x.resize(64, 0);
        // Across the border of two pieces.
        let gap = vec![0; super::PIECE - 64 - 7];
        let text = told(&file(&[&s390x, &gap, &info("go1.26.8")])).unwrap();
        assert!(
            text.contains("(go1.26.8) for s390x, in an ELF file"),
            "{text}"
        );
        let text = told(&file(&[b"\0asm\x01\0\0\0\0\x10\x0ago:buildid"])).unwrap();
        assert!(text.contains("unknown version) for wasm"), "{text}");
    }

    #[test]
    fn what_is_no_go_program_is_none() {
        for bytes in [
            &b""[..],
            b"MZ",
            b"\x7fELF",
            b"#!/bin/sh\n",
            b"\0asm\x01\0\0\0",
        ] {
            assert_eq!(told(&file(&[bytes])), None, "{bytes:?}");
        }
        let mut far = b"MZ".to_vec();
        far.resize(0x3c, 0);
        far.extend([0xff; 8]);
        assert_eq!(told(&file(&[&far, &info("go1.26.8")])), None);
    }
}
