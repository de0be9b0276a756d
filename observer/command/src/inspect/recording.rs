//! Recordings: what a sample read of a process, as a file to hand on, and what such a
//! file gives.

use std::{
    fs::File,
    io::{self, BufWriter, Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, Result};
use observer_go::{
    binary::Binary,
    release::StateGap,
    runtime::{self, Recording, StateFigures, WalkLimits},
};
use observer_node::log;
use serde::Serialize;

/// What a recording gives, as it is printed.
#[derive(Serialize)]
struct Replayed<'a> {
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    figures: Option<&'a StateFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    gaps: &'a [StateGap],
}

/// Records a sample of a process, and a walk over its goroutines where asked to.
pub(super) fn record(to: &Path, pid: u32, binary: &Binary, walk: bool) -> Result<Recording> {
    let walk = walk.then(WalkLimits::default);
    let recorded = runtime::record(pid, binary, walk);
    let recorded = recorded.with_context(|| format!("cannot record process {pid}"))?;
    if let Err(error) = recorded.sampled {
        let to = to.display();
        log::say(&format!(
            "{to} will have what was read; no sample of process {pid}: {error}"
        ));
    }
    Ok(recorded.recording)
}

/// Writes it to a file that is not there yet: whoever runs this may be root, and a link
/// that a stranger has put there must lead nowhere. Only its owner may read it.
pub(super) fn write(to: &Path, recording: &Recording) -> Result<()> {
    let failed = || format!("cannot write the recording {}", to.display());
    let file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .with_context(failed)?;
    let mut out = BufWriter::new(file);
    let written = recording.write(&mut out).and_then(|()| out.flush());
    written.with_context(failed)?;
    let (reads, bytes) = recording.size();
    let to = to.display();
    log::say(&format!(
        "{to}: {reads} reads, {bytes} bytes; `zcat {to}` shows them"
    ));
    Ok(())
}

/// Whether a file is a recording.
pub(super) fn is_one(mut file: &File) -> io::Result<bool> {
    let mut first = Vec::new();
    file.take(32).read_to_end(&mut first)?;
    file.rewind()?;
    Ok(Recording::begins(&first))
}

/// Prints, as JSON, what a sample of the recorded process gives.
pub(super) fn replay(file: &File, name: &str) -> Result<String> {
    let failed = || format!("cannot replay {name}");
    let recording = Recording::read(file).with_context(failed)?;
    let mut reader = recording.reader().with_context(failed)?;
    let sampled = reader.sample();
    let replayed = Replayed {
        version: recording.version(),
        figures: sampled.as_deref().ok(),
        error: sampled.as_ref().err().map(ToString::to_string),
        gaps: reader.gaps(),
    };
    Ok(serde_json::to_string_pretty(&replayed)?)
}
