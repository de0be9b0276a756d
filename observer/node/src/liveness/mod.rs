//! Whether every part of the observer lives: the threads and tasks that are to go on as
//! long as it does. One that ends, or stands still, makes all that is served untrue.

use std::{
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

/// How much later than it said itself a part may move before it counts as stuck. On a
/// busy machine with thousands of processes some steps take seconds.
const LATE: Duration = Duration::from_secs(60);

/// All parts.
#[derive(Clone, Debug)]
pub struct Liveness(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    parts: Mutex<Vec<Arc<Part>>>,
    /// The first that ended.
    ended: watch::Sender<Option<&'static str>>,
    late: Duration,
}

#[derive(Debug)]
struct Part {
    name: &'static str,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Nothing more is known of it.
    Runs,
    /// It moved then, and will again by this time.
    Moved {
        at: Instant,
        again: Instant,
    },
    Ended,
}

/// Held by a part while it lives.
#[derive(Debug)]
pub struct Pulse {
    part: Arc<Part>,
    shared: Arc<Shared>,
}

impl Default for Liveness {
    fn default() -> Self {
        Self::patient(LATE)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing here leaves it half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Liveness {
    fn patient(late: Duration) -> Self {
        Self(Arc::new(Shared {
            parts: Mutex::default(),
            ended: watch::channel(None).0,
            late,
        }))
    }

    /// A part of this name lives as long as the pulse is held.
    pub fn part(&self, name: &'static str) -> Pulse {
        let part = Arc::new(Part {
            name,
            state: Mutex::new(State::Runs),
        });
        lock(&self.0.parts).push(Arc::clone(&part));
        Pulse {
            part,
            shared: Arc::clone(&self.0),
        }
    }

    /// How each part is, a line each; as an error where one is not well.
    pub fn report(&self) -> Result<String, String> {
        let now = Instant::now();
        let (mut text, mut well) = (String::new(), true);
        for part in lock(&self.0.parts).iter() {
            let name = part.name;
            let state = *lock(&part.state);
            // Writing to a string does not fail.
            let _ = match state {
                State::Runs => writeln!(text, "{name}: runs"),
                State::Moved { at, again } => {
                    let ago = now.saturating_duration_since(at).as_secs_f64();
                    let stuck = now > again + self.0.late;
                    well &= !stuck;
                    let how = if stuck { "STUCK, " } else { "" };
                    writeln!(text, "{name}: {how}moved {ago:.1} s ago")
                }
                State::Ended => {
                    well = false;
                    writeln!(text, "{name}: HAS ENDED")
                }
            };
        }
        if well { Ok(text) } else { Err(text) }
    }

    /// The first part that ended.
    pub fn ended(&self) -> Option<&'static str> {
        *self.0.ended.borrow()
    }

    /// Completes once a part has ended.
    pub async fn any_ended(&self) {
        let mut ended = self.0.ended.subscribe();
        // The sender is held here.
        drop(ended.wait_for(Option::is_some).await);
    }
}

impl Pulse {
    /// It works, and says so again soon.
    pub fn works(&self) {
        self.moves_again(Instant::now());
    }

    /// It waits until then, at most.
    pub fn rests(&self, until: Instant) {
        self.moves_again(until);
    }

    fn moves_again(&self, again: Instant) {
        let at = Instant::now();
        *lock(&self.part.state) = State::Moved { at, again };
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        *lock(&self.part.state) = State::Ended;
        let name = self.part.name;
        self.shared.ended.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert(name);
            is_first
        });
    }
}

#[cfg(test)]
mod tests;
