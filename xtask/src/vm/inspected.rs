//! What `observer inspect` says of programs on this machine. A guest of another
//! architecture is to say the same of the same files, its own and foreign ones.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::{
    initramfs::Files,
    programs::{programs, within},
};
use crate::{arch::Arch, image, ui::step, workspace::Workspace};

/// Of an architecture's programs as many, of all releases and ways of building.
const EACH: usize = 8;

/// Gives a guest these answers, and those files that it does not have.
pub(crate) fn add(workspace: &Workspace, files: &mut Files) -> Result<()> {
    let observer = image::program(workspace, Arch::Amd64)?;
    let mut asked = Vec::new();
    for (arch, directory) in [(Arch::Arm64, "/fixtures"), (Arch::Amd64, "/foreign")] {
        for program in some(programs(workspace, arch)?) {
            files.add(&within(directory, &program)?, &program)?;
            asked.push((directory, program));
        }
    }
    step("what is said of programs here", |step| {
        for (directory, program) in &asked {
            let place = within(directory, program)?;
            let (_, name) = place.rsplit_once('/').context("a file without a name")?;
            step.note(name);
            let parent = program.parent().context("a file without a directory")?;
            let mut command = workspace.command(&observer);
            // By its name alone, which is the same there.
            command
                .current_dir(parent)
                .args(["inspect", "--json", name]);
            let said = step.output(&mut command)?;
            files.text(&format!("/inspected{place}"), said);
        }
        step.note(format!("{} files", asked.len()));
        Ok(())
    })
}

/// Some workloads, evenly.
fn some(mut programs: Vec<PathBuf>) -> Vec<PathBuf> {
    programs.retain(|program| {
        let name = program.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with("workload-")
    });
    let all = programs.len();
    let each = all.div_ceil(EACH).max(1);
    // One further in each, lest it be the same way of building every time.
    let places = (0..all).step_by(each).enumerate();
    let places = places.map(|(turn, begin)| (begin + turn % each).min(all - 1));
    places.map(|place| programs[place].clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{EACH, some};

    #[test]
    fn some_are_of_every_release_and_of_several_ways() {
        let name = |n: usize| PathBuf::from(format!("/x/workload-{}-{}", n / 6, n % 6));
        let chosen = some((0..48).map(name).chain(["/x/state-0-0".into()]).collect());
        assert_eq!(chosen.len(), EACH);
        for (n, file) in chosen.iter().enumerate() {
            assert_eq!(file, &name(6 * n + n % 6));
        }
        assert!(some(Vec::new()).is_empty());
    }
}
