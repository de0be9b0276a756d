//! Connections that cannot be held for good: a bounded number, and each must
//! take a step of an answer before its time is up. Over TLS the handshake has
//! a time of its own and goes on beside the others.

use std::{future, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::connection::{Connection, Stream};
use crate::auth::{Counters, Peer};

/// What a listener bears.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Connections at a time; more wait in the listener's queue.
    pub(crate) connections: usize,
    /// How long a connection may live without a byte of an answer being taken:
    /// longer than scrape intervals usually are, so that scrapers keep theirs.
    pub(crate) patience: Duration,
    /// How long a TLS handshake may take.
    pub(crate) handshake: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 128,
            patience: Duration::from_secs(90),
            handshake: Duration::from_secs(5),
        }
    }
}

/// What makes TLS of a connection, and where its failures count.
#[derive(Clone)]
pub(crate) struct Encryption {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) counters: Arc<Counters>,
}

/// A listener with limits.
pub(crate) struct Bounded {
    listener: TcpListener,
    encryption: Option<Encryption>,
    places: Arc<Semaphore>,
    bounds: Bounds,
    handshakes: JoinSet<Option<(Connection, SocketAddr)>>,
}

impl Bounded {
    pub(crate) fn new(listener: TcpListener, encryption: Option<Encryption>) -> Self {
        Self::with_bounds(listener, encryption, Bounds::default())
    }

    pub(crate) fn with_bounds(
        listener: TcpListener,
        encryption: Option<Encryption>,
        bounds: Bounds,
    ) -> Self {
        Self {
            listener,
            encryption,
            places: Arc::new(Semaphore::new(bounds.connections)),
            bounds,
            handshakes: JoinSet::new(),
        }
    }
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let accepting = async {
                // The semaphore is never closed: no place means waiting, not an error.
                let place = Arc::clone(&self.places).acquire_owned().await.ok();
                let (stream, address) = Listener::accept(&mut self.listener).await;
                (stream, address, place)
            };
            let (stream, address, place) = tokio::select! {
                accepted = accepting => accepted,
                done = next(&mut self.handshakes) => match done {
                    Some(ready) => return ready,
                    None => continue,
                },
            };
            let Some(encryption) = self.encryption.clone() else {
                let connection =
                    Connection::new(Stream::Plain(stream), self.bounds.patience, place);
                return (connection, address);
            };
            let bounds = self.bounds;
            self.handshakes.spawn(async move {
                let stream = shake(stream, encryption, bounds.handshake).await?;
                let stream = Stream::Tls(Box::new(stream));
                Some((Connection::new(stream, bounds.patience, place), address))
            });
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// The next handshake that is over, and its connection if it succeeded.
async fn next(
    handshakes: &mut JoinSet<Option<(Connection, SocketAddr)>>,
) -> Option<(Connection, SocketAddr)> {
    match handshakes.join_next().await {
        Some(done) => done.ok().flatten(),
        None => future::pending().await,
    }
}

/// A handshake in its time; a failure is counted.
pub(crate) async fn shake(
    stream: TcpStream,
    encryption: Encryption,
    limit: Duration,
) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    let handshake = async {
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase() {
            return Err(plain(stream).await);
        }
        encryption.acceptor.accept(stream).await
    };
    let error = match timeout(limit, handshake).await {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(error)) => error,
        Err(_) => io::ErrorKind::TimedOut.into(),
    };
    encryption.counters.handshake_failed();
    tracing::debug!(%error, "TLS handshake failed");
    None
}

/// Tells a client that speaks plain HTTP, since it would not read an alert.
async fn plain(mut stream: TcpStream) -> io::Error {
    const ANSWER: &[u8] = b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nthis port speaks TLS; use https://\n";
    // Whether it arrives or not, the connection ends.
    drop(stream.write_all(ANSWER).await);
    drop(stream.shutdown().await);
    // Closing with bytes unread would take the answer back.
    let mut rest = [0; 1024];
    drop(timeout(Duration::from_millis(200), stream.read(&mut rest)).await);
    io::Error::new(io::ErrorKind::InvalidData, "plain HTTP on a TLS port")
}

impl Connected<IncomingStream<'_, Bounded>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Bounded>) -> Self {
        Self {
            address: *stream.remote_addr(),
            certificates: stream.io().certificates().into(),
        }
    }
}
