//! Which processes may be observed, by what their pods and namespaces say.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use observer_go::{
    binary::Reason,
    discover::{Container, Membership, Runtime},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{OTHER_UID, UID, decoded, id, pod};
use crate::{
    exclude::{ExclusionRules, Rule},
    fixtures::{in_container, left_alone, observation, snapshot, with_state},
    kube::{
        PodOptOut,
        attribute::Attributor,
        namespaces::Namespaces,
        pod_index::{PodIndex, Pods},
    },
    liveness::Liveness,
    node::{Admission, Attribution, Observation, OptOut, PodWatch, Snapshot, Uncounted},
};

fn metadata(name: &str, annotations: &[(&str, &str)]) -> ObjectMeta {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    ObjectMeta {
        name: Some(name.to_owned()),
        annotations: Some(annotations.iter().map(pair).collect()),
        ..ObjectMeta::default()
    }
}

const WISH: (&str, &str) = ("go-observer.dev/observe", "false");

fn rules(texts: &[&str]) -> Arc<ExclusionRules> {
    let rules = texts.iter().map(|text| text.parse::<Rule>().unwrap());
    Arc::new(ExclusionRules::new(rules.collect()))
}

/// Pods in the namespace `shop`, which bears these annotations.
fn index(rules: &Arc<ExclusionRules>, pods: &[&Value], shop: &[(&str, &str)]) -> PodIndex {
    let mut all = Pods::new(Arc::clone(rules));
    for pod in pods {
        all.apply(decoded(pod));
    }
    let mut namespaces = Namespaces::new(Arc::clone(rules));
    namespaces.apply(metadata("shop", shop));
    all.index(PodWatch::default(), namespaces.exclusions())
}

fn container(letter: char, pod_uid: Option<&str>) -> Membership {
    Membership {
        container: Some(Container {
            id: id(letter),
            runtime: Runtime::Containerd,
            pod_uid: pod_uid.map(str::to_owned),
        }),
        pod_uid: pod_uid.map(str::to_owned),
    }
}

fn is_excluded(verdict: &Admission, by: &str) -> bool {
    matches!(verdict, Admission::Excluded(why) if why.contains(by))
}

fn is_unknown(verdict: &Admission) -> bool {
    matches!(verdict, Admission::Unknown(_))
}

#[test]
fn a_pod_is_known_before_its_status_tells_of_containers() {
    let mut starting = pod("checkout-1", UID, &id('a'));
    starting["status"] = json!({"phase": "Pending"});
    let none = rules(&[]);
    let index = index(&none, &[&starting], &[]);
    let verdict = |place: &Membership| index.verdict(place, false);
    assert_eq!(verdict(&container('a', Some(UID))), Admission::Observe);
    // Also what is in the pod and in none of its containers.
    let sandbox = Membership {
        container: None,
        pod_uid: Some(UID.to_owned()),
    };
    assert_eq!(verdict(&sandbox), Admission::Observe);
    assert!(is_unknown(&verdict(&container('a', Some(OTHER_UID)))));
    assert_eq!(
        verdict(&Membership::default()),
        Admission::Observe,
        "no pod"
    );
}

#[test]
fn nothing_may_be_observed_before_pod_and_namespace_are_known() {
    let none = rules(&[]);
    let mut pods = Pods::default();
    let index = |pods: &Pods, namespaces: &Namespaces| {
        pods.index(PodWatch::default(), namespaces.exclusions())
    };
    let mut namespaces = Namespaces::new(Arc::clone(&none));
    let place = container('a', Some(UID));
    assert!(is_unknown(&index(&pods, &namespaces).verdict(&place, true)));
    pods.apply(decoded(&pod("checkout-1", UID, &id('a'))));
    assert!(is_unknown(&index(&pods, &namespaces).verdict(&place, true)));
    namespaces.apply(metadata("shop", &[]));
    let verdict = index(&pods, &namespaces).verdict(&place, true);
    assert_eq!(verdict, Admission::Observe);
    // A namespace of the same name may want otherwise.
    namespaces.delete("shop");
    assert!(is_unknown(&index(&pods, &namespaces).verdict(&place, true)));
    namespaces.begin();
    namespaces.apply(metadata("shop", &[WISH]));
    namespaces.listed();
    let verdict = index(&pods, &namespaces).verdict(&place, true);
    assert!(is_excluded(&verdict, "the namespace's annotation"));
    namespaces.begin();
    namespaces.listed();
    assert!(is_unknown(&index(&pods, &namespaces).verdict(&place, true)));
}

#[test]
fn where_the_path_names_no_pod_the_status_does() {
    let mut own = pod("checkout-1", UID, &id('a'));
    own["metadata"]["annotations"] = json!({WISH.0: WISH.1});
    let none = rules(&[]);
    let index = index(&none, &[&own], &[]);
    let verdict = |letter, host| index.verdict(&container(letter, None), host);
    assert!(is_excluded(&verdict('a', false), "the pod's annotation"));
    assert!(is_excluded(&verdict('a', true), "the pod's annotation"));
    // Some other engine's container, or one of a pod that is yet to be told of.
    assert!(is_unknown(&verdict('b', false)));
    assert_eq!(verdict('b', true), Admission::Observe);
}

#[test]
fn every_kind_of_rule_and_wish_is_heeded() {
    let place = container('a', Some(UID));
    let plain = pod("checkout-1", UID, &id('a'));
    let verdict = |texts: &[&str], pod: &Value, shop: &[(&str, &str)]| {
        index(&rules(texts), &[pod], shop).verdict(&place, false)
    };
    assert_eq!(
        verdict(&["path=/srv/shop"], &plain, &[]),
        Admission::Observe
    );
    for (texts, by) in [
        (&["namespace=sh?p"][..], "namespace=sh?p"),
        (&["label=app=checkout"], "label=app=checkout"),
        (&["label=none", "label=app"], "label=app"),
    ] {
        assert!(is_excluded(&verdict(texts, &plain, &[]), by), "{texts:?}");
    }
    assert_eq!(verdict(&["label=app=x"], &plain, &[]), Admission::Observe);
    let mut said = plain.clone();
    said["metadata"]["labels"][WISH.0] = json!(WISH.1);
    assert!(is_excluded(&verdict(&[], &said, &[]), "the pod's label"));
    let shop = verdict(&[], &plain, &[WISH]);
    assert!(is_excluded(&shop, "the namespace's annotation"));
}

#[test]
fn a_static_pod_is_asked_by_its_manifest() {
    let hash = "f3b0c44298fc1c149afbf4c8996fb924";
    let mut mirror = pod("etcd-node-a", UID, &id('a'));
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.hash": hash, WISH.0: WISH.1});
    let none = rules(&[]);
    let index = index(&none, &[&mirror], &[]);
    let verdict = index.verdict(&container('a', Some(hash)), false);
    assert!(is_excluded(&verdict, "the pod's annotation"));
}

#[test]
fn a_status_that_changes_decides_nothing_anew() {
    let none = rules(&[]);
    let mut changed = pod("checkout-1", UID, &id('a'));
    let before = index(&none, &[&changed], &[]);
    changed["status"]["phase"] = json!("Failed");
    changed["metadata"]["labels"]["app"] = json!("web");
    assert!(index(&none, &[&changed], &[]).decides_as(&before));
    assert!(!index(&none, &[&changed], &[WISH]).decides_as(&before));
    assert!(!index(&none, &[], &[]).decides_as(&before));
    changed["metadata"]["labels"][WISH.0] = json!(WISH.1);
    assert!(!index(&none, &[&changed], &[]).decides_as(&before));
    // Where the path names no pod, a container's id does.
    let moved = pod("checkout-1", UID, &id('b'));
    assert!(!index(&none, &[&moved], &[]).decides_as(&before));
}

#[tokio::test]
async fn the_engine_is_woken_when_a_wish_changes_and_not_by_every_status() {
    let none = rules(&[]);
    let plain = pod("checkout-1", UID, &id('a'));
    let (sender, pods) = watch::channel(Arc::new(PodIndex::default()));
    let wishes = PodOptOut::new(pods, false, &Liveness::default()).unwrap();
    let woken = async || {
        // The task that tells runs on this thread.
        tokio::time::sleep(Duration::from_millis(50)).await;
        wishes.take_changed()
    };
    let readable = || {
        let mut fd = [PollFd::from_borrowed_fd(wishes.changed(), PollFlags::IN)];
        poll(
            &mut fd,
            Some(&Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            }),
        )
        .unwrap()
            == 1
    };
    assert!(woken().await, "it may know less than there is");
    assert!(!woken().await && !readable());
    sender.send_replace(Arc::new(index(&none, &[&plain], &[])));
    let place = container('a', Some(UID));
    assert!(woken().await);
    assert_eq!(wishes.verdict(&place), Admission::Observe);
    sender.send_replace(Arc::new(index(&none, &[&plain], &[])));
    assert!(!woken().await);
    sender.send_replace(Arc::new(index(&none, &[&plain], &[WISH])));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(readable());
    assert!(woken().await && !readable());
    assert!(is_excluded(&wishes.verdict(&place), "namespace"));
}

fn places(index: &PodIndex, processes: Vec<Observation>) -> Vec<Attribution> {
    let mut snapshot = Snapshot::clone(&snapshot(processes));
    let mut attributor = Attributor::new("node-a".to_owned(), false);
    let cluster = attributor.cluster(&snapshot, index);
    snapshot.cluster = Some(Arc::new(cluster));
    snapshot.placed().map(|(_, place)| place.clone()).collect()
}

fn process(pid: u32) -> Observation {
    with_state(in_container(observation(pid, "/srv/shop"), &id('a')))
}

#[test]
fn what_was_counted_of_an_excluded_pod_is_not_shown_any_more() {
    let none = rules(&[]);
    let plain = pod("checkout-1", UID, &id('a'));
    let mut gone = process(11);
    gone.ended = Some(SystemTime::UNIX_EPOCH);
    let found = places(
        &index(&none, &[&plain], &[WISH]),
        vec![process(10), gone, left_alone(process(12), Reason::Excluded)],
    );
    assert!(matches!(
        &found[..],
        [
            Attribution::Uncounted(_, Uncounted::Excluded),
            Attribution::Uncounted(_, Uncounted::Excluded),
            Attribution::Container(_)
        ]
    ));
}

#[test]
fn one_that_is_left_alone_does_not_hide_the_figures_of_others() {
    let none = rules(&[]);
    let plain = pod("checkout-1", UID, &id('a'));
    let index = index(&none, &[&plain], &[]);
    let alone = || left_alone(process(12), Reason::Excluded);
    let found = places(&index, vec![process(10), alone()]);
    assert!(matches!(
        &found[..],
        [
            Attribution::Container(_),
            Attribution::Uncounted(_, Uncounted::Excluded)
        ]
    ));
    // By itself it has a series, which says why there are no figures.
    let found = places(&index, vec![alone()]);
    assert!(matches!(&found[..], [Attribution::Container(_)]));
}

#[test]
fn a_host_of_a_go_library_does_not_hide_the_figures_of_others() {
    let none = rules(&[]);
    let plain = pod("checkout-1", UID, &id('a'));
    let index = index(&none, &[&plain], &[]);
    let host = || {
        let mut host = left_alone(process(12), Reason::SharedLibrary);
        host.library = Some(Path::new("/opt/lib/burst.so").into());
        host
    };
    let found = places(&index, vec![process(10), host()]);
    assert!(matches!(
        &found[..],
        [
            Attribution::Container(_),
            Attribution::Uncounted(_, Uncounted::SharedLibrary)
        ]
    ));
    let found = places(&index, vec![host()]);
    assert!(matches!(&found[..], [Attribution::Container(_)]));
}
