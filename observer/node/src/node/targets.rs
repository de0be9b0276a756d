//! Files that processes run: which are known, and which carry probes.

mod excluded;

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    num::NonZeroUsize,
    os::fd::AsRawFd,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use lru::LruCache;
use observer_ebpf::{Cookie, ProbeGroup, ProcessKey};
use observer_go::{
    binary::{Binary, Reason},
    discover::{Executable, FileId},
};
use observer_probe::ProbeError;

use super::{
    coverage::Attachment,
    inspector::Opened,
    kernel::KernelSide,
    probe_policy::ProbePolicy,
    system::System,
    target::{Build, Target, build},
};

/// How long probes stay on a file that nothing runs, so that a program started
/// again and again is counted from its first instruction each time.
const IDLE: Duration = Duration::from_secs(60);
/// Files remembered as not Go, and builds remembered after their last process.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");
const BUILDS: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");

/// Files remembered that could not be inspected, and when it is tried again: after
/// so long, and twice as long each time, up to an hour.
const FAILED: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
const LATER: Duration = Duration::from_secs(5);
const MOST_DOUBLED: u32 = 9;

/// What is known of a file.
pub(super) enum KnownFile {
    /// Probes are on it, as far as that goes.
    Target(u32),
    /// It is no Go program, or it is not known what it is.
    NotGo {
        /// Libraries are loaded into it, of which one may be Go's.
        loads_libraries: bool,
    },
    /// It must be attached, but was inspected before.
    Inspected(Arc<Binary>),
    /// Nothing.
    Unknown,
}

/// All files.
pub(super) struct Targets {
    files: HashMap<FileId, u32>,
    targets: HashMap<u32, Target>,
    builds: LruCache<Build, Arc<Binary>>,
    /// Files that are not Go, and whether libraries are loaded into them.
    not_go: LruCache<FileId, bool>,
    /// Files that excluded processes run, or ran last then.
    excluded: HashMap<Build, (FileId, Instant)>,
    /// Files that could not be inspected: how often, and when to try again.
    failed: LruCache<FileId, (u32, Instant)>,
    next: u32,
    pub(super) inspected: BTreeMap<&'static str, u64>,
    pub(super) refused: u64,
}

impl Targets {
    pub(super) fn new() -> Self {
        Self {
            files: HashMap::new(),
            targets: HashMap::new(),
            builds: LruCache::new(BUILDS),
            not_go: LruCache::new(REMEMBERED),
            excluded: HashMap::new(),
            failed: LruCache::new(FAILED),
            next: 0,
            inspected: BTreeMap::new(),
            refused: 0,
        }
    }

    pub(super) fn get(&self, target: u32) -> Option<&Target> {
        self.targets.get(&target)
    }

    pub(super) fn len(&self) -> usize {
        self.targets.len()
    }

    /// Sites that carry a probe now.
    pub(super) fn sites(&self) -> usize {
        self.targets
            .values()
            .map(|target| match &target.attachment {
                Attachment::Live(attached) => attached.sites(),
                _ => 0,
            })
            .sum()
    }

    /// What is known of the file that `pid` runs.
    pub(super) fn known(&mut self, system: &dyn System, pid: u32, id: FileId) -> KnownFile {
        if let Some(target) = self.files.get(&id) {
            return KnownFile::Target(*target);
        }
        if let Some(loads_libraries) = self.not_go.get(&id).copied() {
            return KnownFile::NotGo { loads_libraries };
        }
        if self.is_later(id, Instant::now()) {
            let loads_libraries = false;
            return KnownFile::NotGo { loads_libraries };
        }
        if let Some(target) = self.same_file(system, pid, id) {
            self.files.insert(id, target);
            if let Some(entry) = self.targets.get_mut(&target) {
                entry.files.push(id);
            }
            return KnownFile::Target(target);
        }
        match self.builds.get(&build(id)) {
            Some(binary) => KnownFile::Inspected(Arc::clone(binary)),
            None => KnownFile::Unknown,
        }
    }

    /// A target that is the same file underneath: alike in all but the device,
    /// and its breakpoint stands in the memory of `pid` already.
    fn same_file(&self, system: &dyn System, pid: u32, id: FileId) -> Option<u32> {
        let (number, target) = self
            .targets
            .iter()
            .find(|(_, target)| target.is_build(id))?;
        let offset = target.probed_site()?.offset;
        let stands = system.has_breakpoint(pid, id, offset);
        stands.then_some(*number)
    }

    pub(super) fn is_not_go(&mut self, id: FileId, loads_libraries: bool) {
        self.not_go.put(id, loads_libraries);
    }

    /// A file could not be inspected, and may another time; when that is tried.
    pub(super) fn failed(&mut self, id: FileId, now: Instant) -> Duration {
        let times = self.failed.get(&id).map_or(0, |(times, _)| *times);
        let wait = LATER * (1 << times.min(MOST_DOUBLED));
        self.failed.put(id, (times + 1, now + wait));
        wait
    }

    fn is_later(&mut self, id: FileId, now: Instant) -> bool {
        self.failed.get(&id).is_some_and(|(_, at)| *at > now)
    }

    /// Attaches probes to a file and makes it a target. One that is elsewhere may change
    /// unseen, and may hold up whoever opens it.
    pub(super) fn attach(
        &mut self,
        probes: Option<&mut dyn KernelSide>,
        executable: &Executable,
        opened: &Opened,
        binary: Arc<Binary>,
        need: ProbePolicy,
    ) -> u32 {
        self.next = self.next % Cookie::MAX_TARGET + 1;
        let number = self.next;
        self.builds.put(build(executable.id), Arc::clone(&binary));
        let attachment = if self.excluded.contains_key(&build(executable.id)) {
            Attachment::shared_with_excluded()
        } else if binary.plan.sites.is_empty() {
            Attachment::NoSites
        } else {
            match opened {
                Opened::Here(file) => attach(probes, number, file, &binary),
                Opened::Elsewhere(why) => Attachment::Refused(Reason::Unguarded, why.clone()),
            }
        };
        if let Attachment::Refused(reason, error) = &attachment
            && *reason != Reason::Excluded
        {
            self.refused += 1;
            // That there is no eBPF was told once, at start.
            if *reason != Reason::NoEbpf {
                tracing::warn!(file = %executable.path.display(), ?reason, %error, "failed to attach uprobes to this file");
            }
        }
        self.files.insert(executable.id, number);
        self.targets.insert(
            number,
            Target {
                binary,
                path: executable.path.clone(),
                attachment,
                need,
                file: executable.id,
                files: vec![executable.id],
                processes: 0,
                idle_since: Some(Instant::now()),
            },
        );
        number
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, target: u32) -> Option<&mut Target> {
        self.targets.get_mut(&target)
    }

    /// All of them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Target)> {
        self.targets
            .iter_mut()
            .map(|(number, target)| (*number, target))
    }

    /// A group of a target's probes is live since then, or (`None`) off.
    pub(super) fn stands(&mut self, target: u32, group: ProbeGroup, since_ns: Option<u64>) {
        let target = self.targets.get_mut(&target);
        if let Some(Attachment::Live(attached)) = target.map(|target| &mut target.attachment) {
            attached.of_mut(group).since_ns = since_ns;
        }
    }

    /// One more process runs it.
    pub(super) fn acquire(&mut self, target: u32) {
        if let Some(target) = self.targets.get_mut(&target) {
            target.processes += 1;
            target.idle_since = None;
        }
    }

    /// One process less runs it.
    pub(super) fn release(&mut self, target: u32) {
        if let Some(target) = self.targets.get_mut(&target) {
            target.processes = target.processes.saturating_sub(1);
            if target.processes == 0 {
                target.idle_since = Some(Instant::now());
            }
        }
    }

    /// Takes the probes off a file that somebody waits to write to. What it holds
    /// afterwards is another program, and is inspected anew. Returns processes that
    /// the target no longer owns in the kernel.
    pub(super) fn give_way(
        &mut self,
        number: u32,
        probes: Option<&mut dyn KernelSide>,
    ) -> Vec<ProcessKey> {
        let freed = probes.map(|probes| probes.release(number));
        let freed = freed.unwrap_or_default();
        let Some(target) = self.targets.get_mut(&number) else {
            return freed;
        };
        tracing::info!(
            file = %target.path.display(),
            "somebody opens this file for writing; its probes leave first"
        );
        for file in target.files.drain(..) {
            self.files.remove(&file);
            self.builds.pop(&build(file));
        }
        // Processes that run it are those that ended a moment ago, and those that
        // have it from a layer of an image, which a writer gets a copy of.
        let detail = "somebody opened the file for writing, so the probes left it".to_owned();
        target.attachment = Attachment::Refused(Reason::FileWritten, detail);
        freed
    }

    /// As if nothing had run the file for so long.
    #[cfg(test)]
    pub(super) fn idle_for(&mut self, number: u32, time: Duration) {
        let target = self.targets.get_mut(&number).expect("a target");
        target.idle_since = Instant::now().checked_sub(time);
    }

    /// Takes the probes off files that nothing has run for a while.
    pub(super) fn retire(&mut self, system: &dyn System, mut probes: Option<&mut dyn KernelSide>) {
        let is_idle = |since: Instant| since.elapsed() > IDLE;
        let idle = self
            .targets
            .iter()
            .filter(|(_, target)| target.idle_since.is_some_and(is_idle));
        let idle: Vec<u32> = idle.map(|(number, _)| *number).collect();
        for number in idle {
            let target = self.targets.get(&number);
            // Not known is not safe.
            let may_leave = target.is_none_or(|it| matches!(it.traced(system), Ok(None)));
            if may_leave {
                self.forget(number, probes.as_deref_mut());
            }
        }
    }

    /// Takes the probes off a file, and forgets that it is one.
    pub(super) fn forget(&mut self, number: u32, probes: Option<&mut dyn KernelSide>) {
        if let Some(probes) = probes {
            probes.release(number);
        }
        for file in self
            .targets
            .remove(&number)
            .map(|it| it.files)
            .iter()
            .flatten()
        {
            self.files.remove(file);
        }
    }

    /// What a file is, of which nothing that runs it may be observed.
    pub(super) fn remember(&mut self, id: FileId, binary: Arc<Binary>) {
        self.builds.put(build(id), binary);
    }
}

fn attach(
    probes: Option<&mut dyn KernelSide>,
    number: u32,
    file: &File,
    binary: &Binary,
) -> Attachment {
    let Some(probes) = probes else {
        let why = "eBPF is not available to the observer; it said why when it started".to_owned();
        return Attachment::Refused(Reason::NoEbpf, why);
    };
    // Through the open file: its path may be gone or in another mount namespace.
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    match probes.attach(number, &path, &binary.plan) {
        Ok(attached) => Attachment::Live(attached),
        Err(error) => {
            let reason = match &error {
                ProbeError::Unguarded { .. } => Reason::Unguarded,
                ProbeError::Changed { .. } => Reason::FileWritten,
                _ => Reason::ProbeRefused,
            };
            Attachment::Refused(reason, error.to_string())
        }
    }
}
