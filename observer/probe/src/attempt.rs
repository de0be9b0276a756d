//! The setting of some probes on one file, by the links that the kernel has.

use std::{
    os::fd::{BorrowedFd, RawFd},
    path::Path,
};

use observer_ebpf::{Cookie, ProbeGroup, SpanSite};
use observer_go::binary::Site;
use thiserror::Error;

use super::{
    HitCost, close_order,
    error::{chain, errno},
    link::Link,
    perf_event::{PerfError, PerfProbes},
    uprobe_multi::{self, MultiError, ProbeLocation},
};

/// The setting of one file's probes.
pub(super) struct Attempt<'a> {
    pub(super) target: u32,
    pub(super) path: &'a Path,
    /// The descriptor of the file's lease.
    pub(super) lease: Option<RawFd>,
    pub(super) price: HitCost,
    pub(super) links: Vec<Link>,
    pub(super) refused: Vec<(Site, String)>,
}

impl Attempt<'_> {
    /// One link for all. The kernel refuses the whole for one bad site, so
    /// halves are tried until those are found.
    pub(super) fn together(&mut self, means: Means<'_>, sites: &[&Site]) -> Result<(), LinkError> {
        if let [site] = sites {
            return self.alone(means, site);
        }
        match self.link(means, sites) {
            Ok(()) => Ok(()),
            Err(error) if is_about_site(&error) => {
                let (first, second) = sites.split_at(sites.len() / 2);
                self.together(means, first)?;
                self.together(means, second)
            }
            Err(error) => Err(error),
        }
    }

    /// One link for one site.
    pub(super) fn alone(&mut self, means: Means<'_>, site: &Site) -> Result<(), LinkError> {
        match self.link(means, &[site]) {
            Err(error) if is_about_site(&error) => {
                self.refused.push((site.clone(), chain(&error)));
                Ok(())
            }
            result => result,
        }
    }

    fn link(&mut self, means: Means<'_>, sites: &[&Site]) -> Result<(), LinkError> {
        let cookie = |site: &Site| {
            let price = self.price.of(site) as u32;
            let cookie = match site.group() {
                ProbeGroup::RARE => Cookie::new(site.kind, self.target, site.aux),
                ProbeGroup::BATCH | ProbeGroup::EXACT => {
                    Cookie::new(site.kind, self.target, price as i32)
                }
                _ => Cookie::of_span(site.kind, self.target, SpanSite::of(site.aux), price),
            };
            cookie.0
        };
        match means {
            Means::Multi(program) => {
                let points = sites.iter().map(|site| ProbeLocation {
                    offset: site.offset,
                    cookie: cookie(site),
                });
                let mut link = uprobe_multi::link(program, self.path, &points.collect::<Vec<_>>())?;
                if let Some(lease) = self.lease {
                    link = close_order::above(lease, link).map_err(MultiError::from)?;
                }
                self.links.push(Link::Multi(link));
            }
            Means::Perf(probes) => {
                for site in sites {
                    let link = probes.link(self.path, site.offset, cookie(site))?;
                    self.links.push(Link::Perf(link));
                }
            }
        }
        Ok(())
    }
}

/// What links are made with.
#[derive(Clone, Copy)]
pub(super) enum Means<'a> {
    /// The program that they run.
    Multi(BorrowedFd<'a>),
    Perf(&'a PerfProbes),
}

/// Why a link could not be made.
#[derive(Debug, Error)]
pub(super) enum LinkError {
    #[error(transparent)]
    Multi(#[from] MultiError),
    #[error(transparent)]
    Perf(#[from] PerfError),
}

/// Whether a site is refused, and not the file or the observer: unprobeable
/// instructions give ENOTSUPP (524, which user space has no name for), ones
/// that cannot be decoded ENOEXEC, places outside the text EINVAL or EIO. On arm64
/// all of these give EINVAL, and so does what is no multiple of four.
fn is_about_site(error: &LinkError) -> bool {
    const ENOTSUPP: i32 = 524;
    matches!(
        errno(error),
        Some(ENOTSUPP | libc::EINVAL | libc::EIO | libc::EOPNOTSUPP | libc::ENOEXEC)
    )
}
