//! Whether a file needs probes on every goroutine: the policy, without clocks
//! or kernels of its own.
//!
//! Where the state of all its processes is known, it tells what was created
//! and what ended, and the batches tell what happens between two samples. The
//! other probes come back at once when one process is not known, and then stay.

use std::time::{Duration, Instant};

/// How long they stay at least where a process ended before its state was read: more will follow.
const STAY_FOR_SHORT_LIVED: Duration = Duration::from_secs(600);

/// What one file needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProbePolicy {
    exact: bool,
    /// Not to leave before.
    until: Option<Instant>,
}

impl ProbePolicy {
    /// At first nothing is known of its processes.
    pub(super) const fn new() -> Self {
        Self {
            exact: true,
            until: None,
        }
    }

    /// They are not wanted before it is known that they are needed.
    pub(super) const fn none() -> Self {
        Self {
            exact: false,
            until: None,
        }
    }

    /// Whether probes on every goroutine are needed.
    pub(super) const fn is_exact(&self) -> bool {
        self.exact
    }

    /// The state of all its processes is known.
    pub(super) fn known(&mut self, now: Instant) {
        if self.until.is_none_or(|until| now >= until) {
            self.exact = false;
        }
    }

    /// The state of a process is not known, or nothing runs the file: what
    /// runs it next is to be seen from its start. They `stay` as long at least.
    pub(super) fn unknown(&mut self, now: Instant, stay: Duration) {
        if !self.exact {
            self.exact = true;
            self.until = self.until.max(Some(now + stay));
        }
    }

    /// A process ended before its state was read.
    pub(super) fn missed(&mut self, now: Instant) {
        self.exact = true;
        self.until = Some(now + STAY_FOR_SHORT_LIVED);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::ProbePolicy;
    use crate::node::clocks::Clocks;

    #[test]
    fn they_leave_at_once_and_come_back_for_a_minute() {
        let (mut need, now) = (ProbePolicy::new(), Instant::now());
        let stay = Clocks::default().stay;
        let after = |seconds| now + Duration::from_secs(seconds);
        assert!(need.is_exact());
        need.known(now);
        assert!(!need.is_exact());
        need.unknown(after(1), stay);
        assert!(need.is_exact());
        // However often it changes in between.
        for second in 2..61 {
            need.known(after(second));
            assert!(need.is_exact(), "{second}");
            need.unknown(after(second), stay);
        }
        need.known(after(61));
        assert!(!need.is_exact());
    }

    #[test]
    fn what_lives_shortly_keeps_them() {
        let (mut need, now) = (ProbePolicy::new(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        need.known(now);
        need.missed(now);
        assert!(need.is_exact());
        need.known(after(599));
        assert!(need.is_exact());
        need.known(after(600));
        need.unknown(after(601), Clocks::default().stay);
        need.known(after(660));
        assert!(need.is_exact());
    }
}
