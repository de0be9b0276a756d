//! `/metrics` in Prometheus' text form, as far as the tests need it.

/// One series and its value.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Name of the series, suffix included.
    pub name: String,
    /// Labels as `name="value"`, comma-separated, as they were written.
    pub labels: String,
    /// The value.
    pub value: f64,
}

/// Reads all samples; panics on a line that is none.
pub fn parse(text: &str) -> Vec<Sample> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (series, value) = match line.rfind("} ") {
                Some(at) => line.split_at(at + 1),
                None => line
                    .split_once(' ')
                    .unwrap_or_else(|| panic!("no value: {line}")),
            };
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let value = value.split_whitespace().next().unwrap_or_default();
            Sample {
                name: name.to_owned(),
                labels: labels.trim_end_matches('}').to_owned(),
                value: value
                    .parse()
                    .unwrap_or_else(|_| panic!("value {value:?}: {line}")),
            }
        })
        .collect()
}

/// Sum of the series of a name whose labels include all of those given, for
/// example `pid="42"`; `None` where there is no such series.
pub fn sum(samples: &[Sample], name: &str, labels: &[&str]) -> Option<f64> {
    samples
        .iter()
        .filter(|s| s.name == name && labels.iter().all(|l| s.labels.split(',').any(|x| x == *l)))
        .map(|s| s.value)
        .reduce(|a, b| a + b)
}
