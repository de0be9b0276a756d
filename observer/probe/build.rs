//! Builds the eBPF programs and leaves the object in `OUT_DIR`, from where
//! `load.rs` takes it in.

use std::{env, fs, path::Path};

use anyhow::{Context as _, anyhow, ensure};
use aya_build::{Package, Toolchain};
use object::{
    build::elf::{Builder, SectionData},
    elf::SHT_STRTAB,
};

/// Whose registers the programs can read (`observer-ebpf/src/site.rs`), and of which
/// `machine.rs` knows how the kernel sets probes.
const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];

fn main() -> anyhow::Result<()> {
    let arch = env::var("CARGO_CFG_TARGET_ARCH").context("CARGO_CFG_TARGET_ARCH")?;
    ensure!(
        ARCHITECTURES.contains(&arch.as_str()),
        "there is no observer for {arch}: expected a target for one of {ARCHITECTURES:?}, such as \
         x86_64-unknown-linux-musl"
    );
    // Only watched for changes. Relative, so that checkouts which share a
    // target directory each watch their own.
    let root = "../../observer-ebpf";
    // The workspace's release is compiled for size. What runs at every hit is not, nor `core`
    // below it, whose code the verifier has to follow.
    // SAFETY: a build script's main has no other threads yet.
    unsafe { env::set_var("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3") };
    // The BPF target has no prebuilt `core`: cargo's build-std is unstable,
    // and this lets the pinned stable toolchain use it for this one package.
    // SAFETY: as above.
    unsafe { env::set_var("RUSTC_BOOTSTRAP", "1") };
    // The programs read the registers of the architecture that they are built for, so each
    // has an object of its own: aya-build tells it by `bpf_target_arch`.
    aya_build::build_ebpf(
        [Package {
            name: "observer-ebpf",
            root_dir: root,
            no_default_features: false,
            features: &["ebpf"],
        }],
        Toolchain::Custom(env!("CARGO_PKG_RUST_VERSION")),
    )?;
    let out = env::var_os("OUT_DIR").context("cargo names no OUT_DIR")?;
    strip(&Path::new(&out).join("observer-ebpf"))
}

/// Takes away what a debugger would read: most of the object. The kernel reads types and lines
/// from the BTF, and the observer takes the whole object in.
fn strip(path: &Path) -> anyhow::Result<()> {
    let whole = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let failed = |error| anyhow!("cannot strip {}: {error}", path.display());
    let mut object = Builder::read(&*whole).map_err(failed)?;
    for section in &mut object.sections {
        section.delete = [".debug_", ".rel.debug_"]
            .iter()
            .any(|prefix| section.name.starts_with(prefix.as_bytes()));
    }
    object.delete_orphans();
    // LLVM has one table for the names of sections and symbols, the writer one for each.
    let names = object.sections.add();
    names.name = ".shstrtab".into();
    names.sh_type = SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = SectionData::SectionString;
    let mut stripped = Vec::new();
    object.write(&mut stripped).map_err(failed)?;
    fs::write(path, stripped).with_context(|| format!("cannot write {}", path.display()))
}
