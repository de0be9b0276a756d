//! What may be at most, and what a machine that is not alike from one moment to the
//! next lets be said of it.

use std::fmt;

use crate::statistics::median;

/// What the median of some ratios may be at most.
#[derive(Clone, Copy)]
pub(crate) struct Bound {
    /// This.
    pub(crate) most: f64,
    /// Where the median's noise is larger, a breach would not be seen.
    pub(crate) noisiest: f64,
}

/// How some ratios stand to their bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They are within it.
    Held,
    /// They are above it by less than chance may do.
    WithinNoise,
    /// They are above it.
    Broken,
    /// Nothing can be said.
    TooNoisy,
}

impl Verdict {
    /// Whether more measurements may tell more.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::WithinNoise | Self::TooNoisy)
    }

    fn fails(self) -> bool {
        matches!(self, Self::Broken | Self::TooNoisy)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Held => "held",
            Self::WithinNoise => "above by less than the noise",
            Self::Broken => "BROKEN",
            Self::TooNoisy => "TOO NOISY TO TELL",
        })
    }
}

impl Bound {
    /// Judges ratios by those of what was not observed to itself, measured alike.
    pub(crate) fn judge(self, ratios: &[f64], itself: &[f64]) -> Verdict {
        let found = median(ratios.iter().copied());
        let noise = noise(ratios.len(), itself);
        if noise > self.noisiest {
            Verdict::TooNoisy
        } else if found <= self.most {
            Verdict::Held
        } else if found - noise <= self.most {
            Verdict::WithinNoise
        } else {
            Verdict::Broken
        }
    }
}

/// How far the median of so many ratios is from the truth by chance, in 19 of 20 cases,
/// where single ones vary as these do, whose truth is one: two standard errors of a
/// median, by the median deviation, which a single outlier does not move.
pub(crate) fn noise(number: usize, itself: &[f64]) -> f64 {
    let deviation = median(itself.iter().map(|ratio| (ratio - 1.0).abs()));
    2.0 * 1.2533 * 1.4826 * deviation / (number as f64).sqrt()
}

/// A table, and what in it is above its bound.
pub(crate) struct Report {
    text: String,
    broken: Vec<String>,
}

impl From<String> for Report {
    fn from(text: String) -> Self {
        Self {
            text,
            broken: Vec::new(),
        }
    }
}

impl Report {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn broken(&self) -> &[String] {
        &self.broken
    }

    /// Below a heading.
    pub(crate) fn titled(self, heading: &str) -> Self {
        Self {
            text: format!("## {heading}\n\n{}", self.text),
            ..self
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, row: &str) {
        self.text.push_str(row);
        self.text.push('\n');
    }

    /// Remembers what was judged, where it fails.
    pub(crate) fn judged(&mut self, name: &str, bound: Bound, found: f64, verdict: Verdict) {
        if verdict.fails() {
            let most = bound.most;
            let line = format!("{name}: {found:.3} times, at most {most}: {verdict}");
            self.broken.push(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bound, Report, Verdict, noise};

    const BOUND: Bound = Bound {
        most: 1.25,
        noisiest: 0.25,
    };

    #[test]
    fn what_is_above_its_bound_fails_and_noise_hides_nothing() {
        let calm = [1.01, 0.99, 1.01];
        let restless = [1.08, 0.92, 1.08];
        let wild = [1.5, 0.6, 1.5];
        for (ratios, itself, expected) in [
            ([1.1, 1.1, 1.4], calm, Verdict::Held),
            ([1.1, 1.3, 1.3], calm, Verdict::Broken),
            ([1.1, 1.3, 1.3], restless, Verdict::WithinNoise),
            ([1.1, 1.9, 1.9], restless, Verdict::Broken),
            // What cannot be told is not taken for good.
            ([1.1, 1.1, 1.1], wild, Verdict::TooNoisy),
        ] {
            assert_eq!(BOUND.judge(&ratios, &itself), expected, "{ratios:?}");
            let mut report = Report::from(String::new());
            report.judged("storm", BOUND, ratios[1], expected);
            assert_eq!(report.broken().is_empty(), !expected.fails());
        }
    }

    #[test]
    fn more_measurements_are_less_noise() {
        let itself = [1.02, 0.98, 1.02, 0.98];
        let (few, many) = (noise(4, &itself), noise(100, &itself));
        assert!((few - 5.0 * many).abs() < 1e-9, "{few} and {many}");
        assert!(noise(10, &[1.0]) < 1e-9);
    }
}
