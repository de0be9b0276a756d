//! Settings of TLS and of who may ask.

use std::path::PathBuf;

use clap::Args;

use super::tls::PairFiles;

/// Settings of TLS and of who may ask.
#[derive(Clone, Debug, Default, Args)]
pub struct SecuritySettings {
    /// What is served.
    #[command(flatten)]
    pub certificate: CertificateFiles,

    /// PEM file with the authorities whose client certificates tell who asks:
    /// common name the user, organizations its groups. Read again when it changes.
    #[arg(long, value_name = "FILE", env = "OBSERVER_CLIENT_CA_FILE")]
    pub client_ca_file: Option<PathBuf>,

    /// Serve plain HTTP to whoever reaches the port, on a cluster too. They
    /// read the figures of all pods.
    #[arg(long, conflicts_with_all = ["tls_cert_file", "tls_key_file", "client_ca_file"], env = "OBSERVER_INSECURE_HTTP")]
    pub insecure_http: bool,
}

/// The serving certificate's files.
#[derive(Clone, Debug, Default, Args)]
pub struct CertificateFiles {
    /// PEM file with the serving certificate, then its issuers; read again when
    /// it changes. Without it, where TLS is served, one is made here.
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_key_file",
        env = "OBSERVER_TLS_CERT_FILE"
    )]
    pub tls_cert_file: Option<PathBuf>,

    /// PEM file with the private key of --tls-cert-file.
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_cert_file",
        env = "OBSERVER_TLS_KEY_FILE"
    )]
    pub tls_key_file: Option<PathBuf>,
}

impl CertificateFiles {
    /// Both of them, where they are given.
    pub fn pair(&self) -> Option<PairFiles> {
        Some(PairFiles {
            certificate: self.tls_cert_file.clone()?,
            key: self.tls_key_file.clone()?,
        })
    }
}
