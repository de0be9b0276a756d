//! What the observer lacks to probe, named with what is lost by it.

use std::{fs, process};

use observer_go::discover;

use super::{Kernel, LinkMode, machine};

/// What is lost where no probe can be set. The rest is read from the memory of
/// processes, which takes no eBPF.
pub const WITHOUT_PROBES: &str = "what only probes tell is lost: what triggers collections, reasons of stops, phases of the \
     collector, and processes that end before they are sampled; goroutines, collections, pauses \
     and heap are read from the runtime's state and stay exact";

/// A capability's bit, from `linux/capability.h`.
#[derive(Clone, Copy)]
enum Capability {
    DacReadSearch = 2,
    SysPtrace = 19,
    SysAdmin = 21,
    Lease = 28,
    Perfmon = 38,
    Bpf = 39,
}

/// Capabilities and kernel features that are missing for the links asked for
/// (`None`: for those the kernel has), each with what is lost. Empty where
/// everything can be observed.
pub fn missing(kernel: &Kernel, links: Option<LinkMode>) -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let alone = discover::pid_namespace().is_ok_and(|own| own.is_own_first(process::id()));
    lacks(&Facts {
        effective: effective_capabilities(&status),
        bpf_refused: kernel.bpf_refused,
        has_btf: kernel.btf.is_ok(),
        alone,
        perf_links: links == Some(LinkMode::PerfEvent) || !kernel.types.uprobe_multi,
        attach_cookie: kernel.types.attach_cookie,
        reads_user_memory: kernel.reads_user_memory != Some(false),
        foreign_kernel: kernel.types.foreign_registers,
        atomic_fetch: kernel.atomic_fetch != Some(false),
    })
}

/// What [`missing`] decides by.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Facts {
    effective: u64,
    bpf_refused: Option<i32>,
    has_btf: bool,
    /// Whether the observer is the first process of its pid namespace.
    alone: bool,
    /// Whether probes are perf events.
    perf_links: bool,
    attach_cookie: bool,
    reads_user_memory: bool,
    /// Whether the kernel is one for another architecture.
    foreign_kernel: bool,
    atomic_fetch: bool,
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
    let mut no_probes = |missing: bool, what: &str| {
        lack(missing, &format!("{what}, so {WITHOUT_PROBES}"));
    };
    no_probes(
        !has(Capability::Bpf) && !admin,
        "CAP_BPF: no eBPF program can be loaded",
    );
    no_probes(
        !has(Capability::Perfmon) && !admin,
        "CAP_PERFMON: no probe can be set and no process event seen",
    );
    no_probes(
        facts.bpf_refused == Some(libc::ENOSYS),
        "bpf(): the kernel is built without it (CONFIG_BPF_SYSCALL), or a seccomp profile hides it",
    );
    no_probes(
        facts.bpf_refused == Some(libc::EPERM) && (has(Capability::Bpf) || admin),
        "bpf(): it is refused although CAP_BPF is there, by a seccomp profile or a security module \
         (up to Linux 5.10 also by the limit of locked memory)",
    );
    no_probes(
        !facts.has_btf,
        "BTF of the kernel (/sys/kernel/btf/vmlinux, CONFIG_DEBUG_INFO_BTF): the eBPF programs \
         cannot be loaded",
    );
    no_probes(
        !facts.atomic_fetch,
        "atomics in eBPF programs that tell what was there before (Linux 5.12, on arm64 5.18): \
         none of the programs can be loaded",
    );
    // Without its types nothing is known of what else the kernel has.
    no_probes(
        facts.has_btf && facts.foreign_kernel,
        &format!(
            "a kernel for {}: this observer was built for that, and runs by emulation here (such \
             as qemu-user or Rosetta), since the kernel's registers (pt_regs in its BTF) are \
             others; run the image of the machine's own architecture, x86-64 or arm64",
            machine::OWN.name,
        ),
    );
    no_probes(
        facts.has_btf && !facts.attach_cookie,
        "cookies of probes (bpf_get_attach_cookie, Linux 5.15): probes cannot tell their sites \
         apart",
    );
    no_probes(
        facts.has_btf && facts.perf_links && !admin,
        "CAP_SYS_ADMIN: probes are perf events where the kernel has no uprobe_multi links (Linux \
         6.6), or --link perf asks for them, and every kernel wants CAP_SYS_ADMIN for those",
    );
    lack(
        facts.has_btf && !facts.reads_user_memory,
        "bpf_probe_read_user in eBPF programs (lockdown=confidentiality takes such helpers away): \
         triggers and phases of the collector are lost for programs of Go up to 1.21, and \
         reasons of other stops up to 1.20; everything else is counted",
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
        !has(Capability::Lease),
        "CAP_LEASE: executables of other users carry no probes, since nothing would keep them from \
         being written over meanwhile; their state is read",
    );
    lack(
        facts.alone,
        "the machine's pid namespace (hostPID in Kubernetes, --pid=host in Docker): the observer \
         is the first process of its own, so it sees no program but those that it starts",
    );
    lacks
}

#[cfg(test)]
mod tests {
    use super::{Facts, WITHOUT_PROBES, effective_capabilities, lacks};

    const WHOLE: Facts = Facts {
        effective: 1 << 2 | 1 << 19 | 1 << 28 | 1 << 38 | 1 << 39,
        bpf_refused: None,
        has_btf: true,
        alone: false,
        perf_links: false,
        attach_cookie: true,
        reads_user_memory: true,
        foreign_kernel: false,
        atomic_fetch: true,
    };

    #[test]
    fn five_capabilities_suffice_for_uprobe_multi() {
        assert_eq!(lacks(&WHOLE), Vec::<String>::new());
        let perf = Facts {
            perf_links: true,
            ..WHOLE
        };
        let lack = lacks(&perf);
        assert_eq!(lack.len(), 1);
        assert!(lack[0].starts_with("CAP_SYS_ADMIN: "), "{lack:?}");
        let admin = WHOLE.effective | 1 << 21;
        let allowed = lacks(&Facts {
            effective: admin,
            ..perf
        });
        assert_eq!(allowed, Vec::<String>::new());
    }

    #[test]
    fn names_each_lack_once() {
        let none = Facts {
            effective: 0,
            // It is refused for want of the capability, which is named.
            bpf_refused: Some(libc::EPERM),
            has_btf: true,
            alone: true,
            perf_links: true,
            attach_cookie: false,
            reads_user_memory: false,
            foreign_kernel: true,
            atomic_fetch: false,
        };
        let said = lacks(&none);
        assert_eq!(said.len(), 11, "{said:?}");
        // What the types would tell is not claimed without them.
        let blind = lacks(&Facts {
            has_btf: false,
            ..none
        });
        assert_eq!(blind.len(), 8, "{blind:?}");
        let all = effective_capabilities("Name:\tx\nCapEff:\t000001ffffffffff\nCapBnd:\t0\n");
        assert_eq!(all, 0x1ff_ffff_ffff);
    }

    #[test]
    fn without_probes_state_stays_exact() {
        for facts in [
            Facts {
                effective: 1 << 2 | 1 << 19 | 1 << 28,
                ..WHOLE
            },
            Facts {
                has_btf: false,
                ..WHOLE
            },
            Facts {
                bpf_refused: Some(libc::EPERM),
                ..WHOLE
            },
            Facts {
                bpf_refused: Some(libc::ENOSYS),
                ..WHOLE
            },
            Facts {
                attach_cookie: false,
                ..WHOLE
            },
            Facts {
                foreign_kernel: true,
                ..WHOLE
            },
            Facts {
                atomic_fetch: false,
                ..WHOLE
            },
        ] {
            let lacks = lacks(&facts);
            assert!(!lacks.is_empty());
            for lack in lacks {
                assert!(lack.ends_with(WITHOUT_PROBES), "{lack}");
            }
        }
    }
}
