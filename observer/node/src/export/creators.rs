//! The creators of a group's goroutines, summed and bounded.

use std::collections::HashMap;

use super::label::label;
use crate::node::Walked;

/// Stands for those that are not named.
const OTHER: &str = "other";

/// A `go` statement, as labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Creator {
    pub(super) function: String,
    pub(super) line: String,
}

impl Creator {
    fn other() -> Self {
        Self {
            function: OTHER.to_owned(),
            line: String::new(),
        }
    }
}

/// Goroutines by creator, of all processes of a group.
#[derive(Debug, Default)]
pub(super) struct Creators {
    counts: HashMap<Creator, u64>,
    other: u64,
    /// How many may be named.
    most: usize,
}

impl Creators {
    pub(super) fn add(&mut self, walked: &Walked) {
        self.most = walked.most;
        self.other += walked.other;
        for (symbol, count) in &walked.creators {
            let creator = Creator {
                function: label(&symbol.function),
                line: symbol.line.map(|line| line.to_string()).unwrap_or_default(),
            };
            *self.counts.entry(creator).or_default() += count;
        }
    }

    /// Those with most goroutines, and the rest as one.
    pub(super) fn top(&self) -> Vec<(Creator, u64)> {
        let named = |creator: &&Creator| creator.function != OTHER;
        let mut all: Vec<_> = self.counts.keys().filter(named).collect();
        all.sort_unstable_by_key(|creator| (std::cmp::Reverse(self.counts[*creator]), *creator));
        let count = |creator: &Creator| (creator.clone(), self.counts[creator]);
        let mut top: Vec<_> = all.into_iter().take(self.most).map(count).collect();
        let shown: u64 = top.iter().map(|(_, count)| count).sum();
        let other = self.other + self.counts.values().sum::<u64>() - shown;
        if other > 0 {
            top.push((Creator::other(), other));
        }
        top
    }
}

#[cfg(test)]
mod tests {
    use observer_go::runtime::SourceLocation;

    use super::Creators;
    use crate::node::Walked;

    fn walked(creators: &[(&str, u64)]) -> Walked {
        let symbol = |(name, count): &(&str, u64)| {
            let function = (*name).to_owned();
            (
                SourceLocation {
                    function,
                    line: Some(7),
                },
                *count,
            )
        };
        Walked {
            creators: creators.iter().map(symbol).collect(),
            other: 5,
            most: 2,
        }
    }

    #[test]
    fn the_top_is_of_the_group_and_nothing_is_lost() {
        let mut creators = Creators::default();
        creators.add(&walked(&[("main.a", 10), ("main.b", 9)]));
        creators.add(&walked(&[("main.c", 12), ("main.b", 9)]));
        let top: Vec<_> = creators
            .top()
            .into_iter()
            .map(|(creator, count)| (creator.function, count))
            .collect();
        let named = |(name, count): (&str, u64)| (name.to_owned(), count);
        assert_eq!(
            top,
            [("main.b", 18), ("main.c", 12), ("other", 20)].map(named)
        );
    }
}
