//! Which room a file is in.

use std::{collections::BTreeSet, path::Path};

use super::tree::{File, Tree};

/// A folder at the top of what is built, or a file there: the package's place, the root
/// file, and the name. One target's rooms do not know another's.
pub(super) type Room<'a> = (usize, &'a Path, &'a str);

/// The room of a file; none for root files, which are above all rooms.
pub(super) fn of(file: &File) -> Option<Room<'_>> {
    let within = file.path.strip_prefix(file.root.parent()?).ok()?;
    let first = Path::new(within.components().next()?.as_os_str());
    (file.path != file.root).then_some((
        file.package,
        file.root.as_path(),
        first.file_stem()?.to_str()?,
    ))
}

/// Those that are folders. One with nothing but tests is none.
pub(super) fn folders(tree: &Tree) -> BTreeSet<Room<'_>> {
    let files = tree.files.iter().filter(|file| !file.is_test);
    let is_at_the_top = |file: &&File| file.path.parent() == file.root.parent();
    files
        .filter(|file| !is_at_the_top(file))
        .filter_map(of)
        .collect()
}
