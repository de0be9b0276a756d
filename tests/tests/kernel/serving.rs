//! The observer's port and its log, whoever connects and whatever becomes of the log.

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    thread,
    time::Duration,
};

use observer_tests::{
    Observer, Workload, metrics,
    paths::{self, GO, fixture},
    wait,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

use crate::lacks::own_arch;

const SOON: Duration = Duration::from_secs(30);

/// One answer on a connection of its own; the head, and the body as it is.
fn ask(address: &str, head: &str) -> Option<(String, Vec<u8>)> {
    let asked = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(SOON))?;
        stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        std::io::Result::Ok(answer)
    };
    let answer = asked().ok()?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    Some((head, answer[end + 4..].to_vec()))
}

fn is_alive(address: &str) -> bool {
    ask(address, "GET /healthz HTTP/1.1\r\nHost: localhost")
        .is_some_and(|(head, _)| head.starts_with("HTTP/1.1 200 "))
}

/// The observer by a script, in which `"$@"` runs it.
fn by_script(script: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash"]).arg(paths::observer());
    command
}

#[test]
fn quiet_connections_keep_nobody_out() {
    let observer = Observer::start();
    let mut quiet = Vec::new();
    for turn in 0..600 {
        quiet.push(TcpStream::connect(observer.address()).expect("a connection"));
        if turn % 50 == 49 {
            assert!(is_alive(observer.address()), "after {turn} quiet ones");
        }
    }
    let crowded_out = || {
        let samples = observer.metrics();
        let open = metrics::sum(&samples, "observer_connections", &[])?;
        let gone = metrics::sum(&samples, "observer_connections_crowded_out_total", &[])?;
        (open <= 384.0 && gone >= 200.0).then_some(())
    };
    wait::until("the crowd in the figures", SOON, crowded_out);
    assert!(is_alive(observer.address()));
}

#[test]
fn quiet_connections_keep_nobody_out_where_descriptors_are_few() {
    let mut command = Command::new("prlimit");
    command.arg("--nofile=512:512").arg("setpriv");
    command.args(["--bounding-set=-sys_resource", "--inh-caps=-sys_resource"]);
    command.arg(paths::observer());
    let observer = Observer::start_as(command);
    let quiet: Vec<_> = (0..700)
        .map(|_| TcpStream::connect(observer.address()).expect("a connection"))
        .collect();
    let alive = wait::comes_true(SOON, || is_alive(observer.address()));
    assert!(alive, "{}", observer.log());
    drop(quiet);
    let w = Workload::start(&fixture("workload", GO, "default"));
    observer.attached(w.pid);
}

#[test]
fn no_name_of_a_file_forges_a_line_of_the_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let names = [
        "shop\n2026-01-01T00:00:00.000000Z ERROR observer: forged",
        "shop\u{1b}[2K\u{1b}[1Gforged",
        "shop\rforged\u{202e}",
    ];
    let mut command = Command::new(paths::observer());
    command.env("RUST_LOG", "debug");
    let observer = Observer::start_as(command);
    for name in names {
        let path = dir.path().join(name);
        fs::copy(fixture("workload", GO, "default"), &path).expect("a copy of the program");
        let w = Workload::start(&path);
        observer.attached(w.pid);
    }
    let log = observer.log();
    for line in log.lines() {
        // As in 2026-01-01T00:00:00.000000Z  INFO observer: …
        let level = line.split_whitespace().nth(1).unwrap_or_default();
        assert!(
            ["ERROR", "WARN", "INFO", "DEBUG"].contains(&level),
            "{line:?}"
        );
        assert!(
            !line.contains(|c: char| c.is_control() || c == '\u{202e}'),
            "{line:?}"
        );
    }
    for shown in [r"shop\n2026-", r"shop\u{1b}[2K", r"shop\rforged\u{202e}"] {
        assert!(log.contains(shown), "{shown} is not in the log:\n{log}");
    }
}

/// The figures go on, and it ends well.
fn assert_goes_on(name: &str, observer: Observer) {
    let mut w = Workload::start(&fixture("workload", GO, "default"));
    observer.attached(w.pid);
    for more in 1..=3 {
        w.run("burst 100 0");
        let said = w.report();
        wait::until(&format!("{name}: turn {more}"), SOON, || {
            let ever = observer.process(w.pid)?.figures.ever?;
            (ever == (said.created, said.exited)).then_some(())
        });
        assert!(is_alive(observer.address()), "{name}");
    }
    let (status, _) = observer.stop();
    assert!(status.success(), "{name}: {status}");
}

/// Has it log until there is no room for more, of which it says so itself.
fn log_more_than_is_read(observer: &Observer) {
    let mut quiet = VecDeque::new();
    wait::until("lines left out", Duration::from_secs(60), || {
        // Each that makes room for another is a line.
        for _ in 0..400 {
            quiet.push_back(TcpStream::connect(observer.address()).expect("a connection"));
            if quiet.len() > 500 {
                quiet.pop_front();
            }
        }
        let samples = observer.metrics();
        let lost = metrics::sum(&samples, "observer_log_lines_lost_total", &[])?;
        (lost > 0.0).then_some(())
    });
}

#[test]
fn a_log_that_cannot_be_written_stops_nobody() {
    for (name, script) in [
        ("a full disk", "exec \"$@\" 2> /dev/full > /dev/full"),
        ("a closed pipe", "exec \"$@\" 2> >(exit) > >(exit)"),
        ("closed descriptors", "exec \"$@\" 2>&- >&-"),
    ] {
        let mut command = by_script(script);
        command.env("RUST_LOG", "debug");
        assert_goes_on(name, Observer::start_as(command));
    }
}

#[test]
fn a_log_that_nobody_reads_stops_nobody() {
    // Whoever has the pipe's other end stays for the test, and reads nothing.
    let mut command = by_script("exec \"$@\" 2> >(exec sleep 120 > /dev/null 2>&1)");
    command.env("RUST_LOG", "debug");
    let observer = Observer::start_as(command);
    log_more_than_is_read(&observer);
    assert_goes_on("a pipe that nobody reads", observer);
}

/// Where a process listens, as the kernel writes it: address and port in hexadecimal.
fn listens(pid: u32) -> Vec<String> {
    let files = ["tcp", "tcp6"].map(|name| format!("/proc/{pid}/net/{name}"));
    let tables = files
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok());
    let listening = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next()?, fields.nth(1)?);
        (state == "0A").then(|| local.to_owned())
    };
    tables
        .flat_map(|table| table.lines().filter_map(listening).collect::<Vec<_>>())
        .collect()
}

/// Runs it in a network of its own, where it is to listen so.
fn assert_listens(arguments: &[&str], expected: &[&str]) {
    let expected: Vec<_> = expected.iter().map(|it| format!("{it}:{PORT}")).collect();
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-ec", "ip link set lo up; exec \"$@\"", "sh"]);
    command
        .arg(paths::observer())
        .args(["node", "--table", "off", "--kube", "off"]);
    let command = command.args(arguments).env_remove("OBSERVER_LISTEN");
    let mut child = command.spawn().expect("the observer");
    let network = |of: &str| fs::read_link(format!("/proc/{of}/ns/net")).ok();
    let pid = child.id();
    let as_expected = wait::comes_true(SOON, || {
        // Until then it is this network that its files tell of.
        network(&pid.to_string()) != network("self") && listens(pid) == expected
    });
    let found = listens(pid);
    let _ = child.kill();
    let _ = child.wait();
    assert!(
        as_expected,
        "{arguments:?}: {found:?}, expected {expected:?}"
    );
}

/// 9920.
const PORT: &str = "26C0";

const EVERYWHERE: [&str; 2] = ["--listen", "[::]:9920"];

#[test]
fn off_a_cluster_this_machine_alone_is_served() {
    let six = "00000000000000000000000001000000";
    assert_listens(&[], &["0100007F", six]);
    assert_listens(&EVERYWHERE, &[&"0".repeat(32)]);
}

#[test]
fn without_ipv6_the_addresses_of_ipv4_are_served() {
    let ipv6 = SeccompCondition::new(
        0,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::Eq,
        libc::AF_INET6 as u64,
    );
    let rule = ipv6.and_then(|ipv6| SeccompRule::new(vec![ipv6]));
    let rules = BTreeMap::from([(libc::SYS_socket, vec![rule.expect("a rule")])]);
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EAFNOSUPPORT as u32),
        own_arch(),
    );
    let filter = filter.and_then(BpfProgram::try_from);
    let filter = filter.expect("a filter of system calls");
    // The filter is the thread's and its children's, so a thread of its own.
    thread::scope(|scope| {
        let run = || {
            apply_filter(&filter).expect("the filter applied");
            assert_listens(&[], &["0100007F"]);
            assert_listens(&EVERYWHERE, &["00000000"]);
        };
        scope.spawn(run).join().expect("the observers");
    });
}

#[test]
fn a_name_that_a_stranger_made_lead_here_is_refused() {
    let observer = Observer::start();
    let status = |host: &str| {
        let asked = ask(
            observer.address(),
            &format!("GET /metrics HTTP/1.1\r\nHost: {host}"),
        );
        let (head, _) = asked.expect("an answer");
        head.split(' ').nth(1).map(str::to_owned)
    };
    assert_eq!(status("evil.example:9920").as_deref(), Some("421"));
    assert_eq!(status("localhost:9920").as_deref(), Some("200"));
    assert_eq!(status(observer.address()).as_deref(), Some("200"));
}
