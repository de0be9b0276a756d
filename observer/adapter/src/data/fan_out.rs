//! Asks the observers of many nodes at once: each node once however many
//! requests wait for it, and none stalls a request.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::join_all;
use lru::LruCache;
use observer_node::scaling::wire::{ContainerFigures, NodePods};
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, timeout, timeout_at},
};

use super::{
    node_client::{NodeClient, NodeError},
    objects::ObserverEndpoint,
};
use crate::telemetry::Telemetry;

/// Nodes whose figures are kept.
const NODES: NonZeroUsize = NonZeroUsize::new(8192).expect("not zero");
/// Nodes asked at a time, which bounds files and memory.
const AT_ONCE: usize = 512;
/// A node that is gone is no longer needed, and so no longer counts.
const LATELY: Duration = Duration::from_mins(5);
/// The longest wait before a node that failed is asked again.
const LONGEST_WAIT_SECONDS: u64 = 300;
/// What figures may be old whatever the node's interval: to be observed, to be
/// asked for and to come takes a busy machine a moment.
const LEAST_LIMIT: Duration = Duration::from_secs(2);

/// How long figures hold and nodes may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FanOutLimits {
    /// How old figures may be that are taken without asking again.
    pub fresh: Duration,
    /// How many of the node's own intervals figures may be old at all.
    pub intervals: u32,
    /// How long one request waits for nodes.
    pub patience: Duration,
}

/// What a node told, by pod.
#[derive(Debug)]
pub(crate) struct NodeFigures {
    /// When the node was asked. It answered later, so what is counted from here
    /// is never less than the figures' age.
    asked: Instant,
    fetched: Instant,
    /// How old the figures were when the node gave them: by its own clock, so
    /// that clocks that differ make nothing older or younger.
    age_when_told: Duration,
    /// How often the node observes.
    interval: Duration,
    /// When they were observed.
    pub observed: SystemTime,
    pods: HashMap<(String, String), Vec<ContainerFigures>>,
}

impl NodeFigures {
    fn of(pods: NodePods, asked: Instant) -> Self {
        let age = pods.now_ms.saturating_sub(pods.observed_ms);
        let observed = UNIX_EPOCH + Duration::from_millis(pods.observed_ms);
        let mut by_pod: HashMap<_, Vec<_>> = HashMap::new();
        for container in pods.containers {
            let key = (container.namespace.clone(), container.pod.clone());
            by_pod.entry(key).or_default().push(container);
        }
        Self {
            asked,
            fetched: Instant::now(),
            age_when_told: Duration::from_millis(age),
            interval: Duration::from_millis(pods.interval_ms),
            observed,
            pods: by_pod,
        }
    }

    /// Whether the node need not be asked again: while the figures themselves
    /// are younger than the limit, not only the answer. A node that observes
    /// less often than that is asked four times within it all the same.
    fn is_fresh(&self, limits: &FanOutLimits, now: Instant) -> bool {
        let limit = limits.fresh.min(self.limit(limits));
        self.age_at(now) < limit || now - self.fetched < limit / 4
    }

    /// Whether they may be served: also while the node is silent, and whoever
    /// asked for them when. What one replica of the adapter serves is therefore
    /// never further behind another's than this.
    fn is_usable(&self, limits: &FanOutLimits, now: Instant) -> bool {
        self.age_at(now) < self.limit(limits)
    }

    /// How old they may be.
    fn limit(&self, limits: &FanOutLimits) -> Duration {
        let limit = self.interval.saturating_mul(limits.intervals);
        limit.max(LEAST_LIMIT)
    }

    fn age_at(&self, now: Instant) -> Duration {
        self.age_when_told + (now - self.asked)
    }

    /// How old they are at most.
    pub(crate) fn age(&self) -> Duration {
        self.age_at(Instant::now())
    }

    /// Go containers of a pod; none of an earlier pod of the same name.
    pub(crate) fn containers(
        &self,
        namespace: &str,
        pod: &str,
        uid: &str,
    ) -> Vec<&ContainerFigures> {
        // Pods are few per node; the key's copy costs less than another index.
        let found = self.pods.get(&(namespace.to_owned(), pod.to_owned()));
        let found = found.into_iter().flatten();
        found.filter(|container| container.pod_uid == uid).collect()
    }
}

type Outcome = Option<Arc<NodeFigures>>;

/// One node.
struct AskedNode {
    place: ObserverEndpoint,
    last: Outcome,
    waiting: Option<watch::Receiver<bool>>,
    failures: u32,
    retry: Option<Instant>,
    /// When it was needed last.
    asked: Instant,
}

/// All nodes.
pub(crate) struct FanOut {
    client: NodeClient,
    limits: FanOutLimits,
    nodes: Mutex<LruCache<String, AskedNode>>,
    places: Semaphore,
    telemetry: Arc<Telemetry>,
}

impl FanOut {
    /// Asks through `client`.
    pub(crate) fn new(
        client: NodeClient,
        limits: FanOutLimits,
        telemetry: Arc<Telemetry>,
    ) -> Arc<Self> {
        Arc::new(Self {
            client,
            limits,
            nodes: Mutex::new(LruCache::new(NODES)),
            places: Semaphore::new(AT_ONCE),
            telemetry,
        })
    }

    /// What asks nodes.
    pub(crate) const fn client(&self) -> &NodeClient {
        &self.client
    }

    /// The figures of these nodes, each with its observer's address. A node
    /// that does not answer in time is absent, unless what it told last is not
    /// too old.
    pub(crate) async fn get(
        self: &Arc<Self>,
        nodes: impl IntoIterator<Item = (String, ObserverEndpoint)>,
    ) -> HashMap<String, Arc<NodeFigures>> {
        let until = Instant::now() + self.limits.patience;
        let all = nodes.into_iter().map(|(node, place)| async move {
            let figures = self.one(&node, place, until).await?;
            Some((node, figures))
        });
        join_all(all).await.into_iter().flatten().collect()
    }

    fn nodes(&self) -> MutexGuard<'_, LruCache<String, AskedNode>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn one(self: &Arc<Self>, name: &str, place: ObserverEndpoint, until: Instant) -> Outcome {
        let waiting = {
            let mut nodes = self.nodes();
            let node = nodes.get_or_insert_mut(name.to_owned(), || AskedNode::new(place));
            node.asked = Instant::now();
            if node.place != place {
                // Another observer, or the same started again, whose failures
                // are its own. What the one before told still holds for its time.
                node.place = place;
                node.failures = 0;
                node.retry = None;
                node.waiting = None;
            }
            let fresh = |figures: &Arc<NodeFigures>| figures.is_fresh(&self.limits, Instant::now());
            if node.last.as_ref().is_some_and(fresh) {
                self.telemetry.cache_hit();
                return node.usable(&self.limits);
            }
            if let Some(waiting) = &node.waiting {
                self.telemetry.merged();
                Some(waiting.clone())
            } else if node.retry.is_some_and(|retry| retry > Instant::now()) {
                None
            } else {
                let (sender, waiting) = watch::channel(false);
                node.waiting = Some(waiting.clone());
                // A task of its own: others wait for it too, and who asked
                // first may hang up.
                tokio::spawn(Arc::clone(self).ask(name.to_owned(), place, sender));
                Some(waiting)
            }
        };
        if let Some(mut waiting) = waiting {
            // Whatever came of it, what is known counts.
            drop(timeout_at(until, waiting.wait_for(|done| *done)).await);
        }
        let nodes = self.nodes();
        nodes.peek(name)?.usable(&self.limits)
    }

    async fn ask(
        self: Arc<Self>,
        name: String,
        place: ObserverEndpoint,
        done: watch::Sender<bool>,
    ) {
        let patience = self.limits.patience;
        let begun = Instant::now();
        let answer = async {
            // The semaphore is never closed.
            let _place = self.places.acquire().await.ok();
            let asked = Instant::now();
            let pods = self.client.pods(&name, place.address).await?;
            Ok(NodeFigures::of(pods, asked))
        };
        let outcome = timeout(patience, answer)
            .await
            .unwrap_or(Err(NodeError::Late(patience)));
        self.telemetry.node_asked(outcome.is_ok(), begun.elapsed());
        {
            let mut nodes = self.nodes();
            if let Some(node) = nodes.peek_mut(&name)
                && node.place == place
            {
                node.waiting = None;
                match outcome {
                    Ok(figures) => node.answered(figures, &name),
                    Err(error) => node.failed(&error, &name),
                }
            }
        }
        done.send_replace(true);
    }

    /// Nodes that were needed lately and failed when they were asked last.
    pub(crate) fn unreachable(&self) -> u64 {
        let failing = |node: &AskedNode| node.failures > 0 && node.asked.elapsed() < LATELY;
        let nodes = self.nodes();
        nodes.iter().filter(|(_, node)| failing(node)).count() as u64
    }
}

impl AskedNode {
    fn new(place: ObserverEndpoint) -> Self {
        Self {
            place,
            last: None,
            waiting: None,
            failures: 0,
            retry: None,
            asked: Instant::now(),
        }
    }

    fn usable(&self, limits: &FanOutLimits) -> Outcome {
        let last = self.last.as_ref()?;
        last.is_usable(limits, Instant::now())
            .then(|| Arc::clone(last))
    }

    fn answered(&mut self, figures: NodeFigures, name: &str) {
        if self.failures > 0 {
            tracing::info!(node = name, "the node's observer answers again");
        }
        self.failures = 0;
        self.retry = None;
        self.last = Some(Arc::new(figures));
    }

    fn failed(&mut self, error: &NodeError, name: &str) {
        self.failures = self.failures.saturating_add(1);
        let wait = 1_u64
            .checked_shl(self.failures)
            .unwrap_or(LONGEST_WAIT_SECONDS);
        let wait = Duration::from_secs(wait.min(LONGEST_WAIT_SECONDS));
        if self.failures == 1 {
            tracing::warn!(node = name, address = %self.place.address, %error, retry_in = ?wait, "failed to get figures from the node's observer");
        } else {
            tracing::debug!(node = name, address = %self.place.address, %error, retry_in = ?wait, "still failed to get figures from the node's observer");
        }
        self.retry = Some(Instant::now() + wait);
    }
}

#[cfg(test)]
mod tests;
