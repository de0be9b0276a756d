//! Metrics as Prometheus' and OpenMetrics' text, read strictly as their specifications
//! have it, so that no test trusts the writer. All tests read with this.
//!
//! It is no crate, because none of them is right and free to use. `prometheus-parse` ends
//! a label at the first comma or brace inside its value, leaves escapes as they are, and
//! skips lines that it does not understand. `prom_text_format_parser` does not know
//! OpenMetrics. `openmetrics-parser` is correct, but under the LGPL, and it compares each
//! series with all others of its family, of which an observer may have thousands.

use std::collections::BTreeMap;

/// One series.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its labels; those without a value are left out, as Prometheus does.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// What is said of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its type.
    pub kind: String,
    /// Its help.
    pub help: String,
}

/// All series of one scrape.
#[derive(Clone, Debug, Default)]
pub struct Exposition {
    /// Whether it is `OpenMetrics`.
    pub open_metrics: bool,
    /// Families by name.
    pub families: BTreeMap<String, Family>,
    /// Series by name, in the order of their labels.
    pub series: BTreeMap<String, Vec<Series>>,
}

impl Exposition {
    /// Reads either text; panics with the line where it is not well formed.
    pub fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line has no end: {text}");
        assert!(!text.contains('\r'));
        let whole = text.strip_suffix("# EOF\n");
        let mut reading = Reading::default();
        reading.out.open_metrics = whole.is_some();
        for line in whole.unwrap_or(text).split_terminator('\n') {
            match line.strip_prefix("# ") {
                Some(comment) => reading.comment(line, comment),
                None => reading.sample(line),
            }
        }
        let mut out = reading.out;
        for (name, all) in &mut out.series {
            all.sort_by(|a, b| a.labels.cmp(&b.labels));
            if let Some(two) = all.windows(2).find(|two| two[0].labels == two[1].labels) {
                panic!("twice: {name}{:?}", two[0].labels);
            }
        }
        out
    }

    /// Series of a name that have these labels; one without a label has it empty.
    pub fn select<'a>(
        &'a self,
        name: &str,
        wanted: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Series> {
        let all = self.series.get(name).into_iter().flatten();
        all.filter(|series| {
            let mut wanted = wanted.iter();
            wanted.all(|(name, value)| series.label(name) == *value)
        })
    }

    /// The value of the one series of a name that has these labels.
    pub fn value(&self, name: &str, wanted: &[(&str, &str)]) -> Option<f64> {
        let found: Vec<_> = self.select(name, wanted).collect();
        assert!(found.len() < 2, "{name}{wanted:?} is not one: {found:?}");
        found.first().map(|series| series.value)
    }

    /// Every series and its name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Series)> {
        let series = self.series.iter();
        series.flat_map(|(name, all)| all.iter().map(move |series| (name.as_str(), series)))
    }
}

impl Series {
    /// A label's value; empty where it has none.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// Sum of the series of a name whose labels include all of those given, each as it is
/// written, for example `pid="42"`; `None` where there is no such series.
pub fn sum(metrics: &Exposition, name: &str, labels: &[&str]) -> Option<f64> {
    let wanted: Vec<_> = labels
        .iter()
        .map(|label| {
            let (name, value) = label.split_once('=').expect("name=\"value\"");
            (name, value.trim_matches('"'))
        })
        .collect();
    let values = metrics.select(name, &wanted).map(|series| series.value);
    values.reduce(|a, b| a + b)
}

/// What is read so far.
#[derive(Default)]
struct Reading {
    out: Exposition,
    /// The family whose series come now.
    current: String,
    /// The last help, whose type has not come yet.
    help: Option<(String, String)>,
    /// Whether the family's unit was said.
    has_unit: bool,
}

impl Reading {
    fn comment(&mut self, line: &str, comment: &str) {
        let (keyword, rest) = comment.split_once(' ').expect(line);
        let (name, rest) = rest.split_once(' ').expect(line);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        assert!(name.chars().all(is_name), "{line}");
        match keyword {
            "HELP" => self.help = Some((name.to_owned(), rest.to_owned())),
            "TYPE" => {
                let (of, help) = self.help.take().expect("TYPE follows HELP");
                assert_eq!(of, name);
                let kind = rest.to_owned();
                let before = self.out.families.insert(of, Family { kind, help });
                assert!(before.is_none(), "{name} twice");
                name.clone_into(&mut self.current);
                self.has_unit = false;
            }
            "UNIT" => {
                assert!(self.out.open_metrics, "{line}");
                assert!(
                    name == self.current && name.ends_with(&format!("_{rest}")),
                    "{line}"
                );
                assert!(!std::mem::replace(&mut self.has_unit, true), "{line} twice");
            }
            _ => panic!("{line}"),
        }
    }

    fn sample(&mut self, line: &str) {
        let end = line.find(['{', ' ']).expect(line);
        let (name, rest) = line.split_at(end);
        let (mut labels, rest) = match rest.strip_prefix('{') {
            Some(inside) => labels(inside, line),
            None => (BTreeMap::new(), rest),
        };
        let value = rest.strip_prefix(' ').expect(line);
        let value = value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
        assert!(value.is_finite(), "{line}");
        let current = &self.current;
        let family = self.out.families.get(current);
        let kind = &family
            .unwrap_or_else(|| panic!("no family for {line}"))
            .kind;
        let suffix = name.strip_prefix(current.as_str());
        let suffix = suffix.unwrap_or_else(|| panic!("{name} stands in {current}"));
        assert!(
            suffixes(kind, self.out.open_metrics).contains(&suffix),
            "{name} in {kind} {current}"
        );
        assert_eq!(suffix == "_bucket", labels.contains_key("le"), "{line}");
        assert!(kind == "gauge" || value >= 0.0, "{line}");
        labels.retain(|_, value| !value.is_empty());
        let all = self.out.series.entry(name.to_owned()).or_default();
        all.push(Series { labels, value });
    }
}

fn suffixes(kind: &str, open_metrics: bool) -> &'static [&'static str] {
    match kind {
        "counter" if open_metrics => &["_total"],
        "unknown" if open_metrics => &[""],
        "counter" | "gauge" => &[""],
        "histogram" => &["_sum", "_count", "_bucket"],
        "summary" => &["_sum", "_count"],
        _ => panic!("type {kind}"),
    }
}

/// Labels up to the brace that closes them, and what follows it.
fn labels<'a>(mut inside: &'a str, line: &str) -> (BTreeMap<String, String>, &'a str) {
    let mut labels = BTreeMap::new();
    loop {
        let (label, after) = inside.split_once("=\"").expect(line);
        let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(!label.is_empty() && label.chars().all(is_name), "{line}");
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().expect(line) {
                (at, '"') => break at,
                (_, '\\') => match chars.next().expect(line).1 {
                    'n' => value.push('\n'),
                    c @ ('\\' | '"') => value.push(c),
                    c => panic!("escape {c} in {line}"),
                },
                (_, c) => value.push(c),
            }
        };
        let before = labels.insert(label.to_owned(), value);
        assert!(before.is_none(), "a label twice: {line}");
        match after[end + 1..].split_at(1) {
            (",", next) => inside = next,
            ("}", rest) => return (labels, rest),
            _ => panic!("{line}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::{Exposition, sum};

    const HEAD: &str = "# HELP a A.\n# TYPE a gauge\n";

    #[test]
    fn labels_are_read_with_their_escapes() {
        let text = format!("{HEAD}a{{x=\"1,}} \\\\\\\"\\n=\",y=\"\"}} 2\na{{x=\"\"}} 3\n");
        let found = Exposition::parse(&text);
        assert!(!found.open_metrics);
        assert_eq!(found.value("a", &[("x", "1,} \\\"\n=")]), Some(2.0));
        assert_eq!(found.value("a", &[("x", ""), ("y", "")]), Some(3.0));
        assert_eq!(sum(&found, "a", &["y=\"\""]), Some(5.0));
        assert_eq!(sum(&found, "a", &["x=\"4\""]), None);
        let open = "# HELP b_seconds B.\n# TYPE b_seconds counter\n# UNIT b_seconds seconds\n\
                    b_seconds_total 1\n# EOF\n";
        let found = Exposition::parse(open);
        assert!(found.open_metrics);
        assert_eq!(found.families["b_seconds"].kind, "counter");
        assert_eq!(found.value("b_seconds_total", &[]), Some(1.0));
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for wrong in [
            "a 1",
            "a 1\n# EOF\na 2\n",
            "a 1\na 2\n",
            "a{x=\"1\"} 1\na{y=\"\",x=\"1\"} 2\n",
            "a{x=\"1\",x=\"2\"} 1\n",
            "a{X=\"1\"} 1\n",
            "a{x=\"\\t\"} 1\n",
            "a{x=\"1\" 1\n",
            "a{x=\"1} 1\n",
            "a{} 1\n",
            "a NaN\n",
            "a one\n",
            "a_total 1\n",
            "a_bucket{le=\"1\"} 1\n",
            "b 1\n",
            "# UNIT a a\n",
            "# TYPE b counter\n",
            "\n",
        ] {
            let text = format!("{HEAD}{wrong}");
            let read = catch_unwind(|| Exposition::parse(&text));
            assert!(read.is_err(), "{wrong:?}");
        }
    }
}
