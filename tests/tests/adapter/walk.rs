//! README's walk from nothing to an autoscaler, as it is written there.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use observer_tests::{
    cluster::{Cluster, SOON, say, turn},
    wait,
};
use tempfile::TempDir;

/// The line of README before the walk's commands ends so.
const BEFORE: &str = "From nothing to an autoscaler on an uninstrumented program:";
const WATCH: &str = " -w";
/// Of the line that asks for values.
const VALUES: &str = " --raw ";
const WITHIN: Duration = Duration::from_secs(180);

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().expect("the checkout")
}

/// The commands of the block, without what is said of them.
fn commands() -> Vec<String> {
    let text = fs::read_to_string(root().join("README.md")).expect("README.md");
    // It may be broken into lines anywhere.
    let flat = text.replace('\n', " ");
    let at = flat.find(BEFORE).expect("the walk in README.md");
    let block = text[at..].split("```sh\n").nth(1).expect("a block");
    let block = block.split("```").next().expect("its end");
    block
        .lines()
        .map(|line| line.split("  #").next().unwrap_or(line).trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

/// A shell in the checkout. Its `cargo xtask` is the xtask that started the
/// tests, which cargo would build once more.
struct Shell(TempDir);

impl Shell {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let cargo = directory.path().join("cargo");
        let text =
            "#!/bin/sh\n[ \"$1\" = xtask ] || exit 64\nshift\nexec \"$OBSERVER_XTASK\" \"$@\"\n";
        fs::write(&cargo, text).expect("a script");
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("to run it");
        Self(directory)
    }

    fn command(&self, line: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("bash");
        command
            .args(["-c", line])
            .current_dir(root())
            .env("PATH", format!("{}:{path}", self.0.path().display()))
            .env("CARGO_MANIFEST_DIR", root().join("xtask"))
            // It is for this program: crates that ask for it would be built anew.
            .env_remove("RUSTC_BOOTSTRAP")
            .stdin(Stdio::null());
        command
    }

    /// What it prints, or its complaint.
    fn run(&self, line: &str) -> Result<String, String> {
        let output = self.command(line).output().expect("bash");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }
}

/// The example is not where tests put theirs. Deleted when dropped.
struct Example<'a>(&'a Cluster);

impl Drop for Example<'_> {
    fn drop(&mut self) {
        let args = ["delete", "namespace", "burst", "--wait=false"];
        let _ = self.0.try_kubectl(&args);
    }
}

/// Ended when dropped.
struct Watch(Child);

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn readme_leads_to_an_autoscaler_in_under_ten_commands() {
    // It applies what all share, as it is.
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let commands = commands();
    assert!((5..10).contains(&commands.len()), "{commands:?}");
    let (last, before) = commands.split_last().expect("commands");
    let shell = Shell::new();
    let _example = Example(&cluster);
    // As one does who pastes them all at once: only the values may not be
    // there yet, and nothing that follows must need them.
    for line in before {
        let begin = Instant::now();
        let done = shell.run(line);
        assert!(done.is_ok() || line.contains(VALUES), "{line}: {done:?}");
        say(&format!("{:5.1} s  {line}", begin.elapsed().as_secs_f64()));
    }
    let values = before.iter().find(|line| line.contains(VALUES));
    let values = values.expect("a request for values");
    wait::until("values of the pods", SOON, || {
        let text = shell.run(values).ok()?;
        (!text.contains(r#""items":[]"#)).then_some(())
    });
    assert!(
        last.ends_with(WATCH),
        "the last command is no watch: {last}"
    );
    watch(&shell, last);
}

/// Until the autoscaler shows the metric and has made replicas of it.
fn watch(shell: &Shell, line: &str) {
    // Not the shell alone is to end.
    let mut command = shell.command(&format!("exec {line}"));
    let child = command.stdout(Stdio::piped()).spawn().expect("bash");
    let mut watch = Watch(child);
    let output = BufReader::new(watch.0.stdout.take().expect("its output"));
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let end = Instant::now() + WITHIN;
    let mut seen = Vec::new();
    while let Ok(line) = lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
        let (known, replicas) = read(&line);
        seen.push(line);
        if known && replicas > 2 {
            say(&seen.join("\n    "));
            return;
        }
    }
    panic!("no replicas by a metric within {WITHIN:?}: {seen:#?}");
}

/// Whether a line of `kubectl get hpa` has a value of the first metric, and
/// the replicas.
fn read(line: &str) -> (bool, u64) {
    // NAME REFERENCE TARGETS MINPODS MAXPODS REPLICAS AGE; targets have spaces.
    let words: Vec<_> = line.split_whitespace().collect();
    let target = words.get(2).and_then(|it| it.split('/').next());
    let known = target.is_some_and(|it| it.trim_end_matches('m').parse::<u64>().is_ok());
    let replicas = words.iter().rev().nth(1).and_then(|it| it.parse().ok());
    (known, replicas.unwrap_or(0))
}
