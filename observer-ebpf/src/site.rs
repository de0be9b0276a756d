//! The program behind every site: it reads the cookie and the registers, and
//! hands over to the concern.

use aya_ebpf::{
    EbpfContext as _, helpers::bpf_get_attach_cookie, macros::uprobe, maps::ProgramArray,
    programs::ProbeContext,
};
use observer_ebpf::{Cookie, SiteKind};

use crate::{
    diagnostics::unknown_kind,
    gc, goroutines, pids,
    private_stack::{NEVER_MULTI, NEVER_SINGLE, never},
    registers::registers,
    registration::key_for_hit,
    stops,
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
    let Some(process) = key_for_hit(tgid, cookie.target()) else {
        return;
    };
    match kind {
        SiteKind::GoroutineCreated
        | SiteKind::GoroutineExited
        | SiteKind::SystemGoroutineCreated
        | SiteKind::SystemGoroutineExited
        | SiteKind::GoidRefill => goroutines::hit(process, kind, cookie),
        SiteKind::GcStart | SiteKind::GcCycle => gc::hit(process, kind, cookie, registers(ctx)),
        _ => stops::hit(process, kind, cookie, registers(ctx)),
    }
}
