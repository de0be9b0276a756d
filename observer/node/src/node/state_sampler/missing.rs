//! Why a process has no figures from its state.

use observer_go::{
    binary::Reason,
    discover::{self, Refusal},
    runtime::{MemoryError, StateError},
};

use crate::node::observation::CoverageGap;

/// Why there are no figures before the first sample.
pub(super) fn never() -> CoverageGap {
    CoverageGap {
        reason: Reason::NotSampled,
        detail: "the process has not been sampled, or ended before it was".to_owned(),
    }
}

/// Why there are no figures where no sample was dropped.
pub(super) fn seldom() -> CoverageGap {
    CoverageGap {
        reason: Reason::NotSampled,
        detail: "the last sample is too old to be shown: each takes so long that they are taken \
                 seldom"
            .to_owned(),
    }
}

/// Why there are none after a sample that failed.
pub(super) fn after(error: &StateError) -> CoverageGap {
    let denied = matches!(error, StateError::Memory(MemoryError::Permission { .. }));
    if let (true, Refusal::AppArmor(profile)) = (denied, discover::refusal()) {
        return CoverageGap {
            reason: Reason::Apparmor,
            detail: format!(
                "AppArmor's profile {profile} forbids the observer to read the process's memory: \
                 run it unconfined (appArmorProfile: Unconfined), or with a profile that has \
                 `ptrace (read, trace),`"
            ),
        };
    }
    CoverageGap {
        reason: reason(error),
        detail: error.to_string(),
    }
}

fn reason(error: &StateError) -> Reason {
    match error {
        StateError::Memory(MemoryError::Permission { .. }) => Reason::PermissionDenied,
        StateError::Memory(MemoryError::TooMuch { .. }) | StateError::TooMany { .. } => {
            Reason::TooMany
        }
        StateError::Memory(_) => Reason::ReadFailed,
        StateError::MissingGlobal(_) => Reason::NoGlobal,
        StateError::Unconfirmed { .. } => Reason::Unconfirmed,
        StateError::NotStarted | StateError::Replaced(_) => Reason::NotSampled,
        StateError::Contradicts { .. } => Reason::PlanesDisagree,
        StateError::Moving
        | StateError::Torn(_)
        | StateError::Implausible { .. }
        | StateError::Backwards { .. } => Reason::ImplausibleValue,
    }
}
