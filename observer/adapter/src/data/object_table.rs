//! Objects of one kind by namespace and name, as a watch tells of them.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use kube::runtime::watcher::Event;

/// Objects by namespace, then by name.
#[derive(Debug)]
pub(crate) struct ObjectTable<T> {
    namespaces: HashMap<String, BTreeMap<String, Arc<T>>>,
    listing: Option<HashSet<(String, String)>>,
    listed: bool,
}

impl<T> Default for ObjectTable<T> {
    fn default() -> Self {
        Self {
            namespaces: HashMap::new(),
            listing: None,
            listed: false,
        }
    }
}

/// An object, or what is kept of it, and where it lies.
#[derive(Debug)]
pub(crate) struct Placed<T> {
    /// Empty where it has none.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// What is kept of it.
    pub(crate) object: T,
}

impl<T> ObjectTable<T> {
    /// Takes an event in, of which `keep` keeps what is needed.
    pub(crate) fn take<K>(&mut self, event: Event<K>, keep: impl Fn(K) -> Placed<T>) {
        match event {
            Event::Init => self.listing = Some(HashSet::new()),
            Event::InitApply(object) | Event::Apply(object) => {
                let Placed {
                    namespace,
                    name,
                    object,
                } = keep(object);
                if let Some(listing) = &mut self.listing {
                    listing.insert((namespace.clone(), name.clone()));
                }
                let objects = self.namespaces.entry(namespace).or_default();
                objects.insert(name, Arc::new(object));
            }
            Event::Delete(object) => {
                let Placed {
                    namespace, name, ..
                } = keep(object);
                if let Some(objects) = self.namespaces.get_mut(&namespace) {
                    objects.remove(&name);
                    if objects.is_empty() {
                        self.namespaces.remove(&namespace);
                    }
                }
            }
            Event::InitDone => self.list_ended(),
        }
    }

    /// What a whole list did not name is gone.
    fn list_ended(&mut self) {
        self.listed = true;
        let Some(listing) = self.listing.take() else {
            return;
        };
        for (namespace, objects) in &mut self.namespaces {
            objects.retain(|name, _| listing.contains(&(namespace.clone(), name.clone())));
        }
        self.namespaces.retain(|_, objects| !objects.is_empty());
    }

    /// Whether a whole list was seen once.
    pub(crate) const fn is_listed(&self) -> bool {
        self.listed
    }

    /// An object, with its name.
    pub(crate) fn entry(&self, namespace: &str, name: &str) -> Option<(&String, &Arc<T>)> {
        self.namespaces.get(namespace)?.get_key_value(name)
    }

    /// The objects of a namespace by name.
    pub(crate) fn within(&self, namespace: &str) -> impl Iterator<Item = (&String, &Arc<T>)> {
        self.namespaces.get(namespace).into_iter().flatten()
    }

    /// All objects.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<T>> {
        self.namespaces.values().flat_map(BTreeMap::values)
    }
}
