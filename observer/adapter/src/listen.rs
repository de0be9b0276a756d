//! The adapter's connections: of all who come, front proxies are those whom
//! strangers cannot crowd out.

use std::{future::Future, io, sync::Arc};

use observer_node::{
    auth::{Peer, tls::ServerTls},
    listen::{self, ConnectionLimits, Encryption},
};
use tokio::{net::TcpListener, task::JoinSet};

use super::serve::{Server, router};

/// Answers on all of `listeners` until `shutdown` completes, and somewhat longer for
/// requests under way.
pub(crate) async fn serve(
    listeners: Vec<TcpListener>,
    server: Arc<Server>,
    tls: ServerTls,
    bounds: ConnectionLimits,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let tls = tls.with_http2();
    let encryption = Encryption::by(&tls);
    let mut renewal = JoinSet::new();
    renewal.spawn(tls.renew());
    let front = Arc::clone(&server.front);
    let server = listen::Server {
        crowd: Arc::clone(&server.telemetry.crowd),
        router: router(server),
        encryption: Some(encryption),
        bounds,
        is_known: Arc::new(move |peer: &Peer| front.is_proxy(peer)),
    };
    listen::serve(listeners, server, shutdown).await
}

#[cfg(test)]
mod tests;
