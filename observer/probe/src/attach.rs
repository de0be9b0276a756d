//! Setting probes and taking them away.
//!
//! A target's probes are links by group: each family of probes has its own, such as
//! those hit at every goroutine and those hit at every batch of them. They come and go
//! by [`Probes::set_group`].

use std::{
    collections::BTreeMap,
    os::fd::{AsFd as _, BorrowedFd, RawFd},
    path::Path,
};

use observer_ebpf::{Cookie, ProbeGroup, Target, names};
use observer_go::binary::{Site, SitePlan};

use super::{
    Attached, GroupStatus, ProbeError, Probes,
    attempt::{Attempt, Means},
    clock,
    error::chain,
    lease::Lease,
    lease_watchdog::LeaseWatchdog,
    plan_check,
    target_links::{GroupLinks, Links, TargetLinks},
};

impl Probes {
    /// Sets a probe on every site of a file, for all processes that run it.
    /// `path` leads to the file as the observer sees it (`/proc/PID/exe`).
    /// Until its probes are gone nobody can write to the file.
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
        let stops = plan.sites.iter();
        let stops = stops.filter(|site| site.group() == ProbeGroup::RARE);
        let dearest = stops.map(|site| self.price.of(site)).fold(0.0, f64::max);
        let figures = Target {
            last_gc_from_pause_start: plan.last_gc_from_pause_start.unwrap_or(0),
            stop_price_ns: dearest as u64,
            repaid_at_ns: 0,
            stops_repaid_at_ns: 0,
            spans_repaid_at_ns: 0,
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
        let mut target_links = TargetLinks {
            lease: self.lease(path, plan)?,
            groups: BTreeMap::new(),
        };
        let mut attached = Attached::default();
        for group in ProbeGroup::all() {
            let sites = plan.sites.iter().filter(|site| site.group() == group);
            let (blind, sites): (Vec<&Site>, Vec<&Site>) =
                sites.partition(|site| site.kind.reads_memory(site.aux) && !self.reads_user_memory);
            attached.refused.extend(blind.into_iter().map(|site| {
                let why = "the kernel lets no eBPF program read the memory of processes";
                (site.clone(), why.to_owned())
            }));
            let later = group == ProbeGroup::EXACT && self.cautious;
            let now: &[&Site] = if later { &[] } else { &sites };
            let lease = target_links.lease.fd();
            let Links { links, refused } = match self.set(target, path, Some(lease), now) {
                Ok(set) => set,
                Err(error) => {
                    self.reaper.take(target_links.all());
                    return Err(error);
                }
            };
            if group == ProbeGroup::BATCH && !refused.is_empty() {
                // A part of the batches is no count. No figure needs them.
                self.reaper.take(links);
                continue;
            }
            let is_taken = |site: &&&Site| !refused.iter().any(|(bad, _)| bad == **site);
            let sites: Vec<Site> = sites.iter().filter(is_taken).copied().cloned().collect();
            *attached.of_mut(group) = GroupStatus {
                sites: sites.len(),
                since_ns: (!later).then(clock::monotonic_ns),
            };
            *target_links.of(group) = GroupLinks {
                links,
                sites,
                leaving: None,
            };
            attached.refused.extend(refused);
        }
        if attached.sites() == 0 {
            // Behind links that were handed over above: the lease goes last.
            self.reaper.take(target_links.all());
            let first = attached.refused.first();
            return Err(ProbeError::Attach {
                path: path.to_owned(),
                reason: first.map_or_else(String::new, |(_, reason)| reason.clone()),
            });
        }
        self.links.insert(target, target_links);
        Ok(attached)
    }

    /// From now on files get no probes on each goroutine before
    /// [`Self::set_group`] asks for them.
    pub fn be_cautious(&mut self) {
        self.cautious = true;
    }

    /// Keeps writers from a file, and makes sure that it is the one that the plan
    /// was made for: the file may have been written to since, and what the path
    /// leads to is another one where the process runs another program by now.
    fn lease(&mut self, path: &Path, plan: &SitePlan) -> Result<Lease, ProbeError> {
        let unguarded = |error| ProbeError::Unguarded {
            path: path.to_owned(),
            source: error,
        };
        if self.lease_watchdog.is_none() {
            self.lease_watchdog = Some(LeaseWatchdog::start().map_err(unguarded)?);
        }
        let mut lease = Lease::take(path).map_err(unguarded)?;
        plan_check::check_machine(lease.file(), path)?;
        plan_check::check(lease.file(), path, plan)?;
        if let Some(pending_leases) = &self.pending_leases {
            let sites = plan.sites.iter().map(|site| site.offset).collect();
            lease.keep_by(pending_leases.clone(), sites);
        }
        Ok(lease)
    }

    /// Tells that whoever owns the probes is well.
    pub(super) fn renew(&mut self) {
        if let Some(lease_watchdog) = &mut self.lease_watchdog {
            lease_watchdog.renew();
        }
    }

    /// Whether anybody began to wait to write to a file with probes since this was
    /// last asked.
    pub fn is_wanted(&self) -> bool {
        self.lease_wanted.told()
    }

    /// Targets on whose files somebody waits to write: a system call for each file.
    pub fn wanted(&self) -> Vec<u32> {
        let wanted = self
            .links
            .iter()
            .filter(|(_, links)| links.lease.is_wanted());
        wanted.map(|(target, _)| *target).collect()
    }

    /// Becomes readable when [`Self::is_wanted`] has news.
    pub fn wanted_fd(&self) -> BorrowedFd<'_> {
        self.lease_wanted.fd()
    }

    /// Links for some sites of a file, all closed before its lease even where the
    /// observer is killed; those the kernel refused are named.
    pub(super) fn set(
        &mut self,
        target: u32,
        path: &Path,
        lease: Option<RawFd>,
        sites: &[&Site],
    ) -> Result<Links, ProbeError> {
        if sites.is_empty() {
            return Ok(Links {
                links: Vec::new(),
                refused: Vec::new(),
            });
        }
        let mut attempt = Attempt {
            target,
            path,
            lease,
            price: self.price,
            links: Vec::new(),
            refused: Vec::new(),
        };
        let result = if let Some(probes) = &self.perf {
            sites
                .iter()
                .try_for_each(|site| attempt.alone(Means::Perf(probes), site))
        } else {
            let program = self.site_program()?.fd();
            let program = program.map_err(|error| ProbeError::Program {
                program: names::SITE_MULTI,
                reason: chain(&error),
            })?;
            attempt.together(Means::Multi(program.as_fd()), sites)
        };
        let Attempt { links, refused, .. } = attempt;
        match result {
            Ok(()) => Ok(Links { links, refused }),
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
    /// background. Returns since when it is live, where it is (CLOCK_MONOTONIC,
    /// nanoseconds).
    pub fn set_group(
        &mut self,
        target: u32,
        group: ProbeGroup,
        on: bool,
    ) -> Result<Option<u64>, ProbeError> {
        let unknown = ProbeError::Target {
            target,
            reason: "it is not attached",
        };
        let Some(target_links) = self.links.get_mut(&target) else {
            return Err(unknown);
        };
        let path = target_links.lease.path();
        let lease = target_links.lease.fd();
        let stands = target_links.of(group);
        if !on {
            if !stands.links.is_empty() {
                let links = std::mem::take(&mut stands.links);
                stands.leaving = Some(self.reaper.take_first(links));
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
            if !matches!(group, ProbeGroup::BATCH | ProbeGroup::EXACT) {
                self.forget_unfinished(target, group);
            }
            let sites: Vec<&Site> = sites.iter().collect();
            let Links { links, refused } = self.set(target, &path, Some(lease), &sites)?;
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
            // One by one, so that what is urgent need not wait for all.
            for link in links.all() {
                self.reaper.take(vec![link]);
            }
        }
    }
}
