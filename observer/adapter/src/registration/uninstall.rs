//! How the adapter learns that it is being uninstalled.

use std::{
    future::pending,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    core::ApiResource,
    runtime::watcher::{self, Config, Event},
};
use observer_node::kube::Connection;

use super::Registrar;
use crate::{
    api::path::WorkloadKind,
    data::{decoded::Decoded, watches::follow_events},
};

/// Kubernetes begins to delete what is in a namespace five seconds after the
/// namespace itself, and with it the account by which the adapter may do
/// anything.
const PATIENCE: Duration = Duration::from_secs(3);

impl Registrar {
    /// [`Registrar::withdraw`], as far as that goes now.
    async fn leave(&self, why: &'static str) {
        tracing::info!(why, "uninstalled: deleting the APIServices");
        match tokio::time::timeout(PATIENCE, self.withdraw()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "failed to delete the APIServices; left to Kubernetes' garbage collection");
            }
            Err(_) => {
                tracing::warn!(
                    "timed out deleting the APIServices; left to Kubernetes' garbage collection"
                );
            }
        }
    }

    /// Leaves if the Deployment of the adapter, which has its Service's name, is
    /// gone for good and not only this replica.
    pub(crate) async fn leave_if_uninstalled(&self) {
        if self.was_installed.load(Ordering::Relaxed) && !self.is_installed() {
            self.leave("the Deployment is gone").await;
        }
    }

    pub(super) fn is_installed(&self) -> bool {
        let objects = self.objects.read();
        let deployments = objects.workloads.get(&WorkloadKind::Deployment);
        let found = deployments.and_then(|all| all.entry(&self.namespace, &self.service));
        found.is_some_and(|(_, deployment)| !deployment.deleting)
    }
}

/// Leaves as soon as the adapter's namespace is being deleted, which an
/// APIService that leads into it would not let end. For ever.
pub(crate) async fn follow_namespace(connection: Connection, registrar: Arc<Registrar>) {
    let api = Api::<Decoded>::all_with(connection.client, &ApiResource::erase::<Namespace>(&()));
    let config = Config::default()
        .fields(&format!("metadata.name={}", registrar.namespace))
        .timeout(120);
    let (sender, mut leaving) = tokio::sync::watch::channel(false);
    let events = watcher::watcher(api, config);
    let follow = follow_events("its namespace", connection.answered, events, move |event| {
        if let Event::Apply(namespace) | Event::InitApply(namespace) = event
            && namespace.metadata.deletion_timestamp.is_some()
        {
            sender.send_replace(true);
        }
    });
    let leave = async {
        if leaving.wait_for(|leaving| *leaving).await.is_ok() {
            registrar.leave("the namespace is being deleted").await;
        }
        pending::<()>().await;
    };
    tokio::join!(follow, leave);
}
