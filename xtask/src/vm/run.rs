//! What people do with other kernels by hand.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::{
    apt::Apt,
    contents,
    guest::{End, GuestFolder, Settings, boot},
    initramfs::Files,
    kernel::Line,
    machine::Machine,
    programs::{programs, within},
};
use crate::{arch::Arch, image, setup, ui::step, workspace::Workspace};

/// Settings of `cargo xtask vm run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// A name of `vm list`, the beginning of a version such as 6.17, or the file
    /// of a kernel's image.
    kernel: String,
    #[arg(long, value_enum, default_value_t = Arch::Amd64)]
    arch: Arch,
    /// Processors of the machine.
    #[arg(long, default_value_t = 2)]
    cpus: u32,
    /// Its memory in MiB.
    #[arg(long, default_value_t = 1536)]
    memory: u32,
    /// More of the kernel's command line, for example preempt=full.
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    append: String,
    /// Another processor, by its name in QEMU, such as cortex-a72.
    #[arg(long, value_name = "NAME")]
    cpu: Option<String>,
    /// This observer instead of the checkout's.
    #[arg(long, value_name = "FILE")]
    observer: Option<PathBuf>,
    /// Go programs of this directory instead of the tests'.
    #[arg(long, value_name = "DIR")]
    fixtures: Option<PathBuf>,
    /// One more file of this machine, in /files of the other.
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Seconds after which the machine is stopped.
    #[arg(long, default_value_t = 600)]
    timeout: u64,
    /// What a shell there runs.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// `cargo xtask vm list`.
pub(crate) fn list(workspace: &Workspace, arch: Arch) -> Result<()> {
    let apt = Apt::new(workspace, arch);
    let names = step("lists of kernels", |step| apt.names(step))?;
    for line in Line::all(arch) {
        let found = apt.newest(&line, &names);
        let (package, cached) = match &found {
            Some(package) if apt.image(&package.name).is_file() => {
                (package.name.as_str(), "cached")
            }
            Some(package) => (package.name.as_str(), "not fetched"),
            None => ("not offered by the packages of this machine", ""),
        };
        println!("{:<10} {package:<45} {cached}", line.to_string());
    }
    Ok(())
}

/// What the guest of a person is given.
fn files_for(workspace: &Workspace, settings: &Run) -> Result<Files> {
    let arch = settings.arch;
    let observer = match &settings.observer {
        Some(observer) => std::path::absolute(observer)?,
        None => image::program(workspace, arch)?,
    };
    let given: Vec<_> = if let Some(directory) = &settings.fixtures {
        let directory = std::path::absolute(directory)?;
        let entries = fs::read_dir(&directory)
            .with_context(|| format!("cannot read {}", directory.display()))?;
        entries
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?
    } else {
        programs(workspace, arch)?
    };
    let mut files = contents::of(workspace, arch, &observer, &given)?;
    for file in &settings.files {
        let path = within("/files", file)?;
        let file = std::path::absolute(file)?;
        files.add(&path, &file)?;
        if arch == Arch::Amd64 {
            files.add_libraries(workspace, &file);
        }
    }
    Ok(files)
}

/// `cargo xtask vm run`: ends with the command's own code where that is not 0.
pub(crate) fn run(workspace: &Workspace, settings: &Run) -> Result<()> {
    let machine = Machine::of(settings.arch);
    setup::vm(workspace)?;
    let kernel = image_of(workspace, settings)?;
    let mut files = files_for(workspace, settings)?;
    // As ssh does.
    files.text("/run.sh", format!("{}\n", settings.command.join(" ")));
    let place = GuestFolder::new(workspace, "run")?;
    files.write(&place.archive())?;
    let begin = Instant::now();
    let end = boot(
        workspace,
        &place,
        &Settings {
            machine,
            cpu: settings.cpu.as_deref(),
            kernel: &kernel,
            append: &settings.append,
            cpus: settings.cpus,
            memory: settings.memory,
            deadline: begin + Duration::from_secs(settings.timeout),
        },
        |line| println!("{line}"),
    )?;
    match end {
        End::Code(code) => {
            let took = begin.elapsed().as_secs_f64();
            eprintln!("the command ended with {code}, {took:.1} s");
            drop(place);
            std::process::exit(code);
        }
        End::NotBegun | End::Off => bail!(
            "the machine went off before its command had ended; its console:\n{}",
            place.tail()
        ),
        End::Late => bail!(
            "the machine was stopped after {} s (--timeout); its console:\n{}",
            settings.timeout,
            place.tail()
        ),
    }
}

/// The image that a person names, fetched if need be.
fn image_of(workspace: &Workspace, settings: &Run) -> Result<PathBuf> {
    let file = Path::new(&settings.kernel);
    if file.is_file() {
        return Ok(std::path::absolute(file)?);
    }
    let line = Line::parse(&settings.kernel)?;
    step(&format!("kernel {line}"), |step| {
        let apt = Apt::new(workspace, settings.arch);
        let names = apt.names(step)?;
        let package = apt.newest(&line, &names).with_context(|| {
            format!(
                "this machine's packages offer no kernel {line}: see `cargo xtask vm list`, or \
                 give the file of a kernel's image"
            )
        })?;
        let image = apt.fetch(step, &package)?;
        step.note(package.name);
        Ok(image)
    })
}
