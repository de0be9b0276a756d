//! Which releases of Go are observed, and what the tests build with them.
//!
//! All of it is in `observer/go/versions.toml`. The releases are constants, so that a
//! test that names one that is not there does not compile.

mod constants;
#[cfg(test)]
mod docs;
mod tables;

pub use constants::minor;
use constants::{count, value};
use tables::Table;

const TEXT: &str = include_str!("../../../observer/go/versions.toml");

/// How many minor releases there are.
pub const COUNT: usize = count(TEXT, "version");

/// The patch of each minor release that the tests build with, the oldest first.
pub const VERSIONS: [&str; COUNT] = {
    let mut versions = [""; COUNT];
    let mut place = 0;
    while place < COUNT {
        versions[place] = value(TEXT, "version", place);
        place += 1;
    }
    versions
};

/// The oldest release.
pub const OLDEST: &str = VERSIONS[0];

/// The newest release.
pub const NEWEST: &str = VERSIONS[COUNT - 1];

/// The release of tests that need just one.
pub const GO: &str = go1(minor(value(TEXT, "default", 0)));

/// The patch of Go 1.`minor` that the tests build with.
pub const fn go1(number: u32) -> &'static str {
    let mut place = 0;
    while place < COUNT {
        if minor(VERSIONS[place]) == number {
            return VERSIONS[place];
        }
        place += 1;
    }
    panic!("no such minor release in observer/go/versions.toml")
}

/// The builds that are in the virtual machines, by their file names.
pub fn guest() -> Vec<String> {
    builds("guest")
}

/// The same of arm64. A name that ends with `*` is all that begin like it.
pub fn guest_of_arm64() -> Vec<String> {
    builds("arm64")
}

/// What each release lists under a key, by file names.
fn builds(key: &str) -> Vec<String> {
    let mut builds = Vec::new();
    for table in tables("release") {
        let version = table.string("version");
        for build in table.list(key) {
            let (program, variant) = build
                .split_once('-')
                .unwrap_or_else(|| panic!("`{build}`: expected PROGRAM-VARIANT"));
            builds.push(format!("{program}-{version}-{variant}"));
        }
    }
    builds
}

/// A program of `tests/fixtures`, as it is to be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixture {
    /// Its folder.
    pub name: &'static str,
    /// By which releases.
    pub releases: Vec<&'static str>,
    /// How, by the names of variants; `all` alone is all of them.
    pub variants: Vec<&'static str>,
    /// As `go build -buildmode` has it; `None` is an executable.
    pub mode: Option<&'static str>,
    /// Whether it is built with modules of others.
    pub modules: bool,
    /// By which releases it is built for arm64 too.
    pub arm64: Vec<&'static str>,
}

/// Every program that is built.
pub fn fixtures() -> Vec<Fixture> {
    let of = |table: Table<'static>| Fixture {
        name: table.string("name"),
        releases: named(&table.list("releases")),
        variants: table.list("variants"),
        mode: table.may("mode").map(|mode| mode.string("mode")),
        modules: table
            .may("modules")
            .is_some_and(|modules| modules.flag("modules")),
        arm64: table
            .may("arm64")
            .map(|arm64| named(&arm64.list("arm64")))
            .unwrap_or_default(),
    };
    tables("fixture").map(of).collect()
}

fn tables(name: &'static str) -> impl Iterator<Item = Table<'static>> {
    let tables = tables::parse(TEXT).unwrap_or_else(|why| panic!("versions.toml: {why}"));
    tables.into_iter().filter(move |table| table.name == name)
}

/// The releases that these words stand for, each once, the oldest first.
fn named(words: &[&str]) -> Vec<&'static str> {
    let stands = |word: &str, version: &str| match word {
        "all" => true,
        "oldest" => version == OLDEST,
        "newest" => version == NEWEST,
        "default" => version == GO,
        word => version == go1(minor(word)),
    };
    let wanted = |version: &&str| words.iter().any(|word| stands(word, version));
    VERSIONS.into_iter().filter(wanted).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        COUNT, Fixture, GO, NEWEST, OLDEST, VERSIONS, fixtures, go1, guest, guest_of_arm64, minor,
        named,
    };

    #[test]
    fn releases_are_in_order_and_none_is_left_out() {
        for two in VERSIONS.windows(2) {
            assert_eq!(minor(two[0]) + 1, minor(two[1]), "{two:?}");
        }
        assert_eq!((OLDEST, NEWEST), (VERSIONS[0], VERSIONS[COUNT - 1]));
        assert!(VERSIONS.contains(&GO));
        for version in VERSIONS {
            assert_eq!(version.split('.').count(), 3, "{version}");
            assert_eq!(go1(minor(version)), version);
        }
    }

    #[test]
    fn words_stand_for_releases() {
        assert_eq!(named(&["all"]), VERSIONS);
        assert_eq!(named(&["newest", "oldest", "oldest"]), [OLDEST, NEWEST]);
        assert_eq!(named(&["1.22", "default"]), [go1(22), GO]);
    }

    #[test]
    fn every_program_is_named_once_and_built() {
        let all = fixtures();
        for (place, fixture) in all.iter().enumerate() {
            assert!(!fixture.releases.is_empty() && !fixture.variants.is_empty());
            let before = &all[..place];
            assert!(
                before.iter().all(|it| it.name != fixture.name),
                "{fixture:?}"
            );
        }
    }

    #[test]
    fn what_a_guest_has_is_built() {
        let all = fixtures();
        let releases: [fn(&Fixture) -> &Vec<&'static str>; 2] = [|it| &it.releases, |it| &it.arm64];
        for (builds, releases) in [guest(), guest_of_arm64()].into_iter().zip(releases) {
            for build in builds {
                let mut parts = build.splitn(3, '-');
                let (program, version) = (parts.next().unwrap(), parts.next().unwrap());
                let fixture = all.iter().find(|fixture| fixture.name == program);
                let fixture = fixture.unwrap_or_else(|| panic!("{build} is no fixture"));
                assert!(releases(fixture).contains(&version), "{build}");
            }
        }
    }

    #[test]
    fn arm64_has_no_release_of_its_own() {
        for fixture in fixtures() {
            let known = |version| fixture.releases.contains(version);
            assert!(fixture.arm64.iter().all(known), "{fixture:?}");
        }
    }
}
