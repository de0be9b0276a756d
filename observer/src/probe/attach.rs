//! Setting probes and taking them away.
//!
//! A target's probes are two groups of links: the rare ones (collector and
//! stops) stay as long as the target does; the hot ones, hit at every
//! goroutine, come and go by [`Probes::set_hot`].

use std::{
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
    sync::mpsc::{self, Sender},
    thread,
};

use aya::programs::{
    ProgramError, UProbe,
    uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeLink, UProbeScope},
};
use observer_ebpf::{Cookie, SiteKind, Target};
use rustix::fs::{Mode, OFlags, open};

use super::{
    Attached, LinkMode, ProbeError, Probes, clock,
    error::{chain, errno},
};
use crate::gobinary::{Site, SitePlan};

impl Probes {
    /// Sets a probe on every site of a file, for all processes that run it.
    /// `path` leads to the file as the observer sees it (`/proc/PID/exe`).
    ///
    /// Sites the kernel refuses are left out and named; it is an error only
    /// where none is left, or where the file cannot be probed at all.
    pub fn attach(
        &mut self,
        target: u32,
        path: &Path,
        plan: &SitePlan,
    ) -> Result<Attached, ProbeError> {
        if target == 0 || target > Cookie::MAX_TARGET {
            return Err(ProbeError::Target {
                target,
                reason: "its number is out of range",
            });
        }
        if self.links.contains_key(&target) {
            return Err(ProbeError::Target {
                target,
                reason: "it is attached already",
            });
        }
        // What is known without cost from the runtime's memory is not worth hits.
        let sites: Vec<&Site> = plan
            .sites
            .iter()
            .filter(|site| site.kind != SiteKind::GoidRefill)
            .collect();
        if sites.is_empty() {
            return Err(ProbeError::NoSites {
                path: path.to_owned(),
            });
        }
        let figures = Target {
            last_gc_from_pause_start: plan.last_gc_from_pause_start.unwrap_or(0),
        };
        self.targets
            .insert(&target, &figures, 0)
            .map_err(|error| ProbeError::Map {
                map: "TARGETS",
                reason: chain(&error),
            })?;
        let result = self.set_both(target, path, &sites);
        if result.is_err() {
            // It was put there a moment ago; if it went since, so much the better.
            let _ = self.targets.remove(&target);
        }
        result
    }

    fn set_both(
        &mut self,
        target: u32,
        path: &Path,
        sites: &[&Site],
    ) -> Result<Attached, ProbeError> {
        // Kept, for setting the hot ones again after the path is gone. It
        // pins no more than the links themselves do.
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file = open(path, flags, Mode::empty()).map_err(|error| ProbeError::Attach {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        let is_hot = |site: &&Site| site.kind.is_hot();
        let (hot_sites, rare_sites): (Vec<&Site>, Vec<&Site>) =
            sites.iter().copied().partition(is_hot);
        let (rare, mut refused) = self.set(target, path, &rare_sites)?;
        let (hot, refused_hot) = match self.set(target, path, &hot_sites) {
            Ok(set) => set,
            Err(error) => {
                self.reaper.take(rare);
                return Err(error);
            }
        };
        refused.extend(refused_hot);
        if rare.is_empty() && hot.is_empty() {
            return Err(ProbeError::Attach {
                path: path.to_owned(),
                reason: refused
                    .first()
                    .map_or_else(String::new, |(_, reason)| reason.clone()),
            });
        }
        let hot_sites: Vec<Site> = hot_sites
            .into_iter()
            .filter(|site| !refused.iter().any(|(bad, _)| bad == *site))
            .cloned()
            .collect();
        let hot_count = hot_sites.len();
        let links = TargetLinks {
            file,
            rare,
            hot,
            hot_sites,
        };
        self.links.insert(target, links);
        Ok(Attached {
            since_ns: clock::monotonic_ns(),
            sites: sites.len() - refused.len(),
            refused,
            hot: true,
            hot_sites: hot_count,
        })
    }

    /// Links for some sites of a file; those the kernel refused are named.
    pub(super) fn set(
        &mut self,
        target: u32,
        path: &Path,
        sites: &[&Site],
    ) -> Result<Links, ProbeError> {
        if sites.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let mut attempt = Attempt {
            target,
            path,
            links: Vec::new(),
            refused: Vec::new(),
        };
        let multi = self.mode == LinkMode::UprobeMulti;
        let program = self.site_program()?;
        let result = if multi {
            attempt.together(program, sites)
        } else {
            sites
                .iter()
                .try_for_each(|site| attempt.alone(program, site))
        };
        let Attempt { links, refused, .. } = attempt;
        match result {
            Ok(()) => Ok((links, refused)),
            Err(error) => {
                self.reaper.take(links);
                Err(ProbeError::Attach {
                    path: path.to_owned(),
                    reason: chain(&error),
                })
            }
        }
    }

    /// Sets a target's hot probes again, or takes them away in the background;
    /// the rare ones stay. Returns since when they are live, where they are
    /// (CLOCK_MONOTONIC, nanoseconds).
    pub fn set_hot(&mut self, target: u32, on: bool) -> Result<Option<u64>, ProbeError> {
        let unknown = ProbeError::Target {
            target,
            reason: "it is not attached",
        };
        let Some(links) = self.links.get_mut(&target) else {
            return Err(unknown);
        };
        if !on {
            let hot = std::mem::take(&mut links.hot);
            self.reaper.take(hot);
            return Ok(None);
        }
        if links.hot.is_empty() {
            let path = PathBuf::from(format!("/proc/self/fd/{}", links.file.as_raw_fd()));
            let sites = links.hot_sites.clone();
            let (hot, refused) = self.set(target, &path, &sites.iter().collect::<Vec<_>>())?;
            // They were accepted once; half of them would count wrong.
            if let Some((site, reason)) = refused.first() {
                let reason = format!("{}: {reason}", site.function);
                self.reaper.take(hot);
                return Err(ProbeError::Attach { path, reason });
            }
            if let Some(links) = self.links.get_mut(&target) {
                links.hot = hot;
            }
        }
        Ok(Some(clock::monotonic_ns()))
    }

    /// Takes a target's probes away, in the background. A few hits may still
    /// be counted.
    pub fn detach(&mut self, target: u32) {
        if let Some(links) = self.links.remove(&target) {
            self.reaper.take(links.all());
        }
    }
}

/// Links, and the sites that the kernel refused.
pub(super) type Links = (Vec<UProbeLink>, Vec<(Site, String)>);

/// One target's links.
pub(super) struct TargetLinks {
    /// The file itself (`O_PATH`).
    file: OwnedFd,
    rare: Vec<UProbeLink>,
    hot: Vec<UProbeLink>,
    /// Sites of the hot group that the kernel takes.
    hot_sites: Vec<Site>,
}

impl TargetLinks {
    /// Both groups.
    pub(super) fn all(self) -> Vec<UProbeLink> {
        let Self { rare, mut hot, .. } = self;
        hot.extend(rare);
        hot
    }
}

/// The setting of one file's probes.
struct Attempt<'a> {
    target: u32,
    path: &'a Path,
    links: Vec<UProbeLink>,
    refused: Vec<(Site, String)>,
}

impl Attempt<'_> {
    /// One link for all. The kernel refuses the whole for one bad site, so
    /// halves are tried until those are found.
    fn together(&mut self, program: &mut UProbe, sites: &[&Site]) -> Result<(), ProgramError> {
        if let [site] = sites {
            return self.alone(program, site);
        }
        match self.link(program, sites) {
            Ok(()) => Ok(()),
            Err(error) if is_about_site(&error) => {
                let (first, second) = sites.split_at(sites.len() / 2);
                self.together(program, first)?;
                self.together(program, second)
            }
            Err(error) => Err(error),
        }
    }

    /// One link for one site.
    fn alone(&mut self, program: &mut UProbe, site: &Site) -> Result<(), ProgramError> {
        match self.link(program, &[site]) {
            Err(error) if is_about_site(&error) => {
                self.refused.push((site.clone(), chain(&error)));
                Ok(())
            }
            result => result,
        }
    }

    fn link(&mut self, program: &mut UProbe, sites: &[&Site]) -> Result<(), ProgramError> {
        let points = sites.iter().map(|site| UProbeAttachPoint {
            location: UProbeAttachLocation::AbsoluteOffset(site.offset),
            cookie: Some(Cookie::new(site.kind, self.target, site.aux).0),
        });
        let link = program.attach(points, self.path, UProbeScope::AllProcesses)?;
        self.links.push(program.take_link(link)?);
        Ok(())
    }
}

/// Whether a site is refused, and not the file or the observer: unprobeable
/// instructions give ENOTSUPP (524, which user space has no name for), ones
/// that cannot be decoded ENOEXEC, places outside the text EINVAL or EIO.
fn is_about_site(error: &ProgramError) -> bool {
    const ENOTSUPP: i32 = 524;
    matches!(
        errno(error),
        Some(ENOTSUPP | libc::EINVAL | libc::EIO | libc::EOPNOTSUPP | libc::ENOEXEC)
    )
}

/// A thread that closes links: the kernel waits for running programs at each,
/// in all for seconds where there are many.
#[derive(Debug)]
pub(super) struct Reaper(Option<Sender<Vec<UProbeLink>>>);

impl Reaper {
    pub(super) fn start() -> Self {
        let (sender, receiver) = mpsc::channel::<Vec<UProbeLink>>();
        let thread = thread::Builder::new()
            .name("probe-reaper".to_owned())
            .spawn(move || {
                for links in receiver {
                    drop(links);
                }
            });
        if let Err(error) = &thread {
            tracing::warn!(%error, "no thread for taking probes away; that will block instead");
        }
        Self(thread.is_ok().then_some(sender))
    }

    /// Closes the links, some time.
    pub(super) fn take(&self, links: Vec<UProbeLink>) {
        if let Some(sender) = &self.0 {
            // The receiver is gone only when the thread is: then this drops the links here.
            let _ = sender.send(links);
        }
    }
}
