//! Who created the goroutines of each process: what walks over them have found.

use std::{collections::HashMap, sync::Arc};

use observer_go::{
    discover::{Process, ProgramRun},
    runtime::SourceLocation,
};

#[cfg(any(test, feature = "fixtures"))]
use super::observation::Observation;

/// What a walk that reached the end found.
#[derive(Clone, Debug)]
pub struct Walked {
    /// Those that created most, and how many live.
    pub creators: Vec<(SourceLocation, u64)>,
    /// Goroutines of all the others.
    pub other: u64,
    /// How many creators may be named.
    pub most: usize,
}

/// How walks ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct WalkCounts {
    /// At the last goroutine.
    pub complete: u64,
    /// At the time limit: what they found is not shown.
    pub cut_short: u64,
    /// The memory could not be read, or the process was gone.
    pub failed: u64,
}

/// What is known of every process that was walked over lately.
#[derive(Clone, Debug, Default)]
pub struct Walks {
    pub(super) found: HashMap<ProgramRun, Arc<Walked>>,
    /// `None` where nobody asked for walks.
    pub counts: Option<WalkCounts>,
}

impl Walks {
    /// As if these processes had been walked over.
    #[cfg(any(test, feature = "fixtures"))]
    pub(crate) fn over(processes: &[Observation], walked: &Walked) -> Self {
        let found =
            |process: &Observation| (process.process.program_run(), Arc::new(walked.clone()));
        Self {
            found: processes.iter().map(found).collect(),
            counts: Some(WalkCounts {
                complete: processes.len() as u64,
                ..WalkCounts::default()
            }),
        }
    }

    /// What is known of a process.
    pub fn of(&self, process: &Process) -> Option<&Walked> {
        self.found.get(&process.program_run()).map(AsRef::as_ref)
    }
}
