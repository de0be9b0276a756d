//! Figures whose global may turn out to be something else: they are left out
//! then, and the rest of the sample stands.

use super::{
    error::StateError,
    figures::CollectorCpu,
    invariants,
    runtime_reader::RuntimeReader,
    threads::{MOST_THREADS, OfThreads, ThreadListVersion},
    trust::{GlobalTrust, MOST_DOUBTS},
};
use crate::release::{GapReason, StateFigure, StateGap};

impl RuntimeReader {
    /// What the list of Ms tells.
    pub(super) fn threads(&mut self) -> Result<OfThreads, StateError> {
        let s = &self.layout.sched;
        let sched = self.snapshot.sched();
        let waited = s.mutex_wait.map(|field| field.of(sched));
        let lock_wait = s.lock_wait.map(|field| field.of(sched));
        let (Some(head), true) = (self.snapshot.allm(), self.follow_threads) else {
            // Up to 1.21 the Ms add nothing to it.
            return Ok(OfThreads {
                mutex_wait_ns: waited.filter(|_| lock_wait.is_none()),
                ..OfThreads::default()
            });
        };
        let version = ThreadListVersion {
            head,
            made: s.threads_made.of(sched),
            freed: s.threads_freed.of(sched),
        };
        let current = self.threads.is_current(version);
        match self.threads.update(&self.memory, &self.layout, version) {
            Ok(true) => self.threads_trust.confirmed = true,
            Ok(false) => {
                self.follow_threads = false;
                let detail = format!("more than {MOST_THREADS} threads");
                self.lose_threads(GapReason::TooManyThreads, &detail);
                return Ok(OfThreads::default());
            }
            Err(error) if self.threads_trust.confirmed => return Err(error),
            Err(_) => {
                // It was never seen to be a list of as many Ms as there are.
                self.threads_trust.doubts += 1;
                if self.threads_trust.doubts == MOST_DOUBTS {
                    self.follow_threads = false;
                    let detail = "what is at runtime.allm is no list of all threads";
                    self.lose_threads(GapReason::Unconfirmed, detail);
                }
                return Ok(OfThreads::default());
            }
        }
        if current {
            self.threads.take(self.snapshot.more());
        } else {
            self.threads.read(&self.memory)?;
        }
        let (s, sched) = (&self.layout.sched, self.snapshot.sched());
        let waited = s.mutex_wait.map(|field| field.of(sched));
        let mutex_wait = match (waited, lock_wait) {
            (Some(_), Some(_)) if self.layout.m.lock_wait.is_none() => None,
            (Some(waited), Some(freed)) => Some(
                waited
                    .wrapping_add(freed)
                    .wrapping_add(self.threads.lock_wait()),
            ),
            (waited, _) => waited,
        };
        // An M that ended meanwhile costs its sample this figure only.
        let running = self.threads.on_threads(&self.memory, &self.layout);
        Ok(OfThreads {
            extra: Some(self.threads.extra),
            mutex_wait_ns: mutex_wait,
            running: running.unwrap_or_default(),
        })
    }

    fn lose_threads(&mut self, reason: GapReason, detail: &str) {
        if self.layout.sched.goroutines_created.is_none() {
            self.lose(&[StateFigure::GoroutinesCreated], reason, detail);
        }
        self.lose(&[StateFigure::GoroutineStates], reason, detail);
        if self.layout.sched.lock_wait.is_some() {
            self.lose(&[StateFigure::MutexWait], reason, detail);
        }
    }

    fn lose(&mut self, figures: &[StateFigure], reason: GapReason, detail: &str) {
        for &figure in figures {
            if self.gaps.iter().all(|gap| gap.figure != figure) {
                self.gaps.push(StateGap {
                    figure,
                    reason,
                    detail: detail.to_owned(),
                });
            }
        }
    }

    /// As read, where it adds up; zero before the first collection.
    pub(super) fn cpu(&mut self) -> Result<Option<CollectorCpu>, StateError> {
        let Some(cpu) = self
            .read_cpu()
            .filter(|_| self.cpu_trust.doubts < MOST_DOUBTS)
        else {
            return Ok(None);
        };
        if cpu.total_ns == 0 {
            return Ok(Some(CollectorCpu::default()));
        }
        if invariants::adds_up(&cpu) {
            self.cpu_trust = GlobalTrust {
                confirmed: true,
                doubts: 0,
            };
            return Ok(Some(cpu));
        }
        self.cpu_trust.doubts += 1;
        if self.cpu_trust.doubts == MOST_DOUBTS {
            let detail = "what is at work.cpuStats does not add up";
            self.lose(&[StateFigure::CollectorCpu], GapReason::Unconfirmed, detail);
        } else if self.cpu_trust.confirmed {
            return Err(StateError::Torn("work.cpuStats"));
        }
        Ok(None)
    }

    fn read_cpu(&self) -> Option<CollectorCpu> {
        let cpu = self.layout.cpu_stats.as_ref()?;
        let bytes = self.snapshot.cpu_stats()?;
        Some(CollectorCpu {
            mark_assist_ns: cpu.assist.of(bytes),
            mark_dedicated_ns: cpu.dedicated.of(bytes),
            mark_idle_ns: cpu.idle_mark.of(bytes),
            pause_ns: cpu.pause.of(bytes),
            gc_total_ns: cpu.gc_total.of(bytes),
            scavenge_assist_ns: cpu.scavenge_assist.of(bytes),
            scavenge_background_ns: cpu.scavenge_background.of(bytes),
            scavenge_total_ns: cpu.scavenge_total.of(bytes),
            idle_ns: cpu.idle.of(bytes),
            user_ns: cpu.user.of(bytes),
            total_ns: cpu.total.of(bytes),
        })
    }
}
