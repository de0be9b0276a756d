//! Installs what is missing. Each step looks first and does nothing where
//! nothing is to be done.

mod apt;
mod deny;
pub(crate) mod go;
mod llvm;
mod page;
mod python;
mod rust;

use anyhow::Result;

use crate::{arch::Arch, ui::step, workspace::Workspace};

pub(crate) use apt::{Privilege, is_root};
pub(crate) use deny::cargo_deny;
pub(crate) use llvm::{CLANG, LLVM_AR};
pub(crate) use page::{page, sources as page_sources};

use apt::Need;

/// What building `observer` needs.
const BUILD: &[Need] = &[
    Need::command("cc", "gcc"),
    Need::command("c++", "g++"),
    Need::package("libc6-dev"),
];

/// What the tests need besides.
const TEST: &[Need] = &[
    Need::command("containerd", "containerd"),
    Need::command("runc", "runc"),
    Need::command("setcap", "libcap2-bin"),
    Need::command("capsh", "libcap2-bin"),
    Need::command("unshare", "util-linux"),
    Need::command("promtool", "prometheus"),
    Need::command("faketime", "faketime"),
    Need::command("gdb", "gdb"),
];

/// What virtual machines with other kernels need.
const VM: &[Need] = &[
    Need::command("qemu-system-x86_64", "qemu-system-x86"),
    Need::command("qemu-system-aarch64", "qemu-system-arm"),
    // Of arm64, for Go programs with C in them, and the loader of all that have one.
    Need::command("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
    Need::package("libc6-dev-arm64-cross"),
    Need::command("busybox", "busybox-static"),
    Need::command("apparmor_parser", "apparmor"),
    Need::command("ldd", "libc-bin"),
    Need::command("dpkg-deb", "dpkg"),
];

/// What `cluster` needs besides Kubernetes itself.
const CLUSTER: &[Need] = &[
    Need::command("cc", "gcc"),
    Need::package("libc6-dev"),
    Need::command("containerd", "containerd"),
    Need::command("ctr", "containerd"),
    Need::command("runc", "runc"),
    Need::package("containernetworking-plugins"),
    Need::command("etcd", "etcd-server"),
    Need::command("ip", "iproute2"),
    Need::command("iptables", "iptables"),
    Need::command("nft", "nftables"),
    Need::command("openssl", "openssl"),
    Need::command("curl", "curl"),
    Need::command("nsenter", "util-linux"),
    Need::command("unshare", "util-linux"),
];

/// For `build` and `run`.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    rust::rustup(workspace)?;
    rust::toolchain(workspace)?;
    apt::install(workspace, "Debian packages to build", BUILD)?;
    llvm::libraries(workspace)?;
    llvm::bpf_linker(workspace)
}

/// For `image`: what makes a static binary for another C library, and for
/// another architecture.
pub(crate) fn image(workspace: &Workspace, arch: Arch) -> Result<()> {
    build(workspace)?;
    rust::target(workspace, arch.rust_target())?;
    llvm::clang(workspace)
}

/// For `test` and `bench`.
pub(crate) fn everything(workspace: &Workspace) -> Result<()> {
    build(workspace)?;
    apt::install(workspace, "Debian packages to test", TEST)?;
    vm(workspace)?;
    rust::cargo_fuzz(workspace)?;
    cargo_deny(workspace)?;
    go::toolchains(workspace, &observer_releases::VERSIONS)?;
    page(workspace)?;
    step("set-up is complete", |step| {
        step.note(format!("cache {}", workspace.cache.root().display()));
        Ok(())
    })
}

/// For `demo`: one Go, and a C compiler is not needed.
pub(crate) fn demo(workspace: &Workspace, version: &str) -> Result<()> {
    go::toolchains(workspace, &[version])
}

/// For `vm`.
pub(crate) fn vm(workspace: &Workspace) -> Result<()> {
    apt::install(workspace, "Debian packages for other kernels", VM)
}

/// For `cluster`.
pub(crate) fn cluster(workspace: &Workspace) -> Result<()> {
    apt::install(workspace, "Debian packages for a cluster", CLUSTER)
}

/// For `fuzz`.
pub(crate) fn fuzz(workspace: &Workspace) -> Result<()> {
    build(workspace)?;
    rust::cargo_fuzz(workspace)
}
