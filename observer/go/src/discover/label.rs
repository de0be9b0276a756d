//! Names of processes and files as labels.

/// The longest name given as a label, in characters.
const MAX_NAME: usize = 64;

/// A name made fit for a label.
pub(super) fn label(name: &str) -> String {
    let replace = |c: char| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    name.chars().take(MAX_NAME).map(replace).collect()
}
