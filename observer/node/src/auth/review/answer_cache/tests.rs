//! Answers that hold, grow old, and fail.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::sleep;

use super::{Answer, AnswerCache, AnswerCacheLimits, Outcome, Question};
use crate::auth::review::error::ReviewError;

impl Answer for bool {
    fn is_positive(&self) -> bool {
        *self
    }
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn limits() -> AnswerCacheLimits {
    AnswerCacheLimits {
        fresh: ms(300),
        grace: ms(700),
        timeout: ms(200),
        entries: NonZeroUsize::new(2).unwrap(),
        waiting: 2,
    }
}

/// Counts how often it was asked.
#[derive(Clone, Default)]
struct Asked(Arc<AtomicUsize>);

impl Asked {
    fn question(
        &self,
        takes: Duration,
        outcome: Outcome<bool>,
    ) -> impl Fn() -> Question<bool> + Send + 'static {
        let asked = Arc::clone(&self.0);
        move || {
            asked.fetch_add(1, Ordering::Relaxed);
            let outcome = outcome.clone();
            Box::pin(async move {
                sleep(takes).await;
                outcome
            })
        }
    }

    fn times(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn a_crowd_asks_once_and_the_answer_holds_for_a_while() {
    let answers = Arc::new(AnswerCache::new("test", limits()));
    for allowed in [true, false] {
        let asked = Asked::default();
        let crowd: Vec<_> = (0..50)
            .map(|_| {
                let (answers, question) =
                    (Arc::clone(&answers), asked.question(ms(50), Ok(allowed)));
                let key = [u8::from(allowed); 32];
                tokio::spawn(async move { answers.get(key, question).await })
            })
            .collect();
        for one in crowd {
            assert_eq!(one.await.unwrap(), Ok(allowed));
        }
        assert_eq!(asked.times(), 1);
        sleep(ms(350)).await;
        let question = asked.question(ms(0), Ok(!allowed));
        let key = [u8::from(allowed); 32];
        assert_eq!(
            answers.get(key, question).await,
            Ok(!allowed),
            "asked again"
        );
    }
}

#[tokio::test]
async fn who_was_allowed_stays_so_for_the_grace_and_no_longer() {
    let answers = AnswerCache::new("test", limits());
    let asked = Asked::default();
    let (known, denied, key) = ([1; 32], [2; 32], [3; 32]);
    let good = || asked.question(ms(0), Ok(true));
    answers.get(known, good()).await.unwrap();
    answers
        .get(denied, asked.question(ms(0), Ok(false)))
        .await
        .unwrap();
    sleep(ms(350)).await;
    let late = || asked.question(ms(500), Ok(true));
    let error = Err(ReviewError::Late(ms(200)));
    assert_eq!(answers.get(known, late()).await, Ok(true));
    assert_eq!(answers.get(denied, late()).await, error);
    assert_eq!(answers.get(key, late()).await, error);
    sleep(ms(700)).await;
    assert_eq!(answers.get(known, late()).await, error, "the grace is over");
    assert_eq!(answers.get(known, good()).await, Ok(true));
}

#[tokio::test]
async fn a_right_that_was_taken_away_does_not_come_back() {
    let answers = AnswerCache::new("test", limits());
    let asked = Asked::default();
    let key = [1; 32];
    let refused = Err(ReviewError::Refused(403));
    for (outcome, expected) in [
        (Ok(true), Ok(true)),
        (Ok(false), Ok(false)),
        (refused.clone(), refused),
    ] {
        let found = answers.get(key, asked.question(ms(0), outcome)).await;
        assert_eq!(found, expected);
        sleep(ms(320)).await;
    }
}

#[tokio::test]
async fn a_failure_that_passes_is_asked_again_and_others_are_not() {
    let answers = AnswerCache::new(
        "test",
        AnswerCacheLimits {
            timeout: Duration::from_secs(5),
            ..limits()
        },
    );
    for (error, times) in [
        (ReviewError::Away, 3),
        (ReviewError::Failed(500), 3),
        (ReviewError::Failed(404), 1),
        (ReviewError::Refused(403), 1),
    ] {
        let asked = Asked::default();
        let question = asked.question(ms(0), Err(error.clone()));
        assert_eq!(answers.get([1; 32], question).await, Err(error));
        assert_eq!(asked.times(), times);
    }
}

#[tokio::test]
async fn strangers_are_bounded_and_do_not_crowd_out_the_known() {
    let answers = Arc::new(AnswerCache::new("test", limits()));
    let asked = Asked::default();
    let known = [255; 32];
    answers
        .get(known, asked.question(ms(0), Ok(true)))
        .await
        .unwrap();
    for stranger in 0..50 {
        let question = asked.question(ms(0), Ok(false));
        answers.get([stranger; 32], question).await.unwrap();
    }
    assert_eq!(
        answers.get(known, asked.question(ms(0), Ok(false))).await,
        Ok(true)
    );
    assert_eq!(asked.times(), 51);
    let slow: Vec<_> = (100..102)
        .map(|key| {
            let (answers, question) = (Arc::clone(&answers), asked.question(ms(100), Ok(true)));
            tokio::spawn(async move { answers.get([key; 32], question).await })
        })
        .collect();
    sleep(ms(20)).await;
    let third = answers
        .get([102; 32], asked.question(ms(0), Ok(true)))
        .await;
    assert_eq!(third, Err(ReviewError::Busy));
    for one in slow {
        assert_eq!(one.await.unwrap(), Ok(true));
    }
    assert!(answers.inner.kept().waiting.is_empty());
}
