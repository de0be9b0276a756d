//! The state fixture as a process that is told what to do, and the observer's
//! reader of runtime state without the node around it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use object::{Object as _, ObjectSymbol as _};
use observer::{
    gobinary::{
        Arch, Functions, GoVersion, Inspected,
        globals::{self, Globals},
        inspect,
    },
    runtime::{Image, Layout, Reader, StateError, StateFigures, Symbol},
};
use serde::Deserialize;

use crate::workload::Conversation;

/// Long enough for the background sweeper and the spinning Ms to come to rest.
pub const STILL: Duration = Duration::from_millis(150);

/// What the program says of itself while it stands still.
#[derive(Debug, Deserialize)]
pub struct Report {
    /// As `runtime.Version()`.
    pub version: String,
    /// As `runtime.NumGoroutine()`.
    pub goroutines: u64,
    /// As `runtime.ThreadCreateProfile` counts.
    pub threads: u64,
    /// As `/gc/heap/goal:bytes`.
    pub goal: u64,
    /// As `runtime.GOMAXPROCS(0)`.
    pub gomaxprocs: u64,
    /// As `runtime.ReadMemStats`.
    pub memstats: MemStats,
    /// As `runtime/metrics`.
    pub metrics: BTreeMap<String, Metric>,
}

/// Of `runtime.MemStats`, what the observer gives.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "these are the runtime's own names")]
pub struct MemStats {
    pub heap_alloc: u64,
    pub heap_objects: u64,
    pub total_alloc: u64,
    pub mallocs: u64,
    pub frees: u64,
    #[serde(rename = "NextGC")]
    pub next_gc: u64,
    #[serde(rename = "LastGC")]
    pub last_gc: u64,
    #[serde(rename = "NumGC")]
    pub num_gc: u64,
    #[serde(rename = "NumForcedGC")]
    pub num_forced_gc: u64,
    pub pause_total_ns: u64,
    pub pause_ns: Vec<u64>,
    pub pause_end: Vec<u64>,
}

/// A metric of `runtime/metrics`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Metric {
    /// A number without a fraction, of either kind.
    Count(u64),
    /// Any other number.
    Number(f64),
    /// A histogram; the bounds are the bits of doubles in hexadecimal.
    Histogram {
        /// Per bucket.
        counts: Vec<u64>,
        /// One more.
        bounds: Vec<String>,
    },
}

impl Report {
    /// A metric that is a whole number, where this release has it.
    pub fn count(&self, name: &str) -> Option<u64> {
        match self.metrics.get(name)? {
            Metric::Count(n) => Some(*n),
            other => panic!("{name} is {other:?}"),
        }
    }

    /// A metric that is a number, where this release has it.
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.metrics.get(name)? {
            Metric::Count(n) => Some(*n as f64),
            Metric::Number(n) => Some(*n),
            other @ Metric::Histogram { .. } => panic!("{name} is {other:?}"),
        }
    }

    /// A histogram's counts, where this release has it.
    pub fn counts(&self, name: &str) -> Option<&[u64]> {
        match self.metrics.get(name)? {
            Metric::Histogram { counts, .. } => Some(counts),
            other => panic!("{name} is {other:?}"),
        }
    }

    /// A histogram's bounds, where this release has it.
    pub fn bounds(&self, name: &str) -> Option<Vec<f64>> {
        let Metric::Histogram { bounds, .. } = self.metrics.get(name)? else {
            panic!("{name} is no histogram");
        };
        let bits = |text: &String| u64::from_str_radix(text, 16).expect("bits of a double");
        Some(bounds.iter().map(|b| f64::from_bits(bits(b))).collect())
    }
}

/// The state fixture. Killed when dropped.
#[derive(Debug)]
pub struct Program {
    /// Its process id.
    pub pid: u32,
    talk: Conversation,
}

impl Program {
    /// Starts a build of it.
    pub fn start(path: &Path) -> Self {
        Self::start_as(Command::new(path))
    }

    /// Starts it with an environment or the like.
    pub fn start_as(command: Command) -> Self {
        let mut talk = Conversation::start(command);
        let pid = ready(&talk.hear());
        Self { pid, talk }
    }

    /// Has it do what a letter stands for, and waits until that is done.
    pub fn obey(&mut self, letter: char) {
        self.talk.send(letter.encode_utf8(&mut [0; 4]));
        assert_eq!(self.talk.hear(), "done", "the answer to {letter}");
    }

    /// Has it do what a letter stands for, and does not wait.
    pub fn begin(&mut self, letter: char) {
        self.talk.send(letter.encode_utf8(&mut [0; 4]));
    }

    /// Has it execute itself anew.
    pub fn exec(&mut self) {
        self.talk.send("x");
        assert_eq!(ready(&self.talk.hear()), self.pid, "exec keeps the process");
    }

    /// What it says of itself. Saying so allocates, and is the last it does.
    pub fn report(&mut self) -> Report {
        self.talk.send("r");
        let line = self.talk.hear();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("report {line:?}: {e}"))
    }
}

/// The first sample after a program has come to rest. A wait of some
/// milliseconds mostly does; on a busy machine a P may take longer to be idle.
pub fn at_rest(reader: &mut Reader) -> Result<Arc<StateFigures>, StateError> {
    let end = Instant::now() + Duration::from_secs(3);
    loop {
        thread::sleep(STILL);
        let figures = reader.sample()?;
        let scheduler = &figures.scheduler;
        // Whoever waits in a system call may keep its P.
        if scheduler.idle_processors + 1 >= scheduler.processors || Instant::now() > end {
            return Ok(figures);
        }
    }
}

fn ready(line: &str) -> u32 {
    let pid = line.strip_prefix("ready ").and_then(|pid| pid.parse().ok());
    pid.unwrap_or_else(|| panic!("greeting {line:?}"))
}

/// A process's executable, as the observer's library sees it.
#[derive(Debug)]
pub struct Executable {
    /// Its release.
    pub version: GoVersion,
    /// The runtime's globals in it.
    pub globals: Globals,
    image: Image,
    file: File,
}

impl Executable {
    /// Finds the globals, with the symbol table's help only if asked to and
    /// there is one.
    pub fn open(path: &Path, with_symbols: bool) -> Self {
        let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let version = match inspect(&file) {
            Ok(Inspected::Go(binary)) => binary.release.expect("a release"),
            other => panic!("{}: {other:?}", path.display()),
        };
        let data = fs::read(path).expect("the executable");
        let elf = object::File::parse(&*data).expect("an ELF file");
        let mut symbols = BTreeMap::new();
        if with_symbols {
            symbols.extend(
                elf.symbols()
                    .filter_map(|s| Some((s.name().ok()?, s.address()))),
            );
        }
        let functions = Functions::open(&file)
            .expect("the function table")
            .expect("a function table")
            .collect(&|name| globals::wanted(version, name))
            .expect("the functions that tell the globals");
        Self {
            version,
            globals: globals::find(version, &functions, &|name| symbols.get(name).copied()),
            image: Image { entry: elf.entry() },
            file,
        }
    }

    /// A reader of a process that runs it.
    pub fn reader(&self, pid: u32) -> Result<Reader, StateError> {
        let layout = Layout::of(self.version, Arch::Amd64).expect("a layout");
        Reader::new(pid, self.image, &self.globals, layout)
    }

    /// Names addresses of its code.
    pub fn symbolize(&self, pc: u64) -> Option<Symbol> {
        let functions = Functions::open(&self.file).ok()??;
        let place = functions.resolve(pc).ok()??;
        Some(Symbol {
            function: place.function.name,
            line: place.line,
        })
    }

    /// Where the globals are, by name.
    pub fn places(&self) -> [(&'static str, Option<u64>); 7] {
        let g = &self.globals;
        [
            ("sched", &g.sched),
            ("allgs", &g.allgs),
            ("allp", &g.allp),
            ("memstats", &g.memstats),
            ("gcController", &g.gc_controller),
            ("work.cpuStats", &g.cpu_stats),
            ("allm", &g.allm),
        ]
        .map(|(name, global)| (name, global.as_ref().map(|global| global.address)))
    }
}
