//! HTTP clients of pods.

use std::time::Duration;

use ureq::tls::TlsConfig;

/// An observer signs its own certificate unless it is given one, so which one
/// it shows is a test's own question.
pub(super) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(30)))
        .http_status_as_error(false)
        .tls_config(TlsConfig::builder().disable_verification(true).build())
        .build()
        .new_agent()
}

/// Status and body of an answer, or why there is none.
pub(super) fn get(
    agent: &ureq::Agent,
    url: &str,
    token: Option<&str>,
) -> Result<(u16, String), String> {
    let mut request = agent.get(url);
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}"));
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
