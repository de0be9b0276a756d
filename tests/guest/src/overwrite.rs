//! `overwrite N`: a file with probes is written over so often, and once more while
//! the observer ends. What is in it afterwards is executed from its beginning on.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use observer_testkit::{Observer, Workload, wait};

use crate::{arguments::argument, builds};

const FILE: &str = "/tmp/overwritten";
/// Until a program that was killed is not executed any more.
const BUSY: Duration = Duration::from_secs(5);

pub(crate) fn run(arguments: &[String]) {
    let turns = argument(arguments, 0, 2);
    let file = Path::new(FILE);
    // Other releases, other texts.
    let builds = builds::of("workload", 4);
    let mut programs = builds
        .iter()
        .map(|build| fs::read(build).expect("a program"))
        .cycle();
    let mut next = || programs.next().expect("a program");
    fs::write(file, next()).expect("a file");
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("permissions");

    let observer = Observer::start();
    let mut waited = Vec::new();
    for _ in 0..turns {
        drop(probed(&observer, file));
        waited.push(overwrite(file, &next()));
        works(file);
    }
    drop(probed(&observer, file));
    let program = next();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let waited = overwrite(file, &program);
            works(file);
            waited
        });
        let (status, took) = observer.stop();
        assert!(status.success(), "{status}");
        let waited = writer.join().expect("no panic");
        println!("  at the end, which took {took:.1?}, a writer waited for {waited:.1?}");
    });
    println!("  before, writers waited for {waited:.1?}");
    fs::remove_file(file).expect("the file");
}

/// The program that is in the file, with its probes.
fn probed(observer: &Observer, file: &Path) -> Workload {
    let program = Workload::start(file);
    observer.attached(program.pid);
    program
}

/// The program that is in the file does all that breakpoints of another could break.
fn works(file: &Path) {
    let mut program = Workload::start(file);
    program.run("burst 200 0");
    program.run("gc 1");
    program.run("readmem 1");
    program.report();
}

/// Writes another program over the file; how long that waited.
fn overwrite(file: &Path, program: &[u8]) -> Duration {
    let began = Instant::now();
    let mut file = wait::until("a file that is not busy", BUSY, || match open(file) {
        Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => None,
        opened => Some(opened.expect("a file to write to")),
    });
    let waited = began.elapsed();
    file.write_all(program).expect("the program");
    waited
}

fn open(file: &Path) -> io::Result<File> {
    File::options().write(true).truncate(true).open(file)
}
