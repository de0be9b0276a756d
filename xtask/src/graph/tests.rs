//! The graph of sources that are made up.

use std::{collections::BTreeMap, path::Path};

use super::{
    faults,
    order::Order,
    packages::{Package, Target},
    reader::read,
    tree::Tree,
};

const ORDER: &str = "```\nlow ──▶ high\n```\n```\nlow: one, two ──▶ three\n```\n";

fn package(directory: &str, needs: &[&str]) -> Package {
    Package {
        name: directory.to_owned(),
        directory: directory.into(),
        targets: vec![Target {
            library: Some(directory.to_owned()),
            root: Path::new(directory).join("lib.rs"),
        }],
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
    }
}

/// What is wrong with these packages' files.
fn of(packages: &[Package], order: &str, files: &[(&str, &str)]) -> Vec<String> {
    let files: BTreeMap<_, _> = files.iter().copied().collect();
    let source = |path: &Path| Some((*files.get(path.to_str()?)?).to_owned());
    let mut tree = Tree::default();
    read(&mut tree, packages, &source).unwrap();
    let order = Order::parse(order).unwrap();
    faults::all(packages, &tree, &tree.arrows(), &order)
}

/// The same of one crate, whose order is that of its folders where it has them.
fn faults(files: &[(&str, &str)]) -> Vec<String> {
    of(&[package("low", &[])], "```\nlow ──▶ low\n```", files)
}

/// What both files of a circle are told to name.
fn circle(files: &[(&str, &str)]) -> [String; 2] {
    let faults = faults(files);
    let [fault] = &faults[..] else {
        panic!("{faults:?}")
    };
    let mut lines = fault.lines();
    assert_eq!(lines.next(), Some("a circle of files:"));
    [(); 2].map(|()| lines.next().unwrap().trim().to_owned())
}

#[test]
fn what_a_child_takes_from_its_parent_is_a_circle() {
    let found = circle(&[
        (
            "low/lib.rs",
            "mod child;\npub struct Shared;\npub fn run() { child::run(&Shared) }",
        ),
        (
            "low/child.rs",
            "use super::Shared;\npub fn run(_: &Shared) {}",
        ),
    ]);
    let expected = [
        "low/lib.rs names child::run of low/child.rs",
        "low/child.rs names super::Shared of low/lib.rs",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_reexport_leads_to_the_file_that_defines() {
    let files = [
        (
            "low/lib.rs",
            "mod one;\nmod two;\npub use one::One;\npub use two::*;",
        ),
        ("low/one.rs", "pub struct One;\npub enum Other {}"),
        (
            "low/two.rs",
            "use super::One;\npub fn second(_: One) { crate::One; crate::second(One) }",
        ),
    ];
    assert_eq!(faults(&files), [""; 0]);
    let found = circle(&[
        files[0],
        (
            "low/one.rs",
            "pub struct One;\npub fn first() { super::second(One) }",
        ),
        files[2],
    ]);
    assert_eq!(found[0], "low/one.rs names super::second of low/two.rs");
}

#[test]
fn names_are_followed_through_modules_macros_and_functions() {
    for one in [
        "use crate::two;\npub struct A;\nfn f() { two::g() }",
        "use crate::two as other;\npub struct A;\nfn f() { println!(\"{}\", other::g()) }",
        "pub struct A;\nfn f() { use super::two::g; g() }",
        "use super::*;\npub struct A;\nfn f(_: G) {}",
        "use super::G as B;\npub struct A;",
        "pub struct A;\nimpl From<crate::two::Made> for A {}",
    ] {
        let found = circle(&[
            (
                "low/lib.rs",
                "mod one;\nmod two;\npub use two::G;\npub(crate) use one::A;",
            ),
            ("low/one.rs", one),
            (
                "low/two.rs",
                "use crate::A;\npub struct G;\npub fn g() {}\nmade! { Made }",
            ),
        ]);
        assert_eq!(found[1], "low/two.rs names crate::A of low/one.rs", "{one}");
    }
}

#[test]
fn what_only_sounds_alike_is_no_arrow() {
    let one = "use std::two;\npub struct A;\n/// [`super::two::g`]\n\
               fn f(x: std::vec::Vec<u8>) -> impl Fn() + use<> { x.g(); let two = 1..2; || {} }";
    let two = "use crate::one::A;\npub fn g(_: A) {}\npub fn two() {}";
    let files = [
        ("low/lib.rs", "mod one;\nmod two;"),
        ("low/one.rs", one),
        ("low/two.rs", two),
    ];
    assert_eq!(faults(&files), [""; 0]);
}

#[test]
fn tests_may_import_what_they_test() {
    let lib = ("low/lib.rs", "mod one;\nmod two;");
    let two = ("low/two.rs", "use crate::one::A;\npub fn g(_: A) {}");
    for (condition, faulty) in [
        ("test", 0),
        ("any(test, feature = \"fixtures\")", 0),
        ("all(test, unix)", 0),
        ("any(test, feature = \"user\")", 1),
        ("not(test)", 1),
    ] {
        let one = format!("pub struct A;\n#[cfg({condition})]\nmod tests {{ use crate::two::g; }}");
        let found = faults(&[lib, two, ("low/one.rs", &one)]);
        assert_eq!(found.len(), faulty, "{condition}: {found:?}");
    }
    // Among themselves they make no circles either.
    let one = "pub struct A;\n#[cfg(test)]\nmod tests;";
    let found = circle(&[
        lib,
        two,
        ("low/one.rs", one),
        (
            "low/one/tests.rs",
            "mod more;\npub fn help() { more::help() }",
        ),
        ("low/one/tests/more.rs", "pub fn help() { super::help() }"),
    ]);
    assert!(
        found[0].starts_with("low/one/tests.rs (tests) names more::help"),
        "{found:?}"
    );
}

#[test]
fn an_arrow_between_rooms_must_not_run_back_up() {
    let lib = "mod one;\nmod three;\nmod two;";
    let low = package("low", &[]);
    let of = |one: &str, two: &str, three: &str| {
        let files = [
            ("low/lib.rs", lib),
            ("low/one/mod.rs", one),
            ("low/two/mod.rs", two),
            ("low/three/mod.rs", three),
        ];
        of(
            &[low.clone(), package("high", &[])],
            ORDER,
            &[&files[..], &[("high/lib.rs", "")]].concat(),
        )
    };
    assert_eq!(of("pub fn f() {}", "", "use crate::one::f;"), [""; 0]);
    let up = of("use crate::three::f;", "", "pub fn f() {}");
    assert_eq!(up.len(), 1, "{up:?}");
    assert!(up[0].starts_with("room one of low imports from a room that ARCHITECTURE.md does not"));
    let beside = of("use crate::two::f;", "pub fn f() {}", "");
    assert_eq!(beside.len(), 1, "{beside:?}");
    // A circle that no two files close.
    let around = of(
        "pub fn f() {} use crate::three::g;",
        "",
        "pub fn g() { crate::one::f() }",
    );
    assert_eq!(around.len(), 3, "{around:?}");
}

#[test]
fn rooms_that_know_one_another_stand_in_the_line() {
    let files = [
        ("low/lib.rs", "mod four;\nmod one;\nmod three;\nmod two;"),
        ("low/one/mod.rs", "pub fn f() {}"),
        ("low/two/mod.rs", ""),
        ("low/three/mod.rs", ""),
        ("low/four/mod.rs", "use crate::one::f;"),
    ];
    let low = [package("low", &[])];
    let found = of(&low, ORDER, &files);
    assert_eq!(
        found[0],
        "ARCHITECTURE.md orders high, which is no crate's folder."
    );
    assert!(
        found[1].contains("has no line that puts it to the right of"),
        "{found:?}"
    );
    let found = of(
        &low,
        "```\nlow ──▶ low\n```\n```\nlow: one ──▶ four, five\n```",
        &files,
    );
    assert_eq!(
        found,
        ["ARCHITECTURE.md orders five, which is no room of low."]
    );
}

#[test]
fn crates_need_those_to_their_left_only() {
    let files = [("low/lib.rs", ""), ("high/lib.rs", ""), ("tool/lib.rs", "")];
    let with = |low: &[&str], high: &[&str], tool: &[&str]| {
        let all = [
            package("low", low),
            package("high", high),
            package("tool", tool),
        ];
        of(&all, "```\nlow ──▶ high\n```", &files)
    };
    assert_eq!(with(&[], &["low"], &["low", "high"]), [""; 0]);
    let up = with(&["high"], &[], &[]);
    assert_eq!(
        up,
        [
            "crate low needs high, which is not to the left of it in ARCHITECTURE.md's line of crates."
        ]
    );
    assert!(with(&["tool"], &[], &[])[0].contains("which is not there in"));
    let circle = with(&[], &["low"], &["tool"]);
    assert_eq!(circle, ["a circle of crates: tool needs the first."]);
}
