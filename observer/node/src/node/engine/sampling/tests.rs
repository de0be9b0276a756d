//! What is published of a process that could not be sampled for a while.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use observer_ebpf::GoroutineFigures;
use observer_go::{
    binary::{FigureGroup, Reason},
    runtime::StateFigures,
};

use super::{Ended, Engine, Sampled, update};
use crate::{
    fixtures::{binary, observation, with_state},
    node::{
        engine::tests::{PID, engine, target},
        observation::{Coverage, Observation},
        processes::Seen,
    },
};

/// A good sample of the process.
fn sample(engine: &mut Engine, figures: &Arc<StateFigures>) {
    let tracked = engine.processes.get_mut(PID).expect("the process");
    tracked.sampler.was_read(figures, 0);
    let sampled = Sampled::Read(Arc::clone(figures));
    update(tracked, None, &engine.targets, None, sampled);
}

/// What is published of the process next.
fn published(engine: &mut Engine) -> Arc<Observation> {
    engine.publish();
    let snapshot = engine.sender.borrow().clone().expect("a snapshot");
    Arc::clone(&snapshot.processes[0])
}

#[test]
fn what_was_read_long_ago_is_not_shown_as_of_now() {
    let mut engine = engine();
    let binary = Arc::new(binary("go1.26.8"));
    let (target, _) = target(&mut engine, &binary);
    let known = with_state(observation(PID, "/srv/app"));
    let process = Arc::unwrap_or_clone(known.process);
    let (seen, coverage) = (Seen::default(), Coverage::default());
    (engine.processes).insert(process, binary, target, None, seen, coverage);
    let state = known.figures.state.expect("a sample");
    let counters = |of: &Observation| (of.live(), of.created(), of.exited(), of.cycles());
    let all = (Some(7), Some(2000), Some(1990), Some(30));

    sample(&mut engine, &state.figures);
    for _ in 0..2 {
        let shown = published(&mut engine);
        assert_eq!(counters(&shown), all);
        assert!(shown.state().is_some());

        let tracked = engine.processes.get_mut(PID).expect("the process");
        tracked.sampled = Instant::now().checked_sub(Duration::from_secs(5));
        for _ in 0..2 {
            let shown = published(&mut engine);
            assert_eq!(counters(&shown), (None, None, None, None));
            assert!(shown.state().is_none());
            let missing = shown.coverage.0[&FigureGroup::State].as_ref();
            let reason = missing.map(|missing| missing.reason);
            assert_eq!(reason, Some(Reason::NotSampled));
        }

        // Nothing went on meanwhile, so that they are as before.
        sample(&mut engine, &state.figures);
    }
    assert_eq!(counters(&published(&mut engine)), all);
}

/// Its memory is gone before the event of its end has come, and its counters are not.
#[test]
fn what_was_counted_after_the_last_sample_is_kept_at_the_end() {
    let mut engine = engine();
    let binary = Arc::new(binary("go1.26.8"));
    let (target, _) = target(&mut engine, &binary);
    let known = with_state(observation(PID, "/srv/app"));
    let process = Arc::unwrap_or_clone(known.process);
    let (seen, coverage) = (Seen::default(), Coverage::default());
    (engine.processes).insert(process, binary, target, None, seen, coverage);
    let sample = known.figures.state.expect("a sample");
    let state = &sample.figures;
    let counted = |exited| {
        let goroutines = GoroutineFigures {
            created: 20,
            exited,
            ..GoroutineFigures::ZERO
        };
        Some((goroutines, None))
    };

    let tracked = engine.processes.get_mut(PID).expect("the process");
    for (sampled, exited) in [
        (Sampled::Read(Arc::clone(state)), 2),
        (Sampled::Dropped, 12),
        (Sampled::Nothing, 20),
    ] {
        update(
            tracked,
            None,
            &engine.targets,
            counted(exited).as_ref(),
            sampled,
        );
    }
    tracked.counted = true;
    engine.end(PID, Ended::Exited);

    let ended = &engine.processes.shown(Instant::now())[0];
    let last = &ended.figures.state.as_ref().expect("its state").figures;
    let before = state.goroutines.exited.expect("it is known");
    assert_eq!(last.goroutines.exited, Some(before + 18));
    assert_eq!(last.goroutines.created, state.goroutines.created);
}
