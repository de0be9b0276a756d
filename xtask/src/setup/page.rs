//! What the tests of the page need: Python's Playwright, and a Chromium.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{
    apt::{self, Need},
    python,
};
use crate::{
    ui::{Step, step},
    workspace::Workspace,
};

const NEEDS: &[Need] = &[
    python::VENV,
    Need::command("tmux", "tmux"),
    Need::command("curl", "curl"),
];
/// Debian's; what is called chromium-browser may be a stub for a snap.
const CHROMIUM: &str = "chromium-headless-shell";
const BROWSERS: [&str; 3] = [CHROMIUM, "chromium", "google-chrome"];

/// What the tests of the page are run with.
#[derive(Debug)]
pub(crate) struct PageTools {
    /// Of an environment of its own.
    pub(crate) python: PathBuf,
    /// `None` where Playwright has its own.
    pub(crate) chromium: Option<PathBuf>,
    /// Where Playwright keeps its own.
    pub(crate) browsers: PathBuf,
}

/// Where the tests are.
pub(crate) fn sources(workspace: &Workspace) -> PathBuf {
    workspace.root.join("tests/page")
}

/// Installs what is missing.
pub(crate) fn page(workspace: &Workspace) -> Result<PageTools> {
    apt::install(workspace, "Debian packages to test the page", NEEDS)?;
    let root = workspace.cache.join("page");
    let browsers = root.join("browsers");
    let wanted = sources(workspace).join("requirements.txt");
    let python = step("Playwright", |step| {
        python::environment(workspace, step, &root, &wanted)
    })?;
    let find = || BROWSERS.iter().find_map(|name| workspace.which(name));
    let mut chromium = find();
    if chromium.is_none() {
        step("Chromium", |step| {
            browser(workspace, step, &python, &browsers)
        })?;
        chromium = find();
    }
    Ok(PageTools {
        python,
        chromium,
        browsers,
    })
}

/// The distribution's where it has one that is no snap, else Playwright's own.
fn browser(workspace: &Workspace, step: &Step, python: &Path, browsers: &Path) -> Result<()> {
    let privilege = apt::privilege(workspace, &[CHROMIUM])?;
    apt::update(workspace, step, privilege);
    if apt::has_candidate(workspace, CHROMIUM) {
        return apt::install_now(workspace, step, privilege, &[CHROMIUM]);
    }
    let mut command = privilege.command(workspace, "env");
    command
        .arg(format!("PLAYWRIGHT_BROWSERS_PATH={}", browsers.display()))
        .arg(python)
        .args([
            "-m",
            "playwright",
            "install",
            "--with-deps",
            "--only-shell",
            "chromium",
        ]);
    step.run(&mut command)
}
