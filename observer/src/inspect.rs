//! `observer inspect`: what a file or a process would give, and why not more.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::{
    discover,
    gobinary::{self, Binary, Figure, Inspected},
    settings::InspectSettings,
};

/// What is printed as JSON.
#[derive(Serialize)]
struct Report<'a> {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<&'a discover::Process>,
    binary: &'a Binary,
}

/// Inspects what was asked for and prints it.
pub fn run(settings: &InspectSettings) -> Result<()> {
    let (file, name, process) = open(&settings.what)?;
    let binary = match gobinary::inspect(&file).with_context(|| format!("cannot inspect {name}"))? {
        Inspected::Go(binary) => binary,
        Inspected::NotGo(reason) => bail!("{name} is not a Go executable: {reason}"),
    };
    let report = Report {
        file: name,
        process: process.as_ref(),
        binary: &binary,
    };
    let mut out = io::stdout().lock();
    let printed = if settings.json {
        serde_json::to_writer_pretty(&mut out, &report)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out))
    } else {
        print(&mut out, &report)
    };
    match printed {
        // The reader, `head` perhaps, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.context("cannot write to standard output"),
    }
}

fn open(what: &Path) -> Result<(File, String, Option<discover::Process>)> {
    if let Some(pid) = what.to_str().and_then(|what| what.parse::<u32>().ok()) {
        let process = discover::process(pid)?;
        let (file, _) = discover::open_executable(pid)?;
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

fn print(out: &mut impl Write, report: &Report<'_>) -> io::Result<()> {
    let binary = report.binary;
    writeln!(out, "file        {}", report.file)?;
    if let Some(process) = report.process {
        writeln!(out, "process     {} ({})", process.pid, process.comm)?;
        if let Some(container) = &process.container {
            writeln!(out, "container   {}", container.id)?;
        }
    }
    writeln!(out, "go          {}", binary.version)?;
    if let Some(path) = &binary.path {
        writeln!(out, "main        {path}")?;
    }
    if let Some(module) = &binary.module {
        writeln!(out, "module      {} {}", module.path, module.version)?;
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
            site.function,
            site.instruction
        )?;
    }
    writeln!(out, "\ncoverage")?;
    for figure in Figure::all() {
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
    Ok(())
}
