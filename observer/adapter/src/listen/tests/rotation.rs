//! What is trusted, and what is shown, changes while requests go on.

use std::{
    sync::atomic::{AtomicBool, AtomicU8, Ordering},
    time::Duration,
};

use observer_node::fixtures::Authority;

use super::{ConnectionLimits, DAY, PATH, connect, front};
use crate::fixtures::{Front, World, limits, trust};

const NO: u8 = 0;
const YES: u8 = 1;
const CHANGING: u8 = 2;
const JANE: [(&str, &str); 1] = [("X-Remote-User", "jane")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_authorities_of_proxies_rotate_under_load() {
    let front = front(ConnectionLimits::of_adapter()).await;
    let next = Authority::new("next");
    let old = front.proxies.client("front-proxy-client", &[], DAY);
    let new = next.client("front-proxy-client", &[], DAY);
    let rotate = |proxies: &str| {
        let data = trust(proxies, &front.clients.pem);
        front.server.front.replace(&data).unwrap();
    };
    let pause = || tokio::time::sleep(Duration::from_millis(200));
    let done = AtomicBool::new(false);
    let trusted = [YES, NO].map(AtomicU8::new);
    // Answers on kept connections, while the authority is trusted throughout.
    let load = async |which: usize, http2: bool| {
        let shown = if which == 0 { &old } else { &new };
        let caller = if http2 {
            front.caller(Some(shown))
        } else {
            front.old_caller(Some(shown))
        };
        let mut counted = 0;
        while !done.load(Ordering::SeqCst) {
            let before = trusted[which].load(Ordering::SeqCst);
            let status = caller.ask("GET", PATH, &JANE).await.0;
            let after = trusted[which].load(Ordering::SeqCst);
            match (before, after) {
                (YES, YES) => assert_eq!(status, 200),
                (NO, NO) => assert_eq!(status, 403),
                // It changed meanwhile.
                _ => assert!([200, 403].contains(&status), "{status}"),
            }
            counted += 1;
        }
        counted
    };
    let change = |which: usize, to: u8, proxies: &str| {
        trusted[which].store(CHANGING, Ordering::SeqCst);
        rotate(proxies);
        trusted[which].store(to, Ordering::SeqCst);
    };
    let both = format!("{}{}", front.proxies.pem, next.pem);
    let rotation = async {
        for _ in 0..3 {
            pause().await;
            change(1, YES, &both);
            pause().await;
            change(0, NO, &next.pem);
            pause().await;
            // And back.
            change(0, YES, &both);
            pause().await;
            change(1, NO, &front.proxies.pem);
        }
        pause().await;
        done.store(true, Ordering::SeqCst);
    };
    let (a, b, c, d, ()) = tokio::join!(
        load(0, true),
        load(0, false),
        load(1, true),
        load(1, false),
        rotation
    );
    assert!(
        [a, b, c, d].iter().all(|counted| *counted > 20),
        "{a} {b} {c} {d}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_serving_certificate_rotates_under_load() {
    let world = World::new(limits()).listed(&[]);
    let front = Front::within(
        &world,
        ConnectionLimits::of_adapter(),
        std::future::pending(),
    )
    .await;
    let done = AtomicBool::new(false);
    let load = async {
        let kept = front.caller(None);
        while !done.load(Ordering::Relaxed) {
            assert_eq!(kept.ask("GET", "/healthz", &[]).await.0, 200);
            assert_eq!(front.caller(None).ask("GET", "/healthz", &[]).await.0, 200);
        }
    };
    let rotation = async {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..10 {
            let pair = world.authority.issue(&["127.0.0.1".to_owned()]).unwrap();
            front
                .replacer
                .replace(&pair.certificate, &pair.key)
                .unwrap();
            let stream = connect(&front, b"h2").await;
            let shown = stream.get_ref().1.peer_certificates().unwrap();
            seen.insert(shown[0].to_vec());
        }
        // One that is none changes nothing.
        assert!(front.replacer.replace("no", "certificate").is_err());
        connect(&front, b"h2").await;
        done.store(true, Ordering::Relaxed);
        seen.len()
    };
    let ((), seen) = tokio::join!(load, rotation);
    assert_eq!(seen, 10);
}
