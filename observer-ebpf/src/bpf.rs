//! The kernel as the state machines see it: helpers, maps and instructions.

use core::{arch::asm, ptr::read_volatile};

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::bpf_ktime_get_ns};
use observer_ebpf::{
    GcFigures, GoroutineFigures, ProcessKey, Registration, Target,
    family::{InFlight, InFlightKey, SpanFigures, SpanKey},
    ground::{Ground, Memory, Words},
    state_machine::{Fields, Kernel},
};

use crate::{
    atomic,
    diagnostics::{Figures, alias_hit, no_room_for_figures, no_room_for_process},
    events,
    maps::{ALIASES, GC, GOROUTINES, IN_FLIGHT, PROCESSES, SPANS, TARGETS, health},
    user_memory,
};

/// See [`Kernel::repayment`]; user space patches it in, as what follows.
#[unsafe(no_mangle)]
static REPAYMENT: u64 = 0;
/// See [`Kernel::burst_ns`].
#[unsafe(no_mangle)]
static BURST_NS: u64 = 0;

/// See [`Kernel::has_spans`].
#[unsafe(no_mangle)]
static HAS_SPANS: u64 = 0;

/// What a new entry of [`GC`] starts as. In the object's read-only data, because
/// it is far larger than the stack.
static ZERO: GcFigures = GcFigures::ZERO;
/// The same of [`SPANS`].
static NO_SPAN: SpanFigures = SpanFigures::ZERO;

/// The kernel that this runs in.
#[derive(Clone, Copy)]
pub(crate) struct Bpf;

impl Words for Bpf {
    #[inline(always)]
    unsafe fn load(self, word: *const u64) -> u64 {
        // SAFETY: as the caller promises, and so below.
        unsafe { word.read_volatile() }
    }

    #[inline(always)]
    unsafe fn store(self, word: *mut u64, value: u64) {
        // SAFETY: as above.
        unsafe { word.write_volatile(value) };
    }

    #[inline(always)]
    unsafe fn add(self, word: *mut u64, by: u64) {
        // SAFETY: as above.
        unsafe { atomic::add(word, by) };
    }

    #[inline(always)]
    unsafe fn set(self, word: *mut u64, bits: u64) {
        // SAFETY: as above.
        unsafe { atomic::set(word, bits) };
    }

    #[inline(always)]
    unsafe fn fetch_add(self, word: *mut u64, by: u64) -> u64 {
        // SAFETY: as above.
        unsafe { atomic::fetch_add(word, by) }
    }

    #[inline(always)]
    unsafe fn exchange(self, word: *mut u64, old: u64, new: u64) -> u64 {
        // SAFETY: as above.
        unsafe { atomic::exchange(word, old, new) }
    }

    // Both are an instruction each. An empty text would give the line of the code
    // to the instruction that follows, and the kernel refuses two lines for one.
    #[inline(always)]
    fn opaque(self, mut number: usize) -> usize {
        // SAFETY: changes nothing but the register, and that not at all.
        unsafe {
            asm!("{number} = {number}", number = inout(reg) number, options(pure, nomem, nostack));
        }
        number
    }

    #[inline(always)]
    fn next(self, mut number: usize) -> usize {
        // SAFETY: changes nothing but the register.
        unsafe {
            asm!("{number} += 1", number = inout(reg) number, options(pure, nomem, nostack));
        }
        number
    }
}

impl Memory for Bpf {
    #[inline(always)]
    fn word(self, address: u64) -> Option<u64> {
        user_memory::read(address)
    }

    #[inline(always)]
    fn text(self, address: u64) -> Option<[u8; 7]> {
        user_memory::read(address)
    }
}

impl Ground for Bpf {
    // Those of Go 1.17.
    const STACK_ARGUMENTS: bool = cfg!(bpf_target_arch = "aarch64");

    #[inline(always)]
    fn now(self) -> u64 {
        // SAFETY: the helper has no precondition.
        unsafe { bpf_ktime_get_ns() }
    }

    #[inline(always)]
    fn target(self, target: u32) -> Option<*mut Target> {
        TARGETS.get_ptr_mut(&target)
    }
}

impl Kernel for Bpf {
    #[inline(always)]
    fn registration(self, tgid: u32) -> Option<*mut Registration> {
        PROCESSES.get_ptr_mut(&tgid)
    }

    #[inline(always)]
    fn register(self, tgid: u32, registration: &Registration) -> bool {
        PROCESSES
            .insert(&tgid, registration, BPF_NOEXIST as u64)
            .is_ok()
    }

    #[inline(always)]
    fn unregister(self, tgid: u32) -> bool {
        PROCESSES.remove(&tgid).is_ok()
    }

    #[inline(always)]
    fn goroutines(self, process: ProcessKey) -> Option<*mut GoroutineFigures> {
        match GOROUTINES.get_ptr_mut(&process) {
            Some(figures) => Some(figures),
            None => {
                // Fails where another CPU was first, and where there is no room.
                let _ = GOROUTINES.insert(&process, &GoroutineFigures::ZERO, BPF_NOEXIST as u64);
                let figures = GOROUTINES.get_ptr_mut(&process);
                if figures.is_none() {
                    health!(refused_goroutines);
                    no_room_for_figures(Figures::Goroutines, process.tgid);
                }
                figures
            }
        }
    }

    #[inline(always)]
    fn collector(self, process: ProcessKey) -> Option<*mut GcFigures> {
        match GC.get_ptr_mut(&process) {
            Some(figures) => Some(figures),
            None => {
                // As above.
                let _ = GC.insert(&process, &ZERO, BPF_NOEXIST as u64);
                let figures = GC.get_ptr_mut(&process);
                if figures.is_none() {
                    health!(refused_gc);
                    no_room_for_figures(Figures::Gc, process.tgid);
                }
                figures
            }
        }
    }

    #[inline(always)]
    fn has_spans(self) -> bool {
        // SAFETY: a static of this type; the compiler must not take its zero.
        unsafe { read_volatile(&raw const HAS_SPANS) != 0 }
    }

    #[inline(always)]
    fn span(self, key: &SpanKey) -> Option<*mut SpanFigures> {
        match SPANS.get_ptr_mut(key) {
            Some(figures) => Some(figures),
            None => {
                // As above.
                let _ = SPANS.insert(key, &NO_SPAN, BPF_NOEXIST as u64);
                let figures = SPANS.get_ptr_mut(key);
                if figures.is_none() {
                    health!(refused_spans);
                    no_room_for_figures(Figures::Spans, key.process.tgid);
                }
                figures
            }
        }
    }

    #[inline(always)]
    fn in_flight(self, key: &InFlightKey) -> Option<*mut InFlight> {
        IN_FLIGHT.get_ptr_mut(key)
    }

    #[inline(always)]
    fn begin(self, key: &InFlightKey, new: &InFlight) {
        if IN_FLIGHT.insert(key, new, BPF_NOEXIST as u64).is_err() {
            health!(refused_spans);
        }
    }

    #[inline(always)]
    fn end(self, key: &InFlightKey) {
        // Whoever took it out already has told of it.
        let _ = IN_FLIGHT.remove(key);
    }

    #[inline(always)]
    fn repayment(self) -> u64 {
        // SAFETY: a static of this type; the compiler must not take its zero.
        unsafe { read_volatile(&raw const REPAYMENT) }
    }

    #[inline(always)]
    fn burst_ns(self) -> u64 {
        // SAFETY: as above.
        unsafe { read_volatile(&raw const BURST_NS) }
    }

    #[inline(always)]
    fn send(self, fields: &Fields) {
        events::send(fields);
    }

    #[inline(always)]
    fn process_event(self) {
        health!(process_events);
    }

    #[inline(always)]
    fn no_room_for(self, tgid: u32) {
        health!(refused_processes);
        no_room_for_process(tgid);
    }

    #[inline(always)]
    fn alias(self, loser: u32, owner: u32) {
        health!(alias_hits);
        alias_hit(loser, owner);
        let pair = (loser as u64) << 32 | owner as u64;
        if ALIASES.get_ptr(&pair).is_none() {
            // Where there is no room the next hit tries again; nothing is counted wrong.
            let _ = ALIASES.insert(&pair, &self.now(), BPF_NOEXIST as u64);
        }
    }
}
