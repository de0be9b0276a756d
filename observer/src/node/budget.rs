//! How much of a process its probes may take: the policy, without clocks or
//! kernels of its own.
//!
//! The probes that cost are on a file, so it is the file that loses them: one
//! of its processes above the budget is enough, or all that have ended lately
//! together. They come back after a while, and stay away longer each time that
//! proves too early.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use observer_ebpf::ProcessKey;

/// Shortest time a share is taken over: shorter bursts are no load. Below a
/// second, or a sample that comes a little early would make it two.
const WINDOW: Duration = Duration::from_millis(900);
/// Windows in a row above the budget that make it a load.
const STRIKES: u32 = 2;
/// So many times the budget is too much at once.
const TOO_MUCH: f64 = 10.0;
/// How long the probes stay away at first, and at most.
const AWAY: Duration = Duration::from_secs(60);
const AWAY_AT_MOST: Duration = Duration::from_secs(600);

/// Which probes on goroutines a file may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// None.
    None,
    /// One hit for a batch of goroutines.
    Batch,
    /// One hit for each too.
    Exact,
}

/// Nanoseconds that probes on goroutines took, by group.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cost {
    pub(super) exact_ns: f64,
    pub(super) batch_ns: f64,
}

impl Cost {
    fn plus(self, more: Self) -> Self {
        Self {
            exact_ns: self.exact_ns + more.exact_ns,
            batch_ns: self.batch_ns + more.batch_ns,
        }
    }

    fn less(self, before: Self) -> Self {
        Self {
            exact_ns: (self.exact_ns - before.exact_ns).max(0.0),
            batch_ns: (self.batch_ns - before.batch_ns).max(0.0),
        }
    }
}

/// Too much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Over {
    /// Of one CPU.
    pub(super) share: f64,
    /// What would not have been.
    pub(super) within: Level,
}

/// Whose account it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Payer {
    /// A process that lives.
    Process(ProcessKey),
    /// All that ended, of a file.
    Ended(u32),
}

/// The accounts, and the files that are over the budget.
#[derive(Debug)]
pub(super) struct Budget {
    /// Of one CPU: 0.01 for a percent.
    share: f64,
    accounts: HashMap<Payer, Account>,
    /// What those that ended had cost, by file.
    ended: HashMap<u32, Cost>,
    files: HashMap<u32, File>,
}

/// What a payer's probes had cost at the start of the window.
#[derive(Clone, Copy, Debug)]
struct Account {
    at: Instant,
    cost: Cost,
    strikes: u32,
}

/// A file whose probes were off once.
#[derive(Clone, Copy, Debug)]
struct File {
    away: Duration,
    /// Off since, or on again since.
    since: Instant,
    level: Level,
}

impl Budget {
    /// `percent` of one CPU, for each process.
    pub(super) fn new(percent: f64) -> Self {
        Self {
            share: percent / 100.0,
            accounts: HashMap::new(),
            ended: HashMap::new(),
            files: HashMap::new(),
        }
    }

    /// Enters what probes have cost so far; says where that is too much, and
    /// probes must go.
    pub(super) fn spent(&mut self, now: Instant, payer: Payer, cost: Cost) -> Option<Over> {
        let account = self.accounts.entry(payer).or_insert(Account {
            at: now,
            cost,
            strikes: 0,
        });
        let elapsed = now.saturating_duration_since(account.at);
        if elapsed < WINDOW {
            return None;
        }
        let window = cost.less(account.cost);
        let ns = elapsed.as_nanos() as f64;
        let share = (window.exact_ns + window.batch_ns) / ns;
        let strikes = if share > self.share {
            account.strikes + 1
        } else {
            0
        };
        let over = strikes >= STRIKES || share >= self.share * TOO_MUCH;
        *account = Account {
            at: now,
            cost,
            strikes: if over { 0 } else { strikes },
        };
        let batches_fit = window.exact_ns > 0.0 && window.batch_ns / ns <= self.share;
        over.then_some(Over {
            share,
            within: if batches_fit {
                Level::Batch
            } else {
                Level::None
            },
        })
    }

    /// A process of a file has ended: what it spent since its last window is
    /// the file's.
    pub(super) fn ended(&mut self, now: Instant, process: ProcessKey, file: u32, cost: Cost) {
        let account = self.accounts.remove(&Payer::Process(process));
        let before = account.map_or_else(Cost::default, |account| account.cost);
        let total = self.ended.entry(file).or_default();
        let account = Account {
            at: now,
            cost: *total,
            strikes: 0,
        };
        self.accounts.entry(Payer::Ended(file)).or_insert(account);
        *total = total.plus(cost.less(before));
    }

    /// Files whose ended processes together spent too much.
    pub(super) fn ended_over(&mut self, now: Instant) -> Vec<(u32, Over)> {
        let ended: Vec<_> = self
            .ended
            .iter()
            .map(|(file, cost)| (*file, *cost))
            .collect();
        let spent = |(file, cost)| Some((file, self.spent(now, Payer::Ended(file), cost)?));
        ended.into_iter().filter_map(spent).collect()
    }

    /// Closes the accounts of all others.
    pub(super) fn keep(&mut self, is_known: impl Fn(&ProcessKey) -> bool) {
        self.accounts.retain(|payer, _| match payer {
            Payer::Process(process) => is_known(process),
            Payer::Ended(_) => true,
        });
    }

    /// What a file may carry now.
    pub(super) fn level(&self, file: u32) -> Level {
        self.files
            .get(&file)
            .map_or(Level::Exact, |file| file.level)
    }

    /// A file may carry no more than that from now on; for how long at least.
    pub(super) fn off(&mut self, now: Instant, file: u32, level: Level) -> Duration {
        let away = match self.files.get(&file) {
            // It went well for a long time: that is another load.
            Some(known) if now.saturating_duration_since(known.since) >= AWAY_AT_MOST => AWAY,
            Some(known) => (known.away * 2).min(AWAY_AT_MOST),
            None => AWAY,
        };
        let entry = File {
            away,
            since: now,
            level,
        };
        self.files.insert(file, entry);
        away
    }

    /// Files some of whose probes have been away for long enough.
    pub(super) fn due(&self, now: Instant) -> Vec<u32> {
        let is_due = |file: &File| {
            file.level < Level::Exact && now.saturating_duration_since(file.since) >= file.away
        };
        self.files
            .iter()
            .filter(|(_, file)| is_due(file))
            .map(|(number, _)| *number)
            .collect()
    }

    /// Whether probes would be within the budget of a process that creates
    /// (and so ends) this many goroutines a second, where that is known.
    pub(super) fn allows(&self, created_per_second: Option<f64>, goroutine_ns: f64) -> bool {
        created_per_second.is_none_or(|rate| rate * goroutine_ns / 1e9 <= self.share)
    }

    /// A file may carry that again.
    pub(super) fn on(&mut self, now: Instant, file: u32, level: Level) {
        if let Some(file) = self.files.get_mut(&file) {
            file.since = now;
            file.level = level;
        }
    }

    /// A file is no target any more.
    pub(super) fn forget(&mut self, is_target: impl Fn(u32) -> bool) {
        self.files.retain(|file, _| is_target(*file));
        self.ended.retain(|file, _| is_target(*file));
        self.accounts.retain(|payer, _| match payer {
            Payer::Process(_) => true,
            Payer::Ended(file) => is_target(*file),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use observer_ebpf::ProcessKey;

    use super::{Budget, Cost, Level, Payer};

    const KEY: ProcessKey = ProcessKey { tgid: 7, epoch: 1 };
    const PROCESS: Payer = Payer::Process(KEY);

    fn after(began: Instant, seconds: f64) -> Instant {
        began + Duration::from_secs_f64(seconds)
    }

    /// That many seconds in probes on each goroutine, and on batches.
    fn cost(exact: f64, batch: f64) -> Cost {
        Cost {
            exact_ns: exact * 1e9,
            batch_ns: batch * 1e9,
        }
    }

    #[test]
    fn one_window_above_is_a_burst_two_are_a_load() {
        let (mut budget, t) = (Budget::new(1.0), Instant::now());
        let mut spent = |at, seconds| budget.spent(after(t, at), PROCESS, cost(seconds, 0.0));
        assert_eq!(spent(0.0, 0.0), None);
        assert_eq!(spent(1.0, 0.02), None);
        assert_eq!(spent(2.0, 0.021), None);
        assert_eq!(spent(3.0, 0.041), None);
        let share = spent(4.0, 0.061).unwrap().share;
        assert!((share - 0.02).abs() < 1e-9);
    }

    #[test]
    fn ten_times_the_budget_is_too_much_at_once() {
        let (mut budget, t) = (Budget::new(1.0), Instant::now());
        budget.spent(t, PROCESS, cost(0.0, 0.0));
        assert!(
            budget
                .spent(after(t, 1.0), PROCESS, cost(0.11, 0.0))
                .is_some()
        );
    }

    #[test]
    fn a_load_is_found_within_three_seconds_whenever_it_begins() {
        for begin in 0..100_u8 {
            let begin = f64::from(begin) / 100.0;
            let (mut budget, t) = (Budget::new(1.0), Instant::now());
            let found = (0..5).find(|second| {
                // A sample may come a little early.
                let at = (f64::from(*second) - 0.05).max(0.0);
                let spent = (at - begin).max(0.0) * 0.0101;
                budget
                    .spent(after(t, at), PROCESS, cost(spent, 0.0))
                    .is_some()
            });
            let found = found.map(|second: i32| f64::from(second) - 0.05 - begin);
            assert!(found.is_some_and(|took| took <= 3.0), "{begin}: {found:?}");
        }
    }

    #[test]
    fn as_much_goes_as_must() {
        for (exact, batch, within) in [
            (0.2, 0.009, Level::Batch),
            (0.5, 0.02, Level::None),
            (0.0, 0.2, Level::None),
        ] {
            let (mut budget, t) = (Budget::new(1.0), Instant::now());
            budget.spent(t, PROCESS, cost(0.0, 0.0));
            let over = budget.spent(after(t, 1.0), PROCESS, cost(exact, batch));
            assert_eq!(over.map(|over| over.within), Some(within));
        }
    }

    #[test]
    fn what_ends_at_once_is_the_files() {
        let (mut budget, t) = (Budget::new(1.0), Instant::now());
        let key = |tgid| ProcessKey { tgid, epoch: 1 };
        for second in 0..3 {
            let now = after(t, f64::from(second));
            for tgid in 0..10 {
                budget.ended(now, key(second * 10 + tgid), 3, cost(0.002, 0.000_1));
            }
            let over = budget.ended_over(now);
            assert_eq!(over.is_empty(), second < 2, "{second}: {over:?}");
        }
        // Of what it had paid while it lived no more is asked.
        budget.spent(after(t, 3.0), PROCESS, cost(5.0, 0.0));
        budget.ended(after(t, 3.5), KEY, 3, cost(5.001, 0.0));
        assert!(budget.ended_over(after(t, 4.0)).is_empty());
        assert!(budget.ended_over(after(t, 5.0)).is_empty());
    }

    #[test]
    fn short_intervals_are_put_together() {
        let (mut budget, t) = (Budget::new(1.0), Instant::now());
        budget.spent(t, PROCESS, cost(0.0, 0.0));
        // Half a window's budget ten times over, within a tenth of a second.
        for at in [0.1, 0.5, 1.0, 2.0] {
            let over = budget.spent(after(t, at), PROCESS, cost(0.05, 0.0));
            assert_eq!(over, None, "{at}");
        }
    }

    #[test]
    fn an_idle_process_is_never_over() {
        let (mut budget, t) = (Budget::new(1.0), Instant::now());
        for second in 0..100 {
            let now = after(t, f64::from(second));
            assert_eq!(budget.spent(now, PROCESS, cost(5.0, 1.0)), None);
        }
    }

    #[test]
    fn absence_doubles_up_to_ten_minutes_and_is_forgiven() {
        let (mut budget, mut now) = (Budget::new(1.0), Instant::now());
        for expected in [60, 120, 240, 480, 600, 600] {
            let away = budget.off(now, 1, Level::None);
            assert_eq!(away, Duration::from_secs(expected));
            assert_eq!(budget.level(1), Level::None);
            let early = now + Duration::from_secs(expected - 1);
            assert!(budget.due(early).is_empty());
            now += Duration::from_secs(expected);
            assert_eq!(budget.due(now), [1]);
            budget.on(now, 1, Level::Exact);
            assert_eq!(budget.level(1), Level::Exact);
            assert!(budget.due(now + Duration::from_secs(9999)).is_empty());
            now += Duration::from_secs(2);
        }
        now += Duration::from_secs(600);
        let away = budget.off(now, 1, Level::Batch);
        assert_eq!(away, Duration::from_secs(60));
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
        budget.spent(now, PROCESS, cost(0.0, 0.0));
        budget.ended(now, ProcessKey { tgid: 8, epoch: 1 }, 1, cost(1.0, 0.0));
        budget.off(now, 1, Level::None);
        budget.keep(|_| false);
        budget.forget(|_| false);
        assert!(budget.accounts.is_empty() && budget.files.is_empty() && budget.ended.is_empty());
    }
}
