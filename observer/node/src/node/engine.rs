//! The engine's thread: events in, snapshots out.

mod admission;
mod blocked_reads;
mod budget_enforcement;
mod intake;
mod libraries;
mod lives;
mod newcomer_tries;
mod newcomers;
mod probe_groups;
mod sampling;
mod schedule;
mod state;
mod stop;
mod sweep;
mod turn;
mod writers;

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use observer_probe::{LinkMode, Probes};
use tokio::sync::watch;

use self::{state::Engine, stop::Stop};
use super::{
    budget::at_once,
    creators::CreatorWalker,
    exclusion::Exclusion,
    read_watchdog::Relayed as _,
    settings::{CostLimits, Environment, GoroutineProbes},
    snapshot::Snapshots,
};
use crate::liveness::Liveness;

/// The node's observer could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A descriptor or the thread could not be made.
    #[error("cannot start the engine: {0}")]
    Engine(#[from] std::io::Error),
}

/// The running engine.
pub struct EngineHandle {
    /// Nothing comes; it closes when the engine is gone, whichever thread it ran on.
    ended: mpsc::Receiver<()>,
    stop: Arc<Stop>,
}

impl EngineHandle {
    /// Starts observing. `probes` is `None` where eBPF is not to be had; then
    /// processes are found, and none of their figures.
    pub fn start(
        interval: Duration,
        mut probes: Option<Probes>,
        environment: Environment,
        limits: CostLimits,
        exclusion: Exclusion,
        liveness: &Liveness,
    ) -> Result<(Self, Snapshots), StartError> {
        let cautious = limits.goroutine_probes == GoroutineProbes::Auto
            && at_once(limits.probe_budget).is_some()
            && (probes.as_ref()).is_some_and(|it| it.mode() == LinkMode::PerfEvent);
        if let (true, Some(probes)) = (cautious, &mut probes) {
            probes.be_cautious();
        }
        let (sender, receiver) = watch::channel(None);
        let stop = Arc::new(Stop::new()?);
        let (alive, ended) = mpsc::channel();
        let engine = Box::new(Engine {
            probes: probes.map(|probes| Box::new(probes) as _),
            cautious,
            environment,
            creators: CreatorWalker::start(limits.creators, receiver.clone(), liveness)?,
            exclusion,
            alive: Some(alive),
            ..Engine::new(interval, limits, sender, Arc::clone(&stop), liveness)?
        });
        thread::Builder::new()
            .name("engine".into())
            .spawn(move || engine.run())?;
        Ok((Self { ended, stop }, receiver))
    }

    /// Stops observing. The kernel takes the probes off when the process ends.
    pub fn stop(self) {
        self.stop.ask();
        // Nothing is ever sent: an error is the end of the engine.
        let _ = self.ended.recv();
    }
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
