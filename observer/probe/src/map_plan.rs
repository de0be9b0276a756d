//! How the hash maps take memory: an entry at a time, or all at once.
//!
//! Since Linux 6.1 they have an allocator that a program may call anywhere. Up
//! to 6.0 they would call the kernel's own from within a probe: the verifier then
//! prints a warning with a stack trace, and refuses the programs on PREEMPT_RT.
//! There the maps are allocated whole when they are made, and are smaller.

use object::{
    Endianness, Object as _, ObjectSection as _, ObjectSymbol as _, read::elf::ElfFile64,
};
use observer_ebpf::{
    GcFigures, GoroutineFigures, ProcessKey, ProgramHealth, Registration, Target,
    family::{InFlight, InFlightKey, Selection, SpanFigures, SpanKey},
    names,
};

/// `BPF_F_NO_PREALLOC`.
const NO_PREALLOC: u32 = 1;
/// `BPF_MAP_TYPE_HASH` and `BPF_MAP_TYPE_PERCPU_HASH`.
const HASHES: [u32; 2] = [1, 5];
/// Where the type and the flags lie in `struct bpf_map_def`, words all.
const TYPE: usize = 0;
const FLAGS: usize = 16;

/// Processes, targets and pairs of alike targets at once, where maps are
/// allocated whole.
const PROCESSES: u32 = 16_384;
/// Processes with figures at once, there.
const FIGURES: u32 = 4_096;
/// What the figures kept for each CPU may take, there; with more CPUs there are
/// fewer processes.
const PER_CPU_BYTES: u64 = 32 << 20;

/// One hash map's measures.
#[derive(Clone, Copy, Debug)]
struct HashMap {
    name: &'static str,
    key: u64,
    value: u64,
    per_cpu: bool,
    /// Entries it has room for where it is allocated whole.
    whole: u32,
}

const fn map<K, V>(name: &'static str, per_cpu: bool, whole: u32) -> HashMap {
    HashMap {
        name,
        key: size_of::<K>() as u64,
        value: size_of::<V>() as u64,
        per_cpu,
        whole,
    }
}

const MAPS: [HashMap; 7] = [
    map::<u32, Registration>(names::PROCESSES, false, PROCESSES),
    map::<u32, Target>(names::TARGETS, false, PROCESSES),
    map::<u64, u64>(names::ALIASES, false, PROCESSES),
    map::<ProcessKey, GcFigures>(names::GC, false, FIGURES),
    map::<ProcessKey, GoroutineFigures>(names::GOROUTINES, true, FIGURES),
    map::<SpanKey, SpanFigures>(names::SPANS, true, FIGURES),
    map::<InFlightKey, InFlight>(names::IN_FLIGHT, false, PROCESSES),
];

impl HashMap {
    /// One entry, without what lies on each CPU (`struct htab_elem`).
    fn entry(&self) -> u64 {
        let here = if self.per_cpu { 8 } else { self.value };
        48 + self.key.next_multiple_of(8) + here.next_multiple_of(8)
    }

    /// What lies on all CPUs for one entry.
    fn on_cpus(&self, cpus: u64) -> u64 {
        if self.per_cpu {
            self.value.next_multiple_of(8) * cpus
        } else {
            0
        }
    }

    /// Whether anything is to be put into it.
    fn is_used(&self, selection: Selection) -> bool {
        match self.name {
            names::SPANS => selection.has_spans(),
            names::IN_FLIGHT => selection.has_durations(),
            _ => true,
        }
    }

    /// Entries it gets where it is allocated whole.
    fn entries(&self, cpus: u64, selection: Selection) -> u32 {
        if !self.is_used(selection) {
            return 1;
        }
        let room = PER_CPU_BYTES.checked_div(self.on_cpus(cpus));
        room.map_or(self.whole, |room| self.whole.min(room as u32))
    }

    /// What it takes, allocated whole.
    fn whole(&self, cpus: u64, selection: Selection) -> u64 {
        let entries = u64::from(self.entries(cpus, selection));
        let buckets = 16 * entries.next_power_of_two();
        // One more for each CPU, so that a change needs no memory.
        let spare = if self.per_cpu { 0 } else { cpus };
        buckets + (entries + spare) * self.entry() + entries * self.on_cpus(cpus)
    }
}

/// The rooms of maps that are allocated whole, by their names.
pub(super) fn entries(
    cpus: u64,
    selection: Selection,
) -> impl Iterator<Item = (&'static str, u32)> {
    let entries = move |map: &HashMap| (map.name, map.entries(cpus, selection));
    MAPS.iter().map(entries)
}

/// Maps that nothing is put into. Empty, they take memory for the room that they have.
pub(super) fn unused(selection: Selection) -> impl Iterator<Item = &'static str> {
    let unused = MAPS.iter().filter(move |map| !map.is_used(selection));
    unused.map(|map| map.name)
}

/// How many processes at once have room for all their figures, there.
pub(super) fn processes(cpus: u64, selection: Selection) -> u32 {
    let used = MAPS.iter().filter(|map| map.is_used(selection));
    let entries = used.map(|map| map.entries(cpus, selection));
    entries.min().unwrap_or(0)
}

/// What all maps take on so many CPUs before anything is in them: allocated
/// whole, this is all they ever take.
pub(super) fn whole_bytes(cpus: u64, events: u64, selection: Selection) -> u64 {
    let hashes: u64 = MAPS.iter().map(|map| map.whole(cpus, selection)).sum();
    hashes + size_of::<ProgramHealth>() as u64 * cpus + events
}

/// The object with its hash maps allocated whole.
pub(super) fn preallocated(object: &[u8]) -> Result<Vec<u8>, String> {
    let file = ElfFile64::<Endianness>::parse(object).map_err(|error| error.to_string())?;
    let section = file
        .section_by_name("maps")
        .ok_or("it has no section of maps")?;
    let (start, len) = section.file_range().ok_or("its maps are not in it")?;
    let mut copy = object.to_vec();
    let definitions = copy
        .get_mut(start as usize..(start + len) as usize)
        .ok_or("its maps end after it")?;
    let mut changed = 0;
    for symbol in file.symbols() {
        if symbol.section_index() != Some(section.index()) || symbol.size() == 0 {
            continue;
        }
        let at = symbol.address() as usize;
        let word = |at: usize| {
            let bytes = definitions.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_le_bytes(bytes))
        };
        let kind = word(at + TYPE).ok_or("a map is cut off")?;
        let flags = word(at + FLAGS).ok_or("a map is cut off")?;
        if HASHES.contains(&kind) {
            let flags = flags & !NO_PREALLOC;
            definitions[at + FLAGS..at + FLAGS + 4].copy_from_slice(&flags.to_le_bytes());
            changed += 1;
        }
    }
    if changed == MAPS.len() {
        Ok(copy)
    } else {
        Err(format!(
            "it has {changed} hash maps where {} are known",
            MAPS.len()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::load::{LoadOptions, OBJECT},
        MAPS, Selection, entries, names, preallocated, whole_bytes,
    };

    /// Memory the pod may take, of deploy/observer/daemon-set.yaml.
    const LIMIT: u64 = 256 << 20;

    #[test]
    fn whole_maps_stay_far_below_the_limit_of_the_pod() {
        let events = u64::from(LoadOptions::default().events_bytes);
        let manifest = include_str!("../../../deploy/observer/daemon-set.yaml");
        assert!(manifest.contains(&format!("memory: {}Mi", LIMIT >> 20)));
        let default = Selection::default();
        let mib = |cpus| whole_bytes(cpus, events, default) >> 20;
        // As docs and comments say.
        assert_eq!((mib(2), mib(128)), (22, 47));
        for cpus in [1, 2, 8, 64, 128, 256, 512, 1024, 4096] {
            assert!(
                whole_bytes(cpus, events, default) < LIMIT / 3,
                "{cpus}: {}",
                mib(cpus)
            );
        }
        let rooms: Vec<_> = entries(128, default).collect();
        let is_room = |(name, entries): &(&str, u32)| {
            let is_unused = [names::SPANS, names::IN_FLIGHT].contains(name);
            *entries >= 4096 || (is_unused && *entries == 1)
        };
        assert!(rooms.iter().all(is_room), "{rooms:?}");
    }

    #[test]
    fn every_hash_map_is_allocated_whole_and_nothing_else_changes() {
        let copy = preallocated(OBJECT).expect("the object");
        let differs = OBJECT.iter().zip(&copy).filter(|(old, new)| old != new);
        let flags: Vec<_> = differs.map(|(old, new)| (*old, *new)).collect();
        assert_eq!(flags, [(1, 0); MAPS.len()]);
        assert!(preallocated(&OBJECT[..200]).is_err());
    }
}
