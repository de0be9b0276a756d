//! Figures and strangers' words as they stand in a terminal.

/// Stands where a figure is not known.
pub(super) const UNKNOWN: &str = "–";

/// Text from a stranger, so that it can neither steer the terminal nor turn
/// the line around, and is no longer than a column could show.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .take(64)
        .map(|c| match c {
            c if c.is_control() => '?',
            '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}' => '?',
            c => c,
        })
        .collect()
}

/// A line of text without control characters.
pub(super) fn clean_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// A line of blocks, of the last values.
pub(super) fn spark(values: &[i64], width: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let last = &values[values.len().saturating_sub(width)..];
    let known = last.iter().copied().filter(|value| *value >= 0);
    let (Some(low), Some(high)) = (known.clone().min(), known.max()) else {
        return String::new();
    };
    // A little up and down is not to look like a lot.
    let range = (high - low).max(4).max(low / 10);
    let block = |value: &i64| match value {
        ..0 => ' ',
        value => BLOCKS[(((value - low) * 7) / range).clamp(0, 7) as usize],
    };
    last.iter().map(block).collect()
}

pub(super) fn whole(value: f64) -> String {
    format!("{value:.0}")
}

pub(super) fn rate(rate: f64) -> String {
    if rate > 0.0 && rate < 10.0 {
        format!("{rate:.1}")
    } else {
        whole(rate)
    }
}

pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0%".to_owned(),
        percent if percent > 0.0 && percent < 0.01 => "<0.01%".to_owned(),
        percent if percent < 1.0 => format!("{percent:.2}%"),
        percent => format!("{percent:.1}%"),
    }
}

/// Three digits and a unit.
fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    let unit = units.iter().rev().find(|(size, _)| value >= *size);
    let (size, name) = unit.or(units.first()).copied().unwrap_or((1.0, ""));
    let value = value / size;
    match value {
        _ if size <= 1.0 || value >= 100.0 => format!("{value:.0}{name}"),
        10.0.. => format!("{value:.1}{name}"),
        _ => format!("{value:.2}{name}"),
    }
}

pub(super) fn duration(ns: f64) -> String {
    scaled(ns, &[(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")])
}

pub(super) fn bytes(bytes: f64) -> String {
    scaled(bytes, &[(1.0, "B"), (1e3, "kB"), (1e6, "MB"), (1e9, "GB")])
}

#[cfg(test)]
mod tests {
    use super::{bytes, duration, percent, rate, spark};

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        let shown = [0.0, 999.0, 9_999.0, 10_000.0, 2_647_132.0, 1e10].map(duration);
        assert_eq!(
            shown,
            ["0ns", "999ns", "10.00µs", "10.0µs", "2.65ms", "10.0s"]
        );
        assert_eq!(bytes(14_043_504.0), "14.0MB");
        assert_eq!(bytes(0.0), "0B");
        assert_eq!(percent(0.000_05), "<0.01%");
        assert_eq!([0.0, 2.5, 12345.0].map(rate), ["0", "2.5", "12345"]);
        assert_eq!(spark(&[-1, 1, 1, 50, 99], 4), "▁▁▄█");
        assert_eq!(spark(&[7, 7], 8), "▁▁");
    }
}
