//! By which of its mechanisms the kernel sets probes.

/// The kernel mechanism that probes are set by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkMode {
    /// One `uprobe_multi` link for a target (kernel 6.6 and newer).
    UprobeMulti,
    /// One perf-event link for each site.
    PerfEvent,
}

impl LinkMode {
    /// Its name for logs and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::UprobeMulti => "uprobe_multi",
            Self::PerfEvent => "perf_event",
        }
    }
}
