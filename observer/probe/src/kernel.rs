//! What this kernel can do: looked up in its own types or tried, never guessed
//! from its version. Distributions carry features back, and builds leave some out.

use std::{collections::BTreeMap, fs};

use aya::{
    maps::MapType,
    programs::ProgramType,
    sys::{BpfHelper, is_helper_supported, is_map_supported},
};

use super::{
    ProbeError, atomics,
    error::{chain, errno},
    kernel_types::{self, KernelTypes},
};

/// Features by their names, each with whether the kernel has it. One that could
/// not be asked for is not in it.
pub type Features = BTreeMap<&'static str, bool>;

/// What is known of this kernel.
pub struct Kernel {
    /// Its BTF, whole.
    pub(super) btf: Result<Vec<u8>, ProbeError>,
    /// What its BTF says; all missing where there is none.
    pub(super) types: KernelTypes,
    /// With which error `bpf` refuses even a map that any kernel has.
    pub(super) bpf_refused: Option<i32>,
    /// Whether the programs can read the memory of processes; `None` where the
    /// kernel does not let the observer try.
    pub(super) reads_user_memory: Option<bool>,
    /// Whether they can read the kernel's, likewise.
    pub(super) reads_kernel_memory: Option<bool>,
    /// Whether they may use atomics that tell what was there before, likewise.
    pub(super) atomic_fetch: Option<bool>,
}

impl Kernel {
    /// Asks the kernel.
    pub fn read() -> Self {
        let (btf, types) = match read_btf() {
            Ok((btf, types)) => (Ok(btf), types),
            Err(error) => (Err(error), KernelTypes::default()),
        };
        Self {
            btf,
            types,
            bpf_refused: is_map_supported(MapType::Array)
                .err()
                .and_then(|error| errno(&error)),
            reads_user_memory: reads_user_memory(),
            reads_kernel_memory: all_helpers(&[(
                ProgramType::KProbe,
                BpfHelper::BPF_FUNC_probe_read_kernel,
            )]),
            atomic_fetch: atomics::try_all(),
        }
    }

    /// As if it lacked a feature, for trying what happens then on a kernel that has
    /// all of them.
    #[must_use]
    pub fn without(mut self, feature: &str) -> Self {
        match feature {
            "uprobe_multi" => self.types.uprobe_multi = false,
            "attach_cookie" => self.types.attach_cookie = false,
            "private_stack" => self.types.private_stack = false,
            "bpf_mem_alloc" => self.types.bpf_mem_alloc = false,
            "probe_read_user" => self.reads_user_memory = Some(false),
            "atomic_fetch" => self.atomic_fetch = Some(false),
            _ => {}
        }
        self
    }

    /// Its features, as the metrics name them.
    pub fn features(&self) -> Features {
        let types = &self.types;
        let known = [
            ("btf", Some(self.btf.is_ok())),
            ("uprobe_multi", Some(types.uprobe_multi)),
            ("attach_cookie", Some(types.attach_cookie)),
            ("private_stack", Some(types.private_stack)),
            ("bpf_mem_alloc", Some(types.bpf_mem_alloc)),
            ("probe_read_user", self.reads_user_memory),
            ("atomic_fetch", self.atomic_fetch),
            (
                "pid_namespaces",
                self.reads_kernel_memory
                    .map(|reads| reads && types.pid_numbers),
            ),
        ];
        let told = known.into_iter();
        told.filter_map(|(name, has)| Some((name, has?))).collect()
    }
}

fn read_btf() -> Result<(Vec<u8>, KernelTypes), ProbeError> {
    let path = kernel_types::PATH;
    let btf = fs::read(path).map_err(|source| ProbeError::NoBtf { path, source })?;
    let types = KernelTypes::read(&btf).map_err(|reason| ProbeError::BadBtf { path, reason })?;
    Ok((btf, types))
}

/// Lockdown takes away `bpf_probe_read_kernel`, and not `bpf_probe_read_user`. The
/// loader, however, puts the forbidden `bpf_probe_read` in the place of both
/// where the first is missing, so both must be there.
fn reads_user_memory() -> Option<bool> {
    all_helpers(&[
        (ProgramType::KProbe, BpfHelper::BPF_FUNC_probe_read_user),
        // As the loader asks.
        (
            ProgramType::TracePoint,
            BpfHelper::BPF_FUNC_probe_read_kernel,
        ),
    ])
}

/// Whether programs of these types may call these helpers; `None` where it
/// cannot be tried.
fn all_helpers(tried: &[(ProgramType, BpfHelper)]) -> Option<bool> {
    let mut all = true;
    for (program, helper) in tried {
        match is_helper_supported(*program, *helper) {
            Ok(has) => all &= has,
            Err(error) => {
                tracing::debug!(error = chain(&error), "failed to test for an eBPF helper");
                return None;
            }
        }
    }
    Some(all)
}
