//! Pods come and go: nothing of them stays, and what one does is never shown
//! as another's.

use std::{
    collections::BTreeMap,
    env, fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use observer_tests::{
    cluster::{
        Cluster, Namespace, Observer, SOON,
        namespace::{fixture, pod_spec},
        observers, say, turn,
        witness::{Witness, still},
    },
    paths, wait,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// How many pods come and go.
const PODS: &str = "OBSERVER_TEST_PODS";
const JOB: &str = "short";
const CREATED: &str = "go_sched_goroutines_created_goroutines_total";
/// Longer than what has ended is shown, and swept up.
const FORGOTTEN: Duration = Duration::from_secs(90);
/// What the kubelet takes to remove a pod; each time the container runtime, a
/// Go program itself, runs some times.
const REMOVED: Duration = Duration::from_millis(500);

/// What a program says at its end.
#[derive(Deserialize)]
struct Said {
    created: u64,
}

/// What an observer holds.
#[derive(Debug)]
struct Held {
    maps: BTreeMap<String, f64>,
    targets: f64,
    processes: f64,
    descriptors: usize,
    /// In MB.
    resident: f64,
}

impl Held {
    fn of(observer: &Observer, pid: u32) -> Self {
        let metrics = observer.metrics();
        let sum = |name| metrics.select(name, &[]).map(|one| one.value).sum();
        let maps = metrics.select("observer_map_entries", &[]);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next())
            .and_then(|kib| kib.parse::<f64>().ok());
        Self {
            maps: maps
                .map(|one| (one.labels["map"].clone(), one.value))
                .collect(),
            targets: sum("observer_targets"),
            processes: sum("observer_processes"),
            descriptors: fs::read_dir(format!("/proc/{pid}/fd"))
                .expect("its files")
                .count(),
            resident: resident.expect("VmRSS") * 1024.0 / 1e6,
        }
    }

    /// Why this is more than what was held before.
    fn excess(&self, before: &Self) -> Option<String> {
        // A process that was there has entries for what it only did since then.
        let entries = before.maps.values().copied().fold(0.0, f64::max);
        // Callers' connections come and go.
        let more = self.descriptors > before.descriptors + 8
            || self.targets > before.targets + 1.0
            || self.processes > before.processes + 6.0
            || self.maps.values().any(|now| *now > entries + 6.0);
        more.then(|| format!("{before:?}, then {self:?}"))
    }
}

/// Pods that each create another number of goroutines, live two seconds, say
/// what they did, and end.
fn job(pods: u32) -> Value {
    let mut container = fixture(JOB, "short", paths::GO, "default", &[]);
    let command = container["command"].as_array_mut().expect("a command");
    // Digits put together, so that no two are alike and none is small.
    command.extend([json!("1$(JOB_COMPLETION_INDEX)"), json!("2s")]);
    let mut spec = pod_spec(None, &[container]);
    spec["restartPolicy"] = json!("Never");
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": JOB },
        "spec": {
            "completionMode": "Indexed",
            "completions": pods,
            "parallelism": 20,
            "template": { "spec": spec },
        },
    })
}

/// What each pod says it created.
fn said(namespace: &Namespace) -> BTreeMap<String, u64> {
    let selector = format!("--selector=job-name={JOB}");
    let text = namespace.kubectl(&["logs", &selector, "--prefix", "--tail=-1"]);
    text.lines()
        .map(|line| {
            let (place, line) = line.split_once("] ").unwrap_or_else(|| panic!("{line}"));
            let pod = place.split('/').nth(1).expect("a pod's name");
            let said: Said = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
            (pod.to_owned(), said.created)
        })
        .collect()
}

/// The last that both observers show of each pod's container.
fn look(observers: &[Observer], namespace: &str, shown: &mut BTreeMap<String, f64>) {
    for observer in observers {
        let metrics = observer.metrics();
        for one in metrics.select(CREATED, &[("namespace", namespace)]) {
            let container = one.labels.get("container").map(String::as_str);
            assert_eq!(container, Some(JOB), "{:?}", one.labels);
            let last = shown.entry(one.labels["pod"].clone()).or_default();
            assert!(
                one.value >= *last,
                "{:?} fell from {last} to {}",
                one.labels,
                one.value
            );
            *last = one.value;
        }
    }
}

#[test]
fn pods_that_come_and_go_leave_nothing_and_keep_their_own_figures() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let pods = env::var(PODS).map_or(40, |text| text.parse().expect("a number"));
    let namespace = Namespace::create(&cluster, "churn");
    let observers = observers(&cluster);
    let processes: Vec<u32> = observers.iter().map(Observer::process).collect();
    let hold = || -> Vec<Held> {
        let both = observers.iter().zip(&processes);
        both.map(|(observer, pid)| Held::of(observer, *pid))
            .collect()
    };
    // Maps are counted at the first sweep.
    let before = wait::until("the first sweep", SOON, || {
        let before = hold();
        let swept = |held: &Held| held.maps.values().any(|entries| *entries > 0.0);
        before.iter().all(swept).then_some(before)
    });

    let begin = Instant::now();
    namespace.apply(job(pods));
    let mut shown = BTreeMap::new();
    wait::until("the end of every pod", Duration::from_secs(400), || {
        look(&observers, &namespace.name, &mut shown);
        thread::sleep(Duration::from_millis(300));
        let job = namespace.find("job", JOB)?;
        (job["status"]["succeeded"] == json!(pods)).then_some(())
    });
    let took = begin.elapsed();
    // What ended is shown until somebody scraped it: meanwhile as well.
    let said = thread::scope(|scope| {
        let said = scope.spawn(|| said(&namespace));
        while !said.is_finished() {
            look(&observers, &namespace.name, &mut shown);
            thread::sleep(Duration::from_millis(100));
        }
        said.join().expect("what the pods said")
    });
    assert_eq!(said.len(), pods as usize);
    let wrong = |shown: &BTreeMap<String, f64>| -> Vec<_> {
        said.iter()
            .map(|(pod, said)| (pod.clone(), *said as f64, shown.get(pod).copied()))
            .filter(|(_, said, shown)| shown.is_none_or(|shown| (shown - said).abs() > 0.5))
            .collect()
    };
    // A busy observer reads less often, and the last may have ended between.
    wait::comes_true(Duration::from_secs(20), || {
        look(&observers, &namespace.name, &mut shown);
        wrong(&shown).is_empty()
    });
    let wrong = wrong(&shown);
    assert!(wrong.is_empty(), "pod, said, shown: {wrong:?}");
    assert_eq!(
        shown.len(),
        said.len(),
        "pods that nobody started: {shown:?}"
    );

    namespace.kubectl(&["delete", "job", JOB, "--wait=false"]);
    let mut excess = Vec::new();
    let forgotten = wait::comes_true(FORGOTTEN + REMOVED * pods, || {
        thread::sleep(Duration::from_millis(500));
        excess = hold()
            .iter()
            .zip(&before)
            .filter_map(|(now, before)| now.excess(before))
            .collect();
        let series = |observer: &Observer| {
            let metrics = observer.metrics();
            let all = metrics.all();
            all.filter(|(_, one)| one.labels.get("namespace") == Some(&namespace.name))
                .count()
        };
        excess.is_empty() && observers.iter().all(|observer| series(observer) == 0)
    });
    assert!(forgotten, "not all is forgotten: {excess:?}");
    let after = hold();
    for ((observer, before), after) in observers.iter().zip(&before).zip(&after) {
        let grown = after.resident - before.resident;
        assert!(grown < 15.0, "{} grew by {grown:.1} MB", observer.pod);
        say(&format!(
            "{pods} pods in {:.0} s, {}: resident {:.1} MB before, {:.1} after; descriptors {} and {}; \
             maps {:?} and {:?}; series of them left: 0",
            took.as_secs_f64(),
            observer.node,
            before.resident,
            after.resident,
            before.descriptors,
            after.descriptors,
            before.maps,
            after.maps
        ));
    }
    assert_eq!(
        observers.iter().map(Observer::process).collect::<Vec<_>>(),
        processes,
        "an observer was started again"
    );
}

#[test]
fn a_pod_of_the_same_name_begins_anew() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let namespace = Namespace::create(&cluster, "again");
    let mut template = still("again", Some("node-a"));
    template["metadata"] = json!({ "labels": { "app": "again" } });
    namespace.apply(json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": { "name": "again" },
        "spec": {
            "replicas": 1,
            "serviceName": "again",
            "selector": { "matchLabels": { "app": "again" } },
            "template": { "metadata": template["metadata"], "spec": template["spec"] },
        },
    }));
    let observer = Observer::on(&cluster, "node-a");
    let pod = "again-0";
    let of = [("namespace", namespace.name.as_str()), ("pod", pod)];
    let address = observer_tests::cluster::witness::address(&namespace, pod);
    let first = Witness::of(&cluster, &namespace.name, pod, "node-a", &address, 700);
    assert!(first.is_shown(&observer.metrics()));
    let uid = namespace.ready(pod)["metadata"]["uid"].clone();

    namespace.kubectl(&["delete", "pod", pod, "--wait=false"]);
    wait::until("the figures of the second", SOON, || {
        let metrics = observer.metrics();
        let goroutines = metrics.value("go_goroutines", &of)?;
        let created = metrics.value(CREATED, &of)?;
        // Of one or of the other, never of both.
        assert!(
            (goroutines < 50.0 && created < 100.0) || (goroutines >= 700.0 && created >= 700.0),
            "{goroutines} goroutines of {created} ever"
        );
        (goroutines < 50.0).then_some(())
    });
    assert_ne!(namespace.ready(pod)["metadata"]["uid"], uid);
}

/// It is in that pod's cgroup as a sandbox is, and begun from outside as that is:
/// it is listed there, and not counted.
#[test]
fn a_process_id_used_again_in_another_pod_is_listed_there_and_counted_nowhere() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let namespace = Namespace::create(&cluster, "reused");
    let observer = Observer::on(&cluster, "node-a");
    let witnesses = [800, 900].map(|leaked| Witness::start(&namespace, "node-a", leaked));
    let [gone, stays] = &witnesses;
    let listed = |pod: &str| observer.processes(&namespace.name, pod, "witness");
    let pid = |pod: &str| {
        let all = listed(pod);
        assert_eq!(all.len(), 1, "{all:?}");
        u32::try_from(all[0]["pid"].as_u64().expect("a pid")).expect("a pid")
    };
    let (reused, neighbour) = (pid(&gone.pod), pid(&stays.pod));
    namespace.kubectl(&["delete", "pod", &gone.pod]);
    wait::until("its end", SOON, || {
        (!fs::exists(format!("/proc/{reused}")).unwrap_or(true)).then_some(())
    });
    // A process of that id in the container of the other pod.
    let begun = (0..500).any(|_| begin_as(reused, neighbour));
    assert!(begun, "process {reused} could not be had again");
    let stranger = wait::until("the process at the other pod", SOON, || {
        let all = listed(&stays.pod).into_iter();
        all.into_iter().find(|it| it["pid"] == reused)
    });
    assert_eq!(stranger["origin"], "runtime", "{stranger}");
    assert_eq!(stranger["kubernetes"]["counted"], false, "{stranger}");
    assert_eq!(stranger["kubernetes"]["uncounted"], "runtime", "{stranger}");
    let of = [
        ("namespace", namespace.name.as_str()),
        ("pod", gone.pod.as_str()),
    ];
    // While it runs, and once it has ended.
    for _ in 0..60 {
        let metrics = observer.metrics();
        assert!(stays.is_shown(&metrics));
        let old = metrics.value(CREATED, &of);
        assert!(old.is_none_or(|it| (800.0..830.0).contains(&it)), "{old:?}");
        thread::sleep(Duration::from_millis(250));
    }
}

/// Runs `short` with this process id in the cgroups of another process, if the
/// id can be had.
fn begin_as(pid: u32, neighbour: u32) -> bool {
    let cgroups = fs::read_to_string(format!("/proc/{neighbour}/cgroup")).expect("its cgroups");
    let program = paths::fixture("short", paths::GO, "default");
    // The shell moves itself, then becomes the program: it is in the container
    // from its first instruction on.
    let script = "[ $$ = \"$1\" ] || exit 1; \
                  for mount in /sys/fs/cgroup /sys/fs/cgroup/*; do \
                      for path in $3; do \
                          [ -e \"$mount$path/cgroup.procs\" ] && echo $$ > \"$mount$path/cgroup.procs\"; \
                      done; \
                  done; \
                  exec \"$2\" 50 10s >/dev/null";
    let paths: std::collections::BTreeSet<_> = cgroups
        .lines()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .filter(|path| *path != "/")
        .collect();
    fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).expect("ns_last_pid");
    let mut child = Command::new("sh")
        .args(["-c", script, "sh", &pid.to_string()])
        .arg(program)
        .arg(paths.into_iter().collect::<Vec<_>>().join(" "))
        .spawn()
        .expect("a shell");
    if child.id() == pid {
        thread::spawn(move || child.wait());
        return true;
    }
    let _ = child.wait();
    false
}
