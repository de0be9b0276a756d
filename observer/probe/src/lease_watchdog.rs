//! What ends the observer where it cannot answer any more.
//!
//! The kernel lets a writer into a probed file when the lease's holder has not
//! answered for a while ([`Lease`](super::lease::Lease)). An observer that was
//! stopped (SIGSTOP, a debugger) or hangs would leave its probes there. So a timer
//! of the kernel's kills it well before, and with it every probe goes. SIGKILL
//! reaches a process that is stopped, too.

use std::{
    fs, io,
    time::{Duration, Instant},
};

/// How long the kernel lets a writer wait.
const BREAK_TIME: &str = "/proc/sys/fs/lease-break-time";
/// What that is where nobody changed it.
const DEFAULT_BREAK_TIME: Duration = Duration::from_secs(45);
/// Without an answer where the kernel lets a writer wait for ever.
const UNLESS_SET: Duration = Duration::from_secs(30);
/// Longest without an answer: a writer is not to wait longer than that.
const LONGEST: Duration = Duration::from_mins(5);
/// Shorter than this the observer could be killed for nothing but a busy machine.
const SHORTEST: Duration = Duration::from_secs(4);
/// How often the timer is set anew, at most.
const PACE: Duration = Duration::from_secs(1);

/// The timer. It runs off unless it is renewed.
pub(super) struct LeaseWatchdog {
    timer: libc::timer_t,
    after: Duration,
    renewed: Instant,
}

// SAFETY: the timer belongs to the process, and any thread may set it.
unsafe impl Send for LeaseWatchdog {}

impl LeaseWatchdog {
    /// Starts it.
    pub(super) fn start() -> io::Result<Self> {
        let after = after(&fs::read_to_string(BREAK_TIME).unwrap_or_default())?;
        // SAFETY: of integers and pointers only, for which zero is a value.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = libc::SIGKILL;
        let mut timer = std::ptr::null_mut();
        // SAFETY: both pointers are to live variables of the types asked for. The
        // clock stands still while the machine sleeps.
        let made =
            unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) };
        if made != 0 {
            return Err(io::Error::last_os_error());
        }
        let lease_watchdog = Self {
            timer,
            after,
            renewed: Instant::now(),
        };
        lease_watchdog.set(after)?;
        Ok(lease_watchdog)
    }

    /// Tells that the observer is well.
    pub(super) fn renew(&mut self) {
        if self.renewed.elapsed() < PACE {
            return;
        }
        match self.set(self.after) {
            Ok(()) => self.renewed = Instant::now(),
            // The timer is there, and the time is one.
            Err(error) => tracing::error!(%error, "failed to set the lease timer (timer_settime)"),
        }
    }

    fn set(&self, after: Duration) -> io::Result<()> {
        // SAFETY: of integers only.
        let mut times: libc::itimerspec = unsafe { std::mem::zeroed() };
        times.it_value.tv_sec = after.as_secs() as _;
        times.it_value.tv_nsec = after.subsec_nanos() as _;
        // SAFETY: the timer lives as long as `self`; the old time is not asked for.
        let set =
            unsafe { libc::timer_settime(self.timer, 0, &raw const times, std::ptr::null_mut()) };
        if set == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

impl Drop for LeaseWatchdog {
    fn drop(&mut self) {
        // SAFETY: made by this value, and not used any more.
        unsafe { libc::timer_delete(self.timer) };
    }
}

/// How long the observer may be silent where the kernel waits as long as the
/// setting says, in seconds; 0 stands for ever.
fn after(break_time: &str) -> io::Result<Duration> {
    let break_time = break_time
        .trim()
        .parse()
        .map_or(DEFAULT_BREAK_TIME, Duration::from_secs);
    let after = if break_time.is_zero() {
        UNLESS_SET
    } else {
        (break_time * 2 / 3).min(LONGEST)
    };
    if after >= SHORTEST {
        Ok(after)
    } else {
        Err(io::Error::other(format!(
            "{BREAK_TIME} is {} s, too short for the observer to answer in time: set it to 6 or more",
            break_time.as_secs()
        )))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::after;

    #[test]
    fn it_burns_down_before_the_kernel_lets_a_writer_in() {
        for (text, expected) in [
            ("45\n", 30),
            ("", 30),
            ("0\n", 30),
            ("30\n", 20),
            ("6\n", 4),
            ("300\n", 200),
            ("100000\n", 300),
        ] {
            let found = after(text).expect("long enough");
            assert_eq!(found, Duration::from_secs(expected), "{text:?}");
        }
        let error = after("5\n").expect_err("too short").to_string();
        assert!(error.contains("lease-break-time is 5 s"), "{error}");
    }
}
