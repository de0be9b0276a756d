//! Every row and its past.

use std::{
    collections::HashMap,
    fs,
    hash::{Hash, Hasher},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::time::{ClockId, clock_gettime};

use super::{
    bounds::{APART, POINTS, POINTS_OF_ROW, STOPS, STOPS_OF_ROW},
    row::{About, PROCESSES, ProcessRef, RowTable},
    row_history::{Look, RowHistory, Subject},
};
use crate::{
    export::MAX_GROUPS,
    node::{Attribution, Observation, PodContainer, Snapshot},
};

/// What is a row.
#[derive(Clone, Debug)]
pub(super) enum RowKey {
    Container(Arc<PodContainer>),
    /// A process outside pods: its id and its start.
    Process(u32, u64),
}

impl RowKey {
    fn of(observation: &Observation, place: &Attribution) -> Option<Self> {
        match place {
            Attribution::Host => {
                let process = &observation.process;
                Some(Self::Process(process.pid, process.start_ticks))
            }
            Attribution::Container(container) => Some(Self::Container(Arc::clone(container))),
            Attribution::LeftOut | Attribution::Unknown | Attribution::Uncounted(..) => None,
        }
    }

    const fn container(&self) -> Option<&Arc<PodContainer>> {
        match self {
            Self::Container(container) => Some(container),
            Self::Process(..) => None,
        }
    }

    /// What stays the same while the row lives; a pod's workload may become known later.
    fn fixed(&self) -> (&str, &str, u32, u64) {
        match self {
            Self::Container(it) => (&it.pod.uid, &it.name, 0, 0),
            Self::Process(pid, start) => ("", "", *pid, *start),
        }
    }
}

impl PartialEq for RowKey {
    fn eq(&self, other: &Self) -> bool {
        self.fixed() == other.fixed()
    }
}

impl Eq for RowKey {}

impl Hash for RowKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fixed().hash(state);
    }
}

/// Every row and its past.
#[derive(Debug, Default)]
pub(super) struct Store {
    entries: HashMap<RowKey, RowHistory>,
    next_key: u32,
    sequence: u64,
    last_at: Option<SystemTime>,
    last_tick: Option<Instant>,
    /// What the table says besides the rows.
    frame: RowTable,
    /// The table, where it was asked for since the last snapshot.
    table: Option<Arc<RowTable>>,
}

impl Store {
    pub(super) const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Takes in a snapshot.
    pub(super) fn take(&mut self, snapshot: &Snapshot) {
        self.take_at(snapshot, Instant::now());
    }

    pub(super) fn take_at(&mut self, snapshot: &Snapshot, now: Instant) {
        self.table = None;
        self.sequence += 1;
        let at_ms = since_epoch(snapshot.at).as_secs_f64() * 1e3;
        // The same figures again with other labels are no point.
        let again = self.last_at.replace(snapshot.at) == Some(snapshot.at);
        let due = self
            .last_tick
            .is_none_or(|last| now.duration_since(last) >= APART);
        let tick = due && !again;
        if tick {
            self.last_tick = Some(now);
        }
        let mut rows: HashMap<RowKey, Vec<&Arc<Observation>>> = HashMap::new();
        for (observation, place) in snapshot.placed() {
            if observation.ended.is_none()
                && let Some(key) = RowKey::of(observation, place)
                && (rows.len() < MAX_GROUPS || rows.contains_key(&key))
            {
                rows.entry(key).or_default().push(observation);
            }
        }
        let room = |all: usize, (least, most): (usize, usize)| {
            (all / rows.len().max(1)).clamp(least, most)
        };
        let look = Look {
            now,
            at_ms,
            epoch: epoch(),
            price: snapshot.health.price,
            tick,
            points: room(POINTS, POINTS_OF_ROW),
            stops: room(STOPS, STOPS_OF_ROW),
        };
        self.entries.retain(|key, _| rows.contains_key(key));
        for (key, processes) in rows {
            let container = key.container().cloned();
            let next_key = &mut self.next_key;
            let entry = self.entries.entry(key).or_insert_with(|| {
                *next_key = next_key.wrapping_add(1);
                RowHistory::new(*next_key, now)
            });
            if !entry.is_about(container.as_ref(), &processes) {
                let about = about(container.as_deref(), &processes);
                entry.name(Subject::new(container, &processes), about);
            }
            entry.take(&processes, &look);
        }
        self.frame(snapshot, at_ms, tick);
    }

    fn frame(&mut self, snapshot: &Snapshot, at_ms: f64, tick: bool) {
        let cluster = snapshot.cluster.as_ref();
        let node = match cluster {
            Some(cluster) => cluster.node.clone(),
            None if self.frame.node.is_empty() => host_name(),
            None => std::mem::take(&mut self.frame.node),
        };
        self.frame = RowTable {
            sequence: self.sequence,
            at_ms,
            interval_ms: snapshot.health.interval.as_secs_f64() * 1e3,
            node,
            kubernetes: cluster.is_some(),
            lacking: snapshot.health.missing.clone(),
            tick,
            rows: Vec::new(),
        };
    }

    /// The table now.
    pub(super) fn table(&mut self) -> Arc<RowTable> {
        let entries = &self.entries;
        let frame = &self.frame;
        let table = self.table.get_or_insert_with(|| {
            let mut rows: Vec<_> = entries.values().map(RowHistory::row).collect();
            rows.sort_by_key(|row| row.key);
            Arc::new(RowTable {
                rows,
                ..frame.clone()
            })
        });
        Arc::clone(table)
    }

    /// The entry of a row's name.
    pub(super) fn entry(&self, id: &str) -> Option<&RowHistory> {
        self.entries.values().find(|entry| entry.about.id == id)
    }
}

/// What a row is.
fn about(container: Option<&PodContainer>, processes: &[&Arc<Observation>]) -> About {
    let first = processes.first();
    let mut about = About {
        process: first.map(|it| it.process.name()).unwrap_or_default(),
        versions: processes
            .iter()
            .map(|it| it.binary.version.chars().take(64).collect())
            .collect(),
        processes: processes
            .iter()
            .take(PROCESSES)
            .map(|it| ProcessRef {
                pid: it.process.pid,
                name: it.process.name(),
            })
            .collect(),
        ..About::default()
    };
    if let Some(it) = container {
        let pod = &it.pod;
        about.id = format!("{}:{}:{}", pod.namespace, pod.name, it.name);
        about.namespace.clone_from(&pod.namespace);
        about.pod.clone_from(&pod.name);
        about.container.clone_from(&it.name);
        let workload = pod.workload.as_ref();
        about.workload = workload.map(|it| format!("{}/{}", it.kind, it.name));
    } else if let Some(first) = first {
        let process = &first.process;
        about.id = format!("pid:{}:{}", process.pid, process.start_ticks);
        let container = process.container.as_ref();
        about.container = container.map(|it| it.id.clone()).unwrap_or_default();
    }
    about
}

fn since_epoch(at: SystemTime) -> Duration {
    at.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// What the monotonic clock's zero is in time since the epoch.
fn epoch() -> Duration {
    let monotonic = clock_gettime(ClockId::Monotonic);
    let since_start = Duration::new(monotonic.tv_sec as u64, monotonic.tv_nsec as u32);
    since_epoch(SystemTime::now()).saturating_sub(since_start)
}

fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}
