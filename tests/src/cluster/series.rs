//! An exposition, asked by labels.

use std::collections::BTreeMap;

use crate::metrics;

/// One series.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its labels; those without a value are left out, as Prometheus does.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// All series of one scrape.
#[derive(Clone, Debug, Default)]
pub struct Exposition(BTreeMap<String, Vec<Series>>);

impl Exposition {
    /// Reads Prometheus' text.
    pub fn parse(text: &str) -> Self {
        let mut all = BTreeMap::<String, Vec<Series>>::new();
        for sample in metrics::parse(text) {
            all.entry(sample.name).or_default().push(Series {
                labels: labels(&sample.labels),
                value: sample.value,
            });
        }
        Self(all)
    }

    /// Series of a name that bear these labels.
    pub fn select<'a>(
        &'a self,
        name: &str,
        wanted: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Series> {
        self.0.get(name).into_iter().flatten().filter(|series| {
            wanted
                .iter()
                .all(|(name, value)| series.labels.get(*name).map_or("", String::as_str) == *value)
        })
    }

    /// The value of the one series of a name that bears these labels.
    pub fn value(&self, name: &str, wanted: &[(&str, &str)]) -> Option<f64> {
        let found: Vec<_> = self.select(name, wanted).collect();
        assert!(found.len() < 2, "{name}{wanted:?} is not one: {found:?}");
        found.first().map(|series| series.value)
    }

    /// Every series and its name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Series)> {
        self.0
            .iter()
            .flat_map(|(name, all)| all.iter().map(move |series| (name.as_str(), series)))
    }
}

/// No value that the tests make holds a quote.
fn labels(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once("=\"") {
        let Some((value, after)) = after.split_once('"') else {
            panic!("labels {text:?}");
        };
        if !value.is_empty() {
            found.insert(name.trim_start_matches(',').to_owned(), value.to_owned());
        }
        rest = after;
    }
    found
}
