//! Go's release numbers.

use std::fmt;

use serde::Serialize;

use super::rules::{self, ReleaseRules, rules};

/// `1.MINOR.PATCH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct GoVersion {
    /// 26 in go1.26.8.
    pub minor: u16,
    /// 8 in go1.26.8; 0 where the version has none.
    pub patch: u16,
}

impl GoVersion {
    /// The oldest minor version whose runtime is known.
    pub(crate) const OLDEST_MINOR: u16 = rules::OLDEST;
    /// The newest minor version whose runtime is known.
    pub(crate) const NEWEST_MINOR: u16 = rules::NEWEST;

    /// Reads `go1.26.8`, `go1.21rc2` (as 1.21.0), `go1.27.4 X:exp` and vendor
    /// suffixes such as `go1.22.3-fips`; `None` for `devel …` and go2.
    pub fn parse(version: &str) -> Option<Self> {
        let rest = version.strip_prefix("go1.")?;
        let (minor, rest) = digits(rest)?;
        let patch = match rest.strip_prefix('.') {
            Some(rest) => digits(rest)?.0,
            None => 0,
        };
        Some(Self { minor, patch })
    }

    /// Whether a version's text is a release as Go's own project publishes it:
    /// `go1.26.8` and `go1.17`, and nothing behind it. A release candidate, a
    /// vendor's build (`go1.22.3-fips`, `go1.21.11 (Red Hat …)`) or experiments
    /// (`go1.26.8 X:nogreenteagc`) may have another runtime.
    pub fn is_plain(version: &str) -> bool {
        let release = |rest| {
            let (_, rest) = digits(rest)?;
            let Some(patch) = rest.strip_prefix('.') else {
                return rest.is_empty().then_some(());
            };
            digits(patch).filter(|(_, rest)| rest.is_empty()).map(drop)
        };
        version.strip_prefix("go1.").and_then(release).is_some()
    }

    /// Whether this release's runtime is one of those verified.
    pub(crate) const fn is_supported(self) -> bool {
        rules(self.minor).is_some()
    }

    /// Whether a stop of the world tells how long stopping took. A release without a
    /// row is taken for the newest where it is newer, as its state is read.
    pub fn tells_stopping(self) -> bool {
        rules(self.minor.min(Self::NEWEST_MINOR)).is_some_and(ReleaseRules::tells_stopping)
    }
}

impl fmt::Display for GoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}.{}", self.minor, self.patch)
    }
}

fn digits(text: &str) -> Option<(u16, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::GoVersion;

    #[test]
    fn stopping_is_told_from_1_22_on() {
        for minor in 16..30 {
            let version = GoVersion { minor, patch: 0 };
            assert_eq!(version.tells_stopping(), minor >= 22, "{version}");
        }
    }

    #[test]
    fn reads_releases_and_refuses_the_rest() {
        let v = |minor, patch| Some(GoVersion { minor, patch });
        assert_eq!(GoVersion::parse("go1.26.8"), v(26, 8));
        assert_eq!(GoVersion::parse("go1.17"), v(17, 0));
        assert_eq!(GoVersion::parse("go1.21rc2"), v(21, 0));
        assert_eq!(GoVersion::parse("go1.27.4 X:nodwarf5"), v(27, 4));
        assert_eq!(GoVersion::parse("go1.22.3-fips"), v(22, 3));
        assert_eq!(GoVersion::parse("devel go1.28-abcdef"), None);
        assert_eq!(GoVersion::parse("go2.0"), None);
        assert_eq!(GoVersion::parse("go1."), None);
        assert_eq!(GoVersion::parse("go1.99999999"), None);
    }

    #[test]
    fn a_plain_release_has_nothing_behind_its_number() {
        for version in ["go1.17", "go1.26.8", "go1.21.0"] {
            assert!(GoVersion::is_plain(version), "{version}");
        }
        for version in [
            "go1.27rc1",
            "go1.21beta2",
            "go1.26.8 X:nogreenteagc",
            "go1.22.3-fips",
            "go1.21.11 (Red Hat 1.21.11-1.el9_4)",
            "go1.27-devel_abcdef",
            "devel go1.28-abcdef",
            "go1.",
            "go1.26.",
            "go1.26.8.1",
            "go2.0",
            "",
        ] {
            assert!(!GoVersion::is_plain(version), "{version}");
        }
    }
}
