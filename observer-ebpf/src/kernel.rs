//! What user space tells the programs about the kernel they run in.

/// Where fields of the kernel's own structures lie, in bytes. It differs from
/// build to build: user space reads it from the kernel's BTF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct KernelOffsets {
    /// `task_struct.tgid`; 0 where the kernel's types do not tell.
    pub task_tgid: u64,
    /// `task_struct.pid`, likewise.
    pub task_pid: u64,
    /// `task_struct.signal`, likewise.
    pub task_signal: u64,
    /// `signal_struct.live`, likewise.
    pub signal_live: u64,
    /// `signal_struct.pids[PIDTYPE_TGID]`. This and what follows is used in a
    /// pid namespace other than the initial one only.
    pub signal_tgid: u64,
    /// `pid.level`: how many namespaces lie above the one the process is in.
    pub pid_level: u64,
    /// `pid.numbers`: its number in each, the initial one's first.
    pub pid_numbers: u64,
    /// How far apart those are.
    pub upid_size: u64,
    /// `upid.nr`.
    pub upid_nr: u64,
    /// `upid.ns`.
    pub upid_ns: u64,
    /// `pid_namespace.ns.inum`.
    pub namespace_inum: u64,
    /// `task_struct.real_parent`; 0 where the kernel's types do not tell, as for
    /// what follows.
    pub task_real_parent: u64,
    /// `task_struct.cgroups`.
    pub task_cgroups: u64,
    /// `css_set.dfl_cgrp`: the cgroup in the unified hierarchy.
    pub css_set_dfl_cgrp: u64,
    /// `cgroup.kn`.
    pub cgroup_kn: u64,
    /// `kernfs_node.id`: the cgroup's number.
    pub kernfs_node_id: u64,
}

#[cfg(feature = "user")]
// SAFETY: `repr(C)`, only integers and no padding, as `padding.rs` checks.
unsafe impl aya::Pod for KernelOffsets {}
