//! Changes the variables of a program's runtime, as no program does.

use std::{fs::File, os::unix::fs::FileExt, path::Path};

use observer_go::binary::globals::Global;

use crate::builds::binary;

/// Where the runtime of a program of go1.26 keeps what tests change. It is linked to
/// be there: for executables that are not position-independent.
pub(crate) struct Variables {
    /// `allp`.
    pub(crate) allp: u64,
    /// `allgs`.
    pub(crate) allgs: u64,
    sched: u64,
    memstats: u64,
}

impl Variables {
    pub(crate) fn of(path: &Path) -> Self {
        let binary = binary(path);
        assert!(binary.version.starts_with("go1.26."), "{}", binary.version);
        let globals = binary.state.globals.as_ref().expect("its globals");
        let address = |global: &Option<Global>| global.as_ref().expect("a global").address;
        Self {
            allp: address(&globals.allp),
            allgs: address(&globals.allgs),
            sched: address(&globals.sched),
            memstats: address(&globals.memstats),
        }
    }

    /// `sched.goroutinesCreated`, eight bytes.
    pub(crate) fn created(&self) -> u64 {
        self.sched + 6864
    }

    /// `memstats.numgc`, four bytes.
    pub(crate) fn cycles(&self) -> u64 {
        self.memstats + 7680
    }

    /// `memstats.pause_total_ns`, eight bytes.
    pub(crate) fn pause_total(&self) -> u64 {
        self.memstats + 3576
    }
}

/// Writes to a process's memory.
pub(crate) fn write(pid: u32, address: u64, bytes: &[u8]) {
    let memory = memory(pid);
    memory.write_all_at(bytes, address).expect("to write to it");
}

/// Adds to a number of so many bytes, of a process in which nothing adds meanwhile.
pub(crate) fn add(pid: u32, address: u64, size: usize, by: i64) {
    let memory = memory(pid);
    let mut word = [0; 8];
    memory
        .read_exact_at(&mut word[..size], address)
        .expect("to read from it");
    let sum = u64::from_le_bytes(word).wrapping_add_signed(by);
    memory
        .write_all_at(&sum.to_le_bytes()[..size], address)
        .expect("to write to it");
}

fn memory(pid: u32) -> File {
    File::options()
        .read(true)
        .write(true)
        .open(format!("/proc/{pid}/mem"))
        .expect("its memory")
}
