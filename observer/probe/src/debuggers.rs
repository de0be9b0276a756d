//! The end of the observer while debuggers are on programs with probes: it waits for
//! them. `discover::traced` says why.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use observer_go::discover::{self, FileId, Traced};

use super::{Probes, shutdown, signals::signals, target_links::TargetLinks};

/// How long the end of the observer waits for tracers at most.
const LONGEST: Duration = Duration::from_secs(3600);
/// How often it looks for them.
const PACE: Duration = Duration::from_millis(100);

impl Probes {
    /// Targets whose file a traced process runs. Their probes must not leave.
    fn traced(&self) -> HashMap<u32, Traced> {
        let targets = self.links.iter().filter_map(|(target, links)| {
            // Of an open file, and from the kernel's memory: it does not fail.
            let file = FileId::of_file(links.file()).ok()?;
            Some((*target, file))
        });
        let targets = Vec::from_iter(targets);
        // One walk over all processes for all files.
        let wanted = |file: FileId| targets.iter().any(|(_, its)| its.may_share_text(&file));
        let traced = discover::traced(wanted).unwrap_or_else(|error| {
            // Nobody could say how long to wait.
            tracing::error!(%error, "failed to look for debuggers (ptrace); ending without waiting for them");
            Vec::new()
        });
        let of_target = |(target, its): &(u32, FileId)| {
            let (_, traced) = traced.iter().find(|(file, _)| its.may_share_text(file))?;
            Some((*target, *traced))
        };
        targets.iter().filter_map(of_target).collect()
    }

    /// Takes every target's probes away once nobody traces its processes. Returns what
    /// tells that the observer is asked to end once more, where it waited for that.
    pub(super) fn close_all(&mut self) -> Option<Arc<AtomicBool>> {
        let began = Instant::now();
        let mut hurry: Option<Arc<AtomicBool>> = None;
        let mut said = None;
        loop {
            let traced = self.traced();
            // First the files that somebody waits for: perf-event links leave one after
            // another, and not before the end of a pod's grace period where they are many.
            let wanted = self.wanted();
            let others = self.links.keys().copied();
            let others = others.filter(|target| !wanted.contains(target)).collect();
            for targets in [wanted, others] {
                let mut free = Vec::new();
                for target in targets {
                    if !traced.contains_key(&target) {
                        free.extend(self.links.remove(&target));
                    }
                }
                let links = free.into_iter().flat_map(TargetLinks::all);
                shutdown::close(links.collect(), || self.renew());
            }
            // The same one each time, so that it is named once.
            let Some(traced) = traced.into_values().min_by_key(|it| it.pid) else {
                return hurry;
            };
            let asked = hurry.get_or_insert_with(signals);
            let Traced { pid, tracer } = traced;
            if asked.load(Ordering::Relaxed) || began.elapsed() >= LONGEST {
                tracing::error!(
                    pid,
                    tracer,
                    "ending although a debugger is on a program with probes: a breakpoint that it \
                     set on a probe's instruction will kill the program"
                );
                let rest = self.links.drain().flat_map(|(_, links)| links.all());
                let rest = rest.collect();
                shutdown::close(rest, || self.renew());
                return hurry;
            }
            if said.replace(traced) != Some(traced) {
                tracing::warn!(
                    pid,
                    tracer,
                    longest = ?LONGEST,
                    "waiting for the debugger to leave this program before its probes do; another \
                     SIGINT or SIGTERM ends at once"
                );
            }
            thread::sleep(PACE);
            self.renew();
        }
    }
}
