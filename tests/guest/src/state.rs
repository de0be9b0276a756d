//! `state [N/M]`: many builds at once; what is read from the runtimes' memory is what
//! each program says of itself, whether or not this kernel takes probes. `N/M`: only
//! this share of the builds.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use observer_testkit::{
    Observer,
    program::Program,
    served_state::{awaited, differing},
};

use crate::builds;

/// Builds at once.
const BUILDS: usize = 10;
/// Until a program is read. Without probes a new one is found by a scan.
const READ: Duration = Duration::from_secs(20);
/// Looks at programs that stand still: a runtime may start a thread between two
/// looks, which allocates; what is read wrongly is so each time.
const LOOKS: usize = 5;

pub(crate) fn run(arguments: &[String]) {
    let observer = Observer::start();
    let files = builds::share(builds::of("state", BUILDS), arguments);
    for at_once in files.chunks(BUILDS) {
        compare(&observer, at_once);
    }
}

fn compare(observer: &Observer, files: &[PathBuf]) {
    let mut programs: Vec<_> = files
        .iter()
        .map(|file| (builds::name(file), Program::start(file)))
        .collect();
    for (_, program) in &programs {
        awaited(observer, program.pid, READ);
    }
    for letter in ['a', 'g'] {
        for (_, program) in &mut programs {
            program.obey(letter);
        }
        let mut wrong = BTreeMap::new();
        for look in 0..LOOKS {
            let again = programs
                .iter_mut()
                .filter(|(name, _)| look == 0 || wrong.contains_key(name));
            wrong = differing(observer, again, READ);
            if wrong.is_empty() {
                break;
            }
        }
        assert!(wrong.is_empty(), "after {letter}: {wrong:#?}");
    }
    println!("  {} builds exact", programs.len());
}
