//! The metrics for scaling, in one table: what each is, how it is put together
//! from many containers, and when to use it.

use std::time::Duration;

use observer_node::scaling::{Histogram, wire::ContainerFigures};

/// A metric that autoscalers may ask for.
#[derive(Debug)]
pub(crate) struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What one is.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "deploy/adapter/METRICS.md says it")
    )]
    pub unit: &'static str,
    /// How containers are put together.
    pub aggregation: Aggregation,
    /// Whether it is of a window; else of one instant.
    pub windowed: bool,
    /// What it is.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "deploy/adapter/METRICS.md says it")
    )]
    pub help: &'static str,
    /// When to scale on it.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "deploy/adapter/METRICS.md says it")
    )]
    pub when: &'static str,
}

/// A fraction, not divided yet so that others can be added.
pub(crate) struct Fraction {
    numerator: f64,
    denominator: f64,
}

const fn fraction(numerator: f64, denominator: f64) -> Fraction {
    Fraction {
        numerator,
        denominator,
    }
}

/// How the figures of many containers become one number. Where one of them
/// does not know its figure, neither is the number known.
#[derive(Debug)]
pub(crate) enum Aggregation {
    /// Added up.
    Sum(fn(&ContainerFigures) -> Option<f64>),
    /// Numerators by denominators, so that each weighs what it had.
    Ratio(fn(&ContainerFigures) -> Option<Fraction>),
    /// A quantile of all durations together.
    Quantile(f64, fn(&ContainerFigures) -> Option<&Histogram>),
}

/// A metric's value over some containers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Aggregate {
    /// The number.
    pub value: f64,
    /// The longest window among them, where it has one.
    pub window: Option<Duration>,
}

impl Metric {
    /// The metric of this name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        METRICS.iter().find(|metric| metric.name == name)
    }

    /// Whether the container knows its part.
    pub(crate) fn is_known_of(&self, container: &ContainerFigures) -> bool {
        match self.aggregation {
            Aggregation::Sum(of) => of(container).is_some(),
            Aggregation::Ratio(of) => of(container).is_some(),
            Aggregation::Quantile(_, of) => of(container).is_some(),
        }
    }

    /// The value over these containers; `None` where there are none, and where
    /// one does not know its part.
    pub(crate) fn over<'a>(
        &self,
        containers: impl IntoIterator<Item = &'a ContainerFigures>,
    ) -> Option<Aggregate> {
        let mut containers = containers.into_iter().peekable();
        containers.peek()?;
        let mut longest = 0;
        let containers = containers.inspect(|container| {
            if let Some(over) = &container.over {
                longest = longest.max(over.window_ms);
            }
        });
        let value = match self.aggregation {
            Aggregation::Sum(of) => containers.map(of).sum::<Option<f64>>()?,
            Aggregation::Ratio(of) => {
                let parts = containers.map(of).collect::<Option<Vec<Fraction>>>()?;
                let numerator: f64 = parts.iter().map(|part| part.numerator).sum();
                let denominator: f64 = parts.iter().map(|part| part.denominator).sum();
                (denominator > 0.0).then(|| numerator / denominator)?
            }
            Aggregation::Quantile(q, of) => {
                let mut all = Histogram::default();
                for histogram in containers.map(of) {
                    all.merge(histogram?);
                }
                all.quantile(q)
            }
        };
        let window = self.windowed.then(|| Duration::from_millis(longest));
        Some(Aggregate { value, window })
    }
}

fn whole(value: Option<u64>) -> Option<f64> {
    value.map(|value| value as f64)
}

/// The table.
pub(crate) static METRICS: [Metric; 12] = [
    Metric {
        name: "go_goroutines",
        unit: "goroutines",
        aggregation: Aggregation::Sum(|c| whole(c.now.goroutines)),
        windowed: false,
        help: "Goroutines that exist now, as runtime.NumGoroutine counts them.",
        when: "Work in flight of servers with a goroutine for each request or connection; follows a burst at once.",
    },
    Metric {
        name: "go_goroutines_smoothed",
        unit: "goroutines",
        aggregation: Aggregation::Sum(|c| c.over.as_ref()?.goroutines),
        windowed: true,
        help: "Mean number of goroutines over the window.",
        when: "As go_goroutines where their number swings faster than replicas can follow.",
    },
    Metric {
        name: "go_goroutines_created_per_second",
        unit: "goroutines per second",
        aggregation: Aggregation::Sum(|c| c.over.as_ref()?.created_per_second),
        windowed: true,
        help: "Goroutines created per second over the window.",
        when: "Request rate of servers whose requests are too short to be seen in flight.",
    },
    Metric {
        name: "go_runnable_goroutines_per_processor",
        unit: "goroutines",
        aggregation: Aggregation::Ratio(|c| {
            Some(fraction(whole(c.now.runnable)?, whole(c.now.processors)?))
        }),
        windowed: false,
        help: "Goroutines that are ready to run and wait, per P (GOMAXPROCS).",
        when: "Programs bound by CPU: above 1 work queues up for processors.",
    },
    Metric {
        name: "go_gc_pause_ratio",
        unit: "ratio",
        aggregation: Aggregation::Ratio(|c| {
            let over = c.over.as_ref()?;
            Some(fraction(over.pause_seconds?, over.process_seconds))
        }),
        windowed: true,
        help: "Share of time in which the program was stopped for its collector, over the window.",
        when: "Latency that comes from collections; use with another metric.",
    },
    Metric {
        name: "go_gc_pause_p99_seconds",
        unit: "seconds",
        aggregation: Aggregation::Quantile(0.99, |c| c.over.as_ref()?.pauses.as_ref()),
        windowed: true,
        help: "99th percentile of stops for the collector over the window; 0 where there was none.",
        when: "Latency objectives that single stops would break.",
    },
    Metric {
        name: "go_gc_cpu_ratio",
        unit: "ratio",
        aggregation: Aggregation::Ratio(|c| {
            let over = c.over.as_ref()?;
            Some(fraction(over.gc_cpu_seconds?, over.processor_seconds?))
        }),
        windowed: true,
        help: "Share of the Ps' CPU time that the collector took over the window. The runtime adds to it at the end of each collection.",
        when: "Programs that allocate much: more replicas, less to collect for each.",
    },
    Metric {
        name: "go_heap_bytes",
        unit: "bytes",
        aggregation: Aggregation::Sum(|c| whole(c.now.heap_bytes)),
        windowed: false,
        help: "Heap in use: objects that are alive or not yet swept.",
        when: "Programs that hold state for each session or key.",
    },
    Metric {
        name: "go_next_gc_bytes",
        unit: "bytes",
        aggregation: Aggregation::Sum(|c| whole(c.now.next_gc_bytes)),
        windowed: false,
        help: "Heap size at which the next collection is due.",
        when: "As go_heap_bytes, and steadier: it moves once per collection.",
    },
    Metric {
        name: "go_heap_limit_ratio",
        unit: "ratio",
        aggregation: Aggregation::Ratio(|c| {
            Some(fraction(
                whole(c.now.limited_heap_bytes)?,
                whole(c.now.limit_bytes)?,
            ))
        }),
        windowed: false,
        help: "Heap in use as a share of the memory limit (GOMEMLIMIT); absent where there is none.",
        when: "Programs with a memory limit, before the collector works against it.",
    },
    Metric {
        name: "go_allocated_bytes_per_second",
        unit: "bytes per second",
        aggregation: Aggregation::Sum(|c| c.over.as_ref()?.allocated_bytes_per_second),
        windowed: true,
        help: "Bytes allocated per second over the window.",
        when: "Throughput of programs that decode, encode or copy.",
    },
    Metric {
        name: "go_sched_latency_p99_seconds",
        unit: "seconds",
        aggregation: Aggregation::Quantile(0.99, |c| c.over.as_ref()?.latencies.as_ref()),
        windowed: true,
        help: "99th percentile of the time that goroutines waited for a P over the window; 0 where none waited.",
        when: "Latency objectives of programs bound by CPU; rises where CPU is throttled too.",
    },
];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use observer_node::scaling::{
        Histogram,
        wire::{ContainerFigures, CurrentFigures, WindowFigures},
    };

    use super::{Aggregation, METRICS, Metric};

    fn container(scale: u64) -> ContainerFigures {
        ContainerFigures {
            processes: 1,
            now: CurrentFigures {
                goroutines: Some(10 * scale),
                runnable: Some(scale),
                processors: Some(4),
                heap_bytes: Some(1000 * scale),
                next_gc_bytes: Some(2000 * scale),
                limited_heap_bytes: Some(1000 * scale),
                limit_bytes: Some(4000),
            },
            over: Some(WindowFigures {
                window_ms: 10_000 * scale,
                goroutines: Some(8.5),
                created_per_second: Some(0.25),
                allocated_bytes_per_second: Some(100.0),
                process_seconds: 10.0 * scale as f64,
                pause_seconds: Some(1.0),
                processor_seconds: Some(40.0 * scale as f64),
                gc_cpu_seconds: Some(4.0),
                latencies: Some(Histogram([(1 << 20, 100)].into())),
                pauses: Some(Histogram([(1 << (20 + scale), 100)].into())),
            }),
            ..ContainerFigures::default()
        }
    }

    fn over(name: &str, containers: &[ContainerFigures]) -> Option<(f64, Option<Duration>)> {
        let found = Metric::named(name).unwrap().over(containers)?;
        Some((found.value, found.window))
    }

    #[test]
    fn containers_are_put_together_as_the_metric_is() {
        let two = [container(1), container(3)];
        let window = Some(Duration::from_secs(30));
        for (name, expected, of) in [
            ("go_goroutines", 40.0, None),
            ("go_goroutines_smoothed", 17.0, window),
            ("go_goroutines_created_per_second", 0.5, window),
            ("go_runnable_goroutines_per_processor", 0.5, None),
            // Two seconds of forty, not the mean of a tenth and a thirtieth.
            ("go_gc_pause_ratio", 0.05, window),
            ("go_gc_cpu_ratio", 0.05, window),
            ("go_heap_bytes", 4000.0, None),
            ("go_next_gc_bytes", 8000.0, None),
            ("go_heap_limit_ratio", 0.5, None),
            ("go_allocated_bytes_per_second", 200.0, window),
        ] {
            let (value, found) = over(name, &two).unwrap();
            assert!((value - expected).abs() < 1e-12, "{name}: {value}");
            assert_eq!(found, of, "{name}");
        }
        // Of two hundred stops the slowest two are among the slow ones.
        let (p99, _) = over("go_gc_pause_p99_seconds", &two).unwrap();
        let slow = f64::from(1 << 23) / 1e9;
        assert!((slow..slow * 1.25).contains(&p99), "{p99}");
    }

    #[test]
    fn what_one_does_not_know_is_not_known_of_all() {
        for metric in &METRICS {
            assert_eq!(metric.over([]), None, "{}", metric.name);
            let unknown = ContainerFigures::default();
            let both = [container(1), unknown];
            assert_eq!(metric.over(&both), None, "{}", metric.name);
        }
        let mut unlimited = container(1);
        unlimited.now.limit_bytes = Some(0);
        unlimited.now.limited_heap_bytes = Some(0);
        assert_eq!(over("go_heap_limit_ratio", &[unlimited.clone()]), None);
        let (ratio, _) = over("go_heap_limit_ratio", &[unlimited, container(2)]).unwrap();
        assert!((ratio - 0.5).abs() < 1e-12);
    }

    /// How containers are put together, in words.
    fn in_words(aggregation: &Aggregation) -> &'static str {
        match aggregation {
            Aggregation::Sum(_) => "sum",
            Aggregation::Ratio(_) => "weighted ratio",
            Aggregation::Quantile(..) => "quantile of the merged histograms",
        }
    }

    /// The table as Markdown.
    fn markdown() -> String {
        let mut text = String::from(
            "| metric | unit | over pods | of | what | when |\n| --- | --- | --- | --- | --- | --- |\n",
        );
        for metric in &METRICS {
            let of = if metric.windowed { "a window" } else { "now" };
            let row = [
                &format!("`{}`", metric.name),
                metric.unit,
                in_words(&metric.aggregation),
                of,
                metric.help,
                metric.when,
            ];
            text.push_str("| ");
            text.push_str(&row.join(" | "));
            text.push_str(" |\n");
        }
        text
    }

    #[test]
    fn the_table_is_the_documentation() {
        let names: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        let page = include_str!("../../../deploy/adapter/METRICS.md");
        assert!(
            page.contains(&markdown()),
            "deploy/adapter/METRICS.md is not of the table, which is:\n{}",
            markdown()
        );
    }
}
