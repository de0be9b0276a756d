//! The tests on other kernels.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque, btree_map::Entry},
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
    complaints::{in_short, runs_more},
    contents,
    guest::{End, GuestFolder, Settings, boot},
    initramfs::Files,
    machine::Machine,
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
const BOUND: Duration = Duration::from_secs(31 * 60);
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
pub(crate) fn test(
    workspace: &Workspace,
    kernels: &[String],
    arch: Option<Arch>,
    scenarios: &[String],
) -> Result<()> {
    setup::vm(workspace)?;
    let mut rows = table::rows();
    rows.retain(|row| arch.is_none_or(|arch| row.arch == arch));
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
    let mut guests = ui::step("kernels", |step| fetch(workspace, step, rows))?;
    // Lest a long one is the last, with nothing beside it.
    guests.sort_by_key(|guest| Reverse(guest.row.bound));
    let mut places = BTreeMap::new();
    for arch in Arch::ALL {
        if guests.iter().any(|guest| guest.row.arch == arch) {
            let files = contents::of_tests(workspace, arch)?;
            let place = GuestFolder::new(workspace, &format!("files-{}", arch.name()))?;
            files.write(&place.archive())?;
            places.insert(arch, place);
        }
    }
    ui::step("tests on other kernels", |step| {
        let queue = Mutex::new(VecDeque::from(guests));
        let failed = Mutex::new(Vec::new());
        let deadline = Instant::now() + BOUND;
        let work = || {
            while let Some(guest) = pop(&queue) {
                let name = guest.row.name();
                let run = || one(workspace, step, &places[&guest.row.arch], &guest, deadline);
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

fn pop(queue: &Mutex<VecDeque<Guest>>) -> Option<Guest> {
    lock(queue).pop_front()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The kernels that packages offer. What they do not is said.
fn fetch(workspace: &Workspace, step: &Step, rows: Vec<Row>) -> Result<Vec<Guest>> {
    let mut names = BTreeMap::new();
    let mut guests = Vec::new();
    let mut missing = Vec::new();
    for row in rows {
        let apt = Apt::new(workspace, row.arch);
        let names = match names.entry(row.arch) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(apt.names(step)?),
        };
        match apt.newest(&row.kernel, names) {
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
        machine: Machine::of(row.arch),
        cpu: row.cpu,
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
    use super::{available_mib, is_wanted, name_of, script_of};
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
    fn memory_is_read_in_mib() {
        let text = "MemTotal:       24684888 kB\nMemAvailable:   23871488 kB\n";
        assert_eq!(available_mib(text), Some(23312));
    }
}
