//! From the text of `/proc/PID/cgroup` to the container.
//!
//! The names are the runtimes' conventions; whoever may make cgroups may imitate
//! them, so a [`Container`] is a claim until a list of containers confirms it.
//!
//! Seen from a cgroup namespace of the observer's own, paths start at the
//! observer's cgroup: `/../../kubepods-besteffort-pod….slice/…`. What the paths
//! have in common is missing then: containers of the observer's own pod have no
//! pod UID, and those of its own container are not seen as in one.

use super::{Container, Runtime};

#[cfg(test)]
mod tests;

/// The container that `/proc/PID/cgroup` names. Where containers are nested it
/// is the innermost, with the pod that encloses it.
pub(super) fn container(cgroup_file: &str) -> Option<Container> {
    let mut best: Option<(Rank, Container)> = None;
    for (controllers, path) in lines(cgroup_file) {
        let Some(container) = of_path(path) else {
            continue;
        };
        let rank = Rank {
            has_pod: container.pod_uid.is_some(),
            // A systemd of the container's own keeps this one to itself.
            has_controller: controllers != "name=systemd",
        };
        // Controllers may be delegated to different depths; of equals the first.
        if best.as_ref().is_none_or(|(other, _)| rank > *other) {
            best = Some((rank, container));
        }
    }
    best.map(|(_, container)| container)
}

/// The UID of the pod in whose cgroup a process is, also where it is in none of
/// the pod's containers: a sandbox is there.
pub(super) fn pod_uid(cgroup_file: &str) -> Option<String> {
    lines(cgroup_file).find_map(|(_, path)| {
        let parts = path.strip_suffix(DELETED).unwrap_or(path).split('/');
        parts.rev().find_map(|part| pod(slice_and_scope(part).0))
    })
}

/// How much a line tells.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    has_pod: bool,
    has_controller: bool,
}

/// The path in the unified hierarchy; `None` where there is none, or the cgroup
/// was removed under a process that had ended.
pub(super) fn unified(cgroup_file: &str) -> Option<&str> {
    let path = cgroup_file
        .lines()
        .find_map(|line| line.strip_prefix("0::"))?;
    (!path.ends_with(DELETED)).then_some(path)
}

/// Whether there is no hierarchy beside the unified one, so that its path alone
/// decides what container a process is in.
pub(super) fn is_unified_only(cgroup_file: &str) -> bool {
    cgroup_file.lines().all(|line| line.starts_with("0::"))
}

const DELETED: &str = " (deleted)";

/// `hierarchy:controllers:path` each; the path may have colons itself.
fn lines(cgroup_file: &str) -> impl Iterator<Item = (&str, &str)> {
    cgroup_file.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        rest.split_once(':')
    })
}

fn of_path(path: &str) -> Option<Container> {
    let path = path.strip_suffix(DELETED).unwrap_or(path);
    let mut pod_uid = None;
    let mut container = None;
    let mut parent = "";
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let (slice, scope) = slice_and_scope(part);
        if let Some(uid) = pod(slice) {
            pod_uid = Some(uid);
        }
        if let Some((id, runtime)) = scoped(scope, parent) {
            container = Some(Container {
                id,
                runtime,
                pod_uid: pod_uid.clone(),
            });
        }
        parent = part;
    }
    container.or_else(|| of_ctr(path))
}

/// runc with the systemd driver and no systemd: `SLICE:PREFIX:ID`.
fn slice_and_scope(part: &str) -> (&str, &str) {
    part.split_once(':').unwrap_or((part, part))
}

/// The UID in `pod<uid>` (cgroupfs) or `kubepods-burstable-pod<uid>.slice`
/// (systemd, where dashes part the levels and so became underscores). Static
/// pods have a hash of 32 digits, unless their manifest gives a UID.
fn pod(part: &str) -> Option<String> {
    let name = part.strip_suffix(".slice").unwrap_or(part);
    let start = name.rfind("pod")?;
    let before = &name[..start];
    if !(before.is_empty() || before.ends_with('-')) {
        return None;
    }
    let uid = name[start + 3..].replace('_', "-");
    let groups: Vec<usize> = uid.split('-').map(str::len).collect();
    let shaped = groups == [8, 4, 4, 4, 12] || groups == [32];
    (shaped && uid.bytes().all(|byte| byte == b'-' || hexadecimal(byte))).then_some(uid)
}

/// The id in `[PREFIX-]ID[.scope]` or, of a part with colons, `PREFIX:ID`.
fn scoped(part: &str, parent: &str) -> Option<(String, Runtime)> {
    let name = part.strip_suffix(".scope").unwrap_or(part);
    let (prefix, id) = match name.rsplit_once(['-', ':']) {
        Some((prefix, id)) => (Some(prefix), id),
        None => (None, name),
    };
    if id.len() != 64 || !id.bytes().all(hexadecimal) {
        return None;
    }
    let runtime = match prefix {
        Some("cri-containerd" | "nerdctl") => Runtime::Containerd,
        Some("crio") => Runtime::CriO,
        Some("docker") => Runtime::Docker,
        Some("libpod" | "libpod-payload") => Runtime::Podman,
        // The runtime's own process beside the container (crio-conmon,
        // libpod-conmon), and whatever else merely bears a hash in its name.
        Some(_) => return None,
        None => match parent {
            "docker" => Runtime::Docker,
            "libpod_parent" => Runtime::Podman,
            _ if NAMESPACES.contains(&parent) => Runtime::Containerd,
            _ => Runtime::Unknown,
        },
    };
    Some((id.to_owned(), runtime))
}

/// containerd's namespaces that are in everyone's use.
const NAMESPACES: [&str; 3] = ["default", "k8s.io", "moby"];

/// containerd puts a task that `ctr run` starts to `/NAMESPACE/NAME`, the name
/// being anyone's choice. Two levels from the root, with a namespace in
/// everyone's use, is a shape that neither systemd nor another runtime makes.
fn of_ctr(path: &str) -> Option<Container> {
    let (namespace, name) = path.strip_prefix('/')?.split_once('/')?;
    // As containerd checks its identifiers.
    let valid = name.len() <= 76
        && name
            .split(['.', '_', '-'])
            .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    // systemd's units have such names too, though not in such a place.
    let unit = [".service", ".scope", ".slice", ".mount"]
        .iter()
        .any(|kind| name.ends_with(kind));
    (NAMESPACES.contains(&namespace) && valid && !unit).then(|| Container {
        id: name.to_owned(),
        runtime: Runtime::Containerd,
        pod_uid: None,
    })
}

fn hexadecimal(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}
