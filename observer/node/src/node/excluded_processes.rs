//! Go processes that nobody touches: no probe, no look into their memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use observer_go::{
    binary::{Binary, Reason},
    discover::{Membership, Process},
};

use super::{
    coverage::left_alone,
    exclusion::Admission,
    observation::{Figures, Observation, ProbeGroups},
};

/// One of them.
pub(super) struct ExcludedProcess {
    /// When it ran its program, where that is known.
    pub(super) exec: Option<u64>,
    pub(super) observation: Arc<Observation>,
    verdict: Admission,
}

impl ExcludedProcess {
    /// Why it may not be observed, and what kind of reason that is.
    fn reason(&self) -> (Reason, &str) {
        reason(&self.verdict)
    }

    pub(super) fn is_excluded(&self) -> bool {
        self.reason().0 == Reason::Excluded
    }

    /// Whether it is held for this very reason.
    pub(super) fn is_held_for(&self, verdict: &Admission) -> bool {
        self.verdict == *verdict
    }

    pub(super) fn place(&self) -> Membership {
        place(&self.observation.process)
    }
}

/// Where a process is, as it was looked at.
pub(super) fn place(process: &Process) -> Membership {
    Membership {
        container: process.container.clone(),
        pod_uid: process.pod_uid.clone(),
    }
}

fn reason(verdict: &Admission) -> (Reason, &str) {
    match verdict {
        Admission::Excluded(why) => (Reason::Excluded, why),
        Admission::Unknown(lacks) => (Reason::PodUnknown, lacks),
        Admission::Observe => (Reason::Attaching, "it is about to be observed"),
    }
}

/// All of them, by process id.
#[derive(Default)]
pub(super) struct ExcludedProcesses(HashMap<u32, ExcludedProcess>);

impl ExcludedProcesses {
    pub(super) fn contains(&self, pid: u32) -> bool {
        self.0.contains_key(&pid)
    }

    pub(super) fn insert(
        &mut self,
        process: Process,
        binary: Arc<Binary>,
        exec: Option<u64>,
        verdict: Admission,
    ) {
        let (why, detail) = reason(&verdict);
        let observation = Arc::new(Observation {
            coverage: left_alone(why, detail),
            process: Arc::new(process),
            binary,
            library: None,
            figures: Figures::default(),
            probes: ProbeGroups::default(),
            ended: None,
            brief: false,
        });
        let alone = ExcludedProcess {
            exec,
            observation,
            verdict,
        };
        self.0.insert(alone.observation.process.pid, alone);
    }

    pub(super) fn get(&self, pid: u32) -> Option<&ExcludedProcess> {
        self.0.get(&pid)
    }

    pub(super) fn remove(&mut self, pid: u32) -> Option<ExcludedProcess> {
        self.0.remove(&pid)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &ExcludedProcess> {
        self.0.values()
    }

    /// Keeps those of which this is true.
    pub(super) fn retain(&mut self, keep: impl Fn(&Process) -> bool) {
        self.0.retain(|_, alone| keep(&alone.observation.process));
    }

    /// Puts them among those that are observed, by process id.
    pub(super) fn join(&self, observed: &mut Vec<Arc<Observation>>) {
        if self.0.is_empty() {
            return;
        }
        observed.extend(self.iter().map(|alone| Arc::clone(&alone.observation)));
        observed.sort_by_key(|it| (it.process.pid, it.process.start_ticks));
    }

    /// How many there are, by reason.
    pub(super) fn by_reason(&self) -> BTreeMap<Reason, u64> {
        let mut counts = BTreeMap::new();
        for alone in self.iter() {
            *counts.entry(alone.reason().0).or_default() += 1;
        }
        counts
    }
}
