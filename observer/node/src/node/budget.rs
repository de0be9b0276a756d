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

use observer_ebpf::{
    ProbeGroup, ProcessKey,
    family::{CostControl, Family, TIERS},
};
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
/// In which part of the time that all stay away the cheapest are tried, where it was too
/// much at once.
const CHEAPEST_SOONER: u32 = 12;
/// How long the probes stay away at first, and at most.
const AWAY: Duration = Duration::from_secs(60);
/// The same of those that only the programs send away. They do so within a burst, and
/// some of what these probes tell nobody else does.
const AT_ONCE_AWAY: Duration = Duration::from_secs(5);
const AWAY_AT_MOST: Duration = Duration::from_secs(600);

/// How many of a family's groups of probes a file may carry, of those that stay longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Level(pub(super) u8);

impl Level {
    /// None.
    pub(super) const NONE: Self = Self(0);

    /// All of a family.
    pub(super) fn all(family: u8) -> Self {
        Self(Family::of(family).map_or(0, |family| family.groups.len() as u8))
    }

    /// All that stay longer than this group.
    pub(super) const fn without(group: ProbeGroup) -> Self {
        Self(group.tier())
    }

    /// Whether this group is among them.
    pub(super) const fn allows(self, group: ProbeGroup) -> bool {
        self.0 > group.tier()
    }
}

/// The load of a family's probes on a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Load {
    /// The number of the target.
    pub(super) file: u32,
    /// The number of the family.
    pub(super) family: u8,
}

/// Nanoseconds that a family's probes took, by group.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cost(pub(super) [f64; TIERS]);

impl Cost {
    /// All of it.
    pub(super) fn sum(self) -> f64 {
        self.0.iter().sum()
    }

    /// What the groups of a level take.
    pub(super) fn within(self, level: Level) -> f64 {
        self.0.iter().take(usize::from(level.0)).sum()
    }

    fn plus(self, more: Self) -> Self {
        Self(std::array::from_fn(|tier| self.0[tier] + more.0[tier]))
    }

    fn less(self, before: Self) -> Self {
        let less = |tier| f64::max(self.0[tier] - before.0[tier], 0.0);
        Self(std::array::from_fn(less))
    }

    /// The most groups of which a share of so many nanoseconds is not more than this,
    /// where others had a part in it.
    fn fitting(self, ns: f64, share: f64) -> Level {
        let fits = |level: &Level| {
            let within = self.within(*level);
            self.sum() - within > 0.0 && within / ns <= share
        };
        let levels = (1..TIERS as u8).rev().map(Level);
        levels.into_iter().find(fits).unwrap_or(Level::NONE)
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

/// The accounts, and the files that are over the budget. Each family is held to it by
/// itself.
#[derive(Debug)]
pub(super) struct Budget {
    /// Of one CPU: 0.01 for a percent.
    share: f64,
    /// By payer and family.
    accounts: HashMap<(Payer, u8), Account>,
    /// What those that ended had cost.
    ended: HashMap<Load, Cost>,
    files: HashMap<Load, File>,
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
    /// When the cheapest may be tried before all are.
    cheapest_at: Option<Instant>,
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
        }
    }

    /// Enters what probes have cost so far; says where that is too much, and
    /// probes must go.
    pub(super) fn spent(
        &mut self,
        now: Instant,
        payer: Payer,
        family: u8,
        cost: Cost,
    ) -> Option<Over> {
        let account = self.accounts.entry((payer, family)).or_insert(Account {
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
        let share = window.sum() / ns;
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
        over.then(|| Over {
            share,
            within: window.fitting(ns, self.share),
        })
    }

    /// A process of a file has ended: what it spent since its last window is
    /// the file's.
    pub(super) fn ended(&mut self, now: Instant, process: ProcessKey, load: Load, cost: Cost) {
        let Load { file, family } = load;
        let account = self.accounts.remove(&(Payer::Process(process), family));
        let before = account.map_or_else(Cost::default, |account| account.cost);
        let total = self.ended.entry(load).or_default();
        let account = Account {
            at: now,
            cost: *total,
            strikes: 0,
        };
        let payer = (Payer::Ended(file), family);
        self.accounts.entry(payer).or_insert(account);
        *total = total.plus(cost.less(before));
    }

    /// Files whose ended processes together spent too much.
    pub(super) fn ended_over(&mut self, now: Instant) -> Vec<(Load, Over)> {
        let ended: Vec<_> = self
            .ended
            .iter()
            .map(|(load, cost)| (*load, *cost))
            .collect();
        let spent = |(load, cost): (Load, _)| {
            let payer = Payer::Ended(load.file);
            Some((load, self.spent(now, payer, load.family, cost)?))
        };
        ended.into_iter().filter_map(spent).collect()
    }

    /// Closes the accounts of all others.
    pub(super) fn keep(&mut self, is_known: impl Fn(&ProcessKey) -> bool) {
        self.accounts.retain(|(payer, _), _| match payer {
            Payer::Process(process) => is_known(process),
            Payer::Ended(_) => true,
        });
    }

    /// What a file may carry of a family now.
    pub(super) fn level(&self, load: Load) -> Level {
        let known = self.files.get(&load);
        known.map_or_else(|| Level::all(load.family), |file| file.level)
    }

    /// A file may carry no more than that from now on; for how long at least.
    pub(super) fn off(&mut self, now: Instant, load: Load, level: Level) -> Duration {
        let known = self.files.get(&load);
        let family = Family::of(load.family);
        let first = match family.map(|family| family.thinning) {
            Some(CostControl::AtOnce) => AT_ONCE_AWAY,
            _ => AWAY,
        };
        let away = away(now, known.map(|known| (known.away, known.since)), first);
        let entry = File {
            away,
            since: now,
            level,
            cheapest_at: None,
        };
        self.files.insert(load, entry);
        away
    }

    /// A file may carry none from now on. How much it was is not known: where the
    /// family has a cheaper group, that may be tried soon.
    pub(super) fn off_at_once(&mut self, now: Instant, load: Load) -> Duration {
        let away = self.off(now, load, Level::NONE);
        if let Some(file) = self.files.get_mut(&load)
            && Level::all(load.family) > Level(1)
        {
            file.cheapest_at = Some(now + away / CHEAPEST_SOONER);
        }
        away
    }

    /// Files some of whose probes have been away for long enough, and which may carry
    /// them again.
    pub(super) fn due(&self, now: Instant) -> Vec<(Load, Level)> {
        let due = |(load, file): (&Load, &File)| {
            let all = Level::all(load.family);
            if file.level < all && now.saturating_duration_since(file.since) >= file.away {
                Some((*load, all))
            } else if file.cheapest_at.is_some_and(|at| now >= at) {
                Some((*load, Level(1)))
            } else {
                None
            }
        };
        self.files.iter().filter_map(due).collect()
    }

    /// Whether probes would be within the budget of a process that creates
    /// (and so ends) this many goroutines a second, where that is known.
    pub(super) fn allows(&self, created_per_second: Option<f64>, goroutine_ns: f64) -> bool {
        created_per_second.is_none_or(|rate| rate * goroutine_ns / 1e9 <= self.share)
    }

    /// A file may carry that again.
    pub(super) fn on(&mut self, now: Instant, load: Load, level: Level) {
        if let Some(file) = self.files.get_mut(&load) {
            file.since = now;
            file.level = level;
            file.cheapest_at = None;
        }
    }

    /// A file is no target any more.
    pub(super) fn forget(&mut self, is_target: impl Fn(u32) -> bool) {
        self.files.retain(|load, _| is_target(load.file));
        self.ended.retain(|load, _| is_target(load.file));
        self.accounts.retain(|(payer, _), _| match payer {
            Payer::Process(_) => true,
            Payer::Ended(file) => is_target(*file),
        });
    }
}

#[cfg(test)]
mod tests;
