//! The runtime's `timeHistogram` and the bounds of its buckets.

use std::sync::{Arc, OnceLock};

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::memory::words;
use crate::release::{Histogram, number};

/// A histogram of durations as `runtime/metrics` shows it: the count of place
/// `i` counts what lay in `bounds[i]..bounds[i + 1]`, in seconds.
///
/// Nearly all of its hundreds of places count nothing for ever. Only those from
/// the first to the last that count something are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuntimeHistogram {
    /// One more than there are counts; the first is -Inf, the last +Inf.
    pub bounds: &'static [f64],
    /// Which place is the first that is kept.
    first: usize,
    kept: Arc<[u64]>,
}

/// Words looked at together.
const STEP: usize = 8;

impl RuntimeHistogram {
    /// By all of its counts, one for each place.
    pub fn new(bounds: &'static [f64], counts: &[u64]) -> Self {
        let first = counts.iter().position(|n| *n != 0).unwrap_or(0);
        let last = counts.iter().rposition(|n| *n != 0);
        Self {
            bounds,
            first,
            kept: last.map_or_else(Arc::default, |last| counts[first..=last].into()),
        }
    }

    /// Shares the counts of the last sample where they have not changed: most
    /// of a process's histograms stand still from one second to the next.
    pub(super) fn read(layout: &Histogram, bytes: &[u8], before: Option<&Self>) -> Self {
        let between = bytes
            .get(layout.counts.offset..layout.counts.end())
            .unwrap_or(&[]);
        let underflow = layout.underflow.of(bytes);
        let overflow = layout.overflow.map(|overflow| overflow.of(bytes));
        let (mut first, mut end) = counting(between);
        // The one before the first place, and the one behind the last.
        let places = between.len() / 8 + 2;
        (first, end) = match (underflow, end, overflow) {
            (0, 0, None | Some(0)) => (0, 0),
            (0, 0, Some(_)) => (places - 1, places),
            (_, 0, None | Some(0)) => (0, 1),
            (0, _, None | Some(0)) => (first + 1, end + 1),
            (0, _, Some(_)) => (first + 1, places),
            (_, _, None | Some(0)) => (0, end + 1),
            (_, _, Some(_)) => (0, places),
        };
        let before = before.filter(|before| before.first == first);
        let inside = first.checked_sub(1).zip(end.checked_sub(1));
        let inside = inside.and_then(|(from, to)| between.get(8 * from..8 * to));
        let kept = match inside {
            Some(inside) => share(before, || words(inside)),
            None => share(before, || {
                let all = [underflow].into_iter().chain(words(between));
                all.chain(overflow).skip(first).take(end - first)
            }),
        };
        Self {
            bounds: if layout.overflow.is_some() {
                narrow()
            } else {
                wide()
            },
            first,
            kept,
        }
    }

    /// The count of every place, not cumulative.
    pub fn counts(&self) -> impl Iterator<Item = u64> {
        let behind =
            (self.bounds.len().saturating_sub(1)).saturating_sub(self.first + self.kept.len());
        std::iter::repeat_n(0, self.first)
            .chain(self.kept.iter().copied())
            .chain(std::iter::repeat_n(0, behind))
    }

    /// What each place counted since `before`, of the places that ever counted.
    pub fn since(&self, before: Option<&Self>) -> impl Iterator<Item = (usize, u64)> + Clone {
        let (from, earlier) = before.map_or((0, &[][..]), |before| (before.first, &*before.kept));
        let earlier = move |place: usize| earlier.get(place.checked_sub(from)?).copied();
        let kept = self.kept.iter().enumerate();
        kept.map(move |(at, count)| {
            let place = self.first + at;
            (
                place,
                count.saturating_sub(earlier(place).unwrap_or_default()),
            )
        })
    }

    /// How many durations were recorded.
    pub fn count(&self) -> u64 {
        self.kept.iter().fold(0, |sum, n| sum.wrapping_add(*n))
    }

    /// The two together, which are of the same bounds.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let sums: Vec<u64> = self
            .counts()
            .zip(other.counts())
            .map(|(one, other)| one.saturating_add(other))
            .collect();
        Self::new(self.bounds, &sums)
    }

    /// Whether both are one sample's counts, which a later one found unchanged.
    pub fn is_shared(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.kept, &other.kept) && self.first == other.first
    }

    /// Whether no place has less than in `earlier`.
    pub(super) fn follows(&self, earlier: &Self) -> bool {
        if self.is_shared(earlier) {
            return true;
        }
        let Some(skipped) = earlier.first.checked_sub(self.first) else {
            // What counted something counts nothing.
            return earlier.kept.is_empty();
        };
        self.bounds.len() == earlier.bounds.len()
            && skipped + earlier.kept.len() <= self.kept.len()
            && self.kept[skipped..]
                .iter()
                .zip(earlier.kept.iter())
                .all(|(now, then)| now >= then)
    }
}

impl Serialize for RuntimeHistogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut histogram = serializer.serialize_struct("TimeHistogram", 1)?;
        histogram.serialize_field("counts", &self.counts().collect::<Vec<_>>())?;
        histogram.end()
    }
}

/// These counts, or those kept before where they are the same.
fn share<I: Iterator<Item = u64>>(
    before: Option<&RuntimeHistogram>,
    counts: impl Fn() -> I,
) -> Arc<[u64]> {
    before
        .filter(|before| counts().eq(before.kept.iter().copied()))
        .map_or_else(|| counts().collect(), |before| Arc::clone(&before.kept))
}

/// The first of these words that is not zero, and one past the last.
fn counting(words: &[u8]) -> (usize, usize) {
    // By words, whatever the compiler is told to optimize for.
    let zero = |step: &&[u8; 8 * STEP]| {
        let words = step.as_chunks().0.iter();
        words.fold(0, |any, word| any | u64::from_ne_bytes(*word)) == 0
    };
    let (steps, _) = words.as_chunks();
    let leading = steps.iter().take_while(zero).count() * STEP;
    let (_, steps) = words[8 * leading..].as_rchunks();
    let trailing = steps.iter().rev().take_while(zero).count() * STEP;
    let end = words.len() / 8 - trailing;
    let word = |place: &usize| number(words, 8 * place, 8) != 0;
    let first = (leading..end).find(word);
    let last = (leading..end).rev().find(word);
    first
        .zip(last)
        .map_or((0, 0), |(first, last)| (first, last + 1))
}

/// Nanoseconds as the float that Go's `float64(ns) / 1e9` gives.
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// Go 1.17 to 1.19: 45 powers of two of 16 parts each, from 1 ns on.
fn wide() -> &'static [f64] {
    static BOUNDS: OnceLock<Vec<f64>> = OnceLock::new();
    BOUNDS.get_or_init(|| {
        let mut bounds = vec![f64::NEG_INFINITY];
        bounds.extend((0..16).map(seconds));
        for power in 0..44 {
            bounds.extend((0..16).map(|part| seconds((1 << (power + 4)) | (part << power))));
        }
        bounds.push(f64::INFINITY);
        bounds
    })
}

/// Go 1.20 and later: 40 powers of two of 4 parts each, from 64 ns on.
fn narrow() -> &'static [f64] {
    static BOUNDS: OnceLock<Vec<f64>> = OnceLock::new();
    BOUNDS.get_or_init(|| {
        let mut bounds = vec![f64::NEG_INFINITY];
        bounds.extend((0..4).map(|part| seconds(part << 6)));
        for power in 9..48 {
            bounds.extend((0..4).map(|part| seconds((1 << (power - 1)) | (part << (power - 3)))));
        }
        bounds.push(seconds(1 << 47));
        bounds.push(f64::INFINITY);
        bounds
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{RuntimeHistogram, narrow, wide};
    use crate::release::{Field, Histogram};

    const LAYOUT: Histogram = Histogram {
        counts: Field {
            offset: 0,
            size: 1280,
        },
        underflow: Field {
            offset: 1280,
            size: 8,
        },
        overflow: Some(Field {
            offset: 1288,
            size: 8,
        }),
    };

    /// All counts in order, and the runtime's bytes for them.
    fn one_each(places: &[usize]) -> (Vec<u64>, Vec<u8>) {
        let mut counts = vec![0u64; 162];
        for place in places {
            counts[*place] += 1;
        }
        let memory = counts[1..161].iter().chain([&counts[0], &counts[161]]);
        let bytes = memory.flat_map(|n| n.to_le_bytes()).collect();
        (counts, bytes)
    }

    #[test]
    fn every_place_counts_wherever_the_others_are() {
        let ends = [0, 1, 2, 8, 9, 80, 159, 160, 161];
        let pairs = ends.iter().flat_map(|a| ends.map(|b| vec![*a, b]));
        for places in pairs.chain(ends.map(|a| vec![a])).chain([vec![]]) {
            let (counts, bytes) = one_each(&places);
            let found = RuntimeHistogram::read(&LAYOUT, &bytes, None);
            assert!(found.counts().eq(counts.iter().copied()), "{places:?}");
            assert_eq!(found, RuntimeHistogram::new(narrow(), &counts));
            let same = RuntimeHistogram::read(&LAYOUT, &bytes, Some(&found));
            assert!(Arc::ptr_eq(&same.kept, &found.kept));
            for more in 0..162 {
                let (counts, bytes) = one_each(&[&places[..], &[more]].concat());
                let later = RuntimeHistogram::read(&LAYOUT, &bytes, Some(&found));
                assert!(
                    later.counts().eq(counts.iter().copied()),
                    "{places:?} {more}"
                );
                assert_eq!(later.count(), found.count() + 1);
                assert!(later.follows(&found) && !found.follows(&later));
                let (added, _) = one_each(&[more]);
                assert_eq!(found.plus(&RuntimeHistogram::new(narrow(), &added)), later);
            }
        }
    }

    #[test]
    fn bounds_are_as_many_as_the_counts_need_and_rise() {
        assert_eq!(wide().len(), 45 * 16 + 2);
        assert_eq!(narrow().len(), 40 * 4 + 3);
        for bounds in [wide(), narrow()] {
            assert!(bounds.windows(2).all(|two| two[0] < two[1]));
        }
    }
}
