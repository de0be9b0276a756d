//! One connection, plain or encrypted, with a deadline that only an answer's
//! progress moves.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use rustls::pki_types::CertificateDer;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};
use tokio_rustls::server::TlsStream;

/// What bytes go through.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

trait Both: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Both for T {}

impl Stream {
    fn pin(&mut self) -> Pin<&mut dyn Both> {
        match self {
            Self::Plain(stream) => Pin::new(stream),
            Self::Tls(stream) => Pin::new(&mut **stream),
        }
    }
}

/// A connection with a deadline that only an answer's progress moves.
pub(super) struct Connection {
    stream: Stream,
    deadline: Pin<Box<Sleep>>,
    patience: Duration,
}

impl Connection {
    pub(super) fn new(stream: Stream, patience: Duration) -> Self {
        Self {
            stream,
            deadline: Box::pin(sleep(patience)),
            patience,
        }
    }

    /// The certificates that the client has shown, its own first.
    pub(super) fn certificates(&self) -> Vec<CertificateDer<'static>> {
        match &self.stream {
            Stream::Plain(_) => Vec::new(),
            Stream::Tls(stream) => {
                let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
                shown
                    .iter()
                    .map(|shown| shown.clone().into_owned())
                    .collect()
            }
        }
    }

    fn expired(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        self.deadline
            .as_mut()
            .poll(context)
            .map(|()| io::ErrorKind::TimedOut.into())
    }

    fn written(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_pending() {
            return self.expired(context).map(Err);
        }
        let deadline = Instant::now() + self.patience;
        self.deadline.as_mut().reset(deadline);
        written
    }

    /// Encrypted bytes are held back until they are flushed: that waits for
    /// the client too.
    fn flushed(
        &mut self,
        context: &mut Context<'_>,
        flushed: Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        if flushed.is_pending() {
            return self.expired(context).map(Err);
        }
        flushed
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Bytes of a request do not move the deadline: who sends one now and
        // then must still finish in time.
        if let Poll::Ready(error) = self.expired(context) {
            return Poll::Ready(Err(error));
        }
        self.stream.pin().poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream.pin().poll_write(context, bytes);
        self.written(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream.pin().poll_write_vectored(context, slices);
        self.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.stream.pin().poll_flush(context);
        self.flushed(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = self.stream.pin().poll_shutdown(context);
        self.flushed(context, shut)
    }
}
