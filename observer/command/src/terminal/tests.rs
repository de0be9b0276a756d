//! The table as it stands on the screen.

use std::{sync::Arc, time::Duration};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use observer_go::{
    binary::{Figure, Reason},
    runtime,
};
use observer_node::{
    Observation, Snapshot, StateSample,
    fixtures::{in_container, lacking, observation, snapshot, with_gc, with_state},
};
use ratatui::{Terminal, backend::TestBackend};

use super::{View, draw, handle, rows};

fn screen(view: &mut View, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| draw::draw(frame, view, "0.0.0.0:9920"))
        .unwrap();
    let buffer = terminal.backend().buffer();
    (0..height)
        .map(|y| {
            let line: String = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
            line.trim_end().to_owned()
        })
        .collect()
}

fn after(mut snapshot: Snapshot, seconds: u64) -> Arc<Snapshot> {
    snapshot.at += Duration::from_secs(seconds);
    Arc::new(snapshot)
}

fn busier(mut observation: Observation, created: u64, exited: u64) -> Observation {
    observation.figures.events.goroutines.created += created;
    observation.figures.events.goroutines.exited += exited;
    observation
}

fn two_snapshots() -> View {
    let idle = observation(10, "/bin/idle");
    let busy = in_container(
        with_gc(observation(4_194_304, "/srv/shop")),
        &"ab".repeat(32),
    );
    let blind = Figure::EVENTS
        .into_iter()
        .fold(observation(12, "/bin/old"), |process, figure| {
            lacking(process, figure, Reason::UnsupportedVersion)
        });
    let partial = lacking(
        observation(13, "/bin/part"),
        Figure::Goroutines,
        Reason::StartedBefore,
    );
    let mut view = View::default();
    view.take(Some(&snapshot(vec![
        idle.clone(),
        blind.clone(),
        partial.clone(),
        busy.clone(),
    ])));
    let mut ended = observation(9, "/bin/gone");
    let mut second = Arc::unwrap_or_clone(snapshot(vec![
        idle,
        blind,
        busier(partial, 5, 1),
        busier(busy, 24_690, 24_000),
    ]));
    ended.ended = Some(second.at);
    second.processes.insert(0, Arc::new(ended));
    second
        .health
        .missing
        .push("CAP_SYS_PTRACE:\nno figures of other users' processes".to_owned());
    view.take(Some(&after(second, 2)));
    view
}

#[test]
fn the_busiest_stands_first_and_what_is_not_known_is_a_dash() {
    let lines = screen(&mut two_snapshots(), 140, 10);
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert!(lines[0].contains("4 Go processes"), "{}", lines[0]);
    assert_eq!(
        words(&lines[2]),
        [
            "shop",
            "4194304",
            "abababababab",
            "1.26.8",
            "695",
            "12345",
            "12000",
            "3",
            "150µs",
            "50µs",
            "full"
        ]
    );
    assert_eq!(
        words(&lines[3]),
        [
            "part", "13", "1.26.8", "–", "2.5", "0.5", "0", "0", "–", "partial", "5", "of", "6"
        ]
    );
    assert_eq!(
        words(&lines[4]),
        ["idle", "10", "1.26.8", "5", "0", "0", "0", "0", "–", "full"]
    );
    assert_eq!(&words(&lines[5])[..5], ["old", "12", "1.26.8", "–", "–"]);
    assert!(lines[5].contains("none: unsupported_v"), "{}", lines[5]);
    assert!(lines[6].starts_with("gone") && lines[6].contains("ended"));
    assert_eq!(
        lines[9],
        "http://0.0.0.0:9920/metrics  lacking: CAP_SYS_PTRACE: no figures of other users' processes"
    );
}

#[test]
fn what_the_state_tells_is_shown_without_probes() {
    let blind = |observation: Observation| {
        let none = Figure::EVENTS
            .into_iter()
            .filter(|f| *f != Figure::Goroutines);
        none.fold(observation, |process, figure| {
            lacking(process, figure, Reason::NoEbpf)
        })
    };
    let mut later = with_state(observation(10, "/srv/shop"));
    let mut sample = StateSample::clone(later.figures.state.as_ref().unwrap());
    let figures = Arc::make_mut(&mut sample.figures);
    figures.goroutines.created = Some(2300);
    figures.goroutines.exited = Some(2190);
    figures.collections.recent = vec![runtime::Pause {
        duration_ns: 70_000,
        ended_unix_ns: 1,
    }];
    later.figures.state = Some(Arc::new(sample));
    let mut view = View::default();
    let before = with_state(observation(10, "/srv/shop"));
    view.take(Some(&snapshot(vec![blind(before)])));
    let second = snapshot(vec![blind(later)]);
    view.take(Some(&after(Arc::unwrap_or_clone(second), 2)));
    let line = screen(&mut view, 140, 8)[2].clone();
    let words: Vec<_> = line.split_whitespace().collect();
    // Goroutines, created and exited per second, cycles, pauses, the last one.
    let expected = ["7", "150", "100", "30", "3000µs", "70µs"];
    assert_eq!(words[3..9], expected, "{line}");
}

#[test]
fn without_processes_the_demo_is_named() {
    let mut view = View::default();
    assert!(
        screen(&mut view, 80, 12)
            .iter()
            .any(|line| line.contains("Looking at the processes"))
    );
    view.take(Some(&snapshot(vec![])));
    let lines = screen(&mut view, 80, 12).join("\n");
    assert!(
        lines.contains("No Go process runs") && lines.contains("cargo xtask demo"),
        "{lines}"
    );
}

#[test]
fn every_size_can_be_drawn() {
    let mut view = two_snapshots();
    for (width, height) in [(1, 1), (5, 2), (20, 3), (40, 5), (80, 24), (300, 100)] {
        let lines = screen(&mut view, width, height);
        if width >= 40 && height >= 5 {
            assert!(
                lines[1].contains("COVERAGE") == (width > 47) && lines[2].contains("shop"),
                "{width}: {lines:?}"
            );
        }
    }
    let lines = screen(&mut view, 80, 24);
    for heading in [
        "PROCESS",
        "PID",
        "GOROUTINES",
        "CREATED/s",
        "LAST",
        "COVERAGE",
    ] {
        assert!(lines[1].contains(heading), "{heading}: {}", lines[1]);
    }
}

#[test]
fn names_cannot_steer_the_terminal() {
    let mut hostile = observation(1, "/tmp/\u{1b}[2J\u{9b}31m\u{202e}txt\r\nx");
    hostile.binary = Arc::new(observer_node::fixtures::binary("go1.26\u{7}"));
    let mut view = View::default();
    view.take(Some(&snapshot(vec![
        hostile,
        observation(2, &format!("/tmp/{}", "é".repeat(10_000))),
    ])));
    let lines = screen(&mut view, 140, 8);
    assert!(lines[2].starts_with("?[2J?31m?txt??x"), "{}", lines[2]);
    assert!(
        !lines
            .concat()
            .chars()
            .any(|c| c.is_control() || c == '\u{202e}')
    );
}

#[test]
fn a_pid_used_again_has_no_rate() {
    let mut view = View::default();
    view.take(Some(&snapshot(vec![observation(1, "/a")])));
    let mut again = busier(observation(1, "/a"), 500, 0);
    Arc::make_mut(&mut again.process).start_ticks += 1;
    view.take(Some(&after(Arc::unwrap_or_clone(snapshot(vec![again])), 1)));
    assert_eq!(view.rows[0].cells[5], "–");
}

#[test]
fn keys() {
    let key = |code, modifiers| Event::Key(KeyEvent::new(code, modifiers));
    let mut view = two_snapshots();
    assert!(handle(
        &key(KeyCode::Char('q'), KeyModifiers::NONE),
        &mut view
    ));
    assert!(handle(
        &key(KeyCode::Char('c'), KeyModifiers::CONTROL),
        &mut view
    ));
    assert!(!handle(
        &key(KeyCode::Char('c'), KeyModifiers::NONE),
        &mut view
    ));
    assert!(!handle(&Event::Resize(10, 10), &mut view));
    assert!(!handle(&key(KeyCode::Down, KeyModifiers::NONE), &mut view));
    assert!(screen(&mut view, 140, 10)[2].starts_with("part"));
    handle(&key(KeyCode::End, KeyModifiers::NONE), &mut view);
    assert!(screen(&mut view, 140, 10)[2].starts_with("gone"));
    // The list has become shorter than where it was scrolled to.
    view.take(Some(&snapshot(vec![observation(1, "/a")])));
    assert!(screen(&mut view, 140, 10)[2].starts_with('a'));
}

#[test]
fn durations_are_short() {
    let shown: Vec<_> = [0, 999, 9_999, 10_000, 9_999_999, 10_000_000, 10_000_000_000]
        .into_iter()
        .map(rows::duration)
        .collect();
    assert_eq!(
        shown,
        ["0", "999ns", "9999ns", "10µs", "9999µs", "10ms", "10s"]
    );
}
