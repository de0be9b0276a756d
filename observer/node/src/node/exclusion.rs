//! Whether a process may be observed, asked before anything of it is touched.

use std::os::fd::BorrowedFd;

use observer_go::discover::{DiscoverError, Executable, Membership};

use super::system::System;
use crate::exclude::ExclusionRules;

/// Whether a process may be observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Nobody has anything against it.
    Observe,
    /// It may not, and this is why.
    Excluded(String),
    /// Not known yet, and this is what lacks. Until then it may not.
    Unknown(String),
}

/// What those who run pods want, told by a room behind this one.
pub trait OptOut: Send {
    /// About a process there.
    fn verdict(&self, place: &Membership) -> Admission;
    /// Whether all pods were told of once.
    fn are_known(&self) -> bool;
    /// Readable when a verdict may be another than it was.
    fn changed(&self) -> BorrowedFd<'_>;
    /// Whether that was so since the last call.
    fn take_changed(&self) -> bool;
}

/// Who is not to be observed.
#[derive(Default)]
pub struct Exclusion {
    /// Of these, paths are what is looked at.
    pub rules: ExclusionRules,
    /// `None` without Kubernetes.
    pub wishes: Option<Box<dyn OptOut>>,
}

impl Exclusion {
    /// About a process that runs this, wherever it is.
    pub(super) fn verdict(
        &self,
        system: &dyn System,
        pid: u32,
        executable: &Executable,
    ) -> Result<Admission, DiscoverError> {
        if let Some(verdict) = self.by_path(executable) {
            return Ok(verdict);
        }
        match &self.wishes {
            // One look more, and only where it matters.
            Some(wishes) => Ok(wishes.verdict(&system.membership(pid)?)),
            None => Ok(Admission::Observe),
        }
    }

    /// About a process that ran this there.
    pub(super) fn verdict_there(&self, executable: &Executable, place: &Membership) -> Admission {
        let by_wish = || self.wishes.as_ref().map(|wishes| wishes.verdict(place));
        self.by_path(executable)
            .or_else(by_wish)
            .unwrap_or(Admission::Observe)
    }

    fn by_path(&self, executable: &Executable) -> Option<Admission> {
        self.rules.path(&executable.path).map(Admission::Excluded)
    }

    /// Whether nothing lacks that every verdict would need.
    pub(super) fn is_ready(&self) -> bool {
        self.wishes.as_deref().is_none_or(OptOut::are_known)
    }
}
