//! The steps of the test command: which are run, and what they need on a new machine.

use clap::ValueEnum;

/// A step of the test command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stage {
    /// Install what is missing.
    Setup,
    /// Format of Rust and Go.
    Format,
    /// Clippy on every package, warnings are errors; and what dependencies may be.
    Lints,
    /// Unit tests.
    Unit,
    /// Release build of the product for both architectures, as it is in the image.
    Build,
    /// The Go programs.
    Fixtures,
    /// A short fuzz run.
    Fuzz,
    /// Tests on the real kernel.
    Kernel,
    /// Tests on other kernels, in virtual machines.
    Kernels,
    /// Tests of the page in a browser.
    Page,
    /// Tests in a real cluster of two nodes.
    Cluster,
}

impl Stage {
    pub(super) fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }
}

/// The steps to run. A name of a test leaves out what runs no tests.
pub(super) fn select(filter: Option<&str>, only: &[Stage]) -> Vec<Stage> {
    use Stage::{
        Build, Cluster, Fixtures, Format, Fuzz, Kernel, Kernels, Lints, Page, Setup, Unit,
    };
    let all = [
        Setup, Format, Lints, Unit, Build, Fixtures, Fuzz, Kernel, Kernels, Page, Cluster,
    ];
    all.into_iter()
        .filter(|stage| match (only, filter) {
            ([], None) => true,
            ([], Some(_)) => !matches!(stage, Format | Lints | Fuzz | Page),
            (only, _) => only.contains(stage),
        })
        .collect()
}

/// What is installed before the first step, where set-up is none of them: whoever names
/// a step may have a new machine.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Needed {
    Nothing,
    /// What building needs: no virtual machines and no browser for unit tests.
    Build,
    Everything,
}

pub(super) fn needed(stages: &[Stage]) -> Needed {
    let of = |stage: &Stage| match stage {
        // They look for themselves.
        Stage::Setup | Stage::Build => Needed::Nothing,
        Stage::Format | Stage::Lints | Stage::Unit => Needed::Build,
        Stage::Fixtures
        | Stage::Fuzz
        | Stage::Kernel
        | Stage::Kernels
        | Stage::Page
        | Stage::Cluster => Needed::Everything,
    };
    if stages.contains(&Stage::Setup) {
        return Needed::Nothing;
    }
    stages.iter().map(of).max().unwrap_or(Needed::Nothing)
}

#[cfg(test)]
mod tests {
    use super::{Needed, Stage, needed, select};

    #[test]
    fn a_filter_runs_tests_only() {
        let stages = select(Some("gc"), &[]);
        assert!(stages.contains(&Stage::Kernel) && !stages.contains(&Stage::Lints));
        assert_eq!(select(Some("gc"), &[Stage::Unit]), [Stage::Unit]);
    }

    #[test]
    fn a_step_that_is_named_gets_what_it_needs() {
        assert_eq!(needed(&select(None, &[])), Needed::Nothing);
        assert_eq!(needed(&select(Some("gc"), &[])), Needed::Nothing);
        assert_eq!(needed(&[Stage::Build]), Needed::Nothing);
        assert_eq!(needed(&[Stage::Unit]), Needed::Build);
        let several = [Stage::Unit, Stage::Build, Stage::Kernel];
        assert_eq!(needed(&several), Needed::Everything);
    }
}
