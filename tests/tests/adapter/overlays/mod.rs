//! The overlays of the adapter, in place of what users begin with; afterwards
//! that again.

mod cert_manager;
mod external;

use observer_tests::cluster::{Adapter, NAMESPACE, adapter::deploy};

/// The two versions of the group that deploy/adapter registers.
const CUSTOM: [&str; 2] = [
    "v1beta1.custom.metrics.k8s.io",
    "v1beta2.custom.metrics.k8s.io",
];
const EXTERNAL: &str = "v1beta1.external.metrics.k8s.io";

/// Waits until all replicas are those of the last change.
fn rolled_out(adapter: &Adapter) {
    let args = ["rollout", "status", "deployment/observer-adapter"];
    let place = ["--namespace", NAMESPACE, "--timeout=120s"];
    adapter.cluster.kubectl(&[args, place].concat());
}

/// Has deploy/adapter back, when dropped.
struct Back<'a>(&'a Adapter);

impl Drop for Back<'_> {
    fn drop(&mut self) {
        let cluster = &self.0.cluster;
        let _ = cluster.try_kubectl(&["delete", "apiservice", EXTERNAL, "--ignore-not-found"]);
        let _ = cluster.try_kubectl(&["apply", "-k", &deploy("adapter")]);
        // A second panic would hide the first.
        if !std::thread::panicking() {
            rolled_out(self.0);
            self.0.await_available();
            self.0.replicas();
        }
    }
}
