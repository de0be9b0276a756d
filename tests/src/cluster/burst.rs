//! The burst service of deploy/examples, in pods.

use serde::Deserialize;

use super::{Namespace, SOON, tls};
pub use crate::paths::NEWEST;
use crate::{
    paths::{OLDEST, go1},
    wait,
};

/// Releases that images are loaded of: the oldest, a middle one, the newest.
pub const VERSIONS: [&str; 3] = [OLDEST, go1(22), NEWEST];

/// What the program says of itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Line {
    /// RFC 3339 with nanoseconds.
    pub time: String,
    /// What has just happened.
    pub event: String,
    /// As `runtime.Version()`.
    pub version: String,
    /// As `runtime.NumGoroutine()`.
    pub num_goroutine: u64,
    /// As `runtime.GOMAXPROCS(0)`.
    #[serde(rename = "GOMAXPROCS")]
    pub gomaxprocs: u64,
}

impl Line {
    /// When, in seconds since the epoch.
    pub fn at(&self) -> f64 {
        let time: k8s_openapi::jiff::Timestamp = self
            .time
            .parse()
            .unwrap_or_else(|e| panic!("time {}: {e}", self.time));
        time.as_nanosecond() as f64 / 1e9
    }
}

/// What a pod's container has logged.
pub fn log(namespace: &Namespace, pod: &str, container: &str) -> Vec<Line> {
    let text = namespace.log(pod, container);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line:?}: {e}")))
        .collect()
}

/// What the program said when it began, once it has.
pub fn started(namespace: &Namespace, pod: &str, container: &str) -> Line {
    wait::until(&format!("{pod}/{container} to begin"), SOON, || {
        // Until there is a container there is no log.
        let args = ["logs", pod, "--container", container, "--namespace"];
        let args: Vec<_> = args.into_iter().chain([namespace.name.as_str()]).collect();
        let text = namespace.cluster.try_kubectl(&args).ok()?;
        serde_json::from_str(text.lines().next()?).ok()
    })
}

/// The answer to a request, for example `/leak?n=100`.
pub fn ask(ip: &str, path: &str) -> Line {
    // A connection of its own: none stays open.
    try_ask(ip, path).unwrap_or_else(|e| panic!("GET {path} of {ip}: {e}"))
}

/// As [`ask`], of a program that may end meanwhile.
pub fn try_ask(ip: &str, path: &str) -> Result<Line, String> {
    let url = format!("http://{ip}:8080{path}");
    match tls::get(&tls::agent(), &url, None)? {
        (200, body) => serde_json::from_str(&body).map_err(|e| format!("{e}: {body}")),
        (status, body) => Err(format!("{status}: {body}")),
    }
}
