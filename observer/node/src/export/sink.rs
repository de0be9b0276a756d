//! What a family gives: values and their labels.

use super::buckets::{Reduced, upper_bounds};

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Integer(u64),
    Float(f64),
    /// Sum, and counts by upper bound, not cumulative.
    Histogram(f64, Vec<(f64, u64)>),
    /// Sum and count.
    Summary(f64, u64),
}

impl Value {
    /// How many lines it makes.
    pub(super) fn lines(&self) -> u64 {
        match self {
            Self::Integer(_) | Self::Float(_) => 1,
            // Each bucket, the sum and the count.
            Self::Histogram(_, buckets) => buckets.len() as u64 + 2,
            Self::Summary(..) => 2,
        }
    }
}

/// Takes a family's samples: labels beyond the group's own, and the value.
#[derive(Debug, Default)]
pub(super) struct Sink(pub(super) Vec<(Vec<(&'static str, String)>, Value)>);

impl Sink {
    pub(super) fn count(&mut self, value: u64) {
        self.0.push((Vec::new(), Value::Integer(value)));
    }

    pub(super) fn float(&mut self, value: f64) {
        self.0.push((Vec::new(), Value::Float(value)));
    }

    pub(super) fn labelled(&mut self, name: &'static str, label: &str, value: Value) {
        self.0.push((vec![(name, label.to_owned())], value));
    }

    pub(super) fn known(&mut self, value: Option<u64>) {
        if let Some(value) = value {
            self.count(value);
        }
    }

    pub(super) fn histogram(&mut self, reduced: &Reduced) {
        let buckets = upper_bounds().iter().copied().zip(reduced.counts).collect();
        self.0.push((
            Vec::new(),
            Value::Histogram(seconds(reduced.sum_ns), buckets),
        ));
    }
}

pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
