//! What the table's rows say.

use std::{collections::HashMap, time::SystemTime};

use observer_node::{Coverage, Observation, Place, Snapshot, export::process_name};

/// A process over its life: its pid may be used again.
type Identity = (u32, u64, u64, u64);

fn identity(observation: &Observation) -> Identity {
    let process = &observation.process;
    // An exec keeps pid and start, and changes the file.
    (
        process.pid,
        process.start_ticks,
        process.executable.id.device,
        process.executable.id.inode,
    )
}

/// Of goroutines created and of those exited, where it is known.
type Pair<T> = (Option<T>, Option<T>);

/// Goroutines created and exited, and whether the state tells them.
type Counts = (Pair<u64>, bool);

/// Goroutines created and exited per second between the last two snapshots.
#[derive(Default)]
pub(super) struct Rates {
    at: Option<SystemTime>,
    counts: HashMap<Identity, Counts>,
    rates: HashMap<Identity, Pair<f64>>,
}

impl Rates {
    pub(super) fn take(&mut self, snapshot: &Snapshot) {
        // The same figures again, with other labels.
        if self.at == Some(snapshot.at) {
            return;
        }
        let seconds = self
            .at
            .and_then(|at| snapshot.at.duration_since(at).ok())
            .map(|passed| passed.as_secs_f64());
        let counts: HashMap<_, _> = snapshot
            .processes
            .iter()
            .map(|observation| {
                let counted = (observation.created(), observation.exited());
                (
                    identity(observation),
                    (counted, observation.state().is_some()),
                )
            })
            .collect();
        self.rates = match seconds.filter(|seconds| *seconds > 0.0) {
            Some(seconds) => counts
                .iter()
                .filter_map(|(identity, now)| {
                    let before = self.counts.get(identity)?;
                    // From the probes' count to the state's is no rate.
                    if before.1 != now.1 {
                        return None;
                    }
                    let (before, now) = (before.0, now.0);
                    // Counts that fell were started anew: no rate between the two.
                    let rate = |now: Option<u64>, before: Option<u64>| {
                        Some(now?.checked_sub(before?)? as f64 / seconds)
                    };
                    Some((*identity, (rate(now.0, before.0), rate(now.1, before.1))))
                })
                .collect(),
            None => HashMap::new(),
        };
        self.counts = counts;
        self.at = Some(snapshot.at);
    }
}

/// One line of the table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) cells: [String; COLUMNS],
    pub(super) state: State,
    sort: (f64, u32),
}

/// How a line is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Exact,
    Partial,
    Blind,
    Ended,
}

pub(super) const COLUMNS: usize = 11;

pub(super) const HEADINGS: [&str; COLUMNS] = [
    "PROCESS",
    "PID",
    "CONTAINER",
    "GO",
    "GOROUTINES",
    "CREATED/s",
    "EXITED/s",
    "GCs",
    "GC PAUSES",
    "LAST",
    "COVERAGE",
];

/// Stands where a figure is not known.
const UNKNOWN: &str = "–";

/// Rows of a snapshot: the living before the ended, most goroutines created
/// per second first.
pub(super) fn rows(snapshot: &Snapshot, rates: &Rates) -> Vec<Row> {
    let mut rows: Vec<_> = snapshot
        .placed()
        .filter(|(_, place)| !matches!(place, Place::LeftOut | Place::Uncounted(..)))
        .map(|(observation, place)| row(observation, place, rates))
        .collect();
    rows.sort_by(|a, b| {
        let ended = |row: &Row| row.state == State::Ended;
        ended(a)
            .cmp(&ended(b))
            .then(b.sort.0.total_cmp(&a.sort.0))
            .then(a.sort.1.cmp(&b.sort.1))
    });
    rows
}

fn row(observation: &Observation, place: &Place, rates: &Rates) -> Row {
    let process = &observation.process;
    let living = observation.ended.is_none();
    let rate = rates.rates.get(&identity(observation)).filter(|_| living);
    let (created, exited) = rate.copied().unwrap_or_default();
    let known = |text: Option<String>| text.unwrap_or_else(|| UNKNOWN.to_owned());
    let (coverage, state) = coverage(&observation.coverage);
    let container = match (place, &process.container) {
        (Place::Container(of), _) => format!("{}/{}", of.pod.name, of.name),
        (_, Some(container)) => container.id.chars().take(12).collect(),
        (_, None) => String::new(),
    };
    Row {
        cells: [
            clean(&process_name(process)),
            process.pid.to_string(),
            clean(&container),
            clean(observation.binary.version.trim_start_matches("go")),
            known(observation.live().map(|live| live.to_string())),
            known(created.map(per_second)),
            known(exited.map(per_second)),
            known(observation.cycles().map(|cycles| cycles.to_string())),
            known(observation.pauses().map(|(total, _)| duration(total))),
            known(observation.last_pause().map(duration)),
            if living { coverage } else { "ended".to_owned() },
        ],
        state: if living { state } else { State::Ended },
        sort: (created.unwrap_or(-1.0), process.pid),
    }
}

fn coverage(coverage: &Coverage) -> (String, State) {
    let all = coverage.0.len();
    let exact = coverage
        .0
        .values()
        .filter(|missing| missing.is_none())
        .count();
    let first = coverage.0.values().flatten().next();
    match (exact, first) {
        (0, Some(missing)) => (format!("none: {}", missing.reason.label()), State::Blind),
        (0, None) => ("none".to_owned(), State::Blind),
        (_, None) => ("full".to_owned(), State::Exact),
        (_, Some(_)) => (format!("partial {exact} of {all}"), State::Partial),
    }
}

fn per_second(rate: f64) -> String {
    if rate > 0.0 && rate < 10.0 {
        format!("{rate:.1}")
    } else {
        format!("{rate:.0}")
    }
}

/// Nanoseconds in a unit with three or four digits.
pub(super) fn duration(ns: u64) -> String {
    match ns {
        0 => "0".to_owned(),
        1..10_000 => format!("{ns}ns"),
        10_000..10_000_000 => format!("{}µs", ns / 1_000),
        10_000_000..10_000_000_000 => format!("{}ms", ns / 1_000_000),
        _ => format!("{}s", ns / 1_000_000_000),
    }
}

/// Text from a stranger, so that it can neither steer the terminal nor turn
/// the line around, and is no longer than a column could show.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .take(64)
        .map(|c| match c {
            c if c.is_control() => '?',
            '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}' => '?',
            c => c,
        })
        .collect()
}
