use std::{sync::Arc, time::SystemTime};

use observer_ebpf::GoroutineFigures;
use observer_go::{
    binary::{FigureGroup, Reason},
    discover::Origin,
};
use serde_json::{Value, json};

use super::{OTHER_UID, UID, decoded, id, index, pod, running};
use crate::{
    export::{self, Format, OwnProcess},
    fixtures::{in_container, lacking, observation, snapshot, with_gc, with_state},
    kube::{
        attribute::Attributor,
        pod_index::{PodIndex, Pods},
    },
    node::{Attribution, Observation, PodWatch, Snapshot, Uncounted},
};

fn attributor(host_processes: bool) -> Attributor {
    Attributor::new("node-a".to_owned(), host_processes)
}

fn attributed(
    attributor: &mut Attributor,
    index: &PodIndex,
    processes: &[&Arc<Observation>],
) -> Arc<Snapshot> {
    let mut snapshot = Arc::unwrap_or_clone(snapshot(Vec::new()));
    snapshot.processes = processes.iter().map(|it| Arc::clone(it)).collect();
    snapshot.cluster = Some(Arc::new(attributor.cluster(&snapshot, index)));
    Arc::new(snapshot)
}

fn metrics(snapshot: &Arc<Snapshot>) -> String {
    export::render(snapshot, OwnProcess::default(), Format::Prometheus).unwrap()
}

/// The value of the one sample whose labels begin so.
fn value(text: &str, series: &str) -> Option<f64> {
    let mut found = text.lines().filter_map(|line| line.strip_prefix(series));
    let line = found.next()?;
    assert_eq!(found.next(), None, "{series} is there twice");
    line.rsplit_once(' ')?.1.parse().ok()
}

const CREATED: &str = "go_sched_goroutines_created_goroutines_total";

fn created(text: &str, pod: &str) -> Option<f64> {
    value(
        text,
        &format!(
            "{CREATED}{{namespace=\"shop\",pod=\"{pod}\",container=\"server\",process=\"\",pid=\"\"}}"
        ),
    )
}

fn process(pid: u32, letter: char) -> Observation {
    with_state(in_container(observation(pid, "/srv/shop"), &id(letter)))
}

fn ended(mut observation: Observation) -> Arc<Observation> {
    observation.ended = Some(SystemTime::UNIX_EPOCH);
    Arc::new(observation)
}

#[test]
fn processes_of_a_container_are_one_series() {
    let mut two = pod("checkout-1", UID, &id('a'));
    two["status"]["initContainerStatuses"] = json!([running("proxy", &id('b'))]);
    let index = index(&[&two]);
    let processes = [
        Arc::new(with_gc(process(10, 'a'))),
        Arc::new(with_gc(process(11, 'a'))),
        Arc::new(process(12, 'b')),
        Arc::new(observation(13, "/usr/bin/kubelet")),
    ];
    let snapshot = attributed(
        &mut attributor(false),
        &index,
        &processes.iter().collect::<Vec<_>>(),
    );
    let text = metrics(&snapshot);
    assert_eq!(created(&text, "checkout-1"), Some(4000.0));
    let labels =
        "{namespace=\"shop\",pod=\"checkout-1\",container=\"server\",process=\"\",pid=\"\"";
    assert_eq!(
        value(&text, &format!("go_goroutines{labels}}}")),
        Some(14.0)
    );
    assert_eq!(
        value(
            &text,
            &format!("go_sched_latencies_seconds_count{labels}}}")
        ),
        Some(12.0)
    );
    assert_eq!(
        value(&text, &format!("go_gc_gogc_percent{labels}}}")),
        Some(u64::MAX as f64)
    );
    assert!(
        text.contains("go_goroutines{namespace=\"shop\",pod=\"checkout-1\",container=\"proxy\"")
    );
    assert!(
        !text.contains("kubelet"),
        "host processes were not asked for"
    );
    assert_eq!(
        value(
            &text,
            &format!(
                "observer_pod_info{{namespace=\"shop\",pod=\"checkout-1\",uid=\"{UID}\",node=\"node-a\",workload_kind=\"Deployment\",workload=\"checkout\"}}"
            )
        ),
        Some(1.0)
    );
    assert_eq!(value(&text, "observer_unattributed_containers"), Some(0.0));
    let text = metrics(&attributed(&mut attributor(true), &index, &[&processes[3]]));
    assert!(text.contains(
        "go_goroutines{namespace=\"\",pod=\"\",container=\"\",process=\"kubelet\",pid=\"13\"}"
    ));
}

#[test]
fn a_container_waits_for_its_pod() {
    let mut attributor = attributor(true);
    let mut in_pod = process(10, 'a');
    let container = Arc::make_mut(&mut in_pod.process).container.as_mut();
    container.unwrap().pod_uid = Some(UID.to_owned());
    let processes = [Arc::new(in_pod)];
    let waiting = [&processes[0]];
    // Its pod is unknown; then known, and its status does not name it yet; then does.
    let mut early = pod("checkout-1", UID, &id('b'));
    for index in [index(&[]), index(&[&early])] {
        let snapshot = attributed(&mut attributor, &index, &waiting);
        let text = metrics(&snapshot);
        assert!(!text.contains("go_goroutines"), "{text}");
        assert_eq!(value(&text, "observer_unattributed_containers"), Some(1.0));
    }
    early["status"]["containerStatuses"] = json!([running("server", &id('a'))]);
    let text = metrics(&attributed(&mut attributor, &index(&[&early]), &waiting));
    assert_eq!(created(&text, "checkout-1"), Some(2000.0));
    assert_eq!(value(&text, "observer_unattributed_containers"), Some(0.0));
}

#[test]
fn what_the_runtime_does_in_a_container_is_not_the_containers() {
    let index = index(&[&pod("checkout-1", UID, &id('a'))]);
    let mut attributor = attributor(false);
    // `runc init` on its way, then replaced by the container's program; and a
    // stage of it whose Go runtime never began.
    let mut init = process(10, 'a');
    let forked = Arc::make_mut(&mut init.process);
    forked.forked = true;
    forked.start_ticks = u64::MAX / 100_000_000_000;
    let mut stage = in_container(observation(9, "/usr/sbin/runc"), &id('a'));
    stage.figures.events.goroutines = GoroutineFigures::ZERO;
    let stage = lacking(stage, FigureGroup::State, Reason::NotSampled);
    let living = [Arc::new(init.clone()), Arc::new(stage.clone())];
    let snapshot = attributed(&mut attributor, &index, &[&living[0], &living[1]]);
    assert!(!metrics(&snapshot).contains("go_"));
    assert!(
        snapshot
            .placed()
            .all(|(_, place)| matches!(place, Attribution::Uncounted(..)))
    );
    let over = [ended(init), ended(stage), Arc::new(process(10, 'a'))];
    let snapshot = attributed(&mut attributor, &index, &[&over[0], &over[1], &over[2]]);
    assert_eq!(created(&metrics(&snapshot), "checkout-1"), Some(2000.0));
    // Nor when they are shown no more.
    let snapshot = attributed(&mut attributor, &index, &[&over[2]]);
    assert_eq!(created(&metrics(&snapshot), "checkout-1"), Some(2000.0));
    // Nor where it waited for long before it became the program.
    let mut slow = process(11, 'a');
    let runc = Arc::make_mut(&mut slow.process);
    (runc.forked, runc.comm) = (true, "runc:[2:INIT]".to_owned());
    let slow = ended(slow);
    let snapshot = attributed(&mut attributor, &index, &[&slow, &over[2]]);
    assert_eq!(created(&metrics(&snapshot), "checkout-1"), Some(2000.0));
}

#[test]
fn counters_of_a_container_that_ended_do_not_fall() {
    let mut pod = pod("checkout-1", UID, &id('a'));
    let mut attributor = attributor(false);
    let (first, second) = (process(10, 'a'), process(11, 'a'));
    let living = [Arc::new(first.clone()), Arc::new(second.clone())];
    let running = index(&[&pod]);
    attributed(&mut attributor, &running, &[&living[0], &living[1]]);
    pod["status"]["containerStatuses"][0]["state"] =
        json!({"terminated": {"exitCode": 0, "containerID": format!("containerd://{}", id('a'))}});
    let over = index(&[&pod]);
    let (first, second) = (ended(first), ended(second));
    // The first ended earlier, so it is shown no more while the second is.
    for shown in [vec![&first, &second], vec![&second]] {
        let text = metrics(&attributed(&mut attributor, &over, &shown));
        assert_eq!(created(&text, "checkout-1"), Some(4000.0));
    }
    let text = metrics(&attributed(&mut attributor, &over, &[]));
    assert_eq!(created(&text, "checkout-1"), None);
}

#[test]
fn counters_keep_what_ended_processes_counted() {
    let index = index(&[&pod("checkout-1", UID, &id('a'))]);
    let mut attributor = attributor(false);
    let server = Arc::new(process(10, 'a'));
    let mut last = 0.0;
    let mut text = String::new();
    for round in 0..5 {
        // A health check that was over before it was sampled, and a tool that was not.
        let mut check = in_container(observation(100 + round, "/bin/check"), &id('a'));
        check = lacking(check, FigureGroup::State, Reason::NotSampled);
        let tool = process(200 + round, 'a');
        let gone = [ended(check), ended(tool)];
        for shown in [vec![&server, &gone[0], &gone[1]], vec![&server]] {
            text = metrics(&attributed(&mut attributor, &index, &shown));
            let now = created(&text, "checkout-1").unwrap();
            assert!(now >= last, "{now} after {last}");
            last = now;
        }
    }
    assert_eq!(last as u64, 2000 + 5 * (1010 + 2000));
    let labels =
        "{namespace=\"shop\",pod=\"checkout-1\",container=\"server\",process=\"\",pid=\"\"}";
    // The state of those that were sampled; what is now, of the living alone.
    assert_eq!(
        value(&text, &format!("go_memstats_mallocs_total{labels}")),
        Some(60_000.0)
    );
    assert_eq!(
        value(&text, &format!("go_sched_latencies_seconds_count{labels}")),
        Some(36.0)
    );
    assert_eq!(value(&text, &format!("go_goroutines{labels}")), Some(7.0));
    // No Go process runs any more, the container does: its counters stay.
    let text = metrics(&attributed(&mut attributor, &index, &[]));
    assert!(created(&text, "checkout-1").is_some());
    assert_eq!(value(&text, &format!("go_goroutines{labels}")), None);
}

#[test]
fn a_container_started_again_begins_anew() {
    let mut before = pod("checkout-1", UID, &id('a'));
    let first = index(&[&before]);
    let mut attributor = attributor(false);
    let old = process(10, 'a');
    let living = Arc::new(old.clone());
    attributed(&mut attributor, &first, &[&living]);
    let mut restarted = running("server", &id('b'));
    restarted["lastState"] =
        json!({"terminated": {"exitCode": 1, "containerID": format!("containerd://{}", id('a'))}});
    before["status"]["containerStatuses"] = json!([restarted]);
    let second = index(&[&before]);
    let old = ended(old);
    let text = metrics(&attributed(&mut attributor, &second, &[&old]));
    assert_eq!(created(&text, "checkout-1"), Some(2000.0), "its last word");
    let mut new = process(11, 'b');
    let sample = Arc::make_mut(new.figures.state.as_mut().unwrap());
    Arc::make_mut(&mut sample.figures).goroutines.created = Some(3);
    let new = Arc::new(new);
    let text = metrics(&attributed(&mut attributor, &second, &[&old, &new]));
    assert_eq!(created(&text, "checkout-1"), Some(3.0));
}

fn without(pod: &Value) -> Arc<PodIndex> {
    let mut pods = Pods::default();
    pods.apply(decoded(pod));
    pods.delete(decoded(pod));
    Arc::new(pods.index(PodWatch::default(), Arc::default()))
}

#[test]
fn a_deleted_pods_last_figures_stay_for_all_who_ask() {
    let pod = pod("checkout-1", UID, &id('a'));
    let mut attributor = attributor(false);
    let living = Arc::new(process(10, 'a'));
    attributed(&mut attributor, &index(&[&pod]), &[&living]);
    let gone = without(&pod);
    let over = ended(process(10, 'a'));
    // However often somebody asks, the next who does is told the same.
    for _ in 0..5 {
        let last = attributed(&mut attributor, &gone, &[&over]);
        assert_eq!(created(&metrics(&last), "checkout-1"), Some(2000.0));
        assert_eq!(created(&metrics(&last), "checkout-1"), Some(2000.0));
    }
    let after = attributed(&mut attributor, &gone, &[]);
    let text = metrics(&after);
    assert!(!text.contains("checkout-1"), "{text}");
}

#[test]
fn a_name_or_a_pid_used_again_is_another_container() {
    let old = pod("db-0", UID, &id('a'));
    let mut pods = Pods::default();
    pods.apply(decoded(&old));
    pods.delete(decoded(&old));
    pods.apply(decoded(&pod("db-0", OTHER_UID, &id('b'))));
    pods.apply(decoded(&pod(
        "web-0",
        "22222222-4a1b-4c3d-9e5f-0123456789ab",
        &id('c'),
    )));
    let index = pods.index(PodWatch::default(), Arc::default());
    let processes = [
        ended(process(10, 'a')),
        Arc::new(process(11, 'b')),
        // The pid of the first, in another pod.
        Arc::new(process(10, 'c')),
    ];
    let text = metrics(&attributed(
        &mut attributor(false),
        &index,
        &processes.iter().collect::<Vec<_>>(),
    ));
    assert_eq!(created(&text, "db-0"), Some(2000.0));
    assert_eq!(created(&text, "web-0"), Some(2000.0));
    assert!(!text.contains(UID) && text.contains(OTHER_UID));
}

#[test]
fn a_containers_figures_are_its_services() {
    let index = index(&[&pod("checkout-1", UID, &id('a'))]);
    let from = |pid, origin| {
        let mut process = process(pid, 'a');
        Arc::make_mut(&mut process.process).origin = Some(origin);
        process
    };
    let probe = ended(from(12, Origin::Injected));
    let processes = [
        Arc::new(from(10, Origin::Service)),
        Arc::new(from(11, Origin::Service)),
        Arc::clone(&probe),
        Arc::new(from(13, Origin::Injected)),
        Arc::new(from(14, Origin::Runtime)),
    ];
    let mut attributor = attributor(false);
    let all = processes.iter().collect::<Vec<_>>();
    let snapshot = attributed(&mut attributor, &index, &all);
    assert_eq!(created(&metrics(&snapshot), "checkout-1"), Some(4000.0));
    let why: Vec<_> = snapshot
        .placed()
        .map(|(_, place)| match place {
            Attribution::Uncounted(_, why) => Some(*why),
            _ => None,
        })
        .collect();
    let injected = Some(Uncounted::Injected);
    let runtime = Some(Uncounted::Runtime);
    assert_eq!(why, [None, None, injected, injected, runtime]);
    // Nor when it is shown no more.
    let snapshot = attributed(&mut attributor, &index, &all[..2]);
    assert_eq!(created(&metrics(&snapshot), "checkout-1"), Some(4000.0));

    let mut recorder = crate::scaling::Recorder::new(std::time::Duration::from_secs(15));
    let snapshot = attributed(&mut attributor, &index, &all);
    recorder.record(&snapshot);
    let found = recorder.pods(&snapshot, SystemTime::now());
    let [container] = &found.containers[..] else {
        panic!("{found:?}");
    };
    assert_eq!(container.counted, [10, 11]);
    assert_eq!(container.now.goroutines, Some(14));
    let left_out: Vec<_> = container
        .uncounted
        .iter()
        .map(|it| (it.pid, it.why))
        .collect();
    assert_eq!(
        left_out,
        [(13, Uncounted::Injected), (14, Uncounted::Runtime)]
    );
}
