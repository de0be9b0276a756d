//! TLS handshakes: each has a time of its own, and goes on beside the others.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::auth::{Counters, tls::ServerTls};

/// What makes TLS of a connection, and where its failures count.
#[derive(Clone)]
pub struct Encryption {
    /// By the certificate that is shown now.
    acceptor: TlsAcceptor,
    counters: Arc<Counters>,
}

impl Encryption {
    /// By these certificates, whoever renews them.
    pub fn by(tls: &ServerTls) -> Self {
        Self {
            acceptor: tls.acceptor(),
            counters: Arc::clone(tls.counters()),
        }
    }

    /// A handshake in its time; a failure is counted.
    pub(super) async fn shake(
        &self,
        stream: TcpStream,
        limit: Duration,
    ) -> Option<TlsStream<TcpStream>> {
        let handshake = async {
            let mut first = [0];
            if stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase() {
                return Err(plain(stream).await);
            }
            self.acceptor.accept(stream).await
        };
        let error = match timeout(limit, handshake).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        self.counters.handshake_failed();
        tracing::debug!(%error, "TLS handshake failed");
        None
    }
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
