//! Where the fields lie that are read, for one Go release.

use std::sync::{Arc, OnceLock};

use super::{
    Arch, GoVersion,
    error::LayoutError,
    field::Field,
    layout_table::LayoutTable,
    rules::{ReleaseRules, rules},
    sizes::{Parts, Sizes},
    types::{Controller, CpuStats, G, HeapStats, Histogram, Look, M, Memstats, P, Sched},
};

/// The layout of one release for one instruction set. A field that this
/// release does not have, or whose place is not proven, is `None`.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Of which release.
    pub version: GoVersion,
    /// For which instruction set.
    pub(crate) arch: Arch,
    /// Its row; of a release that only the binary itself describes, that of the newest.
    pub(crate) rules: &'static ReleaseRules,
    pub(crate) sched: Sched,
    pub(crate) p: P,
    pub(crate) g: G,
    pub(crate) m: M,
    pub(crate) controller: Controller,
    pub(crate) memstats: Memstats,
    pub(crate) heap_stats: Option<HeapStats>,
    pub(crate) cpu_stats: Option<CpuStats>,
    pub(crate) histogram: Histogram,
    /// Bytes of an object of each size class.
    pub(crate) size_classes: Vec<u64>,
    /// What a waiting goroutine waits for, by its number.
    pub(crate) wait_reasons: Vec<&'static str>,
    sizes: OnceLock<Arc<Sizes>>,
}

impl Layout {
    /// The layout of a release. Releases newer than the table have none here:
    /// a figure from a place that was not proven would be a guess.
    pub fn of(version: GoVersion, arch: Arch) -> Result<Self, LayoutError> {
        let table = LayoutTable::get();
        let unknown = LayoutError::UnknownVersion(version);
        let sizes = table
            .text("sizeclasses", version)
            .ok_or_else(|| unknown.clone())?;
        let reasons = table
            .text("waitreasons", version)
            .ok_or_else(|| unknown.clone())?;
        let rules = rules(version.minor).ok_or(unknown)?;
        let sizes = sizes.split(',').filter_map(|size| size.parse().ok());
        let place = |name: &str| Self::field(version, arch, name);
        Self::by(
            (version, arch),
            rules,
            &place,
            sizes.collect(),
            reasons.split('|').collect(),
        )
    }

    /// A layout by where each field lies.
    pub(super) fn by(
        (version, arch): (GoVersion, Arch),
        rules: &'static ReleaseRules,
        place: &dyn Fn(&str) -> Option<Field>,
        size_classes: Vec<u64>,
        wait_reasons: Vec<&'static str>,
    ) -> Result<Self, LayoutError> {
        let look = Look { version, place };
        Ok(Self {
            version,
            arch,
            rules,
            sched: Sched::find(&look)?,
            p: P::find(&look)?,
            g: G::find(&look)?,
            m: M::find(&look)?,
            controller: Controller::find(&look)?,
            memstats: Memstats::find(&look)?,
            heap_stats: HeapStats::find(&look).ok(),
            cpu_stats: CpuStats::find(&look).ok(),
            histogram: Histogram::find(&look)?,
            size_classes,
            wait_reasons,
            sizes: OnceLock::new(),
        })
    }

    /// Whether the list of Ms can be followed.
    pub(crate) const fn tells_threads(&self) -> bool {
        self.m.next.is_some() && self.m.locked_goroutine.is_some()
    }

    /// How much is read of each type.
    pub(crate) fn sizes(&self) -> Arc<Sizes> {
        Arc::clone(self.sizes.get_or_init(|| Arc::new(Sizes::of(self.parts()))))
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            sched: &self.sched,
            p: &self.p,
            controller: &self.controller,
            memstats: &self.memstats,
            heap_stats: self.heap_stats.as_ref(),
            cpu_stats: self.cpu_stats.as_ref(),
        }
    }

    /// A field by its name in Go (`schedt.maxmcount`), for those who look for
    /// the globals.
    pub fn field(version: GoVersion, arch: Arch, name: &str) -> Option<Field> {
        let (offset, size) = LayoutTable::get().field(name, version, arch)?;
        Some(Field {
            offset: usize::try_from(offset).ok()?,
            size,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::{Field, Layout, LayoutError, LayoutTable};
    use crate::release::{Arch, GoVersion};

    #[test]
    fn every_known_release_has_a_layout() {
        for minor in GoVersion::OLDEST_MINOR..=GoVersion::NEWEST_MINOR {
            let patches = [0, 99].into_iter();
            for (patch, arch) in patches.flat_map(|patch| Arch::ALL.map(|arch| (patch, arch))) {
                let layout = Layout::of(GoVersion { minor, patch }, arch).unwrap();
                assert_eq!(layout.arch, arch);
                assert_eq!(layout.size_classes.len(), 68);
                assert!(layout.wait_reasons.len() > 25);
                assert!(layout.heap_stats.is_some() || patch == 99 && minor < 25);
                assert_eq!(layout.cpu_stats.is_some(), minor >= 20);
            }
        }
        let newer = GoVersion {
            minor: 28,
            patch: 0,
        };
        assert_eq!(
            Layout::of(newer, Arch::Amd64).unwrap_err(),
            LayoutError::UnknownVersion(newer)
        );
    }

    /// Where a field of this release lies on x86-64 and on arm64.
    fn places(version: GoVersion, name: &str) -> [Option<(usize, usize)>; 2] {
        let place = |arch| Layout::field(version, arch, name);
        Arch::ALL.map(|arch| place(arch).map(|field| (field.offset, field.size)))
    }

    /// What is behind cache lines of padding, which are twice as long on arm64 from 1.20 on;
    /// and what a P keeps of vector registers from 1.26 on.
    #[test]
    fn little_lies_elsewhere_on_arm64_and_a_reader_meets_none_of_it() {
        for version in LayoutTable::get().releases() {
            let differ = |name: &&str| {
                let [amd64, arm64] = places(version, name);
                amd64 != arm64
            };
            let names = LayoutTable::get().names();
            let found: Vec<_> = names.filter(differ).collect();
            let expected: &[&str] = match version.minor {
                ..20 => &[],
                20..26 => &[
                    "gcControllerState",
                    "workType",
                    "workType.cpuStats",
                    "workType.cycles",
                ],
                _ => &[
                    "gcControllerState",
                    "p",
                    "workType",
                    "workType.cpuStats",
                    "workType.cycles",
                ],
            };
            assert_eq!(found, expected, "go{version}");
            // Sizes of whole types, of which no reader reads the end.
            for name in ["gcControllerState", "p"] {
                let [amd64, arm64] = places(version, name).map(|place| place.unwrap().0);
                assert_eq!((amd64, arm64), (0, 0), "go{version}");
            }
            // It has moved by whole cache lines, 64 bytes more each.
            if let [Some((amd64, _)), Some((arm64, _))] = places(version, "workType.cpuStats") {
                let moved = arm64 - amd64;
                assert!(
                    moved > 0 && moved.is_multiple_of(64),
                    "go{version}: {moved}"
                );
            }
        }
    }

    /// Types that a global is, and the last of what is read of each.
    #[test]
    fn what_is_read_is_within_its_type() {
        for version in LayoutTable::get().releases() {
            for arch in Arch::ALL {
                let layout = Layout::of(version, arch).unwrap();
                let size = |name| Layout::field(version, arch, name).unwrap().size;
                let sizes = layout.sizes();
                let created = sizes.p_created.map_or(0, Field::end);
                for (name, end) in [
                    ("schedt", sizes.sched),
                    ("p", sizes.p.max(created)),
                    ("g", layout.g.end()),
                    ("m", layout.m.end()),
                    ("gcControllerState", sizes.controller),
                    ("mstats", sizes.memstats),
                    ("mcache", sizes.cache.map_or(0, |(_, end)| end)),
                ] {
                    let size = size(name);
                    assert!(end <= size, "go{version} {arch:?}: {name} {end} of {size}");
                }
            }
        }
    }
}
