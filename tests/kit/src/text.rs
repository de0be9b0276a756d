//! A program's instructions in memory, held against its file.

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt as _, MetadataExt as _},
};

/// How many bytes of what a process executes from its own file are others than
/// the file's: each breakpoint is one. `None` once it is gone.
pub fn changed(pid: u32) -> Option<usize> {
    changes(pid).map(|changes| changes.len())
}

/// Where in its file those bytes are.
pub fn changes(pid: u32) -> Option<Vec<u64>> {
    let inode = fs::metadata(format!("/proc/{pid}/exe")).ok()?.ino();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    let file = File::open(format!("/proc/{pid}/exe")).ok()?;
    let mut differences = Vec::new();
    let mut compared = 0;
    for line in maps.lines() {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let [range, rights, offset, _, its, ..] = fields[..] else {
            continue;
        };
        if !rights.contains('x') || its.parse() != Ok(inode) {
            continue;
        }
        let number = |text: &str| u64::from_str_radix(text, 16).expect("a number of maps");
        let (start, end) = range.split_once('-').expect("a range of maps");
        let (start, end) = (number(start), number(end));
        let mut there = vec![0; (end - start) as usize];
        memory.read_exact_at(&mut there, start).ok()?;
        let mut here = vec![0; there.len()];
        let offset = number(offset);
        let read = read_at(&file, &mut here, offset);
        compared += read;
        let pairs = (offset..).zip(there[..read].iter().zip(&here));
        let differ = pairs.filter(|(_, (there, here))| there != here);
        differences.extend(differ.map(|(at, _)| at));
    }
    assert!(compared > 0, "process {pid} executes nothing of its file");
    Some(differences)
}

/// As much as the file has.
fn read_at(file: &File, into: &mut [u8], offset: u64) -> usize {
    let mut read = 0;
    while let Ok(more @ 1..) = file.read_at(&mut into[read..], offset + read as u64) {
        read += more;
    }
    read
}
