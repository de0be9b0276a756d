//! The table and a view, from what the API says.

use std::sync::Arc;

use crossterm::event::KeyCode;
use observer_node::history::{About, Attention, LiveFigures, Row, RowTable, Why};
use serde_json::json;

use super::{press, screen};
use crate::terminal::{
    client::{Message, Subject},
    keys::Act,
    model::{Model, Whose},
};

fn row(key: u32, process: &str, goroutines: u64) -> Row {
    Row {
        key,
        about: Arc::new(About {
            id: format!("pid:{key}:1"),
            process: process.to_owned(),
            ..About::default()
        }),
        figures: LiveFigures {
            goroutines: Some(goroutines),
            covered: 3,
            coverable: 3,
            ..LiveFigures::default()
        },
        spark: vec![1, 2],
    }
}

fn table() -> Model {
    let mut model = Model::new("http://x".to_owned(), Whose::Another);
    let table = RowTable {
        sequence: 1,
        node: "node-a".to_owned(),
        rows: vec![row(1, "quiet", 2), row(2, "busy\u{1b}[2J", 900)],
        ..RowTable::default()
    };
    let data = serde_json::to_value(&table).unwrap();
    model.take(Message::Event(Subject::Table, "table".to_owned(), data));
    model
}

#[test]
fn rows_are_sorted_filtered_and_changed() {
    let mut model = table();
    let lines = screen(&mut model, 200, 24);
    assert!(lines[0].contains("node-a at http://x  2 rows"), "{lines:?}");
    assert!(lines[1].contains("▼GOROUTINES"), "{lines:?}");
    assert!(
        lines[2].contains("busy?[2J") && lines[2].contains("900"),
        "{lines:?}"
    );
    let attention = Attention {
        why: Why::GoroutinesGrow,
        text: "they grow".to_owned(),
    };
    let change = json!({
        "tick": true, "gone": [2], "new": [row(3, "third", 5)],
        "rows": [[1, {"goroutines": 7, "attention": [attention]}]],
    });
    model.take(Message::Event(Subject::Table, "change".to_owned(), change));
    assert_eq!(model.order, [1, 3]);
    assert_eq!(model.rows[&1].spark, [1, 2, 7]);
    let lines = screen(&mut model, 200, 24);
    assert!(lines[0].contains("1 need attention"), "{lines:?}");
    assert!(lines[2].contains("goroutines grow"), "{lines:?}");
    for key in "/thi".chars() {
        press(&mut model, KeyCode::Char(key));
    }
    assert_eq!(model.order, [3]);
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::Char('a'));
    assert_eq!(model.order, [1]);
    for width in [10, 40, 80] {
        screen(&mut model, width, 24);
    }
}

#[test]
fn a_row_opens_and_its_creators_are_held_against_the_last_look() {
    let mut model = table();
    let subject = Subject::Row("pid:2:1".to_owned());
    assert_eq!(
        press(&mut model, KeyCode::Enter),
        Act::Watch(subject.clone())
    );
    let data = json!({
        "row": row(2, "busy", 901), "stops": [
            {"began_ns": "1795461622751325964", "pause_ns": 37122, "reason": "gc_sweep_termination", "trigger": "heap"}],
        "series": {"goroutines": [1, null, 901]},
        "facts": {"collections": 33, "missing": [
            {"figure": "gc_pauses", "reason": "no_site", "detail": "it is\u{1b}[2J inlined"}]},
    });
    model.take(Message::Event(subject, "view".to_owned(), data));
    let walk = |count| json!({"creators": [{"created_by": {"function": "main.leak", "line": 7}, "count": count}]});
    model.take(Message::Walked(vec![walk(10)]));
    model.take(Message::Walked(vec![walk(25)]));
    let text = screen(&mut model, 160, 24).join("\n");
    for expected in [
        "goroutines 901",
        "collections 33",
        "no gc pauses: it is [2J inlined (no_site)",
        "gc sweep termination",
        "37122 ns",
        "main.leak:7",
        "+15",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert_eq!(press(&mut model, KeyCode::Esc), Act::Watch(Subject::Table));
    assert_eq!(press(&mut model, KeyCode::Char('q')), Act::Quit);
}

#[test]
fn a_lost_connection_is_said_and_forgotten_once_it_is_back() {
    let mut model = table();
    model.take(Message::Lost("connection refused".to_owned()));
    assert!(screen(&mut model, 120, 24)[0].contains("connection lost: connection refused"));
    let change = json!({"tick": false, "gone": [], "new": [], "rows": []});
    model.take(Message::Event(Subject::Table, "change".to_owned(), change));
    assert!(!screen(&mut model, 120, 24)[0].contains("lost"));
}
