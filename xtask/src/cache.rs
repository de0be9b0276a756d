//! Where everything that outlives a checkout is kept, so that a fresh clone
//! starts warm.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

/// Overrides the place of the cache.
pub(crate) const VARIABLE: &str = "GO_OBSERVER_CACHE";

/// The cache directory and the names of what lies in it.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `$GO_OBSERVER_CACHE`, else `$XDG_CACHE_HOME/go-observer`, else
    /// `~/.cache/go-observer`; created if it is not there.
    pub(crate) fn open() -> Result<Self> {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        let root = if let Some(root) = set(VARIABLE) {
            PathBuf::from(root)
        } else if let Some(base) = set("XDG_CACHE_HOME") {
            PathBuf::from(base).join("go-observer")
        } else if let Some(home) = set("HOME") {
            PathBuf::from(home).join(".cache/go-observer")
        } else {
            bail!("no place for the cache: set {VARIABLE} to a directory, or HOME");
        };
        ensure!(
            root.is_absolute(),
            "the cache {} is not an absolute path: set {VARIABLE} to one",
            root.display()
        );
        fs::create_dir_all(&root).with_context(|| {
            format!(
                "cannot create the cache {}: make it writable, or set {VARIABLE} to another place",
                root.display()
            )
        })?;
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Root of `cargo install` for bpf-linker and cargo-fuzz.
    pub(crate) fn tools(&self) -> PathBuf {
        self.root.join("tools")
    }

    /// Cargo's target directory, unless the caller has set their own.
    pub(crate) fn target(&self) -> PathBuf {
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), PathBuf::from)
    }

    /// One directory a Go version, each a GOROOT.
    pub(crate) fn go(&self) -> PathBuf {
        self.root.join("go")
    }

    pub(crate) fn go_build(&self) -> PathBuf {
        self.root.join("gocache")
    }

    pub(crate) fn fixtures(&self) -> PathBuf {
        self.root.join("fixtures")
    }

    pub(crate) fn fuzz_corpus(&self) -> PathBuf {
        self.root.join("fuzz-corpus")
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Removes the whole cache.
    pub(crate) fn remove(&self) -> Result<()> {
        // Refuse what was evidently never filled by these commands.
        let known = ["tools", "target", "go", "gocache", "fixtures"];
        let empty = fs::read_dir(&self.root)?.next().is_none();
        ensure!(
            empty || known.iter().any(|name| self.root.join(name).exists()),
            "{} does not look like the cache of go-observer: it has none of {}",
            self.root.display(),
            known.join(", ")
        );
        remove_tree(&self.root)
    }
}

/// Removes a tree that may hold read-only directories, as Go's module cache
/// does.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    make_writable(path)?;
    fs::remove_dir_all(path).with_context(|| format!("cannot remove {}", path.display()))
}

/// Gives the owner write permission to everything below `path`.
pub(crate) fn make_writable(path: &Path) -> Result<()> {
    let status = Command::new("chmod")
        .args(["-R", "u+w", "--"])
        .arg(path)
        .status()
        .context("cannot run chmod")?;
    ensure!(
        status.success(),
        "cannot make {} writable ({status}): it belongs to another user?",
        path.display()
    );
    Ok(())
}
