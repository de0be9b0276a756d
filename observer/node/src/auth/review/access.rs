//! SubjectAccessReview: what a user may.

use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::{Api, Client, api::PostParams};
use ring::digest::{Context, SHA256};

use super::{
    answer_cache::{Answer, AnswerCache, AnswerCacheLimits, Key},
    error::ReviewError,
};
use crate::auth::{Refusal, User};

/// What somebody wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// With a path that is no resource, as `/metrics`.
    Path {
        /// As `get`.
        verb: String,
        /// Without the query.
        path: String,
    },
    /// With a resource; what is empty is not named.
    Resource {
        /// As `get`.
        verb: String,
        /// As `custom.metrics.k8s.io`.
        group: String,
        /// As `v1beta2`.
        version: String,
        /// Empty for all or for what has no namespace.
        namespace: String,
        /// As `pods`.
        resource: String,
        /// As the name of a metric.
        subresource: String,
        /// Of the object; `*` for all that are selected.
        name: String,
    },
}

impl Access {
    /// The refusal of it.
    pub fn refused(&self, user: &User) -> Refusal {
        let (verb, what) = match self {
            Self::Path { verb, path } => (verb, format!("path {path:?}")),
            Self::Resource {
                verb,
                group,
                namespace,
                resource,
                subresource,
                name,
                ..
            } => (
                verb,
                format!(
                    "resource \"{resource}/{subresource}\" {name:?} of API group {group:?} in namespace {namespace:?}"
                ),
            ),
        };
        Refusal::Forbidden {
            user: user.name.clone(),
            verb: verb.clone(),
            what,
        }
    }
}

/// Asks what a user may.
pub(crate) struct AccessReviewer {
    api: Api<SubjectAccessReview>,
    answers: AnswerCache<AccessDecision>,
}

/// Whether the user may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AccessDecision(bool);

impl Answer for AccessDecision {
    fn is_positive(&self) -> bool {
        self.0
    }
}

impl AccessReviewer {
    /// Asks through `client`.
    pub(crate) fn new(client: Client, limits: AnswerCacheLimits) -> Self {
        Self {
            api: Api::all(client),
            answers: AnswerCache::new("SubjectAccessReview", limits),
        }
    }

    /// Whether `user` may.
    pub(crate) async fn is_allowed(
        &self,
        user: &User,
        access: &Access,
    ) -> Result<bool, ReviewError> {
        let api = self.api.clone();
        let review = SubjectAccessReview {
            spec: spec(user, access),
            ..SubjectAccessReview::default()
        };
        let key = digest(&review.spec)?;
        let verdict = self
            .answers
            .get(key, move || Box::pin(ask(api.clone(), review.clone())))
            .await?;
        Ok(verdict.0)
    }
}

fn spec(user: &User, access: &Access) -> SubjectAccessReviewSpec {
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    let mut spec = SubjectAccessReviewSpec {
        user: some(&user.name),
        uid: some(&user.uid),
        groups: Some(user.groups.clone()),
        extra: (!user.extra.is_empty()).then(|| user.extra.clone()),
        ..SubjectAccessReviewSpec::default()
    };
    match access {
        Access::Path { verb, path } => {
            spec.non_resource_attributes = Some(NonResourceAttributes {
                verb: some(verb),
                path: some(path),
            });
        }
        Access::Resource {
            verb,
            group,
            version,
            namespace,
            resource,
            subresource,
            name,
        } => {
            spec.resource_attributes = Some(ResourceAttributes {
                verb: some(verb),
                group: some(group),
                version: some(version),
                namespace: some(namespace),
                resource: some(resource),
                subresource: some(subresource),
                name: some(name),
                ..ResourceAttributes::default()
            });
        }
    }
    spec
}

/// Equal for equal questions only: JSON keeps the parts apart.
fn digest(spec: &SubjectAccessReviewSpec) -> Result<Key, ReviewError> {
    let text = serde_json::to_vec(spec).map_err(|_| ReviewError::Unknown)?;
    let mut context = Context::new(&SHA256);
    context.update(&text);
    let mut key = Key::default();
    key.copy_from_slice(context.finish().as_ref());
    Ok(key)
}

async fn ask(
    api: Api<SubjectAccessReview>,
    review: SubjectAccessReview,
) -> Result<AccessDecision, ReviewError> {
    let review = api
        .create(&PostParams::default(), &review)
        .await
        .map_err(|error| {
            tracing::debug!(%error, "SubjectAccessReview failed");
            ReviewError::of(&error)
        })?;
    let status = review.status.ok_or(ReviewError::Unknown)?;
    Ok(AccessDecision(
        status.allowed && status.denied != Some(true),
    ))
}
