//! The registers at a site, by their use in Go's calling convention.

use aya_ebpf::programs::ProbeContext;

/// The registers that sites are read by.
#[derive(Clone, Copy)]
pub(crate) struct Registers {
    pub(crate) rax: u64,
    pub(crate) rbx: u64,
    pub(crate) rcx: u64,
    pub(crate) rdi: u64,
    /// Go's current `g`.
    pub(crate) r14: u64,
    pub(crate) rip: u64,
}

#[cfg(bpf_target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn registers(ctx: &ProbeContext) -> Registers {
    // SAFETY: the context of a uprobe is the task's registers, whole.
    let regs = unsafe { &*ctx.regs };
    Registers {
        rax: regs.rax,
        rbx: regs.rbx,
        rcx: regs.rcx,
        rdi: regs.rdi,
        r14: regs.r14,
        rip: regs.rip,
    }
}

/// The registers of the same use in Go's calling convention: the first four
/// words of arguments and results, `g`, the program counter.
#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
pub(crate) fn registers(ctx: &ProbeContext) -> Registers {
    // SAFETY: the context of a uprobe is the task's registers, whole.
    let regs = unsafe { &*ctx.regs };
    Registers {
        rax: regs.regs[0],
        rbx: regs.regs[1],
        rcx: regs.regs[2],
        rdi: regs.regs[3],
        r14: regs.regs[28],
        rip: regs.pc,
    }
}
