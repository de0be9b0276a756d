//! `observer inspect`: what a file or a process would give, and why not more.

mod recording;

use std::{
    fs::File,
    io::{self, Write},
    ops::ControlFlow,
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use observer_go::{
    binary::{self, Binary, FigureGroup, Inspected, globals::Globals},
    discover,
    runtime::{self, GoroutineReport, SourceLocation, WalkLimits},
};
use serde::Serialize;

use crate::settings::InspectSettings;

/// What is printed as JSON.
#[derive(Serialize)]
struct Report<'a> {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<&'a discover::Process>,
    binary: &'a Binary,
    #[serde(skip_serializing_if = "Option::is_none")]
    goroutines: Option<GoroutineReport>,
}

/// Inspects what was asked for and prints it.
pub(crate) fn run(settings: &InspectSettings) -> Result<()> {
    let (file, name, process) = open(&settings.what)?;
    if process.is_none() && recording::is_one(&file)? {
        return printed(writeln!(
            io::stdout().lock(),
            "{}",
            recording::replay(&file, &name)?
        ));
    }
    let binary = match binary::inspect(&file).with_context(|| format!("cannot inspect {name}"))? {
        Inspected::Go(binary) => binary,
        Inspected::NotGo(reason) => match binary::foreign(&file) {
            Some(foreign) => bail!("{name} is {foreign}"),
            None => match process.as_ref().map(library).transpose()?.flatten() {
                Some(library) => bail!(
                    "{name} is not a Go executable, and has loaded the Go library {}, of which \
                     nothing is observed there; `observer inspect` tells more of that file",
                    plain(&library.display().to_string())
                ),
                None => bail!("{name} is not a Go executable: {reason}"),
            },
        },
    };
    let goroutines = match (&process, settings.goroutines) {
        (_, false) => None,
        (Some(process), true) => {
            let walked = runtime::walk(process.pid, &file, &binary, WalkLimits::default());
            // Its memory was read by its id. Also why it failed is another's then.
            discover::runs(process.pid, process.executable.id)?;
            let failed = || format!("cannot walk over the goroutines of {}", process.pid);
            Some(walked.with_context(failed)?)
        }
        (None, true) => bail!("--goroutines needs the id of a running process, not {name}"),
    };
    if let Some(to) = &settings.record {
        let Some(process) = &process else {
            bail!("--record needs the id of a running process, not {name}");
        };
        let recorded = recording::record(to, process.pid, &binary, settings.goroutines);
        // Its memory was read by its id, and nobody else's is to be kept.
        discover::runs(process.pid, process.executable.id)?;
        recording::write(to, &recorded?)?;
    }
    let report = Report {
        file: name,
        process: process.as_ref(),
        binary: &binary,
        goroutines,
    };
    let mut out = io::stdout().lock();
    printed(if settings.json {
        serde_json::to_writer_pretty(&mut out, &report)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out))
    } else {
        print(&mut out, &report)
    })
}

fn printed(printed: io::Result<()>) -> Result<()> {
    match printed {
        // The reader, `head` perhaps, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.context("cannot write to standard output"),
    }
}

fn open(what: &Path) -> Result<(File, String, Option<discover::Process>)> {
    if let Some(pid) = what.to_str().and_then(|what| what.parse::<u32>().ok()) {
        let process = discover::process(pid)?;
        let file = discover::open_known(pid, process.executable.id)?;
        let name = process.executable.path.display().to_string();
        return Ok((file, name, Some(process)));
    }
    let name = what.display().to_string();
    // A FIFO without a writer would keep a plain open waiting.
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(what)
        .with_context(|| format!("cannot open {name}"))?;
    if !file.metadata()?.is_file() {
        bail!("{name} is not a regular file; expected an executable or a process id");
    }
    Ok((file, name, None))
}

/// The first Go library that a process has loaded.
fn library(process: &discover::Process) -> Result<Option<PathBuf>> {
    let mut found = None;
    let visited = discover::mapped_files(process.pid, &mut |file| {
        // NONBLOCK: a lease on the file must not keep this waiting.
        let opened = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(format!("/proc/self/fd/{}", file.pinned.as_raw_fd()));
        match opened.map(|file| binary::inspect(&file)) {
            Ok(Ok(Inspected::Go(binary))) if binary.is_library() => {
                found = Some(file.path);
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    });
    discover::runs(process.pid, process.executable.id)?;
    Ok(visited.ok().and(found))
}

/// Names come from a file of a stranger; a terminal obeys control characters.
fn plain(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

fn print(out: &mut impl Write, report: &Report<'_>) -> io::Result<()> {
    let binary = report.binary;
    writeln!(out, "file        {}", plain(&report.file))?;
    if let Some(process) = report.process {
        writeln!(
            out,
            "process     {} ({})",
            process.pid,
            plain(&process.comm)
        )?;
        if let Some(container) = &process.container {
            writeln!(out, "container   {}", container.id)?;
        }
    }
    writeln!(out, "go          {}", binary.version)?;
    if let Some(path) = &binary.path {
        writeln!(out, "main        {}", plain(path))?;
    }
    if let Some(module) = &binary.module {
        writeln!(
            out,
            "module      {} {}",
            plain(&module.path),
            plain(&module.version)
        )?;
    }
    let stripped = if binary.stripped { ", stripped" } else { "" };
    writeln!(
        out,
        "build       {:?}, {:?}{stripped}",
        binary.build_mode, binary.arch
    )?;
    if let Some(id) = &binary.build_id {
        writeln!(out, "build id    {id}")?;
    }
    if let Some(table) = &binary.pclntab {
        writeln!(
            out,
            "functions   {} in pclntab at {:#x} (magic {:#x}, {}), text from {:#x}",
            table.functions, table.address, table.magic, table.found_by, table.text_start
        )?;
    }
    writeln!(out, "\nsites")?;
    for site in &binary.plan.sites {
        let cost = if site.emulated {
            "emulated"
        } else {
            "single-stepped"
        };
        writeln!(
            out,
            "  {:<27} {:#x}  {}  [{}] {cost}",
            format!("{:?}", site.kind),
            site.address,
            plain(&site.function),
            site.instruction
        )?;
    }
    if let Some(globals) = &binary.state.globals {
        print_globals(out, globals, binary.state.entry)?;
    }
    writeln!(out, "\ncoverage")?;
    for figure in FigureGroup::all() {
        let mut gaps = binary.plan.gaps.iter().chain(&binary.state.gaps);
        match gaps.find(|gap| gap.figure == figure) {
            None => writeln!(out, "  {:<20} yes", figure.label())?,
            Some(gap) => {
                writeln!(
                    out,
                    "  {:<20} no: {} ({})",
                    figure.label(),
                    gap.reason.label(),
                    gap.detail
                )?;
            }
        }
    }
    match &report.goroutines {
        Some(report) => print_goroutines(out, report),
        None => Ok(()),
    }
}

fn print_globals(out: &mut impl Write, globals: &Globals, entry: u64) -> io::Result<()> {
    writeln!(out, "\nglobals (entry point {entry:#x})")?;
    for (name, global) in [
        ("runtime.sched", &globals.sched),
        ("runtime.allgs", &globals.allgs),
        ("runtime.allp", &globals.allp),
        ("runtime.allm", &globals.allm),
        ("runtime.memstats", &globals.memstats),
        ("runtime.gcController", &globals.gc_controller),
        ("runtime.work.cpuStats", &globals.cpu_stats),
    ] {
        if let Some(global) = global {
            writeln!(
                out,
                "  {name:<22} {:#x}  {} witnesses: {}",
                global.address, global.witnesses, global.found_by
            )?;
        }
    }
    for gap in &globals.gaps {
        writeln!(out, "  {:<22} not found: {}", gap.global, gap.detail)?;
    }
    Ok(())
}

fn print_goroutines(out: &mut impl Write, report: &GoroutineReport) -> io::Result<()> {
    let cut = if report.complete {
        ""
    } else {
        ", cut short by the time limit"
    };
    writeln!(
        out,
        "\ngoroutines  {} of {} Gs looked at{cut}; {} of the runtime's own",
        report.walked, report.allocated, report.system
    )?;
    let wait = |ns: Option<u64>| {
        ns.map_or_else(String::new, |ns| {
            let waited = Duration::from_secs(ns / 1_000_000_000);
            format!(", one waits for {}", humantime::format_duration(waited))
        })
    };
    for (state, count) in &report.states {
        writeln!(out, "  {state:<27} {count}")?;
    }
    for (reason, count) in &report.waiting {
        writeln!(out, "  waiting: {reason:<18} {count}")?;
    }
    writeln!(out, "\ncreated by")?;
    for creator in &report.creators {
        let name = |symbol: &Option<SourceLocation>| {
            symbol
                .as_ref()
                .map_or_else(|| "?".to_owned(), |symbol| symbol.function.clone())
        };
        writeln!(
            out,
            "  {:>8}  {} at {:#x}, running {}{}",
            creator.count,
            name(&creator.created_by),
            creator.pc,
            name(&creator.runs),
            wait(creator.longest_wait_ns)
        )?;
    }
    Ok(())
}
