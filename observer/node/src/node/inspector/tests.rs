//! How searches for Go libraries have their turn, and what becomes of whatever waits
//! while no thread can be started.

use std::{
    fs::File,
    io, process,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use observer_ebpf::family::Selection;
use observer_go::{
    binary::Inspected,
    discover::{self, FileId},
};

use super::{AGAIN, Inspector, Job, Search, WAITING_OF_ONE, Work};
use crate::fixtures::binary;

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
    let mut inspector = Inspector::new(100.0, Selection::default()).expect("a descriptor");
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
    let mut inspector = Inspector::new(100.0, Selection::default()).expect("a descriptor");
    // What has ended is noticed in `done` only.
    for number in 0..=WAITING_OF_ONE as u64 {
        assert!(inspector.search(search_of(1 << 23, number, 7)));
    }
    assert_eq!(inspector.running.len(), 1);
    assert!(!inspector.search(search_of(1 << 23, 0, 7)));
    assert!(inspector.search(search_of(1 << 23, 0, 8)));
    assert_eq!(inspector.running.len(), 1);
}

/// How often a thread was asked for that could not be started.
static REFUSED: AtomicU32 = AtomicU32::new(0);

fn refuse(_: Work) -> io::Result<()> {
    REFUSED.fetch_add(1, Ordering::Relaxed);
    Err(io::Error::from_raw_os_error(libc::EAGAIN))
}

fn job(file: &File) -> Job {
    Job {
        id: FileId::of_file(file).expect("its identity"),
        pinned: file.try_clone().expect("another descriptor").into(),
        cgroup: 7,
        // It is only opened.
        known: Some(Arc::new(binary("go1.26.8"))),
    }
}

#[test]
fn what_no_thread_could_be_started_for_waits_and_is_inspected_later() {
    let mut inspector = Inspector::new(100.0, Selection::default()).expect("a descriptor");
    let spawn = std::mem::replace(&mut inspector.spawn, refuse);
    let begun = Instant::now();
    let files = [(), ()].map(|()| tempfile::tempfile().expect("a file"));
    let ids = files
        .each_ref()
        .map(|file| FileId::of_file(file).expect("its identity"));
    inspector.submit(job(&files[0]));
    assert_eq!(REFUSED.load(Ordering::Relaxed), 1);
    // Those that come meanwhile do not try it again at once.
    inspector.submit(job(&files[1]));
    assert!(inspector.search(search_of(1 << 23, 3, 8)));
    assert!(inspector.done().is_empty());
    if begun.elapsed() < AGAIN {
        assert_eq!(REFUSED.load(Ordering::Relaxed), 1);
    }
    assert!(inspector.running.is_empty() && !inspector.is_idle());
    let waiting = inspector.waiting[&7].iter().map(|job| job.id);
    assert_eq!(waiting.collect::<Vec<_>>(), ids, "in their order");
    let due = inspector.due().expect("it is tried again");
    assert!(due <= Instant::now() + AGAIN);

    inspector.spawn = spawn;
    let end = Instant::now() + Duration::from_secs(60);
    let (mut done, mut found) = (Vec::new(), Vec::new());
    while (done.len() < 2 || found.is_empty()) && Instant::now() < end {
        done.extend(inspector.done());
        found.extend(inspector.found());
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!((done.len(), found.len()), (2, 1));
    assert!(ids.iter().all(|id| done.iter().any(|it| it.id == *id)));
    for it in &done {
        assert!(matches!(it.result, Ok(Inspected::Go(_))));
    }
    assert!(inspector.is_idle());
}
