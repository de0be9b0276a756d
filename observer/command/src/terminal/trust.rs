//! Whom the client trusts, and what it shows of itself.

use std::{fs, path::Path, sync::Arc};

use anyhow::{Context, Result, bail};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};

use crate::settings::TopSettings;

/// TLS by the settings.
pub(super) fn config(settings: &TopSettings) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .context("no version of TLS can be had")?;
    let builder = if settings.insecure_skip_tls_verify {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
    } else {
        builder.with_root_certificates(roots(settings)?)
    };
    let pair = settings
        .client_cert_file
        .as_ref()
        .zip(settings.client_key_file.as_ref());
    Ok(match pair {
        Some((certificates, key)) => {
            let chain = certificates_of(certificates)?;
            let key = PrivateKeyDer::from_pem_file(key)
                .with_context(|| format!("{}: no private key in PEM", key.display()))?;
            builder
                .with_client_auth_cert(chain, key)
                .context("the client certificate and its key do not go together")?
        }
        None => builder.with_no_client_auth(),
    })
}

fn roots(settings: &TopSettings) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &settings.ca_file {
        for certificate in certificates_of(path)? {
            roots
                .add(certificate)
                .with_context(|| format!("{}: no certificate of an authority", path.display()))?;
        }
    } else if settings.url.scheme_str() == Some("https") {
        bail!(
            "https needs --ca-file with the authority of the observer's certificate, or --insecure-skip-tls-verify"
        );
    }
    Ok(roots)
}

fn certificates_of(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let pem = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.with_context(|| format!("{}: not PEM", path.display()))?;
    if found.is_empty() {
        bail!("{}: no certificate in PEM", path.display());
    }
    Ok(found)
}

/// Takes any certificate, as the reader asked for; its key must be there all the same.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
