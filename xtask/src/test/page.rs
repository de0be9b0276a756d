//! The tests of the page in a browser, and of `observer top` in a terminal.

use std::{ffi::OsString, path::Path};

use anyhow::Result;

use crate::{
    again::{Again, failed_of_pytest},
    arch::Arch,
    image,
    setup::{self, Privilege},
    ui::step,
    workspace::Workspace,
};

/// Runs them as root, which observing needs.
pub(super) fn run(
    workspace: &Workspace,
    fixtures: &Path,
    filter: Option<&str>,
    again: &Again,
) -> Result<()> {
    let observer = image::program(workspace, Arch::Amd64)?;
    let tools = setup::page(workspace)?;
    let shots = workspace.cache.join("page/shots");
    std::fs::create_dir_all(&shots)?;
    let mut variables = vec![
        ("OBSERVER_BIN", observer.into_os_string()),
        ("OBSERVER_FIXTURES", fixtures.as_os_str().to_owned()),
        ("OBSERVER_SHOTS", shots.clone().into_os_string()),
        ("PLAYWRIGHT_BROWSERS_PATH", tools.browsers.into_os_string()),
        // Nothing is left in the checkout.
        ("PYTHONDONTWRITEBYTECODE", "1".into()),
    ];
    variables.extend(
        tools
            .chromium
            .map(|path| ("OBSERVER_CHROMIUM", path.into_os_string())),
    );
    let privilege = Privilege::get(workspace, "testing the page")?;
    let test = |filter: Option<&str>| {
        let mut command = privilege.command(workspace, "env");
        for (name, value) in &variables {
            let mut word = OsString::from(*name);
            word.push("=");
            word.push(value);
            command.arg(word);
        }
        command
            .arg(&tools.python)
            .args(["-m", "pytest", "-p", "no:cacheprovider", "--quiet"])
            .args(["--capture=no", "--durations=5"])
            .arg(setup::page_sources(workspace));
        if let Some(filter) = filter {
            command.args(["-k", filter]);
        }
        command
    };
    step("tests of the page", |step| {
        step.note(format!("screenshots in {}", shots.display()));
        let alone = |name: &str| Ok(test(Some(name)));
        again.run(step, &mut test(filter), failed_of_pytest, alone)
    })
}
