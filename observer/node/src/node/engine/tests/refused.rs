//! Maps that take no entry, and probes that the kernel refuses.

use observer_ebpf::ProbeGroup;
use observer_go::binary::{FigureGroup, Reason};

use super::super::fake::Stage;
use crate::node::observation::Observation;

fn reason(of: &Observation, figure: FigureGroup) -> Option<Reason> {
    let missing = of.coverage.0[&figure].as_ref();
    missing.map(|missing| missing.reason)
}

/// The one that found no room has no figures, and says why; no other has its hits.
#[test]
fn a_full_map_costs_those_that_came_too_late_their_figures() {
    let mut stage = Stage::new();
    let program = stage.probed("/a", 1);
    stage.world().start(7, &program);
    stage.hear();
    stage.world().maps.get_mut().processes.room = 2;
    stage.world().start(8, &program);
    stage.hear();
    {
        let mut world = stage.world();
        world.creates(7, 3);
        world.creates(8, 5);
    }
    let shown = stage.sample();
    assert_eq!(shown.running(7).created(), Some(3));
    let late = shown.running(8);
    assert_eq!((late.created(), late.live()), (None, None));
    let no_room = Some(Reason::MapFull);
    assert_eq!(reason(late, FigureGroup::GoroutinesCreated), no_room);
    assert_eq!(shown.0.health.kernel.refused_processes, 5);
    // It ends as one of which nothing is known.
    stage.world().exit(8);
    stage.world().maps.get_mut().health.lost_events += 1;
    stage.sweep();
    let shown = stage.sample();
    let ended = shown.lives(8);
    assert!(
        ended.iter().all(|(_, created, _)| created.is_none()),
        "{ended:?}"
    );
    assert_eq!(shown.running(7).created(), Some(3));
}

#[test]
fn a_map_that_may_not_be_written_to_costs_figures_and_nothing_else() {
    let mut stage = Stage::new();
    let program = stage.probed("/a", 1);
    stage.world().unregistrable = Some("Operation not permitted (os error 1)");
    stage.world().start(7, &program);
    stage.hear();
    let shown = stage.sample();
    let refused = shown.running(7);
    assert_eq!(refused.created(), None);
    assert_eq!(
        reason(refused, FigureGroup::GoroutinesCreated),
        Some(Reason::MapFull)
    );
    stage.world().unregistrable = None;
    stage.world().start(8, &program);
    stage.world().creates(8, 2);
    stage.hear();
    assert_eq!(stage.sample().running(8).created(), Some(2));
}

#[test]
fn a_file_that_gets_no_probes_has_processes_that_say_so() {
    let mut stage = Stage::new();
    let program = stage.program("/a");
    stage.world().links.refused = Some("Operation not permitted (os error 1)");
    stage.world().start(7, &program);
    stage.hear();
    stage.world().creates(7, 3);
    let shown = stage.sample();
    let refused = shown.running(7);
    assert_eq!(refused.created(), None);
    assert_eq!(
        reason(refused, FigureGroup::GoroutinesCreated),
        Some(Reason::ProbeRefused)
    );
    assert_eq!(shown.0.health.refused_attachments, 1);
    assert_eq!(shown.0.health.sites, 0);
}

/// Probes that cannot be taken away are said to stand, and go on counting.
#[test]
fn probes_that_stay_are_said_to_stay() {
    let mut stage = Stage::new();
    let program = stage.program_with_state("/a");
    stage.world().start(7, &program);
    stage.hear();
    stage.world().links.refused = Some("Operation not permitted (os error 1)");
    // Its state tells as much, so they are to leave.
    for _ in 0..3 {
        stage.world().creates(7, 2);
        stage.sample();
    }
    let shown = stage.sample();
    let running = shown.running(7);
    assert!(running.probes.has(ProbeGroup::EXACT));
    assert_eq!(running.figures.events.goroutines.created, 6);
    assert_eq!(running.created(), Some(6));
}
