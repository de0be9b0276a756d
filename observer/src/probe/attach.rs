//! Setting probes and taking them away.
//!
//! A target's probes are three groups of links: the rare ones (collector and
//! stops) stay as long as the target does; those hit at every goroutine, and
//! those hit at every batch of them, come and go by [`Probes::set_group`].

use std::{
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use aya::programs::{
    ProgramError, UProbe,
    uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeLink, UProbeScope},
};
use observer_ebpf::{Cookie, Group, Target};
use rustix::fs::{Mode, OFlags, open};

use super::{
    Attached, LinkMode, ProbeError, Probes, Standing, clock,
    error::{chain, errno},
    reaper::Ticket,
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
        if plan.sites.is_empty() {
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
        let result = self.set_all(target, path, plan);
        if result.is_err() {
            // It was put there a moment ago; if it went since, so much the better.
            let _ = self.targets.remove(&target);
        }
        result
    }

    fn set_all(
        &mut self,
        target: u32,
        path: &Path,
        plan: &SitePlan,
    ) -> Result<Attached, ProbeError> {
        // Kept, for setting a group again after the path is gone. It pins no
        // more than the links themselves do.
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file = open(path, flags, Mode::empty()).map_err(|error| ProbeError::Attach {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        let mut target_links = TargetLinks {
            file,
            rare: GroupLinks::default(),
            batch: GroupLinks::default(),
            exact: GroupLinks::default(),
        };
        let mut attached = Attached::default();
        for group in [Group::Rare, Group::Batch, Group::Exact] {
            let sites = plan.sites.iter().filter(|site| site.kind.group() == group);
            let sites: Vec<&Site> = sites.collect();
            let (links, refused) = match self.set(target, path, &sites) {
                Ok(set) => set,
                Err(error) => {
                    self.reaper.take(target_links.all());
                    return Err(error);
                }
            };
            if group == Group::Batch && !refused.is_empty() {
                // A part of the batches is no count. No figure needs them.
                self.reaper.take(links);
                continue;
            }
            let is_taken = |site: &&&Site| !refused.iter().any(|(bad, _)| bad == **site);
            let sites: Vec<Site> = sites.iter().filter(is_taken).copied().cloned().collect();
            *attached.of_mut(group) = Standing {
                sites: sites.len(),
                since_ns: Some(clock::monotonic_ns()),
            };
            *target_links.of(group) = GroupLinks {
                links,
                sites,
                leaving: None,
            };
            attached.refused.extend(refused);
        }
        if attached.sites() == 0 {
            let first = attached.refused.first();
            return Err(ProbeError::Attach {
                path: path.to_owned(),
                reason: first.map_or_else(String::new, |(_, reason)| reason.clone()),
            });
        }
        self.links.insert(target, target_links);
        Ok(attached)
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

    /// Sets a group of a target's probes again, or takes it away in the
    /// background; the rare ones are to stay. Returns since when it is live,
    /// where it is (CLOCK_MONOTONIC, nanoseconds).
    pub fn set_group(
        &mut self,
        target: u32,
        group: Group,
        on: bool,
    ) -> Result<Option<u64>, ProbeError> {
        let unknown = ProbeError::Target {
            target,
            reason: "it is not attached",
        };
        let Some(target_links) = self.links.get_mut(&target) else {
            return Err(unknown);
        };
        let path = PathBuf::from(format!("/proc/self/fd/{}", target_links.file.as_raw_fd()));
        let stands = target_links.of(group);
        if !on {
            if !stands.links.is_empty() {
                let links = std::mem::take(&mut stands.links);
                stands.leaving = Some(self.reaper.take(links));
            }
            return Ok(None);
        }
        // Beside links that are still being closed, each hit would count twice.
        if let Some(ticket) = stands.leaving.take()
            && let Some(links) = self.reaper.recall(ticket)
        {
            stands.links = links;
        }
        if stands.links.is_empty() {
            let sites = stands.sites.clone();
            let (links, refused) = self.set(target, &path, &sites.iter().collect::<Vec<_>>())?;
            // They were accepted once; half of them would count wrong.
            if let Some((site, reason)) = refused.first() {
                let reason = format!("{}: {reason}", site.function);
                self.reaper.take(links);
                return Err(ProbeError::Attach { path, reason });
            }
            if let Some(target_links) = self.links.get_mut(&target) {
                target_links.of(group).links = links;
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
    rare: GroupLinks,
    batch: GroupLinks,
    exact: GroupLinks,
}

/// One group of them.
#[derive(Default)]
struct GroupLinks {
    /// None while the group is off.
    links: Vec<UProbeLink>,
    /// Its sites that the kernel takes.
    sites: Vec<Site>,
    /// Those that were taken away last.
    leaving: Option<Ticket>,
}

impl TargetLinks {
    fn of(&mut self, group: Group) -> &mut GroupLinks {
        match group {
            Group::Rare => &mut self.rare,
            Group::Batch => &mut self.batch,
            Group::Exact => &mut self.exact,
        }
    }

    /// All groups.
    pub(super) fn all(self) -> Vec<UProbeLink> {
        let Self {
            rare, batch, exact, ..
        } = self;
        let groups = [exact, batch, rare];
        groups.into_iter().flat_map(|group| group.links).collect()
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
