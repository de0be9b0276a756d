//! What is on the screen.

use std::collections::HashMap;

use observer_node::history::{
    Row, RowTable,
    columns::{Column, columns as all_columns},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    client::{Message, Subject},
    columns::{self, FIRST, name},
    view::View,
};

/// Values of a row's line of blocks.
const SPARK: usize = 60;

/// A change as the API tells it.
#[derive(Deserialize)]
struct Change {
    tick: bool,
    rows: Vec<(u32, Map<String, Value>)>,
    new: Vec<Row>,
    gone: Vec<u32>,
}

/// Whose figures they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Those of the observer in this process.
    Own,
    /// Those of another observer.
    Another,
}

/// What is on the screen.
pub(super) struct Model {
    pub(super) url: String,
    pub(super) whose: Whose,
    /// The node's name; `None` until there was an answer.
    pub(super) node: Option<String>,
    /// Why there is no connection.
    pub(super) lost: Option<String>,
    /// What the observer lacks, with what is lost by it.
    pub(super) lacking: Vec<String>,
    /// The columns of its rows, also those that there is no room for.
    pub(super) columns: Vec<&'static Column>,
    pub(super) rows: HashMap<u32, Row>,
    /// Rows shown, in their order.
    pub(super) order: Vec<u32>,
    /// The row that the keys go from.
    pub(super) at: Option<u32>,
    pub(super) top: usize,
    /// The column that is sorted by.
    pub(super) sorted: usize,
    pub(super) up: bool,
    pub(super) filter: String,
    pub(super) typing: bool,
    /// Only rows that need attention.
    pub(super) only: bool,
    pub(super) view: Option<View>,
}

impl Model {
    pub(super) fn new(url: String, whose: Whose) -> Self {
        let mut this = Self {
            url,
            whose,
            node: None,
            lost: None,
            lacking: Vec::new(),
            columns: Vec::new(),
            rows: HashMap::new(),
            order: Vec::new(),
            at: None,
            top: 0,
            sorted: 0,
            up: false,
            filter: String::new(),
            typing: false,
            only: false,
            view: None,
        };
        this.show_columns(false);
        this
    }

    fn show_columns(&mut self, kubernetes: bool) {
        let shown = all_columns().of(kubernetes);
        if shown.len() == self.columns.len() && shown[0].id == self.columns[0].id {
            return;
        }
        self.sorted = shown
            .iter()
            .position(|it| it.id == FIRST)
            .unwrap_or_default();
        self.columns = shown;
    }

    /// Takes in what the observer says.
    pub(super) fn take(&mut self, message: Message) {
        let taken = match message {
            Message::Lost(why) => {
                self.lost = Some(why);
                return;
            }
            Message::Walked(reports) => {
                if let Some(view) = &mut self.view {
                    view.walked(&reports);
                }
                return;
            }
            Message::NotWalked(why) => {
                if let Some(view) = &mut self.view {
                    view.said = Some(why);
                }
                return;
            }
            Message::Event(Subject::Table, event, data) => self.table(&event, data),
            Message::Event(Subject::Row(id), event, data) => {
                if let Some(view) = self.view.as_mut().filter(|view| view.id == id) {
                    view.take(&event, &data)
                } else {
                    Ok(())
                }
            }
        };
        self.lost = taken
            .err()
            .map(|error| format!("an event is not understood: {error}"));
        self.sort();
    }

    fn table(&mut self, event: &str, data: Value) -> serde_json::Result<()> {
        if event == "table" {
            let table: RowTable = serde_json::from_value(data)?;
            self.show_columns(table.kubernetes);
            self.node = Some(table.node);
            self.lacking = table.lacking;
            self.rows = table.rows.into_iter().map(|row| (row.key, row)).collect();
            return Ok(());
        }
        let change: Change = serde_json::from_value(data)?;
        for (key, changed) in change.rows {
            let Some(row) = self.rows.get_mut(&key) else {
                continue;
            };
            let mut figures = serde_json::to_value(&row.figures)?;
            if let Some(figures) = figures.as_object_mut() {
                figures.extend(changed);
            }
            row.figures = serde_json::from_value(figures)?;
        }
        for key in change.gone {
            self.rows.remove(&key);
        }
        if change.tick {
            for row in self.rows.values_mut() {
                let live = row.figures.goroutines;
                row.spark.push(live.map_or(-1, |live| live as i64));
                if row.spark.len() > SPARK {
                    row.spark.remove(0);
                }
            }
        }
        self.rows
            .extend(change.new.into_iter().map(|row| (row.key, row)));
        Ok(())
    }

    /// Orders and filters the rows anew.
    pub(super) fn sort(&mut self) {
        let words: Vec<String> = self
            .filter
            .split_whitespace()
            .map(str::to_lowercase)
            .collect();
        let shown = |row: &&Row| {
            let text = self.columns.iter().map(|column| columns::text(column, row));
            let text = text.collect::<Vec<_>>().join("\n").to_lowercase();
            (!self.only || !row.figures.attention.is_empty())
                && words.iter().all(|word| text.contains(word))
        };
        let mut rows: Vec<&Row> = self.rows.values().filter(shown).collect();
        let column = self.columns[self.sorted];
        rows.sort_by(|a, b| columns::compare(column, a, b, self.up));
        self.order = rows.into_iter().map(|row| row.key).collect();
        if self.at.is_none_or(|at| !self.order.contains(&at)) {
            self.at = self.order.first().copied();
        }
    }

    /// Sorts by the column that is so many further.
    pub(super) fn sort_by(&mut self, step: isize) {
        let count = self.columns.len() as isize;
        self.sorted = (self.sorted as isize + step).rem_euclid(count) as usize;
        self.up = !columns::falls(self.columns[self.sorted]);
    }

    /// Goes to the row that is so many further.
    pub(super) fn go(&mut self, step: isize) {
        let last = self.order.len().saturating_sub(1);
        let to = self.place().saturating_add_signed(step).min(last);
        self.at = self.order.get(to).copied();
    }

    /// Where the row is that the keys go from.
    pub(super) fn place(&self) -> usize {
        let place = self.order.iter().position(|key| Some(*key) == self.at);
        place.unwrap_or_default()
    }

    /// Opens the view of the row that the keys go from.
    pub(super) fn open(&mut self) -> Option<String> {
        let row = self.rows.get(&self.at?)?;
        let id = row.about.id.clone();
        self.view = Some(View::new(id.clone(), name(row)));
        Some(id)
    }
}
