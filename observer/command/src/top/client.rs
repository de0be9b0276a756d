//! Asks the observer, on a thread of its own.

use std::{
    fmt::Write as _,
    fs,
    path::PathBuf,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use axum::{
    body::{Body, to_bytes},
    http::{
        Request, Uri,
        header::{ACCEPT, AUTHORIZATION},
    },
};
use futures_util::StreamExt as _;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

use super::trust;
use crate::settings::TopSettings;

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);
/// The server says something every 15 s at least.
const SILENCE: Duration = Duration::from_secs(20);
/// No answer is longer.
const LONGEST: usize = 64 << 20;

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Table,
    Row(String),
}

/// What the observer says.
#[derive(Debug)]
pub(super) enum Message {
    /// An event of what is watched.
    Event(Subject, String, Value),
    /// What a walk over goroutines found.
    Walked(Vec<Value>),
    /// Why a walk did not.
    NotWalked(String),
    /// There is no connection.
    Lost(String),
}

/// The thread's other end.
pub(super) struct Client {
    subject: watch::Sender<Subject>,
    walks: mpsc::UnboundedSender<Vec<u32>>,
}

impl Client {
    pub(super) fn start(settings: &TopSettings) -> Result<(Self, Receiver<Message>)> {
        let api = Asker::new(settings)?;
        let (subject, watched) = watch::channel(Subject::Table);
        let (walks, asked) = mpsc::unbounded_channel();
        let (sender, receiver) = channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the async runtime")?;
        thread::Builder::new()
            .name("client".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::join!(api.follow(watched, &sender), api.walk(asked, &sender))
                })
            })
            .context("cannot start the client's thread")?;
        Ok((Self { subject, walks }, receiver))
    }

    /// Watches something else from now on.
    pub(super) fn watch(&self, subject: Subject) {
        self.subject.send_replace(subject);
    }

    /// Walks over the goroutines of processes.
    pub(super) fn walk(&self, pids: Vec<u32>) {
        // The thread lives as long as this does.
        let _ = self.walks.send(pids);
    }
}

struct Asker {
    client: legacy::Client<HttpsConnector<HttpConnector>, Body>,
    url: Uri,
    token_file: Option<PathBuf>,
}

impl Asker {
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

    /// Sends the events of what is watched, for good.
    async fn follow(&self, mut watched: watch::Receiver<Subject>, sender: &Sender<Message>) {
        loop {
            let subject = watched.borrow_and_update().clone();
            let ended = tokio::select! {
                ended = self.events(&subject, sender) => ended,
                changed = watched.changed() => match changed {
                    Ok(()) => continue,
                    // The terminal is given back: nobody looks any more.
                    Err(_) => return,
                },
            };
            if let Err(error) = ended
                && sender.send(Message::Lost(format!("{error:#}"))).is_err()
            {
                return;
            }
            tokio::select! {
                () = sleep(PAUSE) => {}
                changed = watched.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn events(&self, subject: &Subject, sender: &Sender<Message>) -> Result<()> {
        let path = match subject {
            Subject::Table => "api/v1/events".to_owned(),
            Subject::Row(id) => format!("api/v1/events?id={}", escaped(id)),
        };
        let mut body = self.ask(&path).await?.into_data_stream();
        let mut rest = Vec::new();
        loop {
            let chunk = timeout(SILENCE, body.next())
                .await
                .context("the observer says nothing any more")?;
            let Some(chunk) = chunk else {
                bail!("the observer ended the connection");
            };
            rest.extend_from_slice(&chunk?);
            if rest.len() > LONGEST {
                bail!("an event is longer than {LONGEST} bytes");
            }
            while let Some(end) = rest.windows(2).position(|two| two == b"\n\n") {
                let event = String::from_utf8_lossy(&rest[..end]).into_owned();
                rest.drain(..end + 2);
                if let Some((name, data)) = parts(&event) {
                    let data = serde_json::from_str(data).context("not an event of an observer")?;
                    let message = Message::Event(subject.clone(), name.to_owned(), data);
                    if sender.send(message).is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Walks when asked, one process after the other.
    async fn walk(&self, mut asked: mpsc::UnboundedReceiver<Vec<u32>>, sender: &Sender<Message>) {
        while let Some(pids) = asked.recv().await {
            let mut reports = Vec::new();
            let mut failed = None;
            for pid in pids {
                match self.report(pid).await {
                    Ok(report) => reports.push(report),
                    Err(error) => failed = Some(format!("{error:#}")),
                }
            }
            let message = match failed {
                Some(why) if reports.is_empty() => Message::NotWalked(why),
                _ => Message::Walked(reports),
            };
            if sender.send(message).is_err() {
                return;
            }
        }
    }

    async fn report(&self, pid: u32) -> Result<Value> {
        let body = self
            .ask(&format!("api/v1/processes/{pid}/goroutines"))
            .await?;
        let bytes = to_bytes(body, LONGEST).await?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// The body of a good answer.
    async fn ask(&self, path: &str) -> Result<Body> {
        let base = self.url.to_string();
        let mut request = Request::get(format!("{}/{path}", base.trim_end_matches('/')))
            .header(ACCEPT, "text/event-stream, application/json");
        if let Some(file) = &self.token_file {
            // Read each time: tokens are renewed.
            let token = fs::read_to_string(file)
                .with_context(|| format!("cannot read the token {}", file.display()))?;
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.trim()));
        }
        let answer = self
            .client
            .request(request.body(Body::empty())?)
            .await
            .map_err(|error| anyhow!(chain(&error)))?;
        let status = answer.status();
        let body = Body::new(answer.into_body());
        if status.is_success() {
            return Ok(body);
        }
        let text = to_bytes(body, 4096).await.unwrap_or_default();
        bail!("{status}: {}", String::from_utf8_lossy(&text).trim())
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

/// Name and data of an event; `None` for a comment.
fn parts(event: &str) -> Option<(&str, &str)> {
    let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
    Some((field("event: ")?, field("data: ")?))
}

/// For a query.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            out.push(byte as char);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{escaped, parts};

    #[test]
    fn events_have_a_name_and_data_and_comments_neither() {
        assert_eq!(parts("event: table\ndata: {}"), Some(("table", "{}")));
        assert_eq!(parts(":"), None);
        assert_eq!(
            escaped("shop:web-0:a b&c=ü"),
            "shop:web-0:a%20b%26c%3D%C3%BC"
        );
    }
}
