//! How searches for Go libraries have their turn.

use std::{
    process, thread,
    time::{Duration, Instant},
};

use super::{Inspector, Search, WAITING_OF_ONE};
use crate::discover;

fn search_of(pid: u32, number: u64, cgroup: u64) -> Search {
    let own = discover::executable(process::id()).expect("this program");
    Search {
        pid,
        number,
        executable: own.id,
        cgroup,
    }
}

#[test]
fn a_program_is_searched_and_one_that_is_gone_is_nothing() {
    let mut inspector = Inspector::new(100.0).expect("a descriptor");
    // No process has the second id: above the kernel's limit.
    for (number, pid) in [(1, process::id()), (2, 1 << 23)] {
        assert!(inspector.search(search_of(pid, number, number)));
    }
    let (end, mut found) = (Instant::now() + Duration::from_secs(60), Vec::new());
    while found.len() < 2 && Instant::now() < end {
        assert!(inspector.done().is_empty(), "no executable was asked for");
        found.extend(inspector.found());
        thread::sleep(Duration::from_millis(10));
    }
    found.sort_by_key(|it| it.number);
    let [own, gone] = &found[..] else {
        panic!("{} searches have ended", found.len());
    };
    assert!(own.start_ticks > 0 && gone.start_ticks == 0);
    assert!(own.libraries.is_empty() && gone.libraries.is_empty());
}

#[test]
fn one_search_runs_at_a_time_and_no_more_than_so_many_wait() {
    let mut inspector = Inspector::new(100.0).expect("a descriptor");
    // What has ended is noticed in `done` only.
    for number in 0..=WAITING_OF_ONE as u64 {
        assert!(inspector.search(search_of(1 << 23, number, 7)));
    }
    assert_eq!(inspector.running.len(), 1);
    assert!(!inspector.search(search_of(1 << 23, 0, 7)));
    assert!(inspector.search(search_of(1 << 23, 0, 8)));
    assert_eq!(inspector.running.len(), 1);
}
