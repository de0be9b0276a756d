//! The layout of a release newer than the table, or of a build that is no plain
//! release: as the binary's own debug information describes it.
//!
//! Taken whole or not at all. Everything that is read of the release, or of the
//! newest one in the table, must be there under its name and with its size; then
//! only its place may have changed. What has another size, or is gone, may well mean
//! something else by now.

use std::{cell::RefCell, collections::HashMap};

use serde::Serialize;

use super::{
    Arch, GoVersion, error::LayoutError, field::Field, layout::Layout, layout_table::LayoutTable,
    rules::rules,
};

/// What is asked for as a whole: more fields in them change nothing.
const CONTAINERS: [&str; 5] = [
    "heapStatsDelta",
    "mstats.heapStats",
    "consistentHeapStats.stats",
    "workType.cpuStats",
    "schedt.gFree",
];

/// Larger than any of the runtime's types that are read; what a file says is
/// data from a stranger.
const MOST_BYTES: usize = 1 << 20;

/// The runtime's types as a binary describes them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DwarfTypes {
    /// Fields by the names of the table, such as `schedt.goidgen`.
    pub fields: HashMap<&'static str, Field>,
    /// Bytes of an object of each size class.
    pub size_classes: Vec<u64>,
    /// What goroutines wait for, by number.
    pub wait_reasons: Vec<String>,
}

impl DwarfTypes {
    /// The names of all fields and types to be looked for.
    pub fn wanted() -> Vec<&'static str> {
        LayoutTable::get().names().collect()
    }

    /// A field by its name.
    pub fn field(&self, name: &str) -> Option<Field> {
        self.fields.get(name).copied()
    }
}

impl Layout {
    /// Whether the table ends before this release.
    pub(crate) fn is_newer(version: GoVersion) -> bool {
        version.minor > GoVersion::NEWEST_MINOR
    }

    /// The layout of a build that the table does not vouch for.
    pub fn described(
        version: GoVersion,
        arch: Arch,
        described: &DwarfTypes,
    ) -> Result<Self, LayoutError> {
        let table = LayoutTable::get();
        let not = |lack: String| LayoutError::NotDescribed { version, lack };
        let base = if Self::is_newer(version) {
            table.newest()
        } else {
            Some(version)
        };
        let unknown = || LayoutError::UnknownVersion(version);
        let base = base.ok_or_else(unknown)?;
        // All that is read has the names and sizes of that release, so its rules hold.
        let rules = rules(base.minor).ok_or_else(unknown)?;
        let wrong = RefCell::new(None);
        let place = |name: &str| {
            let known = Self::field(base, arch, name)?;
            let found = described.field(name);
            let same = |field: &Field| {
                let bounded = field.offset <= MOST_BYTES && (1..=MOST_BYTES).contains(&field.size);
                bounded && (field.size == known.size || CONTAINERS.contains(&name))
            };
            let lack = match found {
                Some(field) if same(&field) => return Some(field),
                Some(field) => format!(
                    "has {} bytes in {name} at {}, where {} are known",
                    field.size, field.offset, known.size
                ),
                None => format!("does not tell where {name} is"),
            };
            wrong.borrow_mut().get_or_insert(lack);
            None
        };
        let reasons = table.text("waitreasons", base).unwrap_or_default();
        let reason = |said: &String| {
            let mut known = reasons.split('|');
            // An empty one is counted as unknown.
            known.find(|known| known == said).unwrap_or("")
        };
        let layout = Self::by(
            (version, arch),
            rules,
            &place,
            described.size_classes.clone(),
            described.wait_reasons.iter().map(reason).collect(),
        );
        if let Some(lack) = wrong.take() {
            return Err(not(lack));
        }
        let layout = layout?;
        let classes = Self::field(base, arch, "heapStatsDelta.smallAllocCount");
        let ascends = layout.size_classes.first() == Some(&0)
            && layout.size_classes.is_sorted_by(|a, b| a < b);
        if !ascends || classes.map(|field| field.size / 8) != Some(layout.size_classes.len()) {
            return Err(not("does not tell the allocator's size classes".to_owned()));
        }
        if layout.wait_reasons.is_empty() {
            return Err(not("does not tell what goroutines wait for".to_owned()));
        }
        Ok(layout)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::{DwarfTypes, LayoutTable};
    use crate::release::{Arch, Field, GoVersion, Layout};

    const NEXT: GoVersion = GoVersion {
        minor: GoVersion::NEWEST_MINOR + 1,
        patch: 0,
    };

    /// As the newest known release would describe itself.
    fn newest() -> DwarfTypes {
        newest_for(Arch::Amd64)
    }

    fn newest_for(arch: Arch) -> DwarfTypes {
        let newest = LayoutTable::get().newest().unwrap();
        let known = Layout::of(newest, arch).unwrap();
        let field = |name| Some((name, Layout::field(newest, arch, name)?));
        DwarfTypes {
            fields: DwarfTypes::wanted().into_iter().filter_map(field).collect(),
            size_classes: known.size_classes,
            wait_reasons: known.wait_reasons.iter().map(ToString::to_string).collect(),
        }
    }

    fn layout(described: &DwarfTypes) -> Result<Layout, String> {
        Layout::described(NEXT, Arch::Amd64, described).map_err(|error| error.to_string())
    }

    #[test]
    fn a_moved_field_is_read_where_it_is() {
        let mut described = newest();
        let known = layout(&described).unwrap();
        let field = described.fields.get_mut("schedt.goidgen").unwrap();
        field.offset += 8;
        let moved = layout(&described).unwrap();
        assert_eq!(
            moved.sched.goid_generator.offset,
            known.sched.goid_generator.offset + 8
        );
        assert_eq!(moved.version, NEXT);
    }

    /// Whatever is read of a newer release has the sizes of the newest known one, on each.
    #[test]
    fn each_instruction_set_describes_itself() {
        for arch in Arch::ALL {
            let layout = Layout::described(NEXT, arch, &newest_for(arch)).unwrap();
            assert_eq!(layout.arch, arch);
            let mut lacks = newest_for(arch);
            lacks.fields.remove("p.goidcache");
            assert!(Layout::described(NEXT, arch, &lacks).is_err());
        }
    }

    #[test]
    fn one_field_that_is_not_as_it_was_refuses_all() {
        for name in ["p.goidcache", "g.gopc", "m.curg", "schedt.stwTotalTimeGC"] {
            let mut described = newest();
            described.fields.remove(name);
            let error = layout(&described).unwrap_err();
            assert!(error.contains(name), "{error}");
            let field = Field {
                offset: 8,
                size: 5768,
            };
            described.fields.insert(name, field);
            let error = layout(&described).unwrap_err();
            assert!(error.contains("5768") && error.contains(name), "{error}");
        }
        for (offset, size) in [(usize::MAX, 24), (0, 0), (0, usize::MAX)] {
            let mut described = newest();
            described
                .fields
                .insert("heapStatsDelta", Field { offset, size });
            assert!(layout(&described).unwrap_err().contains("heapStatsDelta"));
        }
        let mut described = newest();
        described.size_classes[5] += 4096;
        assert!(layout(&described).unwrap_err().contains("size classes"));
        described.size_classes.clear();
        assert!(layout(&described).is_err());
    }

    #[test]
    fn a_wait_reason_that_is_new_has_no_name() {
        let mut described = newest();
        described.wait_reasons[2] = "a new one".to_owned();
        described.wait_reasons.push("IO wait".to_owned());
        let reasons = layout(&described).unwrap().wait_reasons;
        assert_eq!((reasons[2], reasons[reasons.len() - 1]), ("", "IO wait"));
    }
}
