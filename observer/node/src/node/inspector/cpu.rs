//! What an inspection takes from a CPU.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CPU time that this thread has taken.
pub(super) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
