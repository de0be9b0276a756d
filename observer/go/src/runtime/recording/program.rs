//! What a recording has of the program: as much as finds the runtime's state.

use std::sync::Arc;

use super::RecordingError;
use crate::{
    binary::{
        Binary,
        globals::{Global, Globals},
    },
    release::{Arch, DwarfTypes, GoVersion, Layout},
};

/// The program whose memory was recorded.
#[derive(Clone, Debug)]
pub(super) struct RecordedProgram {
    /// As `runtime.Version()` says it, experiments included.
    pub(super) version: String,
    pub(super) arch: Arch,
    /// Where they are by the file.
    pub(super) globals: Globals,
    /// Of a build that the table of layouts does not vouch for.
    pub(super) described: Option<DwarfTypes>,
}

impl RecordedProgram {
    /// Of a binary that has globals.
    pub(super) fn of(binary: &Binary) -> Self {
        let globals = binary.state.globals.as_ref();
        Self {
            version: binary.version.clone(),
            arch: binary.arch,
            globals: globals.cloned().unwrap_or_default(),
            described: binary.state.described.clone(),
        }
    }

    /// One of which nothing is known yet.
    pub(super) fn unknown() -> Self {
        Self {
            version: String::new(),
            arch: Arch::Amd64,
            globals: Globals::default(),
            described: None,
        }
    }

    pub(super) fn layout(&self) -> Result<Arc<Layout>, RecordingError> {
        let release = GoVersion::parse(&self.version);
        let release = release.ok_or_else(|| RecordingError::Version(self.version.clone()))?;
        let layout = match &self.described {
            Some(described) => Layout::described(release, self.arch, described)?,
            None => Layout::of(release, self.arch)?,
        };
        Ok(Arc::new(layout))
    }

    /// The globals that were found, each with the word that a recording has for it.
    pub(super) fn places(&self) -> impl Iterator<Item = (&'static str, u64)> {
        // What lists them may change them; this is a copy.
        let mut globals = self.globals.clone();
        let found = slots(&mut globals).map(|(word, slot)| (word, slot.take()));
        let found = found.into_iter();
        found.filter_map(|(word, slot)| Some((word, slot?.address)))
    }

    /// Puts a global where a recording says; `None` where it has no such word.
    pub(super) fn place(&mut self, word: &str, address: u64) -> Option<()> {
        let mut slots = slots(&mut self.globals).into_iter();
        let (_, slot) = slots.find(|(known, _)| *known == word)?;
        *slot = Some(Global {
            address,
            witnesses: 0,
            found_by: "a recording".to_owned(),
        });
        Some(())
    }
}

fn slots(globals: &mut Globals) -> [(&'static str, &mut Option<Global>); 7] {
    [
        ("sched", &mut globals.sched),
        ("allgs", &mut globals.allgs),
        ("allp", &mut globals.allp),
        ("memstats", &mut globals.memstats),
        ("gcController", &mut globals.gc_controller),
        ("work.cpuStats", &mut globals.cpu_stats),
        ("allm", &mut globals.allm),
    ]
}
