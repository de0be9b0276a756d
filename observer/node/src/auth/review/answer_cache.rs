//! Answers kept for a while: bounded, asked once however many wait, and good
//! for somewhat longer while the API server is away.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lru::LruCache;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::error::ReviewError;

/// How long answers hold, and how much may wait.
#[derive(Clone, Copy, Debug)]
pub struct AnswerCacheLimits {
    /// How long an answer is taken without asking again.
    pub fresh: Duration,
    /// How long after that a positive answer still holds while the API server
    /// cannot be asked.
    pub grace: Duration,
    /// How long one question may take, retries included.
    pub timeout: Duration,
    /// Positive answers kept, and as many negative ones: strangers cannot
    /// crowd out those who are known.
    pub entries: NonZeroUsize,
    /// Questions under way at a time.
    pub waiting: usize,
}

impl Default for AnswerCacheLimits {
    fn default() -> Self {
        Self {
            fresh: Duration::from_secs(10),
            grace: Duration::from_secs(300),
            timeout: Duration::from_secs(3),
            entries: NonZeroUsize::new(1024).unwrap_or(NonZeroUsize::MIN),
            waiting: 64,
        }
    }
}

/// What was asked, as a digest: no token is kept.
pub(super) type Key = [u8; 32];

/// An answer that may be kept.
pub(super) trait Answer: Clone + Send + Sync + 'static {
    /// Whether it lets somebody in.
    fn is_positive(&self) -> bool;
}

type Outcome<A> = Result<A, ReviewError>;
type Question<A> = Pin<Box<dyn Future<Output = Outcome<A>> + Send>>;

/// Answers to one kind of question.
pub(super) struct AnswerCache<A> {
    inner: Arc<Inner<A>>,
}

struct Inner<A> {
    /// What is asked, for the log.
    what: &'static str,
    limits: AnswerCacheLimits,
    kept: Mutex<Kept<A>>,
    failing: AtomicBool,
}

struct Kept<A> {
    positive: LruCache<Key, (Instant, A)>,
    negative: LruCache<Key, (Instant, A)>,
    waiting: HashMap<Key, watch::Receiver<Option<Outcome<A>>>>,
}

impl<A: Answer> Kept<A> {
    fn fresh(&mut self, key: &Key, within: Duration) -> Option<A> {
        [&mut self.positive, &mut self.negative]
            .into_iter()
            .find_map(|kept| {
                let (at, answer) = kept.get(key)?;
                (at.elapsed() < within).then(|| answer.clone())
            })
    }
}

impl<A: Answer> AnswerCache<A> {
    pub(super) fn new(what: &'static str, limits: AnswerCacheLimits) -> Self {
        let kept = Kept {
            positive: LruCache::new(limits.entries),
            negative: LruCache::new(limits.entries),
            waiting: HashMap::new(),
        };
        Self {
            inner: Arc::new(Inner {
                what,
                limits,
                kept: Mutex::new(kept),
                failing: AtomicBool::new(false),
            }),
        }
    }

    /// The answer to what `key` stands for; `ask` may be called several times.
    pub(super) async fn get(
        &self,
        key: Key,
        ask: impl Fn() -> Question<A> + Send + 'static,
    ) -> Outcome<A> {
        let mut waiting = {
            let mut kept = self.inner.kept();
            if let Some(answer) = kept.fresh(&key, self.inner.limits.fresh) {
                return Ok(answer);
            }
            match kept.waiting.get(&key) {
                Some(waiting) => waiting.clone(),
                None if kept.waiting.len() >= self.inner.limits.waiting => {
                    drop(kept);
                    return self.inner.stale(&key, ReviewError::Busy);
                }
                None => {
                    let (sender, waiting) = watch::channel(None);
                    kept.waiting.insert(key, waiting.clone());
                    // A task of its own: others wait for it too, and the first
                    // to ask may hang up.
                    tokio::spawn(Arc::clone(&self.inner).answer(key, ask, sender));
                    waiting
                }
            }
        };
        let outcome = match waiting.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Err(ReviewError::Unknown)),
            Err(_) => Err(ReviewError::Unknown),
        };
        outcome.or_else(|error| self.inner.stale(&key, error))
    }
}

impl<A: Answer> Inner<A> {
    fn kept(&self) -> MutexGuard<'_, Kept<A>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was known not long ago, when it cannot be asked now.
    fn stale(&self, key: &Key, error: ReviewError) -> Outcome<A> {
        let within = self.limits.fresh + self.limits.grace;
        let mut kept = self.kept();
        match kept.positive.get(key) {
            Some((at, answer)) if at.elapsed() < within => Ok(answer.clone()),
            _ => Err(error),
        }
    }

    async fn answer(
        self: Arc<Self>,
        key: Key,
        ask: impl Fn() -> Question<A> + Send,
        sender: watch::Sender<Option<Outcome<A>>>,
    ) {
        let done = Done(&self, key);
        let outcome = timeout(self.limits.timeout, persistently(ask))
            .await
            .unwrap_or(Err(ReviewError::Late(self.limits.timeout)));
        self.note(outcome.as_ref().err());
        if let Ok(answer) = &outcome {
            let entry = (Instant::now(), answer.clone());
            let mut kept = self.kept();
            // What was allowed and no longer is must not come back as stale.
            if answer.is_positive() {
                kept.negative.pop(&key);
                kept.positive.put(key, entry);
            } else {
                kept.positive.pop(&key);
                kept.negative.put(key, entry);
            }
        }
        drop(done);
        sender.send_replace(Some(outcome));
    }

    /// Says once that questions fail, and once that they no longer do.
    fn note(&self, error: Option<&ReviewError>) {
        let before = self.failing.swap(error.is_some(), Ordering::Relaxed);
        match (before, error) {
            (false, Some(error)) => tracing::warn!(
                what = self.what,
                %error,
                "callers cannot be checked; those known hold for {:?}",
                self.limits.grace
            ),
            (true, None) => tracing::info!(what = self.what, "callers can be checked again"),
            _ => {}
        }
    }
}

/// Takes the question off the list, also when its task panics.
struct Done<'a, A: Answer>(&'a Inner<A>, Key);

impl<A: Answer> Drop for Done<'_, A> {
    fn drop(&mut self) {
        self.0.kept().waiting.remove(&self.1);
    }
}

/// Asks up to three times, for an API server that restarts.
async fn persistently<A>(ask: impl Fn() -> Question<A>) -> Outcome<A> {
    let mut pause = Duration::from_millis(200);
    for _ in 0..2 {
        match ask().await {
            Err(error) if error.is_passing() => sleep(pause).await,
            outcome => return outcome,
        }
        pause *= 2;
    }
    ask().await
}

#[cfg(test)]
mod tests;
