//! From what is asked for to values: objects, their pods, the observers of
//! their nodes, and the figures put together.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::SystemTime,
};

use super::{
    fan_out::{FanOut, NodeFigures},
    objects::Found,
    watches::Shared,
};
use crate::adapter::{
    api::{
        body::{Described, Item},
        path::Target,
        selector::{Labels, Selector},
        status::ApiError,
    },
    metrics::Metric,
    telemetry::Telemetry,
};

/// The label by which `metricLabelSelector` chooses among a pod's containers.
const CONTAINER: &str = "container";

/// What a request selects besides its path.
#[derive(Clone, Debug, Default)]
pub struct Selectors {
    /// Objects, where no name is given.
    pub objects: Selector,
    /// Containers.
    pub containers: Selector,
}

/// Finds values.
pub struct Values {
    objects: Shared,
    nodes: Arc<FanOut>,
    /// The namespace that observers run in.
    namespace: String,
    telemetry: Arc<Telemetry>,
}

impl Values {
    /// Of these objects, from these nodes.
    pub fn new(
        objects: Shared,
        nodes: Arc<FanOut>,
        namespace: String,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        Self {
            objects,
            nodes,
            namespace,
            telemetry,
        }
    }

    /// Which lists of objects are not whole yet.
    pub fn missing(&self) -> Vec<&'static str> {
        self.objects.read().missing()
    }

    /// The values of what is asked for: one of an object by name, else of each
    /// that has one.
    pub async fn get(&self, target: &Target, selectors: &Selectors) -> Result<Vec<Item>, ApiError> {
        let absent = || ApiError::NoMetric {
            metric: target.metric.clone(),
            resource: target.resource.clone(),
            name: target.name.clone().unwrap_or_else(|| "*".to_owned()),
        };
        let metric = Metric::named(&target.metric).ok_or_else(absent)?;
        let (found, observers) = {
            let objects = self.objects.read();
            // What is not listed yet must not look as if it were not there.
            if !objects.missing().is_empty() {
                return Err(ApiError::NotReady(
                    "the objects of the cluster have not all been listed yet",
                ));
            }
            let found = objects.find(target, &selectors.objects);
            (found, objects.observers(&self.namespace))
        };
        let needed: HashSet<&String> = found
            .iter()
            .flat_map(|object| object.pods.iter().map(|pod| &pod.node))
            .collect();
        let reachable = needed
            .into_iter()
            .filter_map(|node| Some((node.clone(), *observers.get(node)?)));
        let nodes = self.nodes.get(reachable).await;
        // A pod may have gone while nodes were asked.
        let found = self.still_there(found);
        let items: Vec<_> = found
            .iter()
            .filter_map(|object| self.item(target, metric, object, &selectors.containers, &nodes))
            .collect();
        if target.name.is_some() && items.is_empty() {
            return Err(absent());
        }
        Ok(items)
    }

    fn still_there(&self, mut found: Vec<Found>) -> Vec<Found> {
        let objects = self.objects.read();
        for object in &mut found {
            object.pods.retain(|pod| {
                let now = objects.pods.entry(&pod.namespace, &pod.name);
                now.is_some_and(|(_, now)| now.uid == pod.uid && now.running)
            });
        }
        found
    }

    /// The object's value; `None` where it has none, and where a node that one
    /// of its pods runs on told nothing: less than all would be too little.
    fn item(
        &self,
        target: &Target,
        metric: &Metric,
        object: &Found,
        containers: &Selector,
        nodes: &HashMap<String, Arc<NodeFigures>>,
    ) -> Option<Item> {
        let mut all = Vec::new();
        let mut oldest: Option<&NodeFigures> = None;
        for pod in &object.pods {
            let node = nodes.get(&pod.node)?;
            let of_pod = node.containers(&pod.namespace, &pod.name, &pod.uid);
            let before = all.len();
            all.extend(of_pod.into_iter().filter(|container| {
                let labels = [(CONTAINER.to_owned(), container.container.clone())];
                containers.is_everything() || containers.matches(&Labels::from(labels))
            }));
            if all.len() > before && oldest.is_none_or(|oldest| node.observed < oldest.observed) {
                oldest = Some(node);
            }
        }
        let aggregate = metric.over(all)?;
        let oldest = oldest?;
        self.telemetry.served(oldest.age());
        let (kind, api_version) = target.kind.described();
        Some(Item {
            object: Described {
                kind,
                namespace: object.namespace.clone(),
                name: object.name.clone(),
                api_version,
            },
            value: aggregate.value,
            at: oldest.observed.max(SystemTime::UNIX_EPOCH),
            window_seconds: aggregate.window.map(|window| window.as_secs().max(1)),
        })
    }
}
