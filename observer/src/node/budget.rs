//! How much of a process its probes may take: the policy, without clocks or
//! kernels of its own.
//!
//! The probes that cost are on a file, so it is the file that loses them: one
//! of its processes above the budget is enough. They come back after a while,
//! and stay away longer each time that proves too early.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use observer_ebpf::ProcessKey;

/// Shortest time a share is taken over: shorter bursts are no load.
const WINDOW: Duration = Duration::from_secs(1);
/// Windows in a row above the budget that make it a load.
const STRIKES: u32 = 2;
/// So many times the budget is too much at once.
const TOO_MUCH: f64 = 10.0;
/// How long the probes stay away at first, and at most.
const AWAY: Duration = Duration::from_secs(60);
const AWAY_AT_MOST: Duration = Duration::from_secs(600);

/// The accounts of processes, and the files that are over the budget.
#[derive(Debug)]
pub(super) struct Budget {
    /// Of one CPU: 0.01 for a percent.
    share: f64,
    accounts: HashMap<ProcessKey, Account>,
    files: HashMap<u32, File>,
}

/// What a process's hot probes had cost at the start of the window.
#[derive(Clone, Copy, Debug)]
struct Account {
    at: Instant,
    cost_ns: f64,
    strikes: u32,
}

/// A file whose probes were off once.
#[derive(Clone, Copy, Debug)]
struct File {
    away: Duration,
    /// Off since, or on again since.
    since: Instant,
    off: bool,
}

impl Budget {
    /// `percent` of one CPU, for each process.
    pub(super) fn new(percent: f64) -> Self {
        Self {
            share: percent / 100.0,
            accounts: HashMap::new(),
            files: HashMap::new(),
        }
    }

    /// Enters what a process's hot probes have cost it so far; the share of one
    /// CPU where that is too much, and the probes must go.
    pub(super) fn spent(&mut self, now: Instant, process: ProcessKey, cost_ns: f64) -> Option<f64> {
        let account = self.accounts.entry(process).or_insert(Account {
            at: now,
            cost_ns,
            strikes: 0,
        });
        let elapsed = now.saturating_duration_since(account.at);
        if elapsed < WINDOW {
            return None;
        }
        let share = (cost_ns - account.cost_ns) / elapsed.as_nanos() as f64;
        let strikes = if share > self.share {
            account.strikes + 1
        } else {
            0
        };
        let over = strikes >= STRIKES || share >= self.share * TOO_MUCH;
        *account = Account {
            at: now,
            cost_ns,
            strikes: if over { 0 } else { strikes },
        };
        over.then_some(share)
    }

    /// Closes the accounts of all others.
    pub(super) fn keep(&mut self, is_known: impl Fn(&ProcessKey) -> bool) {
        self.accounts.retain(|process, _| is_known(process));
    }

    /// A file's hot probes are off from now on; for how long at least.
    pub(super) fn off(&mut self, now: Instant, file: u32) -> Duration {
        let away = match self.files.get(&file) {
            // It went well for a long time: that is another load.
            Some(known) if now.saturating_duration_since(known.since) >= AWAY_AT_MOST => AWAY,
            Some(known) => (known.away * 2).min(AWAY_AT_MOST),
            None => AWAY,
        };
        let entry = File {
            away,
            since: now,
            off: true,
        };
        self.files.insert(file, entry);
        away
    }

    /// Files whose hot probes have been away for long enough.
    pub(super) fn due(&self, now: Instant) -> Vec<u32> {
        let is_due =
            |file: &File| file.off && now.saturating_duration_since(file.since) >= file.away;
        self.files
            .iter()
            .filter(|(_, file)| is_due(file))
            .map(|(number, _)| *number)
            .collect()
    }

    /// Whether hot probes would be within the budget of a process that creates
    /// (and so ends) this many goroutines a second, where that is known.
    pub(super) fn allows(&self, created_per_second: Option<f64>, pair_ns: f64) -> bool {
        created_per_second.is_none_or(|rate| rate * pair_ns / 1e9 <= self.share)
    }

    /// A file's hot probes are on again.
    pub(super) fn on(&mut self, now: Instant, file: u32) {
        if let Some(file) = self.files.get_mut(&file) {
            file.since = now;
            file.off = false;
        }
    }

    /// A file is no target any more.
    pub(super) fn forget(&mut self, is_target: impl Fn(u32) -> bool) {
        self.files.retain(|file, _| is_target(*file));
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use observer_ebpf::ProcessKey;

    use super::Budget;

    const PROCESS: ProcessKey = ProcessKey { tgid: 7, epoch: 1 };
    const SECOND: f64 = 1e9;

    fn after(began: Instant, seconds: f64) -> Instant {
        began + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn one_window_above_is_a_burst_two_are_a_load() {
        let (mut budget, t) = (Budget::new(1.0), Instant::now());
        assert_eq!(budget.spent(t, PROCESS, 0.0), None);
        assert_eq!(budget.spent(after(t, 1.0), PROCESS, 0.02 * SECOND), None);
        assert_eq!(budget.spent(after(t, 2.0), PROCESS, 0.021 * SECOND), None);
        assert_eq!(budget.spent(after(t, 3.0), PROCESS, 0.041 * SECOND), None);
        let share = budget.spent(after(t, 4.0), PROCESS, 0.061 * SECOND);
        assert!((share.unwrap() - 0.02).abs() < 1e-9);
    }

    #[test]
    fn ten_times_the_budget_is_too_much_at_once() {
        let (mut budget, t) = (Budget::new(1.0), Instant::now());
        budget.spent(t, PROCESS, 0.0);
        assert!(
            budget
                .spent(after(t, 1.0), PROCESS, 0.11 * SECOND)
                .is_some()
        );
    }

    #[test]
    fn short_intervals_are_put_together() {
        let (mut budget, t) = (Budget::new(1.0), Instant::now());
        budget.spent(t, PROCESS, 0.0);
        // Half a window's budget ten times over, within a tenth of a second.
        assert_eq!(budget.spent(after(t, 0.1), PROCESS, 0.05 * SECOND), None);
        assert_eq!(budget.spent(after(t, 0.5), PROCESS, 0.05 * SECOND), None);
        assert_eq!(budget.spent(after(t, 1.0), PROCESS, 0.05 * SECOND), None);
        assert_eq!(budget.spent(after(t, 2.0), PROCESS, 0.05 * SECOND), None);
    }

    #[test]
    fn an_idle_process_is_never_over() {
        let (mut budget, t) = (Budget::new(1.0), Instant::now());
        for second in 0..100 {
            let now = after(t, f64::from(second));
            assert_eq!(budget.spent(now, PROCESS, 5.0 * SECOND), None);
        }
    }

    #[test]
    fn absence_doubles_up_to_ten_minutes_and_is_forgiven() {
        let (mut budget, mut now) = (Budget::new(1.0), Instant::now());
        for expected in [60, 120, 240, 480, 600, 600] {
            assert_eq!(budget.off(now, 1), Duration::from_secs(expected));
            let early = now + Duration::from_secs(expected - 1);
            assert!(budget.due(early).is_empty());
            now += Duration::from_secs(expected);
            assert_eq!(budget.due(now), [1]);
            budget.on(now, 1);
            assert!(budget.due(now + Duration::from_secs(9999)).is_empty());
            now += Duration::from_secs(2);
        }
        now += Duration::from_secs(600);
        assert_eq!(budget.off(now, 1), Duration::from_secs(60));
    }

    #[test]
    fn a_known_rate_keeps_probes_away() {
        let budget = Budget::new(1.0);
        assert!(budget.allows(None, 1_200.0));
        assert!(budget.allows(Some(8_000.0), 1_200.0));
        assert!(!budget.allows(Some(9_000.0), 1_200.0));
    }

    #[test]
    fn what_ended_is_forgotten() {
        let (mut budget, now) = (Budget::new(1.0), Instant::now());
        budget.spent(now, PROCESS, 0.0);
        budget.off(now, 1);
        budget.keep(|_| false);
        budget.forget(|_| false);
        assert!(budget.accounts.is_empty() && budget.files.is_empty());
    }
}
