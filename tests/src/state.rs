//! The observer's reader of runtime state without the node around it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use object::{Object as _, ObjectSymbol as _};
use observer_go::{
    binary::{
        Functions, Inspected,
        globals::{self, Globals},
        inspect,
    },
    release::{Arch, GoVersion, Layout},
    runtime::{ProgramLayout, RuntimeReader, SourceLocation, StateError, StateFigures},
};
pub use observer_testkit::program::{Metric, Program, Report};

/// Long enough for the background sweeper and the spinning Ms to come to rest.
pub const STILL: Duration = Duration::from_millis(150);

/// A sample, taken again where something of the program moved just then.
pub fn sample(reader: &mut RuntimeReader) -> Result<Arc<StateFigures>, StateError> {
    let end = Instant::now() + Duration::from_secs(3);
    loop {
        match reader.sample() {
            Err(error) if error.is_passing() && Instant::now() < end => thread::sleep(STILL / 10),
            result => return result,
        }
    }
}

/// The first sample after a program has come to rest. A wait of some
/// milliseconds mostly does; on a busy machine a P may take longer to be idle.
pub fn at_rest(reader: &mut RuntimeReader) -> Result<Arc<StateFigures>, StateError> {
    let end = Instant::now() + Duration::from_secs(3);
    loop {
        thread::sleep(STILL);
        let figures = sample(reader)?;
        let scheduler = &figures.scheduler;
        // Whoever waits in a system call may keep its P.
        if scheduler.idle_processors + 1 >= scheduler.processors || Instant::now() > end {
            return Ok(figures);
        }
    }
}

/// A process's executable, as the observer's library sees it.
#[derive(Debug)]
pub struct Executable {
    /// Its release.
    pub version: GoVersion,
    arch: Arch,
    /// The runtime's globals in it.
    pub globals: Globals,
    image: ProgramLayout,
    file: File,
}

impl Executable {
    /// Finds the globals, with the symbol table's help only if asked to and
    /// there is one.
    pub fn open(path: &Path, with_symbols: bool) -> Self {
        let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (version, arch) = match inspect(&file) {
            Ok(Inspected::Go(binary)) => (binary.release.expect("a release"), binary.arch),
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
            .collect(&|name| globals::wanted(name))
            .expect("the functions that tell the globals");
        let layout = Layout::of(version, arch).expect("a layout");
        Self {
            version,
            arch,
            globals: globals::find(&layout, &functions, &|name| symbols.get(name).copied()),
            image: ProgramLayout { entry: elf.entry() },
            file,
        }
    }

    /// A reader of a process that runs it.
    pub fn reader(&self, pid: u32) -> Result<RuntimeReader, StateError> {
        let layout = Layout::of(self.version, self.arch).expect("a layout");
        RuntimeReader::new(pid, self.image, &self.globals, layout)
    }

    /// Names addresses of its code.
    pub fn symbolize(&self, pc: u64) -> Option<SourceLocation> {
        let functions = Functions::open(&self.file).ok()??;
        let place = functions.resolve(pc).ok()??;
        Some(SourceLocation {
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
