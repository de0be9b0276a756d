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
use observer_probe::AtOnce;

/// Shortest time a share is taken over: shorter bursts are no load. Below a
/// second, or a sample that comes a little early would make it two.
const WINDOW: Duration = Duration::from_millis(900);
/// Windows in a row above the budget that make it a load.
const STRIKES: u32 = 2;
/// So many times the budget is too much at once.
const TOO_MUCH: f64 = 10.0;
/// What is too much at once in any case, of one CPU: a program must not be slower
/// by a quarter in any half second, and it takes a moment until probes are gone.
const TOO_MUCH_AT_ONCE: f64 = 0.1;
/// For how long it may be all that at a stretch.
const BURST: Duration = Duration::from_millis(200);
/// In which part of the time that all stay away batches are tried, where it was too
/// much at once.
const BATCHES_SOONER: u32 = 12;
/// How long the probes stay away at first, and at most.
const AWAY: Duration = Duration::from_secs(60);
/// How long those on collections and stops do at first: only the kernel's side sends
/// them away, which does so within a burst, and some of what they tell nobody else does.
const STOPS_AWAY: Duration = Duration::from_secs(5);
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

/// What the kernel's side is to tell of at once, for a budget in percent of one
/// CPU. With all of one CPU nothing is too much.
pub fn at_once(percent: f64) -> Option<AtOnce> {
    let share = percent / 100.0;
    if share >= 1.0 {
        return None;
    }
    let most = (share * TOO_MUCH).min(TOO_MUCH_AT_ONCE).max(share);
    Some(AtOnce {
        repayment: most.recip().round().max(1.0) as u64,
        burst_ns: (most * BURST.as_nanos() as f64) as u64,
    })
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
    /// Those that were over it by stops of the world.
    stops: HashMap<u32, Stops>,
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
    /// When batches may be tried before all is.
    batches_at: Option<Instant>,
}

/// A file whose probes on collections and stops were off once.
#[derive(Clone, Copy, Debug)]
struct Stops {
    away: Duration,
    /// Off since, or on again since.
    since: Instant,
    off: bool,
}

/// How long probes stay away now, which were away so long at the last time, and off
/// or on again since then. `first`: how long they do at the first time.
fn away(now: Instant, known: Option<(Duration, Instant)>, first: Duration) -> Duration {
    match known {
        // It went well for a long time: that is another load.
        Some((_, since)) if now.saturating_duration_since(since) >= AWAY_AT_MOST => first,
        Some((away, _)) => (away * 2).min(AWAY_AT_MOST),
        None => first,
    }
}

impl Budget {
    /// `percent` of one CPU, for each process.
    pub(super) fn new(percent: f64) -> Self {
        Self {
            share: percent / 100.0,
            accounts: HashMap::new(),
            ended: HashMap::new(),
            files: HashMap::new(),
            stops: HashMap::new(),
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
        let known = self.files.get(&file);
        let away = away(now, known.map(|known| (known.away, known.since)), AWAY);
        let entry = File {
            away,
            since: now,
            level,
            batches_at: None,
        };
        self.files.insert(file, entry);
        away
    }

    /// A file may carry none from now on. How much it was is not known: batches may be
    /// tried soon.
    pub(super) fn off_at_once(&mut self, now: Instant, file: u32) -> Duration {
        let away = self.off(now, file, Level::None);
        if let Some(file) = self.files.get_mut(&file) {
            file.batches_at = Some(now + away / BATCHES_SOONER);
        }
        away
    }

    /// A file may carry no probes on collections and stops from now on; for how long.
    pub(super) fn stops_off(&mut self, now: Instant, file: u32) -> Duration {
        let known = self.stops.get(&file);
        let known = known.map(|known| (known.away, known.since));
        let away = away(now, known, STOPS_AWAY);
        let entry = Stops {
            away,
            since: now,
            off: true,
        };
        self.stops.insert(file, entry);
        away
    }

    /// Whether it may carry them.
    pub(super) fn stops_allowed(&self, file: u32) -> bool {
        self.stops.get(&file).is_none_or(|stops| !stops.off)
    }

    /// Files that may carry them again from now on.
    pub(super) fn stops_on(&mut self, now: Instant) -> Vec<u32> {
        let mut on = Vec::new();
        for (file, stops) in &mut self.stops {
            if stops.off && now.saturating_duration_since(stops.since) >= stops.away {
                stops.off = false;
                stops.since = now;
                on.push(*file);
            }
        }
        on
    }

    /// Files some of whose probes have been away for long enough, and which may carry
    /// them again.
    pub(super) fn due(&self, now: Instant) -> Vec<(u32, Level)> {
        let due = |file: &File| {
            if file.level < Level::Exact && now.saturating_duration_since(file.since) >= file.away {
                Some(Level::Exact)
            } else if file.batches_at.is_some_and(|at| now >= at) {
                Some(Level::Batch)
            } else {
                None
            }
        };
        self.files
            .iter()
            .filter_map(|(number, file)| Some((*number, due(file)?)))
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
            file.batches_at = None;
        }
    }

    /// A file is no target any more.
    pub(super) fn forget(&mut self, is_target: impl Fn(u32) -> bool) {
        self.files.retain(|file, _| is_target(*file));
        self.stops.retain(|file, _| is_target(*file));
        self.ended.retain(|file, _| is_target(*file));
        self.accounts.retain(|payer, _| match payer {
            Payer::Process(_) => true,
            Payer::Ended(file) => is_target(*file),
        });
    }
}

#[cfg(test)]
mod tests;
