//! Looks for Go libraries in a program that is not Go.

use std::{
    num::NonZeroUsize,
    ops::ControlFlow,
    os::fd::AsFd,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lru::LruCache;
use observer_ebpf::family::Selection;
use observer_go::{
    binary::{Binary, Inspected},
    discover::{self, FileId, MappedFile},
};

use super::{
    cpu::cpu_time,
    file::{inspected, opened},
};

/// Files remembered. On a node most programs load the same few.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");
/// After so much CPU time the rest of a program's files is left for another time.
const LONGEST: Duration = Duration::from_secs(1);
/// Most Go libraries of one program; one is rare enough.
const MOST: usize = 8;

/// A program that is to be looked at.
pub(in crate::node) struct Search {
    /// Its process.
    pub(in crate::node) pid: u32,
    /// Of this search.
    pub(in crate::node) number: u64,
    /// Its own file, which is no library.
    pub(in crate::node) executable: FileId,
    /// Who has it looked at.
    pub(in crate::node) cgroup: u64,
}

/// What a search found.
pub(in crate::node) struct Found {
    /// In which process.
    pub(in crate::node) pid: u32,
    /// The search's number.
    pub(in crate::node) number: u64,
    /// What it ran then.
    pub(in crate::node) executable: FileId,
    /// When the process began, in clock ticks since boot; 0 where it was gone.
    pub(in crate::node) start_ticks: u64,
    /// Its Go libraries.
    pub(in crate::node) libraries: Vec<GoLibrary>,
    /// Whether nothing is left for another time.
    pub(in crate::node) complete: bool,
}

/// A library that Go built.
#[derive(Clone, Debug)]
pub(in crate::node) struct GoLibrary {
    /// Its path as the process sees it.
    pub(in crate::node) path: PathBuf,
    /// What it is.
    pub(in crate::node) binary: Arc<Binary>,
}

/// What is known of libraries: what Go built, and `None` of all else. Threads share it.
pub(super) struct Judged(Mutex<LruCache<FileId, Option<Arc<Binary>>>>);

impl Judged {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<FileId, Option<Arc<Binary>>>> {
        // Nothing here leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a file is. An error where that may go better another time.
    fn of(&self, file: &MappedFile) -> Result<Option<Arc<Binary>>, ()> {
        if let Some(known) = self.lock().get(&file.id) {
            return Ok(known.clone());
        }
        let judged = judge(file)?;
        self.lock().put(file.id, judged.clone());
        Ok(judged)
    }
}

/// Inspects a file that nothing is known of.
fn judge(file: &MappedFile) -> Result<Option<Arc<Binary>>, ()> {
    let open = opened(file.pinned.as_fd()).map_err(drop)?;
    let result = inspected(&open, Selection::default());
    // Written to meanwhile, or already since it was looked at.
    if FileId::of_file(&open).ok() != Some(file.id) {
        return Err(());
    }
    match result {
        Ok(Inspected::Go(binary)) if binary.is_library() => {
            let (path, version) = (file.path.display(), &binary.version);
            tracing::info!(file = %path, %version, "Go library; what loads it is not observed");
            Ok(Some(Arc::new(*binary)))
        }
        Err(failed) if failed.is_passing() => Err(()),
        // Also what is damaged.
        _ => Ok(None),
    }
}

/// All that may take as long as the process, or a file's system, likes.
pub(super) fn search(search: &Search, judged: &Judged) -> Found {
    let began = cpu_time();
    let (mut libraries, mut complete) = (Vec::new(), true);
    let looked = discover::mapped_files(search.pid, &mut |file| {
        if file.id == search.executable {
            return ControlFlow::Continue(());
        }
        match judged.of(&file) {
            Ok(Some(binary)) => libraries.push(GoLibrary {
                path: file.path,
                binary,
            }),
            Ok(None) => {}
            Err(()) => complete = false,
        }
        if libraries.len() >= MOST {
            return ControlFlow::Break(());
        }
        if cpu_time().saturating_sub(began) >= LONGEST {
            complete = false;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    if let Err(error) = &looked {
        tracing::debug!(pid = search.pid, %error, "no look for Go libraries");
    }
    Found {
        pid: search.pid,
        number: search.number,
        executable: search.executable,
        start_ticks: looked.unwrap_or(0),
        libraries,
        complete,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        os::fd::OwnedFd,
    };

    use observer_go::discover::FileId;

    use super::{Judged, MappedFile};

    fn mapped(file: &File, id: FileId) -> MappedFile {
        MappedFile {
            id,
            path: "/lib/a.so".into(),
            pinned: OwnedFd::from(file.try_clone().expect("a descriptor")),
        }
    }

    #[test]
    fn what_is_known_of_a_file_is_not_asked_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.so");
        fs::write(&path, b"no library at all").expect("a file");
        let file = File::open(&path).expect("the file");
        let id = FileId::of_file(&file).expect("its identity");
        let judged = Judged::new();
        assert!(matches!(judged.of(&mapped(&file, id)), Ok(None)));
        assert_eq!(judged.lock().len(), 1);
        // It is known by its identity alone.
        let other = File::open("/dev/null").expect("another file");
        assert!(matches!(judged.of(&mapped(&other, id)), Ok(None)));
    }

    #[test]
    fn a_file_that_changes_under_the_look_is_not_judged() {
        let file = tempfile::tempfile().expect("a file");
        let id = FileId::of_file(&file).expect("its identity");
        let before = FileId { size: 1, ..id };
        let judged = Judged::new();
        assert!(judged.of(&mapped(&file, before)).is_err());
        assert_eq!(judged.lock().len(), 0);
    }
}
