//! The observer's own ceiling: above it, it looks less often.

use std::time::{Duration, Instant};

/// Intervals that its CPU time is averaged over, and how long at least:
/// a start, or a scrape, is no load.
const INTERVALS: u32 = 10;
const SHORTEST: Duration = Duration::from_secs(10);
/// How far the interval may be stretched.
const MOST: u32 = 8;

/// How often to look, by what looking costs.
#[derive(Debug)]
pub(super) struct CpuCeiling {
    /// Of one core: 0.05 for five percent.
    share: f64,
    interval: Duration,
    factor: u32,
    /// Start of the window: when, and the CPU time until then, inspections' alone too.
    began: Option<(Instant, Duration, Duration)>,
}

impl CpuCeiling {
    /// `percent` of one core.
    pub(super) fn new(percent: f64, interval: Duration) -> Self {
        Self {
            share: percent / 100.0,
            interval,
            factor: 1,
            began: None,
        }
    }

    /// The interval to keep now.
    pub(super) fn interval(&self) -> Duration {
        self.interval * self.factor
    }

    /// Enters the CPU time used so far, and what of it was for inspections, which have
    /// half of the ceiling and take no less where it is looked less often; the share of
    /// one core where the interval has changed for it.
    pub(super) fn used(
        &mut self,
        now: Instant,
        cpu: Duration,
        inspecting: Duration,
    ) -> Option<f64> {
        let (since, before, before_inspecting) = *self.began.get_or_insert((now, cpu, inspecting));
        let elapsed = now.saturating_duration_since(since);
        if elapsed < SHORTEST.max(self.interval() * INTERVALS) {
            return None;
        }
        self.began = Some((now, cpu, inspecting));
        let of = |now: Duration, before| {
            now.saturating_sub(before).as_secs_f64() / elapsed.as_secs_f64()
        };
        let share = of(cpu, before);
        let looking = (share - of(inspecting, before_inspecting)).max(0.0);
        let factor = if share > self.share && looking > self.share / 2.0 {
            (self.factor * 2).min(MOST)
        } else if share < self.share / 2.0 || looking < self.share / 4.0 {
            (self.factor / 2).max(1)
        } else {
            self.factor
        };
        let changed = factor != self.factor;
        self.factor = factor;
        changed.then_some(share)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::CpuCeiling;

    #[test]
    fn the_interval_is_stretched_above_and_recovers_below_half() {
        let mut ceiling = CpuCeiling::new(5.0, Duration::from_secs(1));
        let (mut now, mut cpu) = (Instant::now(), Duration::from_secs(3));
        assert_eq!(
            ceiling.used(now, cpu, Duration::ZERO),
            None,
            "what was before is not counted"
        );
        let mut window = |percent: u32| {
            let length = ceiling.interval() * 10;
            now += length;
            cpu += length * percent / 100;
            ceiling.used(now, cpu, Duration::ZERO);
            ceiling.interval().as_secs()
        };
        let above = [10, 6, 6, 100].map(&mut window);
        assert_eq!(above, [2, 4, 8, 8]);
        let below = [4, 2, 3, 1, 1, 1].map(&mut window);
        assert_eq!(below, [8, 4, 4, 2, 1, 1]);
    }

    #[test]
    fn a_short_interval_is_averaged_over_ten_seconds() {
        let mut ceiling = CpuCeiling::new(5.0, Duration::from_millis(10));
        let now = Instant::now();
        ceiling.used(now, Duration::ZERO, Duration::ZERO);
        let busy = Duration::from_secs(1);
        let mut used = |seconds| {
            let now = now + Duration::from_secs(seconds);
            ceiling.used(now, busy, Duration::ZERO)
        };
        assert_eq!(used(9), None);
        assert!(used(10).is_some());
        assert_eq!(ceiling.interval(), Duration::from_millis(20));
    }

    #[test]
    fn what_inspections_take_stretches_nothing() {
        let mut ceiling = CpuCeiling::new(5.0, Duration::from_secs(1));
        let mut now = Instant::now();
        let (mut cpu, mut inspecting) = (Duration::ZERO, Duration::ZERO);
        ceiling.used(now, cpu, inspecting);
        let mut window = |looking: u32, inspections: u32| {
            let length = ceiling.interval() * 10;
            now += length;
            inspecting += length * inspections / 100;
            cpu += length * (looking + inspections) / 100;
            ceiling.used(now, cpu, inspecting);
            ceiling.interval().as_secs()
        };
        assert_eq!(window(1, 80), 1);
        assert_eq!(window(4, 3), 2);
        assert_eq!(window(1, 3), 1);
    }
}
