//! Programs that are not Go, not only Go, packed or broken: reported or
//! ignored, and the observer goes on.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use observer_tests::{
    Observer, Workload, observer,
    observer::{ATTACH, SETTLED},
    paths::{GO, NEWEST, OLDEST, VARIANTS, fixture, go1},
    wait,
    workload::Conversation,
};

/// A generator whose sequence is the same in every run (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

/// The observer still sees and counts what runs well.
fn still_works(observer: &Observer) {
    let mut w = Workload::start(&fixture("workload", GO, "default"));
    observer.attached(w.pid);
    let (said, seen) = (w.report(), observer.settled(w.pid));
    w.run("burst 50 0");
    let (said_later, seen_later) = (w.report(), observer.settled(w.pid));
    assert_eq!(
        seen_later.figures.exited - seen.figures.exited,
        said_later.exited - said.exited
    );
}

/// `observer inspect` ends by itself, in time, and not by a panic.
fn inspect_survives(file: &Path) {
    for json in [&["inspect"][..], &["inspect", "--json"]] {
        let output = observer::run(json.iter().map(AsRef::as_ref).chain([file.as_os_str()]));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.signal().is_none()
                && !matches!(output.status.code(), Some(101 | 124 | 137))
                && !stderr.contains("panicked"),
            "inspect {}: {}\n{stderr}",
            file.display(),
            output.status
        );
        assert!(
            output.status.success() || !stderr.trim().is_empty(),
            "inspect {} fails and does not say why",
            file.display()
        );
    }
}

fn executable(path: &Path, contents: &[u8]) {
    fs::write(path, contents).expect("an executable");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its mode");
}

#[test]
fn what_is_not_go_is_ignored() {
    let observer = Observer::start();
    let mut sleep = Command::new("sleep").arg("60").spawn().expect("sleep");
    thread::sleep(SETTLED);
    assert!(observer.process(sleep.id()).is_none());
    sleep
        .kill()
        .and_then(|()| sleep.wait())
        .expect("sleep's end");
    for file in ["/bin/sh", "/dev/null", "/etc/passwd", "/"] {
        inspect_survives(Path::new(file));
    }
    still_works(&observer);
}

#[test]
fn a_c_program_that_calls_a_go_library() {
    let observer = Observer::start();
    let library = fixture("cshared", GO, "default");
    let dir = tempfile::tempdir().expect("a directory");
    let (source, host) = (dir.path().join("host.c"), dir.path().join("host"));
    fs::write(&source, include_str!("../../fixtures/cshared/host.c")).expect("the C source");
    let cc = Command::new("cc")
        .arg("-o")
        .arg(&host)
        .arg(&source)
        .arg("-ldl")
        .status();
    assert!(
        cc.expect("cc; run cargo xtask test, which installs it")
            .success()
    );

    let mut command = Command::new(&host);
    command.arg(&library);
    let mut talk = Conversation::start(command);
    assert_eq!(talk.ask("100"), "100");
    thread::sleep(SETTLED);
    // It may be left out, but not be shown with figures that are not its own.
    if let Some(seen) = observer.process(talk.pid()) {
        let coverage = &seen.coverage["goroutines_created"];
        assert!(!coverage.covered, "{coverage:?}");
        assert_eq!(coverage.reason.as_deref(), Some("shared_library"));
    }
    assert_eq!(talk.ask("1000"), "1000");
    assert!(talk.runs());
    inspect_survives(&library);
    still_works(&observer);
}

#[test]
fn a_plugin_host() {
    let observer = Observer::start();
    let plugin = fixture("plugin", GO, "default");
    let mut command = Command::new(fixture("pluginhost", GO, "cgo"));
    command.arg(&plugin);
    let mut talk = Conversation::start(command);
    assert_eq!(talk.ask("1000"), "1000");
    // A plugin brings its own copy of the runtime's functions: what probes in
    // the host would count is not the truth, so none of it is shown. The state
    // of both is the host's, and tells of the goroutines once it has been read.
    let seen = wait::until("the plugin host's state", ATTACH, || {
        let seen = observer.process(talk.pid())?;
        seen.coverage["state"].covered.then_some(seen)
    });
    for (figure, coverage) in &seen.coverage {
        if figure.starts_with("goroutines") || figure.starts_with("state") {
            assert!(coverage.covered, "{figure}: {coverage:?}");
            continue;
        }
        assert!(!coverage.covered, "{figure}");
        assert_eq!(coverage.reason.as_deref(), Some("unsupported_build_mode"));
    }
    inspect_survives(&plugin);
    still_works(&observer);
}

#[test]
fn a_packed_program() {
    let observer = Observer::start();
    let dir = tempfile::tempdir().expect("a directory");
    let packed = dir.path().join("packed");
    let original = fixture("workload", GO, "stripped");
    let upx = Command::new("upx")
        .args(["-1", "-q", "-o"])
        .arg(&packed)
        .arg(&original)
        .output();
    if upx.is_ok_and(|o| o.status.success()) {
        let mut w = Workload::start(&packed);
        w.run("burst 100 0");
        thread::sleep(SETTLED);
        if let Some(seen) = observer.process(w.pid) {
            assert!(!seen.coverage["goroutines_created"].covered, "{seen:?}");
        }
        w.report();
        assert!(w.runs());
    } else {
        println!("upx is not installed: only the look of a packed file is tried");
        let mut bytes = fs::read(&original).expect("the fixture");
        // Headers as they were, the rest with no more order than a packed file has.
        let mut random = Random(1);
        bytes[4096..]
            .iter_mut()
            .for_each(|b| *b = random.below(256) as u8);
        executable(&packed, &bytes);
    }
    inspect_survives(&packed);
    still_works(&observer);
}

/// A broken copy: cut off, or with bits flipped in the headers or in the
/// second half, where the function table and the symbols are. Flipped code is
/// left alone: what it would do is anyone's guess.
fn broken(original: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = original.to_vec();
    let len = bytes.len();
    match random.below(4) {
        0 => bytes.truncate(random.below(len)),
        1 => bytes.truncate(random.below(8192)),
        2 => (0..=random.below(4)).for_each(|_| {
            let (at, bit) = (random.below(1024), random.below(8));
            bytes[at] ^= 1 << bit;
        }),
        _ => (0..=random.below(64)).for_each(|_| {
            let (at, bit) = (len / 2 + random.below(len / 2), random.below(8));
            bytes[at] ^= 1 << bit;
        }),
    }
    bytes
}

fn run_briefly(files: &[PathBuf]) {
    let start = |file: &PathBuf| {
        let mut command = Command::new(file);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()
    };
    let mut running: Vec<Child> = files.iter().filter_map(start).collect();
    thread::sleep(Duration::from_millis(500));
    for child in &mut running {
        let _ = child.kill();
        let _ = child.wait();
    }
}

#[test]
fn broken_executables() {
    let mut observer = Observer::start();
    let dir = tempfile::tempdir().expect("a directory");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for (version, variant) in [(OLDEST, 3), (go1(22), 5), (GO, 0), (NEWEST, 1)] {
        let original =
            fs::read(fixture("workload", version, VARIANTS[variant])).expect("the fixture");
        let files: Vec<_> = (0..24)
            .map(|n| {
                let path = dir.path().join(format!("{version}-{n}"));
                executable(&path, &broken(&original, &mut random));
                path
            })
            .collect();
        run_briefly(&files);
        for file in &files {
            inspect_survives(file);
        }
        assert!(
            observer.runs(),
            "{version}: the observer ended:\n{}",
            observer.log()
        );
    }
    still_works(&observer);
    assert!(!observer.log().contains("panicked"), "{}", observer.log());
}

#[test]
fn executables_that_are_replaced_while_they_are_looked_at() {
    let observer = Observer::start();
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("replaced");
    let files = [
        fixture("idle", GO, "default"),
        fixture("idle", OLDEST, "stripped"),
    ];
    for n in 0..40 {
        let next = dir.path().join("next");
        fs::copy(&files[n % 2], &next).expect("a copy");
        fs::rename(&next, &path).expect("the replacement");
        let mut child = Command::new(&path).spawn().expect("it runs");
        thread::sleep(Duration::from_millis(20));
        let end = child.kill().and_then(|()| child.wait()).expect("its end");
        // A probe at a place of the other file would have ended it before.
        assert_eq!(end.signal(), Some(libc::SIGKILL), "{end}");
    }
    still_works(&observer);
    let ended = wait::comes_true(ATTACH, || {
        observer
            .processes()
            .iter()
            .filter(|p| p.process == "replaced")
            .all(|p| p.ended)
    });
    assert!(ended, "processes that ended are listed as alive");
}
