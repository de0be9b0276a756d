//! Programs that are not Go and may have Go in them: in a library that they were
//! linked with (`-buildmode=c-shared`), or load while they run, as Python or nginx do.
//!
//! Almost all programs of a node are not Go, so what is asked of each is little, and
//! nothing when it begins: it is noted, and a sweep later it is looked at what it has
//! mapped, if it still runs. After that only where it has mapped more or less since.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use observer_go::{
    binary::Reason,
    discover::{self, FileId, Process},
};

use super::{
    coverage::left_alone,
    inspector::{Found, GoLibrary},
    observation::{Figures, Observation, ProbeGroups},
};

/// Between two looks at a program: at first as long as it has been known, so that what
/// it loads at its start is found soon.
const SOONEST: Duration = Duration::from_secs(5);
const LATEST: Duration = Duration::from_secs(30);
/// Most programs that are kept in mind. Of more, the next look at all that runs tells
/// again.
const MOST: usize = 8192;

/// A program that may have Go in it.
#[derive(Debug)]
struct Candidate {
    executable: FileId,
    since: Instant,
    looked: Option<Instant>,
    /// How many pages it had mapped then; `None` where not all was looked at.
    pages: Option<u64>,
    /// The number of the search that goes on, and what was mapped before it.
    search: Option<(u64, Option<u64>)>,
}

impl Candidate {
    fn is_due(&self, now: Instant) -> bool {
        let Some(looked) = self.looked else {
            return self.search.is_none();
        };
        let known = looked.saturating_duration_since(self.since);
        let wait = known.clamp(SOONEST, LATEST);
        self.search.is_none() && now.saturating_duration_since(looked) >= wait
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct LibraryHosts {
    candidates: BTreeMap<u32, Candidate>,
    listed: HashMap<u32, Arc<Observation>>,
    searches: u64,
}

impl LibraryHosts {
    /// A process runs this: what is known of another program is true no more.
    pub(super) fn runs(&mut self, pid: u32, executable: FileId) {
        if let Some(known) = self.candidates.get(&pid)
            && known.executable != executable
        {
            self.candidates.remove(&pid);
        }
        if let Some(known) = self.listed.get(&pid)
            && known.process.executable.id != executable
        {
            self.listed.remove(&pid);
        }
    }

    /// A process runs a program that is not Go and loads libraries.
    pub(super) fn saw(&mut self, pid: u32, executable: FileId, now: Instant) {
        self.runs(pid, executable);
        // A Go library that is there stays: the runtime cannot be unloaded.
        let known = self.listed.contains_key(&pid) || self.candidates.contains_key(&pid);
        if known || self.candidates.len() >= MOST {
            return;
        }
        let candidate = Candidate {
            executable,
            since: now,
            looked: None,
            pages: None,
            search: None,
        };
        self.candidates.insert(pid, candidate);
    }

    /// A process ended, or runs another program.
    pub(super) fn forget(&mut self, pid: u32) {
        self.candidates.remove(&pid);
        self.listed.remove(&pid);
    }

    /// Those that are to be looked at, and what they ran.
    pub(super) fn due(&self, now: Instant) -> Vec<(u32, FileId)> {
        let due = (self.candidates.iter()).filter(|(_, candidate)| candidate.is_due(now));
        due.map(|(pid, candidate)| (*pid, candidate.executable))
            .collect()
    }

    /// The number of a search in a program; `None` where it has mapped as much as at
    /// the last look, and is taken to have mapped the same.
    pub(super) fn begin(&mut self, pid: u32, pages: Option<u64>, now: Instant) -> Option<u64> {
        let candidate = self.candidates.get_mut(&pid)?;
        if pages.is_some() && candidate.pages == pages {
            candidate.looked = Some(now);
            return None;
        }
        self.searches += 1;
        candidate.search = Some((self.searches, pages));
        Some(self.searches)
    }

    /// A search that was begun and had no room: it is begun again.
    pub(super) fn put_off(&mut self, pid: u32) {
        if let Some(candidate) = self.candidates.get_mut(&pid) {
            candidate.search = None;
        }
    }

    /// A search is over. The libraries that it found, where the process still runs
    /// what it ran then.
    pub(super) fn found(&mut self, found: Found, now: Instant) -> Option<Vec<GoLibrary>> {
        let candidate = self.candidates.get_mut(&found.pid)?;
        let (_, pages) = candidate
            .search
            .take_if(|(number, _)| *number == found.number)?;
        candidate.looked = Some(now);
        candidate.pages = pages.filter(|_| found.complete);
        (!found.libraries.is_empty()).then_some(found.libraries)
    }

    /// Lists a process with the Go libraries that it has loaded, of which the first
    /// stands for all.
    pub(super) fn list(&mut self, process: Process, libraries: &[GoLibrary]) {
        let Some(first) = libraries.first() else {
            return;
        };
        let detail = detail(first, libraries.len() - 1);
        let pid = process.pid;
        let observation = Observation {
            coverage: left_alone(Reason::SharedLibrary, &detail),
            process: Arc::new(process),
            binary: Arc::clone(&first.binary),
            library: Some(Arc::from(first.path.as_path())),
            figures: Figures::default(),
            probes: ProbeGroups::default(),
            ended: None,
            brief: false,
        };
        self.candidates.remove(&pid);
        self.listed.insert(pid, Arc::new(observation));
    }

    /// Those that are listed.
    pub(super) fn listed(&self) -> impl Iterator<Item = &Arc<Observation>> {
        self.listed.values()
    }

    /// Puts them among those that are observed, by process id.
    pub(super) fn join(&self, observed: &mut Vec<Arc<Observation>>) {
        if self.listed.is_empty() {
            return;
        }
        observed.extend(self.listed().cloned());
        observed.sort_by_key(|it| (it.process.pid, it.process.start_ticks));
    }
}

fn detail(first: &GoLibrary, more: usize) -> String {
    let name = discover::base_name(&first.path);
    let version = &first.binary.version;
    let more = match more {
        0 => String::new(),
        1 => " and one more".to_owned(),
        more => format!(" and {more} more"),
    };
    format!(
        "the program is not Go; it has loaded the Go library {name} ({version}){more}, and Go \
         inside another program is not observed"
    )
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        time::{Duration, Instant},
    };

    use observer_go::{binary::Reason, discover::FileId};

    use super::{Found, GoLibrary, LATEST, LibraryHosts, MOST, SOONEST};
    use crate::fixtures::{binary, observation};

    fn file(inode: u64) -> FileId {
        FileId {
            inode,
            ..observation(7, "/usr/bin/python3").process.executable.id
        }
    }

    fn library(path: &str) -> GoLibrary {
        GoLibrary {
            path: path.into(),
            binary: Arc::new(binary("go1.26.8")),
        }
    }

    fn found(number: u64, libraries: Vec<GoLibrary>) -> Found {
        Found {
            pid: 7,
            number,
            executable: file(2),
            start_ticks: 100,
            libraries,
            complete: true,
        }
    }

    #[test]
    fn one_that_has_mapped_nothing_new_is_not_searched_again() {
        let (mut hosts, mut now) = (LibraryHosts::default(), Instant::now());
        hosts.saw(7, file(2), now);
        assert_eq!(hosts.due(now), [(7, file(2))]);
        let first = hosts.begin(7, Some(100), now).expect("a search");
        assert_eq!(hosts.due(now + LATEST), [], "it goes on");
        assert!(hosts.found(found(first, Vec::new()), now).is_none());
        assert_eq!(hosts.due(now), []);
        now += SOONEST;
        assert_eq!(hosts.due(now), [(7, file(2))]);
        assert_eq!(hosts.begin(7, Some(100), now), None);
        // As long again as it has been known, and never longer than so long.
        let mut waits = Vec::new();
        for _ in 0..5 {
            let looked = now;
            while hosts.due(now).is_empty() {
                now += Duration::from_secs(1);
            }
            waits.push((now - looked).as_secs());
            assert_eq!(hosts.begin(7, Some(100), now), None);
        }
        assert_eq!(waits, [5, 10, 20, 30, 30]);
        now += LATEST;
        assert!(hosts.begin(7, Some(101), now).is_some());
    }

    #[test]
    fn what_was_not_looked_at_whole_is_looked_at_again() {
        let (mut hosts, now) = (LibraryHosts::default(), Instant::now());
        hosts.saw(7, file(2), now);
        let number = hosts.begin(7, Some(100), now).expect("a search");
        let cut_short = Found {
            complete: false,
            ..found(number, Vec::new())
        };
        assert!(hosts.found(cut_short, now).is_none());
        assert!(hosts.begin(7, Some(100), now + SOONEST).is_some());
        hosts.put_off(7);
        assert_eq!(hosts.due(now + SOONEST), [(7, file(2))]);
    }

    #[test]
    fn what_a_program_before_had_loaded_is_not_the_next_ones() {
        let (mut hosts, now) = (LibraryHosts::default(), Instant::now());
        hosts.saw(7, file(2), now);
        let number = hosts.begin(7, None, now).expect("a search");
        // It ran itself anew meanwhile.
        hosts.forget(7);
        hosts.saw(7, file(2), now);
        let late = found(number, vec![library("/lib/a.so")]);
        assert!(hosts.found(late, now).is_none());
        let number = hosts.begin(7, None, now).expect("a search");
        let right = found(number, vec![library("/lib/a.so")]);
        assert!(hosts.found(right, now).is_some());
    }

    #[test]
    fn one_that_has_go_in_it_is_listed_with_the_library_and_the_reason() {
        let (mut hosts, now) = (LibraryHosts::default(), Instant::now());
        let process = observation(7, "/usr/bin/python3").process;
        let id = process.executable.id;
        hosts.saw(7, id, now);
        let libraries = [library("/opt/lib\nburst.so"), library("/opt/other.so")];
        hosts.list(Arc::unwrap_or_clone(process), &libraries);
        let mut all = vec![Arc::new(observation(9, "/srv/shop"))];
        hosts.join(&mut all);
        let host = &all[0];
        assert_eq!(host.process.pid, 7);
        assert!(host.is_left_alone() && host.is_host());
        for missing in host.coverage.0.values() {
            let missing = missing.as_ref().expect("nothing is covered");
            assert_eq!(missing.reason, Reason::SharedLibrary);
            assert!(
                (missing.detail).contains("lib\u{fffd}burst.so (go1.26.8) and one more"),
                "{}",
                missing.detail
            );
        }
        // It needs no other look, and is gone with its program.
        hosts.saw(7, id, now);
        assert_eq!(hosts.due(now + LATEST), []);
        hosts.saw(7, file(3), now);
        assert_eq!(hosts.listed().count(), 0);
        assert_eq!(hosts.due(now), [(7, file(3))]);
    }

    #[test]
    fn no_more_than_so_many_are_kept_in_mind() {
        let (mut hosts, now) = (LibraryHosts::default(), Instant::now());
        for pid in 1..2 * MOST as u32 {
            hosts.saw(pid, file(2), now);
        }
        assert_eq!(hosts.due(now).len(), MOST);
    }
}
