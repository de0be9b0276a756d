//! Where fields of the kernel's structures lie, patched in before loading. The
//! verifier sees constants and checks each load against the kernel's types.

use observer_ebpf::KernelOffsets;

#[unsafe(no_mangle)]
pub(crate) static KERNEL: KernelOffsets = KernelOffsets {
    task_tgid: 0,
    task_pid: 0,
    task_signal: 0,
    signal_live: 0,
    signal_tgid: 0,
    pid_level: 0,
    pid_numbers: 0,
    upid_size: 0,
    upid_nr: 0,
    upid_ns: 0,
    namespace_inum: 0,
    task_real_parent: 0,
    task_cgroups: 0,
    css_set_dfl_cgrp: 0,
    cgroup_kn: 0,
    kernfs_node_id: 0,
};

/// An offset that user space patched in; the compiler must not take the 0.
macro_rules! offset {
    ($field:ident) => {{
        // SAFETY: a field of a static.
        unsafe { core::ptr::read_volatile(&raw const $crate::offsets::KERNEL.$field) }
    }};
}
pub(crate) use offset;
