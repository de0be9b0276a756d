//! Requests without a pause while something else changes.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
};

use observer_tests::cluster::{Adapter, NODES, Namespace, SOON, witness::still};
use observer_tests::wait;

/// Ends what goes on until told, when dropped: also where a part fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A program on each node, once both nodes have a value.
pub(crate) fn on_each_node(adapter: &Adapter) -> Namespace {
    let namespace = Namespace::create(&adapter.cluster, "each");
    for node in NODES {
        namespace.apply(still(node, Some(node)));
    }
    await_each_node(adapter);
    namespace
}

/// Waits until both nodes have a value.
pub(crate) fn await_each_node(adapter: &Adapter) {
    wait::until("values of both nodes", SOON, || {
        let answer = adapter.try_ask("v1beta2", "nodes/*/go_goroutines").ok()?;
        (answer.code == 200 && answer.items().len() == NODES.len()).then_some(())
    });
}

/// Does something, during which every request through the API server must be
/// answered well.
pub(crate) fn during(adapter: &Adapter, act: impl FnOnce()) {
    let (over, answered) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let answer = adapter.ask("v1beta2", "nodes/*/go_goroutines");
                assert_eq!(answer.code, 200, "under load: {}", answer.body);
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
        let _end = End(&over);
        act();
    });
    assert!(answered.into_inner() > 10, "no load");
}
