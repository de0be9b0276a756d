//! Why the kernel refuses a look at a process: a capability that is not there,
//! or a security module that asks nothing of capabilities.

use std::{fs, io, path::Path};

use rustix::thread::{CapabilitySet, capabilities};

/// Why reading a process is refused to the observer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// AppArmor enforces this profile on the observer.
    AppArmor(String),
    /// Capabilities, Yama, SELinux, or a user namespace.
    Permission,
}

/// Why a process that was just refused is refused. AppArmor's `ptrace` rules
/// are about the profiles of both sides: a container's default profile lets
/// its processes read those of the same profile only.
pub fn refusal() -> Refusal {
    match apparmor() {
        Some(profile) if may_trace() => Refusal::AppArmor(profile),
        _ => Refusal::Permission,
    }
}

/// What the profile that confines the observer keeps it from, tried on the
/// first process: `None` where no profile is enforced or that one can be read.
pub fn confined() -> Option<String> {
    let profile = apparmor().filter(|_| may_trace())?;
    let denied = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    fs::read_link(Path::new("/proc/1/exe"))
        .is_err_and(denied)
        .then_some(profile)
}

/// The profile that AppArmor enforces on the observer.
fn apparmor() -> Option<String> {
    // The second is what kernels before 5.8 have, for whichever module is first.
    let label = fs::read_to_string("/proc/self/attr/apparmor/current")
        .or_else(|_| fs::read_to_string("/proc/self/attr/current"))
        .ok()?;
    enforced(&label).map(str::to_owned)
}

/// The profile's name in `name (mode)`, where that mode refuses anything.
fn enforced(label: &str) -> Option<&str> {
    let label = label.trim_end_matches(['\0', '\n']);
    let (profile, mode) = label.strip_suffix(')')?.rsplit_once(" (")?;
    matches!(mode, "enforce" | "kill" | "mixed").then_some(profile)
}

fn may_trace() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_PTRACE))
}

#[cfg(test)]
mod tests {
    use super::enforced;

    #[test]
    fn only_a_profile_that_is_enforced_confines() {
        for (label, profile) in [
            (
                "cri-containerd.apparmor.d (enforce)\n",
                Some("cri-containerd.apparmor.d"),
            ),
            ("two words (enforce)\n", Some("two words")),
            ("outer//&:ns://inner (mixed)\n", Some("outer//&:ns://inner")),
            ("cri-containerd.apparmor.d (complain)\n", None),
            ("crun (unconfined)\n", None),
            ("unconfined\n", None),
            // SELinux's.
            ("system_u:system_r:container_t:s0:c1,c2\0", None),
            ("", None),
        ] {
            assert_eq!(enforced(label), profile, "{label:?}");
        }
    }
}
