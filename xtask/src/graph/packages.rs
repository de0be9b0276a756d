//! The workspace's packages, as cargo tells them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{ui::Step, workspace::Workspace};

/// A workspace of its own, since it is built with its own flags.
const FUZZ: &str = "tests/fuzz/Cargo.toml";

/// A crate with all that it builds.
#[derive(Clone, Debug, Default)]
pub(super) struct Package {
    /// As dependencies name it.
    pub(super) name: String,
    /// Its folder in the workspace.
    pub(super) directory: PathBuf,
    pub(super) targets: Vec<Target>,
    /// Packages of the workspace that it is built from; those for its tests are left out.
    pub(super) needs: Vec<String>,
}

impl Package {
    /// What `ARCHITECTURE.md` calls it: its folder's name.
    pub(super) fn short(&self) -> String {
        let name = self.directory.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

/// Something that is built of one root file and its modules.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    /// How other crates name it, where they can.
    pub(super) library: Option<String>,
    /// Its root file in the workspace.
    pub(super) root: PathBuf,
}

/// All of them.
pub(super) fn all(workspace: &Workspace, step: &Step) -> Result<Vec<Package>> {
    let mut all = Vec::new();
    for manifest in ["Cargo.toml", FUZZ] {
        let mut command = workspace.cargo(["metadata", "--no-deps", "--format-version=1"]);
        command.arg("--manifest-path");
        let told = step.output(command.arg(workspace.root.join(manifest)))?;
        let told: Value = serde_json::from_str(&told).context("cargo metadata gave no JSON")?;
        let packages = told["packages"].as_array().into_iter().flatten();
        all.extend(packages.map(|package| of(&workspace.root, package)));
    }
    Ok(all)
}

fn of(root: &Path, package: &Value) -> Package {
    let within = |path: &Value| {
        let path = Path::new(path.as_str().unwrap_or_default());
        path.strip_prefix(root).unwrap_or(path).to_path_buf()
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let targets = package["targets"].as_array().into_iter().flatten();
    let needs = package["dependencies"].as_array().into_iter().flatten();
    let needs = needs.filter(|it| it["path"].is_string() && it["kind"] != "dev");
    let mut directory = within(&package["manifest_path"]);
    directory.pop();
    Package {
        name: text(&package["name"]),
        directory,
        targets: targets
            .map(|target| Target {
                library: (target["kind"][0] == "lib").then(|| text(&target["name"])),
                root: within(&target["src_path"]),
            })
            .collect(),
        needs: needs.map(|need| text(&need["name"])).collect(),
    }
}
