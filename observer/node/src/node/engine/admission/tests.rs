//! Probes that are to leave a program that a debugger is on, without a kernel behind
//! them.

use std::{
    fs::File,
    os::fd::{AsFd as _, BorrowedFd},
    sync::Arc,
    time::Duration,
};

use observer_go::{
    binary::Reason,
    discover::{Membership, tracee::Tracee},
};
use observer_probe::Attached;

use super::{Admission, Engine};
use crate::{
    fixtures::{binary, observation},
    node::{
        coverage::Attachment,
        engine::tests::{engine, target_of},
        exclusion::OptOut,
        observation::Coverage,
        processes::Seen,
    },
};

/// Nobody wants to be observed from now on.
struct Unwilling(File);

impl OptOut for Unwilling {
    fn verdict(&self, _: &Membership) -> Admission {
        Admission::Excluded("the pod's annotation".to_owned())
    }

    fn are_known(&self) -> bool {
        true
    }

    fn changed(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn take_changed(&self) -> bool {
        true
    }
}

/// An observed process of a file with probes, as the engine knows both.
fn observed(engine: &mut Engine, tracee: &Tracee) -> u32 {
    let binary = Arc::new(binary("go1.26.8"));
    let file = File::open(tracee.executable().path).expect("its file");
    let target = target_of(engine, &binary, &tracee.executable(), &file);
    let entry = engine.targets.get_mut(target).expect("the target");
    entry.attachment = Attachment::Live(Attached::default());
    let mut process = Arc::unwrap_or_clone(observation(tracee.pid(), "/srv/app").process);
    process.executable = tracee.executable();
    let (seen, coverage) = (Seen::default(), Coverage::default());
    engine.targets.acquire(target);
    (engine.processes).insert(process, binary, target, None, seen, coverage);
    target
}

fn carries_probes(engine: &Engine, target: u32) -> bool {
    let target = engine.targets.get(target).expect("the target");
    matches!(target.attachment, Attachment::Live(_))
}

#[test]
fn who_wants_it_no_more_keeps_its_probes_as_long_as_a_debugger_is_there() {
    let mut engine = engine();
    let tracee = Tracee::start();
    let target = observed(&mut engine, &tracee);
    let unwilling = Unwilling(File::open("/dev/null").expect("a file"));
    engine.exclusion.wishes = Some(Box::new(unwilling));
    engine.heed();
    assert!(engine.left_alone.contains(tracee.pid()));
    assert!(!engine.processes.contains(tracee.pid()));
    assert!(carries_probes(&engine, target));
    // Each sweep asks again.
    engine.keep_held();
    assert!(carries_probes(&engine, target));
    tracee.leave();
    engine.keep_held();
    let entry = engine.targets.get(target).expect("the target");
    let reason = match &entry.attachment {
        Attachment::Refused(reason, _) => Some(*reason),
        _ => None,
    };
    assert_eq!(reason, Some(Reason::Excluded));
}

/// A debugger may be on a process that nobody has registered, nor knows of.
#[test]
fn a_file_that_nobody_observed_runs_keeps_its_probes_as_long_as_a_debugger_is_there() {
    let mut engine = engine();
    let tracee = Tracee::start();
    let target = observed(&mut engine, &tracee);
    engine.drop_figures(tracee.pid());
    let retire = |engine: &mut Engine| {
        engine.targets.idle_for(target, Duration::from_secs(90));
        engine.targets.retire(&*engine.system, None);
    };
    retire(&mut engine);
    assert!(carries_probes(&engine, target));
    tracee.leave();
    retire(&mut engine);
    assert!(engine.targets.get(target).is_none());
}
