//! What the observer lacks to probe, named with what is lost by it.

use std::{fs, path::Path};

use aya::util::KernelVersion;

use super::kernel_types;

/// A capability's bit, from `linux/capability.h`.
#[derive(Clone, Copy)]
enum Capability {
    DacReadSearch = 2,
    SysPtrace = 19,
    SysAdmin = 21,
    Perfmon = 38,
    Bpf = 39,
}

/// The inode of `/proc/self/ns/pid` in the initial pid namespace, fixed in
/// the kernel (`PROC_PID_INIT_INO`).
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Capabilities and kernel features that are missing, each with what is lost.
/// Empty where everything can be observed.
pub fn missing() -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").ok();
    let kernel = KernelVersion::current().ok();
    lacks(&Facts {
        effective: effective_capabilities(&status),
        has_btf: Path::new(kernel_types::PATH).exists(),
        initial_pid_namespace: namespace.is_none_or(|to| to.as_os_str() == INITIAL_PID_NAMESPACE),
        has_multi: kernel.is_none_or(|kernel| kernel >= KernelVersion::new(6, 6, 0)),
        old: kernel.is_some_and(|kernel| kernel < KernelVersion::new(5, 15, 0)),
        amd64: cfg!(target_arch = "x86_64"),
    })
}

/// What [`missing`] decides by.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Facts {
    effective: u64,
    has_btf: bool,
    initial_pid_namespace: bool,
    has_multi: bool,
    old: bool,
    amd64: bool,
}

fn effective_capabilities(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

fn lacks(facts: &Facts) -> Vec<String> {
    let has = |capability: Capability| facts.effective >> capability as u32 & 1 == 1;
    let admin = has(Capability::SysAdmin);
    let mut lacks = Vec::new();
    let mut lack = |missing: bool, text: &str| {
        if missing {
            lacks.push(text.to_owned());
        }
    };
    lack(
        !facts.amd64,
        "an x86-64 processor, the only architecture that is observed: Go programs of others are \
         found and named, but nothing is counted",
    );
    lack(
        !has(Capability::Bpf) && !admin,
        "CAP_BPF: no eBPF program can be loaded, so nothing is counted",
    );
    lack(
        !has(Capability::Perfmon) && !admin,
        "CAP_PERFMON: no probe can be set and no process event seen, so nothing is counted",
    );
    lack(
        !has(Capability::SysPtrace),
        "CAP_SYS_PTRACE: the executables of other users' processes cannot be opened, so those \
         processes are not observed",
    );
    lack(
        !has(Capability::DacReadSearch),
        "CAP_DAC_READ_SEARCH: executables that only their owner may read are not observed",
    );
    lack(
        !facts.has_btf,
        "BTF of the kernel (/sys/kernel/btf/vmlinux, CONFIG_DEBUG_INFO_BTF): the eBPF programs \
         cannot be loaded, so nothing is counted",
    );
    lack(
        facts.old,
        "kernel 5.15 or newer: probes cannot tell their sites apart, so nothing is counted",
    );
    lack(
        !facts.has_multi && !admin,
        "CAP_SYS_ADMIN, on a kernel before 6.6, which has no uprobe_multi links: some such \
         kernels set perf-event probes for it only",
    );
    lack(
        !facts.initial_pid_namespace,
        "the host's pid namespace (hostPID): process ids from the kernel do not match those in \
         /proc, so figures cannot be told to processes",
    );
    lacks
}

#[cfg(test)]
mod tests {
    use super::{Facts, effective_capabilities, lacks};

    const WHOLE: Facts = Facts {
        effective: 1 << 2 | 1 << 19 | 1 << 38 | 1 << 39,
        has_btf: true,
        initial_pid_namespace: true,
        has_multi: true,
        old: false,
        amd64: true,
    };

    #[test]
    fn four_capabilities_suffice_on_a_new_kernel() {
        assert_eq!(lacks(&WHOLE), Vec::<String>::new());
        let perf = lacks(&Facts {
            has_multi: false,
            ..WHOLE
        });
        assert_eq!(perf.len(), 1);
        assert!(perf[0].starts_with("CAP_SYS_ADMIN"), "{perf:?}");
    }

    #[test]
    fn names_each_lack() {
        let none = lacks(&Facts {
            effective: 0,
            has_btf: false,
            initial_pid_namespace: false,
            has_multi: false,
            old: true,
            amd64: false,
        });
        assert_eq!(none.len(), 9, "{none:?}");
        let all = effective_capabilities("Name:\tx\nCapEff:\t000001ffffffffff\nCapBnd:\t0\n");
        assert_eq!(all, 0x1ff_ffff_ffff);
    }
}
