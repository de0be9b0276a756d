//! From what is asked for to values: objects, their pods, the observers of
//! their nodes, and the figures put together.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use observer_node::scaling::wire::ContainerFigures;

use super::{
    fan_out::{FanOut, NodeFigures},
    find::Found,
    objects::{ClusterObjects, PodRecord},
    observers::{Observers, Reach},
    watches::SharedObjects,
};
use crate::{
    api::{
        body::{Described, ExternalItem, Item},
        no_value::NoValue,
        path::{External, RequestedObjects},
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
pub(crate) struct Selectors {
    /// Objects, where no name is given.
    pub objects: Selector,
    /// Containers.
    pub containers: Selector,
}

/// Finds values.
pub(crate) struct Values {
    objects: SharedObjects,
    nodes: Arc<FanOut>,
    /// The namespace that observers run in.
    namespace: String,
    telemetry: Arc<Telemetry>,
    /// Nodes of which it was said that they can have no observer.
    told: Mutex<HashSet<String>>,
}

impl Values {
    /// Of these objects, from these nodes.
    pub(crate) fn new(
        objects: SharedObjects,
        nodes: Arc<FanOut>,
        namespace: String,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        Self {
            objects,
            nodes,
            namespace,
            telemetry,
            told: Mutex::default(),
        }
    }

    /// Which lists of objects are not whole yet.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        self.objects.read().missing()
    }

    /// Nodes that can have no observer.
    pub(crate) fn nodes_without_observer(&self) -> usize {
        self.objects.read().observers(&self.namespace).beyond()
    }

    /// The values of what is asked for: one of an object by name, else of each
    /// that has one.
    pub(crate) async fn get(
        &self,
        target: &RequestedObjects,
        selectors: &Selectors,
    ) -> Result<Vec<Item>, ApiError> {
        let absent = |why| ApiError::NoMetric {
            metric: target.metric.clone(),
            resource: target.resource.clone(),
            name: target.name.clone().unwrap_or_else(|| "*".to_owned()),
            why: Box::new(why),
        };
        let metric = Metric::named(&target.metric).ok_or_else(|| absent(NoValue::Metric))?;
        let find = |objects: &ClusterObjects| objects.find(target, &selectors.objects);
        let (found, known) = self.figures(find).await?;
        let mut items = Vec::new();
        let mut lack = NoValue::Object;
        for object in &found {
            match self.item(target, metric, object, &selectors.containers, &known) {
                Ok(item) => items.push(item),
                Err(why) => lack = why,
            }
        }
        if target.name.is_some() && items.is_empty() {
            return Err(absent(lack));
        }
        Ok(items)
    }

    /// The value over all pods that labels select.
    pub(crate) async fn external(
        &self,
        asked: &External,
        selector: Selector,
    ) -> Result<Option<ExternalItem>, ApiError> {
        let absent = || ApiError::NoExternal(asked.metric.clone());
        let metric = Metric::named(&asked.metric).ok_or_else(absent)?;
        let object = selector.to_object();
        let labels = object.and_then(|object| object.match_labels);
        let (containers, pods) = selector.split(EXTERNAL_CONTAINER);
        let find = |objects: &ClusterObjects| {
            vec![Found {
                namespace: String::new(),
                name: String::new(),
                pods: objects.selected(&asked.namespace, &pods),
            }]
        };
        let (found, known) = self.figures(find).await?;
        let is_ours = |container: &str| is_chosen(&containers, EXTERNAL_CONTAINER, container);
        let found = found.first().and_then(|found| {
            let whole = known.aggregate(metric, &found.pods, is_ours).ok()?;
            let Whole {
                aggregate, oldest, ..
            } = self.served(whole);
            Some(ExternalItem {
                labels: labels.unwrap_or_default(),
                value: aggregate.value,
                at: oldest.observed,
                window_seconds: whole_seconds(&aggregate),
            })
        });
        Ok(found)
    }

    /// What `find` finds, and what is known of the nodes that its pods are on.
    async fn figures(
        &self,
        find: impl Fn(&ClusterObjects) -> Vec<Found>,
    ) -> Result<(Vec<Found>, Known), ApiError> {
        let (found, reach) = {
            let objects = self.objects.read();
            // What is not listed yet must not look as if it were not there.
            if !objects.missing().is_empty() {
                return Err(ApiError::NotReady(
                    "the objects of the cluster have not all been listed yet",
                ));
            }
            let found = find(&objects);
            let reach = self.reach(&found, &objects.observers(&self.namespace));
            (found, reach)
        };
        let reachable = reach.iter().filter_map(|(node, reach)| match reach {
            Reach::At(place) => Some((node.clone(), *place)),
            _ => None,
        });
        let figures = self.nodes.get(reachable.collect::<Vec<_>>()).await;
        // A pod may have gone while nodes were asked.
        Ok((self.still_there(found), Known { figures, reach }))
    }

    /// How the nodes of these pods are reached. Of one that can have no observer
    /// it is said once, as long as that holds.
    fn reach(&self, found: &[Found], observers: &Observers<'_>) -> HashMap<String, Reach> {
        let pods = found.iter().flat_map(|object| &object.pods);
        let nodes: HashSet<&str> = pods.map(|pod| pod.node.as_str()).collect();
        let reach = nodes
            .into_iter()
            .map(|node| (node.to_owned(), observers.reach(node)));
        let reach: HashMap<_, _> = reach.collect();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for (node, reach) in &reach {
            let Reach::Beyond(why) = reach else {
                told.remove(node);
                continue;
            };
            if told.contains(node) {
                continue;
            }
            tracing::info!(
                node,
                why,
                "no observer can be on the node; its pods are left out of values"
            );
            told.retain(|node| matches!(observers.reach(node), Reach::Beyond(_)));
            told.insert(node.clone());
        }
        reach
    }

    /// Notes that a value is served.
    fn served<'a>(&self, whole: Whole<'a>) -> Whole<'a> {
        self.telemetry.served(whole.oldest.age(), whole.left_out);
        whole
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

    /// The object's value, or why it has none.
    fn item(
        &self,
        target: &RequestedObjects,
        metric: &Metric,
        object: &Found,
        containers: &Selector,
        known: &Known,
    ) -> Result<Item, NoValue> {
        let is_ours = |container: &str| is_chosen(containers, CONTAINER, container);
        let whole = known.aggregate(metric, &object.pods, is_ours)?;
        let Whole {
            aggregate, oldest, ..
        } = self.served(whole);
        let (kind, api_version) = target.kind.described();
        Ok(Item {
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

/// What is known of nodes.
struct Known {
    figures: HashMap<String, Arc<NodeFigures>>,
    reach: HashMap<String, Reach>,
}

/// A value over all pods that count.
struct Whole<'a> {
    aggregate: Aggregate,
    /// The oldest figures in it.
    oldest: &'a NodeFigures,
    /// Pods that no observer can tell of.
    left_out: usize,
}

impl Known {
    /// The value over the chosen containers of these pods. There is none where a
    /// node that one of the pods runs on told nothing: less than all would be too
    /// little. Only what nobody can ever tell is left out.
    fn aggregate(
        &self,
        metric: &Metric,
        pods: &[Arc<PodRecord>],
        is_ours: impl Fn(&str) -> bool,
    ) -> Result<Whole<'_>, NoValue> {
        let mut all: Vec<(&PodRecord, &ContainerFigures)> = Vec::new();
        let mut oldest: Option<&NodeFigures> = None;
        let mut beyond: BTreeMap<&str, &str> = BTreeMap::new();
        let mut left_out = 0;
        let mut untold = None;
        for pod in pods {
            let Some(node) = self.figures.get(&pod.node) else {
                match self.reach.get(&pod.node) {
                    Some(Reach::Beyond(why)) => {
                        beyond.insert(&pod.node, why);
                        left_out += 1;
                    }
                    Some(Reach::Awaited) => {
                        untold.get_or_insert_with(|| NoValue::Awaited(pod.node.clone()));
                    }
                    _ => {
                        untold.get_or_insert_with(|| NoValue::Silent(pod.node.clone()));
                    }
                }
                continue;
            };
            let of_pod = node.containers(&pod.namespace, &pod.name, &pod.uid);
            let before = all.len();
            let ours = of_pod.into_iter().filter(|it| is_ours(&it.container));
            all.extend(ours.map(|container| (pod.as_ref(), container)));
            if all.len() > before && oldest.is_none_or(|oldest| node.observed < oldest.observed) {
                oldest = Some(node);
            }
        }
        let beyond: Vec<_> = beyond.into_iter().collect();
        if let Some(untold) = untold {
            return Err(untold.besides(&beyond));
        }
        let aggregate = metric.over(all.iter().map(|(_, container)| *container));
        match (aggregate, oldest) {
            (Some(aggregate), Some(oldest)) => Ok(Whole {
                aggregate,
                oldest,
                left_out,
            }),
            _ if pods.is_empty() => Err(NoValue::Pods),
            _ if left_out == pods.len() => Err(NoValue::beyond(&beyond)),
            _ if all.is_empty() => Err(NoValue::Process.besides(&beyond)),
            _ => Err(lacking(metric, &all).besides(&beyond)),
        }
    }
}

/// Why containers that are all known have no value together.
fn lacking(metric: &Metric, all: &[(&PodRecord, &ContainerFigures)]) -> NoValue {
    let lacking = all.iter().find(|(_, it)| !metric.is_known_of(it));
    let Some((pod, container)) = lacking else {
        return NoValue::Zero;
    };
    let (pod, name) = (pod.name.clone(), container.container.clone());
    if metric.windowed && container.over.is_none() {
        NoValue::Window {
            pod,
            container: name,
        }
    } else {
        NoValue::Figure {
            pod,
            container: name,
        }
    }
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
