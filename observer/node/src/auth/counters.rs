//! What the guard and the TLS side count.

use std::sync::atomic::{AtomicU64, Ordering};

/// Decisions of one kind.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    pub(super) positive: AtomicU64,
    pub(super) negative: AtomicU64,
    pub(super) unavailable: AtomicU64,
}

impl Decisions {
    fn read(&self) -> DecisionCounts {
        DecisionCounts {
            positive: self.positive.load(Ordering::Relaxed),
            negative: self.negative.load(Ordering::Relaxed),
            unavailable: self.unavailable.load(Ordering::Relaxed),
        }
    }
}

/// Counts since the start; shared by everything that serves.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) authentications: Decisions,
    pub(super) authorizations: Decisions,
    pub(super) certificate_reloads_failed: AtomicU64,
    pub(super) authority_reloads_failed: AtomicU64,
    pub(super) handshakes_failed: AtomicU64,
    /// Seconds since the epoch; 0 where nothing is served over TLS.
    pub(super) certificate_expiry_seconds: AtomicU64,
}

/// Decisions by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecisionCounts {
    /// Known, or allowed.
    pub positive: u64,
    /// Not known, or not allowed.
    pub negative: u64,
    /// The API server could not be asked.
    pub unavailable: u64,
}

/// What went wrong with certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// New serving certificates that could not be taken.
    pub certificate_reloads: u64,
    /// New client authorities that could not be taken.
    pub authority_reloads: u64,
    /// Connections that ended before the handshake was through.
    pub handshakes: u64,
}

/// The counts at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecurityFigures {
    /// Whether callers are asked who they are.
    pub guarded: Option<Guarded>,
    /// When the serving certificate ends, in seconds since the epoch, and what
    /// went wrong; none where plain HTTP is served.
    pub tls: Option<(u64, Failures)>,
}

/// What the guard decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guarded {
    /// Whether it is known who asks.
    pub authentications: DecisionCounts,
    /// Whether the user may.
    pub authorizations: DecisionCounts,
}

impl Counters {
    /// The counts now.
    pub fn read(&self, guarded: bool) -> SecurityFigures {
        let expiry = self.certificate_expiry_seconds.load(Ordering::Relaxed);
        SecurityFigures {
            guarded: guarded.then(|| Guarded {
                authentications: self.authentications.read(),
                authorizations: self.authorizations.read(),
            }),
            tls: (expiry > 0).then(|| {
                let failures = Failures {
                    certificate_reloads: self.certificate_reloads_failed.load(Ordering::Relaxed),
                    authority_reloads: self.authority_reloads_failed.load(Ordering::Relaxed),
                    handshakes: self.handshakes_failed.load(Ordering::Relaxed),
                };
                (expiry, failures)
            }),
        }
    }

    /// A connection ended before its handshake was through.
    pub(crate) fn handshake_failed(&self) {
        add(&self.handshakes_failed);
    }
}

pub(super) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
