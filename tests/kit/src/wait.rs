//! Waiting, never for ever.

use std::{
    env,
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

/// How many times longer than on a machine of its own everything may take: in a
/// guest whose every instruction is emulated all is slower.
static PATIENCE: LazyLock<u32> = LazyLock::new(|| {
    let set = env::var("OBSERVER_PATIENCE").ok();
    set.and_then(|times| times.parse().ok()).unwrap_or(1)
});

/// A time, as many times over as this machine needs.
pub fn patient(within: Duration) -> Duration {
    within * *PATIENCE
}

/// Asks until there is an answer; panics, naming what was awaited, when there
/// is none in time.
pub fn until<T>(what: &str, within: Duration, ask: impl FnMut() -> Option<T>) -> T {
    find(within, ask).unwrap_or_else(|| panic!("{what}: not within {within:?}"))
}

/// Asks until there is an answer, or the time is over.
pub fn find<T>(within: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + patient(within);
    loop {
        let answer = ask();
        if answer.is_some() || Instant::now() >= end {
            return answer;
        }
        thread::sleep(Duration::from_millis(25));
    }
}

/// Whether a condition comes true in time.
pub fn comes_true(within: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patient(within);
    while !condition() {
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(Duration::from_millis(25));
    }
    true
}
