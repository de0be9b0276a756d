//! How many goroutines of a process were created and ended.

use crate::SiteKind;
#[cfg(any(test, feature = "user"))]
use crate::family::{ProcessCounts, plus};

/// Goroutine counts of one process on one CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct GoroutineFigures {
    /// Goroutines created, the runtime's own included.
    pub created: u64,
    /// Goroutines ended, the runtime's own included.
    pub exited: u64,
    /// Of those created, the runtime's own (`isSystemGoroutine`).
    pub system_created: u64,
    /// Of those ended, the runtime's own.
    pub system_exited: u64,
    /// Batches of 16 goroutine ids taken.
    pub goid_refills: u64,
    /// Nanoseconds that the latest hits took, until they are charged.
    pub unpaid_ns: u64,
}

impl GoroutineFigures {
    /// No hit yet.
    pub const ZERO: Self = Self {
        created: 0,
        exited: 0,
        system_created: 0,
        system_exited: 0,
        goid_refills: 0,
        unpaid_ns: 0,
    };

    /// Probe hits in all.
    pub const fn hits(&self) -> u64 {
        self.created + self.exited + self.system_created + self.system_exited + self.goid_refills
    }

    /// How often sites of a kind were hit.
    pub const fn of_kind(&self, kind: SiteKind) -> u64 {
        match kind {
            SiteKind::GoroutineCreated => self.created,
            SiteKind::GoroutineExited => self.exited,
            SiteKind::SystemGoroutineCreated => self.system_created,
            SiteKind::SystemGoroutineExited => self.system_exited,
            SiteKind::GoidRefill => self.goid_refills,
            _ => 0,
        }
    }
}

#[cfg(any(test, feature = "user"))]
impl ProcessCounts for GoroutineFigures {
    fn add(&mut self, more: &Self) {
        let Self {
            created,
            exited,
            system_created,
            system_exited,
            goid_refills,
            unpaid_ns,
        } = self;
        plus(created, more.created);
        plus(exited, more.exited);
        plus(system_created, more.system_created);
        plus(system_exited, more.system_exited);
        plus(goid_refills, more.goid_refills);
        plus(unpaid_ns, more.unpaid_ns);
    }

    fn hits(&self) -> u64 {
        Self::hits(self)
    }
}

#[cfg(feature = "user")]
// SAFETY: `repr(C)`, only integers and no padding, as `padding.rs` checks.
unsafe impl aya::Pod for GoroutineFigures {}
