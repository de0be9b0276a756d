//! The other end of a connection.

use std::{net::SocketAddr, sync::Arc};

use rustls::pki_types::CertificateDer;

/// Who connected, as far as the connection itself tells.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where from.
    pub address: SocketAddr,
    /// The certificates shown, the peer's own first, whose key it proved to
    /// have. Nothing is said yet of who issued them.
    pub certificates: Arc<[CertificateDer<'static>]>,
}
