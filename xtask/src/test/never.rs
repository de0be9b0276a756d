//! Each promise of docs/never.md is held by tests that are there and are run.
//!
//! A row names them as `FILE::NAME`: a test in Rust, or a test of the page in Python;
//! or as `scenario::NAME`, which some kernel in a virtual machine is to stand.

use std::{collections::BTreeSet, fs, path::Path};

use crate::vm;

/// Where the scenarios of a guest are.
const GUEST: &str = "tests/guest/src/main.rs";

/// What is wrong with the table, by its rows.
fn faults(
    page: &str,
    scenarios: &BTreeSet<&str>,
    read: &dyn Fn(&str) -> Option<String>,
) -> Vec<String> {
    let mut faults = Vec::new();
    let rows = page.lines().filter(|line| line.starts_with("| "));
    // Behind the heading and its rule.
    for row in rows.skip(2) {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [promise, held_by] = cells[..] else {
            faults.push(format!("not two cells: {row}"));
            continue;
        };
        let quoted = held_by.split('`').skip(1).step_by(2);
        let named: Vec<_> = quoted.filter_map(|name| name.split_once("::")).collect();
        if named.is_empty() {
            faults.push(format!("no test is named: {promise}"));
        }
        for (place, name) in named {
            let fault = if place == "scenario" {
                of_scenario(name, scenarios, read)
            } else {
                of_test(place, name, read)
            };
            faults.extend(fault.map(|fault| format!("{promise} {place}::{name}: {fault}")));
        }
    }
    faults
}

/// Why a scenario holds nothing.
fn of_scenario(
    name: &str,
    scenarios: &BTreeSet<&str>,
    read: &dyn Fn(&str) -> Option<String>,
) -> Option<&'static str> {
    if !scenarios.contains(name) {
        return Some("no kernel is to stand it");
    }
    let Some(guest) = read(GUEST) else {
        return Some("the guest has no program");
    };
    if !guest.contains(&format!("(\"{name}\", ")) {
        return Some("the guest does not know it");
    }
    // Whatever a scenario is about, the kernel must not complain.
    let looks = guest.contains("run(rest);\n    kernel_log::assert_clean();");
    (!looks).then_some("the kernel's log is not looked at behind it")
}

/// Why a test holds nothing.
fn of_test(file: &str, name: &str, read: &dyn Fn(&str) -> Option<String>) -> Option<&'static str> {
    let Some(code) = read(file) else {
        return Some("there is no such file");
    };
    let lines: Vec<_> = code.lines().map(str::trim).collect();
    let begins = |line: &str, with: &str| {
        let rest = line.strip_prefix(with);
        rest.is_some_and(|rest| rest.starts_with(['(', '<']))
    };
    if Path::new(file).extension().is_some_and(|it| it == "py") {
        let is_it = |line: &&str| begins(line, &format!("def {name}"));
        // pytest takes no other.
        let is_test = name.starts_with("test_") && lines.iter().any(is_it);
        return (!is_test).then_some("there is no such test");
    }
    let is_it = |line: &&str| {
        let function = line.strip_prefix("async ").unwrap_or(line);
        begins(function, &format!("fn {name}"))
    };
    let Some(at) = lines.iter().position(is_it) else {
        return Some("there is no such function");
    };
    let above = lines[..at].iter().rev();
    let ends = |line: &&&str| !line.is_empty() && !line.ends_with(['}', '{', ';']);
    let attributes: Vec<_> = above.take_while(ends).collect();
    let has = |begin: &str| attributes.iter().any(|line| line.starts_with(begin));
    if !has("#[test]") && !has("#[tokio::test") {
        return Some("it is no test");
    }
    has("#[ignore").then_some("it is not run")
}

#[test]
fn each_promise_is_held_by_a_test_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |file: &str| fs::read_to_string(root.join(file)).ok();
    let page = read("docs/never.md").unwrap();
    assert!(page.matches("::").count() > 40, "{page}");
    let faults = faults(&page, &vm::scenarios(), &read);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_holds_nothing_is_told() {
    let read = |file: &str| match file {
        "a.rs" => Some(
            "fn other() {}\n\n#[test]\nfn good() {\n}\n\n/// Of all.\nfn plain() {\n}\n\n\
             // #[test]\nfn out() {}\n\n#[test]\n#[ignore = \"slow\"]\nfn seldom() {}\n\n\
             #[test]\n#[allow(\n    clippy::x,\n    reason = \"y\"\n)]\nfn allowed() {}\n\n\
             #[tokio::test(flavor = \"x\")]\nasync fn later() {}\n#[test]\nfn good_too() {}\n"
                .to_owned(),
        ),
        "b.py" => Some("def test_it(page):\n    pass\n\ndef helper():\n    pass\n".to_owned()),
        GUEST => Some(
            "    (\"end\", ends::run),\n    (\"files\", ends::files),\n    run(rest);\n    \
             kernel_log::assert_clean();\n"
                .to_owned(),
        ),
        _ => None,
    };
    let scenarios = BTreeSet::from(["end", "lost"]);
    let of = |held_by: &str| {
        let page = format!("Text.\n\n| never | held by |\n| --- | --- |\n| It. | {held_by} |\n");
        faults(&page, &scenarios, &read)
    };
    for good in [
        "`a.rs::good`",
        "`a.rs::allowed`, on `x`",
        "`a.rs::later`",
        "`b.py::test_it`",
        "`scenario::end`, on every kernel",
    ] {
        assert_eq!(of(good), Vec::<String>::new(), "{good}");
    }
    for (bad, why) in [
        ("by construction", "no test is named"),
        ("`a.rs`", "no test is named"),
        ("`c.rs::good`", "no such file"),
        ("`a.rs::goo`", "no such function"),
        ("`a.rs::plain`", "no test"),
        ("`a.rs::out`", "no test"),
        ("`a.rs::seldom`", "not run"),
        ("`b.py::helper`", "no such test"),
        ("`scenario::files`", "no kernel"),
        ("`scenario::lost`", "does not know"),
        ("`a.rs::good`, `a.rs::plain`", "no test"),
        ("`a.rs::good` | more", "not two cells"),
    ] {
        let found = of(bad);
        assert!(
            found.len() == 1 && found[0].contains(why),
            "{bad}: {found:?}"
        );
    }
}

#[test]
fn a_scenario_that_does_not_look_at_the_log_holds_nothing() {
    let read = |_: &str| Some("    (\"end\", ends::run),\n    run(rest);\n".to_owned());
    let found = of_scenario("end", &BTreeSet::from(["end"]), &read);
    assert!(found.is_some_and(|why| why.contains("log")), "{found:?}");
}
