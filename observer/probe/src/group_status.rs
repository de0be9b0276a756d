//! How a target's probes stand.

use std::collections::BTreeMap;

use observer_ebpf::ProbeGroup;
use observer_go::binary::Site;

/// What [`Probes::attach`](crate::Probes::attach) achieved.
#[derive(Clone, Debug, Default)]
pub struct Attached {
    /// Sites the kernel refused, and why.
    pub refused: Vec<(Site, String)>,
    /// How each group of probes stands that the file has sites of.
    pub groups: BTreeMap<ProbeGroup, GroupStatus>,
}

/// How one group of a target's probes stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupStatus {
    /// How many sites it has that the kernel takes.
    pub sites: usize,
    /// Since when its probes are live (CLOCK_MONOTONIC, nanoseconds); `None`
    /// while they are off.
    pub since_ns: Option<u64>,
}

impl GroupStatus {
    /// Whether a program that began then was seen whole by it.
    pub fn saw(self, exec: Option<u64>) -> bool {
        exec.zip(self.since_ns)
            .is_some_and(|(exec, since)| exec > since)
    }

    /// Whether its probes are set.
    pub fn is_on(self) -> bool {
        self.sites > 0 && self.since_ns.is_some()
    }
}

impl Attached {
    /// How a group stands.
    pub fn of(&self, group: ProbeGroup) -> GroupStatus {
        self.groups.get(&group).copied().unwrap_or_default()
    }

    /// The same, to be changed.
    pub fn of_mut(&mut self, group: ProbeGroup) -> &mut GroupStatus {
        self.groups.entry(group).or_default()
    }

    /// Sites with a probe now.
    pub fn sites(&self) -> usize {
        self.groups
            .values()
            .filter(|group| group.is_on())
            .map(|group| group.sites)
            .sum()
    }
}
