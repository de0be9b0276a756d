//! What connections may take.

use std::{num::NonZeroUsize, time::Duration};

use rustix::process::{Resource, getrlimit};

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Connections of strangers at a time, those that shake hands among them.
    pub strangers: NonZeroUsize,
    /// Connections at a time of those who are known.
    pub known: NonZeroUsize,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long headers may take to arrive, from the end of the answer before.
    pub headers: Duration,
    /// How long a connection may live without a byte of an answer being taken.
    pub patience: Duration,
    /// How large all headers of a request may be; about twice that by HTTP/1.1.
    pub header_bytes: u32,
    /// Requests at a time on one connection.
    pub streams: u32,
    /// How often the other end of a connection that is silent is asked whether it
    /// is there, and how long it may take to say so.
    pub ping: Duration,
    /// How long requests under way may go on after the end.
    pub grace: Duration,
}

const fn places(number: usize) -> NonZeroUsize {
    match NonZeroUsize::new(number) {
        Some(number) => number,
        None => NonZeroUsize::MIN,
    }
}

impl ConnectionLimits {
    /// Of the adapter, which all autoscalers ask through few front proxies.
    pub const fn of_adapter() -> Self {
        Self {
            strangers: places(1024),
            known: places(256),
            handshake: Duration::from_secs(5),
            headers: Duration::from_secs(30),
            patience: Duration::from_secs(90),
            header_bytes: 64 << 10,
            streams: 250,
            ping: Duration::from_secs(30),
            grace: Duration::from_secs(5),
        }
    }

    /// Of a node, whose probes need descriptors more than its clients do: these get
    /// three eighths of those that may be open.
    pub(crate) fn of_node() -> Self {
        let files = getrlimit(Resource::Nofile).current;
        let files = files.map_or(usize::MAX, |files| files as usize);
        let patience = Duration::from_secs(90);
        Self {
            strangers: places((files / 4).min(256)),
            known: places((files / 8).min(128)),
            // Longer than scrape intervals usually are, so that scrapers keep theirs.
            headers: patience,
            patience,
            grace: Duration::from_millis(500),
            ..Self::of_adapter()
        }
    }
}
