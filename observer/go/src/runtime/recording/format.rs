//! How a file has a recording: text, one fact a line, compressed with gzip so that
//! `zcat` shows whoever is to hand it on what is in it.
//!
//! ```text
//! go-observer recording 1
//! version go1.26.8                the program's, as runtime.Version() says it
//! arch amd64
//! bias 0x0                        how far it lay from where it was linked to
//! now 81234567890                 nanoseconds, by the clock of Go's nanotime
//! global sched 0x5b1ac0           a variable of the runtime, where the linker put it
//! field schedt.goidgen 16 8       offset and size; only of builds that the table of
//! classes 0,8,16,24               layouts does not vouch for, as are these two: the
//! reason chan receive             allocator's sizes, what goroutines wait for
//! read 0x5b1ac0 00a1ff…           a place, and what was there
//! same 0x5b1ac0 5768              the place had what it had when it was last read
//! ```

use std::{
    collections::HashMap,
    io::{self, Write},
};

use flate2::{Compression, write::GzEncoder};

use super::{Read, Recording};

/// The first line.
pub(super) const FIRST: &str = "go-observer recording 1";

impl Recording {
    /// Writes it as a file has it.
    pub fn write(&self, out: impl Write) -> io::Result<()> {
        let mut out = GzEncoder::new(out, Compression::best());
        self.write_text(&mut out)?;
        out.finish()?.flush()
    }

    /// The text, not compressed.
    pub(super) fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        let program = &self.program;
        writeln!(out, "{FIRST}\nversion {}", plain(&program.version))?;
        writeln!(out, "arch {}", program.arch.name())?;
        writeln!(out, "bias {:#x}\nnow {}", self.bias, self.now_ns)?;
        for (word, address) in program.places() {
            writeln!(out, "global {word} {address:#x}")?;
        }
        if let Some(described) = &program.described {
            let mut fields: Vec<_> = described.fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| **name);
            for (name, field) in fields {
                writeln!(out, "field {name} {} {}", field.offset, field.size)?;
            }
            let classes: Vec<_> = described.size_classes.iter().map(u64::to_string).collect();
            writeln!(out, "classes {}", classes.join(","))?;
            for reason in &described.wait_reasons {
                writeln!(out, "reason {}", plain(reason))?;
            }
        }
        self.write_reads(out)
    }

    fn write_reads(&self, out: &mut impl Write) -> io::Result<()> {
        let mut known = HashMap::new();
        let mut line = String::new();
        for Read { address, bytes } in &self.reads {
            let place = (*address, bytes.len());
            let before = known.insert(place, bytes);
            if before.is_some_and(|before| before == bytes) {
                writeln!(out, "same {address:#x} {}", bytes.len())?;
                continue;
            }
            line.clear();
            for byte in bytes.iter() {
                for digit in [byte >> 4, byte & 15] {
                    line.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
                }
            }
            writeln!(out, "read {address:#x} {line}")?;
        }
        Ok(())
    }
}

/// On one line, whatever a stranger's file says.
fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '?' } else { c };
    text.chars().map(shown).collect()
}
