//! Random orders of all that processes do, with and without lost events: each hit is
//! the program's that was hit, or nobody's.

use std::collections::{BTreeMap, BTreeSet};

use super::super::fake::{Program, Shown, Stage};

/// Which processes come and go; each program has one more that stays.
const PIDS: std::ops::Range<u32> = 10..14;
const PATHS: [&str; 3] = ["/a", "/b", "/c"];

/// The same numbers for the same seed (`splitmix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ word >> 31) % most
    }
}

/// What really happened.
#[derive(Default)]
struct Truth {
    /// What each process runs now, and has created in it.
    running: BTreeMap<u32, (usize, u64)>,
    /// By program.
    created: [u64; PATHS.len()],
    /// Those that began a program since the engine last heard of any.
    unheard: BTreeSet<u32>,
}

/// With `hasty` a program may be over before anybody could look at it, and without an
/// event that would tell whose its hits were.
fn happens(
    stage: &Stage,
    truth: &mut Truth,
    random: &mut Random,
    programs: &[Program],
    hasty: bool,
) {
    let mut world = stage.world();
    let pid = PIDS.start + random.below(u64::from(PIDS.end - PIDS.start)) as u32;
    let program = random.below(programs.len() as u64) as usize;
    let Some((runs, created)) = truth.running.get(&pid).copied() else {
        world.start(pid, &programs[program]);
        truth.running.insert(pid, (program, 0));
        truth.unheard.insert(pid);
        return;
    };
    match random.below(8) {
        0 if hasty || !truth.unheard.contains(&pid) => {
            world.exec(pid, &programs[program]);
            truth.running.insert(pid, (program, 0));
            truth.unheard.insert(pid);
        }
        1 => {
            world.exit(pid);
            truth.running.remove(&pid);
        }
        2 => {
            let free = PIDS.into_iter().find(|it| !truth.running.contains_key(it));
            if let Some(child) = free {
                world.fork(pid, child);
                truth.running.insert(child, (runs, 0));
                truth.unheard.insert(child);
            }
        }
        _ => {
            let count = 1 + random.below(3);
            world.creates(pid, count);
            truth.running.insert(pid, (runs, created + count));
            truth.created[runs] += count;
        }
    }
}

/// What is shown of each program, all that ran it together.
fn counted(shown: &Shown) -> [u64; PATHS.len()] {
    PATHS.map(|path| {
        let all = shown.0.processes.iter();
        let runs = all.filter(|it| it.process.executable.path.as_os_str() == path);
        runs.map(|it| it.created().expect("it is counted")).sum()
    })
}

fn each_hit_is_its_programs(seed: u64, loses: bool) {
    let mut stage = Stage::new();
    let programs = [1, 2, 3].map(|keeper| stage.probed(PATHS[keeper as usize - 1], keeper));
    let (mut random, mut truth) = (Random(seed), Truth::default());
    // From here on everything is held against /proc only where events were lost.
    stage.sweep();
    for _ in 0..120 {
        happens(&stage, &mut truth, &mut random, &programs, loses);
        if loses && random.below(6) == 0 {
            let room = [0, usize::MAX][random.below(2) as usize];
            stage.world().maps.get_mut().ring = room;
        }
        match random.below(6) {
            0 | 1 => stage.hear(),
            2 => stage.sweep(),
            3 => drop(stage.sample()),
            _ => continue,
        }
        truth.unheard.clear();
    }
    stage.world().maps.get_mut().ring = usize::MAX;
    // What nobody told of is told to be missing, whenever it was.
    stage.world().maps.get_mut().health.lost_events += 1;
    for _ in 0..3 {
        stage.hear();
        stage.sweep();
    }
    let shown = stage.sample();
    for (pid, (program, created)) in &truth.running {
        let running = shown.running(*pid);
        assert_eq!(
            running.process.executable.id, programs[*program].id,
            "seed {seed}"
        );
        assert_eq!(
            running.created(),
            Some(*created),
            "process {pid}, seed {seed}"
        );
    }
    let alive = shown.0.processes.iter().filter(|it| it.ended.is_none());
    assert_eq!(
        alive.count(),
        truth.running.len() + programs.len(),
        "seed {seed}"
    );
    let counted = counted(&shown);
    if loses {
        let more = counted.iter().zip(truth.created).any(|(is, was)| *is > was);
        assert!(!more, "{counted:?}, {:?}, seed {seed}", truth.created);
    } else {
        assert_eq!(counted, truth.created, "seed {seed}");
    }
    let entries = &shown.0.health.map_entries;
    let most = (truth.running.len() + programs.len()) as u64;
    assert!(entries["PROCESSES"] <= most, "{entries:?}, seed {seed}");
    assert!(entries["GOROUTINES"] <= most, "{entries:?}, seed {seed}");
}

#[test]
fn where_all_is_told_nothing_is_missing() {
    for seed in 0..60 {
        each_hit_is_its_programs(seed, false);
    }
}

#[test]
fn where_events_are_lost_nothing_is_anothers() {
    for seed in 1000..1060 {
        each_hit_is_its_programs(seed, true);
    }
}
