//! Health checks over HTTP.

use std::process::Command;

use super::layout::{Cluster, Node};

/// Asks a health endpoint, in the network of the node; TLS is checked against
/// the authority, and the caller says who it is where a certificate is named.
pub(super) fn http(
    cluster: &Cluster<'_>,
    node: Node,
    url: &str,
    authority: &str,
    client: Option<&str>,
) -> Command {
    let mut command = cluster.on(node, "curl");
    command
        .args(["--silent", "--show-error", "--fail", "--max-time", "5"])
        .args(["--noproxy", "*"])
        .args(["--cacert", &cluster.certificate(authority)]);
    if let Some(client) = client {
        command
            .args(["--cert", &cluster.certificate(client)])
            .args(["--key", &cluster.key(client)]);
    }
    command.arg(url);
    command
}

/// The same without TLS.
pub(super) fn plain(cluster: &Cluster<'_>, node: Node, url: &str) -> Command {
    let mut command = cluster.on(node, "curl");
    command
        .args(["--silent", "--show-error", "--fail", "--max-time", "5"])
        .args(["--noproxy", "*", url]);
    command
}
