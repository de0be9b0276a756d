//! Bursts of goroutines: how soon they and their end are seen.

use std::{
    collections::BTreeMap,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use observer_tests::cluster::{
    Cluster, NODES, Namespace, Observer,
    burst::{self, Line},
    namespace::{self, pod},
    now, observers, say, turn,
};

/// The observer's own, as deploy/observer sets it, and what may come on top where two
/// nodes and their bursts share two processors.
const AT_MOST: f64 = 1.0 + 1.0;
const COUNTS: [u64; 2] = [500, 5000];
const BLOCKS_MS: [u64; 2] = [100, 3000];
const PROCS: [u64; 3] = [4, 8, 16];
const OFTEN: Duration = Duration::from_millis(100);
/// Goroutines of connections, of the request and of the runtime.
const OTHERS: f64 = 20.0;

/// One scrape of one container.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: f64,
    live: f64,
    created: f64,
}

/// One pod and what is done to it: bursts of this size and length.
struct Case {
    pod: String,
    ip: String,
    node: &'static str,
    n: u64,
    block_ms: u64,
}

/// What one burst said of itself.
struct Burst<'a> {
    case: &'a Case,
    procs: u64,
    launched: Line,
    ended: Line,
    /// When the next one in its pod was launched.
    next: f64,
}

#[test]
fn pile_up_and_recovery_are_seen_in_time() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let observers = observers(&cluster);
    let namespace = Namespace::create(&cluster, "bursts");
    let cases = cases(&namespace);
    let running = AtomicBool::new(true);
    let watched = Barrier::new(observers.len() + 1);
    let each = cases.len() / observers.len();
    let samples = thread::scope(|scope| {
        let watching: Vec<_> = observers
            .iter()
            .map(|one| {
                let (watched, running, namespace) = (&watched, &running, &namespace.name);
                scope.spawn(move || watch(one, namespace, each, watched, running))
            })
            .collect();
        watched.wait();
        for procs in PROCS {
            let asking: Vec<_> = cases
                .iter()
                .map(|case| {
                    let (n, block) = (case.n, case.block_ms);
                    let path = format!("/burst?n={n}&block={block}ms&procs={procs}");
                    scope.spawn(move || burst::ask(&case.ip, &path))
                })
                .collect();
            for one in asking {
                one.join().expect("a burst");
            }
            // The recovery must have been seen by then.
            thread::sleep(Duration::from_secs_f64(AT_MOST + 0.3));
        }
        running.store(false, Ordering::Relaxed);
        watching
            .into_iter()
            .flat_map(|one| one.join().expect("samples"))
            .collect::<BTreeMap<_, _>>()
    });
    let mut seen = Vec::new();
    for case in &cases {
        let log = burst::log(&namespace, &case.pod, "main");
        let of = |event: &str| {
            log.iter()
                .filter(|line| line.event == event)
                .cloned()
                .collect()
        };
        let (launched, ended): (Vec<Line>, Vec<Line>) = (of("burst"), of("burst ended"));
        assert_eq!((launched.len(), ended.len()), (PROCS.len(), PROCS.len()));
        let next: Vec<_> = launched.iter().skip(1).map(Line::at).collect();
        let next = next.into_iter().chain([f64::INFINITY]);
        let all = PROCS.into_iter().zip(launched).zip(ended).zip(next);
        for (((procs, launched), ended), next) in all {
            let burst = Burst {
                case,
                procs,
                launched,
                ended,
                next,
            };
            seen.extend(burst.check(&samples[&case.pod]));
        }
    }
    report(seen);
}

fn cases(namespace: &Namespace) -> Vec<Case> {
    let grid = COUNTS
        .into_iter()
        .flat_map(|n| BLOCKS_MS.map(|block_ms| (n, block_ms)));
    let places: Vec<_> = grid.zip(NODES.into_iter().cycle()).collect();
    let name = |n: u64, block_ms: u64| format!("n{n}-{block_ms}ms");
    for ((n, block_ms), node) in &places {
        let container = namespace::burst("main", burst::NEWEST);
        namespace.apply(pod(&name(*n, *block_ms), Some(node), &[container]));
    }
    places
        .into_iter()
        .map(|((n, block_ms), node)| {
            let pod = name(n, block_ms);
            burst::started(namespace, &pod, "main");
            let status = &namespace.ready(&pod)["status"];
            let ip = status["podIP"].as_str().expect("an address").to_owned();
            Case {
                pod,
                ip,
                node,
                n,
                block_ms,
            }
        })
        .collect()
}

/// Scrapes until told to end: samples by pod. Says when all have one.
fn watch(
    observer: &Observer,
    namespace: &str,
    pods: usize,
    watched: &Barrier,
    running: &AtomicBool,
) -> BTreeMap<String, Vec<Sample>> {
    let mut samples = BTreeMap::<String, Vec<Sample>>::new();
    let labels = [("namespace", namespace)];
    let mut complete = false;
    while running.load(Ordering::Relaxed) {
        let metrics = observer.metrics();
        let at = now();
        for live in metrics.select("go_goroutines", &labels) {
            let pod = &live.labels["pod"];
            let of = [("namespace", namespace), ("pod", pod.as_str())];
            let created = metrics.value("go_sched_goroutines_created_goroutines_total", &of);
            samples.entry(pod.clone()).or_default().push(Sample {
                at,
                live: live.value,
                created: created.expect("created where live ones are known"),
            });
        }
        if !complete && samples.len() == pods {
            complete = true;
            watched.wait();
        }
        thread::sleep(OFTEN);
    }
    samples
}

impl Burst<'_> {
    /// Checks what was seen of it; returns how long that took, by what.
    fn check(&self, samples: &[Sample]) -> Vec<(&'static str, f64)> {
        let n = self.case.n as f64;
        let (launched, ended) = (self.launched.at(), self.ended.at());
        let before = samples.iter().rfind(|sample| sample.at < launched);
        let before = before.unwrap_or_else(|| panic!("{self:?}: no sample before it"));
        let within = |what: &'static str, since: f64, is_it: &dyn Fn(&Sample) -> bool| {
            let first = samples
                .iter()
                .find(|sample| sample.at >= since && is_it(sample))
                .unwrap_or_else(|| panic!("{self:?}: {what} was never seen: {samples:?}"));
            let took = first.at - since;
            assert!(took <= AT_MOST, "{self:?}: {what} after {took:.2} s");
            (what, took)
        };
        assert_eq!(self.launched.gomaxprocs, self.procs);
        let mut seen = vec![within("created", launched, &|sample| {
            sample.created >= before.created + n
        })];
        if self.case.block_ms >= 1000 {
            seen.push(within("pile-up", launched, &|sample| sample.live >= n));
            // While it stands, the number is the program's own.
            let said = self.launched.num_goroutine as f64;
            let standing = samples
                .iter()
                .any(|sample| sample.at < ended && sample.live == said);
            assert!(standing, "{self:?}: never {said}: {samples:?}");
        }
        seen.push(within("recovery", ended, &|sample| {
            sample.created >= before.created + n && sample.live < before.live + OTHERS
        }));
        let mut after = samples.iter().filter(|sample| sample.at < self.next);
        if let Some(next) = after.find(|sample| sample.at > ended + AT_MOST) {
            let created = next.created - before.created;
            assert!(created < n + OTHERS, "{self:?}: {created} were created");
        }
        seen
    }
}

impl std::fmt::Debug for Burst<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Case {
            node, n, block_ms, ..
        } = self.case;
        write!(
            f,
            "{n} goroutines for {block_ms} ms, GOMAXPROCS {}, on {node}, launched {:.3}, ended {:.3}",
            self.procs,
            self.launched.at(),
            self.ended.at()
        )
    }
}

fn report(seen: Vec<(&'static str, f64)>) {
    let mut by_what = BTreeMap::<_, Vec<f64>>::new();
    for (what, took) in seen {
        by_what.entry(what).or_default().push(took);
    }
    for (what, mut took) in by_what {
        took.sort_by(f64::total_cmp);
        say(&format!(
            "{what} seen after: median {:.2} s, longest {:.2} s, of {}",
            took[took.len() / 2],
            took[took.len() - 1],
            took.len()
        ));
    }
}
