//! CPU time for inspections: as much as may be, and fair between cgroups. The
//! policy, without clocks of its own.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Of what the observer itself may take, what inspections may.
const PART: f64 = 0.5;
/// Of that, what one cgroup may cause, so that others find some left.
const OF_ONE: f64 = 0.5;
/// What was not taken is kept for as long: programs begin many at a time.
const KEPT_SECONDS: f64 = 100.0;
/// Cgroups remembered; what one that is forgotten took is forgotten too.
const REMEMBERED: usize = 4096;

/// Seconds of CPU time that may be taken, more from one instant to the next.
#[derive(Clone, Copy, Debug)]
struct TokenBucket {
    left: f64,
    at: Instant,
}

impl TokenBucket {
    fn full(rate: f64, now: Instant) -> Self {
        Self {
            left: rate * KEPT_SECONDS,
            at: now,
        }
    }

    /// What is left by then. Below zero where the last took more than there was.
    fn left(&self, rate: f64, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.left + rate * elapsed).min(rate * KEPT_SECONDS)
    }

    fn take(&mut self, rate: f64, now: Instant, cpu: Duration) {
        self.left = self.left(rate, now) - cpu.as_secs_f64();
        self.at = now;
    }

    /// When something is left.
    fn positive(&self, rate: f64, now: Instant) -> Instant {
        let lacks = -self.left(rate, now);
        if lacks < 0.0 {
            return now;
        }
        // A little more than nothing, lest it be asked again at once.
        now + Duration::from_secs_f64((lacks / rate).min(3600.0)) + Duration::from_millis(10)
    }
}

/// What inspections may take.
#[derive(Debug)]
pub(super) struct CpuQuota {
    /// Of one core.
    rate: f64,
    all: TokenBucket,
    of: HashMap<u64, TokenBucket>,
}

impl CpuQuota {
    /// Where the observer may take `percent` of one core.
    pub(super) fn new(percent: f64, now: Instant) -> Self {
        let rate = percent / 100.0 * PART;
        Self {
            rate,
            all: TokenBucket::full(rate, now),
            of: HashMap::new(),
        }
    }

    fn of_one(&self) -> f64 {
        self.rate * OF_ONE
    }

    fn account(&self, cgroup: u64, now: Instant) -> TokenBucket {
        let known = self.of.get(&cgroup).copied();
        known.unwrap_or_else(|| TokenBucket::full(self.of_one(), now))
    }

    /// What a cgroup has left: whoever has most goes first.
    pub(super) fn left(&self, cgroup: u64, now: Instant) -> f64 {
        self.account(cgroup, now).left(self.of_one(), now)
    }

    /// When a file of a cgroup may be inspected: now, or later.
    pub(super) fn due(&self, cgroup: u64, now: Instant) -> Instant {
        let of_it = self.account(cgroup, now).positive(self.of_one(), now);
        of_it.max(self.all.positive(self.rate, now))
    }

    /// A file of this cgroup took so much.
    pub(super) fn take(&mut self, cgroup: u64, now: Instant, cpu: Duration) {
        self.all.take(self.rate, now, cpu);
        let rate = self.of_one();
        let mut account = self.account(cgroup, now);
        account.take(rate, now, cpu);
        self.of.insert(cgroup, account);
        if self.of.len() > REMEMBERED {
            // Those that took nothing for a while are as those that never did.
            self.of
                .retain(|_, account| account.left(rate, now) < rate * KEPT_SECONDS);
            if self.of.len() > REMEMBERED {
                self.of.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::CpuQuota;

    /// Inspects files of these cgroups as soon as each may be, for so long; the CPU time
    /// that each took.
    fn run<const N: usize>(cost: [u64; N], seconds: u64) -> [f64; N] {
        let mut now = Instant::now();
        let end = now + Duration::from_secs(seconds);
        let mut allowance = CpuQuota::new(5.0, now);
        let mut took = [0.0; N];
        while now < end {
            let next = (0..N as u64)
                .filter(|cgroup| allowance.due(*cgroup, now) <= now)
                .max_by(|a, b| allowance.left(*a, now).total_cmp(&allowance.left(*b, now)));
            let Some(cgroup) = next else {
                now += Duration::from_millis(10);
                continue;
            };
            let cpu = Duration::from_millis(cost[cgroup as usize]);
            allowance.take(cgroup, now, cpu);
            took[cgroup as usize] += cpu.as_secs_f64();
            now += cpu;
        }
        took
    }

    #[test]
    fn one_cgroup_takes_a_quarter_of_the_ceiling() {
        let [took] = run([20], 1000);
        // What was kept, and 1.25 % of the time.
        assert!((13.0..=14.5).contains(&took), "{took}");
    }

    #[test]
    fn all_together_take_half_of_it() {
        let took = run([20, 20, 20, 20], 1000);
        let sum: f64 = took.iter().sum();
        assert!((25.0..=28.5).contains(&sum), "{took:?}");
    }

    #[test]
    fn who_has_large_files_gets_no_more() {
        let [small, large] = run([5, 400], 1000);
        assert!(large < 1.2 * small, "{small} {large}");
    }

    #[test]
    fn one_that_begins_finds_something_left() {
        let mut now = Instant::now();
        let mut allowance = CpuQuota::new(5.0, now);
        for _ in 0..10_000 {
            now = now.max(allowance.due(1, now));
            allowance.take(1, now, Duration::from_millis(20));
        }
        assert!(allowance.due(1, now) > now);
        assert_eq!(allowance.due(2, now), now);
    }

    #[test]
    fn the_forgotten_are_as_the_unknown() {
        let mut now = Instant::now();
        let mut allowance = CpuQuota::new(5.0, now);
        for cgroup in 0..50_000 {
            now += Duration::from_millis(100);
            allowance.take(cgroup, now, Duration::from_millis(1));
        }
        assert!(allowance.of.len() <= super::REMEMBERED + 1);
    }
}
