//! What an architecture's virtual machine is made of.

use anyhow::{Result, bail};

use crate::arch::Arch;

/// An emulated machine with two serial lines.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) qemu: &'static str,
    /// Besides what all machines are told.
    pub(crate) arguments: &'static [&'static str],
    /// What the kernel says goes there.
    pub(crate) console: &'static str,
    /// What the command says goes there.
    pub(crate) results: &'static str,
}

const AMD64: Machine = Machine {
    qemu: "qemu-system-x86_64",
    arguments: &["-cpu", "max"],
    console: "ttyS0",
    results: "ttyS1",
};

impl Machine {
    pub(crate) fn of(arch: Arch) -> Result<&'static Self> {
        match arch {
            Arch::Amd64 => Ok(&AMD64),
            Arch::Arm64 => bail!("virtual machines are made for amd64 only; leave out --arch"),
        }
    }
}
