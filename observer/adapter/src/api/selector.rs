//! Label selectors as text. kube-rs has none of the text's grammar, and no
//! comparison of numbers.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use observer_node::exclude::{is_key, is_name};

/// Labels of an object.
pub(crate) type Labels = BTreeMap<String, String>;

/// Longest text of a selector: a URL holds no more.
const LONGEST: usize = 16 << 10;

/// Requirements that all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Operator {
    Exists,
    DoesNotExist,
    In(Vec<String>),
    NotIn(Vec<String>),
    Above(i64),
    Below(i64),
}

/// The text is no selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unable to parse requirement: {0}")]
pub(crate) struct SelectorError(String);

impl Selector {
    /// Of text such as `app=shop,tier in (web, api),!canary,cores>4`.
    pub(crate) fn parse(text: &str) -> Result<Self, SelectorError> {
        if text.len() > LONGEST {
            return Err(error("the selector is too long"));
        }
        let mut parser = Parser(text);
        let mut all = Vec::new();
        if parser.peek().is_none() {
            return Ok(Self(all));
        }
        loop {
            all.push(parser.requirement()?);
            match parser.next() {
                None => return Ok(Self(all)),
                Some(Token::Sign(",")) if parser.peek().is_some() => {}
                found => {
                    return Err(error(format!(
                        "found {}, expected ',' and another requirement, or the end",
                        shown(found)
                    )));
                }
            }
        }
    }

    /// The form in which objects have it; `None` where nothing is required, and
    /// of comparisons of numbers, which that form lacks.
    pub(crate) fn to_object(&self) -> Option<LabelSelector> {
        let mut object = LabelSelector::default();
        for Requirement { key, operator } in &self.0 {
            let (name, values) = match operator {
                Operator::In(values) if values.len() == 1 => {
                    let labels = object.match_labels.get_or_insert_default();
                    labels.insert(key.clone(), values[0].clone());
                    continue;
                }
                Operator::In(values) => ("In", Some(values.clone())),
                Operator::NotIn(values) => ("NotIn", Some(values.clone())),
                Operator::Exists => ("Exists", None),
                Operator::DoesNotExist => ("DoesNotExist", None),
                Operator::Above(_) | Operator::Below(_) => return None,
            };
            let all = object.match_expressions.get_or_insert_default();
            all.push(LabelSelectorRequirement {
                key: key.clone(),
                operator: name.to_owned(),
                values,
            });
        }
        (!self.0.is_empty()).then_some(object)
    }

    /// What it requires of this label, and the rest.
    pub(crate) fn split(self, label: &str) -> (Self, Self) {
        let of = |requirement: &Requirement| requirement.key == label;
        let (of, rest) = self.0.into_iter().partition(of);
        (Self(of), Self(rest))
    }

    /// Whether it requires something of this label.
    pub(crate) fn names(&self, label: &str) -> bool {
        self.0.iter().any(|requirement| requirement.key == label)
    }

    /// Whether it selects everything.
    pub(crate) const fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an object with these labels is selected.
    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|requirement| {
            let value = labels.get(&requirement.key);
            let number = || value?.parse::<i64>().ok();
            match &requirement.operator {
                Operator::Exists => value.is_some(),
                Operator::DoesNotExist => value.is_none(),
                Operator::In(values) => value.is_some_and(|value| values.contains(value)),
                Operator::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
                Operator::Above(than) => number().is_some_and(|number| number > *than),
                Operator::Below(than) => number().is_some_and(|number| number < *than),
            }
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Sign(&'static str),
    Word(&'a str),
}

/// As one reads it in a message.
fn shown(token: Option<Token<'_>>) -> String {
    match token {
        None => "the end".to_owned(),
        Some(Token::Sign(text) | Token::Word(text)) => format!("'{text}'"),
    }
}

const SIGNS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];

struct Parser<'a>(&'a str);

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        self.0 = self.0.trim_ascii_start();
        if self.0.is_empty() {
            return None;
        }
        for sign in SIGNS {
            if let Some(rest) = self.0.strip_prefix(sign) {
                self.0 = rest;
                return Some(Token::Sign(sign));
            }
        }
        let ends = |c: char| c.is_ascii_whitespace() || "=!(),><".contains(c);
        let (word, rest) = self.0.split_at(self.0.find(ends).unwrap_or(self.0.len()));
        self.0 = rest;
        Some(Token::Word(word))
    }

    fn peek(&self) -> Option<Token<'a>> {
        Parser(self.0).next()
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let absent = self.peek() == Some(Token::Sign("!"));
        if absent {
            self.next();
        }
        let key = match self.next() {
            Some(Token::Word(word)) => key(word)?,
            found => {
                return Err(error(format!(
                    "found {}, expected a label's key",
                    shown(found)
                )));
            }
        };
        let operator = if absent {
            Operator::DoesNotExist
        } else {
            self.operator()?
        };
        Ok(Requirement { key, operator })
    }

    fn operator(&mut self) -> Result<Operator, SelectorError> {
        match self.peek() {
            None | Some(Token::Sign(",")) => return Ok(Operator::Exists),
            _ => {}
        }
        match self.next() {
            Some(Token::Sign("=" | "==")) => Ok(Operator::In(vec![self.value()?])),
            Some(Token::Sign("!=")) => Ok(Operator::NotIn(vec![self.value()?])),
            Some(Token::Sign(">")) => Ok(Operator::Above(self.number()?)),
            Some(Token::Sign("<")) => Ok(Operator::Below(self.number()?)),
            Some(Token::Word("in")) => Ok(Operator::In(self.values()?)),
            Some(Token::Word("notin")) => Ok(Operator::NotIn(self.values()?)),
            found => Err(error(format!(
                "found {}, expected one of in, notin, =, ==, !=, >, <",
                shown(found)
            ))),
        }
    }

    /// A value, which may be empty.
    fn value(&mut self) -> Result<String, SelectorError> {
        match self.peek() {
            None | Some(Token::Sign("," | ")")) => Ok(String::new()),
            Some(Token::Word(word)) => {
                self.next();
                value(word)
            }
            found => Err(error(format!(
                "found {}, expected a label's value",
                shown(found)
            ))),
        }
    }

    fn number(&mut self) -> Result<i64, SelectorError> {
        let text = self.value()?;
        text.parse()
            .map_err(|_| error(format!("{text:?} is no whole number to compare with")))
    }

    fn values(&mut self) -> Result<Vec<String>, SelectorError> {
        if self.next() != Some(Token::Sign("(")) {
            return Err(error("expected '(' after in and notin"));
        }
        let mut values = Vec::new();
        loop {
            values.push(self.value()?);
            match self.next() {
                Some(Token::Sign(",")) => {}
                Some(Token::Sign(")")) => break,
                found => {
                    return Err(error(format!(
                        "found {}, expected ',' or ')'",
                        shown(found)
                    )));
                }
            }
        }
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }
}

fn error(text: impl Into<String>) -> SelectorError {
    SelectorError(text.into())
}

/// A label's key: `[prefix/]name`.
fn key(word: &str) -> Result<String, SelectorError> {
    if is_key(word) {
        Ok(word.to_owned())
    } else {
        Err(error(format!("{word:?} is no label's key")))
    }
}

fn value(word: &str) -> Result<String, SelectorError> {
    if is_name(word) {
        Ok(word.to_owned())
    } else {
        Err(error(format!("{word:?} is no label's value")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Labels, Selector};

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn the_whole_grammar_selects_as_kubernetes_does() {
        let shop = labels(&[("app", "shop"), ("tier", "web"), ("cores", "8"), ("e", "")]);
        for (text, selected) in [
            ("", true),
            ("  ", true),
            ("app=shop", true),
            ("app==shop", true),
            (" app = shop , tier = web ", true),
            ("app=shop,tier=api", false),
            ("app!=shop", false),
            ("other!=shop", true),
            ("tier in (web,api)", true),
            ("tier in ( web )", true),
            ("tier in(web)", true),
            ("tier notin (web,api)", false),
            ("other notin (web)", true),
            ("other in (web)", false),
            ("app", true),
            ("other", false),
            ("!other", true),
            ("! app", false),
            ("!other,app", true),
            ("cores>4", true),
            ("cores > 8", false),
            ("cores<9", true),
            ("tier>1", false),
            ("other<1", false),
            ("e=", true),
            ("e=,app", true),
            ("app=", false),
            ("e in (,x)", true),
            ("example.com/app!=x", true),
            ("in in (in)", false),
        ] {
            let selector = Selector::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(selector.matches(&shop), selected, "{text}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in [
            ",",
            "app,",
            ",app",
            "app=a=b",
            "app in",
            "app in web",
            "app in (web",
            "app in web)",
            "!",
            "!app=a",
            "=a",
            "app tier",
            "-app",
            "app=-a",
            "a/b/c",
            "/app",
            "Up/app",
            "app>a",
            "app>",
            "app=a b",
            "app=ü",
        ] {
            assert!(Selector::parse(text).is_err(), "{text}");
        }
        assert!(Selector::parse(&"a,".repeat(10_000)).is_err());
    }

    #[test]
    fn text_and_object_mean_the_same() {
        let text = Selector::parse("app=shop,tier in (api,web),x notin (y),z,!q").unwrap();
        let object = serde_json::to_value(text.to_object().unwrap()).unwrap();
        let expected = json!({
            "matchLabels": {"app": "shop"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["api", "web"]},
                {"key": "x", "operator": "NotIn", "values": ["y"]},
                {"key": "z", "operator": "Exists"},
                {"key": "q", "operator": "DoesNotExist"},
            ],
        });
        assert_eq!(object, expected);
        assert_eq!(Selector::default().to_object(), None);
        assert_eq!(Selector::parse("cores>4").unwrap().to_object(), None);
    }
}
