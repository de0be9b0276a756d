//! Snapshots go in, tables, changes and views come out.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use observer_go::{
    binary::{FigureGroup, Reason},
    runtime::StateFigures,
};
use serde_json::{Value, json};

use super::{RowTable, Why, bounds::POINTS_OF_ROW, change::Change, store::Store};
use crate::{
    fixtures::{in_a_pod, lacking, observation, snapshot, with_state},
    node::{Observation, Snapshot, StateSample},
};

/// A process whose state is changed by `set`.
fn process(pid: u32, set: impl FnOnce(&mut StateFigures)) -> Observation {
    let mut process = with_state(observation(pid, "/srv/shop"));
    if let Some(sample) = &mut process.figures.state {
        let mut changed = StateSample::clone(sample);
        set(Arc::make_mut(&mut changed.figures));
        *sample = Arc::new(changed);
    }
    process
}

fn live(pid: u32, live: u64, created: u64) -> Observation {
    process(pid, |state| {
        state.goroutines.live = live;
        state.goroutines.created = Some(created);
    })
}

/// A store, and the clock it is filled by.
struct Filled {
    store: Store,
    now: Instant,
    seconds: u64,
}

impl Filled {
    fn new() -> Self {
        Self {
            store: Store::default(),
            now: Instant::now(),
            seconds: 0,
        }
    }

    /// A second later.
    fn take(&mut self, snapshot: &Arc<Snapshot>) -> Arc<RowTable> {
        self.seconds += 1;
        self.now += Duration::from_secs(1);
        let mut snapshot = Snapshot::clone(snapshot);
        snapshot.at += Duration::from_secs(self.seconds);
        self.store.take_at(&snapshot, self.now);
        self.store.table()
    }

    fn reasons(&mut self, processes: Vec<Observation>) -> Vec<Why> {
        let table = self.take(&snapshot(processes));
        let attention = table.rows.iter().flat_map(|row| &row.figures.attention);
        attention.map(|attention| attention.why).collect()
    }
}

#[test]
fn rates_are_of_a_second_and_a_change_names_only_what_changed() {
    let mut filled = Filled::new();
    let before = filled.take(&snapshot(vec![live(1, 7, 2000), live(2, 7, 2000)]));
    assert_eq!(before.rows[0].figures.goroutines, Some(7));
    assert_eq!(before.rows[0].figures.created_per_second, None);
    assert_eq!(
        before.rows[0].figures.memory_limit_bytes, None,
        "no limit is none"
    );
    let second = filled.take(&snapshot(vec![live(1, 7, 2000), live(2, 7, 2000)]));
    let now = filled.take(&snapshot(vec![live(1, 9, 2500), live(2, 7, 2000)]));
    let change = Change::between(&second, &now);
    assert!(change.new.is_empty() && change.gone.is_empty() && change.tick);
    let [(key, changed)] = &change.rows[..] else {
        panic!("{change:?}");
    };
    let row = now.rows.iter().find(|row| row.key == *key).unwrap();
    assert_eq!(row.about.id, "pid:1:100");
    assert_eq!(
        Value::from(changed.clone()),
        json!({"goroutines": 9, "created_per_second": 500.0})
    );
    assert_eq!(row.spark, [7, 7, 9]);
}

#[test]
fn a_row_goes_with_its_last_process_and_a_new_one_has_another_number() {
    let mut filled = Filled::new();
    let both = filled.take(&snapshot(vec![live(1, 7, 1), live(2, 7, 1)]));
    let mut over = live(2, 7, 1);
    over.ended = Some(std::time::SystemTime::UNIX_EPOCH);
    let one = filled.take(&snapshot(vec![live(1, 7, 1), over]));
    let change = Change::between(&both, &one);
    assert_eq!(change.gone.len(), 1);
    assert!(filled.store.view("pid:2:100").is_none());
    let again = filled.take(&snapshot(vec![live(1, 7, 1), live(2, 7, 1)]));
    let change = Change::between(&one, &again);
    assert_eq!(change.new.len(), 1);
    assert!(both.rows.iter().all(|row| row.key != change.new[0].key));
}

#[test]
fn a_container_is_one_row_with_the_sum_of_its_processes() {
    let mut filled = Filled::new();
    let table = filled.take(&in_a_pod(snapshot(vec![live(1, 7, 1), live(2, 8, 1)]), 1));
    let row = table.rows.iter().find(|row| !row.about.pod.is_empty());
    let row = row.unwrap();
    assert_eq!(row.about.id, "shop:old-0:server");
    assert_eq!(row.figures.goroutines, Some(8));
    assert!(table.kubernetes);
}

#[test]
fn goroutines_that_do_not_end_are_a_reason_and_more_work_is_none() {
    for (faster, expected) in [(0, &[Why::GoroutinesGrow][..]), (40, &[])] {
        let mut filled = Filled::new();
        let (mut goroutines, mut created) = (10, 1000);
        let mut found = Vec::new();
        for second in 0..40 {
            goroutines += 5;
            created += 100 + faster * second;
            found = filled.reasons(vec![live(1, goroutines, created)]);
        }
        assert_eq!(found, expected, "faster by {faster}");
    }
    let mut filled = Filled::new();
    for second in 0..60 {
        let found = filled.reasons(vec![live(1, 100 + 50 * (second % 7), 1000 + 100 * second)]);
        assert_eq!(found, [], "up and down is no growth");
    }
}

#[test]
fn limits_and_lost_figures_are_reasons() {
    let mut filled = Filled::new();
    let limited = |goal: u64| {
        process(1, |state| {
            state.settings.memory_limit_bytes = Some(100);
            state.heap.next_gc_bytes = goal;
        })
    };
    assert_eq!(filled.reasons(vec![limited(89)]), []);
    assert_eq!(filled.reasons(vec![limited(95)]), [Why::NearLimit]);
    let lost = |reason| lacking(limited(1), FigureGroup::StateAllocation, reason);
    assert_eq!(
        filled.reasons(vec![lost(Reason::ReadFailed)]),
        [Why::CoverageLost]
    );
    assert_eq!(filled.reasons(vec![lost(Reason::NotInRelease)]), []);
}

#[test]
fn the_past_is_bounded_and_told_from_a_number_on() {
    let mut filled = Filled::new();
    for second in 0..POINTS_OF_ROW.1 as u64 + 20 {
        filled.take(&snapshot(vec![live(1, second, second)]));
    }
    let view = filled.store.view("pid:1:100").unwrap();
    let json = serde_json::to_value(&view).unwrap();
    let points = json["series"]["goroutines"].as_array().unwrap();
    assert_eq!(points.len(), POINTS_OF_ROW.1);
    assert_eq!(json["points"], 320);
    let since = filled.store.view_change("pid:1:100", 318, 0).unwrap();
    let json = serde_json::to_value(&since).unwrap();
    assert_eq!(json["series"]["goroutines"], json!([318.0, 319.0]));
    assert_eq!(json["row"]["goroutines"], 319);
}

#[test]
fn samples_closer_than_a_second_are_no_points() {
    let mut store = Store::default();
    let now = Instant::now();
    for tenth in 0..30 {
        let mut snapshot = Snapshot::clone(&snapshot(vec![live(1, tenth, tenth)]));
        snapshot.at += Duration::from_millis(100 * tenth);
        store.take_at(&snapshot, now + Duration::from_millis(100 * tenth));
        assert_eq!(store.table().rows[0].figures.goroutines, Some(tenth));
    }
    let view = store.view("pid:1:100").unwrap();
    assert_eq!(view.change.points, 3);
}
