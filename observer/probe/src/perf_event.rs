//! Perf-event links: an event and a link for each site, for kernels that have
//! no `uprobe_multi`.
//!
//! They are made here and not by aya, because its links do not give the event
//! away, which [`PerfEventMap`] needs.

use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use aya_obj::generated::{bpf_attach_type::BPF_PERF_EVENT, bpf_cmd, perf_event_attr};
use thiserror::Error;

use super::{
    perf_event_map::{Kept, PerfEventMap},
    sys::{bpf_fd, perf_event_open, zeroed},
};

/// Where the kernel says by which number it knows uprobes.
const PMU: &str = "/sys/bus/event_source/devices/uprobe/type";

/// Why a link could not be made.
#[derive(Debug, Error)]
#[error("{call} failed")]
pub(super) struct PerfError {
    call: &'static str,
    source: io::Error,
}

/// Makes links to one program.
pub(super) struct PerfProbes {
    program: OwnedFd,
    pmu: u32,
    perf_event_map: Option<PerfEventMap>,
}

impl PerfProbes {
    pub(super) fn new(program: BorrowedFd<'_>) -> io::Result<Self> {
        let number = fs::read_to_string(PMU)
            .map_err(|error| io::Error::new(error.kind(), format!("{PMU}: {error}")))?;
        let pmu = number
            .trim()
            .parse()
            .map_err(|_| io::Error::other(format!("{PMU}: {number:?} is no number")))?;
        let perf_event_map = PerfEventMap::new(program);
        if let Err(error) = &perf_event_map {
            tracing::warn!(
                %error,
                "perf events cannot be left to the kernel: an observer that is killed while it \
                 takes a probe away may leave that one in the programs"
            );
        }
        Ok(Self {
            program: program.try_clone_to_owned()?,
            pmu,
            perf_event_map: perf_event_map.ok(),
        })
    }

    /// Sets a probe on a site of a file, for all processes.
    pub(super) fn link(
        &self,
        path: &Path,
        offset: u64,
        cookie: u64,
    ) -> Result<PerfLink, PerfError> {
        let event = self.event(path, offset).map_err(|source| PerfError {
            call: "perf_event_open",
            source,
        })?;
        let mut attr = zeroed();
        attr.link_create.__bindgen_anon_1.prog_fd = self.program.as_raw_fd() as u32;
        attr.link_create.__bindgen_anon_2.target_fd = event.as_raw_fd() as u32;
        attr.link_create.attach_type = BPF_PERF_EVENT as u32;
        attr.link_create.__bindgen_anon_3.perf_event.bpf_cookie = cookie;
        // SAFETY: the command makes a descriptor and has no pointer in it.
        let link = unsafe { bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr) };
        let link = link.map_err(|source| PerfError {
            call: "bpf_link_create",
            source,
        })?;
        let event = self
            .perf_event_map
            .as_ref()
            .map(|it| it.keep(event.as_fd()));
        Ok(PerfLink {
            link,
            _event: event.flatten(),
        })
    }

    fn event(&self, path: &Path, offset: u64) -> io::Result<OwnedFd> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: integers only, in each of its unions.
        let mut attr: perf_event_attr = unsafe { std::mem::zeroed() };
        attr.type_ = self.pmu;
        attr.__bindgen_anon_3.uprobe_path = path.as_ptr().expose_provenance() as u64;
        attr.__bindgen_anon_4.probe_offset = offset;
        // SAFETY: the path ends with a zero, and lives during the call.
        unsafe { perf_event_open(&mut attr) }
    }
}

/// A probe on one site.
///
/// The fields are dropped in this order. The link also holds the event, so the
/// program is gone, and nothing more is counted, before the kernel's thread
/// has the event for itself.
pub(super) struct PerfLink {
    link: OwnedFd,
    _event: Option<Kept>,
}

impl AsFd for PerfLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}
