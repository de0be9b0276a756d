//! The command line: what is wrong is said, and `inspect` tells what is known.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use observer_tests::{
    Workload,
    observer::run,
    paths::{GO, VARIANTS, VERSIONS, fixture, go},
};

fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Fails by itself, and the error has all of these words.
fn refuses(args: &[&str], words: &[&str]) {
    let output = run(args);
    let (_, stderr) = text(&output);
    assert!(
        matches!(output.status.code(), Some(code) if code != 0 && code != 101 && code < 124),
        "{args:?}: {}\n{stderr}",
        output.status
    );
    for word in words {
        assert!(
            stderr.contains(word),
            "{args:?}: the error does not say {word:?}:\n{stderr}"
        );
    }
}

#[test]
fn bad_settings_are_refused() {
    refuses(&["node", "--listen", "nonsense"], &["--listen", "nonsense"]);
    refuses(
        &["node", "--listen", "127.0.0.1:99999"],
        &["--listen", "99999"],
    );
    refuses(&["node", "--interval", "0"], &["--interval", "0"]);
    refuses(&["node", "--interval", "soon"], &["--interval", "soon"]);
    refuses(&["node", "--interval=-1s"], &["--interval"]);
    refuses(
        &["node", "--goroutine-creators", "51"],
        &["--goroutine-creators", "50"],
    );
    refuses(
        &["node", "--exclude", "path=bin/app"],
        &["--exclude", "bin/app", "begin with /"],
    );
    // Whom nobody can ask about pods.
    refuses(
        &["node", "--kube=off", "--exclude=namespace=kube-*"],
        &["--exclude namespace=kube-*", "--kube on"],
    );
    refuses(&["node", "--unknown"], &["--unknown"]);
    refuses(&["nonsense"], &["nonsense"]);
    refuses(&["inspect"], &["Usage"]);
    refuses(&["inspect", "/nonexistent/file"], &["/nonexistent/file"]);
    // Above what the kernel gives out.
    refuses(&["inspect", "4194305"], &["4194305"]);
}

#[test]
fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    refuses(&["node", "--listen", &address], &[&address]);
}

#[test]
fn help_and_version() {
    for args in [&["--help"][..], &["node", "--help"], &["inspect", "--help"]] {
        let output = run(args);
        assert!(output.status.success(), "{args:?}");
        assert!(text(&output).0.contains("Usage"), "{args:?}");
    }
    let output = run(["--version"]);
    assert!(text(&output).0.contains(env!("CARGO_PKG_VERSION")));
}

fn inspect_json(target: &str) -> serde_json::Value {
    let output = run(["inspect", "--json", target]);
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "inspect --json {target}: {stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{target}: {e}: {stdout}"))
}

fn string<'a>(json: &'a serde_json::Value, name: &str) -> &'a str {
    let value = json.get(name).or_else(|| json.get("binary")?.get(name));
    value
        .and_then(|v| v.as_str())
        .unwrap_or_else(|| panic!("no {name}: {json}"))
}

#[test]
fn inspect_tells_version_and_build_mode_of_every_build() {
    for version in VERSIONS {
        for variant in VARIANTS {
            let path = fixture("workload", version, variant);
            let json = inspect_json(&path.display().to_string());
            let cell = format!("{version} {variant}");
            // A .0 release would be written without it; none is among these.
            assert_eq!(string(&json, "version"), format!("go{version}"), "{cell}");
            let mode = if variant.contains("pie") {
                "pie"
            } else {
                "exe"
            };
            assert_eq!(string(&json, "build_mode"), mode, "{cell}");
            let json = json.to_string();
            for function in ["runtime.newproc1", "runtime.startTheWorldWithSema"] {
                assert!(json.contains(function), "{cell}: no site in {function}");
            }
        }
    }
}

#[test]
fn inspect_for_people() {
    let path = fixture("workload", GO, "piestripped");
    let output = run([Path::new("inspect"), &path]);
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "{stderr}");
    let version = format!("go{GO}");
    for word in [
        version.as_str(),
        "runtime.newproc1",
        "observer.test/workload",
    ] {
        assert!(stdout.contains(word), "no {word:?}:\n{stdout}");
    }
}

#[test]
fn inspect_of_a_process_is_inspect_of_its_file() {
    let path = fixture("workload", GO, "default");
    let w = Workload::start(&path);
    let (of_pid, of_file) = (
        inspect_json(&w.pid.to_string()),
        inspect_json(&path.display().to_string()),
    );
    assert_eq!(string(&of_pid, "version"), string(&of_file, "version"));
    assert_eq!(string(&of_pid, "build_id"), string(&of_file, "build_id"));
}

#[test]
fn inspect_records_a_process_and_replays_it() {
    let workload = Workload::start(&fixture("workload", GO, "stripped"));
    let pid = workload.pid.to_string();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("process.txt.gz");
    let file = file.to_str().expect("a path in UTF-8");
    let record = ["inspect", pid.as_str(), "--record", file];
    let output = run(record);
    assert!(output.status.success(), "{output:?}");
    let mode = fs::metadata(file)
        .expect("the recording")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let replayed = inspect_json(file);
    assert_eq!(string(&replayed, "version"), format!("go{GO}"));
    let live = replayed.pointer("/figures/goroutines/live");
    assert!(
        live.is_some_and(|live| live.as_u64() >= Some(1)),
        "{replayed}"
    );
    // What is there already may be anybody's.
    refuses(&record, &[file, "exists"]);
    let program = fixture("workload", GO, "stripped").display().to_string();
    refuses(
        &["inspect", &program, "--record", file],
        &["--record needs"],
    );
}

#[test]
fn inspect_of_what_is_not_go_says_so() {
    let (stdout, stderr) = text(&run(["inspect", "/bin/true"]));
    let said = format!("{stdout}{stderr}");
    assert!(said.contains("Go"), "{said}");
    // A pipe that nobody writes to must not be waited for.
    let dir = tempfile::tempdir().expect("a directory");
    let pipe = dir.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .expect("mkfifo")
            .success()
    );
    let pipe = pipe.display().to_string();
    refuses(&["inspect", &pipe], &[&pipe]);
}

/// Programs of Go's own linker, each for another machine or system.
#[test]
fn inspect_says_for_whom_a_foreign_go_program_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = go(GO);
    for (system, machine, words) in [
        ("linux", "386", ["for 386", "an ELF file"]),
        ("linux", "riscv64", ["for riscv64", "an ELF file"]),
        ("js", "wasm", ["for wasm", "a WebAssembly module"]),
        ("darwin", "arm64", ["for arm64", "a Mach-O file"]),
        ("windows", "amd64", ["for amd64", "a PE file"]),
    ] {
        let built = directory.path().join(format!("{system}-{machine}"));
        let output = Command::new(root.join("bin/go"))
            .args(["build", "-o"])
            .arg(&built)
            .arg(".")
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/idle"))
            .env("GOROOT", &root)
            .env("GOCACHE", root.join("../../gocache"))
            .envs([("GOOS", system), ("GOARCH", machine), ("CGO_ENABLED", "0")])
            .envs([("GOTOOLCHAIN", "local"), ("GOENV", "off"), ("GOFLAGS", "")])
            .output()
            .expect("go build");
        assert!(output.status.success(), "{output:?}");
        let output = run([Path::new("inspect"), &built]);
        let (_, stderr) = text(&output);
        assert!(!output.status.success(), "{stderr}");
        for word in words.iter().chain(&["a Go program"]) {
            assert!(
                stderr.contains(word),
                "{system}/{machine}: {word}: {stderr}"
            );
        }
        assert!(machine == "wasm" || stderr.contains(GO), "{stderr}");
    }
}
