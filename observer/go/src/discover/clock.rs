//! When a process started, on the clocks others use.
//!
//! /proc counts a start time in clock ticks since boot, 10 ms each, rounded
//! down: the process started at the time given here or less than a tick later.
//! Whether it started before or after a probe was attached is therefore not to
//! be decided from these within one tick: use the time of its exec event.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// When the machine booted, by today's setting of its clock.
fn boot_time() -> SystemTime {
    SystemTime::now()
        .checked_sub(now(ClockId::Boottime))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The start time as calendar time.
pub fn started(start_ticks: u64) -> SystemTime {
    boot_time()
        .checked_add(since_boot(start_ticks))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// How long ago that was.
pub fn age(start_ticks: u64) -> Duration {
    now(ClockId::Boottime).saturating_sub(since_boot(start_ticks))
}

fn since_boot(start_ticks: u64) -> Duration {
    let per_second = procfs::ticks_per_second().max(1);
    let rest = (start_ticks % per_second) * 1_000_000_000 / per_second;
    Duration::from_secs(start_ticks / per_second) + Duration::from_nanos(rest)
}

fn now(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
