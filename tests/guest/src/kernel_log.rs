//! The kernel's log, which must have no complaint in it.

use std::{
    fs::File,
    io::{ErrorKind, Read as _},
    os::unix::fs::OpenOptionsExt as _,
};

use rustix::fs::OFlags;

/// What the kernel says when something is wrong with it.
const COMPLAINTS: [&str; 9] = [
    "WARNING:",
    "BUG:",
    "Oops",
    "Unable to handle kernel",
    "Internal error:",
    "leaking uprobe",
    "general protection",
    "blocked for more than",
    "run-time allocation",
];

/// Panics with what the kernel complains of.
pub(crate) fn assert_clean() {
    let log = read();
    assert!(!log.is_empty(), "the kernel's log is empty");
    let wrong: Vec<_> = log.iter().filter(|line| complains(line)).collect();
    assert!(
        wrong.is_empty(),
        "the kernel complains: {wrong:#?}\nits last lines:\n{}",
        log[log.len().saturating_sub(60)..].join("\n")
    );
}

fn complains(line: &str) -> bool {
    COMPLAINTS.iter().any(|complaint| line.contains(complaint))
}

/// All that is in the log, one record a line.
fn read() -> Vec<String> {
    let mut file = File::options()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open("/dev/kmsg")
        .expect("the kernel's log");
    let mut record = [0; 8192];
    let mut lines = Vec::new();
    loop {
        match file.read(&mut record) {
            Ok(length) => lines.push(message(&String::from_utf8_lossy(&record[..length]))),
            // Overwritten while it was read: the next one is there.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return lines,
            Err(error) => panic!("the kernel's log: {error}"),
        }
    }
}

/// A record without its numbers and its dictionary.
fn message(record: &str) -> String {
    let text = record.split_once(';').map_or(record, |(_, text)| text);
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{complains, message};

    #[test]
    fn a_record_is_its_first_line_without_numbers() {
        let record = "4,713,20917,-;WARNING: CPU: 1 PID: 7 at kernel/x.c\n SUBSYSTEM=x\n";
        assert_eq!(message(record), "WARNING: CPU: 1 PID: 7 at kernel/x.c");
    }

    #[test]
    fn complaints_are_told_from_what_is_usual() {
        assert!(complains(
            "uprobe: a:560 failed to unregister, leaking uprobe"
        ));
        assert!(complains("BUG: kernel NULL pointer dereference"));
        assert!(!complains("Linux version 6.12.118+deb13-cloud-amd64"));
    }
}
