//! Programs with probes that a debugger is on.
//!
//! A debugger that sets a breakpoint keeps what it found there and writes that back
//! when it takes the breakpoint away. Where it found a probe's, and the probe has left
//! since, what it writes back is a trap with nobody behind it: the program dies of
//! SIGTRAP. So no probe leaves a program while it is traced.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{Probes, attach::TargetLinks, end};
use crate::discover::{self, FileId};

/// How long the end of the observer waits for tracers at most.
const LONGEST: Duration = Duration::from_secs(3600);
/// How often it looks for them.
const PACE: Duration = Duration::from_millis(100);

/// A process that is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traced {
    /// The process.
    pub pid: u32,
    /// Who traces it.
    pub tracer: u32,
}

impl Probes {
    /// A process with a target's probes that is traced. Then they must not leave.
    pub fn traced(&self, target: u32) -> Option<Traced> {
        let file = FileId::of_file(self.links.get(&target)?.file()).ok();
        let runs = |pid: u32, owner: u32| match owner {
            // No probe was hit yet.
            0 => file
                .zip(discover::executable_id(pid))
                .is_some_and(|(file, found)| identity(file) == identity(found)),
            owner => owner == target,
        };
        let processes = self.registrations().into_iter();
        processes
            .filter(|(pid, registration)| runs(*pid, registration.target))
            .find_map(|(pid, _)| {
                let tracer = discover::tracer(pid)?;
                Some(Traced { pid, tracer })
            })
    }

    /// Takes every target's probes away once nobody traces its processes. Returns what
    /// tells that the observer is asked to end once more, where it waited for that.
    pub(super) fn close_all(&mut self) -> Option<Arc<AtomicBool>> {
        let began = Instant::now();
        let mut hurry: Option<Arc<AtomicBool>> = None;
        let mut said = None;
        loop {
            let is_traced = |(pid, _): &(u32, _)| discover::tracer(*pid).is_some();
            let any = self.registrations().iter().any(is_traced);
            let mut traced = None;
            // First the files that somebody waits for: perf-event links leave one after
            // another, and not before the end of a pod's grace period where they are many.
            let wanted = self.wanted();
            let others = self.links.keys().copied();
            let others = others.filter(|target| !wanted.contains(target)).collect();
            for targets in [wanted, others] {
                let mut free = Vec::new();
                for target in targets {
                    match any.then(|| self.traced(target)).flatten() {
                        Some(found) => traced = Some(found),
                        None => free.extend(self.links.remove(&target)),
                    }
                }
                let links = free.into_iter().flat_map(TargetLinks::all);
                end::close(links.collect(), || self.renew());
            }
            let Some(traced) = traced else { return hurry };
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
                end::close(rest, || self.renew());
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

/// Which file it is, also where overlayfs shows it under another device.
fn identity(file: FileId) -> (u64, u64, i128) {
    (file.inode, file.size, file.modified_ns)
}

/// Becomes true when the observer is asked to end once more.
pub(super) fn signals() -> Arc<AtomicBool> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let asked = Arc::clone(&asked);
        // SAFETY: the handler does nothing but store a flag.
        let registered = unsafe {
            signal_hook_registry::register(signal, move || asked.store(true, Ordering::Relaxed))
        };
        if let Err(error) = registered {
            tracing::warn!(signal, %error, "cannot be asked to end at once");
        }
    }
    asked
}
