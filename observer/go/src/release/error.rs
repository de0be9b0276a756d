//! Why a layout is not known.

use super::GoVersion;

/// Why there is no layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The release is not in the table.
    #[error(
        "the layout of go{0} is not known; known are go1.{old} to go1.{new}",
        old = GoVersion::OLDEST_MINOR,
        new = GoVersion::NEWEST_MINOR
    )]
    UnknownVersion(GoVersion),
    /// The table lacks a field that everything else needs.
    #[error("no place is known for {field} in go{version}")]
    UnknownField {
        /// For example `schedt.mnext`.
        field: &'static str,
        /// In which release.
        version: GoVersion,
    },
    /// A build that the table does not vouch for, whose binary does not tell enough.
    #[error("this build of go{version} is not in the table of layouts, and the binary {lack}")]
    NotDescribed {
        /// The release.
        version: GoVersion,
        /// What it lacks.
        lack: String,
    },
}
