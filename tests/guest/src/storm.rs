//! `storm SECONDS`: more programs than processors, each with more Ps than
//! there are, so that hits interrupt one another on every processor.

use std::{sync::atomic::AtomicBool, thread, time::Duration};

use observer_testkit::{Observer, Process};

use crate::{
    arguments::argument,
    builds,
    load::{self, Neighbours, Stop},
    matrix::{Reads, attach, differences},
};

const PROGRAMS: usize = 8;
const NEIGHBOURS: usize = 4;

pub(crate) fn run(arguments: &[String]) {
    let length = Duration::from_secs(argument(arguments, 0, 60));
    let observer = Observer::start();
    let files = builds::spread(&builds::of("workload", PROGRAMS), PROGRAMS);
    // Those begin before the probes stand; what is compared begins behind them.
    let standing = attach(&observer, &files);
    let mut programs: Vec<_> = files
        .iter()
        .map(|file| load::oversubscribed(file))
        .collect();
    drop(standing);
    let neighbours = Neighbours::start(NEIGHBOURS);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        for program in &mut programs {
            let stop = &stop;
            scope.spawn(move || load::until(program, stop));
        }
        thread::sleep(length);
    });
    drop(neighbours);
    let reports: Vec<_> = programs
        .into_iter()
        .map(|mut program| {
            let report = program.report();
            (program, report)
        })
        .collect();
    let wrong = differences(&observer, &reports, Reads::All);
    assert!(wrong.is_empty(), "{wrong:#?}");
    let sum = |of: fn(&Process) -> u64| observer.processes().iter().map(of).sum::<u64>();
    println!(
        "  {} hits, {} goroutines, {} collections, all counted",
        sum(|p| p.probes.hits),
        reports.iter().map(|(_, r)| r.created).sum::<u64>(),
        reports.iter().map(|(_, r)| r.num_gc).sum::<u64>(),
    );
}
