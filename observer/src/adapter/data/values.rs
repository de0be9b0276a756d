//! From what is asked for to values: objects, their pods, the observers of
//! their nodes, and the figures put together.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    fan_out::{FanOut, NodeFigures},
    objects::{Found, Objects, Pod},
    watches::Shared,
};
use crate::adapter::{
    api::{
        body::{Described, ExternalItem, Item},
        path::{External, Target},
        selector::{Labels, Selector},
        status::ApiError,
    },
    metrics::{Aggregate, Metric},
    telemetry::Telemetry,
};

/// The label by which `metricLabelSelector` chooses among a pod's containers.
const CONTAINER: &str = "container";
/// The same where nothing but labels chooses, and those of pods are among them.
const EXTERNAL_CONTAINER: &str = "go-observer/container";

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
        let find = |objects: &Objects| objects.find(target, &selectors.objects);
        let (found, nodes) = self.figures(find).await?;
        let items: Vec<_> = found
            .iter()
            .filter_map(|object| self.item(target, metric, object, &selectors.containers, &nodes))
            .collect();
        if target.name.is_some() && items.is_empty() {
            return Err(absent());
        }
        Ok(items)
    }

    /// The value over all pods that labels select.
    pub async fn external(
        &self,
        asked: &External,
        selector: Selector,
    ) -> Result<Option<ExternalItem>, ApiError> {
        let absent = || ApiError::NoExternal(asked.metric.clone());
        let metric = Metric::named(&asked.metric).ok_or_else(absent)?;
        let object = selector.to_object();
        let labels = object.and_then(|object| object.match_labels);
        let (containers, pods) = selector.split(EXTERNAL_CONTAINER);
        let find = |objects: &Objects| {
            vec![Found {
                namespace: String::new(),
                name: String::new(),
                pods: objects.selected(&asked.namespace, &pods),
            }]
        };
        let (found, nodes) = self.figures(find).await?;
        let is_ours = |container: &str| is_chosen(&containers, EXTERNAL_CONTAINER, container);
        let found = found.first().and_then(|found| {
            let (aggregate, oldest) = aggregate(metric, &found.pods, is_ours, &nodes)?;
            self.telemetry.served(oldest.age());
            Some(ExternalItem {
                labels: labels.unwrap_or_default(),
                value: aggregate.value,
                at: oldest.observed,
                window_seconds: whole_seconds(&aggregate),
            })
        });
        Ok(found)
    }

    /// What `find` finds, and the figures of the nodes that its pods are on.
    async fn figures(
        &self,
        find: impl Fn(&Objects) -> Vec<Found>,
    ) -> Result<(Vec<Found>, Figures), ApiError> {
        let (found, observers) = {
            let objects = self.objects.read();
            // What is not listed yet must not look as if it were not there.
            if !objects.missing().is_empty() {
                return Err(ApiError::NotReady(
                    "the objects of the cluster have not all been listed yet",
                ));
            }
            (find(&objects), objects.observers(&self.namespace))
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
        Ok((self.still_there(found), nodes))
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

    /// The object's value, where it has one.
    fn item(
        &self,
        target: &Target,
        metric: &Metric,
        object: &Found,
        containers: &Selector,
        nodes: &Figures,
    ) -> Option<Item> {
        let is_ours = |container: &str| is_chosen(containers, CONTAINER, container);
        let (aggregate, oldest) = aggregate(metric, &object.pods, is_ours, nodes)?;
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
            at: oldest.observed,
            window_seconds: whole_seconds(&aggregate),
        })
    }
}

/// Figures by node.
type Figures = HashMap<String, Arc<NodeFigures>>;

/// The value over the chosen containers of these pods, and the oldest figures
/// in it; `None` where there is none, and where a node that one of the pods runs
/// on told nothing: less than all would be too little.
fn aggregate<'a>(
    metric: &Metric,
    pods: &[Arc<Pod>],
    is_ours: impl Fn(&str) -> bool,
    nodes: &'a Figures,
) -> Option<(Aggregate, &'a NodeFigures)> {
    let mut all = Vec::new();
    let mut oldest: Option<&NodeFigures> = None;
    for pod in pods {
        let node = nodes.get(&pod.node)?;
        let of_pod = node.containers(&pod.namespace, &pod.name, &pod.uid);
        let before = all.len();
        let ours = of_pod.into_iter().filter(|it| is_ours(&it.container));
        all.extend(ours);
        if all.len() > before && oldest.is_none_or(|oldest| node.observed < oldest.observed) {
            oldest = Some(node);
        }
    }
    Some((metric.over(all)?, oldest?))
}

fn is_chosen(containers: &Selector, label: &str, container: &str) -> bool {
    containers.is_everything() || {
        let labels = [(label.to_owned(), container.to_owned())];
        containers.matches(&Labels::from(labels))
    }
}

fn whole_seconds(aggregate: &Aggregate) -> Option<u64> {
    aggregate.window.map(|window| window.as_secs().max(1))
}
