//! Programs that say they are of another release than they are.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use crate::paths::{NEWEST, minor};

/// A release that is not there yet, and is as long to spell as this one.
pub fn newer(release: &str) -> String {
    let patch = release.rsplit_once('.').map_or("", |(_, patch)| patch);
    let newer = format!("1.{}.{patch}", minor(NEWEST) + 1);
    assert_eq!(
        newer.len(),
        release.len(),
        "{newer} has no room in place of {release}"
    );
    newer
}

/// Writes a program that is `from` in all but its release, which is as long to
/// spell: `1.27.4` and `1.28.0`.
pub fn renamed(from: &Path, to: &Path, release: &str, other: &str) {
    let (old, new) = (format!("go{release}"), format!("go{other}"));
    assert_eq!(old.len(), new.len(), "{new} has no room in place of {old}");
    let mut data = fs::read(from).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
    let places: Vec<_> = (0..data.len() - old.len())
        .filter(|at| data[*at..].starts_with(old.as_bytes()))
        .collect();
    assert!(!places.is_empty(), "{old} is nowhere in {}", from.display());
    for at in places {
        data[at..at + new.len()].copy_from_slice(new.as_bytes());
    }
    fs::write(to, data).unwrap_or_else(|e| panic!("{}: {e}", to.display()));
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).expect("permissions");
}
