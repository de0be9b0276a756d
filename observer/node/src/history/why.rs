//! Reasons to look at a row.

use serde::{Deserialize, Serialize};

/// A reason to look at a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    /// Which.
    pub why: Why,
    /// For people, with the figures.
    pub text: String,
}

/// Kinds of reasons to look at a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Goroutines grow while none is created faster than before.
    GoroutinesGrow,
    /// Pauses of the collector are long, or the world stands still too often.
    Pauses,
    /// The next collection is near the memory limit.
    NearLimit,
    /// Figures are missing that its release has.
    CoverageLost,
}

impl Why {
    /// For people, shortly.
    pub const fn words(self) -> &'static str {
        match self {
            Self::GoroutinesGrow => "goroutines grow",
            Self::Pauses => "pauses",
            Self::NearLimit => "near limit",
            Self::CoverageLost => "coverage lost",
        }
    }
}
