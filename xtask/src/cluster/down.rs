//! Stops exactly what was started, and leaves nothing.

use anyhow::Result;

use super::{cgroups, components, layout::Cluster, network, process, sweep};
use crate::ui::step;

/// Ends all of it.
pub(super) fn all(cluster: &Cluster<'_>) -> Result<()> {
    // What follows removes things by names that all clusters share.
    if !network::is_ours(cluster) {
        return step("stop components", |step| {
            step.note(format!("none was started in {}", cluster.dir.display()));
            Ok(())
        });
    }
    let mut components = components::all(cluster);
    // Who keeps pods alive ends before who runs them, and clients before
    // their servers, which would wait for them.
    components.reverse();
    step("stop components", |step| {
        let mut stopped = 0;
        for one in &components {
            step.note(&one.name);
            stopped += usize::from(process::find(cluster, &one.name).is_some());
            process::stop(cluster, &one.name, one.patience)?;
        }
        step.note(match stopped {
            0 => "none ran".to_owned(),
            stopped => stopped.to_string(),
        });
        Ok(())
    })?;
    step("remove pods, mounts, network", |step| {
        step.note("processes of pods");
        cgroups::kill()?;
        sweep::shims(cluster)?;
        // A shim may have started one more.
        cgroups::kill()?;
        sweep::mounts(cluster, step)?;
        cgroups::remove()?;
        network::remove(cluster, step)?;
        sweep::strays(cluster);
        sweep::folder(cluster)?;
        step.note(format!("logs stay in {}", cluster.path("logs").display()));
        Ok(())
    })
}

/// `cluster stop`: one component; its pods go on.
pub(super) fn one(cluster: &Cluster<'_>, name: &str) -> Result<()> {
    let component = components::find(cluster, name)?;
    step(&format!("stop {name}"), |_| {
        process::stop(cluster, name, component.patience)
    })
}
