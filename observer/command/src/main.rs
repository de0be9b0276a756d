//! The binary: the command line, and what each subcommand runs.
//!
//! **In** go arguments and `OBSERVER_*` variables, each checked before anything starts.
//!
//! **Out** comes a running node (`observer node`) or adapter (`observer adapter`), which
//! their crates are. `inspect` and the table in a terminal are here.

mod inspect;
mod preconditions;
mod settings;
mod terminal;

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

use anyhow::{Context, Result, bail};
use axum::Router;
use clap::Parser;
use observer_adapter::AdapterSettings;
use observer_go::discover;
use observer_node::{
    CostLimits, EngineHandle, Environment, Exclusion, OptOut, Snapshots,
    auth::{Security, review},
    kube::{self, PodOptOut},
    liveness::Liveness,
    log::{self, LogFormat},
    serve,
};
use observer_probe::{Kernel, LinkMode, LoadOptions, LogLevel, Probes, WITHOUT_PROBES};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use self::settings::{Cli, Command, EbpfLog, GoroutineProbes, Link, NodeSettings, When};

/// How long requests in flight may go on after the signal to end.
const GRACE: Duration = Duration::from_millis(500);
/// What the client of the API server would say at each try, the observer says
/// once when it begins and once when it ends. What the kernel refuses to aya it
/// says itself, with what is lost.
const DEFAULT_FILTER: &str = "info,aya=error,kube_client=off,kube_runtime=off";
/// Whatever the programs say was asked for by `--ebpf-log`.
const EBPF_FILTER: &str = ",observer_ebpf=debug";
/// How others on the cluster call the observers.
const SERVICE_NAME: &str = "observer.go-observer.svc";

fn main() -> ExitCode {
    preconditions::tell_panics_in_one_line();
    let result = match Cli::parse().command {
        Command::Node(settings) => node(&settings),
        Command::Adapter(settings) => adapter(&settings),
        Command::Inspect(settings) => inspect::run(&settings),
        Command::Top(settings) => {
            preconditions::check_limits().and_then(|()| terminal::top(&settings))
        }
        Command::CalibrateChild => observer_probe::calibrate_child().map_err(Into::into),
    };
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::say(&format!("observer: {error:#}"));
            ExitCode::FAILURE
        }
    };
    log::flush();
    code
}

fn node(settings: &NodeSettings) -> Result<()> {
    let table = shows_table(settings);
    preconditions::check()?;
    // The table owns the screen; log lines would tear it.
    if !table {
        start_log(settings.log_format, EBPF_FILTER)?;
    }
    let on_kubernetes = on_kubernetes(settings);
    let rules = settings.exclusions(on_kubernetes)?;
    let listeners = settings.address(on_kubernetes).bind()?;
    let addresses = listeners.iter().map(StdListener::local_addr);
    let addresses = addresses.collect::<io::Result<Vec<_>>>()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    let cluster = if on_kubernetes {
        Some(runtime.block_on(cluster(settings))?)
    } else {
        None
    };
    let security = security(
        settings,
        &addresses,
        cluster
            .as_ref()
            .map(|(connection, _)| connection.client.clone()),
    )?;

    let (mut probes, environment) = load(settings);
    let limits = limits(settings, probes.as_mut());
    let liveness = Liveness::default();
    // Before the engine looks at the first process: pods say what it may touch.
    let (wishes, cluster) = match cluster {
        Some((connection, node)) => {
            let _within = runtime.enter();
            let pods = kube::watch_pods(connection, &node, rules.clone(), &liveness);
            let wishes = PodOptOut::new(pods.clone(), settings.host_processes, &liveness)
                .context("cannot follow what pods want")?;
            let wishes: Box<dyn OptOut> = Box::new(wishes);
            (Some(wishes), Some((pods, node)))
        }
        None => (None, None),
    };
    let exclusion = Exclusion { rules, wishes };
    let (node, snapshots) = EngineHandle::start(
        settings.interval,
        probes,
        environment,
        limits,
        exclusion,
        &liveness,
    )?;
    let served = security.describe(&addresses);
    tracing::info!(?addresses, served, interval = ?settings.interval, "observing");

    let snapshots = match cluster {
        Some((pods, node)) => {
            let _within = runtime.enter();
            kube::attribute(snapshots, pods, node, settings.host_processes, &liveness)
        }
        None => snapshots,
    };

    let answers = {
        let _within = runtime.enter();
        serve::Answers::new(snapshots.clone(), &security, &liveness)
    };
    let (table_quit, quit) = oneshot::channel::<()>();
    let table = if table {
        let url = url(&addresses, &security)?;
        Some(Table::start(answers.here(), url, snapshots, table_quit)?)
    } else {
        // Nobody quits: the sender must outlive the server.
        std::mem::forget(table_quit);
        None
    };
    // Whatever ends after the server is meant to.
    let mut dead = None;
    let served = runtime.block_on(async {
        let shutdown = async {
            tokio::select! {
                () = ended(quit) => {}
                () = liveness.any_ended() => dead = liveness.ended(),
            }
        };
        let listeners = listeners.into_iter().map(TcpListener::from_std);
        let listeners = listeners.collect::<io::Result<_>>()?;
        answers
            .serve(listeners, security, &liveness, shutdown)
            .await
    });
    tracing::info!("stopping");
    let table = table.map_or(Ok(()), Table::stop);
    node.stop();
    runtime.shutdown_timeout(GRACE);
    table?;
    served.context("the HTTP server failed")?;
    if let Some(part) = dead {
        bail!(
            "internal error: a part of the observer has ended ({part}); the log may say why; please report it"
        );
    }
    Ok(())
}

fn shows_table(settings: &NodeSettings) -> bool {
    match settings.table {
        When::On => true,
        When::Off => false,
        When::Auto => io::stdout().is_terminal() && io::stdin().is_terminal(),
    }
}

/// What observing may cost, by what a probe's hit costs here.
fn limits(settings: &NodeSettings, probes: Option<&mut Probes>) -> CostLimits {
    CostLimits {
        probe_budget: settings.probe_budget,
        cpu_ceiling: settings.cpu_ceiling,
        creators: settings.goroutine_creators,
        selection: settings.selection(),
        clocks: settings.clocks(),
        price: probes.map(Probes::calibrate).unwrap_or_default(),
        goroutine_probes: match settings.goroutine_probes {
            GoroutineProbes::Auto => observer_node::GoroutineProbes::Auto,
            GoroutineProbes::Always => observer_node::GoroutineProbes::Always,
        },
    }
}

fn adapter(settings: &AdapterSettings) -> Result<()> {
    preconditions::check_limits()?;
    start_log(settings.log_format, "")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    // Nobody quits but by a signal.
    let (quit, never) = oneshot::channel::<()>();
    let served = runtime.block_on(observer_adapter::run(settings, ended(never)));
    drop(quit);
    runtime.shutdown_timeout(GRACE);
    served.context("the adapter cannot serve")
}

fn on_kubernetes(settings: &NodeSettings) -> bool {
    match settings.kube {
        When::On => true,
        When::Off => false,
        When::Auto => kube::is_in_cluster(),
    }
}

/// The API server and this node's name.
async fn cluster(settings: &NodeSettings) -> Result<(kube::Connection, String)> {
    let node = settings.node_name()?.to_owned();
    let connection = kube::connect().await?;
    tracing::info!(%node, "asking the API server for the pods of this node");
    Ok((connection, node))
}

/// What is served with: on a cluster TLS, to callers whom the API server allows.
fn security(
    settings: &NodeSettings,
    addresses: &[SocketAddr],
    client: Option<::kube::Client>,
) -> Result<Security> {
    if client.is_some() && settings.security.insecure_http {
        tracing::warn!(
            "--insecure-http: the figures of every pod of this node are served as PLAIN HTTP to ANYBODY who reaches {}",
            addresses
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" or ")
        );
    }
    let names = [settings.node_name.clone(), Some(SERVICE_NAME.to_owned())];
    Security::new(
        &settings.security,
        client,
        names.into_iter().flatten(),
        review::AnswerCacheLimits::default(),
    )
    .context("cannot serve securely")
}

/// Where the table says that others find the figures.
fn url(addresses: &[SocketAddr], security: &Security) -> Result<String> {
    let address = addresses.first().context("nothing is listened on")?;
    let scheme = if security.tls.is_some() {
        "https"
    } else {
        "http"
    };
    Ok(format!("{scheme}://{address}"))
}

/// The live table, on a thread of its own.
struct Table {
    thread: JoinHandle<Result<()>>,
    stop: Arc<AtomicBool>,
}

impl Table {
    fn start(
        answers: Router,
        url: String,
        snapshots: Snapshots,
        quit: oneshot::Sender<()>,
    ) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        // Once nobody observes any more there is nothing to show.
        let is_over = move || stopped.load(Ordering::Relaxed) || snapshots.has_changed().is_err();
        let thread = thread::Builder::new()
            .name("table".to_owned())
            .spawn(move || {
                let result = terminal::live(answers, url, is_over);
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
            Err(_) => bail!("the table panicked"),
        }
    }
}

/// Loads the probes, and says what lacks and what is lost by it.
fn load(settings: &NodeSettings) -> (Option<Probes>, Environment) {
    let mode = match settings.link {
        Link::Auto => None,
        Link::Multi => Some(LinkMode::UprobeMulti),
        Link::Perf => Some(LinkMode::PerfEvent),
    };
    let options = LoadOptions {
        link_mode: mode,
        log: match settings.ebpf_log {
            EbpfLog::Off => None,
            EbpfLog::Error => Some(LogLevel::Error),
            EbpfLog::Info => Some(LogLevel::Info),
            EbpfLog::Debug => Some(LogLevel::Debug),
        },
        at_once: observer_node::at_once(settings.probe_budget),
        selection: settings.selection(),
        ..LoadOptions::default()
    };
    let kernel = Kernel::read();
    let features = kernel.features();
    let mut missing = observer_probe::missing(&kernel, mode);
    missing.extend(discover::confined().map(|profile| {
        format!(
            "freedom from AppArmor's profile {profile}, which is enforced on the observer \
             (appArmorProfile: Unconfined): processes under other profiles, or none, are not \
             observed"
        )
    }));
    let probes = match Probes::load(kernel, options) {
        Ok(probes) => Some(probes),
        Err(error) => {
            // Most reasons are known by now, each with what to do; one is enough.
            if missing.iter().any(|it| it.ends_with(WITHOUT_PROBES)) {
                tracing::debug!(%error, "no probes");
            } else {
                missing.push(format!("eBPF: {error}; {WITHOUT_PROBES}"));
            }
            None
        }
    };
    for lack in &missing {
        tracing::warn!("missing: {lack}");
    }
    (probes, Environment { missing, features })
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

/// `more` is added to what is shown by default.
fn start_log(format: LogFormat, more: &str) -> Result<()> {
    log::start(format, &format!("{DEFAULT_FILTER}{more}")).context("cannot start the log")
}
