//! Records a program of each release of Go, and what it says of itself, for the unit
//! tests: `cargo xtask recordings` builds the programs and runs this.
//!
//! Of each there are two samples. The program reports after the first, and works before
//! the second.

use std::{
    env, error,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use observer_go::{
    binary::{Binary, Inspected, inspect},
    runtime::{Recording, StateFigures, record},
};
use observer_testkit::{
    agreement::Agreement,
    paths::VERSIONS,
    program::{Program, Report},
};
use serde_json::{Value, json, to_value};

type Failed = Box<dyn error::Error>;

/// Long enough for the background sweeper and the spinning Ms to come to rest.
const STILL: Duration = Duration::from_millis(200);
/// Tries of a program that does not come to rest in time.
const TRIES: usize = 20;
/// The counters of `runtime.MemStats` that are compared.
const COUNTERS: [&str; 10] = [
    "HeapAlloc",
    "HeapObjects",
    "TotalAlloc",
    "Mallocs",
    "Frees",
    "NextGC",
    "LastGC",
    "NumGC",
    "NumForcedGC",
    "PauseTotalNs",
];

fn main() -> Result<(), Failed> {
    let paths: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [fixtures, out] = paths.as_slice() else {
        return Err("expected the directory of fixtures and that of recordings".into());
    };
    for version in VERSIONS {
        let program = fixtures.join(format!("state-{version}-stripped"));
        let directory = out.join(format!("go{version}"));
        fs::create_dir_all(&directory)?;
        of_program(&program, &directory)?;
        println!("{}", directory.display());
    }
    Ok(())
}

fn of_program(program: &Path, directory: &Path) -> Result<(), Failed> {
    let Inspected::Go(binary) = inspect(&File::open(program)?)? else {
        return Err(format!("{} is no Go program", program.display()).into());
    };
    let mut wrong = Vec::new();
    for _ in 0..TRIES {
        let mut command = Command::new(program);
        command.env("GOMAXPROCS", "4");
        let mut program = Program::start_as(command);
        for letter in ['a', 'g', 'p', 'm', 'c', 'd', 'a'] {
            program.obey(letter);
        }
        let (first, before) = sample(&program, &binary)?;
        let said = brief(&program.said())?;
        for letter in ['a', 'g', 'm', 'c', 'p', 'a'] {
            program.obey(letter);
        }
        let (second, after) = sample(&program, &binary)?;
        let mut agreement = Agreement::default();
        let report: Report = serde_json::from_value(said.clone())?;
        agreement.compare(&to_value(&before)?, &report, &to_value(&after)?);
        if agreement.wrong.is_empty() {
            first.write(File::create(directory.join("first.txt.gz"))?)?;
            second.write(File::create(directory.join("second.txt.gz"))?)?;
            fs::write(directory.join("said.json"), said.to_string() + "\n")?;
            return Ok(());
        }
        wrong = agreement.wrong;
    }
    Err(format!("{}: {wrong:#?}", program.display()).into())
}

/// A sample of a program that has come to rest.
fn sample(program: &Program, binary: &Binary) -> Result<(Recording, StateFigures), Failed> {
    thread::sleep(STILL);
    let recorded = record(program.pid, binary, None)?;
    let figures = recorded.sampled?;
    Ok((recorded.recording, figures.as_ref().clone()))
}

/// What is compared of what the program said.
fn brief(said: &str) -> Result<Value, Failed> {
    let mut said: Value = serde_json::from_str(said)?;
    let stats = said["memstats"].take();
    let cycles = stats["NumGC"].as_u64().ok_or("NumGC")?.min(256) as usize;
    let mut kept = serde_json::Map::new();
    for name in COUNTERS {
        kept.insert(name.to_owned(), stats[name].clone());
    }
    for name in ["PauseNs", "PauseEnd"] {
        let ring = stats[name].as_array().ok_or(name)?;
        kept.insert(name.to_owned(), json!(ring[..cycles]));
    }
    said["memstats"] = Value::Object(kept);
    let metrics = said["metrics"].as_object_mut().ok_or("metrics")?;
    let compared = |name: &str| {
        let kinds = ["/sched/", "/cpu/classes/", "/sync/mutex/", "/gc/pauses:"];
        let names = [
            "/gc/gogc:percent",
            "/gc/gomemlimit:bytes",
            "/gc/heap/live:bytes",
        ];
        kinds.iter().any(|kind| name.starts_with(kind)) || names.contains(&name)
    };
    metrics.retain(|name, _| compared(name));
    for (_, metric) in metrics.iter_mut() {
        if let Some(bounds) = metric.get_mut("bounds") {
            *bounds = json!([]);
        }
    }
    Ok(said)
}
