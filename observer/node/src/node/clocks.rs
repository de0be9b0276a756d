//! Clocks of half a minute and more. Tests shorten those whose length is not what they
//! are about.

use std::time::Duration;

/// How long the engine leaves things as they are.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// How long probes on every goroutine stay at least once they came back.
    pub stay: Duration,
    /// How often everything is compared with /proc where no event was missed.
    pub full_sweep: Duration,
}

impl Default for Clocks {
    fn default() -> Self {
        Self {
            stay: Duration::from_secs(60),
            full_sweep: Duration::from_secs(30),
        }
    }
}
