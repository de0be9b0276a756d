//! What one sample of a process's runtime state costs the observer, by what
//! the process has. The process itself executes nothing for it.

use std::{fmt::Write as _, process::Command, thread, time::Instant};

use observer_tests::{
    paths::{NEWEST, OLDEST, fixture, go1},
    state::{Executable, Program, STILL},
};

use crate::statistics::sorted;

const SAMPLES: usize = 2000;
const VERSIONS: [&str; 3] = [OLDEST, go1(22), NEWEST];

/// GOMAXPROCS, and letters that the program obeys first.
const ROWS: [(&str, u32, &str); 7] = [
    ("1 P", 1, ""),
    ("2 Ps", 2, ""),
    ("64 Ps", 64, "g"),
    ("512 Ps", 512, "g"),
    ("2 Ps, 10,000 dead Gs", 2, "d"),
    ("2 Ps, 100,000 dead Gs", 2, "D"),
    ("2 Ps, 1,000,000 goroutines created", 2, "M"),
];

/// Microseconds of a sample: the median and the 99th percentile.
fn measure(version: &str, processors: u32, letters: &str) -> (f64, f64) {
    let path = fixture("state", version, "stripped");
    let mut command = Command::new(&path);
    command.env("GOMAXPROCS", processors.to_string());
    let mut program = Program::start_as(command);
    for letter in letters.chars() {
        program.obey(letter);
    }
    thread::sleep(STILL);
    let mut reader = Executable::open(&path, false)
        .reader(program.pid)
        .expect("a reader");
    let took = sorted((0..SAMPLES).map(|_| {
        let begin = Instant::now();
        let figures = reader.sample().expect("a sample");
        assert_eq!(figures.scheduler.processors, u64::from(processors));
        begin.elapsed().as_secs_f64() * 1e6
    }));
    (took[SAMPLES / 2], took[SAMPLES * 99 / 100])
}

/// The table.
pub(crate) fn table() -> String {
    let mut table = format!(
        "Microseconds, median / 99th percentile of {SAMPLES} samples.\n\n\
         | the process | {} |\n| --- |{}\n",
        VERSIONS.map(|version| format!("Go {version}")).join(" | "),
        " --- |".repeat(VERSIONS.len())
    );
    for (name, processors, letters) in ROWS {
        let _ = write!(table, "| {name} |");
        for version in VERSIONS {
            let (median, high) = measure(version, processors, letters);
            let _ = write!(table, " {median:.0} / {high:.0} |");
        }
        table.push('\n');
    }
    table
}
