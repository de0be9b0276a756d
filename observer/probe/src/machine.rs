//! What the kernels of two architectures do differently, as far as it matters to
//! whoever sets probes.

/// One architecture.
pub(super) struct Machine {
    /// How people call it.
    pub(super) name: &'static str,
    /// `e_machine` of its executables.
    pub(super) elf: u16,
    /// What the kernel puts in the place of an instruction with a probe.
    pub(super) breakpoint: &'static [u8],
    /// The registers that the programs read (`observer-ebpf/src/site.rs`), or whose place
    /// tells where those are: their names in the kernel's `pt_regs`, and their offsets.
    pub(super) registers: &'static [(&'static str, u64)],
}

pub(super) const X86_64: Machine = Machine {
    name: "x86-64",
    elf: 62,
    // `int3`.
    breakpoint: &[0xcc],
    registers: &[
        ("r14", 8),
        ("bx", 40),
        ("ax", 80),
        ("cx", 88),
        ("di", 112),
        ("ip", 128),
    ],
};

pub(super) const ARM64: Machine = Machine {
    name: "arm64",
    elf: 183,
    // `brk #5` (`BRK64_OPCODE_UPROBES`), which is 0xd42000a0.
    breakpoint: &[0xa0, 0x00, 0x20, 0xd4],
    registers: &[("regs", 0), ("sp", 248), ("pc", 256)],
};

/// The one that the observer was built for. The build script knows no other.
pub(super) const OWN: &Machine = if cfg!(target_arch = "x86_64") {
    &X86_64
} else {
    &ARM64
};

#[cfg(test)]
mod tests {
    use super::{ARM64, OWN, X86_64};

    #[test]
    fn this_machine_is_the_one_that_it_was_built_for() {
        let expected = match std::env::consts::ARCH {
            "x86_64" => &X86_64,
            "aarch64" => &ARM64,
            other => panic!("no observer is built for {other}"),
        };
        assert_eq!(OWN.name, expected.name);
        // As this program's own file says.
        let file = std::fs::read("/proc/self/exe").expect("this program");
        assert_eq!(file[18..20], OWN.elf.to_le_bytes());
    }

    #[test]
    fn the_kernel_of_arm64_puts_a_brk_of_its_own() {
        let word = u32::from_le_bytes(ARM64.breakpoint.try_into().expect("one instruction"));
        // `brk` with the number that uprobes have: `AARCH64_BREAK_MON | 5 << 5`.
        assert_eq!((word & 0xffe0_001f, word >> 5 & 0xffff), (0xd420_0000, 5));
    }
}
