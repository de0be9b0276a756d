//! What keeps the verifier from giving the site programs private stacks.
//!
//! From Linux 6.13 on it gives a program of the uprobes' type one stack for each
//! CPU, wherever a function of it needs 64 bytes or more, in the belief that no
//! thread on that CPU interrupts it. Programs of uprobes are preempted, however:
//! the next thread's hit then writes over the first one's variables, and the
//! kernel jumps to wherever they point. A program with a tail call in it gets no
//! such stack, so each has one that nothing ever takes.

use aya_ebpf::{EbpfContext, macros::map, maps::ProgramArray};

/// Whether the kernel has private stacks: user space patches it in. Elsewhere
/// the verifier drops the call, since it would refuse it where programs are
/// interpreted.
#[unsafe(no_mangle)]
static PRIVATE_STACKS: u64 = 0;

/// Both stay empty. A program array belongs to the first program that is loaded
/// with it, and only its likes may use it, so each program has its own.
#[map]
pub(crate) static NEVER_MULTI: ProgramArray = ProgramArray::with_max_entries(1, 0);
#[map]
pub(crate) static NEVER_SINGLE: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// To be called where no hit ever comes and the verifier does not know it.
#[inline(always)]
pub(crate) fn never(array: &ProgramArray, ctx: &impl EbpfContext) {
    // SAFETY: a static of this type; the compiler must not take the 0.
    if unsafe { core::ptr::read_volatile(&raw const PRIVATE_STACKS) } != 0 {
        // SAFETY: there is no program in the array, so that even a stray hit goes
        // on behind the call.
        unsafe { array.tail_call(ctx, 0) };
    }
}
