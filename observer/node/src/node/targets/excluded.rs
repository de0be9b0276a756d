//! Files that are to carry no probes, because somebody who is not to be observed runs
//! them.

use std::time::{Duration, Instant};

use observer_ebpf::ProcessKey;
use observer_go::{binary::Reason, discover::FileId};

use super::Targets;
use crate::node::{
    coverage::Attachment,
    kernel::KernelSide,
    target::{Target, build},
};

/// How long a file carries no probes after an excluded process last ran it: the
/// next one is to find none there.
const EXCLUDED: Duration = Duration::from_hours(1);

impl Targets {
    /// An excluded process runs this file: it carries no probes from now on,
    /// whatever else runs it. The targets that have some still.
    pub(in crate::node) fn exclude(&mut self, id: FileId) -> Vec<u32> {
        self.excluded.insert(build(id), (id, Instant::now()));
        let live = |target: &Target| matches!(target.attachment, Attachment::Live(_));
        let targets = self.targets.iter();
        let targets = targets.filter(|(_, target)| target.is_build(id) && live(target));
        targets.map(|(number, _)| *number).collect()
    }

    /// Files that are to carry no probes, and have some still.
    pub(in crate::node) fn excluded_with_probes(&self) -> Vec<FileId> {
        let live = |target: &&Target| matches!(target.attachment, Attachment::Live(_));
        let ids = self.excluded.values().map(|(id, _)| *id);
        let carries = |id: &FileId| {
            let mut live = self.targets.values().filter(live);
            live.any(|target| target.is_build(*id))
        };
        ids.filter(carries).collect()
    }

    /// Takes the probes off a file for an excluded process's sake. Returns
    /// processes that the target no longer owns in the kernel.
    pub(in crate::node) fn strip(
        &mut self,
        number: u32,
        probes: Option<&mut dyn KernelSide>,
    ) -> Vec<ProcessKey> {
        let freed = probes.map(|probes| probes.release(number));
        if let Some(target) = self.targets.get_mut(&number) {
            tracing::info!(
                file = %target.path.display(),
                "an excluded process runs this file; its probes leave"
            );
            target.attachment = Attachment::shared_with_excluded();
        }
        freed.unwrap_or_default()
    }

    /// Files that no excluded process has run for long.
    pub(in crate::node) fn excluded_no_more(&self) -> Vec<FileId> {
        let old = self
            .excluded
            .values()
            .filter(|(_, at)| at.elapsed() > EXCLUDED);
        old.map(|(id, _)| *id).collect()
    }

    /// Lets a file carry probes again, unless it is one of `still`. The targets
    /// that may be attached anew.
    pub(in crate::node) fn readmit(
        &mut self,
        id: FileId,
        mut still: impl Iterator<Item = FileId>,
    ) -> Vec<u32> {
        if still.any(|file| build(file) == build(id)) {
            return Vec::new();
        }
        self.excluded.remove(&build(id));
        let lost = |target: &Target| {
            matches!(&target.attachment, Attachment::Refused(Reason::Excluded, _))
        };
        let targets = self.targets.iter();
        let targets = targets.filter(|(_, target)| target.is_build(id) && lost(target));
        targets.map(|(number, _)| *number).collect()
    }
}
