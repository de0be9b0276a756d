//! `inspect`: of programs of this architecture and of another one, the observer says here
//! what it says on the machine that runs this one.

use std::{fs, path::Path, process::Command};

use observer_testkit::paths;

/// Directories of programs, and below this one of what is said of them there.
const PROGRAMS: [&str; 2] = ["/fixtures", "/foreign"];
const SAID: &str = "/inspected";

pub(crate) fn run(_: &[String]) {
    for programs in PROGRAMS {
        let said = format!("{SAID}{programs}");
        let entries = fs::read_dir(&said).unwrap_or_else(|e| panic!("{said}: {e}"));
        let mut compared = 0;
        for entry in entries {
            let entry = entry.expect("an entry");
            let there = fs::read_to_string(entry.path()).expect("what is said there");
            let name = entry.file_name();
            let here = inspected(Path::new(programs), &name.to_string_lossy());
            assert_same(&here, &there, &name.to_string_lossy());
            compared += 1;
        }
        assert!(compared > 0, "nothing is in {said}");
        println!("  {compared} files of {programs}, the same as there");
    }
}

/// What the observer says of a file, which it is told by its name alone.
fn inspected(directory: &Path, name: &str) -> String {
    let output = Command::new(paths::observer())
        .current_dir(directory)
        .args(["inspect", "--json", name])
        .output()
        .expect("an observer");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// Panics with the first line that differs: all of them are thousands.
fn assert_same(here: &str, there: &str, name: &str) {
    let mut lines = here.lines().zip(there.lines()).enumerate();
    if let Some((number, (here, there))) = lines.find(|(_, (here, there))| here != there) {
        panic!("{name}, line {number}: {here} here, {there} there");
    }
    assert_eq!(here.len(), there.len(), "{name}: one says more");
}

#[cfg(test)]
mod tests {
    use super::assert_same;

    #[test]
    fn the_same_passes() {
        assert_same("a\nb\n", "a\nb\n", "x");
    }

    #[test]
    #[should_panic(expected = "x, line 1: b here, c there")]
    fn a_line_that_differs_is_shown() {
        assert_same("a\nb\n", "a\nc\n", "x");
    }

    #[test]
    #[should_panic(expected = "one says more")]
    fn a_line_more_is_another() {
        assert_same("a\nb\n", "a\n", "x");
    }
}
