//! TokenReview: who a bearer token is.

use std::sync::Arc;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::{Api, Client, api::PostParams};
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};

use super::{
    answer_cache::{Answer, AnswerCache, AnswerCacheLimits, Key},
    error::ReviewError,
};
use crate::auth::{SecurityError, User};

/// Asks who a token is.
pub(crate) struct TokenReviewer {
    api: Api<TokenReview>,
    answers: AnswerCache<Option<Arc<User>>>,
    /// Tokens are kept as digests under a key of this process alone.
    key: hmac::Key,
}

impl Answer for Option<Arc<User>> {
    fn is_positive(&self) -> bool {
        self.is_some()
    }
}

impl TokenReviewer {
    /// Asks through `client`.
    pub(crate) fn new(client: Client, limits: AnswerCacheLimits) -> Result<Self, SecurityError> {
        let mut secret = [0; 32];
        SystemRandom::new()
            .fill(&mut secret)
            .map_err(|_| SecurityError::Random)?;
        Ok(Self {
            api: Api::all(client),
            answers: AnswerCache::new("TokenReview", limits),
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
        })
    }

    /// Whose token it is; none where it is nobody's.
    pub(crate) async fn user(&self, token: &str) -> Result<Option<Arc<User>>, ReviewError> {
        let api = self.api.clone();
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: Some(token.to_owned()),
                audiences: None,
            },
            ..TokenReview::default()
        };
        self.answers
            .get(self.digest(token), move || {
                Box::pin(ask(api.clone(), review.clone()))
            })
            .await
    }

    fn digest(&self, token: &str) -> Key {
        let mut digest = Key::default();
        digest.copy_from_slice(hmac::sign(&self.key, token.as_bytes()).as_ref());
        digest
    }
}

async fn ask(api: Api<TokenReview>, review: TokenReview) -> Result<Option<Arc<User>>, ReviewError> {
    let review = api
        .create(&PostParams::default(), &review)
        .await
        .map_err(|error| {
            tracing::debug!(%error, "TokenReview failed");
            ReviewError::of(&error)
        })?;
    let status = review.status.ok_or(ReviewError::Unknown)?;
    if status.authenticated != Some(true) {
        return Ok(None);
    }
    let user = status.user.map(User::from).and_then(User::authenticated);
    Ok(user.map(Arc::new))
}
