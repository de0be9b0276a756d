//! The 64 bits that the kernel hands to the program at each hit: what the
//! probed instruction stands for, whose it is, and one figure the site needs.

/// What a hit at a site means.
///
/// Registers are those of x86-64 ([`Registers`](crate::ground::Registers)). Go 1.17 on
/// arm64 passes arguments on the stack: at [`Self::GcStart`], [`Self::StopReason`] and
/// [`Self::StartTheWorldReturn`] [`Cookie::aux`] then is how far above the stack pointer
/// the first lies, and else 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SiteKind {
    /// `newproc1` was entered: one goroutine is created.
    GoroutineCreated = 1,
    /// `gdestroy` (1.22+) or `goexit0`: one goroutine has ended.
    GoroutineExited = 2,
    /// `newproc1` adds one to `sched.ngsys`: the goroutine is the runtime's own.
    SystemGoroutineCreated = 3,
    /// `gdestroy`/`goexit0` takes one from `sched.ngsys`.
    SystemGoroutineExited = 4,
    /// `newproc1` takes a batch of 16 goroutine ids from `sched.goidgen`.
    GoidRefill = 5,
    /// `gcStart`, behind its stack check: RAX the trigger's kind, R14 the goroutine.
    GcStart = 6,
    /// `gcBgMarkStartWorkers`, behind its stack check: the cycle asked for by
    /// the goroutine in R14 really begins.
    GcCycle = 7,
    /// `stopTheWorldWithSema`: a stop begins. RAX the reason where [`Abi`] says so.
    StopTheWorld = 8,
    /// `stopTheWorld` (1.17–1.20), behind its stack check: RAX, RBX the reason's string.
    StopReason = 9,
    /// 1.22: the call that records the stopping time inside
    /// `stopTheWorldWithSema`; RBX nanoseconds.
    Stopped = 10,
    /// `startTheWorldWithSema` (1.22+): RAX now or 0, BL reason, RCX when
    /// stopping started, RDI when it finished (1.23+).
    StartTheWorld = 11,
    /// The RET of `startTheWorldWithSema`: RAX when the world ran again.
    StartTheWorldReturn = 12,
    /// Up to 1.21: the call of `startTheWorldWithSema` in `gcStart`;
    /// [`Cookie::aux`] is the distance from the call to `work.pauseStart`.
    StartAfterSweepTermination = 13,
    /// Up to 1.21: the call in `gcMarkTermination`; `aux` as above.
    StartAfterMarkTermination = 14,
    /// Up to 1.21: the call in `gcMarkDone`, when mark termination must be
    /// done again; `aux` as above.
    StartBeforeMarkRestart = 15,
    /// Up to 1.21: any other call: the stop was not the collector's.
    StartAfterOther = 16,
    /// A span is counted that has no end. The cookie says which.
    SpanCounted = 17,
    /// A span begins. R14 the goroutine.
    SpanBegins = 18,
    /// A span ends. R14 the goroutine.
    SpanEnds = 19,
    /// A register tells what a span is told apart by. R14 the goroutine.
    SpanLabelled = 20,
}

impl SiteKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 20] = [
        Self::GoroutineCreated,
        Self::GoroutineExited,
        Self::SystemGoroutineCreated,
        Self::SystemGoroutineExited,
        Self::GoidRefill,
        Self::GcStart,
        Self::GcCycle,
        Self::StopTheWorld,
        Self::StopReason,
        Self::Stopped,
        Self::StartTheWorld,
        Self::StartTheWorldReturn,
        Self::StartAfterSweepTermination,
        Self::StartAfterMarkTermination,
        Self::StartBeforeMarkRestart,
        Self::StartAfterOther,
        Self::SpanCounted,
        Self::SpanBegins,
        Self::SpanEnds,
        Self::SpanLabelled,
    ];

    /// Whether the program reads the process's memory at it.
    pub const fn reads_memory(self, aux: i32) -> bool {
        match self {
            Self::StopReason
            | Self::StartAfterSweepTermination
            | Self::StartAfterMarkTermination
            | Self::StartBeforeMarkRestart => true,
            Self::GcStart | Self::StartTheWorldReturn => aux != 0,
            _ => false,
        }
    }

    /// The kind with this number. Spelled out, because a look-up in [`Self::ALL`]
    /// would be a load and a bounds check at every hit.
    #[inline(always)]
    pub const fn from_u8(kind: u8) -> Option<Self> {
        Some(match kind {
            1 => Self::GoroutineCreated,
            2 => Self::GoroutineExited,
            3 => Self::SystemGoroutineCreated,
            4 => Self::SystemGoroutineExited,
            5 => Self::GoidRefill,
            6 => Self::GcStart,
            7 => Self::GcCycle,
            8 => Self::StopTheWorld,
            9 => Self::StopReason,
            10 => Self::Stopped,
            11 => Self::StartTheWorld,
            12 => Self::StartTheWorldReturn,
            13 => Self::StartAfterSweepTermination,
            14 => Self::StartAfterMarkTermination,
            15 => Self::StartBeforeMarkRestart,
            16 => Self::StartAfterOther,
            17 => Self::SpanCounted,
            18 => Self::SpanBegins,
            19 => Self::SpanEnds,
            20 => Self::SpanLabelled,
            _ => return None,
        })
    }
}

/// How the registers are to be read at [`SiteKind::StopTheWorld`] and
/// [`SiteKind::StartTheWorld`]; carried in [`Cookie::aux`] there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Abi {
    /// Up to 1.20: `stopTheWorldWithSema` has no argument.
    NoReason = 0,
    /// 1.21: the reason is in AL; `startTheWorldWithSema` has no argument.
    Reason = 1,
    /// 1.22: `worldStop` is {reason, start}.
    WorldStopStart = 2,
    /// 1.23 and newer: `worldStop` is {reason, startedStopping,
    /// finishedStopping, stoppingCPUTime}.
    WorldStopFinished = 3,
}

/// What a site of a span says besides its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanSite {
    /// The number of the span, which is that of its family.
    pub span: u8,
    /// The number of the [`Register`](crate::family::Register) that is read there.
    pub register: u8,
}

impl SpanSite {
    /// As a site carries it.
    pub const fn aux(self) -> i32 {
        self.span as i32 | (self.register as i32) << 8
    }

    /// What a site carries.
    #[inline(always)]
    pub const fn of(aux: i32) -> Self {
        Self {
            span: aux as u8,
            register: (aux >> 8) as u8 & 7,
        }
    }
}

/// A probe's cookie: kind in bits 0–7, target in 8–31, aux in 32–63.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie(pub u64);

impl Cookie {
    /// Targets are numbered from 1 to this; 0 means none.
    pub const MAX_TARGET: u32 = (1 << 24) - 1;

    /// Packs the three parts; `target` must not be above [`Self::MAX_TARGET`].
    pub const fn new(kind: SiteKind, target: u32, aux: i32) -> Self {
        assert!(target <= Self::MAX_TARGET);
        Self(kind as u64 | (target as u64) << 8 | (aux as u32 as u64) << 32)
    }

    /// Packs what a site of a span says, and the price of its hit.
    pub const fn of_span(kind: SiteKind, target: u32, site: SpanSite, price_ns: u32) -> Self {
        let price = if price_ns < SPAN_PRICE_MASK {
            price_ns
        } else {
            SPAN_PRICE_MASK
        };
        let aux = price | (site.span as u32) << 20 | (site.register as u32) << 28;
        Self::new(kind, target, aux as i32)
    }

    /// The number of the [`SiteKind`].
    #[inline(always)]
    pub const fn kind(self) -> u8 {
        self.0 as u8
    }

    /// The probe target that the site belongs to.
    #[inline(always)]
    pub const fn target(self) -> u32 {
        (self.0 as u32) >> 8
    }

    /// A distance, an [`Abi`] or a price, by kind.
    #[inline(always)]
    pub const fn aux(self) -> i32 {
        (self.0 >> 32) as u32 as i32
    }

    /// What a hit takes from the process, at sites that are hit by goroutines, in
    /// nanoseconds.
    #[inline(always)]
    pub const fn price_ns(self) -> u64 {
        self.0 >> 32
    }

    /// The number of the span, at the sites of spans.
    #[inline(always)]
    pub const fn span(self) -> u8 {
        (self.0 >> 52) as u8
    }

    /// The number of the register that is read, at the sites of spans.
    #[inline(always)]
    pub const fn register(self) -> u8 {
        (self.0 >> 60) as u8 & 7
    }

    /// What a hit takes from the process, at the sites of spans, in nanoseconds.
    #[inline(always)]
    pub const fn span_price_ns(self) -> u64 {
        self.0 >> 32 & SPAN_PRICE_MASK as u64
    }
}

/// The bits of a price, where a span and a register are beside it.
const SPAN_PRICE_MASK: u32 = (1 << 20) - 1;

#[cfg(test)]
mod tests {
    use super::{Cookie, SiteKind, SpanSite};

    #[test]
    fn a_span_and_its_price_are_told_apart() {
        let site = SpanSite {
            span: 255,
            register: 4,
        };
        assert_eq!(SpanSite::of(site.aux()), site);
        for (price, expected) in [(0, 0), (600, 600), (u32::MAX, (1 << 20) - 1)] {
            let cookie = Cookie::of_span(SiteKind::SpanEnds, Cookie::MAX_TARGET, site, price);
            assert_eq!(cookie.kind(), SiteKind::SpanEnds as u8);
            assert_eq!(cookie.target(), Cookie::MAX_TARGET);
            assert_eq!((cookie.span(), cookie.register()), (255, 4));
            assert_eq!(cookie.span_price_ns(), expected);
        }
    }
}
