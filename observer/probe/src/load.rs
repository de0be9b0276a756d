//! Loading the programs.

use std::{borrow::Cow, collections::HashMap, os::fd::AsFd};

use aya::{
    Btf, Ebpf, EbpfLoader, Endianness, include_bytes_aligned,
    maps::{Map, MapError},
    programs::{BtfTracePoint, Program, ProgramError, UProbe},
    sys::{UProbeMultiFeature, is_uprobe_multi_supported},
    util::nr_cpus,
};
use aya_log::EbpfLogger;
use observer_ebpf::{family::Selection, names};
use observer_go::discover;

use super::{
    HitCost, Kernel, LinkMode, LogLevel, ProbeError, Probes,
    error::chain,
    kernel_types::{self, KernelTypes},
    lease::Wanted,
    machine, map_plan,
    pending_leases::PendingLeases,
    perf_event::PerfProbes,
    private_stacks,
    probes::Flush,
    reaper::Reaper,
};

/// The programs, compiled by the build script.
pub(super) static OBJECT: &[u8] =
    include_bytes_aligned!(concat!(env!("OUT_DIR"), "/observer-ebpf"));

/// How to load.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// Which links to use; `None` for what the kernel has.
    pub link_mode: Option<LinkMode>,
    /// Size of the events' ring buffer: a power of two, at least a page.
    pub events_bytes: u32,
    /// What the programs say for themselves goes to the log down to this level.
    pub log: Option<LogLevel>,
    /// What probes on goroutines may take at once; `None` for any amount.
    pub at_once: Option<AtOnce>,
    /// Which families are probed.
    pub selection: Selection,
}

/// What probes on goroutines may take before an event
/// ([`EventKind::TooMuchAtOnce`](observer_ebpf::EventKind)) tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtOnce {
    /// In how many times what they took it is paid back: 10 allows a tenth of one CPU
    /// for ever. Above 0.
    pub repayment: u64,
    /// Nanoseconds that they may take besides.
    pub burst_ns: u64,
}

/// The length of a program, with all its functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramBytes {
    /// Its instructions, without those that the verifier found to be dead.
    pub verified: u32,
    /// What they were compiled to; 0 where they are interpreted.
    pub compiled: u32,
}

impl Default for LoadOptions {
    /// One MiB of events, the links the kernel has, nothing said, no bounds, and no
    /// family that is to be asked for.
    fn default() -> Self {
        Self {
            link_mode: None,
            events_bytes: 1 << 20,
            log: None,
            at_once: None,
            selection: Selection::default(),
        }
    }
}

impl Probes {
    /// Loads the programs and attaches those that watch processes.
    pub fn load(kernel: Kernel, options: LoadOptions) -> Result<Self, ProbeError> {
        check(&kernel)?;
        let path = kernel_types::PATH;
        let namespace = pid_namespace(&kernel)?;
        let bytes = kernel.btf?;
        let btf =
            Btf::parse(&bytes, Endianness::default()).map_err(|error| ProbeError::BadBtf {
                path,
                reason: chain(&error),
            })?;
        drop(bytes);
        let types = &kernel.types;
        let object = object_for(types)?;
        if types.private_stack {
            private_stacks::check(&object)?;
        }
        let private_stacks = u64::from(types.private_stack);
        // Where it could not be asked for, the load will tell.
        let reads_user_memory = kernel.reads_user_memory != Some(false);
        let reads = u64::from(reads_user_memory);
        let has_spans = u64::from(options.selection.has_spans());
        let level = options.log.map_or(0, |level| level as u8);
        let (repayment, burst_ns) = options
            .at_once
            .map_or((0, 0), |at_once| (at_once.repayment, at_once.burst_ns));
        let mut loader = EbpfLoader::new();
        if options.log.is_none() {
            // One page, the least there is.
            loader.map_max_entries(names::LOG, 1);
        }
        for map in map_plan::unused(options.selection) {
            loader.map_max_entries(map, 1);
        }
        if !types.bpf_mem_alloc {
            let cpus = possible_cpus()?;
            for (map, entries) in map_plan::entries(cpus, options.selection) {
                loader.map_max_entries(map, entries);
            }
            let bytes =
                map_plan::whole_bytes(cpus, u64::from(options.events_bytes), options.selection);
            tracing::warn!(
                "the kernel's hash maps cannot grow (Linux 6.1): they take {} MiB from the start \
                 and have room for {} Go processes at once; of more only the state is read",
                bytes >> 20,
                map_plan::processes(cpus, options.selection),
            );
        }
        let mut ebpf = loader
            .btf(&btf)
            .override_global(names::PRIVATE_STACKS, &private_stacks, true)
            .override_global(names::READS_USER_MEMORY, &reads, true)
            .override_global(names::REPAYMENT, &repayment, true)
            .override_global(names::BURST_NS, &burst_ns, true)
            .override_global(names::HAS_SPANS, &has_spans, true)
            .override_global(aya_log::LEVEL, &level, true)
            .override_global(names::KERNEL, &types.offsets, true)
            .override_global(names::PID_NAMESPACE, &namespace, true)
            .map_max_entries(names::EVENTS, options.events_bytes)
            .load(&object)
            .map_err(|error| ProbeError::Load {
                reason: chain(&error),
            })?;
        let mode = load_site_program(&mut ebpf, options.link_mode)?;
        let perf = match mode {
            LinkMode::UprobeMulti => None,
            LinkMode::PerfEvent => Some(perf_probes(&mut ebpf)?),
        };
        for name in names::TRACEPOINTS {
            watch_processes(&mut ebpf, name, &btf)?;
        }
        drop(btf);
        let log = options.log.map(|_| log(&mut ebpf)).transpose()?;
        give_memory_back();
        Ok(Self {
            mode,
            pending_leases: perf.is_some().then(PendingLeases::default),
            perf,
            links: HashMap::new(),
            reaper: Reaper::start(),
            lease_wanted: Wanted::watch().map_err(|error| ProbeError::Load {
                reason: format!("cannot catch the signal that tells of a wanted lease: {error}"),
            })?,
            lease_watchdog: None,
            processes: map(&mut ebpf, names::PROCESSES)?,
            goroutines: map(&mut ebpf, names::GOROUTINES)?,
            gc: map(&mut ebpf, names::GC)?,
            spans: map(&mut ebpf, names::SPANS)?,
            in_flight: map(&mut ebpf, names::IN_FLIGHT)?,
            selection: options.selection,
            targets: map(&mut ebpf, names::TARGETS)?,
            aliases: map(&mut ebpf, names::ALIASES)?,
            health: map(&mut ebpf, names::HEALTH)?,
            events: map(&mut ebpf, names::EVENTS)?,
            reads_user_memory,
            price: HitCost::FALLBACK,
            cautious: false,
            log,
            ebpf,
        })
    }

    /// How probes are set.
    pub fn mode(&self) -> LinkMode {
        self.mode
    }

    /// What the kernel made of the program that probes run.
    pub fn program_bytes(&mut self) -> Result<ProgramBytes, ProbeError> {
        let program = program_name(self.mode);
        let info = self.site_program()?.info();
        let info = info.map_err(|error| ProbeError::Program {
            program,
            reason: chain(&error),
        })?;
        Ok(ProgramBytes {
            verified: info.size_translated().unwrap_or(0),
            compiled: info.size_jitted(),
        })
    }

    /// The program that probes run.
    pub(super) fn site_program(&mut self) -> Result<&mut UProbe, ProbeError> {
        program(&mut self.ebpf, program_name(self.mode))
    }
}

/// What the kernel would refuse without a word of what it lacks, or would not refuse.
fn check(kernel: &Kernel) -> Result<(), ProbeError> {
    if kernel.types.foreign_registers {
        return Err(ProbeError::ForeignKernel {
            built_for: machine::OWN.name,
        });
    }
    if kernel.atomic_fetch == Some(false) {
        return Err(ProbeError::NoAtomics);
    }
    Ok(())
}

/// Hands what the programs said to the log.
fn log(ebpf: &mut Ebpf) -> Result<Flush, ProbeError> {
    let mut logger = EbpfLogger::init(ebpf).map_err(|error| ProbeError::Object {
        kind: "map",
        name: names::LOG,
        reason: chain(&error),
    })?;
    Ok(Box::new(move || logger.flush()))
}

/// The object as this kernel is to get it.
fn object_for(types: &KernelTypes) -> Result<Cow<'static, [u8]>, ProbeError> {
    if types.bpf_mem_alloc {
        return Ok(OBJECT.into());
    }
    map_plan::preallocated(OBJECT)
        .map(Cow::Owned)
        .map_err(|reason| ProbeError::Load {
            reason: format!("the eBPF object: {reason}"),
        })
}

/// Each has its own copy of a per-CPU map's entry.
fn possible_cpus() -> Result<u64, ProbeError> {
    nr_cpus()
        .map(|cpus| u64::from(cpus.get()))
        .map_err(|(path, error)| ProbeError::Load {
            reason: format!("{path}: {error}"),
        })
}

/// What the programs tell process ids by: the observer's own pid namespace, 0
/// where that is the initial one.
fn pid_namespace(kernel: &Kernel) -> Result<u32, ProbeError> {
    let own = discover::pid_namespace()?;
    if own.is_initial() {
        return Ok(0);
    }
    // Without BTF that is what there is to tell.
    if kernel.btf.is_ok() && !kernel.types.pid_numbers {
        return Err(ProbeError::NoPids {
            reason: "its BTF does not describe struct pid, upid or pid_namespace as expected",
        });
    }
    if kernel.reads_kernel_memory == Some(false) {
        return Err(ProbeError::NoPids {
            reason: "eBPF programs may not read its memory (lockdown=confidentiality)",
        });
    }
    tracing::info!(
        namespace = own.inode,
        "in a pid namespace that is not the machine's: programs outside it are not observed"
    );
    Ok(own.inode)
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

fn perf_probes(ebpf: &mut Ebpf) -> Result<PerfProbes, ProbeError> {
    let name = program_name(LinkMode::PerfEvent);
    let failed = |reason| ProbeError::Program {
        program: name,
        reason,
    };
    let program = program::<UProbe>(ebpf, name)?;
    let fd = program.fd().map_err(|error| failed(chain(&error)))?;
    PerfProbes::new(fd.as_fd()).map_err(|error| failed(chain(&error)))
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
