//! The observer's own process.

use procfs::process::Process;

use crate::{auth::SecurityFigures, listen::ConnectionFigures};

/// What `process_*` says of the observer itself; what could not be read is left out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OwnProcess {
    /// User and system time in seconds.
    pub cpu_seconds: Option<f64>,
    /// Resident memory in bytes.
    pub resident_bytes: Option<u64>,
    /// Virtual memory in bytes.
    pub virtual_bytes: Option<u64>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
    /// Start in seconds since the epoch.
    pub start_seconds: Option<f64>,
    /// Whom it has let in or refused.
    pub security: SecurityFigures,
    /// Who is connected to it.
    pub connections: ConnectionFigures,
    /// Lines of its log that were not written.
    pub log_lines_lost: u64,
}

impl OwnProcess {
    /// Reads /proc/self.
    pub(crate) fn read() -> Self {
        let Ok(process) = Process::myself() else {
            return Self::default();
        };
        let open_fds = process.fd_count().ok().map(|count| count as u64);
        let Ok(stat) = process.stat() else {
            return Self {
                open_fds,
                ..Self::default()
            };
        };
        let ticks = procfs::ticks_per_second() as f64;
        Self {
            cpu_seconds: Some((stat.utime + stat.stime) as f64 / ticks),
            resident_bytes: Some(stat.rss.saturating_mul(procfs::page_size())),
            virtual_bytes: Some(stat.vsize),
            open_fds,
            start_seconds: procfs::boot_time_secs()
                .ok()
                .map(|boot| boot as f64 + stat.starttime as f64 / ticks),
            ..Self::default()
        }
    }
}
