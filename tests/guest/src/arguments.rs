//! What a scenario was told.

use std::str::FromStr;

/// An argument, or what it is unless given.
pub(crate) fn argument<T: FromStr>(arguments: &[String], place: usize, unless: T) -> T {
    arguments.get(place).map_or(unless, |text| {
        let read = text.parse();
        read.unwrap_or_else(|_| panic!("{text}: expected a number"))
    })
}
