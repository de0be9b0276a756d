//! Keeps what the cluster must hold for TLS: the authority in a Secret that all
//! replicas share, and a certificate for the observers where nobody else has
//! given one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use k8s_openapi::{
    ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use observer_node::{
    auth::tls::{Replacer, TlsError},
    kube::Connection,
};
use serde_json::json;
use tokio::sync::watch;

use super::{
    data::{
        fan_out::FanOut,
        node_client::{NodeError, OBSERVER_NAME},
    },
    pki::{Authority, PemPair, PkiError},
    reconcile::ReconcileLoop,
};

/// The Secret with the authority.
const AUTHORITY: &str = "go-observer-adapter-ca";
/// The Secret with the observers' certificate.
const OBSERVERS: &str = "go-observer-node-tls";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const CA: &str = "ca.crt";
/// Says that a Secret is the adapter's to renew.
const MANAGED: (&str, &str) = ("app.kubernetes.io/managed-by", "observer-adapter");

/// Why something could not be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    /// The API server.
    #[error("{what}: {error}")]
    Api {
        /// What was wanted.
        what: &'static str,
        /// Why not.
        error: kube::Error,
    },
    /// A Secret lacks something.
    #[error("Secret {secret} has no usable {key}; delete it, and the adapter makes another")]
    Secret {
        /// Its name.
        secret: &'static str,
        /// The key.
        key: &'static str,
    },
    /// The authority.
    #[error("Secret {AUTHORITY}: {0}; delete it, and the adapter makes another")]
    Pki(#[from] PkiError),
    /// The serving certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The authority of the observers.
    #[error(transparent)]
    Observers(#[from] NodeError),
    /// A file with it.
    #[error("cannot read {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
}

/// What is kept, and for whom.
pub(crate) struct TlsSecrets {
    /// The API server.
    pub connection: Connection,
    /// Where the adapter and the observers are.
    pub namespace: String,
    /// The names of the adapter's certificate.
    pub names: Vec<String>,
    /// Takes the adapter's certificate; `None` where files hold one.
    pub serving: Option<Replacer>,
    /// Told by which authority the certificate is that the adapter shows.
    pub authority: watch::Sender<Option<String>>,
    /// Where the observers' authority is, if not in their Secret.
    pub node_ca_file: Option<PathBuf>,
    /// Who verifies observers.
    pub nodes: Arc<FanOut>,
}

impl TlsSecrets {
    /// Keeps it all, for ever.
    pub(crate) async fn run(self) {
        let mut reconcile_loop = ReconcileLoop::new("failed to reconcile the certificates");
        let mut serving = None;
        loop {
            let kept = self.keep(&mut serving).await;
            reconcile_loop.rest(kept, &self.connection.answered).await;
        }
    }

    async fn keep(&self, serving: &mut Option<String>) -> Result<(), KeepError> {
        if let (None, Some(path)) = (&self.serving, &self.node_ca_file) {
            // Somebody else keeps it all, and no right to Secrets is needed.
            return Ok(self.nodes.client().trust(&read(path).await?)?);
        }
        let authority = self.authority().await?;
        if let Some(replacer) = &self.serving {
            let now = SystemTime::now();
            if serving
                .as_deref()
                .is_none_or(|it| authority.is_due(it, now))
            {
                let pair = authority.issue(&self.names)?;
                replacer.replace(&pair.certificate, &pair.key)?;
                *serving = Some(pair.certificate);
            }
            // What others verify by follows the certificate that is shown.
            let known = Some(&authority.pair().certificate);
            self.authority.send_if_modified(|told| {
                let other = told.as_ref() != known;
                *told = known.cloned();
                other
            });
        }
        let observers = self.observers(&authority).await?;
        self.nodes.client().trust(&observers)?;
        Ok(())
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.connection.client.clone(), &self.namespace)
    }

    /// The authority that all replicas share: whoever comes first makes it.
    async fn authority(&self) -> Result<Authority, KeepError> {
        let secrets = self.secrets();
        let failed = |error| KeepError::Api {
            what: "reading the Secret with the authority",
            error,
        };
        if let Some(secret) = secrets.get_opt(AUTHORITY).await.map_err(failed)? {
            return Ok(Authority::of(pair(AUTHORITY, &secret)?)?);
        }
        let new = Authority::new()?;
        if create(&secrets, AUTHORITY, new.pair(), None).await? {
            tracing::info!(secret = AUTHORITY, "created a certificate authority");
            return Ok(new);
        }
        let secret = secrets.get(AUTHORITY).await.map_err(failed)?;
        Ok(Authority::of(pair(AUTHORITY, &secret)?)?)
    }

    /// The authority of the observers, after their Secret is in order.
    async fn observers(&self, authority: &Authority) -> Result<Vec<u8>, KeepError> {
        if let Some(path) = &self.node_ca_file {
            return read(path).await;
        }
        let secrets = self.secrets();
        let failed = |error| KeepError::Api {
            what: "reading the Secret with the observers' certificate",
            error,
        };
        let found = secrets.get_opt(OBSERVERS).await.map_err(failed)?;
        let Some(secret) = found else {
            let pair = authority.issue(&[OBSERVER_NAME.to_owned()])?;
            let ca = &authority.pair().certificate;
            if create(&secrets, OBSERVERS, &pair, Some(ca)).await? {
                tracing::info!(secret = OBSERVERS, "created the observers' certificate");
            }
            return Ok(ca.clone().into_bytes());
        };
        let labels = secret.metadata.labels.as_ref();
        let managed = labels.and_then(|labels| labels.get(MANAGED.0));
        let certificate = pair(OBSERVERS, &secret)?.certificate;
        if managed.is_some_and(|by| by == MANAGED.1)
            && authority.is_due(&certificate, SystemTime::now())
        {
            return self.renew(&secrets, &secret, authority).await;
        }
        Ok(value(OBSERVERS, &secret, CA)?.into_bytes())
    }

    /// Writes another certificate into the observers' Secret. Until each has
    /// read it, what it shows was issued before: both authorities count.
    async fn renew(
        &self,
        secrets: &Api<Secret>,
        secret: &Secret,
        authority: &Authority,
    ) -> Result<Vec<u8>, KeepError> {
        let issued = authority.issue(&[OBSERVER_NAME.to_owned()])?;
        let ours = &authority.pair().certificate;
        let before = value(OBSERVERS, secret, CA).unwrap_or_default();
        let both = if before.contains(ours.trim()) {
            before
        } else {
            format!("{ours}{before}")
        };
        let patch = json!({
            // Another replica may do the same at this moment.
            "metadata": {"resourceVersion": secret.metadata.resource_version},
            "data": data(&issued, Some(&both)),
        });
        secrets
            .patch(OBSERVERS, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .map_err(|error| KeepError::Api {
                what: "renewing the observers' certificate",
                error,
            })?;
        tracing::info!(secret = OBSERVERS, "renewed the observers' certificate");
        Ok(both.into_bytes())
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, KeepError> {
    let found = tokio::fs::read(path).await;
    found.map_err(|error| KeepError::File {
        path: path.to_owned(),
        error,
    })
}

fn data(pair: &PemPair, ca: Option<&str>) -> BTreeMap<String, ByteString> {
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    let mut data = BTreeMap::from([
        (CERTIFICATE.to_owned(), bytes(&pair.certificate)),
        (KEY.to_owned(), bytes(&pair.key)),
    ]);
    if let Some(ca) = ca {
        data.insert(CA.to_owned(), bytes(ca));
    }
    data
}

/// Makes a Secret; whether there was none.
async fn create(
    secrets: &Api<Secret>,
    name: &'static str,
    pair: &PemPair,
    ca: Option<&str>,
) -> Result<bool, KeepError> {
    let labels = BTreeMap::from([(MANAGED.0.to_owned(), MANAGED.1.to_owned())]);
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some(data(pair, ca)),
        ..Secret::default()
    };
    match secrets.create(&PostParams::default(), &secret).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(KeepError::Api {
            what: "making a Secret",
            error,
        }),
    }
}

fn pair(name: &'static str, secret: &Secret) -> Result<PemPair, KeepError> {
    Ok(PemPair {
        certificate: value(name, secret, CERTIFICATE)?,
        key: value(name, secret, KEY)?,
    })
}

fn value(name: &'static str, secret: &Secret, key: &'static str) -> Result<String, KeepError> {
    let found = secret.data.as_ref().and_then(|data| data.get(key));
    found
        .and_then(|bytes| String::from_utf8(bytes.0.clone()).ok())
        .ok_or(KeepError::Secret { secret: name, key })
}

#[cfg(test)]
mod tests;
