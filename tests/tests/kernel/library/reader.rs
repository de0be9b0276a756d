//! The reader of runtime state, without the node: every Go version, linked in
//! every way, against what the program says of itself while it stands still.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
    sync::Mutex,
    thread,
};

use observer_go::runtime::{RuntimeReader, StateFigures, WalkLimits};
use observer_tests::{
    Workload,
    agreement::{Agreement, look},
    paths::{VARIANTS, VERSIONS, fixture},
    state::{Executable, Program, Report, STILL, sample},
};

/// Letters of the state fixture: all it can do, in changing order.
const STEPS: [Option<char>; 13] = [
    None,
    Some('a'),
    Some('g'),
    Some('p'),
    Some('c'),
    Some('a'),
    Some('m'),
    Some('P'),
    Some('d'),
    Some('a'),
    Some('c'),
    Some('g'),
    Some('a'),
];
/// Cells at work at the same time; they mostly wait.
const AT_ONCE: usize = 6;

/// The bounds of the buckets, which are not in the JSON.
fn bounds(figures: &StateFigures, said: &Report, wrong: &mut Vec<String>) {
    let stops = &figures.stops;
    for (metric, histogram) in [
        (
            "/sched/latencies:seconds",
            Some(&figures.scheduler.latencies),
        ),
        ("/gc/pauses:seconds", figures.collections.pauses.as_ref()),
        ("/sched/pauses/total/gc:seconds", stops.gc_total.as_ref()),
        (
            "/sched/pauses/total/other:seconds",
            stops.other_total.as_ref(),
        ),
    ] {
        if let (Some(truth), Some(histogram)) = (said.bounds(metric), histogram)
            && truth != histogram.bounds
        {
            wrong.push(format!("bounds of {metric} differ"));
        }
    }
}

/// The parked goroutines by their creator, and everyone by state.
fn walk(reader: &mut RuntimeReader, executable: &Executable, live: u64, agreement: &mut Agreement) {
    let symbolize = |pc| {
        let symbol = executable.symbolize(pc)?;
        Some((symbol.function, symbol.line))
    };
    let report = reader
        .goroutines_by_creator(&symbolize, WalkLimits::default())
        .unwrap_or_else(|e| panic!("walk: {e}"));
    let named = |symbol: &Option<observer_go::runtime::SourceLocation>, name: &str| {
        symbol.as_ref().is_some_and(|s| s.function == name)
    };
    let leak = report
        .creators
        .iter()
        .find(|c| named(&c.created_by, "main.park"));
    let found = leak.is_some_and(|c| c.count == 50 && named(&c.runs, "main.wait"));
    agreement.compared.insert("goroutines by creator".into());
    if !found
        || !report.complete
        || report.states.values().sum::<u64>() != live
        || report.waiting.get("chan receive") != Some(&50)
    {
        agreement
            .wrong
            .push(format!("goroutines by creator, {live} live: {report:?}"));
    }
}

/// A reader that comes later must see the same; the runtime may start a thread
/// between the two, and allocates for it.
fn fresh_reader_agrees(
    executable: &Executable,
    pid: u32,
    reader: &mut RuntimeReader,
) -> Result<(), String> {
    let look = |reader: &mut RuntimeReader| {
        let figures = sample(reader).map_err(|error| error.to_string())?;
        Ok::<_, String>(figures.allocation.clone())
    };
    let mut seen = String::new();
    for _ in 0..3 {
        let mut fresh = executable.reader(pid).map_err(|error| error.to_string())?;
        let (fresh, known) = (look(&mut fresh)?, look(reader)?);
        if fresh == known {
            return Ok(());
        }
        seen = format!("{fresh:?}, the first {known:?}");
    }
    Err(seen)
}

fn try_state(path: &Path) -> Agreement {
    let mut agreement = Agreement::default();
    // Without symbols everywhere: where there are some, they must say the same.
    let executable = Executable::open(path, false);
    let with_symbols = Executable::open(path, true);
    agreement.compared.insert("globals".into());
    if executable.places() != with_symbols.places() {
        agreement.wrong.push(format!(
            "globals: {:?}, by the symbol table {:?}",
            executable.places(),
            with_symbols.places()
        ));
    }
    for gap in &executable.globals.gaps {
        agreement.wrong.push(format!("globals: {gap:?}"));
    }
    let mut program = Program::start(path);
    thread::sleep(STILL);
    let mut reader = match executable.reader(program.pid) {
        Ok(reader) => reader,
        Err(e) => {
            agreement.wrong.push(format!("reader: {e}"));
            return agreement;
        }
    };
    let (mut created, mut live) = (None, 0);
    for step in STEPS {
        if let Some(letter) = step {
            program.obey(letter);
        }
        let look = look(&mut reader, &mut program).unwrap_or_else(|e| panic!("sample: {e}"));
        let known = agreement.wrong.len();
        agreement.compared.extend(look.agreement.compared);
        agreement.wrong.extend(look.agreement.wrong);
        bounds(&look.before, &look.said, &mut agreement.wrong);
        if let Err(seen) = fresh_reader_agrees(&executable, program.pid, &mut reader) {
            agreement.wrong.push(format!("a fresh reader: {seen}"));
        }
        // Up to 1.25 the program does not say how many there were.
        let now = look.before.goroutines.created;
        let grown = now.zip(created).map(|(now, then)| now - then);
        if step == Some('g') && grown != Some(1000) {
            agreement
                .wrong
                .push(format!("goroutines created: {grown:?} of 1000"));
        }
        created = look.after.goroutines.created;
        live = look.said.goroutines;
        for wrong in &mut agreement.wrong[known..] {
            let _ = write!(wrong, " (after {step:?})");
        }
    }
    for gap in reader.gaps() {
        if gap.reason != observer_go::release::GapReason::NotInRelease {
            agreement.wrong.push(format!("gap: {gap:?}"));
        }
    }
    walk(&mut reader, &executable, live, &mut agreement);
    agreement
}

/// Only the workload knows how many goroutines there ever were.
fn try_created(path: &Path) -> Vec<String> {
    let mut workload = Workload::start(path);
    for command in ["burst 1000 20", "goexit 10", "locked 5", "gc 2"] {
        workload.run(command);
    }
    let said = workload.report();
    thread::sleep(STILL);
    let reader = Executable::open(path, false).reader(workload.pid);
    let seen = reader.and_then(|mut reader| sample(&mut reader));
    match seen {
        Ok(seen)
            if seen.goroutines.created == Some(said.created)
                && seen.goroutines.live == said.goroutines =>
        {
            Vec::new()
        }
        Ok(seen) => vec![format!(
            "workload: {} created and {} live, the observer {:?}",
            said.created, said.goroutines, seen.goroutines
        )],
        Err(e) => vec![format!("workload: {e}")],
    }
}

#[test]
fn every_version_and_way_of_linking_is_exact() {
    let mut cells: Vec<_> = VERSIONS
        .iter()
        .flat_map(|version| VARIANTS.map(|variant| (*version, variant)))
        .collect();
    cells.reverse();
    let (queue, results) = (Mutex::new(cells), Mutex::new(BTreeMap::new()));
    let next = || queue.lock().expect("the queue").pop();
    let work = || {
        while let Some((version, variant)) = next() {
            let mut agreement = try_state(&fixture("state", version, variant));
            let created = try_created(&fixture("workload", version, variant));
            agreement.wrong.extend(created);
            let mut results = results.lock().expect("the results");
            results.insert((version, variant), agreement);
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    let results = results.into_inner().expect("the results");
    let mut table = format!(
        "| Go | {} |\n|{}\n",
        VARIANTS.join(" | "),
        " --- |".repeat(7)
    );
    let (mut details, mut figures) = (String::new(), BTreeSet::new());
    for version in VERSIONS {
        let _ = write!(table, "| {version} |");
        for variant in VARIANTS {
            let cell = &results[&(version, variant)];
            let verdict = match cell.wrong.len() {
                0 => format!("{} exact", cell.compared.len()),
                n => format!("{n} wrong"),
            };
            let _ = write!(table, " {verdict} |");
            for wrong in &cell.wrong {
                let _ = writeln!(details, "{version} {variant}: {wrong}");
            }
            figures.extend(&cell.compared);
        }
        table.push('\n');
    }
    println!("{table}\nfigures: {figures:?}");
    assert!(details.is_empty(), "{table}\n{details}");
}
