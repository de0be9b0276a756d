//! The watch of this node's pods.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::StreamExt;
use kube::{
    Api,
    runtime::watcher::{self, Config, Event},
};
use tokio::sync::{Notify, watch};

use super::{
    client::Connection,
    index::{PodIndex, Pods},
    object::{self, Pod},
    waits::Waits,
};
use crate::{node::PodWatch, vitals::Vitals};

/// Pods decoded at once, which bounds the memory that a list takes.
const PAGE: u32 = 50;
/// How long the server keeps one watch, and with it, how long a connection
/// that died without a word is taken for alive.
const ONE_WATCH: u32 = 120;
/// How often pods that went long ago are looked for.
const FORGET: Duration = Duration::from_secs(30);

/// The pods of this node, as last told.
pub type PodIndexes = watch::Receiver<Arc<PodIndex>>;

/// Watches the pods of `node` until the runtime ends. The API server may be
/// away at any time: what was known stays.
pub fn watch_pods(connection: Connection, node: &str, vitals: &Vitals) -> PodIndexes {
    let (sender, receiver) = watch::channel(Arc::default());
    let config = Config::default()
        .fields(&format!("spec.nodeName={node}"))
        .page_size(PAGE)
        .timeout(ONE_WATCH);
    let Connection { client, answered } = connection;
    let api = Api::all_with(client, &object::resource());
    let pulse = vitals.part("pod watch");
    tokio::spawn(async move {
        let _pulse = pulse;
        run(api, config, answered, sender).await;
    });
    receiver
}

async fn run(
    api: Api<Pod>,
    config: Config,
    answered: Arc<Notify>,
    sender: watch::Sender<Arc<PodIndex>>,
) {
    let mut watcher = Watcher {
        pods: Pods::default(),
        health: PodWatch::default(),
        sender,
    };
    let mut waits = Waits::new(answered);
    let mut events = pin!(watcher::watcher(api, config));
    let mut forget = tokio::time::interval(FORGET);
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            _ = forget.tick() => {
                watcher.pods.forget();
                watcher.publish();
                continue;
            }
        };
        match event {
            Some(Ok(event)) => {
                if watcher.take(event) {
                    waits.over();
                }
            }
            Some(Err(error)) => {
                let pause = waits.next();
                watcher.failed(&error, pause);
                waits.rest(pause).await;
            }
            None => return,
        }
    }
}

struct Watcher {
    pods: Pods,
    health: PodWatch,
    sender: watch::Sender<Arc<PodIndex>>,
}

impl Watcher {
    /// Takes an event in. Whether it came from the server: that a list begins
    /// is the client's own word.
    fn take(&mut self, event: Event<Pod>) -> bool {
        match event {
            Event::Init => {
                self.pods.begin();
                return false;
            }
            Event::InitApply(pod) => {
                // A long list is published once.
                self.pods.apply(pod);
                return true;
            }
            Event::InitDone => {
                self.pods.listed();
                self.health.listed = true;
            }
            Event::Apply(pod) => self.pods.apply(pod),
            Event::Delete(pod) => self.pods.delete(pod),
        }
        if !self.health.up {
            tracing::info!("the pods of this node are watched");
        }
        self.health.up = true;
        self.health.error = None;
        self.publish();
        true
    }

    fn failed(&mut self, error: &watcher::Error, pause: Duration) {
        let text = chain(error);
        // Once per state: a server that is away for a day fails some 300 times.
        if self.health.error.is_none() {
            tracing::warn!(error = %text, retry_in = ?pause, "cannot watch the pods of this node; containers known by now keep their labels");
        } else {
            tracing::debug!(error = %text, retry_in = ?pause, "still cannot watch the pods of this node");
        }
        self.health.up = false;
        self.health.errors += 1;
        self.health.error = Some(text);
        self.publish();
    }

    fn publish(&self) {
        let index = self.pods.index(self.health.clone());
        self.sender.send_replace(Arc::new(index));
    }
}

/// An error with its causes, each once: the innermost says what is wrong.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    text
}
