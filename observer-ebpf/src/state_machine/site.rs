//! What a hit at any site means: which process it counts for, and which concern
//! takes it.

use super::{Kernel, account, lives, span};
use crate::{
    Cookie, SiteKind,
    family::{
        collector::{Collector, NOT_SEEN},
        goroutines,
    },
    ground::Registers,
};

/// Takes a hit of the current process. `registers` is asked only where the kind
/// of site needs them.
#[inline(always)]
pub fn hit<K: Kernel>(
    kernel: K,
    tgid: u32,
    kind: SiteKind,
    cookie: Cookie,
    registers: impl Fn() -> Registers,
) {
    let target = cookie.target();
    let Some(process) = lives::key_for_hit(kernel, tgid, target) else {
        return;
    };
    match kind {
        SiteKind::GoroutineCreated
        | SiteKind::GoroutineExited
        | SiteKind::SystemGoroutineCreated
        | SiteKind::SystemGoroutineExited
        | SiteKind::GoidRefill => {
            let Some(figures) = kernel.goroutines(process) else {
                return;
            };
            // SAFETY: a live map value.
            unsafe {
                goroutines::count(kernel, figures, kind);
                account::charge(kernel, figures, process, cookie);
            }
        }
        SiteKind::SpanCounted
        | SiteKind::SpanBegins
        | SiteKind::SpanEnds
        | SiteKind::SpanLabelled => {
            // Known when the programs are loaded: elsewhere the verifier leaves this out.
            if kernel.has_spans() {
                let registers = registers();
                let word = span::word(cookie, &registers);
                span::hit(kernel, process, cookie, registers.r14, word);
            }
        }
        _ => {
            let Some(gc) = kernel.collector(process) else {
                return;
            };
            // SAFETY: a live map value, until the hit ends.
            let collector = unsafe {
                account::charge_stop(kernel, gc, process, target);
                Collector::new(kernel, gc)
            };
            let registers = registers();
            match kind {
                SiteKind::GcStart => {
                    let trigger = registers.passed(kernel, 0, cookie.aux());
                    collector.remember(registers.r14, trigger.unwrap_or(NOT_SEEN as u64));
                }
                SiteKind::GcCycle => collector.begin(collector.recall(registers.r14)),
                _ => collector.hit(kind, cookie, registers),
            }
        }
    }
}
