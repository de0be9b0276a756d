//! What must hold of the texts of /proc that strangers have a hand in, whatever they
//! say: for the fuzzer. Whoever may make cgroups and mounts chooses their names.

use std::path::{Component, Path};

use super::{cgroup, hierarchy};

/// Reads a text as one of `/proc/PID/cgroup`.
pub fn cgroup(text: &str) {
    let container = cgroup::container(text);
    if let Some(container) = &container {
        let id = &container.id;
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        assert!(
            !id.is_empty() && id.len() <= 76 && id.chars().all(plain),
            "{id:?}"
        );
    }
    let uids = [
        container.and_then(|container| container.pod_uid),
        cgroup::pod_uid(text),
    ];
    for uid in uids.into_iter().flatten() {
        let plain = |c: char| c.is_ascii_hexdigit() || c == '-';
        assert!(
            matches!(uid.len(), 32 | 36) && uid.chars().all(plain),
            "{uid:?}"
        );
    }
    if let Some(path) = cgroup::unified(text) {
        assert!(text.contains(path) && !path.contains('\n'), "{path:?}");
    }
    let _ = cgroup::is_unified_only(text);
}

/// Reads a text as `/proc/self/mountinfo`: no cgroup's directory lies outside of the
/// mount that shows it.
pub fn mountinfo(text: &[u8]) {
    for mount in hierarchy::mounts(text) {
        let roots = [
            mount.root.join("a/b"),
            mount.root.join("../c"),
            mount.root.clone(),
        ];
        let paths = roots.iter().map(std::path::PathBuf::as_path);
        for path in paths.chain(["/", "/..", "/a/../b"].map(Path::new)) {
            let Some(directory) = mount.directory(path) else {
                continue;
            };
            let shown = format!("{mount:?} {}: {}", path.display(), directory.display());
            let below = directory.strip_prefix(&mount.point);
            let below = below.unwrap_or_else(|_| panic!("{shown}"));
            let inside = |part| matches!(part, Component::Normal(_));
            assert!(below.components().all(inside), "{shown}");
        }
    }
}
