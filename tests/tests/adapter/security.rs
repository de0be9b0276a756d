//! Who gets an answer of the adapter, asked without the API server in between.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use observer_tests::{
    cluster::{
        Adapter, Cluster, SOON,
        adapter::{Identity, Replica},
        api_server::ApiServer,
        turn,
    },
    wait,
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use serde_json::json;

use crate::load;

const NODES: &str = "/apis/custom.metrics.k8s.io/v1beta2/nodes/*/go_goroutines";
const MAP: [&str; 4] = [
    "configmap",
    "extension-apiserver-authentication",
    "--namespace",
    "kube-system",
];
const PROXIES: &str = "requestheader-client-ca-file";
/// Common name that front proxies have in this cluster.
const PROXY: &str = "front-proxy-client";
const DAY: Duration = Duration::from_hours(24);
/// An administrator, by the headers of a front proxy.
const ADMINISTRATOR: [(&str, &str); 2] = [
    ("X-Remote-User", "somebody"),
    ("X-Remote-Group", "system:masters"),
];

/// A certificate authority of the cluster or of a test.
struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn of_cluster(cluster: &Cluster, name: &str) -> Self {
        let read = |end: &str| {
            let path = cluster.directory().join(format!("pki/{name}.{end}"));
            fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        };
        let (certificate, key) = (read("crt"), read("key"));
        let key = KeyPair::from_pem(&key).expect("its key");
        let issuer = Issuer::from_ca_cert_pem(&certificate, key).expect("an authority");
        Self(issuer, certificate)
    }

    fn new(ends: SystemTime) -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "another authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = (SystemTime::now() - 10 * DAY).into();
        params.not_after = ends.into();
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self(Issuer::new(params, key), pem)
    }

    /// A client's certificate.
    fn issue(&self, name: &str, group: Option<&str>, ends: SystemTime) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        if let Some(group) = group {
            params
                .distinguished_name
                .push(DnType::OrganizationName, group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = (SystemTime::now() - 10 * DAY).into();
        params.not_after = ends.into();
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

/// Who asks, with which headers and which certificate, and the code expected.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<Identity>, u16);

/// The code of the answer; 0 where the handshake fails.
fn code(replica: &Replica, headers: &[(&str, &str)], identity: Option<&Identity>) -> u16 {
    let answer = replica.ask(NODES, headers, identity);
    answer.map_or(0, |answer| answer.code)
}

#[test]
fn only_who_may_gets_an_answer() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    let (proxies, clients) = (
        Authority::of_cluster(&cluster, "front-proxy-ca"),
        Authority::of_cluster(&cluster, "ca"),
    );
    let later = SystemTime::now() + DAY;
    let before = SystemTime::now() - DAY;
    let proxy = proxies.issue(PROXY, None, later);
    let bearer = |token: &str| format!("Bearer {token}");
    let none = bearer(&cluster.token("default", "default"));
    let good = bearer(&cluster.token("kube-system", "horizontal-pod-autoscaler"));
    let bad = bearer("not.a.token");
    let (none, good, bad) = (
        [("Authorization", none.as_str())],
        [("Authorization", good.as_str())],
        [("Authorization", bad.as_str())],
    );
    let forged = [none[0], ADMINISTRATOR[0], ADMINISTRATOR[1]];
    let masters = Some("system:masters");
    let stranger = Authority::new(later);
    let crashes = restarts(&adapter);
    for replica in adapter.replicas() {
        let cases: [Case<'_>; 15] = [
            ("nobody", &[], None, 403),
            ("forged headers", &ADMINISTRATOR, None, 403),
            ("forged headers and a token", &forged, None, 403),
            ("a token without rights", &none, None, 403),
            ("no token at all", &bad, None, 401),
            ("a token with rights", &good, None, 200),
            (
                "the front proxy for an administrator",
                &ADMINISTRATOR,
                Some(proxy.clone()),
                200,
            ),
            (
                "the front proxy for somebody",
                &ADMINISTRATOR[..1],
                Some(proxy.clone()),
                403,
            ),
            ("the front proxy for nobody", &[], Some(proxy.clone()), 403),
            (
                "another name by the authority of proxies",
                &ADMINISTRATOR,
                Some(proxies.issue("somebody", None, later)),
                403,
            ),
            (
                "the proxy's name by the authority of clients",
                &ADMINISTRATOR,
                Some(clients.issue(PROXY, None, later)),
                403,
            ),
            (
                "the proxy's name by a stranger",
                &ADMINISTRATOR,
                Some(stranger.issue(PROXY, None, later)),
                403,
            ),
            (
                "a proxy that has ended",
                &ADMINISTRATOR,
                Some(proxies.issue(PROXY, None, before)),
                403,
            ),
            (
                "an administrator's certificate",
                &[],
                Some(clients.issue("admin", masters, later)),
                200,
            ),
            (
                "an administrator's that has ended",
                &[],
                Some(clients.issue("admin", masters, before)),
                403,
            ),
        ];
        for (who, headers, identity, expected) in cases {
            let found = code(&replica, headers, identity.as_ref());
            // Whose certificate counts for nothing is nobody, or is not let in.
            let refused = expected == 403 && matches!(found, 0 | 401);
            assert!(
                found == expected || refused,
                "{who}: {found}, not {expected}"
            );
        }
    }
    assert_eq!(restarts(&adapter), crashes, "somebody made it crash");
}

/// How often containers of the adapter were started again.
pub(crate) fn restarts(adapter: &Adapter) -> Vec<u64> {
    let of = |pod: &serde_json::Value| {
        let status = &pod["status"]["containerStatuses"][0];
        status["restartCount"].as_u64().expect("a number")
    };
    adapter.pods().iter().map(of).collect()
}

/// The authorities of front proxies, as the cluster has them; put back when
/// dropped.
struct Trust {
    cluster: Cluster,
    before: String,
}

impl Trust {
    fn get(cluster: &Cluster) -> Self {
        let map = cluster.get_object(&MAP);
        let before = map["data"][PROXIES].as_str().expect("authorities");
        Self {
            cluster: cluster.clone(),
            before: before.to_owned(),
        }
    }

    fn set(&self, pem: &str) {
        let patch = json!({ "data": { PROXIES: pem } }).to_string();
        let args = ["patch", "--type=merge", "--patch", &patch];
        self.cluster
            .kubectl(&[&args[..1], &MAP, &args[1..]].concat());
    }
}

impl Drop for Trust {
    fn drop(&mut self) {
        self.set(&self.before);
    }
}

#[test]
fn authorities_change_under_load() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    let later = SystemTime::now() + DAY;
    let (next, ended) = (
        Authority::new(later),
        Authority::new(SystemTime::now() - DAY),
    );
    let replica = adapter.replicas().remove(0);
    let client = next.issue(PROXY, None, later);
    let of_ended = ended.issue(PROXY, None, later);
    let ask = |identity| code(&replica, &ADMINISTRATOR, Some(identity));
    assert_ne!(ask(&client), 200);
    load::during(&adapter, || {
        let trust = Trust::get(&cluster);
        // Both, as during a rotation, and one that is over.
        trust.set(&[&trust.before, next.1.as_str(), &ended.1].concat());
        wait::until("the next authority counts", SOON, || {
            (ask(&client) == 200).then_some(())
        });
        assert_ne!(ask(&of_ended), 200, "by an authority that has ended");
        drop(trust);
        wait::until("it no longer counts", SOON, || {
            (ask(&client) != 200).then_some(())
        });
    });
}

#[test]
fn the_api_server_says_no_for_us() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    Adapter::get(&cluster);
    let path = Adapter::path("v1beta2", "nodes/*/go_goroutines");
    let stranger = cluster.token("default", "default");
    let answer = ApiServer::with_token(&cluster, Some(&stranger)).ask(&path);
    assert_eq!(
        (answer.code, &answer.body["reason"]),
        (403, &json!("Forbidden"))
    );
    let message = answer.body["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("system:serviceaccount:default:default"),
        "{message}"
    );
    let answer = ApiServer::with_token(&cluster, None).ask(&path);
    assert!(matches!(answer.code, 401 | 403), "{answer:?}");
}
