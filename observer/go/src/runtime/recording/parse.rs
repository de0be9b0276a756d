//! Reads a recording from a file. Whoever made it may be anyone: it ends in time, with
//! a recording or with an error that names the line.

use std::{
    collections::HashMap,
    io::{self, BufRead as _, BufReader, Read as _},
    sync::Arc,
};

use flate2::bufread::GzDecoder;

use super::{Read, Recording, RecordingError, format, program::RecordedProgram, recorder};
use crate::release::{Arch, DwarfTypes, Field};

/// Longest text: two digits a byte, and as much for everything else.
const MOST_TEXT: usize = 4 * recorder::MOST_BYTES;
/// How gzip's files begin.
const GZIP: [u8; 2] = [0x1f, 0x8b];

impl Recording {
    /// Reads what [`Self::write`] wrote, or its text as it is.
    pub fn read(from: impl io::Read) -> Result<Self, RecordingError> {
        let mut from = BufReader::new(from);
        let mut text = Vec::new();
        let most = MOST_TEXT as u64 + 1;
        if from.fill_buf()?.starts_with(&GZIP) {
            GzDecoder::new(from).take(most).read_to_end(&mut text)?;
        } else {
            from.take(most).read_to_end(&mut text)?;
        }
        if text.len() > MOST_TEXT {
            return Err(RecordingError::TooLarge { most: MOST_TEXT });
        }
        let first = format::FIRST;
        let text = String::from_utf8(text).map_err(|_| RecordingError::NotOne { first })?;
        let mut lines = text.lines();
        if lines.next() != Some(first) {
            return Err(RecordingError::NotOne { first });
        }
        let mut parser = Parser::new();
        for (number, line) in lines.enumerate() {
            let line_number = number + 2;
            parser.line(line).map_err(|what| RecordingError::Line {
                line: line_number,
                what,
            })?;
        }
        Ok(parser.recording)
    }

    /// Whether a file that begins like this is meant to be a recording.
    pub fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(&GZIP) || bytes.starts_with(b"go-observer recording")
    }
}

struct Parser {
    recording: Recording,
    /// What was last found at each place.
    known: HashMap<(u64, usize), Arc<[u8]>>,
    /// The names of fields that a layout has.
    fields: Vec<&'static str>,
}

impl Parser {
    fn new() -> Self {
        Self {
            recording: Recording {
                program: RecordedProgram::unknown(),
                bias: 0,
                now_ns: 0,
                reads: Vec::new(),
            },
            known: HashMap::new(),
            fields: DwarfTypes::wanted(),
        }
    }

    /// Takes a line over; an error is what was expected.
    fn line(&mut self, line: &str) -> Result<(), &'static str> {
        let (word, rest) = line.split_once(' ').ok_or("a word and what it says")?;
        let recording = &mut self.recording;
        let program = &mut recording.program;
        match word {
            "version" => rest.clone_into(&mut program.version),
            "arch" => {
                let mut known = Arch::ALL.into_iter();
                let arch = known.find(|arch| arch.name() == rest);
                program.arch = arch.ok_or("amd64 or arm64")?;
            }
            "bias" => recording.bias = address(rest)?,
            "now" => recording.now_ns = rest.parse().map_err(|_| "nanoseconds")?,
            "global" => {
                let (name, at) = rest.split_once(' ').ok_or("a global and its address")?;
                let placed = program.place(name, address(at)?);
                placed.ok_or("a global that is known")?;
            }
            "field" => {
                let (name, field) = field(rest).ok_or("a field, its offset and its size")?;
                let known = self.fields.iter().find(|known| **known == name);
                // One that an older or newer observer asks for is of no use here.
                if let Some(known) = known {
                    let described = program.described.get_or_insert_default();
                    described.fields.insert(known, field);
                }
            }
            "classes" => {
                let classes = rest.split(',').map(str::parse).collect::<Result<_, _>>();
                let described = program.described.get_or_insert_default();
                described.size_classes = classes.map_err(|_| "sizes and commas")?;
            }
            "reason" => {
                let described = program.described.get_or_insert_default();
                described.wait_reasons.push(rest.to_owned());
            }
            "read" => {
                let (at, digits) = rest.split_once(' ').ok_or("an address and bytes")?;
                let address = address(at)?;
                let bytes: Arc<[u8]> = bytes(digits).ok_or("two digits for each byte")?;
                self.known
                    .insert((address, bytes.len()), Arc::clone(&bytes));
                recording.reads.push(Read { address, bytes });
            }
            "same" => {
                let (at, len) = rest.split_once(' ').ok_or("an address and a length")?;
                let address = address(at)?;
                let len = len.parse().map_err(|_| "a length")?;
                let known = self.known.get(&(address, len));
                let bytes = Arc::clone(known.ok_or("a place that was read before")?);
                recording.reads.push(Read { address, bytes });
            }
            _ => return Err("a word that this observer knows"),
        }
        Ok(())
    }
}

fn address(text: &str) -> Result<u64, &'static str> {
    let digits = text
        .strip_prefix("0x")
        .ok_or("an address such as 0x5b1ac0")?;
    u64::from_str_radix(digits, 16).map_err(|_| "an address such as 0x5b1ac0")
}

fn field(text: &str) -> Option<(&str, Field)> {
    let (rest, size) = text.rsplit_once(' ')?;
    let (name, offset) = rest.rsplit_once(' ')?;
    let (offset, size) = (offset.parse().ok()?, size.parse().ok()?);
    Some((name, Field { offset, size }))
}

fn bytes(digits: &str) -> Option<Arc<[u8]>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pair = |[high, low]: &[u8; 2]| Some(((digit(*high)? << 4) | digit(*low)?) as u8);
    let bytes: Option<Vec<u8>> = pairs.iter().map(pair).collect();
    (rest.is_empty() && !digits.is_empty()).then_some(())?;
    Some(bytes?.into())
}
