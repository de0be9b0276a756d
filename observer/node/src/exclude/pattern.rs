//! Patterns of paths and names.

use std::{fmt, path::Path};

/// A longer pattern, in bytes, is a mistake.
const LONGEST: usize = 1024;

/// `*` stands for any characters but `/`, `**` for any at all, `?` for one that
/// is not `/`. All else stands for itself. What is no UTF-8 in a path is one
/// character that only these match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Char(char),
    One,
    Some,
    Any,
}

impl Pattern {
    /// Reads one, or says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the pattern is empty".to_owned());
        }
        if text.len() > LONGEST {
            return Err(format!("the pattern is longer than {LONGEST} bytes"));
        }
        if let Some(odd) = text.chars().find(|c| "[]{}\\".contains(*c)) {
            return Err(format!(
                "{odd:?} has no meaning in a pattern; write ? for any one character"
            ));
        }
        let mut parts = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            parts.push(match char {
                '*' if chars.next_if_eq(&'*').is_some() => Part::Any,
                '*' => Part::Some,
                '?' => Part::One,
                char => Part::Char(char),
            });
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }

    pub(super) fn matches_path(&self, path: &Path) -> bool {
        self.matches(&path.to_string_lossy())
    }

    /// Follows every way through the pattern at once: no text takes longer than
    /// its length times the pattern's.
    pub(super) fn matches(&self, text: &str) -> bool {
        let end = self.parts.len();
        let mut at = vec![false; end + 1];
        at[0] = true;
        self.skip(&mut at);
        for char in text.chars() {
            let mut next = vec![false; end + 1];
            for (place, part) in self.parts.iter().enumerate() {
                if !at[place] {
                    continue;
                }
                match part {
                    Part::Char(wanted) => next[place + 1] |= *wanted == char,
                    Part::One => next[place + 1] |= char != '/',
                    Part::Some => next[place] |= char != '/',
                    Part::Any => next[place] = true,
                }
            }
            self.skip(&mut next);
            if !next.contains(&true) {
                return false;
            }
            at = next;
        }
        at[end]
    }

    /// Stars may stand for nothing.
    fn skip(&self, at: &mut [bool]) {
        for (place, part) in self.parts.iter().enumerate() {
            if matches!(part, Part::Some | Part::Any) {
                at[place + 1] |= at[place];
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
