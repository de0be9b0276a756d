//! Whether an executable's runtime is of the release that it goes by.
//!
//! A version is a text in the file, and a vendor's build, or whoever edits it, may
//! write there what the runtime is not. The names of the runtime's functions are in
//! every executable, stripped or not, and each minor release brought some of its own
//! (`ReleaseRules::brought`). Where the names and the version disagree, the layouts of neither
//! release may be used.

use crate::release::{GoVersion, ROWS};

/// What each release brought, the oldest release first.
fn milestones() -> impl Iterator<Item = (u16, [&'static str; 3])> {
    let rows = ROWS.into_iter();
    rows.filter_map(|(minor, rules)| Some((minor, rules.brought?)))
}

/// Whether a function is one of these.
pub(super) fn wanted(name: &str) -> bool {
    milestones().any(|(_, functions)| functions.contains(&name))
}

/// Why the runtime is not of this release, if it is not. `is_there` tells of each
/// function that is [`wanted`] whether the executable has it.
pub(super) fn contradiction(release: GoVersion, is_there: impl Fn(&str) -> bool) -> Option<String> {
    milestones().find_map(|(since, functions)| {
        let mut names = functions.into_iter();
        if since > release.minor {
            let name = names.find(|name| is_there(name))?;
            Some(format!("it has {name}, which came with go1.{since}"))
        } else if names.any(&is_there) {
            None
        } else {
            let [first, second, third] = functions;
            Some(format!(
                "it has none of {first}, {second} and {third}, which came with go1.{since}"
            ))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{contradiction, milestones, wanted};
    use crate::release::GoVersion;

    fn release(minor: u16) -> GoVersion {
        GoVersion::parse(&format!("go1.{minor}.1")).expect("a version")
    }

    /// A third of what a runtime of this release has.
    fn runtime(minor: u16, third: usize) -> Vec<&'static str> {
        let until = milestones().filter(|(since, _)| *since <= minor);
        until.map(|(_, functions)| functions[third]).collect()
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
