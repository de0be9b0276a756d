//! The watches of this node's pods and of all namespaces.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{Stream, StreamExt};
use kube::{
    Api,
    runtime::watcher::{self, Config, Event},
};
use tokio::sync::watch;

use super::{
    backoff::WatchBackoff,
    client::Connection,
    namespaces::{Namespace, Namespaces},
    pod_index::{PodIndex, Pods},
    pod_object::{self, Pod},
};
use crate::{
    exclude::ExclusionRules,
    liveness::{Liveness, Pulse},
    node::PodWatch,
};

/// Pods decoded at once, which bounds the memory that a list takes.
const PAGE: u32 = 50;
/// Of namespaces only the metadata comes.
const PAGE_OF_NAMESPACES: u32 = 500;
/// How long the server keeps one watch, and with it, how long a connection
/// that died without a word is taken for alive.
const ONE_WATCH: u32 = 120;
/// How often pods that went long ago are looked for.
const FORGET: Duration = Duration::from_secs(30);

/// The pods of this node, as last told.
pub type PodIndexes = watch::Receiver<Arc<PodIndex>>;

/// Watches the pods of `node`, and all namespaces, until the runtime ends. The
/// API server may be away at any time: what was known stays. `rules` say which
/// of them are not to be observed.
pub fn watch_pods(
    connection: Connection,
    node: &str,
    rules: ExclusionRules,
    liveness: &Liveness,
) -> PodIndexes {
    let (sender, receiver) = watch::channel(Arc::default());
    let rules = Arc::new(rules);
    let state = Shared(Arc::new(Mutex::new(State {
        pods: Pods::new(Arc::clone(&rules)),
        namespaces: Namespaces::new(rules),
        health: [WatchHealth::default(), WatchHealth::default()],
        sender,
    })));
    let Connection { client, answered } = connection;
    let config = Config::default().timeout(ONE_WATCH);
    let here = config
        .clone()
        .fields(&format!("spec.nodeName={node}"))
        .page_size(PAGE);
    let pods = Api::<Pod>::all_with(client.clone(), &pod_object::resource());
    let pods = watcher::watcher(pods, here);
    let take = |state: &mut State, event| take_pod(&mut state.pods, event);
    let (waits, shared) = (WatchBackoff::new(Arc::clone(&answered)), state.clone());
    let pulse = liveness.part("pod watch");
    tokio::spawn(follow(Kind::Pods, pods, waits, shared, take, pulse));

    let namespaces = Api::<Namespace>::all(client);
    let namespaces = watcher::watcher(namespaces, config.page_size(PAGE_OF_NAMESPACES));
    let take = |state: &mut State, event| take_namespace(&mut state.namespaces, event);
    let (waits, shared) = (WatchBackoff::new(answered), state.clone());
    let pulse = liveness.part("namespace watch");
    tokio::spawn(follow(
        Kind::Namespaces,
        namespaces,
        waits,
        shared,
        take,
        pulse,
    ));

    let pulse = liveness.part("pod memory");
    tokio::spawn(async move {
        let _pulse = pulse;
        let mut forget = tokio::time::interval(FORGET);
        loop {
            forget.tick().await;
            let mut state = state.lock();
            state.pods.forget();
            state.publish();
        }
    });
    receiver
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pods,
    Namespaces,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Pods => "the pods of this node",
            Self::Namespaces => "namespaces",
        }
    }
}

/// How one watch goes.
#[derive(Clone, Debug, Default)]
struct WatchHealth {
    listed: bool,
    up: bool,
    errors: u64,
    error: Option<String>,
}

/// What both watches tell.
struct State {
    pods: Pods,
    namespaces: Namespaces,
    /// By [`Kind`].
    health: [WatchHealth; 2],
    sender: watch::Sender<Arc<PodIndex>>,
}

#[derive(Clone)]
struct Shared(Arc<Mutex<State>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing here leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn follow<K>(
    kind: Kind,
    events: impl Stream<Item = watcher::Result<Event<K>>>,
    mut waits: WatchBackoff,
    state: Shared,
    take: impl Fn(&mut State, Event<K>) -> Taken,
    _pulse: Pulse,
) {
    let mut events = pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                let mut state = state.lock();
                let taken = take(&mut state, event);
                // That a list begins is the client's own word.
                if taken != Taken::Nothing {
                    waits.over();
                }
                // A long list is published once.
                if let Taken::All | Taken::One = taken {
                    state.goes_well(kind, taken == Taken::All);
                }
            }
            Err(error) => {
                let pause = waits.after_failure();
                state.lock().failed(kind, &error, pause);
                waits.rest(pause).await;
            }
        }
    }
}

/// What an event brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Nothing,
    /// A part of a list.
    Part,
    /// The rest of a list.
    All,
    One,
}

fn take_pod(pods: &mut Pods, event: Event<Pod>) -> Taken {
    match event {
        Event::Init => {
            pods.begin();
            return Taken::Nothing;
        }
        Event::InitApply(pod) => {
            pods.apply(pod);
            return Taken::Part;
        }
        Event::InitDone => {
            pods.listed();
            return Taken::All;
        }
        Event::Apply(pod) => pods.apply(pod),
        Event::Delete(pod) => pods.delete(pod),
    }
    Taken::One
}

fn take_namespace(namespaces: &mut Namespaces, event: Event<Namespace>) -> Taken {
    match event {
        Event::Init => {
            namespaces.begin();
            return Taken::Nothing;
        }
        Event::InitApply(namespace) => {
            namespaces.apply(namespace.metadata);
            return Taken::Part;
        }
        Event::InitDone => {
            namespaces.listed();
            return Taken::All;
        }
        Event::Apply(namespace) => namespaces.apply(namespace.metadata),
        Event::Delete(namespace) => {
            namespaces.delete(namespace.metadata.name.as_deref().unwrap_or_default());
        }
    }
    Taken::One
}

impl State {
    fn goes_well(&mut self, kind: Kind, listed: bool) {
        let health = &mut self.health[kind as usize];
        if !health.up {
            tracing::info!("watching {}", kind.name());
        }
        health.up = true;
        health.listed |= listed;
        health.error = None;
        self.publish();
    }

    fn failed(&mut self, kind: Kind, error: &watcher::Error, pause: Duration) {
        let (text, what) = (chain(error), kind.name());
        let health = &mut self.health[kind as usize];
        // Once per state: a server that is away for a day fails some 300 times.
        if health.error.is_none() {
            tracing::warn!(error = %text, retry_in = ?pause, "failed to watch {what}; containers known by now keep their labels");
        } else {
            tracing::debug!(error = %text, retry_in = ?pause, "still failed to watch {what}");
        }
        health.up = false;
        health.errors += 1;
        health.error = Some(text);
        self.publish();
    }

    fn publish(&self) {
        let [pods, namespaces] = &self.health;
        let of_namespaces = || {
            let error = namespaces.error.as_ref()?;
            Some(format!("{}: {error}", Kind::Namespaces.name()))
        };
        let watch = PodWatch {
            listed: pods.listed && namespaces.listed,
            up: pods.up && namespaces.up,
            errors: pods.errors,
            namespace_errors: namespaces.errors,
            error: pods.error.clone().or_else(of_namespaces),
            pods: 0,
        };
        let index = self.pods.index(watch, self.namespaces.exclusions());
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
