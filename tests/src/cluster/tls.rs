//! HTTP clients of pods.

use std::time::Duration;

use ureq::tls::{ClientCert, TlsConfig};

/// An observer signs its own certificate unless it is given one, so which one
/// it shows is a test's own question.
pub(super) fn agent() -> ureq::Agent {
    agent_of(None)
}

/// As [`agent`], of a client with a certificate.
pub(super) fn agent_of(client: Option<ClientCert>) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(30)))
        .http_status_as_error(false)
        .tls_config(
            TlsConfig::builder()
                .disable_verification(true)
                .client_cert(client)
                .build(),
        )
        .build()
        .new_agent()
}

/// Status and body of an answer, or why there is none.
pub(super) fn get(
    agent: &ureq::Agent,
    url: &str,
    token: Option<&str>,
) -> Result<(u16, String), String> {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers = bearer.as_deref().map(|bearer| ("Authorization", bearer));
    get_with(agent, url, headers.as_slice())
}

/// As [`get`], with these headers.
pub(super) fn get_with(
    agent: &ureq::Agent,
    url: &str,
    headers: &[(&str, &str)],
) -> Result<(u16, String), String> {
    let mut request = agent.get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = request.call().map_err(|e| e.to_string())?;
    let status = response.status().as_u16();
    let body = response
        .body_mut()
        .with_config()
        .limit(256 << 20)
        .read_to_string()
        .map_err(|e| e.to_string())?;
    Ok((status, body))
}
