//! Waiting, never for ever.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Asks until there is an answer; panics, naming what was awaited, when there
/// is none in time.
pub fn until<T>(what: &str, within: Duration, ask: impl FnMut() -> Option<T>) -> T {
    find(within, ask).unwrap_or_else(|| panic!("{what}: not within {within:?}"))
}

/// Asks until there is an answer, or the time is over.
pub fn find<T>(within: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + within;
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
    let end = Instant::now() + within;
    while !condition() {
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(Duration::from_millis(25));
    }
    true
}
