//! Settings that are one of a few words.

use clap::ValueEnum;

/// On, off, or as the surroundings suggest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// As the surroundings suggest.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// When every goroutine is counted by a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GoroutineProbes {
    /// Where memory does not tell as much.
    Auto,
    /// As long as the budget allows.
    Always,
}

/// Which kernel interface holds the probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Link {
    /// The best the kernel has.
    Auto,
    /// One uprobe_multi link per target.
    Multi,
    /// One perf event per site.
    Perf,
}

/// What the eBPF programs tell of themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EbpfLog {
    /// Nothing.
    Off,
    /// What they had no room for.
    Error,
    /// What they left out or could not read, too.
    Info,
    /// Everything.
    Debug,
}
