//! Reasons that stops of the world give before they wait for their turn, up to Go
//! 1.20: how many wait, and the reason of all of them where it is the same. In one
//! word, so that both change at one instant.

use crate::StwReason;

/// What stands for reasons that differ, or are not known.
const DIFFERENT: u64 = 0xffff_ffff << 32;
const COUNT: u64 = 0xffff_ffff;

/// What the word becomes where another stop gives its reason.
#[inline(always)]
pub(super) const fn given(word: u64, reason: u32) -> u64 {
    let reason = if reason == StwReason::Unknown as u32 {
        DIFFERENT
    } else {
        (reason as u64) << 32
    };
    let count = word & COUNT;
    let all = if count == 0 || word & !COUNT == reason {
        reason
    } else {
        DIFFERENT
    };
    all | (count + 1)
}

/// The reason of the stop that ends, where any is known to have given one. Whoever
/// takes it subtracts one from the word.
#[inline(always)]
pub(super) const fn taken(word: u64) -> Option<u32> {
    if word & COUNT == 0 {
        None
    } else if word & !COUNT == DIFFERENT {
        Some(StwReason::Unknown as u32)
    } else {
        Some((word >> 32) as u32)
    }
}

/// What is put over the word where it changes too often to be exchanged: one more
/// waits, for a reason that is not known. To be added, and then to be set: of a word that
/// counts nobody yet, the next reason given would be that of all.
pub(super) const ONE_MORE: (u64, u64) = (1, DIFFERENT);

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Mutex,
            atomic::{AtomicU64, Ordering::SeqCst},
        },
        thread,
    };

    use super::{given, taken};

    const UNKNOWN: u32 = 0;

    #[test]
    fn one_reason_is_that_of_all_who_gave_it() {
        let one = given(0, 7);
        assert_eq!(taken(one), Some(7));
        let two = given(one, 7);
        assert_eq!((taken(two), taken(two - 1)), (Some(7), Some(7)));
        assert_eq!(taken(two - 2), None);
        // A reason that is left over from stops that ended is none.
        assert_eq!(taken(given(two - 2, 9)), Some(9));
    }

    #[test]
    fn reasons_that_differ_are_none_until_all_have_ended() {
        let both = given(given(0, 7), 9);
        assert_eq!(taken(both), Some(UNKNOWN));
        let three = given(both - 1, 9);
        assert_eq!(taken(three), Some(UNKNOWN));
        assert_eq!(taken(three - 2), None);
        assert_eq!(taken(given(three - 2, 7)), Some(7));
        assert_eq!(taken(given(given(0, UNKNOWN), 7)), Some(UNKNOWN));
    }

    /// As the programs do it: the reason first, then one stop at a time.
    #[test]
    fn no_stop_has_anothers_reason() {
        let given_by = AtomicU64::new(0);
        let world = Mutex::new(());
        thread::scope(|scope| {
            let stops = |reason: u32| {
                let (given_by, world) = (&given_by, &world);
                move || {
                    for _ in 0..20_000 {
                        let give = |word| Some(given(word, reason));
                        given_by.fetch_update(SeqCst, SeqCst, give).expect("always");
                        let _stopped = world.lock().expect("no panic");
                        let found = taken(given_by.load(SeqCst));
                        assert!(matches!(found, Some(it) if it == reason || it == UNKNOWN));
                        given_by.fetch_sub(1, SeqCst);
                    }
                }
            };
            let threads: Vec<_> = [7, 7, 9, 11].map(|it| scope.spawn(stops(it))).into();
            assert!(threads.into_iter().all(|thread| thread.join().is_ok()));
        });
        assert_eq!(taken(given_by.load(SeqCst)), None);
    }
}
