//! Whether a global is what it is believed to be.

/// Reads after which a global that never looked right is given up.
pub(super) const MOST_DOUBTS: u32 = 8;

/// Whether a global was seen to be what it is believed to be.
#[derive(Debug, Default)]
pub(super) struct GlobalTrust {
    pub(super) confirmed: bool,
    pub(super) doubts: u32,
}
