//! The engine's loop: what is due is done, and then what was told is heard.

use std::time::{Duration, Instant};

use observer_ebpf::{Event, EventKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{lives::Ended, state::Engine};
use crate::node::{
    kernel::KernelSide,
    read_watchdog::{Reading, Relayed},
};

/// How often everything is compared with /proc while events were missed.
const SWEEP: Duration = Duration::from_secs(5);
/// The same where there are no events at all, so that nobody tells of programs
/// that begin.
const SWEEP_WITHOUT_EVENTS: Duration = Duration::from_secs(1);
/// How often it is looked at what probes cost, at least.
const ACCOUNT: Duration = Duration::from_secs(1);
/// How long the first look at every file may hold back the first snapshot.
const FIRST_LOOK: Duration = Duration::from_secs(10);

impl Relayed for Engine {
    fn run(self: Box<Self>) {
        let mut engine = Some(self);
        while let Some(this) = engine {
            if this.stop.is_asked() {
                return;
            }
            engine = this.turn();
        }
    }

    fn given_up(&mut self, reading: Reading) {
        self.give_up(reading);
    }
}

impl Engine {
    /// Everything once. `None` where another thread goes on with the engine, or it ends.
    pub(super) fn turn(mut self: Box<Self>) -> Option<Box<Self>> {
        self.pulse.works();
        // First: they may end at any moment.
        self = self.sample_newcomers()?;
        if Instant::now() >= self.schedule.next_sweep {
            // Without it probes would stay, and who wants them back would wait.
            if self
                .probes
                .as_deref()
                .is_some_and(KernelSide::has_lost_a_thread)
            {
                tracing::error!("the thread that detaches uprobes (probe-reaper) has ended");
                return None;
            }
            self.sweep();
            let pause = match &self.probes {
                Some(_) => SWEEP,
                None => SWEEP_WITHOUT_EVENTS,
            };
            self.schedule.next_sweep = Instant::now() + pause;
        }
        let all = self.inspector.is_idle() && self.exclusion.is_ready();
        let looked = all || self.schedule.began.elapsed() > FIRST_LOOK;
        if self.schedule.first && looked {
            self.schedule.first = false;
            self.inspector.hurry_no_more();
            self.schedule.next_sample = Instant::now();
        }
        if !self.schedule.first && Instant::now() >= self.schedule.next_sample {
            self = self.sample()?;
            self.keep_ceiling();
            // A late sample is not made up for by a burst of samples.
            let next = self.schedule.next_sample + self.ceiling.interval();
            self.schedule.next_sample = next.max(Instant::now());
        }
        if self.ceiling.interval() > ACCOUNT && Instant::now() >= self.schedule.next_account {
            self.keep_budget(true);
            self.schedule.next_account = Instant::now() + ACCOUNT;
        }
        let next = self.next();
        self.pulse.rests(next);
        self.wait(next);
        self.pulse.works();
        self.events();
        self.heed();
        if self.probes.as_deref().is_some_and(KernelSide::is_wanted) {
            self.give_way();
        }
        for done in self.inspector.done() {
            self.inspected(done);
        }
        for found in self.inspector.found() {
            self.searched(found);
        }
        Some(self)
    }

    /// When there is something to be done though nothing happens.
    fn next(&self) -> Instant {
        let schedule = &self.schedule;
        let sample = if schedule.first {
            schedule.began + FIRST_LOOK
        } else {
            schedule.next_sample
        };
        let account = (self.ceiling.interval() > ACCOUNT).then_some(schedule.next_account);
        let others = [self.newcomers.due(), account, self.inspector.due()];
        let others = others.into_iter().flatten();
        others.fold(sample.min(schedule.next_sweep), Instant::min)
    }

    /// Sleeps until something happens or `until`.
    fn wait(&self, until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut fds = vec![
            PollFd::from_borrowed_fd(self.inspector.fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.stop.fd(), PollFlags::IN),
        ];
        if let Some(probes) = &self.probes {
            fds.push(PollFd::from_borrowed_fd(probes.event_fd(), PollFlags::IN));
            fds.push(PollFd::from_borrowed_fd(probes.wanted_fd(), PollFlags::IN));
        }
        if let Some(wishes) = &self.exclusion.wishes {
            fds.push(PollFd::from_borrowed_fd(wishes.changed(), PollFlags::IN));
        }
        // EINTR and the like only make the loop look once more.
        let _ = poll(&mut fds, Some(&timeout));
    }

    fn events(&mut self) {
        let events = self.probes.as_deref_mut().map(KernelSide::drain);
        for event in events.unwrap_or_default() {
            self.event(&event);
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        self.cgroups.ask(&*self.system, event);
        self.lineage.told(event, &*self.system);
        match EventKind::from_u32(event.kind) {
            Some(EventKind::Exec) => self.exec(event),
            Some(EventKind::Fork | EventKind::FirstHit) => {
                if !self.knows(event.tgid) {
                    let exec = self.execs.get(&event.tgid).copied();
                    self.look(event.tgid, exec);
                }
            }
            Some(EventKind::Exit) => {
                if self.is_outrun(event) {
                    return;
                }
                if self.processes.contains(event.tgid) {
                    self.end(event.tgid, Ended::Exited);
                } else {
                    self.left_alone.remove(event.tgid);
                    self.short_lived(event);
                }
            }
            Some(
                kind @ (EventKind::TooMuchAtOnce
                | EventKind::TooManyStops
                | EventKind::TooManySpans),
            ) => self.too_much_at_once(event, kind),
            None => {}
        }
    }
}
