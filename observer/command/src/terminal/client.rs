//! Asks the observer, on a thread of its own.

use std::{
    fmt::Write as _,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use axum::body::to_bytes;
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

use super::api::Api;

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
    pub(super) fn start(api: Api) -> Result<(Self, Receiver<Message>)> {
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
                    tokio::join!(follow(&api, watched, &sender), walk(&api, asked, &sender))
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

/// Sends the events of what is watched, for good.
async fn follow(api: &Api, mut watched: watch::Receiver<Subject>, sender: &Sender<Message>) {
    loop {
        let subject = watched.borrow_and_update().clone();
        let ended = tokio::select! {
            ended = events(api, &subject, sender) => ended,
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
            () = sleep(api.pause()) => {}
            changed = watched.changed() => if changed.is_err() { return },
        }
    }
}

async fn events(api: &Api, subject: &Subject, sender: &Sender<Message>) -> Result<()> {
    let path = match subject {
        Subject::Table => "api/v1/events".to_owned(),
        Subject::Row(id) => format!("api/v1/events?id={}", escaped(id)),
    };
    let mut body = api.ask(&path).await?.into_data_stream();
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
async fn walk(api: &Api, mut asked: mpsc::UnboundedReceiver<Vec<u32>>, sender: &Sender<Message>) {
    while let Some(pids) = asked.recv().await {
        let mut reports = Vec::new();
        let mut failed = None;
        for pid in pids {
            match report(api, pid).await {
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

async fn report(api: &Api, pid: u32) -> Result<Value> {
    let path = format!("api/v1/processes/{pid}/goroutines");
    let body = api.ask(&path).await?;
    let bytes = to_bytes(body, LONGEST).await?;
    Ok(serde_json::from_slice(&bytes)?)
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
