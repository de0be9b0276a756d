//! Numbers as Kubernetes writes a Quantity.

/// Suffixes of thousands, from a thousandth on.
const SUFFIXES: [&str; 8] = ["m", "", "k", "M", "G", "T", "P", "E"];
/// What a Quantity can hold, in thousandths.
const MOST: i128 = i64::MAX as i128 * 1000;

/// A number to the thousandth, in the canonical decimal form: no fraction, and
/// the largest suffix that leaves none. `None` of what is no number.
pub(crate) fn quantity(value: f64) -> Option<String> {
    let mut number = thousandths(value)?.clamp(-MOST, MOST);
    let mut suffix = 0;
    if number == 0 {
        return Some("0".to_owned());
    }
    while number % 1000 == 0 && suffix + 1 < SUFFIXES.len() {
        number /= 1000;
        suffix += 1;
    }
    Some(format!("{number}{}", SUFFIXES[suffix]))
}

fn thousandths(value: f64) -> Option<i128> {
    if !value.is_finite() {
        return None;
    }
    // The whole part apart: multiplied, a large one would lose its last digits.
    let whole = value.trunc();
    let part = ((value - whole) * 1000.0).round();
    Some(
        (whole as i128)
            .saturating_mul(1000)
            .saturating_add(part as i128),
    )
}

#[cfg(test)]
mod tests {
    use super::quantity;

    #[test]
    fn a_number_is_written_as_kubernetes_does() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (0.0004, "0"),
            (0.0005, "1m"),
            (0.001, "1m"),
            (10.0, "10"),
            (10.5, "10500m"),
            (999.999, "999999m"),
            (999.9996, "1k"),
            (1000.0, "1k"),
            (1001.0, "1001"),
            (2_500_000.0, "2500k"),
            (1_048_576.0, "1048576"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (4_000_000_000.0, "4G"),
            (-3.25, "-3250m"),
            (f64::MAX, "9223372036854775807"),
        ] {
            assert_eq!(quantity(value).as_deref(), Some(expected), "{value}");
        }
        assert_eq!(quantity(f64::NAN), None);
        assert_eq!(quantity(f64::INFINITY), None);
    }
}
