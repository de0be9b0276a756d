//! The maps, and the counters of what they refused.
//!
//! A hit may be preempted anywhere, and the next thread's on the same CPU then
//! runs from its start to its end. What is written here is a process's figures,
//! added to with atomics or held by a lock of that process's runtime; no map is
//! scratch memory that a hit fills and reads again, not even a per-CPU one. Of
//! the ring buffers each hit reserves a piece of its own.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    macros::map,
    maps::{HashMap, PerCpuArray, PerCpuHashMap, RingBuf},
};
use observer_ebpf::{
    GcFigures, GoroutineFigures, ProcessKey, ProgramHealth, Registration, Target,
    family::{InFlight, InFlightKey, SpanFigures, SpanKey},
};

/// More Go processes than a node runs; memory is taken per entry, not in advance.
const PROCESSES_MAX: u32 = 65_536;
/// Figures of ended processes stay until user space has taken them.
const FIGURES_MAX: u32 = 2 * PROCESSES_MAX;
/// Spans that go on; one entry each.
const IN_FLIGHT_MAX: u32 = 4 * PROCESSES_MAX;
const TARGETS_MAX: u32 = 65_536;
const ALIASES_MAX: u32 = 65_536;
const EVENTS_BYTES: u32 = 1 << 20;

#[map]
pub(crate) static PROCESSES: HashMap<u32, Registration> =
    HashMap::with_max_entries(PROCESSES_MAX, BPF_F_NO_PREALLOC);

#[map]
pub(crate) static GOROUTINES: PerCpuHashMap<ProcessKey, GoroutineFigures> =
    PerCpuHashMap::with_max_entries(FIGURES_MAX, BPF_F_NO_PREALLOC);

#[map]
pub(crate) static GC: HashMap<ProcessKey, GcFigures> =
    HashMap::with_max_entries(FIGURES_MAX, BPF_F_NO_PREALLOC);

#[map]
pub(crate) static SPANS: PerCpuHashMap<SpanKey, SpanFigures> =
    PerCpuHashMap::with_max_entries(FIGURES_MAX, BPF_F_NO_PREALLOC);

#[map]
pub(crate) static IN_FLIGHT: HashMap<InFlightKey, InFlight> =
    HashMap::with_max_entries(IN_FLIGHT_MAX, BPF_F_NO_PREALLOC);

#[map]
pub(crate) static TARGETS: HashMap<u32, Target> =
    HashMap::with_max_entries(TARGETS_MAX, BPF_F_NO_PREALLOC);

#[map]
pub(crate) static ALIASES: HashMap<u64, u64> =
    HashMap::with_max_entries(ALIASES_MAX, BPF_F_NO_PREALLOC);

#[map]
pub(crate) static HEALTH: PerCpuArray<ProgramHealth> = PerCpuArray::with_max_entries(1, 0);

#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(EVENTS_BYTES, 0);

/// Adds one to a counter of this CPU's [`ProgramHealth`]. Atomic all the same: on
/// preemptible kernels another thread's hit on the same CPU may interrupt this one.
macro_rules! health {
    ($field:ident) => {
        if let Some(health) = $crate::maps::HEALTH.get_ptr_mut(0) {
            #[allow(unused_unsafe, reason = "also used inside unsafe blocks")]
            // SAFETY: the lookup gave a live value of this type.
            unsafe {
                $crate::atomic::add(&raw mut (*health).$field, 1);
            }
        }
    };
}
pub(crate) use health;
