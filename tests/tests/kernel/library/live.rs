//! A million goroutines that live: the figures cost no more, and who walks over
//! them stops in time.

use std::{
    thread,
    time::{Duration, Instant},
};

use observer_go::runtime::WalkLimits;
use observer_tests::{
    Workload,
    paths::{GO, NEWEST, OLDEST, fixture},
    state::{Executable, STILL, at_rest},
};

#[test]
fn a_million_live_goroutines() {
    for version in [OLDEST, GO, NEWEST] {
        let path = fixture("workload", version, "stripped");
        let mut workload = Workload::start(&path);
        workload.run("hold 1000000");
        let said = workload.report();
        thread::sleep(STILL);
        let executable = Executable::open(&path, false);
        let mut reader = executable.reader(workload.pid).expect("a reader");
        let figures = at_rest(&mut reader).unwrap_or_else(|e| panic!("{version}: {e}"));
        assert!(said.goroutines > 1_000_000, "{version}: {said:?}");
        let seen = &figures.goroutines;
        assert_eq!(
            (seen.live, seen.created, seen.exited),
            (said.goroutines, Some(said.created), Some(said.exited)),
            "{version}: live, created, exited"
        );
        let mut sample = Duration::MAX;
        for _ in 0..20 {
            let began = Instant::now();
            reader.sample().unwrap_or_else(|e| panic!("{version}: {e}"));
            sample = sample.min(began.elapsed());
        }
        // What it costs depends on Ps and threads, not on goroutines; the shortest is
        // that at which nobody else had the processor.
        assert!(
            sample < Duration::from_millis(20),
            "{version}: a sample takes {sample:?}"
        );
        let mut walk = |time| {
            let began = Instant::now();
            let limits = WalkLimits { time, creators: 5 };
            let report = reader.goroutines_by_creator(&|_| None, limits);
            let report = report.unwrap_or_else(|e| panic!("{version}: {e}"));
            (report, began.elapsed())
        };
        let mut shortest = Duration::MAX;
        let mut walked = 0_u64;
        for _ in 0..5 {
            let (short, took) = walk(Duration::from_millis(5));
            assert!(!short.complete, "{version}: {short:?}");
            assert!(short.walked < short.allocated, "{version}: {short:?}");
            (shortest, walked) = (shortest.min(took), walked.max(short.walked));
        }
        assert!(walked > 0, "{version}: none walked over");
        let in_time = shortest < Duration::from_millis(500);
        assert!(in_time, "{version}: {shortest:?}");
        let (whole, took) = walk(Duration::from_secs(60));
        println!("{version}: a sample takes {sample:?}, a whole walk {took:?}");
        assert!(whole.complete, "{version}: {whole:?}");
        assert_eq!(whole.creators[0].count, 1_000_000, "{version}: {whole:?}");
    }
}
