//! The processes that run now.

use std::{fs, io, path::PathBuf};

use super::DiscoverError;

/// Every process in /proc, kernel threads and zombies included, in order. What
/// starts while this reads may be missing; exec events tell of it.
pub fn pids() -> Result<Vec<u32>, DiscoverError> {
    let failed = |source: io::Error| DiscoverError::Read {
        path: PathBuf::from("/proc"),
        source,
    };
    let mut pids = Vec::with_capacity(512);
    for entry in fs::read_dir("/proc").map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // Threads are not listed, though /proc/TID can be opened.
        if let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        {
            pids.push(pid);
        }
    }
    pids.sort_unstable();
    Ok(pids)
}
