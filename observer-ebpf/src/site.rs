//! The program behind every site: it reads the cookie, the process id and the
//! registers, and hands them over.

use aya_ebpf::{
    EbpfContext as _, helpers::bpf_get_attach_cookie, macros::uprobe, maps::ProgramArray,
    programs::ProbeContext,
};
use observer_ebpf::{Cookie, SiteKind, ground::Registers, state_machine};

use crate::{
    bpf::Bpf,
    diagnostics::unknown_kind,
    pids,
    private_stack::{NEVER_MULTI, NEVER_SINGLE, never},
};

/// For `uprobe_multi` links (kernel 6.6 and newer).
#[uprobe(multi)]
fn site_multi(ctx: ProbeContext) -> u32 {
    site(&ctx, &NEVER_MULTI);
    0
}

/// For perf-event links.
#[uprobe]
fn site_single(ctx: ProbeContext) -> u32 {
    site(&ctx, &NEVER_SINGLE);
    0
}

#[inline(always)]
fn site(ctx: &ProbeContext, empty: &ProgramArray) {
    // SAFETY: the context is this program's own.
    let cookie = Cookie(unsafe { bpf_get_attach_cookie(ctx.as_ptr()) });
    let Some(kind) = SiteKind::from_u8(cookie.kind()) else {
        // No probe has such a cookie.
        unknown_kind(cookie.0);
        never(empty, ctx);
        return;
    };
    let Some(tgid) = pids::current() else {
        return;
    };
    state_machine::hit(Bpf, tgid, kind, cookie, || registers(ctx));
}

/// Reads a register where it is asked for. The compiler would otherwise read one of several
/// from an address that it chooses first, and the verifier takes no such address in a
/// program's context.
macro_rules! read {
    ($regs:ident . $($register:tt)+) => {
        // SAFETY: it is within the registers that the caller has, which are aligned.
        unsafe { (&raw const (*$regs).$($register)+).read_volatile() }
    };
}

#[cfg(bpf_target_arch = "x86_64")]
#[inline(always)]
fn registers(ctx: &ProbeContext) -> Registers {
    // The context of a uprobe is the task's registers, whole.
    let regs = ctx.regs;
    Registers {
        rax: read!(regs.rax),
        rbx: read!(regs.rbx),
        rcx: read!(regs.rcx),
        rdi: read!(regs.rdi),
        r14: read!(regs.r14),
        rip: read!(regs.rip),
        sp: 0,
    }
}

#[cfg(not(any(bpf_target_arch = "x86_64", bpf_target_arch = "aarch64")))]
compile_error!("the registers of this architecture are not read: expected x86_64 or aarch64");

/// The registers of the same use in Go's calling convention: the first four
/// words of arguments and results, `g`, the program counter.
#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
fn registers(ctx: &ProbeContext) -> Registers {
    // The context of a uprobe is the task's registers, whole.
    let regs = ctx.regs;
    Registers {
        rax: read!(regs.regs[0]),
        rbx: read!(regs.regs[1]),
        rcx: read!(regs.regs[2]),
        rdi: read!(regs.regs[3]),
        r14: read!(regs.regs[28]),
        rip: read!(regs.pc),
        sp: read!(regs.sp),
    }
}
