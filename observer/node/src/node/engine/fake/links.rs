//! Probes on files, and the thread that takes them away, which may be busy for long.

use std::collections::{BTreeMap, BTreeSet};

use observer_ebpf::{ProbeGroup, SiteKind};
use observer_go::{binary::SitePlan, discover::FileId};

use crate::node::target::build;

/// What stands on a file for a target.
struct Carried {
    file: FileId,
    sites: BTreeMap<ProbeGroup, Vec<SiteKind>>,
    on: BTreeSet<ProbeGroup>,
}

/// Probes that were taken away, and still stand.
struct Leaving {
    target: u32,
    file: FileId,
    group: ProbeGroup,
    sites: Vec<SiteKind>,
    /// Whether they may be set again as they are.
    recallable: bool,
}

/// All probes.
#[derive(Default)]
pub(in crate::node::engine) struct Links {
    targets: BTreeMap<u32, Carried>,
    leaving: Vec<Leaving>,
    /// Whether what is taken away goes on standing for now.
    pub(in crate::node::engine) slow: bool,
    /// Why nothing is set, nor taken away.
    pub(in crate::node::engine) refused: Option<&'static str>,
}

impl Links {
    /// Sets all of a plan; how many sites each group has.
    pub(super) fn attach(
        &mut self,
        target: u32,
        file: FileId,
        plan: &SitePlan,
    ) -> BTreeMap<ProbeGroup, usize> {
        let mut sites = BTreeMap::<ProbeGroup, Vec<SiteKind>>::new();
        for site in &plan.sites {
            sites.entry(site.group()).or_default().push(site.kind);
        }
        let counts = sites.iter().map(|(group, sites)| (*group, sites.len()));
        let counts = counts.collect();
        let on = sites.keys().copied().collect();
        let was = self.targets.insert(target, Carried { file, sites, on });
        assert!(was.is_none(), "target {target} is attached already");
        counts
    }

    /// Sets a group again, or takes it away.
    pub(super) fn set_group(&mut self, target: u32, group: ProbeGroup, on: bool) {
        let carried = self.targets.get_mut(&target).expect("it is attached");
        if on {
            // Beside what still stands each hit would come twice.
            self.leaving
                .retain(|it| !it.recallable || (it.target, it.group) != (target, group));
            carried.on.insert(group);
        } else if carried.on.remove(&group) {
            self.leaving.push(Leaving {
                target,
                file: carried.file,
                group,
                sites: carried.sites.get(&group).cloned().unwrap_or_default(),
                recallable: true,
            });
        }
        self.reap();
    }

    /// Takes all of a target away.
    pub(super) fn detach(&mut self, target: u32) {
        let Some(carried) = self.targets.remove(&target) else {
            return;
        };
        for leaving in &mut self.leaving {
            leaving.recallable &= leaving.target != target;
        }
        for group in carried.on {
            self.leaving.push(Leaving {
                target,
                file: carried.file,
                group,
                sites: carried.sites.get(&group).cloned().unwrap_or_default(),
                recallable: false,
            });
        }
        self.reap();
    }

    /// What was taken away stands no more, unless that is slow.
    pub(in crate::node::engine) fn reap(&mut self) {
        if !self.slow {
            self.leaving.clear();
        }
    }

    /// The targets whose probe at a site of this kind is hit in a process that runs a
    /// file: one for each probe that stands.
    pub(super) fn hit(&self, file: FileId, kind: SiteKind) -> Vec<u32> {
        let standing = self.targets.iter().flat_map(|(target, carried)| {
            let sites = carried.on.iter().filter_map(|it| carried.sites.get(it));
            sites.map(|sites| (*target, carried.file, sites))
        });
        let leaving = self.leaving.iter();
        let leaving = leaving.map(|it| (it.target, it.file, &it.sites));
        let of_file = |(_, on, _): &(u32, FileId, _)| build(*on) == build(file);
        let mut hit = Vec::new();
        for (target, _, sites) in standing.chain(leaving).filter(of_file) {
            let of_kind = sites.iter().filter(|site| **site == kind);
            hit.extend(of_kind.map(|_| target));
        }
        hit
    }

    /// Whether any probe stands on a file.
    pub(super) fn stand_on(&self, file: FileId) -> bool {
        let kinds = SiteKind::ALL.into_iter();
        kinds
            .into_iter()
            .any(|kind| !self.hit(file, kind).is_empty())
    }
}
