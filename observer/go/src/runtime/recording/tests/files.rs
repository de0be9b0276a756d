//! Recordings as files.

use std::collections::HashMap;

use super::{all, first_of, sample};
use crate::{
    release::{Arch, DwarfTypes, Layout},
    runtime::recording::{Recording, RecordingError, fuzz_invariants},
};

fn text(recording: &Recording) -> String {
    let mut text = Vec::new();
    recording.write_text(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn error(text: &str) -> String {
    let error = Recording::read(text.as_bytes()).err();
    error.map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn what_is_written_is_read_again() {
    for one in all() {
        let mut file = Vec::new();
        one.first.write(&mut file).unwrap();
        assert!(Recording::begins(&file));
        let again = Recording::read(&*file).unwrap();
        assert_eq!(again.reads, one.first.reads);
        assert_eq!(text(&again), text(&one.first));
        // A file that was unpacked is as good.
        let plain = Recording::read(text(&one.first).as_bytes()).unwrap();
        assert_eq!(sample(&plain).1, sample(&one.first).1);
        // Each is small enough to be attached anywhere.
        assert!(file.len() < 64 << 10, "{}: {} bytes", one.name, file.len());
    }
}

#[test]
fn it_holds_what_the_runtime_counts_and_nothing_of_the_heap() {
    for one in all() {
        let sched = one.first.program.globals.sched.as_ref().unwrap().address;
        assert!(!first_of(&one.first.reads, sched).bytes.is_empty());
        // The program's name, its environment and its strings are not in it.
        let bytes: Vec<u8> = one
            .first
            .reads
            .iter()
            .flat_map(|r| r.bytes.to_vec())
            .collect();
        for secret in [&b"GOMAXPROCS"[..], b"/usr/", b"ready", b"state"] {
            let found = memchr::memmem::find(&bytes, secret);
            assert_eq!(found, None, "{}: {secret:?}", one.name);
        }
    }
}

#[test]
fn a_layout_that_only_the_program_tells_comes_along() {
    let one = all().last().unwrap();
    let release = crate::release::GoVersion::parse(&one.name).unwrap();
    let field = |name| Some((name, Layout::field(release, Arch::Amd64, name)?));
    let layout = one.first.program.layout().unwrap();
    let mut recording = one.first.clone();
    recording.program.version = format!("{} X:some", one.name);
    recording.program.described = Some(DwarfTypes {
        fields: DwarfTypes::wanted().into_iter().filter_map(field).collect(),
        size_classes: layout.size_classes.clone(),
        wait_reasons: layout
            .wait_reasons
            .iter()
            .map(ToString::to_string)
            .collect(),
    });
    let again = Recording::read(text(&recording).as_bytes()).unwrap();
    let described = again.program.described.clone().unwrap();
    let sorted = |fields: &HashMap<_, _>| fields.len();
    let expected = recording.program.described.as_ref().unwrap();
    assert_eq!(sorted(&described.fields), sorted(&expected.fields));
    assert_eq!(described.wait_reasons, expected.wait_reasons);
    assert_eq!(sample(&again).1, sample(&one.first).1);
}

#[test]
fn what_is_no_recording_is_named() {
    assert!(error("").contains("go-observer recording 1"));
    assert!(error("go-observer recording 2\n").contains("go-observer recording 1"));
    assert!(!Recording::begins(b"\x7fELF"));
    let first = "go-observer recording 1\n";
    for (line, expected) in [
        ("", "a word and what it says"),
        ("arch mips", "amd64 or arm64"),
        ("bias 12", "0x5b1ac0"),
        ("global work 0x1", "a global that is known"),
        ("read 0x1 0", "two digits"),
        ("read 0x1 ", "two digits"),
        ("read 0x1 0g", "two digits"),
        ("same 0x1 8", "read before"),
        ("field schedt.goidgen -1 8", "a field"),
        ("classes 8,x", "sizes"),
        ("more 1", "a word that"),
    ] {
        let said = error(&format!("{first}{line}\n"));
        let place = said.starts_with("line 2 of the recording");
        assert!(place && said.contains(expected), "{line:?}: {said}");
    }
    let empty = Recording::read(first.as_bytes()).unwrap().reader().err();
    assert!(matches!(empty, Some(RecordingError::Version(_))));
    let version = format!("{first}version go1.26.8\n");
    let lacking = Recording::read(version.as_bytes()).unwrap().reader().err();
    assert!(matches!(lacking, Some(RecordingError::State(_))));
}

#[test]
fn a_file_that_is_damaged_anywhere_does_no_harm() {
    let one = &all()[0];
    let text = text(&one.first);
    let lines: Vec<&str> = text.lines().collect();
    for removed in (0..lines.len()).step_by(lines.len().div_ceil(40)) {
        let mut fewer = lines.clone();
        fewer.remove(removed);
        fuzz_invariants::file(fewer.join("\n").as_bytes());
    }
    let mut file = Vec::new();
    one.first.write(&mut file).unwrap();
    for cut in (0..file.len()).step_by(file.len().div_ceil(40)) {
        fuzz_invariants::file(&file[..cut]);
    }
}
