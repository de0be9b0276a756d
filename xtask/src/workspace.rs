//! The checkout, its pinned toolchain, and commands started with a clean
//! environment.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{cache::Cache, checkout};

/// What every subcommand works on.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// The product's Rust version, from the workspace manifest.
    pub(crate) toolchain: String,
    pub(crate) cache: Cache,
}

impl Workspace {
    pub(crate) fn open() -> Result<Self> {
        // Set by `cargo run`; the compiled-in one serves a direct start.
        let package = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let root = package
            .parent()
            .with_context(|| format!("{} has no parent directory", package.display()))?
            .to_path_buf();
        let manifest = root.join("Cargo.toml");
        let text = fs::read_to_string(&manifest)
            .with_context(|| format!("cannot read {}", manifest.display()))?;
        let toolchain = pinned_toolchain(&text).with_context(|| {
            format!(
                "{} names no toolchain: expected rust-version = \"X.Y.Z\" in [workspace.package]",
                manifest.display()
            )
        })?;
        let cache = Cache::open()?;
        checkout::claim(&root, &cache.target())?;
        Ok(Self {
            root,
            toolchain: toolchain.to_owned(),
            cache,
        })
    }

    /// Where `cargo xtask build` leaves the product.
    pub(crate) fn observer(&self) -> PathBuf {
        self.root.join("target/release/observer")
    }

    /// The cargo of the pinned toolchain, in the checkout.
    pub(crate) fn cargo<I, S>(&self, args: I) -> Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut command = self.rustup();
        command
            .args(["run", &self.toolchain, "cargo"])
            .args(args)
            .env("CARGO_TARGET_DIR", self.cache.target());
        if in_ci() {
            // Never reused there, and it would fill the cache.
            command.env("CARGO_INCREMENTAL", "0");
        }
        command
    }

    /// Fetches what the next argument names to a file, over TLS only.
    pub(crate) fn download(&self, to: &Path) -> Command {
        let mut command = self.command("curl");
        command
            .args(["--proto", "=https", "--tlsv1.2", "-sSf"])
            .args(["--retry", "3", "-o"])
            .arg(to);
        command
    }

    pub(crate) fn rustup(&self) -> Command {
        self.command(find_rustup().unwrap_or_else(|| "rustup".into()))
    }

    /// Any program, in the checkout, with an environment as if xtask had not
    /// been started through cargo.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(leaks) {
                command.env_remove(name);
            }
        }
        match library_path() {
            Some(path) if !path.is_empty() => command.env("LD_LIBRARY_PATH", path),
            _ => command.env_remove("LD_LIBRARY_PATH"),
        };
        command.env("PATH", self.path());
        command
    }

    /// `PATH` with our tools, rustup, and the places of administration
    /// commands that an ordinary user's lacks.
    pub(crate) fn path(&self) -> OsString {
        let mut entries = vec![self.cache.tools().join("bin")];
        entries.extend(find_rustup().and_then(|rustup| rustup.parent().map(Path::to_path_buf)));
        entries.extend(
            env::var_os("PATH")
                .iter()
                .flat_map(|path| env::split_paths(path).collect::<Vec<_>>()),
        );
        entries.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
        let mut unique = Vec::new();
        for entry in entries {
            if !unique.contains(&entry) {
                unique.push(entry);
            }
        }
        env::join_paths(unique).unwrap_or_default()
    }

    /// Finds a program in [`Self::path`].
    pub(crate) fn which(&self, program: &str) -> Option<PathBuf> {
        env::split_paths(&self.path())
            .map(|directory| directory.join(program))
            .find(|path| is_executable(path))
    }
}

/// True on a machine that says it runs a pipeline.
pub(crate) fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

/// rustup from `PATH`, or from where its installer puts it.
pub(crate) fn find_rustup() -> Option<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let default = env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    env::var_os("PATH")
        .iter()
        .flat_map(|path| env::split_paths(path).collect::<Vec<_>>())
        .chain(home.into_iter().chain(default).map(|home| home.join("bin")))
        .map(|directory| directory.join("rustup"))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Variables that cargo and rustup set for their child and that would choose
/// a toolchain or a package for the grandchildren.
fn leaks(name: &str) -> bool {
    matches!(
        name,
        "RUSTUP_TOOLCHAIN"
            | "RUSTUP_TOOLCHAIN_SOURCE"
            | "RUST_RECURSION_COUNT"
            | "RUSTC"
            | "RUSTDOC"
            | "CARGO"
            | "CARGO_MANIFEST_DIR"
            | "CARGO_MANIFEST_PATH"
            | "CARGO_MANIFEST_LINKS"
            | "CARGO_CRATE_NAME"
            | "CARGO_BIN_NAME"
            | "CARGO_PRIMARY_PACKAGE"
            | "OUT_DIR"
    ) || name.starts_with("CARGO_PKG_")
}

/// `LD_LIBRARY_PATH` without what `cargo run` has put before it: libraries of
/// another toolchain must not get into our tools.
fn library_path() -> Option<OsString> {
    let path = env::var_os("LD_LIBRARY_PATH")?;
    let kept = env::split_paths(&path).filter(|entry| {
        !entry.components().any(|part| {
            let part = part.as_os_str();
            part == "toolchains" || part == "rustlib" || part == "target"
        })
    });
    env::join_paths(kept).ok()
}

/// `rust-version` of `[workspace.package]`.
fn pinned_toolchain(manifest: &str) -> Option<&str> {
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[workspace.package]";
        } else if inside {
            if let Some(("rust-version", value)) =
                line.split_once('=').map(|(key, value)| (key.trim(), value))
            {
                return value.trim().strip_prefix('"')?.split('"').next();
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::pinned_toolchain;

    #[test]
    fn the_toolchain_is_the_workspaces_not_a_packages() {
        let manifest = "[package]\nrust-version = \"1.85\"\n[workspace.package]\nedition = \"2024\"\nrust-version = \"1.98.0\" # pinned\n";
        assert_eq!(pinned_toolchain(manifest), Some("1.98.0"));
        assert_eq!(pinned_toolchain("[workspace.package]\n"), None);
    }
}
