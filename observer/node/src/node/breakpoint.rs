//! Whether a breakpoint stands in a process's memory.

use std::{fs::File, os::unix::fs::FileExt, time::Duration};

use observer_go::{
    discover::{self, FileId},
    runtime,
};

/// Longest that the look for a breakpoint may take.
const LONGEST: Duration = Duration::from_secs(2);

/// Whether one stands at an offset of file `id` in the memory of `pid`, which was found
/// to run it. What the process maps may be such that nobody can read it.
pub(super) fn stands(pid: u32, id: FileId, offset: u64) -> bool {
    let stands = runtime::within(LONGEST, pid, move || is_there(pid, id, offset));
    stands.unwrap_or(false)
}

fn is_there(pid: u32, id: FileId, offset: u64) -> bool {
    const INT3: u8 = 0xcc;
    // Before the maps: once another program has begun, this memory gives nothing, so
    // that no place is looked up in one program and read in another.
    let Ok(memory) = File::open(format!("/proc/{pid}/mem")) else {
        return false;
    };
    let Ok(maps) = procfs::process::Process::new(pid as i32).and_then(|process| process.maps())
    else {
        return false;
    };
    let Some(map) = maps.iter().find(|map| {
        let length = map.address.1 - map.address.0;
        map.inode == id.inode && (map.offset..map.offset.saturating_add(length)).contains(&offset)
    }) else {
        return false;
    };
    let mut byte = [0];
    let read = memory.read_exact_at(&mut byte, map.address.0 + (offset - map.offset));
    // It may have been another program's memory from the first.
    read.is_ok() && byte[0] == INT3 && discover::runs(pid, id).is_ok()
}
