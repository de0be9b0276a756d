//! Inspects one file.

use std::{
    fs::File,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use observer_ebpf::family::Selection;
use observer_go::{
    binary::{self, Binary, InspectError, Inspected},
    discover::FileId,
};
use rustix::{
    fs::{Mode, OFlags, open},
    io::Errno,
};

use super::file_system::elsewhere;

/// A file to be looked at.
pub(in crate::node) struct Job {
    /// Which.
    pub(in crate::node) id: FileId,
    /// The file, held without having been opened: its file system was not asked.
    pub(in crate::node) pinned: OwnedFd,
    /// Who has it looked at.
    pub(in crate::node) cgroup: u64,
    /// What it is, where that is known: it is only opened.
    pub(in crate::node) known: Option<Arc<Binary>>,
}

/// A file that has been looked at.
pub(in crate::node) struct Done {
    /// Which.
    pub(in crate::node) id: FileId,
    /// The file, where it could be opened.
    pub(in crate::node) opened: Option<Opened>,
    /// What it is, or why that cannot be told.
    pub(in crate::node) result: Result<Inspected, Failed>,
}

/// A file that was opened.
pub(in crate::node) enum Opened {
    /// Still open, so that probes can be attached though its path may be gone.
    Here(File),
    /// Closed again, since whoever closes it may be held up as well; and why it gets no
    /// probes.
    Elsewhere(String),
}

/// Why it is not known what a file is.
#[derive(Debug)]
pub(in crate::node) enum Failed {
    /// It may go better another time.
    Passing(String),
    /// It will not.
    Damaged(String),
    /// It was written to meanwhile: what was found is true of neither program.
    Changed,
    /// Too many waited before it.
    LeftOut,
}

impl Failed {
    /// Whether it may go better another time.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Passing(_))
    }
}

impl From<InspectError> for Failed {
    fn from(error: InspectError) -> Self {
        let text = error.to_string();
        match error {
            InspectError::Io { .. } | InspectError::Metadata(_) => Self::Passing(text),
            _ => Self::Damaged(text),
        }
    }
}

/// All that may take as long as the file's system likes.
pub(super) fn look(job: Job, selection: Selection) -> Done {
    let Job {
        id, pinned, known, ..
    } = job;
    let failed = |error: Errno| Done {
        id,
        opened: None,
        result: Err(Failed::Passing(format!("cannot open it: {error}"))),
    };
    let file = match opened(pinned.as_fd()) {
        Ok(file) => file,
        Err(error) => return failed(error),
    };
    let elsewhere = match elsewhere(&file) {
        Ok(elsewhere) => elsewhere,
        Err(error) => return failed(error),
    };
    let result = match known {
        Some(binary) => Ok(Inspected::Go(Box::new(binary.as_ref().clone()))),
        None => inspected(&file, selection),
    };
    let is_same = FileId::of_file(&file).is_ok_and(|found| found == id);
    let opened = match elsewhere {
        None => Opened::Here(file),
        Some(why) => {
            // Here, and not where the result is used: who serves it is asked.
            drop(file);
            Opened::Elsewhere(why)
        }
    };
    Done {
        id,
        opened: Some(opened),
        result: if is_same {
            result
        } else {
            Err(Failed::Changed)
        },
    }
}

/// Opens a file that was only held until now.
pub(super) fn opened(pinned: BorrowedFd<'_>) -> Result<File, Errno> {
    // NONBLOCK: neither a FIFO nor a file lease may hold the observer up.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let path = format!("/proc/self/fd/{}", pinned.as_raw_fd());
    open(path, flags, Mode::empty()).map(File::from)
}

/// What a file is. Inspection returns errors; should a hostile file find a panic all
/// the same, it costs that file's coverage and nothing else.
pub(super) fn inspected(file: &File, selection: Selection) -> Result<Inspected, Failed> {
    match catch_unwind(AssertUnwindSafe(|| binary::inspect_for(file, selection))) {
        Ok(result) => result.map_err(Failed::from),
        Err(_) => Err(Failed::Damaged("inspection panicked".to_owned())),
    }
}
