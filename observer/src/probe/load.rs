//! Loading the programs.

use std::{collections::HashMap, fs};

use aya::{
    Btf, Ebpf, EbpfLoader, Endianness, include_bytes_aligned,
    maps::{Map, MapError},
    programs::{BtfTracePoint, Program, ProgramError, UProbe},
    sys::{UProbeMultiFeature, is_uprobe_multi_supported},
};
use observer_ebpf::names;

use super::{
    LinkMode, ProbeError, Probes,
    error::chain,
    kernel_types::{self, TaskOffsets},
    reaper::Reaper,
};

/// The programs, compiled by the build script.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/observer-ebpf"));

/// How to load.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// Which links to use; `None` for what the kernel has.
    pub link_mode: Option<LinkMode>,
    /// Size of the events' ring buffer: a power of two, at least a page.
    pub events_bytes: u32,
}

impl Default for LoadOptions {
    /// One MiB of events, and the links the kernel has.
    fn default() -> Self {
        Self {
            link_mode: None,
            events_bytes: 1 << 20,
        }
    }
}

impl Probes {
    /// Loads the programs and attaches those that watch processes.
    pub fn load(options: LoadOptions) -> Result<Self, ProbeError> {
        let path = kernel_types::PATH;
        let bytes = fs::read(path).map_err(|source| ProbeError::NoBtf { path, source })?;
        let offsets =
            TaskOffsets::read(&bytes).map_err(|reason| ProbeError::BadBtf { path, reason })?;
        let btf =
            Btf::parse(&bytes, Endianness::default()).map_err(|error| ProbeError::BadBtf {
                path,
                reason: chain(&error),
            })?;
        drop(bytes);
        let mut ebpf = EbpfLoader::new()
            .btf(&btf)
            .override_global(names::TASK_TGID, &offsets.tgid, true)
            .override_global(names::TASK_PID, &offsets.pid, true)
            .override_global(names::TASK_SIGNAL, &offsets.signal, true)
            .override_global(names::SIGNAL_LIVE, &offsets.signal_live, true)
            .map_max_entries(names::EVENTS, options.events_bytes)
            .load(OBJECT)
            .map_err(|error| ProbeError::Load {
                reason: chain(&error),
            })?;
        let mode = load_site_program(&mut ebpf, options.link_mode)?;
        for name in names::TRACEPOINTS {
            watch_processes(&mut ebpf, name, &btf)?;
        }
        drop(btf);
        give_memory_back();
        Ok(Self {
            mode,
            links: HashMap::new(),
            reaper: Reaper::start(),
            processes: map(&mut ebpf, names::PROCESSES)?,
            goroutines: map(&mut ebpf, names::GOROUTINES)?,
            gc: map(&mut ebpf, names::GC)?,
            targets: map(&mut ebpf, names::TARGETS)?,
            aliases: map(&mut ebpf, names::ALIASES)?,
            health: map(&mut ebpf, names::HEALTH)?,
            events: map(&mut ebpf, names::EVENTS)?,
            ebpf,
        })
    }

    /// How probes are set.
    pub fn mode(&self) -> LinkMode {
        self.mode
    }

    /// The program that probes run.
    pub(super) fn site_program(&mut self) -> Result<&mut UProbe, ProbeError> {
        program(&mut self.ebpf, program_name(self.mode))
    }
}

const fn program_name(mode: LinkMode) -> &'static str {
    match mode {
        LinkMode::UprobeMulti => names::SITE_MULTI,
        LinkMode::PerfEvent => names::SITE_SINGLE,
    }
}

/// Loads the program for the links asked for, or for those the kernel has.
fn load_site_program(ebpf: &mut Ebpf, asked: Option<LinkMode>) -> Result<LinkMode, ProbeError> {
    let mode = asked.unwrap_or_else(|| {
        match is_uprobe_multi_supported(UProbeMultiFeature::LinkCreation) {
            Ok(true) => LinkMode::UprobeMulti,
            Ok(false) => LinkMode::PerfEvent,
            Err(error) => {
                tracing::debug!(%error, "cannot tell whether the kernel has uprobe_multi links");
                LinkMode::UprobeMulti
            }
        }
    });
    let result = load_site_program_for(ebpf, mode);
    match result {
        Ok(()) => Ok(mode),
        Err(error) if asked.is_none() && mode == LinkMode::UprobeMulti => {
            tracing::warn!(%error, "falling back to perf-event links");
            load_site_program_for(ebpf, LinkMode::PerfEvent)?;
            Ok(LinkMode::PerfEvent)
        }
        Err(error) => Err(error),
    }
}

fn load_site_program_for(ebpf: &mut Ebpf, mode: LinkMode) -> Result<(), ProbeError> {
    let name = program_name(mode);
    program::<UProbe>(ebpf, name)?
        .load()
        .map_err(|error| ProbeError::Program {
            program: name,
            reason: chain(&error),
        })
}

fn watch_processes(ebpf: &mut Ebpf, name: &'static str, btf: &Btf) -> Result<(), ProbeError> {
    let program = program::<BtfTracePoint>(ebpf, name)?;
    program
        .load(name, btf)
        .and_then(|()| program.attach())
        .map_err(|error| ProbeError::Program {
            program: name,
            reason: chain(&error),
        })?;
    Ok(())
}

fn program<'a, P>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut P, ProbeError>
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    let object = |reason| ProbeError::Object {
        kind: "program",
        name,
        reason,
    };
    let program = ebpf
        .program_mut(name)
        .ok_or_else(|| object("it is not there".to_owned()))?;
    program.try_into().map_err(|error| object(chain(&error)))
}

fn map<M: TryFrom<Map, Error = MapError>>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<M, ProbeError> {
    let object = |reason| ProbeError::Object {
        kind: "map",
        name,
        reason,
    };
    let map = ebpf
        .take_map(name)
        .ok_or_else(|| object("it is not there".to_owned()))?;
    map.try_into().map_err(|error| object(chain(&error)))
}

/// The kernel's types, parsed, take tens of megabytes for a moment, which
/// the allocator would keep.
fn give_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the function has no precondition.
    unsafe {
        libc::malloc_trim(0);
    }
}
