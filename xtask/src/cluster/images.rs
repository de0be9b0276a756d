//! Images come from files: nothing can be pulled.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::layout::{Cluster, Node};
use crate::{
    fixtures::hash,
    ui::{Step, step},
    workspace::Workspace,
};

/// Every pod's first container.
pub(super) const PAUSE: &str = "localhost/go-observer/pause:1";
const PAUSE_SOURCE: &str = include_str!("pause.c");

/// Builds the pause image, unless it is there.
pub(super) fn build_pause(workspace: &Workspace) -> Result<()> {
    let archive = pause_archive(workspace);
    step("pause image", |step| {
        if archive.exists() {
            step.note("already there");
            return Ok(());
        }
        let work = archive.with_extension("part");
        fs::remove_dir_all(&work).ok();
        fs::create_dir_all(work.join("root"))?;
        fs::write(work.join("pause.c"), PAUSE_SOURCE)?;
        let mut command = workspace.command("cc");
        command
            .args(["-static", "-Os", "-s", "-Wall", "-Werror", "-o"])
            .arg(work.join("root/pause"))
            .arg(work.join("pause.c"));
        step.run(&mut command)?;
        pack(workspace, step, &work, PAUSE, "/pause")?;
        fs::rename(work.join("image.tar"), &archive)
            .with_context(|| format!("cannot write {}", archive.display()))?;
        fs::remove_dir_all(&work)?;
        let size = fs::metadata(&archive)?.len();
        step.note(format!("{} kB", size / 1000));
        Ok(())
    })
}

fn pause_archive(workspace: &Workspace) -> PathBuf {
    let hash = hash::of([PAUSE_SOURCE, PAUSE]);
    workspace
        .cache
        .join(&format!("cluster/bin/pause-{}.tar", &hash[..12]))
}

/// Packs `work/root` as a docker archive `work/image.tar` of one layer.
fn pack(workspace: &Workspace, step: &Step, work: &Path, name: &str, program: &str) -> Result<()> {
    let tar = |directory: &Path, to: &str, names: &[&str]| {
        let mut command = workspace.command("tar");
        command
            .args(["--owner=0", "--group=0", "--mtime=@0", "--sort=name"])
            .arg("-C")
            .arg(directory)
            .arg("-cf")
            .arg(work.join(to))
            .args(names);
        step.run(&mut command)
    };
    tar(&work.join("root"), "layer.tar", &["."])?;
    let mut command = workspace.command("sha256sum");
    let sum = step.output(command.arg(work.join("layer.tar")))?;
    let sum = sum.split(' ').next().unwrap_or_default();
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "config": { "Entrypoint": [program], "User": "65535:65535" },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{sum}")] },
    });
    let manifest = json!([{
        "Config": "config.json",
        "RepoTags": [name],
        "Layers": ["layer.tar"],
    }]);
    fs::write(work.join("config.json"), config.to_string())?;
    fs::write(work.join("manifest.json"), manifest.to_string())?;
    tar(
        work,
        "image.tar",
        &["manifest.json", "config.json", "layer.tar"],
    )
}

/// Gives a node the pause image, unless it has it.
pub(super) fn import_pause(cluster: &Cluster<'_>, step: &Step, node: Node) -> Result<()> {
    let mut command = cluster.ctr(node);
    let there = step.output(command.args(["images", "list", "-q", &format!("name=={PAUSE}")]))?;
    if there.trim().is_empty() {
        import(cluster, step, node, &pause_archive(cluster.workspace))?;
    }
    Ok(())
}

/// `cluster load-image`: gives both nodes the images of these archives.
pub(super) fn load(cluster: &Cluster<'_>, files: &[PathBuf]) -> Result<()> {
    for file in files {
        ensure!(
            file.is_file(),
            "no file {}: expected an OCI or docker archive",
            file.display()
        );
        step(&format!("load {}", file.display()), |step| {
            let mut names = String::new();
            for node in Node::ALL {
                names = import(cluster, step, node, file)?;
            }
            step.note(names);
            Ok(())
        })?;
    }
    Ok(())
}

/// Returns the names of the images.
fn import(cluster: &Cluster<'_>, step: &Step, node: Node, file: &Path) -> Result<String> {
    let mut command = cluster.ctr(node);
    command.args(["images", "import"]).arg(file);
    let said = step
        .output(&mut command)
        .with_context(|| format!("cannot import {} into {}", file.display(), node.name()))?;
    let names = said
        .lines()
        .filter_map(|line| line.strip_prefix("unpacking ")?.split(' ').next());
    Ok(names.collect::<Vec<_>>().join(" "))
}
