//! The observer's rights: exactly five capabilities, each missed when it is
//! not there.

use std::fs;

use observer_tests::{
    cluster::{
        Cluster, NODES, Namespace, Observer, SOON, burst,
        namespace::{self, pod},
        observers, turn,
        variant::Variant,
    },
    wait,
};
use serde_json::{Value, json};

/// Of `linux/capability.h`.
const NEEDED: [(&str, u32); 5] = [
    ("DAC_READ_SEARCH", 2),
    ("SYS_PTRACE", 19),
    ("LEASE", 28),
    ("PERFMON", 38),
    ("BPF", 39),
];

/// `/proc/PID/status` of the observer in a pod.
fn status(observer: &Observer) -> String {
    let uid = observer.uid.clone();
    let mut found = fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| {
            let text = |name: &str| fs::read_to_string(entry.path().join(name)).ok();
            let ours = text("cgroup")?.contains(&uid) && text("comm")?.trim() == "observer";
            ours.then(|| text("status")).flatten()
        });
    found
        .next()
        .unwrap_or_else(|| panic!("no process of {}", observer.pod))
}

#[test]
fn the_observer_runs_with_exactly_five_capabilities() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let needed = NEEDED.iter().fold(0_u64, |set, (_, bit)| set | 1 << bit);
    for observer in observers(&cluster) {
        let status = status(&observer);
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in {status}"))
                .trim()
                .to_owned()
        };
        for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
            assert_eq!(
                field(set),
                format!("{needed:016x}"),
                "{set} {}",
                observer.pod
            );
        }
        assert_eq!(field("NoNewPrivs:"), "1");
        assert_eq!(field("Seccomp:"), "2", "a filter: RuntimeDefault");
        assert_eq!(observer.metrics().value("observer_lacking", &[]), Some(0.0));
        assert_eq!(
            observer.get_as("/readyz", None),
            Ok((200, "ready\n".into()))
        );
    }
}

#[test]
fn a_capability_that_lacks_is_named_and_nothing_crashes() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let namespace = Namespace::create(&cluster, "rights");
    namespace.apply(pod(
        "seen",
        Some(NODES[0]),
        &[namespace::burst("main", burst::NEWEST)],
    ));
    burst::started(&namespace, "seen", "main");
    let without: Vec<_> = NEEDED
        .iter()
        .map(|(name, _)| {
            let pod = format!("without-{}", name.to_lowercase().replace('_', "-"));
            let drop_it = |spec: &mut Value| {
                let container = &mut spec["containers"][0];
                let add = &mut container["securityContext"]["capabilities"]["add"];
                let kept = NEEDED.iter().map(|(one, _)| *one).filter(|one| one != name);
                *add = json!(kept.collect::<Vec<_>>());
            };
            let variant = Variant::start(&cluster, "observer", &pod, NODES[0], drop_it);
            (*name, variant)
        })
        .collect();
    for (name, variant) in &without {
        let observer = variant.ready();
        let (_, ready) = observer.get_as("/readyz", None).expect("/readyz");
        let lacking = format!("lacking: CAP_{name}: ");
        assert!(ready.contains(&lacking), "{name}: {ready}");
        assert!(observer.log(&cluster).contains(&format!("CAP_{name}")));
        let metrics = observer.metrics();
        let lacks = metrics.value("observer_lacking", &[]);
        assert!(lacks.is_some_and(|lacks| lacks >= 1.0), "{name}: {lacks:?}");
        let labels = [("namespace", namespace.name.as_str()), ("pod", "seen")];
        let coverage = || -> Vec<f64> {
            let metrics = observer.metrics();
            let coverage = metrics.select("observer_process_coverage", &labels);
            coverage.map(|one| one.value).collect()
        };
        match *name {
            // The image's files are everybody's to read, and root's.
            "DAC_READ_SEARCH" | "LEASE" => {}
            // Whose executable cannot be opened is not known as a Go process.
            "SYS_PTRACE" => assert!(coverage().is_empty(), "its coverage is told"),
            _ => {
                let lost = wait::comes_true(SOON, || coverage().contains(&0.0));
                assert!(lost, "{name}: {:?}", coverage());
            }
        }
    }
    for (name, variant) in &without {
        assert_eq!(variant.restarts(), 0, "{name}");
    }
}
