//! The cluster that `cargo xtask test --step cluster` has started, with the
//! observer installed in it as users install it.

pub mod adapter;
pub mod api_server;
pub mod autoscaler;
pub mod burst;
pub mod namespace;
pub mod observers;
pub mod prometheus;
mod tls;
pub mod turn;
pub mod variant;
pub mod witness;

use std::{
    collections::BTreeMap,
    env,
    ffi::OsStr,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

pub use self::{
    adapter::Adapter,
    namespace::Namespace,
    observers::{Observer, observers},
};

/// For what takes the kubelet and the scheduler a moment, on a busy machine.
pub const SOON: Duration = Duration::from_secs(60);
/// Namespace of the observer.
pub const NAMESPACE: &str = "go-observer";
/// Both nodes.
pub const NODES: [&str; 2] = ["node-a", "node-b"];

/// The cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    kubectl: PathBuf,
    kubeconfig: PathBuf,
    directory: PathBuf,
    prometheus: String,
}

impl Cluster {
    /// The one that runs.
    pub fn get() -> Self {
        let mut env = environment();
        let mut take = |name: &str| {
            env.remove(name)
                .unwrap_or_else(|| panic!("`xtask cluster env` prints no {name}"))
        };
        let this = Self {
            kubectl: take("KUBECTL").into(),
            kubeconfig: take("KUBECONFIG").into(),
            directory: take("CLUSTER_DIR").into(),
            prometheus: take("PROMETHEUS_URL"),
        };
        assert!(
            this.kubeconfig.is_file(),
            "no cluster runs; run cargo xtask test --step cluster"
        );
        this
    }

    /// What `xtask cluster env` says now, for example the pid of a component:
    /// `PID_KUBE_APISERVER`.
    pub fn env(&self, name: &str) -> Option<String> {
        environment().remove(name)
    }

    /// The folder of everything the cluster writes.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// `xtask cluster …`, for example `stop kube-apiserver`.
    pub fn xtask(&self, args: &[&str]) -> String {
        let mut command = xtask();
        command.args(args);
        run(command, None).unwrap_or_else(|e| panic!("xtask cluster {args:?}: {e}"))
    }

    /// kubectl as the administrator, with what is still to be said of it.
    pub fn kubectl_command(&self) -> Command {
        let mut command = Command::new(&self.kubectl);
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .env("HOME", &self.directory)
            .env_remove("KUBECONFIG");
        command
    }

    /// What kubectl prints, or its error.
    pub fn try_kubectl<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String, String> {
        let mut command = self.kubectl_command();
        command.args(args);
        run(command, None)
    }

    /// What kubectl prints.
    pub fn kubectl<S: AsRef<OsStr> + std::fmt::Debug>(&self, args: &[S]) -> String {
        self.try_kubectl(args)
            .unwrap_or_else(|e| panic!("kubectl {args:?}: {e}"))
    }

    /// `kubectl get …`, as JSON; `None` where the object is not there.
    pub fn find(&self, args: &[&str]) -> Option<Value> {
        let fixed = ["get", "--ignore-not-found", "--output=json"];
        let args: Vec<_> = fixed.iter().chain(args).copied().collect();
        let text = self.kubectl(&args);
        (!text.trim().is_empty()).then(|| {
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{args:?}: {e}: {text}"))
        })
    }

    /// As [`Self::find`], of what must be there.
    pub fn get_object(&self, args: &[&str]) -> Value {
        self.find(args)
            .unwrap_or_else(|| panic!("kubectl get {args:?}: there is none"))
    }

    /// The items of a list; kubectl prints nothing at all of an empty one.
    pub fn list(&self, args: &[&str]) -> Vec<Value> {
        let Some(mut list) = self.find(args) else {
            return Vec::new();
        };
        match list["items"].take() {
            Value::Array(items) => items,
            other => panic!("kubectl get {args:?}: no list: {other}"),
        }
    }

    /// `kubectl apply` of an object.
    pub fn apply(&self, object: &Value) {
        self.apply_with(object, &[])
            .unwrap_or_else(|e| panic!("kubectl apply: {e}: {object}"));
    }

    /// `kubectl apply` with more arguments.
    pub fn apply_with(&self, object: &Value, args: &[&str]) -> Result<String, String> {
        let mut command = self.kubectl_command();
        command.args(["apply", "--filename=-"]).args(args);
        run(command, Some(&object.to_string()))
    }

    /// A token of a service account, good for an hour.
    pub fn token(&self, namespace: &str, account: &str) -> String {
        let args = ["create", "token", account, "--namespace", namespace];
        self.kubectl(&args).trim().to_owned()
    }

    /// Address of Prometheus.
    pub fn prometheus(&self) -> prometheus::Prometheus {
        prometheus::Prometheus::at(&self.prometheus)
    }
}

/// Now, in seconds since the epoch: nodes and tests share one clock.
pub fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970")
        .as_secs_f64()
}

/// Says a measured number, also where the test passes.
pub fn say(text: &str) {
    // Not through a macro, whose output the test harness keeps to itself.
    let _ = writeln!(std::io::stderr(), "    {text}");
}

fn environment() -> BTreeMap<String, String> {
    let mut command = xtask();
    command.arg("env");
    let text = run(command, None).unwrap_or_else(|e| panic!("xtask cluster env: {e}"));
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn xtask() -> Command {
    let variable = |name: &str| {
        env::var_os(name)
            .unwrap_or_else(|| panic!("{name} is not set; run cargo xtask test --step cluster"))
    };
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xtask");
    let mut command = Command::new(variable("OBSERVER_XTASK"));
    command
        .arg("cluster")
        // As cargo sets it for xtask, not as for this test.
        .env("CARGO_MANIFEST_DIR", package.canonicalize().expect("xtask"));
    command
}

/// Runs to the end; the error is what was written to standard error.
fn run(mut command: Command, input: Option<&str>) -> Result<String, String> {
    let mut child = command
        .stdin(if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
        // Whoever does not read it says why below.
        let _ = pipe.write_all(input.as_bytes());
    }
    let output = child
        .wait_with_output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!(
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ))
    }
}
