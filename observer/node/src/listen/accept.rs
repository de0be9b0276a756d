//! Takes connections from any of several listeners.

use std::{future::poll_fn, io, net::SocketAddr, task::Poll, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::connection_slots::ConnectionSlots;

/// How long nobody is let in after that failed: what lacks may be there again.
const PAUSE: Duration = Duration::from_millis(100);

/// Listeners of one server, such as one for each family of addresses.
pub(super) struct Listeners {
    listeners: Vec<TcpListener>,
    /// Which is asked first; they take turns.
    first: usize,
    failing: bool,
}

impl Listeners {
    pub(super) const fn new(listeners: Vec<TcpListener>) -> Self {
        Self {
            listeners,
            first: 0,
            failing: false,
        }
    }

    /// The next connection. Where there is no descriptor for it, a stranger makes
    /// room, and so may whatever else the process does.
    pub(super) async fn accept(&mut self, places: &ConnectionSlots) -> (TcpStream, SocketAddr) {
        loop {
            match self.next().await {
                Ok(accepted) => {
                    if std::mem::take(&mut self.failing) {
                        tracing::info!("connections can be accepted again");
                    }
                    return accepted;
                }
                Err(error) if is_of_connection(&error) => {}
                Err(error) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::error!(%error, "cannot accept connections");
                    }
                    places.make_room();
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn next(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let count = self.listeners.len();
        poll_fn(|context| {
            for turn in 0..count {
                let index = (self.first + turn) % count;
                if let Poll::Ready(accepted) = self.listeners[index].poll_accept(context) {
                    self.first = (index + 1) % count;
                    return Poll::Ready(accepted);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Whether it is the client that failed, and nothing to wait for.
fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
