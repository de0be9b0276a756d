//! Connections of the node and of the adapter: HTTP/1.1, over TLS HTTP/2 too where it
//! is offered, each with limits of its own, and all of them together with one that
//! starves nobody.

mod accept;
pub mod bind;
mod connection;
mod connection_limits;
mod connection_slots;
mod handshake;

#[cfg(test)]
mod tests;

use std::{future::Future, io, net::SocketAddr, pin::pin, sync::Arc};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use tower::ServiceExt;

pub(crate) use self::connection_slots::{ConnectionFigures, ConnectionSlot};
use self::{
    accept::Listeners,
    connection::{Connection, Stream},
    connection_slots::ConnectionSlots,
};
pub use self::{
    connection_limits::ConnectionLimits, connection_slots::ConnectionCounters,
    handshake::Encryption,
};
use crate::auth::Peer;

/// A front proxy repeats a header for each group of the user, who may be in many.
const HEADERS: usize = 512;

/// Tells those who are known by their connection alone.
pub type IsKnown = Arc<dyn Fn(&Peer) -> bool + Send + Sync>;

/// What answers, and to whom. Handlers find the [`Peer`] (as [`ConnectInfo`]) and the
/// [`ConnectionSlot`] (as `Arc<ConnectionSlot>`) among a request's extensions.
pub struct Server {
    /// What answers.
    pub router: Router,
    /// TLS, where it is spoken.
    pub encryption: Option<Encryption>,
    /// What connections may take.
    pub bounds: ConnectionLimits,
    /// Where they are counted.
    pub crowd: Arc<ConnectionCounters>,
    /// Who has a place that strangers cannot take; a handler may [keep](ConnectionSlot::keep) others.
    pub is_known: IsKnown,
}

struct Shared {
    server: Server,
    http1: Builder<TokioExecutor>,
    http2: Builder<TokioExecutor>,
    stopping: watch::Receiver<bool>,
}

/// Answers on all of `listeners` until `shutdown` completes, and somewhat longer for
/// requests under way.
pub async fn serve(
    listeners: Vec<TcpListener>,
    server: Server,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let (stop, stopping) = watch::channel(false);
    let bounds = server.bounds;
    let places = ConnectionSlots::new(bounds.strangers, bounds.known, Arc::clone(&server.crowd));
    let shared = Arc::new(Shared {
        http1: http1(bounds),
        http2: http2(bounds),
        server,
        stopping,
    });
    let mut listeners = Listeners::new(listeners);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, address) = tokio::select! {
            accepted = listeners.accept(&places) => accepted,
            Some(_) = connections.join_next() => continue,
            () = &mut shutdown => break,
        };
        let place = Arc::new(places.take());
        connections.spawn(Arc::clone(&shared).connection(stream, address, place));
    }
    drop(listeners);
    stop.send_replace(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    // Who has not finished by then is cut off.
    drop(timeout(bounds.grace, ended).await);
    Ok(())
}

fn http1(bounds: ConnectionLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.headers)
        .max_headers(HEADERS)
        .max_buf_size(bounds.header_bytes as usize);
    builder
}

fn http2(bounds: ConnectionLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new()).http2_only();
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(bounds.streams)
        .max_header_list_size(bounds.header_bytes)
        .keep_alive_interval(bounds.ping)
        .keep_alive_timeout(bounds.ping / 2);
    builder
}

impl Shared {
    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        place: Arc<ConnectionSlot>,
    ) {
        tokio::select! {
            () = place.lost() => {
                tracing::debug!(%address, "closed: there are too many connections");
            }
            () = self.speak(stream, address, Arc::clone(&place)) => {}
        }
    }

    async fn speak(&self, stream: TcpStream, address: SocketAddr, place: Arc<ConnectionSlot>) {
        let Server {
            router,
            encryption,
            bounds,
            is_known,
            ..
        } = &self.server;
        // Should it fail, answers only take longer.
        drop(stream.set_nodelay(true));
        let (stream, builder) = match encryption {
            None => (Stream::Plain(stream), &self.http1),
            Some(encryption) => {
                let Some(stream) = encryption.shake(stream, bounds.handshake).await else {
                    return;
                };
                let builder = match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => &self.http2,
                    _ => &self.http1,
                };
                (Stream::Tls(Box::new(stream)), builder)
            }
        };
        let connection = Connection::new(stream, bounds.patience);
        let peer = Peer {
            address,
            certificates: connection.certificates().into(),
        };
        place.used(|| is_known(&peer));
        let service = service_fn(move |request: Request<Incoming>| {
            place.used(|| is_known(&peer));
            let mut request = request.map(Body::new);
            let extensions = request.extensions_mut();
            extensions.insert(ConnectInfo(peer.clone()));
            extensions.insert(Arc::clone(&place));
            router.clone().oneshot(request)
        });
        let mut serving = pin!(builder.serve_connection(TokioIo::new(connection), service));
        let mut stopping = self.stopping.clone();
        let ended = tokio::select! {
            ended = serving.as_mut() => ended,
            // The sender outlives every connection.
            () = async { drop(stopping.wait_for(|stopping| *stopping).await) } => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%address, error, "connection failed");
        }
    }
}
