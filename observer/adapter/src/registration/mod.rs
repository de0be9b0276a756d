//! Keeps the adapter's APIServices, by which the aggregator leads to it.
//!
//! They are made here and not by a manifest, since `kubectl apply` of one that
//! another server has would take it silently. Each names a ClusterRole of the
//! observers as its owner, so that Kubernetes itself removes it with them,
//! whether the adapter still runs or not: one that leads nowhere would block the
//! deletion of every namespace.

mod objects;
mod plan;
mod uninstall;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::http::Method;
use observer_node::kube::Connection;
use serde_json::{Value, json};
use tokio::sync::{Mutex, watch};

pub(crate) use self::uninstall::follow_namespace;
use self::{
    objects::Objects,
    plan::{Ours, Plan, RegisteredVersion, Step, plan},
};
use super::{
    api::group::{ApiGroup, ApiGroups},
    data::watches::SharedObjects,
    reconcile::ReconcileLoop,
    telemetry::Telemetry,
};

const SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// Why they could not be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegisterError {
    /// The API server.
    #[error("{what}: {error}")]
    Api {
        /// What was wanted.
        what: &'static str,
        /// Why not.
        error: kube::Error,
    },
    /// What they go away with.
    #[error(
        "there is no ClusterRole {0}, with which APIServices go away: apply deploy/adapter as a whole, or name another with --cluster-role"
    )]
    NoOwner(String),
    /// The file with the authority.
    #[error("cannot read {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
}

/// By what the aggregator verifies the adapter.
#[derive(Clone, Debug)]
pub(crate) enum Bundle {
    /// The authority that the keeper has; none yet, or this one.
    Kept(watch::Receiver<Option<String>>),
    /// The one in this file.
    File(PathBuf),
    /// Somebody else writes it.
    Foreign,
}

/// What is registered, and for whom.
pub(crate) struct Registrar {
    /// The API server.
    pub connection: Connection,
    /// Which groups the adapter serves.
    pub groups: ApiGroups,
    /// The adapter's namespace.
    pub namespace: String,
    /// The adapter's Service.
    pub service: String,
    /// The ClusterRole that APIServices go away with.
    pub owner: String,
    /// By what the adapter is verified.
    pub bundle: Bundle,
    /// The cluster's objects, the adapter's Deployment among them.
    pub objects: SharedObjects,
    /// Whether that was there.
    pub was_installed: AtomicBool,
    /// The adapter's own figures.
    pub telemetry: Arc<Telemetry>,
    /// Only one at a time changes anything; whether the adapter leaves.
    pub left: Mutex<bool>,
    /// Of groups that another server has, what was said.
    pub told: RwLock<HashMap<ApiGroup, String>>,
}

impl Registrar {
    /// Keeps them as they should be, for ever, from when the adapter can serve:
    /// what is registered before blocks others.
    pub(crate) async fn run(self: Arc<Self>, ready: impl Future<Output = ()>) {
        ready.await;
        let mut reconcile_loop = ReconcileLoop::new("failed to reconcile the APIServices");
        let mut bundle = self.bundle.clone();
        loop {
            let kept = self.keep().await;
            tokio::select! {
                () = reconcile_loop.rest(kept, &self.connection.answered) => {}
                () = bundle.changed() => {}
            }
        }
    }

    async fn keep(&self) -> Result<(), RegisterError> {
        let left = self.left.lock().await;
        if *left {
            return Ok(());
        }
        if self.is_installed() {
            self.was_installed.store(true, Ordering::Relaxed);
        }
        let bundle = match &self.bundle {
            Bundle::Foreign => None,
            Bundle::File(path) => Some(read(path).await?),
            Bundle::Kept(authority) => {
                let known = authority.borrow().clone();
                if known.is_none() {
                    return Ok(());
                }
                known
            }
        };
        let ours = Ours {
            namespace: &self.namespace,
            service: &self.service,
            owner: self.owner().await?,
            bundle: bundle.as_deref(),
        };
        for group in ApiGroup::ALL {
            let served = self.groups.all().contains(&group);
            let plan = plan(served, &self.entries(group).await?, &ours);
            self.tell(group, served, &plan);
            for step in plan.steps {
                self.take(step).await?;
            }
        }
        Ok(())
    }

    /// Takes away all that is the adapter's, until nothing is left, and lets it
    /// stay so.
    pub(crate) async fn withdraw(&self) -> Result<(), RegisterError> {
        let mut left = self.left.lock().await;
        *left = true;
        let ours = Ours {
            namespace: &self.namespace,
            service: &self.service,
            owner: Value::Null,
            bundle: None,
        };
        loop {
            let mut steps = Vec::new();
            for group in ApiGroup::ALL {
                steps.extend(plan(false, &self.entries(group).await?, &ours).steps);
            }
            if steps.is_empty() {
                return Ok(());
            }
            for step in steps {
                self.take(step).await?;
            }
        }
    }

    fn api(&self) -> Objects {
        Objects(self.connection.client.clone())
    }

    /// What those of a group are now.
    async fn entries(&self, group: ApiGroup) -> Result<Vec<RegisteredVersion>, RegisterError> {
        let mut entries = Vec::new();
        for &version in group.versions() {
            let path = format!("{SERVICES}/{}", group.api_service(version));
            let found = self.api().get(&path).await;
            entries.push(RegisteredVersion {
                group,
                version,
                found: found.map_err(failed("reading an APIService"))?,
            });
        }
        Ok(entries)
    }

    /// A reference to what APIServices go away with.
    async fn owner(&self) -> Result<Value, RegisterError> {
        let path = format!("/apis/{RBAC}/clusterroles/{}", self.owner);
        let found = self.api().get(&path).await;
        let found = found.map_err(failed(
            "reading the ClusterRole that APIServices go away with",
        ))?;
        let stays = found.filter(|role| role["metadata"]["deletionTimestamp"].is_null());
        let role = stays.ok_or_else(|| RegisterError::NoOwner(self.owner.clone()))?;
        let uid = &role["metadata"]["uid"];
        Ok(json!({"apiVersion": RBAC, "kind": "ClusterRole", "name": self.owner, "uid": uid}))
    }

    /// Says whose the group is, whenever that is another than before.
    fn tell(&self, group: ApiGroup, served: bool, plan: &Plan) {
        if served {
            let ours = plan.another.is_none();
            self.telemetry.registered(group.name(), ours);
        }
        let mut told = self.told.write().unwrap_or_else(PoisonError::into_inner);
        let now = plan.another.as_ref().filter(|_| served);
        if told.get(&group) == now {
            return;
        }
        if let Some(another) = now {
            tracing::warn!(
                group = group.name(),
                "{another}: the group is left to it, and autoscalers get none of our values by it. \
                 To have it ours, delete that APIService; to leave it and scale on ours all the same, \
                 kubectl apply -k deploy/adapter-overlays/external-metrics"
            );
            told.insert(group, another.clone());
        } else {
            tracing::info!(
                group = group.name(),
                "no other server has the group any more"
            );
            told.remove(&group);
        }
    }

    async fn take(&self, step: Step) -> Result<(), RegisterError> {
        let (name, method, body, done) = match step {
            Step::Create { name, object } => (name, Method::POST, object, "made"),
            Step::Mend { name, patch } => (name, Method::PATCH, patch, "mended"),
            Step::Delete { name, options } => (name, Method::DELETE, options, "deleted"),
        };
        let path = match method {
            Method::POST => SERVICES.to_owned(),
            _ => format!("{SERVICES}/{name}"),
        };
        match self.api().send(method, &path, &body).await.map(drop) {
            Ok(()) => tracing::info!(api_service = name, "{done}"),
            // Another replica was there first, or it was changed meanwhile: the
            // next look tells.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            Err(error) => return Err(failed("changing an APIService")(error)),
        }
        Ok(())
    }
}

impl Bundle {
    /// Returns when there is another.
    async fn changed(&mut self) {
        if let Self::Kept(authority) = self
            && authority.changed().await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

fn failed(what: &'static str) -> impl Fn(kube::Error) -> RegisterError {
    move |error| RegisterError::Api { what, error }
}

async fn read(path: &std::path::Path) -> Result<String, RegisterError> {
    let found = tokio::fs::read_to_string(path).await;
    found.map_err(|error| RegisterError::File {
        path: path.to_owned(),
        error,
    })
}
