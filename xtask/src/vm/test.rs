//! The tests on other kernels.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    fs,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    apt::Apt,
    guest::{End, GuestFolder, Settings, boot},
    initramfs::Files,
    machine::Machine,
    run,
    table::{self, Row},
};
use crate::{
    again::Again,
    arch::Arch,
    setup,
    ui::{self, Step},
    workspace::Workspace,
};

/// Processors of a guest: more than programs that are to disturb one another
/// can have for themselves, on two of this machine's.
const CPUS: u32 = 3;
/// Guests at a time.
const PARALLEL: usize = 2;
/// What all guests may take: what is over it is stopped.
const BOUND: Duration = Duration::from_secs(25 * 60);
/// Memory that this machine keeps beside its guests, in MiB.
const RESERVE: u64 = 1024;

/// How often a machine is started until it comes up. Until its command begins no
/// observer runs, so a machine that falls before fell by the emulator.
const BOOTS: u32 = 3;

/// A row whose kernel is there.
struct Guest {
    row: Row,
    image: PathBuf,
    version: String,
}

/// `cargo xtask vm test`.
pub(crate) fn test(workspace: &Workspace, kernels: &[String], scenarios: &[String]) -> Result<()> {
    setup::vm(workspace)?;
    let mut rows = table::rows();
    let known: Vec<_> = rows.iter().map(Row::name).collect();
    for wanted in kernels {
        ensure!(
            rows.iter().any(|row| is_wanted(row, wanted)),
            "no test runs on {wanted}: expected one of {}",
            known.join(", ")
        );
    }
    rows.retain(|row| kernels.is_empty() || kernels.iter().any(|wanted| is_wanted(row, wanted)));
    if !scenarios.is_empty() {
        for row in &mut rows {
            row.scenarios
                .retain(|scenario| scenarios.iter().any(|wanted| name_of(scenario) == wanted));
        }
        rows.retain(|row| !row.scenarios.is_empty());
        ensure!(!rows.is_empty(), "no such scenario runs on these kernels");
    }
    run_all(workspace, rows, &Again::new(false))
}

/// The step of `cargo xtask test`.
pub(crate) fn step(workspace: &Workspace, filter: Option<&str>, again: &Again) -> Result<()> {
    setup::vm(workspace)?;
    let mut rows = table::rows();
    if let Some(filter) = filter {
        for row in &mut rows {
            row.scenarios.retain(|scenario| scenario.contains(filter));
        }
        rows.retain(|row| !row.scenarios.is_empty());
    }
    run_all(workspace, rows, again)
}

/// A row by its whole name, or by its kernel's.
fn is_wanted(row: &Row, wanted: &str) -> bool {
    row.name() == wanted || row.kernel.to_string() == wanted
}

/// A scenario without its arguments.
fn name_of(scenario: &str) -> &str {
    scenario.split(' ').next().unwrap_or_default()
}

fn run_all(workspace: &Workspace, rows: Vec<Row>, again: &Again) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let arch = Arch::Amd64;
    let files = run::files(workspace, arch)?;
    let guests = ui::step("kernels", |step| fetch(workspace, step, rows))?;
    let place = GuestFolder::new(workspace, "files")?;
    files.write(&place.archive())?;
    ui::step("tests on other kernels", |step| {
        let queue = Mutex::new(VecDeque::from(guests));
        let failed = Mutex::new(Vec::new());
        let deadline = Instant::now() + BOUND;
        let work = || {
            while let Some(guest) = pop(&queue) {
                let name = guest.row.name();
                let run = || one(workspace, step, &place, &guest, deadline);
                let mut tried = run();
                if let Err(error) = &tried
                    && again.is_allowed()
                {
                    let error = format!("{error:#}");
                    let more = runs_more(&error);
                    if more > 0 {
                        step.line_out(&format!("✗ {name}, once more: {error}"));
                        tried = (0..more).try_for_each(|_| run());
                    }
                    if tried.is_ok() {
                        again.passed(&format!("{name} ({})", in_short(&error)));
                    }
                }
                if let Err(error) = tried {
                    // The reason may be long; the verdict stands below it.
                    let error = format!("{error:#}");
                    step.line_out(&format!("✗ {name}: {error}"));
                    lock(&failed).push(format!("{name}: {}", in_short(&error)));
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..at_a_time() {
                scope.spawn(work);
            }
        });
        let failed = lock(&failed);
        ensure!(failed.is_empty(), "failed on:\n{}", failed.join("\n"));
        Ok(())
    })
}

/// How many more runs are to tell, all of them good, whether it was chance. Once the
/// kernel itself complained none makes that good. One complaint is the emulator's: its
/// threads may run an instruction that the kernel is about to patch on another CPU, and
/// the kernel does not know that breakpoint any more. The observer has code patched too,
/// so that two runs must be clean.
fn runs_more(error: &str) -> u32 {
    match complaints(error).next() {
        None => 1,
        Some(first) if first.contains("Oops: int3") => 2,
        Some(_) => 0,
    }
}

/// The lines in which the kernel complains.
fn complaints(error: &str) -> impl Iterator<Item = &str> {
    // The last of them names the kernel's function.
    const WORDS: [&str; 5] = ["BUG:", "WARNING:", "Oops", "Kernel panic", "RIP: 0010:"];
    let complains = |line: &&str| WORDS.iter().any(|word| line.contains(word));
    error.lines().filter(complains)
}

/// What a failure comes to, for those who see the end of a log alone: the kernel's
/// complaints, otherwise how the guest ended and where its driver gave up.
fn in_short(error: &str) -> String {
    let complained: Vec<_> = complaints(error).map(str::trim).take(6).collect();
    if !complained.is_empty() {
        return complained.join("; ");
    }
    let first = error.lines().take(1);
    let gave_up = error
        .lines()
        .skip_while(|line| !line.contains("panicked at"));
    let lines: Vec<_> = first.chain(gave_up.take(3)).map(str::trim).collect();
    lines.join("; ")
}

fn pop(queue: &Mutex<VecDeque<Guest>>) -> Option<Guest> {
    lock(queue).pop_front()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The kernels that packages offer. What they do not is said.
fn fetch(workspace: &Workspace, step: &Step, rows: Vec<Row>) -> Result<Vec<Guest>> {
    let apt = Apt::new(workspace, Arch::Amd64);
    let names = apt.names(step)?;
    let mut guests = Vec::new();
    let mut missing = Vec::new();
    for row in rows {
        match apt.newest(&row.kernel, &names) {
            Some(package) => guests.push(Guest {
                image: apt.fetch(step, &package)?,
                version: package.version,
                row,
            }),
            None => missing.push(row.name()),
        }
    }
    if !missing.is_empty() {
        step.line_out(&format!(
            "not run, since this machine's packages do not offer it: {}",
            missing.join(", ")
        ));
    }
    ensure!(!guests.is_empty(), "no kernel of those wanted is offered");
    step.note(format!("{} guests", guests.len()));
    Ok(guests)
}

/// As many guests as there is memory for.
fn at_a_time() -> usize {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = available_mib(&text).unwrap_or_default();
    let most = table::rows().iter().map(|row| row.memory).max();
    let fit = available.saturating_sub(RESERVE) / u64::from(most.unwrap_or(1).max(1));
    usize::try_from(fit).unwrap_or(PARALLEL).clamp(1, PARALLEL)
}

fn available_mib(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024)
}

fn one(
    workspace: &Workspace,
    step: &Step,
    base: &GuestFolder,
    guest: &Guest,
    all: Instant,
) -> Result<()> {
    let row = &guest.row;
    let place = GuestFolder::new(workspace, &row.name().replace([' ', '='], "-"))?;
    fs::copy(base.archive(), place.archive()).context("cannot copy the guest's files")?;
    let mut script = Files::default();
    script.text("/run.sh", script_of(row.environment, &row.scenarios));
    script.append(&place.archive())?;
    let begin = Instant::now();
    let settings = Settings {
        machine: Machine::of(Arch::Amd64)?,
        kernel: &guest.image,
        append: row.append,
        cpus: CPUS,
        memory: row.memory,
        deadline: all.min(begin + Duration::from_secs(row.bound)),
    };
    let mut said = Vec::new();
    let mut boots = 1;
    let end = loop {
        let end = boot(workspace, &place, &settings, |line| {
            step.note(format!("{}: {line}", row.name()));
            said.push(line.to_owned());
        })?;
        if end != End::NotBegun || boots == BOOTS {
            break end;
        }
        boots += 1;
        let why = in_short(&place.tail());
        step.line_out(&format!("{} did not come up, once more: {why}", row.name()));
    };
    let took = ui::seconds(begin.elapsed());
    let said = said.join("\n    ");
    match end {
        End::Code(0) => {
            let (name, version) = (row.name(), &guest.version);
            step.line_out(&format!("✓ {name} ({version}), {took}\n    {said}"));
            Ok(())
        }
        End::Code(code) => bail!(
            "ended with {code}, {took}\n    {said}\nconsole:\n{}",
            place.tail()
        ),
        End::NotBegun => bail!(
            "the machine went off before its command began, {BOOTS} times, {took}\nconsole:\n{}",
            place.tail()
        ),
        End::Off => bail!(
            "the machine went off, {took}\n    {said}\nconsole:\n{}",
            place.tail()
        ),
        End::Late => bail!("stopped, {took}\n    {said}\nconsole:\n{}", place.tail()),
    }
}

/// One after another, to the first that fails.
fn script_of(environment: &str, scenarios: &[&str]) -> String {
    let mut script = String::from("set -e\n");
    if !environment.is_empty() {
        let _ = writeln!(script, "export {environment}");
    }
    for scenario in scenarios {
        let _ = writeln!(script, "guest {scenario}");
    }
    script
}

#[cfg(test)]
mod tests {
    use super::{available_mib, in_short, is_wanted, name_of, runs_more, script_of};
    use crate::vm::table;

    #[test]
    fn a_kernel_means_all_its_rows() {
        let rows = table::rows();
        let wanted = |name: &str| rows.iter().filter(|row| is_wanted(row, name)).count();
        assert!(wanted("newest") > wanted("newest preempt=full"));
        assert_eq!(wanted("newest preempt=full"), 1);
        assert_eq!(wanted("6"), 0);
    }

    #[test]
    fn the_first_failure_ends_a_guest() {
        assert_eq!(
            script_of("", &["storm 60", "end"]),
            "set -e\nguest storm 60\nguest end\n"
        );
        let script = script_of("OBSERVER_LINK=perf", &["end"]);
        assert_eq!(script, "set -e\nexport OBSERVER_LINK=perf\nguest end\n");
        assert_eq!(name_of("storm 60"), "storm");
    }

    #[test]
    fn a_complaint_of_the_kernel_is_told_from_a_figure_that_is_off() {
        assert_eq!(runs_more("BUG: kernel NULL pointer dereference"), 0);
        assert_eq!(runs_more("WARNING: CPU: 1 PID: 7 at mm/x.c:1"), 0);
        assert_eq!(
            runs_more("Oops: int3: 0000 [#1] SMP NOPTI\nKernel panic"),
            2
        );
        let after_another = "BUG: unable to handle page fault\nOops: int3: 0000";
        assert_eq!(runs_more(after_another), 0);
        assert_eq!(runs_more("ended with 1, 2 min 03 s\n    3980 of 4000"), 1);
    }

    #[test]
    fn a_failure_is_told_in_short() {
        let of_the_kernel = "the machine went off, 9 s\nconsole:\n[ 1.0] usual\n\
                             [ 9.1] Oops: int3: 0000\n[ 9.2] Kernel panic - not syncing";
        assert_eq!(
            in_short(of_the_kernel),
            "[ 9.1] Oops: int3: 0000; [ 9.2] Kernel panic - not syncing"
        );
        let of_the_driver = "ended with 101, 9 s\n    10 builds exact\n    \
                             thread 'main' panicked at src/ends.rs:9:1:\n    left: 1\n    x\n    y";
        assert_eq!(
            in_short(of_the_driver),
            "ended with 101, 9 s; thread 'main' panicked at src/ends.rs:9:1:; left: 1; x"
        );
    }

    #[test]
    fn memory_is_read_in_mib() {
        let text = "MemTotal:       24684888 kB\nMemAvailable:   23871488 kB\n";
        assert_eq!(available_mib(text), Some(23312));
    }
}
