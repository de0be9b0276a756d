//! Which tests took longest, so that whoever wonders where the time goes need not look.

/// Of a run, so many are told.
const TOLD: usize = 10;

/// Has libtest say behind each test how long it took. It only does so where unstable
/// options are allowed, which [`ALLOWED`] does for the programs of tests alone: cargo
/// would build much anew. (Tests in documentation are no such programs.)
pub(crate) const TIMED: [&str; 2] = ["-Zunstable-options", "--report-time"];
/// A variable for the programs that are run.
pub(crate) const ALLOWED: (&str, &str) = ("RUSTC_BOOTSTRAP", "1");

/// The slowest of a run by libtest, a line each; none where nothing says how long it took.
pub(crate) fn slowest(said: &[String]) -> Vec<String> {
    let mut all: Vec<_> = said.iter().filter_map(|line| timed(line)).collect();
    all.sort_by(|one, other| other.0.total_cmp(&one.0));
    let told = all.iter().take(TOLD);
    told.map(|(seconds, name)| format!("{seconds:8.1} s  {name}"))
        .collect()
}

/// As in `test a::b ... ok <1.234s>`.
fn timed(line: &str) -> Option<(f64, &str)> {
    let (name, rest) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let (_, seconds) = rest.rsplit_once('<')?;
    let seconds = seconds.strip_suffix("s>")?.parse().ok()?;
    Some((seconds, name))
}

#[cfg(test)]
mod tests {
    use super::{TOLD, slowest};

    #[test]
    fn the_slowest_come_first() {
        let lines = [
            "running 3 tests",
            "test a::b ... ok <1.250s>",
            "test a::c ... FAILED <61.000s>",
            "test a::d ... ignored",
            "test result: ok. 2 passed; finished in 0.97s",
        ];
        let said = lines.map(str::to_owned);
        assert_eq!(slowest(&said), ["    61.0 s  a::c", "     1.2 s  a::b"]);
        let many: Vec<_> = (0..20)
            .map(|n| format!("test t{n} ... ok <{n}.000s>"))
            .collect();
        let told = slowest(&many);
        assert_eq!(told.len(), TOLD);
        assert!(told[0].ends_with("t19"), "{told:?}");
    }
}
