//! Whether the observer's figures of a runtime's state are the program's own.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::program::Report;

const RUNNABLE: &str = "goroutines runnable";
const STATES: &str = "goroutines by state";
/// What a new thread changes: its `m` and two `g` are allocated. So does a goroutine of
/// the runtime's own that allocates.
const HEAP: [&str; 4] = ["HeapAlloc", "HeapObjects", "TotalAlloc", "Mallocs"];

/// Nanoseconds of `work.cpuStats` and the metrics that show them.
const CPU: [(&str, &str); 11] = [
    ("mark_assist_ns", "gc/mark/assist"),
    ("mark_dedicated_ns", "gc/mark/dedicated"),
    ("mark_idle_ns", "gc/mark/idle"),
    ("pause_ns", "gc/pause"),
    ("gc_total_ns", "gc/total"),
    ("scavenge_assist_ns", "scavenge/assist"),
    ("scavenge_background_ns", "scavenge/background"),
    ("scavenge_total_ns", "scavenge/total"),
    ("idle_ns", "idle"),
    ("user_ns", "user"),
    ("total_ns", "total"),
];

/// Histograms and the metrics that show them.
const HISTOGRAMS: [(&str, &str); 6] = [
    ("/scheduler/latencies", "/sched/latencies:seconds"),
    ("/collections/pauses", "/gc/pauses:seconds"),
    ("/stops/gc_total", "/sched/pauses/total/gc:seconds"),
    ("/stops/gc_stopping", "/sched/pauses/stopping/gc:seconds"),
    ("/stops/other_total", "/sched/pauses/total/other:seconds"),
    (
        "/stops/other_stopping",
        "/sched/pauses/stopping/other:seconds",
    ),
];

/// What was compared and what differed.
#[derive(Debug, Default)]
pub struct Agreement {
    /// Names of the figures that were compared.
    pub compared: BTreeSet<String>,
    /// What differs, for people.
    pub wrong: Vec<String>,
    /// Whether the runtime started a thread between the two samples.
    thread_started: bool,
    /// Whether the program had allocated one object more when it reported.
    one_more: bool,
}

impl Agreement {
    /// Whether another look may find all right: a timer of the runtime's own may
    /// make one of its goroutines ready just when the program wakes to report, and
    /// to run it the runtime may start a thread, which it allocates on the heap. Such a
    /// goroutine may allocate an object itself. A reader that is wrong is so again.
    pub fn may_pass(&self) -> bool {
        let starts = |wrong: &String, names: &[&str]| names.iter().any(|n| wrong.starts_with(n));
        let allocated = self.thread_started || self.one_more;
        let moved = |wrong: &String| {
            starts(wrong, &[RUNNABLE, STATES]) || allocated && starts(wrong, &HEAP)
        };
        !self.wrong.is_empty() && self.wrong.iter().all(moved)
    }

    fn note(&mut self, figure: &str, right: bool, detail: &dyn Fn() -> String) {
        self.compared.insert(figure.to_owned());
        if !right {
            self.wrong.push(format!("{figure}: {}", detail()));
        }
    }

    fn equal(&mut self, figure: &str, seen: Option<u64>, said: u64) {
        self.note(figure, seen == Some(said), &|| {
            format!("the program {said}, the observer {seen:?}")
        });
    }

    fn between(&mut self, figure: &str, before: Option<f64>, said: f64, after: Option<f64>) {
        let right = before.is_some_and(|n| n <= said) && after.is_some_and(|n| said <= n);
        self.note(figure, right, &|| {
            format!("the program {said}, the observer {before:?} before and {after:?} after")
        });
    }

    /// Compares a sample taken before the program reported, which must be
    /// equal in everything the report itself does not change; that lies
    /// between this sample and one taken `after` the report.
    pub fn compare(&mut self, before: &Value, said: &Report, after: &Value) {
        let of = |place: &str| before.pointer(place).and_then(Value::as_u64);
        let threads = |sample: &Value| sample.pointer("/scheduler/threads").and_then(Value::as_u64);
        self.thread_started = threads(before) < threads(after);
        let limit = of("/settings/memory_limit_bytes");
        let stats = &said.memstats;
        self.one_more = of("/allocation/mallocs").is_some_and(|seen| seen + 1 == stats.mallocs);
        for (figure, place, truth) in [
            ("goroutines", "/goroutines/live", said.goroutines),
            ("GOMAXPROCS", "/scheduler/processors", said.gomaxprocs),
            ("HeapAlloc", "/allocation/heap_bytes", stats.heap_alloc),
            (
                "HeapObjects",
                "/allocation/heap_objects",
                stats.heap_objects,
            ),
            ("TotalAlloc", "/allocation/total_bytes", stats.total_alloc),
            ("Mallocs", "/allocation/mallocs", stats.mallocs),
            ("Frees", "/allocation/frees", stats.frees),
            ("heap goal", "/heap/next_gc_bytes", said.goal),
            ("NumGC", "/collections/cycles", stats.num_gc),
            ("NumForcedGC", "/collections/forced", stats.num_forced_gc),
            (
                "PauseTotalNs",
                "/collections/pause_total_ns",
                stats.pause_total_ns,
            ),
            ("LastGC", "/collections/last_gc_unix_ns", stats.last_gc),
        ] {
            self.equal(figure, of(place), truth);
        }
        // Under a limit it moves when ReadMemStats empties the Ps' caches.
        if limit.is_none_or(|limit| limit == i64::MAX as u64) {
            self.equal("NextGC", of("/heap/next_gc_bytes"), stats.next_gc);
        }
        for (figure, place, metric) in [
            ("GOGC", "/settings/gogc_percent", "/gc/gogc:percent"),
            (
                "GOMEMLIMIT",
                "/settings/memory_limit_bytes",
                "/gc/gomemlimit:bytes",
            ),
            ("heap marked", "/heap/marked_bytes", "/gc/heap/live:bytes"),
            (
                "goroutines created",
                "/goroutines/created",
                "/sched/goroutines-created:goroutines",
            ),
            (
                RUNNABLE,
                "/goroutines/runnable",
                "/sched/goroutines/runnable:goroutines",
            ),
        ] {
            if let Some(truth) = said.count(metric) {
                self.equal(figure, of(place), truth);
            }
        }
        self.note(
            "goroutines created",
            of("/goroutines/created").is_some(),
            &|| "the observer has none".into(),
        );
        // Whoever asks has a P; while nobody does, all are idle.
        let idle = of("/scheduler/idle_processors");
        self.note(
            "idle Ps",
            idle.is_some_and(|idle| idle + 1 >= said.gomaxprocs),
            &|| format!("{idle:?} of {} that stand still", said.gomaxprocs),
        );
        self.states(before, said);
        self.moving(before, said, after);
        self.pauses(before, said);
        if said
            .metrics
            .contains_key("/cpu/classes/gc/mark/assist:cpu-seconds")
        {
            for (field, class) in CPU {
                let seen = of(&format!("/cpu/{field}")).map(|ns| ns as f64 / 1e9);
                let truth = said.number(&format!("/cpu/classes/{class}:cpu-seconds"));
                self.note("GC CPU by kind", seen.is_some() && seen == truth, &|| {
                    format!("{class}: the program {truth:?}, the observer {seen:?}")
                });
            }
        }
    }

    /// What stands still waits in one raw read, and nothing runs; when it
    /// reports, that goroutine runs.
    fn states(&mut self, before: &Value, said: &Report) {
        let of = |place: &str| before.pointer(place).and_then(Value::as_u64);
        let state = |name: &str| of(&format!("/goroutines/states/{name}"));
        let seen = (state("running"), state("not_in_go"));
        self.note(STATES, seen == (Some(0), Some(1)), &|| {
            format!("{seen:?} run and are not in Go while the program stands still")
        });
        let waiting = state("waiting");
        let others = said.goroutines - 1;
        self.note(STATES, waiting.is_some_and(|n| n >= others), &|| {
            format!("{waiting:?} of at least {others} wait")
        });
        let count = |name: &str| said.count(&format!("/sched/goroutines/{name}:goroutines"));
        if let (Some(running), Some(out), Some(others)) =
            (count("running"), count("not-in-go"), count("waiting"))
        {
            // The runtime counts as running each P that is in use, be it only
            // looking for work, and what it counts too much is lacking of
            // those that wait.
            let seen = state("running").zip(waiting);
            let right = seen
                .is_some_and(|(on, waiting)| on < running && on + 1 + waiting == running + others);
            self.note(STATES, right && state("not_in_go") == Some(out + 1), &|| {
                format!("the program {running} run, {out} not in Go, {others} wait; the observer {before}")
            });
        }
        if let Some(truth) = said.count("/sched/threads/total:threads") {
            let seen = of("/scheduler/go_threads");
            self.note(
                "Go's threads",
                seen.is_some_and(|n| n <= truth && n + 2 >= truth),
                &|| format!("the program {truth}, the observer {seen:?}"),
            );
        }
    }

    /// What the report itself may move.
    fn moving(&mut self, before: &Value, said: &Report, after: &Value) {
        let number = |sample: &Value, place: &str| sample.pointer(place).and_then(Value::as_f64);
        let place = "/scheduler/threads";
        self.between(
            "threads",
            number(before, place),
            said.threads as f64,
            number(after, place),
        );
        if let Some(truth) = said.number("/sync/mutex/wait/total:seconds") {
            let seconds = |sample| number(sample, "/scheduler/mutex_wait_ns").map(|ns| ns / 1e9);
            self.between("mutex wait", seconds(before), truth, seconds(after));
        }
        for (place, metric) in HISTOGRAMS {
            let Some(truth) = said.counts(metric) else {
                continue;
            };
            // From 1.22 on it is another name for the collector's stops.
            if place == "/collections/pauses"
                && said.counts("/sched/pauses/total/gc:seconds").is_some()
            {
                continue;
            }
            let counts = |sample: &Value| -> Vec<u64> {
                let list = sample
                    .pointer(place)
                    .and_then(|h| h.get("counts")?.as_array());
                list.map_or_else(Vec::new, |l| l.iter().filter_map(Value::as_u64).collect())
            };
            let (low, high) = (counts(before), counts(after));
            let right = low.len() == truth.len()
                && high.len() == truth.len()
                && (low.iter().zip(truth).zip(&high)).all(|((l, t), h)| l <= t && t <= h);
            self.note(metric, right, &|| {
                let sum = |counts: &[u64]| counts.iter().sum::<u64>();
                format!(
                    "the program {} in {} buckets, the observer {} in {} before and {} after",
                    sum(truth),
                    truth.len(),
                    sum(&low),
                    low.len(),
                    sum(&high)
                )
            });
        }
    }

    /// The ring of pauses, where the sample brought new ones.
    fn pauses(&mut self, before: &Value, said: &Report) {
        let recent = before
            .pointer("/collections/recent")
            .and_then(Value::as_array);
        let Some(recent) = recent else {
            self.note("pause ring", false, &|| "the observer has none".into());
            return;
        };
        let stats = &said.memstats;
        let first = stats.num_gc.saturating_sub(recent.len() as u64);
        for (n, pause) in recent.iter().enumerate() {
            let slot = (first as usize + n) % 256;
            let of = |field: &str| pause.get(field).and_then(Value::as_u64);
            let seen = (of("duration_ns"), of("ended_unix_ns"));
            let truth = (Some(stats.pause_ns[slot]), Some(stats.pause_end[slot]));
            self.note("pause ring", seen == truth, &|| {
                format!(
                    "cycle {}: the program {truth:?}, the observer {seen:?}",
                    first as usize + n
                )
            });
        }
    }
}
