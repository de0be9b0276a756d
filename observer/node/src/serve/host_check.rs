//! Whom plain HTTP on this machine answers: not a page of a stranger, which a browser here
//! has opened under a name that leads to this machine.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::{
    extract::{ConnectInfo, Request},
    http::{StatusCode, header::HOST},
    middleware::Next,
    response::Response,
};

use super::plain::plain;
use crate::auth::Peer;

/// Lets requests from this machine through that name it as itself, and all others.
pub(super) async fn check(request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<Peer>>();
    let here = peer.is_some_and(|ConnectInfo(peer)| peer.address.ip().to_canonical().is_loopback());
    let host = request.headers().get(HOST);
    // Browsers always send one.
    if let Some(host) = host.filter(|_| here)
        && !host.to_str().is_ok_and(is_own)
    {
        return plain(
            StatusCode::MISDIRECTED_REQUEST,
            "not answered under this name: on this machine plain HTTP is for localhost and for \
             addresses, lest pages of strangers read it; use http://localhost and the port\n",
        );
    }
    next.run(request).await
}

/// Whether nobody else can make the name lead here: an address is no name, and others
/// are this machine's own.
fn is_own(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        _ => host,
    };
    let inner = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    if let Some(address) = inner {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name.parse::<Ipv4Addr>().is_ok()
        || name == "localhost"
        || name.ends_with(".localhost")
        || rustix::system::uname()
            .nodename()
            .to_str()
            .is_ok_and(|own| !own.is_empty() && name == own.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::is_own;

    #[test]
    fn names_that_others_can_make_lead_here_are_refused() {
        for own in [
            "localhost",
            "LOCALHOST:9920",
            "localhost.:9920",
            "node.localhost",
            "127.0.0.1",
            "127.0.0.1:9920",
            "[::1]:9920",
            "[::1]",
            "10.0.0.7:9920",
        ] {
            assert!(is_own(own), "{own}");
        }
        let own = rustix::system::uname()
            .nodename()
            .to_str()
            .unwrap()
            .to_owned();
        assert!(is_own(&own) && is_own(&format!("{own}:9920")), "{own}");
        for other in [
            "",
            "evil.example",
            "evil.example:9920",
            "localhost.evil.example",
            "127.0.0.1.nip.io:9920",
            "notlocalhost",
            "evil.example@localhost:x",
            "[::1].evil.example",
            "::1",
            "[::1",
            "[10.0.0.7]",
            "x y",
            "localhost:http",
        ] {
            assert!(!is_own(other), "{other}");
        }
    }
}
