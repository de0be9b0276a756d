//! One rule of `--exclude`, as it is written.

use std::{collections::BTreeMap, fmt, str::FromStr};

use super::pattern::Pattern;

/// Labels, or annotations, of an object.
pub type Marks = BTreeMap<String, String>;

/// What one `--exclude` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// `path=PATTERN`: programs whose file has such a path.
    Path(Pattern),
    /// `namespace=PATTERN`: pods in such a namespace.
    Namespace(Pattern),
    /// `label=KEY[=VALUE]`: pods with this label.
    Label(Mark),
    /// `annotation=KEY[=VALUE]`: pods with this annotation.
    Annotation(Mark),
}

/// A label or an annotation; without a value any value will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    key: String,
    value: Option<String>,
}

/// A rule that cannot be meant.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{problem}; expected path=PATTERN, namespace=PATTERN, label=KEY[=VALUE] or annotation=KEY[=VALUE], \
     such as path=/usr/sbin/criu or namespace=kube-*"
)]
pub struct RuleError {
    problem: String,
}

fn error(problem: impl Into<String>) -> RuleError {
    RuleError {
        problem: problem.into(),
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let (kind, what) = text
            .split_once('=')
            .ok_or_else(|| error(format!("{text:?} does not say what it excludes by")))?;
        match kind {
            "path" => path(what).map(Self::Path),
            "namespace" => namespace(what).map(Self::Namespace),
            "label" => label(what).map(Self::Label),
            "annotation" => annotation(what).map(Self::Annotation),
            _ => Err(error(format!("nothing is excluded by {kind:?}"))),
        }
    }
}

fn path(text: &str) -> Result<Pattern, RuleError> {
    // Every path that the kernel tells begins so, or is a name in memory.
    if !(text.starts_with('/') || text.starts_with("**")) {
        return Err(error(format!(
            "{text:?} matches no path: paths of programs begin with /"
        )));
    }
    Pattern::parse(text).map_err(error)
}

fn namespace(text: &str) -> Result<Pattern, RuleError> {
    let possible =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ['-', '*', '?'].contains(&c);
    if let Some(odd) = text.chars().find(|c| !possible(*c)) {
        return Err(error(format!(
            "{text:?} matches no namespace: none has {odd:?} in its name"
        )));
    }
    Pattern::parse(text).map_err(error)
}

fn label(text: &str) -> Result<Mark, RuleError> {
    let mark = annotation(text)?;
    match &mark.value {
        Some(value) if !is_name(value) => Err(error(format!("{value:?} is no label's value"))),
        _ => Ok(mark),
    }
}

fn annotation(text: &str) -> Result<Mark, RuleError> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Some(value.to_owned())),
        None => (text, None),
    };
    if !is_key(key) {
        return Err(error(format!(
            "{key:?} is no key of a label or an annotation"
        )));
    }
    Ok(Mark {
        key: key.to_owned(),
        value,
    })
}

/// `[prefix/]name`.
pub fn is_key(text: &str) -> bool {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let domain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let prefixed = prefix.is_none_or(|prefix| {
        !prefix.is_empty() && prefix.len() <= 253 && prefix.chars().all(domain)
    });
    prefixed && !name.is_empty() && is_name(name)
}

/// The part of a key behind its prefix, and a label's value.
pub fn is_name(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    let ends = [text.bytes().next(), text.bytes().next_back()];
    text.len() <= 63
        && text.bytes().all(inner)
        && ends
            .into_iter()
            .flatten()
            .all(|c| c.is_ascii_alphanumeric())
}

impl Mark {
    pub(super) fn is_among(&self, marks: Option<&Marks>) -> bool {
        let found = marks.and_then(|marks| marks.get(&self.key));
        found.is_some_and(|found| self.value.as_ref().is_none_or(|value| value == found))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(pattern) => write!(f, "path={pattern}"),
            Self::Namespace(pattern) => write!(f, "namespace={pattern}"),
            Self::Label(mark) => write!(f, "label={mark}"),
            Self::Annotation(mark) => write!(f, "annotation={mark}"),
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        match &self.value {
            Some(value) => write!(f, "={value}"),
            None => Ok(()),
        }
    }
}
