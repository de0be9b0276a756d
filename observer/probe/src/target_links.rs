//! The links that a target's probes are.

use std::{collections::BTreeMap, fs::File};

use observer_ebpf::ProbeGroup;
use observer_go::binary::Site;

use super::{lease::Lease, link::Link, reaper::Ticket};

/// What came of setting probes on some sites.
pub(super) struct Links {
    /// Of the sites that the kernel took.
    pub(super) links: Vec<Link>,
    /// The sites that it refused, each with the reason.
    pub(super) refused: Vec<(Site, String)>,
}

/// One target's links.
pub(super) struct TargetLinks {
    /// Keeps writers from the file, and leads to it after its path is gone.
    pub(super) lease: Lease,
    pub(super) groups: BTreeMap<ProbeGroup, GroupLinks>,
}

/// One group of them.
#[derive(Default)]
pub(super) struct GroupLinks {
    /// None while the group is off.
    pub(super) links: Vec<Link>,
    /// Its sites that the kernel takes.
    pub(super) sites: Vec<Site>,
    /// Those that were taken away last.
    pub(super) leaving: Option<Ticket>,
}

impl TargetLinks {
    pub(super) fn of(&mut self, group: ProbeGroup) -> &mut GroupLinks {
        self.groups.entry(group).or_default()
    }

    /// The file.
    pub(super) fn file(&self) -> &File {
        self.lease.file()
    }

    /// All groups, and behind them the lease.
    pub(super) fn all(self) -> Vec<Link> {
        let Self { groups, lease } = self;
        // The dearest first.
        let groups = groups.into_values().rev();
        let links = groups.flat_map(|group| group.links);
        links.chain([Link::Lease(lease)]).collect()
    }
}
