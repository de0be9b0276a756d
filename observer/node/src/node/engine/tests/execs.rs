//! Programs that are executed between two questions of the engine.

use super::super::fake::{Call, Program, Stage, life};

/// A process that runs the first program when it is looked at, and executes the second
/// before the engine has asked that.
fn executes_before(call: Call, stage: &mut Stage, programs: &[Program; 2]) {
    let [first, second] = programs.clone();
    let mut world = stage.world();
    world.meanwhile(call, 7, move |world| {
        world.exec(7, &second);
        world.creates(7, 5);
    });
    world.start(7, &first);
    world.creates(7, 3);
}

#[test]
fn between_a_look_and_its_registration() {
    for call in [Call::Register, Call::Process] {
        let mut stage = Stage::new();
        let programs = [stage.probed("/a", 1), stage.probed("/b", 2)];
        executes_before(call, &mut stage, &programs);
        stage.hear();
        // The exec is on its way. Until it comes nothing is said of either program
        // that would be true of the other.
        let shown = stage.sample();
        assert!(!shown.lives(7).iter().any(|it| it.0 == "/a"), "{call:?}");
        let shown = stage.sample();
        assert_eq!(shown.running(7).process.executable.id, programs[1].id);
        assert_eq!(shown.running(7).created(), Some(5), "{call:?}");
        let engine = stage.engine();
        let target = engine.processes.get(7).map(|it| it.target);
        let target = target.and_then(|it| engine.targets.get(it));
        assert_eq!(target.map(|it| it.file), Some(programs[1].id), "{call:?}");
        stage.world().creates(7, 1);
        assert_eq!(stage.sample().running(7).created(), Some(6), "{call:?}");
    }
}

/// Nobody ever tells of the exec.
#[test]
fn between_a_look_and_its_registration_unheard() {
    for call in [Call::Register, Call::Process] {
        let mut stage = Stage::new();
        let (first, second) = (stage.probed("/a", 1), stage.probed("/b", 2));
        stage.world().meanwhile(call, 7, move |world| {
            world.maps.get_mut().ring = 0;
            world.exec(7, &second);
            world.creates(7, 5);
        });
        stage.world().start(7, &first);
        stage.hear();
        assert_eq!(stage.sample().lives(7), [], "{call:?}");
        stage.sweep();
        let shown = stage.sample();
        assert_eq!(shown.lives(7), [life("/b", 5, false)], "{call:?}");
    }
}

/// What is held is another file than the one that was looked at.
#[test]
fn before_its_file_is_held() {
    let mut stage = Stage::new();
    // Neither carries probes, so that the first look has to ask for the file.
    let programs = [stage.program("/a"), stage.program("/b")];
    executes_before(Call::Pin, &mut stage, &programs);
    stage.hear();
    stage.hear();
    let shown = stage.sample();
    let [(path, ..)] = &shown.lives(7)[..] else {
        panic!("{:?}", shown.lives(7));
    };
    assert_eq!(path, "/b");
    assert_eq!(
        stage.engine().targets.len(),
        1,
        "no probe on the other file"
    );
}

#[test]
fn what_was_counted_before_an_exec_is_the_earlier_programs() {
    let mut stage = Stage::new();
    let (first, second) = (stage.probed("/a", 1), stage.probed("/b", 2));
    stage.world().start(7, &first);
    stage.hear();
    {
        let mut world = stage.world();
        world.creates(7, 3);
        world.exec(7, &second);
        world.creates(7, 5);
        world.exec(7, &first);
        world.creates(7, 2);
    }
    stage.hear();
    let shown = stage.sample();
    // The one in the midst was over before anybody could look at it: its hits are
    // nobody's.
    let both = [life("/a", 2, false), life("/a", 3, true)];
    assert_eq!(shown.lives(7), both);
}

/// A sweep was faster than the event: the program is observed already, and only its
/// beginning is news.
#[test]
fn an_event_that_comes_late_ends_nothing() {
    let mut stage = Stage::new();
    let program = stage.probed("/a", 1);
    stage.world().start(7, &program);
    stage.world().creates(7, 3);
    // The sweep comes before the events within a turn.
    stage.sweep();
    let shown = stage.sample();
    assert_eq!(shown.lives(7), [life("/a", 3, false)]);
    // The probes stood before it began.
    assert_eq!(shown.running(7).live(), Some(3));
}

/// A sweep has found the last of several programs before it is told of the others.
#[test]
fn events_that_a_sweep_has_outrun_split_nothing() {
    let mut stage = Stage::new();
    let (first, second) = (stage.probed("/a", 1), stage.probed("/b", 2));
    stage.world().start(7, &first);
    stage.hear();
    {
        let mut world = stage.world();
        world.creates(7, 3);
        world.exec(7, &first);
        world.exec(7, &second);
        world.creates(7, 5);
        // So that the sweep holds everything against /proc.
        world.maps.get_mut().health.lost_events += 1;
    }
    // The sweep comes before the events within a turn.
    stage.sweep();
    let shown = stage.sample();
    assert_eq!(shown.lives(7), [life("/a", 3, true), life("/b", 5, false)]);
}

#[test]
fn a_child_that_executes_has_done_nothing_before() {
    let mut stage = Stage::new();
    let (first, second) = (stage.probed("/a", 1), stage.probed("/b", 2));
    {
        let mut world = stage.world();
        world.fork(1, 7);
        world.creates(1, 1);
    }
    stage.hear();
    assert_eq!(stage.sample().lives(7), [life("/a", 0, false)]);
    {
        let mut world = stage.world();
        world.exec(7, &second);
        world.creates(7, 2);
        world.creates(1, 1);
    }
    stage.hear();
    let shown = stage.sample();
    assert_eq!(shown.lives(7), [life("/b", 2, false)]);
    assert_eq!(shown.running(1).process.executable.id, first.id);
    assert_eq!(shown.running(1).created(), Some(2));
}

/// Two containers show one file under two devices: the kernel's breakpoint is in the
/// file underneath, and stands once.
#[test]
fn one_file_in_two_containers_is_hit_once() {
    let mut stage = Stage::new();
    let program = stage.probed("/a", 1);
    let same = program.elsewhere();
    stage.world().start(7, &same);
    stage.hear();
    stage.world().creates(7, 3);
    stage.world().creates(1, 2);
    let shown = stage.sample();
    assert_eq!(shown.running(7).created(), Some(3));
    assert_eq!(shown.running(1).created(), Some(2));
    assert_eq!(shown.0.health.targets, 1);
    assert_eq!(shown.0.health.kernel.alias_hits, 0);
}
