//! Who answers: an observer that is asked over HTTP, or the one that this process is.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{
        Request, Uri,
        header::{ACCEPT, AUTHORIZATION},
    },
};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::pki_types::ServerName;
use tower::ServiceExt as _;

use super::trust;
use crate::settings::TopSettings;

/// Who answers.
pub(crate) enum Api {
    /// The observer of this process; its answers need no connection and no rights.
    Here(Router),
    /// Another.
    Elsewhere(Box<Elsewhere>),
}

/// An observer at an address.
pub(crate) struct Elsewhere {
    client: legacy::Client<HttpsConnector<HttpConnector>, Body>,
    url: Uri,
    token_file: Option<PathBuf>,
}

impl Api {
    /// The one that the settings name.
    pub(super) fn elsewhere(settings: &TopSettings) -> Result<Self> {
        Ok(Self::Elsewhere(Box::new(Elsewhere::new(settings)?)))
    }

    /// Between two tries.
    pub(super) const fn pause(&self) -> Duration {
        match self {
            // Until it has looked at the node for the first time.
            Self::Here(_) => Duration::from_millis(100),
            Self::Elsewhere(_) => Duration::from_secs(1),
        }
    }

    /// The body of a good answer.
    pub(super) async fn ask(&self, path: &str) -> Result<Body> {
        let answer = match self {
            Self::Here(router) => {
                let request = Request::get(format!("/{path}")).body(Body::empty())?;
                let Ok(answer) = router.clone().oneshot(request).await;
                answer
            }
            Self::Elsewhere(observer) => observer.ask(path).await?,
        };
        let status = answer.status();
        if status.is_success() {
            return Ok(answer.into_body());
        }
        let text = to_bytes(answer.into_body(), 4096).await.unwrap_or_default();
        bail!("{status}: {}", String::from_utf8_lossy(&text).trim())
    }
}

impl Elsewhere {
    fn new(settings: &TopSettings) -> Result<Self> {
        let builder = HttpsConnectorBuilder::new()
            .with_tls_config(trust::config(settings)?)
            .https_or_http();
        let builder = match &settings.tls_server_name {
            Some(name) => {
                let name = ServerName::try_from(name.clone())
                    .with_context(|| format!("--tls-server-name {name}: not a name"))?;
                builder.with_server_name_resolver(FixedServerNameResolver::new(name))
            }
            None => builder,
        };
        let connector = builder.enable_http1().build();
        Ok(Self {
            client: legacy::Client::builder(TokioExecutor::new()).build(connector),
            url: settings.url.clone(),
            token_file: settings.token_file.clone(),
        })
    }

    async fn ask(&self, path: &str) -> Result<axum::response::Response> {
        let base = self.url.to_string();
        let mut request = Request::get(format!("{}/{path}", base.trim_end_matches('/')))
            .header(ACCEPT, "text/event-stream, application/json");
        if let Some(file) = &self.token_file {
            // Read each time: tokens are renewed.
            let token = fs::read_to_string(file)
                .with_context(|| format!("cannot read the token {}", file.display()))?;
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.trim()));
        }
        let answer = self.client.request(request.body(Body::empty())?).await;
        let answer = answer.map_err(|error| anyhow!(chain(&error)))?;
        Ok(answer.map(Body::new))
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
