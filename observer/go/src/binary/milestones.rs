//! Whether an executable's runtime is of the release that it goes by.
//!
//! A version is a text in the file, and a vendor's build, or whoever edits it, may
//! write there what the runtime is not. The names of the runtime's functions are in
//! every executable, stripped or not. Each minor release brought some that no earlier
//! one has, that every program needs, and that are too large to be inlined. Where the
//! names and the version disagree, the layouts of neither release may be used.

use super::GoVersion;

/// Functions of package `runtime` that came with a minor release and stayed.
struct Milestone {
    minor: u16,
    functions: [&'static str; 3],
}

const fn milestone(minor: u16, functions: [&'static str; 3]) -> Milestone {
    Milestone { minor, functions }
}

/// By minor release. Read from the releases' sources and from programs built by each.
const MILESTONES: [Milestone; 10] = [
    milestone(
        18,
        [
            "runtime.gcPaceSweeper",
            "runtime.(*gcControllerState).resetLive",
            "runtime.stkobjinit",
        ],
    ),
    milestone(
        19,
        [
            "runtime.findRunnable",
            "runtime.(*gcControllerState).trigger",
            "runtime.(*gcCPULimiterState).updateLocked",
        ],
    ),
    milestone(
        20,
        [
            "runtime.deductAssistCredit",
            "runtime.pidlegetSpinning",
            "runtime.getGodebugEarly",
        ],
    ),
    milestone(
        21,
        [
            "runtime.(*unwinder).resolveInternal",
            "runtime.tracebackPCs",
            "runtime.doInit1",
        ],
    ),
    milestone(
        22,
        [
            "runtime.forEachPInternal",
            "runtime.gdestroy",
            "runtime.randinit",
        ],
    ),
    milestone(
        23,
        [
            "runtime.(*timer).modify",
            "runtime.(*timers).adjust",
            "runtime.(*timer).unlockAndRun",
        ],
    ),
    milestone(
        24,
        [
            "runtime.mallocgcLarge",
            "runtime.mallocgcSmallNoscan",
            "runtime.mallocgcSmallScanNoHeader",
        ],
    ),
    milestone(
        25,
        [
            "runtime.updateMaxProcsGoroutine",
            "runtime.globrunqgetbatch",
            "runtime.checkFinalizersAndCleanups",
        ],
    ),
    milestone(
        26,
        [
            "runtime.exitsyscallNoP",
            "runtime.(*gcControllerState).assignWaitingGCWorker",
            "runtime.allGsSnapshotSortedForGC",
        ],
    ),
    milestone(
        27,
        [
            "runtime.moduleTypelinks",
            "runtime.addModuleItabs",
            "runtime.mallocgcTinySlowPath",
        ],
    ),
];

// A minor release that is added needs its milestone.
const _: () = assert!(
    MILESTONES[0].minor == GoVersion::OLDEST_MINOR + 1
        && MILESTONES[MILESTONES.len() - 1].minor == GoVersion::NEWEST_MINOR
);

/// Whether a function is one of these.
pub(super) fn wanted(name: &str) -> bool {
    MILESTONES.iter().any(|it| it.functions.contains(&name))
}

/// Why the runtime is not of this release, if it is not. `is_there` tells of each
/// function that is [`wanted`] whether the executable has it.
pub(super) fn contradiction(release: GoVersion, is_there: impl Fn(&str) -> bool) -> Option<String> {
    MILESTONES.iter().find_map(|milestone| {
        let mut names = milestone.functions.into_iter();
        let since = milestone.minor;
        if since > release.minor {
            let name = names.find(|name| is_there(name))?;
            Some(format!("it has {name}, which came with go1.{since}"))
        } else if names.any(&is_there) {
            None
        } else {
            let [first, second, third] = milestone.functions;
            Some(format!(
                "it has none of {first}, {second} and {third}, which came with go1.{since}"
            ))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{MILESTONES, contradiction, wanted};
    use crate::release::GoVersion;

    fn release(minor: u16) -> GoVersion {
        GoVersion::parse(&format!("go1.{minor}.1")).expect("a version")
    }

    /// A third of what a runtime of this release has.
    fn runtime(minor: u16, third: usize) -> Vec<&'static str> {
        let until = MILESTONES.iter().filter(|it| it.minor <= minor);
        until.map(|it| it.functions[third]).collect()
    }

    #[test]
    fn each_release_is_itself_and_no_other() {
        for minor in GoVersion::OLDEST_MINOR..=GoVersion::NEWEST_MINOR {
            for third in 0..3 {
                let functions = runtime(minor, third);
                assert!(functions.iter().all(|it| wanted(it)));
                for called in GoVersion::OLDEST_MINOR..=GoVersion::NEWEST_MINOR {
                    let found = contradiction(release(called), |name| functions.contains(&name));
                    assert_eq!(found.is_none(), called == minor, "{minor}: {found:?}");
                }
            }
        }
    }
}
