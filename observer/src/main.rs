//! The command line.

use std::{
    io::{self, IsTerminal},
    net::{SocketAddr, TcpListener as StdListener},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Parser;
use observer::{
    adapter::{self, settings::AdapterSettings},
    auth::{Security, review},
    inspect, kube,
    node::{self, Limits, Node, Snapshots},
    probe::{self, LinkMode, LoadOptions, Probes},
    serve,
    settings::{Cli, Command, GoroutineProbes, Link, LogFormat, NodeSettings, When},
    terminal::{self, TerminalInfo},
    top,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

/// How long requests in flight may go on after the signal to end.
const GRACE: Duration = Duration::from_millis(500);
/// What the client of the API server would say at each try, the observer says
/// once when it begins and once when it ends.
const DEFAULT_FILTER: &str = "info,kube_client=off,kube_runtime=off";
/// How others on the cluster call the observers.
const SERVICE_NAME: &str = "observer.go-observer.svc";

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Node(settings) => node(&settings),
        Command::Adapter(settings) => adapter(&settings),
        Command::Inspect(settings) => inspect::run(&settings),
        Command::Top(settings) => top::run(&settings),
        Command::CalibrateChild => probe::calibrate_child().map_err(Into::into),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("observer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn node(settings: &NodeSettings) -> Result<()> {
    let table = match settings.table {
        When::On => true,
        When::Off => false,
        When::Auto => io::stdout().is_terminal() && io::stdin().is_terminal(),
    };
    // The table owns the screen; log lines would tear it.
    if !table {
        start_log(settings.log_format);
    }
    let listener = StdListener::bind(settings.listen).with_context(|| {
        format!(
            "cannot listen on {}; choose another address with --listen",
            settings.listen
        )
    })?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    let cluster = runtime.block_on(cluster(settings))?;
    let security = security(
        settings,
        cluster
            .as_ref()
            .map(|(connection, _)| connection.client.clone()),
    )?;

    raise_file_limit();
    let (mut probes, missing) = load(settings.link);
    let limits = Limits {
        probe_budget: settings.probe_budget,
        cpu_ceiling: settings.cpu_ceiling,
        creators: settings.goroutine_creators,
        price: probes.as_mut().map(Probes::calibrate).unwrap_or_default(),
        goroutine_probes: match settings.goroutine_probes {
            GoroutineProbes::Auto => node::GoroutineProbes::Auto,
            GoroutineProbes::Always => node::GoroutineProbes::Always,
        },
    };
    let (node, snapshots) = Node::start(settings.interval, probes, missing, limits)?;
    let served = security.describe();
    tracing::info!(%address, served, interval = ?settings.interval, "observing");

    let snapshots = match cluster {
        Some((connection, node)) => {
            let _within = runtime.enter();
            let pods = kube::watch_pods(connection, &node);
            kube::attribute(snapshots, pods, node, settings.host_processes)
        }
        None => snapshots,
    };

    let (table_quit, quit) = oneshot::channel::<()>();
    let table = if table {
        Some(Table::start(snapshots.clone(), address, table_quit)?)
    } else {
        // Nobody quits: the sender must outlive the server.
        std::mem::forget(table_quit);
        None
    };
    let served = runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        serve::serve(listener, snapshots, security, ended(quit)).await
    });
    tracing::info!("stopping");
    node.stop();
    if let Some(table) = table {
        table.stop()?;
    }
    runtime.shutdown_timeout(GRACE);
    served.context("the HTTP server failed")
}

fn adapter(settings: &AdapterSettings) -> Result<()> {
    start_log(settings.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    // Nobody quits but by a signal.
    let (quit, never) = oneshot::channel::<()>();
    let served = runtime.block_on(adapter::run(settings, ended(never)));
    drop(quit);
    runtime.shutdown_timeout(GRACE);
    served.context("the adapter cannot serve")
}

/// The API server and this node's name, where Kubernetes is asked.
async fn cluster(settings: &NodeSettings) -> Result<Option<(kube::Connection, String)>> {
    let on = match settings.kube {
        When::On => true,
        When::Off => false,
        When::Auto => kube::is_in_cluster(),
    };
    if !on {
        return Ok(None);
    }
    let node = settings.node_name()?.to_owned();
    let connection = kube::connect().await?;
    tracing::info!(%node, "asking the API server for the pods of this node");
    Ok(Some((connection, node)))
}

/// What is served with: on a cluster TLS, to callers whom the API server allows.
fn security(settings: &NodeSettings, client: Option<::kube::Client>) -> Result<Security> {
    if client.is_some() && settings.security.insecure_http {
        tracing::warn!(
            "--insecure-http: the figures of every pod of this node are served as PLAIN HTTP to ANYBODY who reaches {}",
            settings.listen
        );
    }
    let names = [settings.node_name.clone(), Some(SERVICE_NAME.to_owned())];
    Security::new(
        &settings.security,
        client,
        names.into_iter().flatten(),
        review::Limits::default(),
    )
    .context("cannot serve securely")
}

/// The live table, on a thread of its own.
struct Table {
    thread: JoinHandle<io::Result<()>>,
    stop: Arc<AtomicBool>,
}

impl Table {
    fn start(snapshots: Snapshots, address: SocketAddr, quit: oneshot::Sender<()>) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let info = TerminalInfo {
            listen: address.to_string(),
            stop: Arc::clone(&stop),
        };
        let thread = thread::Builder::new()
            .name("table".to_owned())
            .spawn(move || {
                let result = terminal::run(snapshots, info);
                // The server may have ended before the table.
                let _ = quit.send(());
                result
            })
            .context("cannot start the table's thread")?;
        Ok(Self { thread, stop })
    }

    /// Gives the terminal back.
    fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(result) => result.context("the table failed"),
            Err(_) => anyhow::bail!("the table panicked"),
        }
    }
}

/// Every probed file takes up to three descriptors; the usual soft limit of
/// 1024 would end at some hundred files.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "cannot raise the limit of open files");
    }
}

/// Loads the probes, and says what lacks and what is lost by it.
fn load(link: Link) -> (Option<Probes>, Vec<String>) {
    let mut missing = probe::missing();
    let mode = match link {
        Link::Auto => None,
        Link::Multi => Some(LinkMode::UprobeMulti),
        Link::Perf => Some(LinkMode::PerfEvent),
    };
    let options = LoadOptions {
        link_mode: mode,
        ..LoadOptions::default()
    };
    let probes = match Probes::load(options) {
        Ok(probes) => Some(probes),
        Err(error) => {
            missing.push(format!(
                "eBPF: {error}; Go processes are found, but nothing is counted"
            ));
            None
        }
    };
    for lack in &missing {
        tracing::warn!("missing: {lack}");
    }
    (probes, missing)
}

/// Resolves at SIGINT, SIGTERM or when the table is quit.
async fn ended(quit: oneshot::Receiver<()>) {
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => {
            tracing::error!(%error, "cannot listen for SIGTERM");
            return;
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
        _ = quit => {}
    }
}

fn start_log(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(DEFAULT_FILTER));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().init(),
    }
}
