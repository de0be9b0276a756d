//! Families of TLS and of who may ask. Each is there where it is in use.

use super::{
    family::{Family, Kind, node},
    sink::{Sink, Value},
};
use crate::auth::DecisionCounts;

/// TLS and the guard.
pub(super) static FAMILIES: [Family; 5] = [
    node(
        "observer_authentications",
        Kind::Counter,
        None,
        "Requests, and streams again while they last, by whether it was known who asks; unavailable where the API server could not tell.",
        "client certificates, TokenReview",
        |node, sink| {
            if let Some(guarded) = node.own.security.guarded {
                verdicts(
                    ["known", "unknown", "unavailable"],
                    guarded.authentications,
                    sink,
                );
            }
        },
    ),
    node(
        "observer_authorizations",
        Kind::Counter,
        None,
        "Requests of known users, and streams again while they last, by whether they may; unavailable where the API server could not tell.",
        "SubjectAccessReview",
        |node, sink| {
            if let Some(guarded) = node.own.security.guarded {
                verdicts(
                    ["allowed", "denied", "unavailable"],
                    guarded.authorizations,
                    sink,
                );
            }
        },
    ),
    node(
        "observer_tls_certificate_expiry_timestamp_seconds",
        Kind::Gauge,
        Some("seconds"),
        "When the serving certificate ends, in seconds since the epoch.",
        "the certificate",
        |node, sink| {
            if let Some((expiry, _)) = node.own.security.tls {
                sink.float(expiry as f64);
            }
        },
    ),
    node(
        "observer_tls_reload_failures",
        Kind::Counter,
        None,
        "New contents of certificate files that could not be taken; those before stay in use.",
        "the files",
        |node, sink| {
            if let Some((_, failures)) = node.own.security.tls {
                for (what, failed) in [
                    ("certificate", failures.certificate_reloads),
                    ("client_ca", failures.authority_reloads),
                ] {
                    sink.labelled("what", what, Value::Integer(failed));
                }
            }
        },
    ),
    node(
        "observer_tls_handshakes_failed",
        Kind::Counter,
        None,
        "Connections that ended before their TLS handshake was through.",
        "the listener",
        |node, sink| {
            if let Some((_, failures)) = node.own.security.tls {
                sink.count(failures.handshakes);
            }
        },
    ),
];

fn verdicts(results: [&str; 3], verdicts: DecisionCounts, sink: &mut Sink) {
    let counts = [verdicts.positive, verdicts.negative, verdicts.unavailable];
    for (result, count) in results.into_iter().zip(counts) {
        sink.labelled("result", result, Value::Integer(count));
    }
}
