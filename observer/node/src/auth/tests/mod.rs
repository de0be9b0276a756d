//! The guard and TLS over real sockets, with certificates of a real authority.

mod callers;
mod crowd;
mod rotation;
mod settings;
mod streams;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{CertificateFiles, Security, SecuritySettings, review::AnswerCacheLimits, tls};
use crate::{
    fixtures::{Authority, Pem, chain, snapshot},
    liveness::Liveness,
    serve::serve,
};

const HOUR: Duration = Duration::from_secs(3600);

/// A directory with the files that settings name.
struct Files(TempDir);

impl Files {
    fn new(pair: &Pem) -> Self {
        let files = Self(TempDir::new().unwrap());
        files.put(pair);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, pair: &Pem) {
        fs::write(self.path("tls.crt"), &pair.certificate).unwrap();
        fs::write(self.path("tls.key"), &pair.key).unwrap();
    }

    fn settings(&self) -> SecuritySettings {
        SecuritySettings {
            certificate: CertificateFiles {
                tls_cert_file: Some(self.path("tls.crt")),
                tls_key_file: Some(self.path("tls.key")),
            },
            ..SecuritySettings::default()
        }
    }

    fn with_authority(&self, pem: &str) -> SecuritySettings {
        let path = self.path("ca.crt");
        fs::write(&path, pem).unwrap();
        SecuritySettings {
            client_ca_file: Some(path),
            ..self.settings()
        }
    }
}

fn security(settings: &SecuritySettings) -> Security {
    let mut security = Security::new(settings, None, [], AnswerCacheLimits::default()).unwrap();
    if let Some(tls) = &mut security.tls {
        tls.set_poll(Duration::from_millis(20));
    }
    security
}

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    async fn start(security: Security) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            // The sender lives as long as the server, else nothing is fresh.
            let (_sender, snapshots) = watch::channel(Some(snapshot(vec![])));
            serve(
                vec![listener],
                snapshots,
                security,
                Liveness::default(),
                async {
                    stopped.await.ok();
                },
            )
            .await
        });
        Self {
            address,
            stop,
            task,
        }
    }

    async fn connect(&self, authority: &str, client: Option<&Pem>) -> Client {
        self.trusting(chain(authority), client).await.unwrap()
    }

    async fn trusting(
        &self,
        trusted: Vec<CertificateDer<'static>>,
        client: Option<&Pem>,
    ) -> std::io::Result<Client> {
        let mut roots = RootCertStore::empty();
        for root in trusted {
            roots.add(root).unwrap();
        }
        let config = ClientConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match client {
            None => config.with_no_client_auth(),
            Some(pem) => config
                .with_client_auth_cert(
                    chain(&pem.certificate),
                    PrivateKeyDer::from_pem_slice(pem.key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::from(self.address.ip());
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await?;
        Ok(Client { stream })
    }
}

/// A kept connection.
struct Client {
    stream: TlsStream<TcpStream>,
}

impl Client {
    async fn get(&mut self, path: &str) -> (u16, String) {
        self.ask("GET", path, "").await
    }

    async fn ask(&mut self, method: &str, path: &str, headers: &str) -> (u16, String) {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        self.stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        loop {
            let read = self.stream.read_buf(&mut answer).await.unwrap();
            let text = String::from_utf8_lossy(&answer);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length: usize = head
                    .to_lowercase()
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
                    .unwrap();
                if body.len() >= length {
                    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                    return (status, text.into_owned());
                }
            }
            assert!(read > 0, "ended in {text:?}");
        }
    }

    fn certificate(&self) -> CertificateDer<'static> {
        self.stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    }
}

fn swap(link: &Path, to: &str) {
    let new = link.with_file_name("..data_tmp");
    std::os::unix::fs::symlink(to, &new).unwrap();
    fs::rename(new, link).unwrap();
}

async fn until(mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..250 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("did not come true within five seconds");
}
