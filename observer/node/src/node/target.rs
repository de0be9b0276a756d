//! A file that processes run, and what stands on it.

use std::{path::PathBuf, sync::Arc, time::Instant};

use observer_ebpf::ProbeGroup;
use observer_go::{
    binary::{Binary, Site},
    discover::{DiscoverError, FileId, Traced},
};

use super::{
    coverage::Attachment, observation::ProbeGroups, probe_policy::ProbePolicy, system::System,
};

/// A file without its device: overlayfs shows one file of an image's layer
/// under a device of its own to each container, all else alike. The change
/// time, which nobody can set, makes a chance match of two files absurd.
pub(super) type Build = (u64, u64, i128, i128);

pub(super) fn build(id: FileId) -> Build {
    (id.inode, id.size, id.modified_ns, id.changed_ns)
}

/// A Go executable that processes run.
pub(super) struct Target {
    pub(super) binary: Arc<Binary>,
    pub(super) path: PathBuf,
    pub(super) attachment: Attachment,
    /// Which probes on goroutines its processes need.
    pub(super) need: ProbePolicy,
    /// What it was found as first.
    pub(super) file: FileId,
    /// What leads to it now.
    pub(super) files: Vec<FileId>,
    pub(super) processes: usize,
    pub(super) idle_since: Option<Instant>,
}

impl Target {
    /// Whether a group of its probes saw a program whole that began then.
    pub(super) fn saw(&self, group: ProbeGroup, exec: Option<u64>) -> bool {
        match &self.attachment {
            Attachment::Live(attached) => attached.of(group).saw(exec),
            _ => false,
        }
    }

    /// Which probes stand.
    pub(super) fn groups(&self) -> ProbeGroups {
        ProbeGroup::all()
            .filter(|group| self.carries(*group))
            .collect()
    }

    /// Whether the probes of a group stand.
    pub(super) fn carries(&self, group: ProbeGroup) -> bool {
        match &self.attachment {
            Attachment::Live(attached) => attached.of(group).is_on(),
            _ => false,
        }
    }

    /// Whether it has sites of a group that the kernel takes.
    pub(super) fn has(&self, group: ProbeGroup) -> bool {
        match &self.attachment {
            Attachment::Live(attached) => attached.of(group).sites > 0,
            _ => false,
        }
    }

    /// A process that runs the file, with its probes, and is traced: then they must
    /// not leave.
    pub(super) fn traced(&self, system: &dyn System) -> Result<Option<Traced>, DiscoverError> {
        if !matches!(self.attachment, Attachment::Live(_)) {
            return Ok(None);
        }
        let traced = system.traced(&|file| self.file.may_share_text(&file))?;
        Ok(traced.first().map(|(_, traced)| *traced))
    }

    /// A site at which its probe stands now; `None` where none does.
    pub(super) fn probed_site(&self) -> Option<&Site> {
        let Attachment::Live(attached) = &self.attachment else {
            return None;
        };
        let carries_probe = |site: &&Site| {
            let refused = |(refused, _): &(_, _)| refused == *site;
            attached.of(site.group()).is_on() && !attached.refused.iter().any(refused)
        };
        self.binary.plan.sites.iter().find(carries_probe)
    }

    /// Whether it is this file, by whatever device.
    pub(super) fn is_build(&self, id: FileId) -> bool {
        self.files.iter().any(|file| build(*file) == build(id))
    }
}
