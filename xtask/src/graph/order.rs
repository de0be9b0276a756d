//! The order of crates and rooms, as `ARCHITECTURE.md` says it.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

/// From what is used to who uses it.
const ARROW: &str = "──▶";

/// A line of names. Those of one place stand side by side; a later place may use what
/// is in an earlier one.
pub(super) type Line = Vec<Vec<String>>;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Order {
    pub(super) crates: Line,
    /// By the name of the crate's folder.
    pub(super) rooms: BTreeMap<String, Line>,
}

impl Order {
    /// Reads the blocks of code that have arrows: `NAME: ROOM, ROOM ──▶ ROOM` of a
    /// crate's rooms, and a line without a name of the crates.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut order = Self::default();
        let mut is_code = false;
        for text in text.lines() {
            is_code ^= text.starts_with("```");
            if !is_code || !text.contains(ARROW) {
                continue;
            }
            match text.split_once(':') {
                Some((name, rooms)) => {
                    order.rooms.insert(name.trim().to_owned(), line(rooms));
                }
                None => order.crates = line(text),
            }
        }
        ensure!(
            !order.crates.is_empty(),
            "ARCHITECTURE.md says no order of crates: expected a block of code with `A {ARROW} B`"
        );
        Ok(order)
    }
}

/// The place of a name in a line.
pub(super) fn place(line: &Line, name: &str) -> Option<usize> {
    line.iter()
        .position(|names| names.iter().any(|it| it == name))
}

fn line(text: &str) -> Line {
    let names = |names: &str| names.split(',').map(|it| it.trim().to_owned()).collect();
    text.split(ARROW).map(names).collect()
}

#[cfg(test)]
mod tests {
    use super::{Order, place};

    #[test]
    fn lines_of_crates_and_rooms_are_told_apart() {
        let text = "a ──▶ b\n```\nlow ──▶ high\n what it does: not this\n```\n```\n\
                    low:   one, two ──▶ three\n```\n";
        let order = Order::parse(text).unwrap();
        assert_eq!(place(&order.crates, "high"), Some(1));
        let rooms = &order.rooms["low"];
        assert_eq!(
            ["one", "two", "three", "four"].map(|it| place(rooms, it)),
            [Some(0), Some(0), Some(1), None]
        );
        assert!(Order::parse("a ──▶ b").is_err());
    }
}
