//! Settings of `observer top`.

use std::path::PathBuf;

use axum::http::Uri;
use clap::Args;

use super::value::url;

/// Settings of `observer top`.
#[derive(Clone, Debug, Args)]
pub(crate) struct TopSettings {
    /// Where the observer answers, for example https://localhost:9920 behind
    /// kubectl port-forward.
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:9920",
        value_parser = url,
        env = "OBSERVER_URL"
    )]
    pub(crate) url: Uri,

    /// File with the bearer token to show; read again at each request.
    #[arg(long, value_name = "FILE", env = "OBSERVER_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// PEM file with the authority of the observer's certificate.
    #[arg(long, value_name = "FILE", env = "OBSERVER_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,

    /// The name that the observer's certificate has to bear, where it is not
    /// the URL's, for example observer.go-observer.svc.
    #[arg(long, value_name = "NAME")]
    pub(crate) tls_server_name: Option<String>,

    /// PEM file with the client certificate to show.
    #[arg(long, value_name = "FILE", requires = "client_key_file")]
    pub(crate) client_cert_file: Option<PathBuf>,

    /// PEM file with the private key of --client-cert-file.
    #[arg(long, value_name = "FILE", requires = "client_cert_file")]
    pub(crate) client_key_file: Option<PathBuf>,

    /// Take any certificate of the observer's, such as one it signed itself.
    #[arg(long, conflicts_with = "ca_file")]
    pub(crate) insecure_skip_tls_verify: bool,
}
