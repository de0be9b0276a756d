//! The server as a client sees it, over real sockets.

mod answers;
mod connections;
mod events;
mod processes;
mod readiness;
mod server;
