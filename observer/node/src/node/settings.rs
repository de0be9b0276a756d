//! What the engine is started with.

use observer_ebpf::family::Selection;
use observer_probe::{Features, HitCost};

use super::clocks::Clocks;

/// When probes on every goroutine are to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoroutineProbes {
    /// Where a process's state does not tell as much.
    Auto,
    /// As long as the budget allows.
    Always,
}

/// What observing may cost.
#[derive(Clone, Copy, Debug)]
pub struct CostLimits {
    /// Percent of one CPU that probes may take from a process.
    pub probe_budget: f64,
    /// Percent of one core that the observer may take.
    pub cpu_ceiling: f64,
    /// What a probe hit costs.
    pub price: HitCost,
    /// When probes on every goroutine are to be set.
    pub goroutine_probes: GoroutineProbes,
    /// How many creators of goroutines are named; 0 for no walks.
    pub creators: usize,
    /// Which families are probed.
    pub selection: Selection,
    /// How long things are left as they are.
    pub clocks: Clocks,
}

/// What the observer found where it was started.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// What it lacks, named, with what is lost by it.
    pub missing: Vec<String>,
    /// What the kernel can do.
    pub features: Features,
}
