//! A strict reader of both text formats, written from their specifications,
//! so that the tests do not trust the writer.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(crate) struct Exposition {
    /// Type and help by family name.
    pub(crate) families: BTreeMap<String, (String, String)>,
    /// Value by sample name and sorted labels.
    pub(crate) samples: BTreeMap<(String, Vec<(String, String)>), f64>,
}

impl Exposition {
    /// The value of the only sample of this name that has all these labels.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self.samples.iter().filter(|((sample, has), _)| {
            sample == name
                && labels
                    .iter()
                    .all(|(k, v)| has.iter().any(|(hk, hv)| hk == k && hv == v))
        });
        let value = found.next().map(|(_, value)| *value);
        assert!(found.next().is_none(), "more than one {name}{labels:?}");
        value
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

pub(crate) fn parse(text: &str, open_metrics: bool) -> Exposition {
    assert!(text.ends_with('\n'), "the last line has no end");
    assert_eq!(text.ends_with("# EOF\n"), open_metrics);
    assert!(!text.contains('\r'));
    let mut out = Exposition::default();
    let mut units = BTreeSet::new();
    let mut current = String::new();
    let mut help = None;
    for line in text.trim_end_matches("# EOF\n").split_terminator('\n') {
        if let Some(comment) = line.strip_prefix("# ") {
            let (keyword, rest) = comment.split_once(' ').expect(line);
            let (name, rest) = rest.split_once(' ').expect(line);
            assert!(
                name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
                "{line}"
            );
            match keyword {
                "HELP" => help = Some((name.to_owned(), rest.to_owned())),
                "TYPE" => {
                    let (of, text) = help.take().expect("TYPE follows HELP");
                    assert_eq!(of, name);
                    assert!(
                        out.families
                            .insert(name.to_owned(), (rest.to_owned(), text))
                            .is_none(),
                        "{name} twice"
                    );
                    name.clone_into(&mut current);
                }
                "UNIT" => {
                    assert!(open_metrics, "{line}");
                    assert!(
                        name == current && name.ends_with(&format!("_{rest}")),
                        "{line}"
                    );
                    assert!(units.insert(name.to_owned()));
                }
                _ => panic!("{line}"),
            }
            continue;
        }
        let (name, labels, value) = sample(line);
        let kind = &out
            .families
            .get(&current)
            .unwrap_or_else(|| panic!("no family for {line}"))
            .0;
        let suffix = name
            .strip_prefix(current.as_str())
            .unwrap_or_else(|| panic!("{name} stands in {current}"));
        assert!(
            suffixes(kind, open_metrics).contains(&suffix),
            "{name} in {kind} {current}"
        );
        assert_eq!(
            suffix == "_bucket",
            labels.iter().any(|(name, _)| name == "le"),
            "{line}"
        );
        assert!(kind == "gauge" || value >= 0.0, "{line}");
        assert!(
            out.samples.insert((name, labels), value).is_none(),
            "twice: {line}"
        );
    }
    out
}

fn sample(line: &str) -> (String, Vec<(String, String)>, f64) {
    let end = line.find(['{', ' ']).expect(line);
    let name = line[..end].to_owned();
    let mut rest = &line[end..];
    let mut labels = Vec::new();
    if let Some(mut inside) = rest.strip_prefix('{') {
        loop {
            let (label, after) = inside.split_once("=\"").expect(line);
            assert!(
                !label.is_empty() && label.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
                "{line}"
            );
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
            labels.push((label.to_owned(), value));
            inside = &after[end + 1..];
            match inside.split_at(1) {
                (",", after) => inside = after,
                ("}", after) => {
                    rest = after;
                    break;
                }
                _ => panic!("{line}"),
            }
        }
    }
    let value = rest.strip_prefix(' ').expect(line);
    let value = value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
    assert!(value.is_finite(), "{line}");
    labels.sort();
    assert!(
        labels.windows(2).all(|pair| pair[0].0 != pair[1].0),
        "a label twice: {line}"
    );
    (name, labels, value)
}
