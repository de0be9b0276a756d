//! Several checkouts share one target directory in the cache, and cargo tells
//! their packages apart only by the age of the files: what another checkout
//! built last would pass for the build of an older one.

use std::{
    fs::{self, File},
    path::Path,
    time::SystemTime,
};

use anyhow::{Context as _, Result};

/// Where packages of the workspace lie, relative to its root.
const PACKAGES: [&str; 7] = [
    "observer",
    "observer-ebpf",
    "tests/guest",
    "tests/kit",
    "tests/src",
    "tests/tests",
    "xtask",
];

/// Makes the target directory this checkout's. Where another one used it last,
/// this checkout's sources are marked as new, so that cargo builds them again;
/// what both took from registries stays built.
pub(crate) fn claim(root: &Path, target: &Path) -> Result<()> {
    let stamp = target.join("checkout");
    let owner = root.to_string_lossy();
    if fs::read_to_string(&stamp).is_ok_and(|last| last == owner) {
        return Ok(());
    }
    let now = SystemTime::now();
    for package in PACKAGES {
        touch(&root.join(package), now)
            .with_context(|| format!("cannot mark the sources in {package} as new"))?;
    }
    fs::create_dir_all(target)
        .and_then(|()| fs::write(&stamp, owner.as_bytes()))
        .with_context(|| format!("cannot write {}", stamp.display()))
}

fn touch(directory: &Path, now: SystemTime) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            touch(&path, now)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            File::options()
                .append(true)
                .open(&path)?
                .set_modified(now)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{env, fs, time::Duration};

    use super::{PACKAGES, claim};

    #[test]
    fn only_a_change_of_checkout_makes_sources_new() {
        let base = env::temp_dir().join(format!("checkout-{}", std::process::id()));
        let target = base.join("target");
        let source = |checkout: &str| base.join(checkout).join("observer/lib.rs");
        for checkout in ["one", "two"] {
            for package in PACKAGES {
                fs::create_dir_all(base.join(checkout).join(package)).unwrap();
            }
            fs::write(source(checkout), "").unwrap();
        }
        let age = |checkout: &str| {
            let modified = fs::metadata(source(checkout)).unwrap().modified().unwrap();
            modified.elapsed().unwrap_or_default()
        };
        let old = std::time::SystemTime::now() - Duration::from_secs(3600);
        let make_old = |checkout: &str| {
            let file = fs::File::options()
                .append(true)
                .open(source(checkout))
                .unwrap();
            file.set_modified(old).unwrap();
        };
        claim(&base.join("one"), &target).unwrap();
        make_old("one");
        claim(&base.join("one"), &target).unwrap();
        assert!(
            age("one") > Duration::from_secs(3000),
            "claimed again, nothing to do"
        );
        make_old("two");
        claim(&base.join("two"), &target).unwrap();
        assert!(age("two") < Duration::from_secs(60), "the other built last");
        claim(&base.join("one"), &target).unwrap();
        assert!(age("one") < Duration::from_secs(60), "and back");
        fs::remove_dir_all(base).unwrap();
    }
}
