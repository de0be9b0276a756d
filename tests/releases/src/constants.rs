//! What the compiler itself can read of the file.

/// How many lines give this key a string.
pub(crate) const fn count(text: &str, key: &str) -> usize {
    let mut count = 0;
    while place(text, key, count).is_some() {
        count += 1;
    }
    count
}

/// The string that the line of this number, of those with this key, gives it.
pub(crate) const fn value(text: &'static str, key: &str, number: usize) -> &'static str {
    let Some(start) = place(text, key, number) else {
        panic!("observer/go/versions.toml lacks a key")
    };
    let (_, rest) = text.as_bytes().split_at(start);
    let mut end = 0;
    while rest[end] != b'"' {
        end += 1;
    }
    match std::str::from_utf8(rest.split_at(end).0) {
        Ok(value) => value,
        Err(_) => panic!("observer/go/versions.toml has a string that is no text"),
    }
}

/// Where that string begins.
const fn place(text: &str, key: &str, number: usize) -> Option<usize> {
    let (text, key) = (text.as_bytes(), key.as_bytes());
    let mut seen = 0;
    let mut line = 0;
    while line < text.len() {
        if starts(text, line, key) && starts(text, line + key.len(), b" = \"") {
            if seen == number {
                return Some(line + key.len() + 4);
            }
            seen += 1;
        }
        while line < text.len() && text[line] != b'\n' {
            line += 1;
        }
        line += 1;
    }
    None
}

const fn starts(text: &[u8], at: usize, with: &[u8]) -> bool {
    let mut place = 0;
    while place < with.len() {
        if at + place >= text.len() || text[at + place] != with[place] {
            return false;
        }
        place += 1;
    }
    true
}

/// 22 of `1.22.12` and of `1.22`.
pub const fn minor(version: &str) -> u32 {
    let bytes = version.as_bytes();
    assert!(
        starts(bytes, 0, b"1.") && bytes.len() > 2,
        "no release of Go: expected one such as 1.22.12"
    );
    let (mut place, mut minor) = (2, 0);
    while place < bytes.len() && bytes[place] != b'.' {
        assert!(
            bytes[place].is_ascii_digit(),
            "no release of Go: expected one such as 1.22.12"
        );
        minor = 10 * minor + (bytes[place] - b'0') as u32;
        place += 1;
    }
    minor
}

#[cfg(test)]
mod tests {
    use super::{count, minor, value};

    const TEXT: &str = "# a = \"0\"\na = \"1\"\nab = \"2\"\na = \"3\"";

    #[test]
    fn the_lines_of_a_key_are_told_from_others() {
        assert_eq!(count(TEXT, "a"), 2);
        assert_eq!((value(TEXT, "a", 0), value(TEXT, "a", 1)), ("1", "3"));
        assert_eq!(value(TEXT, "ab", 0), "2");
        assert_eq!(count(TEXT, "b"), 0);
    }

    #[test]
    fn a_minor_release_is_told_with_and_without_its_patch() {
        assert_eq!((minor("1.22.12"), minor("1.9")), (22, 9));
    }
}
