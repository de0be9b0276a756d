//! The import graph: who names what is defined where, between files, rooms and crates.
//!
//! There is no circle in it, and no arrow that runs back up. `ARCHITECTURE.md` says in
//! its first blocks which crate and which room is above which, and the check reads them
//! there. A room is a folder at the top of a crate.
//!
//! An arrow leads from the file that names an item to the file that defines it. `mod`
//! is no arrow, and neither is `pub use` of a module's own child: whoever imports the
//! item from there imports it from the child. Methods are called without naming where
//! they are defined, so the files among which an `impl` is spread are arrows to the
//! type alone. What is there for tests only is a file of its own beside the rest of its
//! file; it may look at every room.

mod circles;
mod faults;
mod order;
mod packages;
mod reader;
mod rooms;
mod said;
#[cfg(test)]
mod tests;
mod tree;

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};

use self::{order::Order, reader::read, tree::Tree};
use crate::{ui::step, workspace::Workspace};

/// Where the order of crates and rooms stands.
const ORDER: &str = "ARCHITECTURE.md";

/// Fails where the graph has a circle, or an arrow that runs back up.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    step("import graph", |step| {
        let packages = packages::all(workspace, step)?;
        let text = fs::read_to_string(workspace.root.join(ORDER))
            .with_context(|| format!("cannot read {ORDER}"))?;
        let order = Order::parse(&text)?;
        let mut tree = Tree::default();
        let source = |path: &Path| fs::read_to_string(workspace.root.join(path)).ok();
        read(&mut tree, &packages, &source)?;
        let arrows = tree.arrows();
        let faults = faults::all(&packages, &tree, &arrows, &order);
        step.note(format!(
            "{} files, {} arrows",
            tree.files.len(),
            arrows.len()
        ));
        ensure!(faults.is_empty(), "{}", faults.join("\n\n"));
        Ok(())
    })
}
