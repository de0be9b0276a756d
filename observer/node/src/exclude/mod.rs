//! What is not to be observed: the patterns of `--exclude`, and what a pod or a
//! namespace says of itself.
//!
//! [`ExclusionRules`] are read from the command line and checked there, whole. Paths are
//! compared by the engine, all else by the `kube` room, which knows the pods.

mod pattern;
mod rule;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use self::rule::{Marks, Rule, RuleError, is_key, is_name};

/// What a pod or a namespace says, as a label or an annotation, that does not
/// want to be observed.
pub const WISH: (&str, &str) = ("go-observer.dev/observe", "false");

/// Every rule of `--exclude`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExclusionRules(Vec<Rule>);

impl ExclusionRules {
    /// All of them together.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self(rules)
    }

    /// The first rule that only Kubernetes can answer.
    pub fn of_kubernetes(&self) -> Option<&Rule> {
        self.0.iter().find(|rule| !matches!(rule, Rule::Path(_)))
    }

    /// Why a program of this path is excluded, if it is.
    pub fn path(&self, path: &Path) -> Option<String> {
        self.first(|rule| match rule {
            Rule::Path(pattern) => pattern.matches_path(path),
            _ => false,
        })
    }

    /// Why what is in this namespace is excluded, if it is. `labels` and
    /// `annotations` are the namespace's own.
    pub fn namespace(
        &self,
        name: &str,
        labels: Option<&Marks>,
        annotations: Option<&Marks>,
    ) -> Option<String> {
        let by_name = |rule: &Rule| match rule {
            Rule::Namespace(pattern) => pattern.matches(name),
            _ => false,
        };
        wish("namespace", labels, annotations).or_else(|| self.first(by_name))
    }

    /// Why a pod with these labels and annotations is excluded, if it is.
    pub fn pod(&self, labels: Option<&Marks>, annotations: Option<&Marks>) -> Option<String> {
        let by_mark = |rule: &Rule| match rule {
            Rule::Label(mark) => mark.is_among(labels),
            Rule::Annotation(mark) => mark.is_among(annotations),
            Rule::Path(_) | Rule::Namespace(_) => false,
        };
        wish("pod", labels, annotations).or_else(|| self.first(by_mark))
    }

    fn first(&self, matches: impl Fn(&Rule) -> bool) -> Option<String> {
        let rule = self.0.iter().find(|rule| matches(rule))?;
        Some(format!("--exclude {rule}"))
    }
}

/// What an object says of itself, if it does not want to be observed.
fn wish(kind: &str, labels: Option<&Marks>, annotations: Option<&Marks>) -> Option<String> {
    let (key, value) = WISH;
    let says = |marks: Option<&Marks>| {
        marks
            .and_then(|marks| marks.get(key))
            .is_some_and(|said| said == value)
    };
    let how = if says(labels) {
        "label"
    } else if says(annotations) {
        "annotation"
    } else {
        return None;
    };
    Some(format!("the {kind}'s {how} {key}: \"{value}\""))
}
