//! Which namespaces there are, and which of them want nothing observed.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use k8s_openapi::{
    api::core::v1::Namespace as ApiNamespace, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::core::PartialObjectMeta;

use crate::exclude::ExclusionRules;

/// A namespace as it is asked for: without what it is to be and what it is.
pub(super) type Namespace = PartialObjectMeta<ApiNamespace>;

/// Of each namespace by name, why it is excluded, if it is.
pub(super) type Exclusions = HashMap<String, Option<String>>;

/// All namespaces.
#[derive(Default)]
pub(super) struct Namespaces {
    rules: Arc<ExclusionRules>,
    known: Arc<Exclusions>,
    /// Names seen since a list began; `None` while none is under way.
    listing: Option<HashSet<String>>,
}

impl Namespaces {
    /// None yet.
    pub(super) fn new(rules: Arc<ExclusionRules>) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    /// A list of all begins.
    pub(super) fn begin(&mut self) {
        self.listing = Some(HashSet::new());
    }

    /// A namespace is there, or has changed.
    pub(super) fn apply(&mut self, metadata: ObjectMeta) {
        let Some(name) = metadata.name else { return };
        if let Some(listing) = &mut self.listing {
            listing.insert(name.clone());
        }
        let (labels, annotations) = (metadata.labels.as_ref(), metadata.annotations.as_ref());
        let why = self.rules.namespace(&name, labels, annotations);
        if self.known.get(&name) != Some(&why) {
            Arc::make_mut(&mut self.known).insert(name, why);
        }
    }

    /// A namespace is gone; one of the same name may come that wants otherwise.
    pub(super) fn delete(&mut self, name: &str) {
        if self.known.contains_key(name) {
            Arc::make_mut(&mut self.known).remove(name);
        }
    }

    /// The list is complete: what was not in it is gone.
    pub(super) fn listed(&mut self) {
        let listing = self.listing.take().unwrap_or_default();
        if self.known.keys().any(|name| !listing.contains(name)) {
            Arc::make_mut(&mut self.known).retain(|name, _| listing.contains(name));
        }
    }

    /// What is known now.
    pub(super) fn exclusions(&self) -> Arc<Exclusions> {
        Arc::clone(&self.known)
    }
}
