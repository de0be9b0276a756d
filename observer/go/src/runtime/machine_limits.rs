//! What the machine can do at most.

use std::{fs, sync::LazyLock};

/// How many CPUs it may ever have, those that the observer may not use included.
pub fn cpus() -> u64 {
    static CPUS: LazyLock<u64> = LazyLock::new(|| {
        let ranges = fs::read_to_string("/sys/devices/system/cpu/possible");
        ranges.ok().and_then(|ranges| count(&ranges)).unwrap_or(1)
    });
    *CPUS
}

/// How many numbers there are in ranges such as `0-3,8`.
fn count(ranges: &str) -> Option<u64> {
    let length = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    };
    ranges.trim().split(',').map(length).sum()
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn cpus_are_counted_by_ranges() {
        assert_eq!(count("0\n"), Some(1));
        assert_eq!(count("0-7\n"), Some(8));
        assert_eq!(count("0-3,8,10-11"), Some(7));
        for odd in ["", "0-", "3-1", "a", "0-1-2"] {
            assert_eq!(count(odd), None, "{odd:?}");
        }
    }
}
