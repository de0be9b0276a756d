//! `/api/v1/processes`, as the tests read it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// One Go process.
#[derive(Clone, Debug, Deserialize)]
pub struct Process {
    /// Process id in the observer's pid namespace.
    pub pid: u32,
    /// The executable's base name.
    pub process: String,
    /// The executable's path.
    pub exe: String,
    /// The container it runs in.
    pub container: Option<Container>,
    /// How it came into its container.
    #[serde(default)]
    pub origin: Option<String>,
    /// Whether it has ended.
    #[serde(deserialize_with = "is_there")]
    pub ended: bool,
    /// What it runs.
    pub binary: Binary,
    /// What is observed, by group of figures.
    pub coverage: BTreeMap<String, Coverage>,
    /// What was counted.
    pub figures: Figures,
    /// What its probes take from it.
    pub probes: Probes,
}

/// What a process's probes take from it.
#[derive(Clone, Debug, Deserialize)]
pub struct Probes {
    /// Hits.
    pub hits: u64,
    /// What they cost it.
    pub cost_ns: u64,
    /// Whether any on goroutines are set.
    pub hot: bool,
    /// Whether those on each goroutine are.
    pub exact: bool,
    /// Whether that on batches is.
    pub batch: bool,
    /// What they have counted.
    pub counted: Counted,
}

/// What probes on goroutines have counted.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Counted {
    /// Created.
    pub created: u64,
    /// Ended.
    pub exited: u64,
    /// Batches of 16 ids.
    pub batches: u64,
}

/// The container a process runs in.
#[derive(Clone, Debug, Deserialize)]
pub struct Container {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Who made it.
    pub runtime: String,
    /// The Kubernetes pod.
    pub pod_uid: Option<String>,
}

/// What a process runs.
#[derive(Clone, Debug, Deserialize)]
pub struct Binary {
    /// As `runtime.Version()` says it.
    pub version: String,
    /// How it was linked.
    pub build_mode: String,
    /// Whether it has no symbol table.
    pub stripped: bool,
    /// Path of the library, where that is what is Go.
    #[serde(default)]
    pub library: Option<String>,
}

/// Whether a group of figures is observed.
#[derive(Clone, Debug, Deserialize)]
pub struct Coverage {
    /// Whether it is.
    pub covered: bool,
    /// Why not, as a label.
    pub reason: Option<String>,
    /// Why not, for people.
    pub detail: Option<String>,
}

/// What was counted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "served::Figures")]
pub struct Figures {
    /// Whether nothing came before the probes.
    pub from_start: bool,
    /// Live goroutines.
    pub goroutines: Option<u64>,
    /// All that probes saw created, the runtime's own included.
    pub created: u64,
    /// All that they saw end.
    pub exited: u64,
    /// All that ever were created and ended, by the best that is known.
    pub ever: Option<(u64, u64)>,
    /// Of `created`, the runtime's own.
    pub system_created: u64,
    /// Of `exited`, the runtime's own.
    pub system_exited: u64,
    /// Ended collections by trigger: heap, time, forced, unknown.
    pub gc_cycles: BTreeMap<String, u64>,
    /// As `MemStats.PauseTotalNs`.
    pub pause_total_ns: u64,
    /// Collections seen whole.
    pub whole_cycles: u64,
    /// Stops of the world by reason.
    pub stops: BTreeMap<String, Stop>,
}

/// Stops of the world for one reason.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Stop {
    /// How many.
    pub count: u64,
    /// From the start of stopping until the world ran again.
    pub total_ns: u64,
    /// Of that, until every P had stopped (1.22+).
    pub stopping_ns: Option<u64>,
}

/// The figures in the form they are served in.
mod served {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::Stop;

    #[derive(Deserialize)]
    pub(super) struct Figures {
        from_start: bool,
        goroutines: Goroutines,
        /// None until the first collection or stop.
        gc: Option<Gc>,
    }

    #[derive(Deserialize)]
    struct Goroutines {
        created: Option<u64>,
        exited: Option<u64>,
        system_created: u64,
        system_exited: u64,
        live: Option<u64>,
    }

    #[derive(Default, Deserialize)]
    struct Gc {
        cycles: BTreeMap<String, Cycles>,
        pauses: BTreeMap<String, Stop>,
        pause_total_ns: u64,
        whole_cycles: u64,
    }

    #[derive(Deserialize)]
    struct Cycles {
        completed: u64,
    }

    impl From<Figures> for super::Figures {
        fn from(served: Figures) -> Self {
            let Figures {
                from_start,
                goroutines: g,
                gc,
            } = served;
            let gc = gc.unwrap_or_default();
            Self {
                from_start,
                goroutines: g.live,
                // In the process's `probes`.
                created: 0,
                exited: 0,
                ever: g.created.zip(g.exited),
                system_created: g.system_created,
                system_exited: g.system_exited,
                gc_cycles: gc
                    .cycles
                    .into_iter()
                    .map(|(t, c)| (t, c.completed))
                    .collect(),
                pause_total_ns: gc.pause_total_ns,
                whole_cycles: gc.whole_cycles,
                stops: gc.pauses,
            }
        }
    }
}

/// An instant where something happened, else null.
fn is_there<'de, D: Deserializer<'de>>(instant: D) -> Result<bool, D::Error> {
    Ok(Option::<f64>::deserialize(instant)?.is_some())
}

impl Process {
    /// Reads the whole answer: a list, or an object that holds it.
    pub fn parse_list(json: &str) -> Vec<Self> {
        let mut value: serde_json::Value =
            serde_json::from_str(json).unwrap_or_else(|e| panic!("not JSON: {e}: {json}"));
        if let Some(list) = value.get_mut("processes") {
            value = list.take();
        }
        let mut list: Vec<Self> =
            serde_json::from_value(value).unwrap_or_else(|e| panic!("processes: {e}: {json}"));
        for process in &mut list {
            process.figures.created = process.probes.counted.created;
            process.figures.exited = process.probes.counted.exited;
        }
        list
    }

    /// Whether its probes are attached, so that what comes now is counted.
    pub fn attached(&self) -> bool {
        self.coverage
            .get("goroutines_created")
            .is_some_and(|c| c.covered || c.reason.as_deref() == Some("started_before"))
    }
}

impl Figures {
    /// Collections, whatever triggered them.
    pub fn cycles(&self) -> u64 {
        self.gc_cycles.values().sum()
    }

    /// How often the world was stopped for a reason.
    pub fn stops_for(&self, reason: &str) -> u64 {
        self.stops.get(reason).map_or(0, |s| s.count)
    }

    /// How often the world was stopped for other reasons than collection.
    pub fn other_stops(&self) -> u64 {
        self.stops
            .iter()
            .filter(|(reason, _)| !reason.starts_with("gc_"))
            .map(|(_, s)| s.count)
            .sum()
    }
}
