//! Builds the eBPF programs and leaves the object in `OUT_DIR`, from where
//! `load.rs` takes it in.

use aya_build::{Package, Toolchain};

fn main() -> anyhow::Result<()> {
    // Only watched for changes. Relative, so that checkouts which share a
    // target directory each watch their own.
    let root = "../../observer-ebpf";
    // The workspace's release is compiled for size. What runs at every hit is not, nor `core`
    // below it, whose code the verifier has to follow.
    // SAFETY: a build script's main has no other threads yet.
    unsafe { std::env::set_var("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3") };
    // The BPF target has no prebuilt `core`: cargo's build-std is unstable,
    // and this lets the pinned stable toolchain use it for this one package.
    // SAFETY: as above.
    unsafe { std::env::set_var("RUSTC_BOOTSTRAP", "1") };
    aya_build::build_ebpf(
        [Package {
            name: "observer-ebpf",
            root_dir: root,
            no_default_features: false,
            features: &["ebpf"],
        }],
        Toolchain::Custom(env!("CARGO_PKG_RUST_VERSION")),
    )
}
