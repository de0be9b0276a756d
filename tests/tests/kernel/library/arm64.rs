//! Inspection of Go programs for arm64, on whatever machine this is: every release and way
//! of linking of the workload fixture, held against the same program for x86-64.

use std::{
    collections::BTreeSet,
    fs::File,
    path::{Path, PathBuf},
};

use observer_go::{
    binary::{Binary, FigureGroup, Functions, Gap, Inspected, inspect},
    release::Arch,
};
use observer_tests::paths::{VERSIONS, fixture, fixtures_of_arm64};

/// Ways of building that need no C compiler for arm64.
const WITHOUT_CGO: [&str; 4] = ["default", "stripped", "pie", "piestripped"];

fn inspected(path: &Path) -> Box<Binary> {
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    match inspect(&file) {
        Ok(Inspected::Go(binary)) => binary,
        other => panic!("{}: {other:?}", path.display()),
    }
}

/// The figures that are lacking.
fn figures(gaps: &[Gap]) -> BTreeSet<FigureGroup> {
    gaps.iter().map(|gap| gap.figure).collect()
}

/// Release, way of building and file of every workload for arm64.
fn workloads() -> Vec<(String, String, PathBuf)> {
    let mut found = Vec::new();
    for path in fixtures_of_arm64() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut parts = name.splitn(3, '-').map(str::to_owned);
        let (program, version, variant) = (parts.next(), parts.next(), parts.next());
        if program.as_deref() == Some("workload") {
            let cell = version.zip(variant).expect("PROGRAM-VERSION-VARIANT");
            found.push((cell.0, cell.1, path.clone()));
        }
    }
    found
}

#[test]
fn the_whole_matrix_is_there() {
    let there: BTreeSet<_> = workloads()
        .into_iter()
        .map(|(version, variant, _)| (version, variant))
        .collect();
    for version in VERSIONS {
        for variant in WITHOUT_CGO {
            let cell = (version.to_owned(), variant.to_owned());
            assert!(there.contains(&cell), "{cell:?}");
        }
    }
    let more = there.iter().filter(|(_, variant)| variant == "cgo");
    println!("{} files, {} with cgo", there.len(), more.count());
}

#[test]
fn nothing_is_lacking_that_x86_64_has() {
    let mut wrong = Vec::new();
    for (version, variant, path) in workloads() {
        let what = format!("{version} {variant}");
        // This one is built for arm64 alone.
        let alike = if variant == "v81" {
            "default"
        } else {
            variant.as_str()
        };
        let (here, there) = (
            inspected(&path),
            inspected(&fixture("workload", &version, alike)),
        );
        assert_eq!(
            (here.arch, there.arch),
            (Arch::Arm64, Arch::Amd64),
            "{what}"
        );
        assert_eq!(here.version, there.version, "{what}");
        assert_eq!(here.build_mode, there.build_mode, "{what}");
        assert_eq!(here.stripped, there.stripped, "{what}");
        for (of, here, there) in [
            ("probes", &here.plan.gaps, &there.plan.gaps),
            ("state", &here.state.gaps, &there.state.gaps),
        ] {
            let usual = figures(there);
            let unusual = here.iter().filter(|gap| !usual.contains(&gap.figure));
            wrong.extend(unusual.map(|gap| format!("{what}, {of}: {gap:?}")));
        }
        if here.plan.sites.is_empty() || here.state.globals.is_none() {
            wrong.push(format!("{what}: neither sites nor globals may be missing"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Instructions have four bytes and stand at multiples of four.
#[test]
fn every_site_is_an_instruction_of_its_function() {
    for (version, variant, path) in workloads() {
        let what = format!("{version} {variant}");
        let file = File::open(&path).unwrap();
        let functions = Functions::open(&file).unwrap().expect(&what);
        for site in &inspected(&path).plan.sites {
            assert_eq!(site.address % 4, 0, "{what}: {site:?}");
            let place = functions.resolve(site.address).unwrap().expect(&what);
            assert_eq!(place.function.name, site.function, "{what}: {site:?}");
        }
    }
}
