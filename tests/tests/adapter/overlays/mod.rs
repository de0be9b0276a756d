//! The overlays of the adapter, in place of what users begin with; afterwards
//! that again.

mod cert_manager;
mod external;

use observer_tests::{
    cluster::{Adapter, Cluster, NAMESPACE, SOON, adapter::deploy},
    wait,
};

/// The two versions of the group that the adapter serves as deploy/adapter has it.
pub(crate) const CUSTOM: [&str; 2] = [
    "v1beta1.custom.metrics.k8s.io",
    "v1beta2.custom.metrics.k8s.io",
];
pub(crate) const EXTERNAL: &str = "v1beta1.external.metrics.k8s.io";

/// Waits until all replicas are those of the last change.
pub(crate) fn rolled_out(adapter: &Adapter) {
    let args = ["rollout", "status", "deployment/observer-adapter"];
    let place = ["--namespace", NAMESPACE, "--timeout=120s"];
    adapter.cluster.kubectl(&[args, place].concat());
}

/// Waits until these APIServices are not there.
pub(crate) fn await_gone(cluster: &Cluster, names: &[&str]) {
    for name in names {
        wait::until(&format!("{name} gone"), SOON, || {
            cluster.find(&["apiservice", name]).is_none().then_some(())
        });
    }
}

/// Has deploy/adapter back, when dropped.
pub(crate) struct Back<'a>(pub(crate) &'a Adapter);

impl Drop for Back<'_> {
    fn drop(&mut self) {
        let cluster = &self.0.cluster;
        let _ = cluster.try_kubectl(&["apply", "-k", &deploy("adapter")]);
        // A second panic would hide the first.
        if !std::thread::panicking() {
            rolled_out(self.0);
            self.0.await_available();
            self.0.replicas();
            // What a switch there and back leaves.
            await_gone(cluster, &[EXTERNAL]);
        }
    }
}
