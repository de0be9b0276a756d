//! Sites, and the plan of all that were chosen for a binary.

use observer_ebpf::{ProbeGroup, SiteKind, family::Family};
use serde::Serialize;

use super::coverage::{FigureGroup, Gap};

/// An instruction that a probe may stand on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Site {
    /// What a hit means.
    #[serde(serialize_with = "serialize_debug")]
    pub kind: SiteKind,
    /// The function it is in, for example `runtime.newproc1`.
    pub function: String,
    /// Virtual address in the file.
    pub address: u64,
    /// Offset in the file, which is what the kernel asks for.
    pub offset: u64,
    /// The instruction, for people.
    pub instruction: String,
    /// Whether the kernel emulates it (one trap) or single-steps it (two).
    pub emulated: bool,
    /// What one hit counts for: 16 at the goid-refill site, else 1.
    pub weight: u32,
    /// The cookie's third part: a distance, an [`Abi`](observer_ebpf::Abi) or what a span's site says, by kind.
    pub aux: i32,
    /// What the file has there, by which a probe's place is known again.
    #[serde(skip)]
    pub text: Text,
}

impl Site {
    /// Which probes its own comes and goes with.
    pub const fn group(&self) -> ProbeGroup {
        ProbeGroup::of(self.kind, self.aux)
    }
}

/// Some bytes of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// Where they begin in the file.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The sites chosen for a binary.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SitePlan {
    /// Everything a probe is set on.
    pub sites: Vec<Site>,
    /// Distance from `work.pauseStart` to `memstats.last_gc_nanotime` (up to 1.21).
    pub last_gc_from_pause_start: Option<i64>,
    /// Figures this binary cannot give, and why.
    pub gaps: Vec<Gap>,
}

impl SitePlan {
    /// The numbers of the declared families that were asked for, each once at least.
    pub fn declared(&self) -> impl Iterator<Item = u8> {
        let probed = self.sites.iter().map(|site| site.group().family());
        let declared = |number: &u8| Family::of(*number).is_some_and(|it| it.span().is_some());
        let lacking = self.gaps.iter().filter_map(|gap| match gap.figure {
            FigureGroup::Declared(number) => Some(number),
            _ => None,
        });
        probed.filter(declared).chain(lacking)
    }
}

fn serialize_debug<T: std::fmt::Debug, S: serde::Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{value:?}"))
}
