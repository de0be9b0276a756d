//! The table of layouts: which release has which field where, for which instruction set.
//!
//! Of most fields the place is the same everywhere, and a row for `both` says so. What the
//! runtime keeps apart by cache lines (`cpu.CacheLinePad`, of 64 bytes on x86-64 and 128 on
//! arm64) or keeps of a processor's own registers moves what lies behind it: such a field
//! has a row for each instruction set. One row never stands in for another: a field that
//! only one of them has would else be believed to be in the other one too.

use std::{
    collections::{BTreeSet, HashMap},
    sync::OnceLock,
};

use super::{Arch, GoVersion};

/// Written by `cargo xtask layouts`.
const TEXT: &str = include_str!("layouts.tsv");

/// The rows that hold for every instruction set.
const BOTH: &str = "both";

/// How many minor versions ago a field must have moved within one to be
/// trusted in a patch that the table does not know.
const RESTLESS_MINORS: u16 = 6;

/// A value and the releases it was read in, from the first to the last.
struct Segment {
    first: GoVersion,
    last: GoVersion,
    value: &'static str,
}

/// The parsed table.
pub(super) struct LayoutTable {
    releases: Vec<GoVersion>,
    rows: HashMap<&'static str, Vec<Segment>>,
    /// Fields that moved between two patches of a minor version, and of which.
    moved: HashMap<&'static str, u16>,
}

impl LayoutTable {
    /// The table this program carries.
    pub(super) fn get() -> &'static Self {
        static TABLE: OnceLock<LayoutTable> = OnceLock::new();
        TABLE.get_or_init(|| Self::parse(TEXT))
    }

    fn parse(text: &'static str) -> Self {
        let mut table = Self {
            releases: Vec::new(),
            rows: HashMap::new(),
            moved: HashMap::new(),
        };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some(list) = line.strip_prefix("releases\t") {
                table.releases = list.split('\t').filter_map(release).collect();
                continue;
            }
            // `field ARCH NAME` has three columns before the values, the rest one.
            let values = match line.strip_prefix("field\t") {
                Some(rest) => rest.match_indices('\t').nth(1).map(|(at, _)| at + 6),
                None => line.find('\t'),
            };
            let Some(values) = values else { continue };
            let row = line[..values].trim_start_matches("field\t");
            let segments: Vec<Segment> = line[values + 1..]
                .split('\t')
                .filter_map(|segment| {
                    let (range, value) = segment.split_once('=')?;
                    let (first, last) = range.split_once("..")?;
                    Some(Segment {
                        first: release(first)?,
                        last: release(last)?,
                        value,
                    })
                })
                .collect();
            let same_minor = |two: &&[Segment]| two[0].last.minor == two[1].first.minor;
            if let Some(two) = segments.windows(2).rfind(same_minor) {
                table.moved.insert(row, two[1].first.minor);
            }
            table.rows.insert(row, segments);
        }
        table
    }

    /// Every release that was looked at.
    #[cfg(test)]
    pub(super) fn releases(&self) -> impl Iterator<Item = GoVersion> {
        self.releases.iter().copied()
    }

    /// The newest release that was looked at.
    pub(super) fn newest(&self) -> Option<GoVersion> {
        self.releases.iter().max().copied()
    }

    /// Every field and type that the table knows of any release, each once.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let names = self.rows.keys().filter_map(|row| row.split_once('\t'));
        let names: BTreeSet<_> = names.map(|(_, name)| name).collect();
        names.into_iter()
    }

    /// The first release that was found to have a field.
    pub(super) fn since(&self, name: &str, arch: Arch) -> Option<GoVersion> {
        let (_, segments) = self.row(name, arch)?;
        segments.first().map(|segment| segment.first)
    }

    /// The row of a field, which is the one for both instruction sets or the one for this.
    fn row(&self, name: &str, arch: Arch) -> Option<(&'static str, &[Segment])> {
        let of = |arch: &str| self.rows.get_key_value(format!("{arch}\t{name}").as_str());
        let (row, segments) = of(BOTH).or_else(|| of(arch.name()))?;
        Some((*row, segments.as_slice()))
    }

    /// The newest release of this minor version that was looked at.
    fn newest_patch(&self, minor: u16) -> Option<GoVersion> {
        let of_minor = self.releases.iter().filter(|r| r.minor == minor);
        of_minor.max().copied()
    }

    /// A row that is not about a field.
    pub(super) fn text(&self, row: &str, version: GoVersion) -> Option<&'static str> {
        value(self.rows.get(row)?, self.known(version)?)
    }

    /// A field (`schedt.goidgen`) or a whole type (`schedt`), as `OFFSET:SIZE`.
    pub(super) fn field(&self, name: &str, version: GoVersion, arch: Arch) -> Option<(u64, usize)> {
        let known = self.known(version)?;
        let (row, segments) = self.row(name, arch)?;
        if known != version
            && let Some(moved) = self.moved.get(row)
            && version.minor <= moved + RESTLESS_MINORS
        {
            // A patch newer than the table: what moved within a minor version
            // not long ago may have moved again.
            return None;
        }
        let (offset, size) = value(segments, known)?.split_once(':')?;
        Some((offset.parse().ok()?, size.parse().ok()?))
    }

    /// The release whose rows stand for `version`.
    fn known(&self, version: GoVersion) -> Option<GoVersion> {
        Some(version.min(self.newest_patch(version.minor)?))
    }
}

/// What was read in this release.
fn value(segments: &[Segment], version: GoVersion) -> Option<&'static str> {
    let holds = |segment: &&Segment| segment.first <= version && version <= segment.last;
    Some(segments.iter().find(holds)?.value)
}

fn release(text: &str) -> Option<GoVersion> {
    GoVersion::parse(&format!("go{text}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::{BOTH, LayoutTable, release};
    use crate::release::{Arch, GoVersion};

    const SMALL: &str = "# comment\n\
        releases\t1.17.0\t1.17.13\t1.23.0\t1.23.12\n\
        field\tamd64\tg.goid\t1.17.0..1.17.13=152:8\t1.23.0..1.23.12=160:8\n\
        field\tamd64\tp.registers\t1.23.0..1.23.12=96:8\n\
        field\tarm64\tg.goid\t1.17.0..1.17.13=153:8\n\
        field\tarm64\tp.vector\t1.17.0..1.23.12=96:16\n\
        field\tboth\tm.alllink\t1.17.0..1.17.13=344:8\t1.23.0..1.23.0=328:8\t1.23.12..1.23.12=352:8\n\
        waitreasons\t1.17.0..1.23.12=|IO wait\n";

    #[test]
    fn a_field_has_a_place_only_where_it_was_read() {
        let table = LayoutTable::parse(SMALL);
        let v = |minor, patch| GoVersion { minor, patch };
        let at = |name, version| table.field(name, version, Arch::Amd64).map(|f| f.0);
        assert_eq!(at("g.goid", v(17, 5)), Some(152));
        assert_eq!(at("g.goid", v(23, 5)), Some(160));
        assert_eq!(at("g.goid", v(23, 40)), Some(160));
        assert_eq!(at("m.alllink", v(23, 12)), Some(352));
        // Somewhere between these two it moved.
        assert_eq!(at("m.alllink", v(23, 5)), None);
        assert_eq!(at("m.alllink", v(23, 40)), None);
        assert_eq!(at("g.goid", v(28, 0)), None);
        assert_eq!(table.text("waitreasons", v(23, 1)), Some("|IO wait"));
    }

    #[test]
    fn one_instruction_set_says_nothing_of_the_other() {
        let table = LayoutTable::parse(SMALL);
        let v = |minor, patch| GoVersion { minor, patch };
        let at = |name, version, arch| table.field(name, version, arch).map(|f| f.0);
        assert_eq!(at("g.goid", v(17, 1), Arch::Arm64), Some(153));
        // It has a row of its own, and that ends before.
        assert_eq!(at("g.goid", v(23, 5), Arch::Amd64), Some(160));
        assert_eq!(at("g.goid", v(23, 5), Arch::Arm64), None);
        // Only the other one has such a field.
        assert_eq!(at("p.registers", v(23, 5), Arch::Amd64), Some(96));
        assert_eq!(at("p.registers", v(23, 5), Arch::Arm64), None);
        assert_eq!(table.since("p.registers", Arch::Arm64), None);
        assert_eq!(table.since("p.vector", Arch::Arm64), Some(v(17, 0)));
        for arch in Arch::ALL {
            assert_eq!(at("m.alllink", v(23, 12), arch), Some(352));
            // It moved within a minor version, on both.
            assert_eq!(at("m.alllink", v(23, 40), arch), None);
            assert_eq!(table.since("m.alllink", arch), Some(v(17, 0)));
        }
        let names: Vec<_> = table.names().collect();
        assert_eq!(names, ["g.goid", "m.alllink", "p.registers", "p.vector"]);
    }

    #[test]
    fn every_row_is_of_a_known_instruction_set_and_of_each_or_of_both() {
        let table = LayoutTable::get();
        let known = Arch::ALL.map(Arch::name);
        for row in table.rows.keys().filter_map(|row| row.split_once('\t')) {
            let (arch, name) = row;
            let of = |arch: &str| table.rows.contains_key(format!("{arch}\t{name}").as_str());
            if arch == BOTH {
                assert!(!known.into_iter().any(of), "{name}");
            } else {
                assert!(known.contains(&arch), "{arch} {name}");
                assert!(known.into_iter().all(of), "{name}");
            }
        }
    }

    #[test]
    fn the_carried_table_is_whole() {
        let table = LayoutTable::get();
        for minor in GoVersion::OLDEST_MINOR..=GoVersion::NEWEST_MINOR {
            let version = table.newest_patch(minor).unwrap();
            for arch in Arch::ALL {
                for name in [
                    "schedt.goidgen",
                    "p.mcache",
                    "mstats.numgc",
                    "mspan.allocCount",
                ] {
                    assert!(
                        table.field(name, version, arch).is_some(),
                        "{name} in {version}"
                    );
                }
            }
            assert!(table.text("sizeclasses", version).is_some());
            assert!(table.text("waitreasons", version).is_some());
        }
        for version in observer_releases::VERSIONS {
            let built = release(version).unwrap();
            assert!(
                table.releases.contains(&built),
                "{version} is not in layouts.tsv: run `cargo xtask layouts`"
            );
        }
    }
}
