//! What an architecture's virtual machine is made of.

use std::path::Path;

use crate::arch::Arch;

/// An emulated machine.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) qemu: &'static str,
    /// Besides what all machines are told.
    pub(crate) arguments: &'static [&'static str],
    /// Its processor, where a guest asks for no other one.
    pub(crate) cpu: &'static str,
    /// What the kernel says goes to this serial line.
    pub(crate) console: &'static str,
    /// What the command says goes to this one. A machine may have only one.
    pub(crate) results: &'static str,
}

const AMD64: Machine = Machine {
    qemu: "qemu-system-x86_64",
    arguments: &[],
    cpu: "max",
    console: "ttyS0",
    results: "ttyS1",
};

const ARM64: Machine = Machine {
    qemu: "qemu-system-aarch64",
    arguments: &["-machine", "virt"],
    // Pointers are signed with a cipher that is cheap to emulate: the kernel signs one at
    // each call.
    cpu: "max,pauth-impdef=on",
    console: "ttyAMA0",
    results: "ttyAMA0",
};

impl Machine {
    pub(crate) const fn of(arch: Arch) -> &'static Self {
        match arch {
            Arch::Amd64 => &AMD64,
            Arch::Arm64 => &ARM64,
        }
    }

    /// Its serial lines, for the emulator: the results go to its standard output, and
    /// what the kernel says to a file. On a single line it is both.
    pub(crate) fn lines(&self, console: &Path) -> Vec<String> {
        let console = console.display();
        let results = "stdio,id=results,signal=off";
        let mut lines = Vec::new();
        if self.console == self.results {
            lines.push("-chardev".to_owned());
            lines.push(format!("{results},logfile={console}"));
        } else {
            lines.push("-serial".to_owned());
            lines.push(format!("file:{console}"));
            lines.push("-chardev".to_owned());
            lines.push(results.to_owned());
        }
        lines.extend(["-serial", "chardev:results"].map(str::to_owned));
        lines
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{AMD64, ARM64};

    #[test]
    fn the_console_is_kept_whether_or_not_it_has_a_line_of_its_own() {
        let lines = |machine: &super::Machine| machine.lines(Path::new("/c")).join(" ");
        assert_eq!(
            lines(&AMD64),
            "-serial file:/c -chardev stdio,id=results,signal=off -serial chardev:results"
        );
        assert_eq!(
            lines(&ARM64),
            "-chardev stdio,id=results,signal=off,logfile=/c -serial chardev:results"
        );
    }
}
