//! A second try for tests that failed, where it was asked for.
//!
//! The tests run against a real kernel, a real cluster and a real browser, on
//! machines that do other work. One that passes alone is told at the end, since it
//! points at a race, in the test or in what it tests.

use std::{
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::Result;

use crate::{slowest::slowest, ui::Step};

/// Where more fail, it was no chance.
const AT_MOST: usize = 3;

/// Whether a second try is allowed, and who needed one.
#[derive(Debug)]
pub(crate) struct Again {
    allowed: bool,
    needed: Mutex<Vec<String>>,
}

impl Again {
    pub(crate) fn new(allowed: bool) -> Self {
        Self {
            allowed,
            needed: Mutex::default(),
        }
    }

    pub(crate) fn is_allowed(&self) -> bool {
        self.allowed
    }

    /// Those that passed at their second try only.
    pub(crate) fn needed(&self) -> Vec<String> {
        let needed = self.needed.lock();
        needed.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn passed(&self, name: &str) {
        let mut needed = self.needed.lock().unwrap_or_else(PoisonError::into_inner);
        needed.push(name.to_owned());
    }

    /// Runs tests and shows what they say, and which took longest. `failed` finds those
    /// that failed in it, and `alone` runs one of them.
    pub(crate) fn run(
        &self,
        step: &Step,
        command: &mut Command,
        failed: fn(&[String]) -> Vec<String>,
        alone: impl Fn(&str) -> Result<Command>,
    ) -> Result<()> {
        let (result, said) = step.transcript(command)?;
        for line in slowest(&said) {
            step.line_out(&line);
        }
        let Err(error) = result else { return Ok(()) };
        let names = failed(&said);
        if !self.allowed || names.is_empty() || names.len() > AT_MOST {
            return Err(error);
        }
        for name in names {
            step.line_out(&format!("{name} failed; once more, alone"));
            step.stream(&mut alone(&name)?)?;
            self.passed(&name);
        }
        Ok(())
    }
}

/// By the list with which libtest ends.
pub(crate) fn failed_of_libtest(said: &[String]) -> Vec<String> {
    let mut failed = Vec::new();
    let mut listed = false;
    for line in said {
        match line.strip_prefix("    ") {
            Some(name) if listed && is_path(name) => failed.push(name.to_owned()),
            _ => listed = line == "failures:" || (listed && line.is_empty()),
        }
    }
    failed.sort();
    failed.dedup();
    failed
}

/// A name of a test, rather than a line of what it said.
fn is_path(name: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    !name.is_empty() && name.chars().all(is_of_name)
}

/// By the summary with which pytest ends, without parameters.
pub(crate) fn failed_of_pytest(said: &[String]) -> Vec<String> {
    let name = |line: &String| {
        let line = line
            .strip_prefix("FAILED ")
            .or_else(|| line.strip_prefix("ERROR "))?;
        let (_, name) = line.split_once("::")?;
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        Some(name[..end.unwrap_or(name.len())].to_owned())
    };
    let mut failed: Vec<_> = said.iter().filter_map(name).collect();
    failed.sort();
    failed.dedup();
    failed
}

#[cfg(test)]
mod tests {
    use super::{failed_of_libtest, failed_of_pytest};

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn libtest_lists_what_failed_at_its_end() {
        let said = lines(
            "test a::b ... ok\ntest a::c ... FAILED\n\nfailures:\n\n---- a::c stdout ----\n    \
             not_a_test\nthread panicked\n\n\nfailures:\n    a::c\n    d\n\ntest result: FAILED.\n    \
             e\n",
        );
        assert_eq!(failed_of_libtest(&said), ["a::c", "d"]);
        assert!(failed_of_libtest(&lines("test a ... ok\n    b")).is_empty());
    }

    #[test]
    fn pytest_sums_up_what_failed() {
        let said = lines(
            "x\nFAILED page/test_a.py::test_b[dark] - AssertionError: c::d\n\
             ERROR page/test_a.py::test_e - x\nFAILED page/test_a.py::test_b[light]",
        );
        assert_eq!(failed_of_pytest(&said), ["test_b", "test_e"]);
    }
}
