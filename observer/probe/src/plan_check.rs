//! Whether a file is the one that a plan of probes was made for.

use std::{fs::File, os::unix::fs::FileExt as _, path::Path};

use observer_go::binary::SitePlan;

use super::ProbeError;

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

    use super::check;
    use crate::ProbeError;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(content).expect("writable");
        file
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
