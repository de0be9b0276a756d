//! What is tested on which kernel.

use super::kernel::Line;
use crate::arch::Arch;

/// One boot: a kernel, what it is told, and the scenarios that run there.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) kernel: Line,
    pub(crate) arch: Arch,
    /// Another processor than the one of the newest features.
    pub(crate) cpu: Option<&'static str>,
    /// What makes it another than the kernel alone.
    pub(crate) with: &'static str,
    /// More of the kernel's command line.
    pub(crate) append: &'static str,
    /// Variables of its programs, as a shell sets them.
    pub(crate) environment: &'static str,
    /// MiB.
    pub(crate) memory: u32,
    /// Seconds until it is stopped: some twice what it takes on a slow machine.
    pub(crate) bound: u64,
    pub(crate) scenarios: Vec<&'static str>,
}

impl Row {
    fn new(kernel: Line, bound: u64, scenarios: &[&'static str]) -> Self {
        Self {
            kernel,
            arch: Arch::Amd64,
            cpu: None,
            with: "",
            append: "",
            environment: "",
            memory: 1536,
            bound,
            scenarios: scenarios.to_vec(),
        }
    }

    fn and(mut self, more: &[&'static str]) -> Self {
        self.scenarios.extend(more);
        self
    }

    fn told(self, with: &'static str, append: &'static str) -> Self {
        Self {
            with,
            append,
            ..self
        }
    }

    /// On arm64, with more programs and so with more memory.
    fn on_arm64(self) -> Self {
        Self {
            arch: Arch::Arm64,
            with: "arm64",
            memory: 2048,
            ..self
        }
    }

    /// On a processor of arm64 without atomic instructions (v8.0), as the first Graviton is:
    /// Go's atomics are loops there.
    fn without_atomics(self) -> Self {
        Self {
            with: "arm64 cortex-a72",
            cpu: Some("cortex-a72"),
            ..self.on_arm64()
        }
    }

    /// With perf-event links, one a site, where it had `uprobe_multi` ones.
    fn with_perf_links(self) -> Self {
        Self {
            with: "perf links",
            environment: "OBSERVER_LINK=perf",
            ..self
        }
    }

    /// How it is called.
    pub(crate) fn name(&self) -> String {
        match self.with {
            "" => self.kernel.to_string(),
            with => format!("{} {with}", self.kernel),
        }
    }
}

/// What every kernel is to stand. The storm is longest where the verifier knows
/// private stacks (6.13): it took a minute until a program on one was overrun.
const ALL: &[&str] = &["matrix", "state", "storm 60", "end 2", "cgroups pod"];
const OLDER: &[&str] = &["matrix", "state", "storm 20", "end 2", "cgroups pod"];

/// What every kernel of arm64 is to stand. How memory is read hardly depends on one.
const ARM64: &[&str] = &["matrix", "state 1/4", "storm 20", "end 2"];

/// All of them. Those that may take longest are run first. Lines that a machine's packages
/// do not offer are said, not run.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![
        // The oldest that is always to be had: with perf-event links, as up to 6.5.
        Row::new(Line::of(6, 1), 600, OLDER).and(&["overwrite 2"]),
        Row::new(Line::of(6, 12), 600, OLDER).and(&[
            "cgroups host",
            "cgroups unmounted",
            "overwrite 2",
        ]),
        Row::new(Line::below_7(), 600, ALL),
        Row::new(Line::Newest, 600, ALL),
        Row::new(Line::Newest, 600, &["matrix", "storm 60"]).told("preempt=full", "preempt=full"),
        Row::new(Line::of(6, 12), 480, &["matrix", "end 2"]).with_perf_links(),
        Row::new(Line::real_time(6, 12), 300, &["matrix"]),
        Row::new(Line::of(6, 12), 300, &["matrix confidential", "state"])
            .told("lockdown=confidentiality", "lockdown=confidentiality"),
        // What `strict` forbids stays forbidden, so it comes last.
        Row::new(Line::of(6, 12), 300, &["apparmor", "strict"]).told(
            "hardened",
            "apparmor=1 security=apparmor lockdown=integrity",
        ),
    ];
    rows.extend(arm64());
    // Of Ubuntu.
    for line in [Line::of(5, 15), Line::of(6, 6), Line::of(6, 8)] {
        rows.push(Row::new(line, 600, OLDER));
    }
    rows
}

/// Those of arm64, whose programs are in the guests in all releases and ways of building
/// that are tested there, since no other test has a kernel for them.
fn arm64() -> Vec<Row> {
    let rows = [
        // What a file is said to be does not depend on the kernel: once is enough.
        Row::new(
            Line::Newest,
            720,
            &["matrix", "state", "storm 20", "end 2", "inspect"],
        )
        .on_arm64(),
        Row::new(Line::of(6, 12), 600, ARM64).on_arm64(),
        Row::new(Line::of(6, 1), 600, ARM64).without_atomics(),
        // Addresses have 52 bits there.
        Row::new(Line::large_pages(6, 12), 300, &["matrix 1/8", "state 1/8"]).on_arm64(),
    ];
    rows.into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Row, rows};
    use crate::{arch::Arch, vm::kernel::Line};

    #[test]
    fn every_line_is_run_under_names_of_their_own() {
        let rows = rows();
        let names: BTreeSet<_> = rows.iter().map(super::Row::name).collect();
        assert_eq!(names.len(), rows.len());
        for arch in Arch::ALL {
            for line in Line::all(arch) {
                let is_run = |row: &Row| row.arch == arch && row.kernel == line;
                assert!(rows.iter().any(is_run), "{} {line}", arch.name());
            }
        }
    }

    #[test]
    fn the_docs_say_what_is_run() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/kernels.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (_, behind) = text.split_once("-->\n").unwrap();
        let (said, _) = behind.split_once("\n\n").unwrap();
        let line = |row: &Row| format!("| `{}` | {} |", row.name(), row.scenarios.join(", "));
        let mut run = vec![
            "| kernel | scenarios |".to_owned(),
            "| --- | --- |".to_owned(),
        ];
        run.extend(rows().iter().map(line));
        let run = run.join("\n");
        assert_eq!(said, run, "docs/kernels.md must say:\n{run}\n");
    }

    #[test]
    fn ten_builds_of_each_program_that_tells_all() {
        for program in ["workload-", "state-"] {
            let guest = observer_releases::guest();
            let builds = guest.iter().filter(|name| name.starts_with(program));
            assert_eq!(builds.count(), 10, "{program}");
        }
    }

    /// In every way of building, where a C compiler is at hand.
    #[test]
    fn arm64_has_the_releases_that_differ() {
        for program in ["workload-", "state-"] {
            let guest = observer_releases::guest_of_arm64();
            let builds = guest.iter().filter(|name| name.starts_with(program));
            let minors = builds.map(|name| {
                assert!(name.ends_with("-*"), "{name}");
                observer_releases::minor(&name[program.len()..])
            });
            assert_eq!(
                minors.collect::<Vec<_>>(),
                [17, 18, 20, 21, 22, 24, 26, 27],
                "{program}"
            );
        }
    }
}
