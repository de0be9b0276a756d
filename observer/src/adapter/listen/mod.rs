//! Connections to the adapter: HTTP/2 and HTTP/1.1 over TLS, each with limits
//! of its own, and all of them together with one that starves nobody.

mod places;

use std::{
    future::Future, io, net::SocketAddr, num::NonZeroUsize, pin::pin, sync::Arc, time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request, serve::Listener};
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

use self::places::{Place, Places};
use super::{
    api::{Server, router},
    front::Front,
};
use crate::{
    auth::{Counters, Peer, tls::ServerTls},
    serve::{
        connection::{Connection, Stream},
        connections::{Encryption, shake},
    },
};

/// A front proxy repeats a header for each group of the user, who may be in many.
const HEADERS: usize = 512;

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections of strangers at a time, those that shake hands among them.
    pub strangers: NonZeroUsize,
    /// Connections of front proxies at a time.
    pub proxies: NonZeroUsize,
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

impl Default for Bounds {
    fn default() -> Self {
        Self {
            strangers: NonZeroUsize::new(1024).unwrap_or(NonZeroUsize::MIN),
            proxies: NonZeroUsize::new(256).unwrap_or(NonZeroUsize::MIN),
            handshake: Duration::from_secs(5),
            headers: Duration::from_secs(30),
            patience: Duration::from_secs(90),
            header_bytes: 64 << 10,
            streams: 250,
            ping: Duration::from_secs(30),
            grace: Duration::from_secs(5),
        }
    }
}

struct Shared {
    encryption: Encryption,
    bounds: Bounds,
    router: Router,
    front: Arc<Front>,
    http1: Builder<TokioExecutor>,
    http2: Builder<TokioExecutor>,
    stopping: watch::Receiver<bool>,
}

/// Answers on `listener` until `shutdown` completes, and somewhat longer for
/// requests under way.
pub async fn serve(
    mut listener: TcpListener,
    server: Arc<Server>,
    tls: ServerTls,
    counters: Arc<Counters>,
    bounds: Bounds,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stop, stopping) = watch::channel(false);
    let tls = tls.with_http2();
    let telemetry = Arc::clone(&server.telemetry);
    let places = Places::new(bounds.strangers, bounds.proxies, telemetry);
    let shared = Arc::new(Shared {
        encryption: Encryption {
            acceptor: tls.acceptor(),
            counters,
        },
        bounds,
        front: Arc::clone(&server.front),
        router: router(server),
        http1: http1(bounds),
        http2: http2(bounds),
        stopping,
    });
    let mut renewal = JoinSet::new();
    renewal.spawn(tls.renew());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, address) = tokio::select! {
            accepted = Listener::accept(&mut listener) => accepted,
            Some(_) = connections.join_next() => continue,
            () = &mut shutdown => break,
        };
        let place = Arc::new(places.take());
        connections.spawn(Arc::clone(&shared).connection(stream, address, place));
    }
    drop(listener);
    stop.send_replace(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    // Who has not finished by then is cut off.
    drop(timeout(bounds.grace, ended).await);
    Ok(())
}

fn http1(bounds: Bounds) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.headers)
        .max_headers(HEADERS)
        .max_buf_size(bounds.header_bytes as usize);
    builder
}

fn http2(bounds: Bounds) -> Builder<TokioExecutor> {
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
        place: Arc<Place>,
    ) {
        tokio::select! {
            () = place.lost() => {
                tracing::debug!(%address, "closed: there are too many connections");
            }
            () = self.speak(stream, address, Arc::clone(&place)) => {}
        }
    }

    async fn speak(&self, stream: TcpStream, address: SocketAddr, place: Arc<Place>) {
        // Should it fail, answers only take longer.
        drop(stream.set_nodelay(true));
        let limit = self.bounds.handshake;
        let Some(stream) = shake(stream, self.encryption.clone(), limit).await else {
            return;
        };
        let protocol = stream.get_ref().1.alpn_protocol();
        let builder = match protocol {
            Some(b"h2") => &self.http2,
            _ => &self.http1,
        };
        let stream = Stream::Tls(Box::new(stream));
        let connection = Connection::new(stream, self.bounds.patience, None);
        let peer = Peer {
            address,
            certificates: connection.certificates().into(),
        };
        place.used(|| self.front.is_proxy(&peer));
        let service = service_fn(move |request: Request<Incoming>| {
            place.used(|| self.front.is_proxy(&peer));
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer.clone()));
            self.router.clone().oneshot(request)
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

#[cfg(test)]
mod tests;
