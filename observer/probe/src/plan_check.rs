//! Whether a file is the one that a plan of probes was made for.

use std::{fs::File, os::unix::fs::FileExt as _, path::Path};

use observer_go::binary::SitePlan;

use super::{ProbeError, machine};

/// Where a file of the ELF format says what it is, and the machine that it is for.
const MAGIC: &[u8] = b"\x7fELF";
const MACHINE: u64 = 18;

/// Fails where the file is for another machine than this. Whatever emulates that one
/// would take a breakpoint of this one for instructions.
pub(super) fn check_machine(file: &File, path: &Path) -> Result<(), ProbeError> {
    let expected = machine::OWN;
    let is = |place, bytes: &[u8]| {
        let mut found = vec![0; bytes.len()];
        file.read_exact_at(&mut found, place).is_ok() && found == bytes
    };
    if is(0, MAGIC) && is(MACHINE, &expected.elf.to_le_bytes()) {
        return Ok(());
    }
    Err(ProbeError::ForeignFile {
        path: path.to_owned(),
        expected: expected.name,
    })
}

/// Fails where the file has other instructions at a site than the plan. To be asked
/// while a lease keeps writers from the file: it is true as long as that.
pub(super) fn check(file: &File, path: &Path, plan: &SitePlan) -> Result<(), ProbeError> {
    for site in &plan.sites {
        let mut found = vec![0; site.text.bytes.len()];
        let read = file.read_exact_at(&mut found, site.text.offset);
        if read.is_err() || found != site.text.bytes {
            return Err(ProbeError::Changed {
                path: path.to_owned(),
                function: site.function.clone(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write as _, path::Path};

    use observer_ebpf::SiteKind;
    use observer_go::binary::{Site, SitePlan, Text};

    use super::{check, check_machine};
    use crate::{
        ProbeError,
        machine::{ARM64, OWN, X86_64},
    };

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(content).expect("writable");
        file
    }

    #[test]
    fn only_a_file_for_this_machine_passes() {
        let path = Path::new("/srv/app");
        let elf = |machine: u16| {
            let head = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0";
            file(&[&head[..], &machine.to_le_bytes()].concat())
        };
        for machine in [X86_64, ARM64] {
            let checked = check_machine(&elf(machine.elf), path);
            assert_eq!(checked.is_ok(), machine.elf == OWN.elf, "{checked:?}");
        }
        assert!(check_machine(&elf(0), path).is_err());
        let none = check_machine(&file(b"#!/bin/sh"), path);
        assert!(
            matches!(none, Err(ProbeError::ForeignFile { .. })),
            "{none:?}"
        );
        let own = File::open("/proc/self/exe").expect("this program");
        assert!(check_machine(&own, path).is_ok());
    }

    #[test]
    fn only_the_file_that_was_inspected_passes() {
        let site = Site {
            kind: SiteKind::GoroutineCreated,
            function: "runtime.newproc1".to_owned(),
            address: 0x40_0004,
            offset: 4,
            instruction: "push rbp".to_owned(),
            emulated: true,
            weight: 1,
            aux: 0,
            text: Text {
                offset: 4,
                bytes: b"text".to_vec(),
            },
        };
        let plan = SitePlan {
            sites: vec![site],
            ..SitePlan::default()
        };
        let path = Path::new("/srv/app");
        assert!(check(&file(b"someTEXT"), path, &plan).is_err());
        let cut = check(&file(b"somete"), path, &plan);
        assert!(matches!(cut, Err(ProbeError::Changed { .. })), "{cut:?}");
        assert!(check(&file(b"sometext"), path, &plan).is_ok());
    }
}
