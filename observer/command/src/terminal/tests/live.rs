//! The table of the observer in this process, from its snapshots to the screen.

use std::{
    sync::{Arc, mpsc::Receiver},
    time::Duration,
};

use crossterm::event::{Event, KeyCode, KeyModifiers};
use observer_go::binary::{FigureGroup, Reason};
use observer_node::{
    Observation, Snapshot,
    auth::Security,
    fixtures::{
        binary, in_a_pod, in_container, lacking, observation, snapshot, with_gc, with_state,
    },
    liveness::Liveness,
    serve::Answers,
};
use tokio::{runtime::Runtime, sync::watch};

use super::{press, press_with, screen};
use crate::terminal::{
    api::Api,
    client::{Client, Message},
    keys::{Act, handle},
    model::{Model, Whose},
};

const SOON: Duration = Duration::from_secs(20);

/// An observer whose snapshots are made up, and its table.
struct Node {
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    _client: Client,
    messages: Receiver<Message>,
    model: Model,
    _runtime: Runtime,
}

impl Node {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (snapshots, receiver) = watch::channel(None);
        let answers = {
            let _within = runtime.enter();
            Answers::new(receiver, &Security::default(), &Liveness::default())
        };
        let (client, messages) = Client::start(Api::Here(answers.here())).unwrap();
        Self {
            snapshots,
            _client: client,
            messages,
            model: Model::new("http://0.0.0.0:9920".to_owned(), Whose::Own),
            _runtime: runtime,
        }
    }

    /// Observes these, and waits until the table has them.
    fn show(&mut self, snapshot: Arc<Snapshot>) {
        self.snapshots.send(Some(snapshot)).unwrap();
        loop {
            let message = self.messages.recv_timeout(SOON).unwrap();
            let is_news = matches!(message, Message::Event(..));
            self.model.take(message);
            if is_news {
                return;
            }
        }
    }
}

fn after(mut snapshot: Snapshot, seconds: u64) -> Arc<Snapshot> {
    snapshot.at += Duration::from_secs(seconds);
    Arc::new(snapshot)
}

/// Without any figure of probes but goroutines, or without that too.
fn without(observation: Observation, figures: impl Iterator<Item = FigureGroup>) -> Observation {
    figures.fold(observation, |process, figure| {
        lacking(process, figure, Reason::UnsupportedVersion)
    })
}

fn processes() -> Vec<Observation> {
    let busy = in_container(
        with_gc(observation(4_194_304, "/srv/shop")),
        &"ab".repeat(32),
    );
    let mut busy = busy;
    busy.figures.events.goroutines.created += 690;
    let partial = lacking(
        observation(13, "/bin/part"),
        FigureGroup::Goroutines,
        Reason::StartedBefore,
    );
    vec![
        observation(10, "/bin/idle"),
        without(observation(12, "/bin/old"), FigureGroup::EVENTS.into_iter()),
        partial,
        busy,
    ]
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_busiest_stands_first_and_what_is_not_known_is_a_dash() {
    let mut node = Node::start();
    let mut first = Arc::unwrap_or_clone(snapshot(processes()));
    first
        .health
        .missing
        .push("CAP_SYS_PTRACE:\nno figures of other users' processes".to_owned());
    node.show(Arc::new(first));
    let lines = screen(&mut node.model, 200, 10);
    let expected = "at http://0.0.0.0:9920  4 rows";
    assert!(
        lines[0].starts_with("observer ") && lines[0].contains(expected),
        "{lines:?}"
    );
    assert_eq!(
        lines[1],
        "lacking: CAP_SYS_PTRACE: no figures of other users' processes"
    );
    let shop = words(&lines[3]);
    assert_eq!(&shop[..3], ["shop", "4194304", "abababababab"], "{lines:?}");
    for expected in ["1.26.8", "695", "full"] {
        assert!(shop.iter().any(|word| word == expected), "{lines:?}");
    }
    let idle = words(&lines[4]);
    assert_eq!(&idle[..2], ["idle", "10"], "{lines:?}");
    // In the order in which they are known.
    let old = lines.iter().find(|line| line.starts_with("old")).unwrap();
    assert!(old.contains("0/"), "{old}");
    let part = lines.iter().find(|line| line.starts_with("part")).unwrap();
    assert!(part.contains("5/6") && part.contains('–'), "{part}");
    assert!(lines[9].starts_with("q quit"), "{lines:?}");
}

#[test]
fn what_the_state_tells_is_shown_without_probes() {
    let mut node = Node::start();
    let probed = FigureGroup::EVENTS.into_iter();
    let probed = probed.filter(|figure| *figure != FigureGroup::Goroutines);
    node.show(snapshot(vec![without(
        with_state(observation(10, "/srv/shop")),
        probed,
    )]));
    let shown = words(&screen(&mut node.model, 200, 8)[2]);
    // The process, its id, its Go and its goroutines.
    assert_eq!(&shown[..2], ["shop", "10"], "{shown:?}");
    assert!(shown.iter().any(|word| word == "7"), "{shown:?}");
}

#[test]
fn a_process_that_ends_leaves_and_one_with_its_id_is_another() {
    let mut node = Node::start();
    node.show(snapshot(vec![observation(1, "/a"), observation(2, "/b")]));
    let key = |node: &Node, name: &str| {
        let mut rows = node.model.rows.values();
        rows.find(|row| row.about.process == name)
            .map(|row| row.key)
    };
    let first = key(&node, "a").unwrap();
    let mut again = observation(1, "/a");
    again.figures.events.goroutines.created += 500;
    Arc::make_mut(&mut again.process).start_ticks += 1;
    let mut ended = observation(2, "/b");
    ended.ended = Some(std::time::SystemTime::UNIX_EPOCH);
    let second = Arc::unwrap_or_clone(snapshot(vec![again, ended]));
    node.show(after(second, 1));
    let second = key(&node, "a").unwrap();
    assert_ne!(first, second);
    assert_eq!(node.model.order, [second]);
    assert_eq!(node.model.rows[&second].figures.created_per_second, None);
}

#[test]
fn containers_of_pods_have_columns_of_their_own() {
    let mut node = Node::start();
    let one = in_container(observation(10, "/srv/shop"), &"ab".repeat(32));
    node.show(in_a_pod(snapshot(vec![one]), 0));
    let lines = screen(&mut node.model, 200, 8);
    let heading = words(&lines[1]);
    assert_eq!(
        &heading[..3],
        ["POD", "NAMESPACE", "CONTAINER"],
        "{lines:?}"
    );
    let row = node.model.rows.values().next().unwrap();
    let about = &row.about;
    let expected = [&about.pod, &about.namespace, &about.container];
    assert_eq!(words(&lines[2])[..3].iter().collect::<Vec<_>>(), expected);
}

#[test]
fn without_processes_the_demo_is_named() {
    let mut node = Node::start();
    // That there is no answer yet is no news.
    let message = node.messages.recv_timeout(SOON).unwrap();
    node.model.take(message);
    let lines = screen(&mut node.model, 80, 12).join("\n");
    assert!(
        lines.contains("Looking at the processes") && !lines.contains("lost"),
        "{lines}"
    );
    node.show(snapshot(vec![]));
    let lines = screen(&mut node.model, 80, 12).join("\n");
    assert!(
        lines.contains("No Go process runs") && lines.contains("cargo xtask demo"),
        "{lines}"
    );
}

#[test]
fn every_size_can_be_drawn() {
    let mut node = Node::start();
    node.show(snapshot(processes()));
    for (width, height) in [(1, 1), (5, 2), (20, 3), (40, 5), (80, 24), (300, 100)] {
        let lines = screen(&mut node.model, width, height);
        if width >= 40 && height >= 5 {
            assert!(
                lines[1].contains("GOROUTINES") && lines[2].contains("shop"),
                "{width}: {lines:?}"
            );
        }
    }
    let lines = screen(&mut node.model, 80, 24);
    for heading in [
        "PROCESS",
        "PID",
        "GOROUTINES",
        "GC PAUSE",
        "HEAP",
        "ATTENTION",
    ] {
        assert!(lines[1].contains(heading), "{heading}: {}", lines[1]);
    }
}

#[test]
fn names_cannot_steer_the_terminal() {
    let mut hostile = observation(1, "/tmp/\u{1b}[2J\u{9b}31m\u{202e}txt\r\nx");
    hostile.binary = Arc::new(binary("go1.26\u{7}"));
    let mut node = Node::start();
    node.show(snapshot(vec![
        hostile,
        observation(2, &format!("/tmp/{}", "é".repeat(10_000))),
    ]));
    let lines = screen(&mut node.model, 200, 8);
    let mut rows = lines.iter();
    let shown = rows.any(|line| line.starts_with("\u{fffd}[2J\u{fffd}31m?txt\u{fffd}\u{fffd}x"));
    assert!(shown, "{lines:?}");
    press(&mut node.model, KeyCode::Enter);
    let view = screen(&mut node.model, 200, 24);
    assert!(
        !lines
            .iter()
            .chain(&view)
            .flat_map(|line| line.chars())
            .any(|c| c.is_control() || c == '\u{202e}')
    );
}

#[test]
fn keys() {
    let mut node = Node::start();
    node.show(snapshot(processes()));
    let model = &mut node.model;
    assert_eq!(press(model, KeyCode::Char('q')), Act::Quit);
    let control = KeyModifiers::CONTROL;
    assert_eq!(press_with(model, KeyCode::Char('c'), control), Act::Quit);
    assert_eq!(press(model, KeyCode::Char('c')), Act::Nothing);
    assert_eq!(handle(&Event::Resize(10, 10), model), Act::Nothing);
    let (first, second) = (model.order[0], model.order[1]);
    assert_eq!(press(model, KeyCode::Down), Act::Nothing);
    assert_eq!(model.at, Some(second));
    press(model, KeyCode::End);
    assert_eq!(model.at, model.order.last().copied());
    // What is gone to is on the screen, however little of it there is.
    let last = model.rows[&model.at.unwrap()].about.process.clone();
    assert!(screen(model, 140, 4)[2].starts_with(&last));
    press(model, KeyCode::Home);
    assert_eq!(model.at, Some(first));
    // The list has become shorter than where it was gone to.
    press(model, KeyCode::End);
    node.show(snapshot(vec![observation(1, "/a")]));
    assert!(screen(&mut node.model, 140, 10)[2].starts_with('a'));
}
