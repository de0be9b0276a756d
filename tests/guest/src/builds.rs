//! The Go programs that this guest was given.

use std::{env, fs, path::PathBuf};

/// Every build of a fixture that this processor runs, in the order of their names; at least
/// `least`, so that a guest without programs proves nothing.
pub(crate) fn of(fixture: &str, least: usize) -> Vec<PathBuf> {
    let directory = env::var("OBSERVER_FIXTURES").expect("OBSERVER_FIXTURES is not set");
    let prefix = format!("{fixture}-");
    let entries = fs::read_dir(&directory).unwrap_or_else(|e| panic!("{directory}: {e}"));
    let mut found: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| name(path).starts_with(&prefix))
        .filter(|path| !name(path).ends_with("-v81") || has_atomics())
        .collect();
    found.sort();
    assert!(
        found.len() >= least,
        "{} builds of {fixture} in {directory}, at least {least} are wanted",
        found.len()
    );
    found
}

/// Whether this processor has the atomic instructions without which a program built with
/// `GOARM64=v8.1` ends at its start.
fn has_atomics() -> bool {
    let cpus = fs::read_to_string("/proc/cpuinfo").expect("/proc/cpuinfo");
    let features = cpus.lines().find(|line| line.starts_with("Features"));
    features.is_some_and(|features| features.split_whitespace().any(|it| it == "atomics"))
}

/// A share of the builds, such as `1/8`: the first of eight, one of all that stand
/// together by their names, and in each of these at another place. All of them unless
/// it is given.
pub(crate) fn share(builds: Vec<PathBuf>, arguments: &[String]) -> Vec<PathBuf> {
    let Some(share) = arguments.iter().find_map(|it| it.split_once('/')) else {
        return builds;
    };
    let [turn, shares] = [share.0, share.1].map(|number| {
        let number: usize = number.parse().expect("a number of a share");
        assert!(number > 0, "shares are counted from 1");
        number
    });
    diagonal(&builds, shares, turn - 1)
}

/// So many builds: of few the first, of many some of all releases and ways of building.
pub(crate) fn spread(builds: &[PathBuf], number: usize) -> Vec<PathBuf> {
    let are_many = builds.len() >= 3 * number;
    let group = if are_many {
        builds.len().div_ceil(number)
    } else {
        1
    };
    let mut some = diagonal(builds, group, 0);
    some.truncate(number);
    some
}

/// One of each group of so many: the first of the first, the second of the second.
fn diagonal(builds: &[PathBuf], group: usize, first: usize) -> Vec<PathBuf> {
    let groups = builds.chunks(group).enumerate();
    let one = groups.filter_map(|(turn, group_of)| group_of.get((turn + first) % group));
    one.cloned().collect()
}

/// A build's file name.
pub(crate) fn name(path: &std::path::Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{share, spread};

    fn builds(number: usize) -> Vec<PathBuf> {
        (0..number).map(|n| PathBuf::from(n.to_string())).collect()
    }

    #[test]
    fn shares_make_the_whole() {
        let told = |share: &str| vec![share.to_owned()];
        let shares = ["1/3", "2/3", "3/3"].map(|it| share(builds(11), &told(it)));
        let mut all = shares.concat();
        all.sort_by_key(|it| it.to_string_lossy().parse::<u32>().unwrap());
        assert_eq!(all, builds(11));
        assert_eq!(shares[0], ["0", "4", "8", "9"].map(PathBuf::from));
        assert_eq!(share(builds(11), &told("confidential")), builds(11));
    }

    #[test]
    fn some_are_the_first_of_few_and_spread_over_many() {
        assert_eq!(spread(&builds(10), 8), builds(8));
        assert_eq!(spread(&builds(10), 4), builds(4));
        let places = [0, 7, 14, 21, 28, 35, 36, 43].map(|n| PathBuf::from(n.to_string()));
        assert_eq!(spread(&builds(48), 8), places);
        assert_eq!(spread(&builds(51), 8).len(), 8);
    }
}
