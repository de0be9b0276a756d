//! Values of labels, which are in the hands of whoever runs a program.

/// Longest label value, in bytes: what comes from a target is data from a stranger.
const MAX_LABEL_BYTES: usize = 255;

/// A label value without control characters and of bounded length.
pub(super) fn label(value: &str) -> String {
    let mut out = String::new();
    for c in value.chars().map(|c| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    }) {
        if out.len() + c.len_utf8() > MAX_LABEL_BYTES {
            break;
        }
        out.push(c);
    }
    out
}
