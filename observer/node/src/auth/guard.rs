//! Who asks, and whether it may: in front of every request but those of probes.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, Method, header::AUTHORIZATION},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use kube::Client;

use super::{
    certificate::ClientAuthority,
    counters::{Counters, Decisions, add},
    error::SecurityError,
    peer::Peer,
    refusal::Refusal,
    review::{Access, AccessReviewer, AnswerCacheLimits, TokenReviewer},
    user::User,
};

/// What anybody may ask: kubelet has no token.
pub(super) const OPEN_PATHS: [&str; 2] = ["/healthz", "/readyz"];

/// Every cluster lets each account get `/api/*` (ClusterRole `system:discovery`),
/// which is meant of the API server's own paths. The right to ours of that name
/// is asked for, and granted, below this.
const OWN_API: &str = "/go-observer";

/// A longer token is none: the longest that service accounts have are about 2 KB.
const LONGEST_TOKEN_BYTES: usize = 16 << 10;

/// Tells who asks and whether it may.
pub struct Guard {
    authority: Option<Arc<ClientAuthority>>,
    reviews: Option<Reviews>,
    counters: Arc<Counters>,
    /// How long what was found is taken for true.
    fresh: Duration,
}

/// How long a certificate that was looked at is taken for one that still holds.
const CERTIFICATE_FRESH: Duration = Duration::from_secs(10);

/// Both questions to the API server.
struct Reviews {
    tokens: TokenReviewer,
    access: AccessReviewer,
}

impl Guard {
    /// Knows callers by client certificate where there is an authority, else by
    /// token; what they may is for the API server to say.
    pub fn by_reviews(
        client: Client,
        authority: Option<Arc<ClientAuthority>>,
        limits: AnswerCacheLimits,
        counters: Arc<Counters>,
    ) -> Result<Self, SecurityError> {
        Ok(Self {
            authority,
            reviews: Some(Reviews {
                tokens: TokenReviewer::new(client.clone(), limits)?,
                access: AccessReviewer::new(client, limits),
            }),
            counters,
            fresh: limits.fresh,
        })
    }

    /// Where there is no API server: who has a certificate of `authority` may.
    pub(crate) fn by_certificate(authority: Arc<ClientAuthority>, counters: Arc<Counters>) -> Self {
        Self {
            authority: Some(authority),
            reviews: None,
            counters,
            fresh: CERTIFICATE_FRESH,
        }
    }

    /// Who asks.
    pub async fn authenticate(
        &self,
        peer: Option<&Peer>,
        headers: &HeaderMap,
    ) -> Result<Arc<User>, Refusal> {
        let found = self.known(peer, headers).await;
        count(&self.counters.authentications, &found);
        found
    }

    /// Whether `user` may.
    pub async fn authorize(&self, user: &User, access: &Access) -> Result<(), Refusal> {
        let allowed = match &self.reviews {
            None => Ok(true),
            Some(reviews) => reviews.access.is_allowed(user, access).await,
        };
        let found = match allowed {
            Ok(true) => Ok(()),
            Ok(false) => Err(access.refused(user)),
            Err(error) => Err(Refusal::Unavailable(error.to_string())),
        };
        count(&self.counters.authorizations, &found);
        found
    }

    async fn known(&self, peer: Option<&Peer>, headers: &HeaderMap) -> Result<Arc<User>, Refusal> {
        let certificates = peer.map_or(&[][..], |peer| &peer.certificates);
        let mut why = None;
        if let Some(authority) = &self.authority
            && !certificates.is_empty()
        {
            match authority.user(certificates) {
                Ok(user) => return Ok(Arc::new(user)),
                // It may have a token all the same.
                Err(reason) => why = Some(reason),
            }
        }
        let Some(reviews) = &self.reviews else {
            let why = why.unwrap_or_else(|| "a client certificate is needed".to_owned());
            return Err(Refusal::Unauthorized(why));
        };
        match bearer(headers)? {
            None => {
                let why = why.unwrap_or_else(|| {
                    "a token is needed, as `Authorization: Bearer TOKEN`".to_owned()
                });
                Err(Refusal::Unauthorized(why))
            }
            Some(token) => match reviews.tokens.user(token).await {
                Ok(Some(user)) => Ok(user),
                Ok(None) => Err(Refusal::Unauthorized(
                    "the API server does not accept the token".to_owned(),
                )),
                Err(error) => Err(Refusal::Unavailable(error.to_string())),
            },
        }
    }
}

/// The bearer token of a request, if it has one.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let refused = |why: &str| Err(Refusal::Unauthorized(why.to_owned()));
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return refused("more than one Authorization header");
    }
    let token = value
        .to_str()
        .ok()
        .and_then(|value| value.trim().split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    match token {
        Some(token) if token.is_empty() || token.contains(' ') => refused("the token is malformed"),
        Some(token) if token.len() > LONGEST_TOKEN_BYTES => refused("the token is too long"),
        Some(token) => Ok(Some(token)),
        None => refused("the Authorization header is not `Bearer TOKEN`"),
    }
}

fn count<T>(decisions: &Decisions, found: &Result<T, Refusal>) {
    add(match found {
        Ok(_) => &decisions.positive,
        Err(Refusal::Unavailable(_)) => &decisions.unavailable,
        Err(_) => &decisions.negative,
    });
}

/// The right that a request to a path needs, as kubelet names it: to read the
/// head of an answer is to get it.
fn path_access(method: &Method, path: &str) -> Access {
    let verb = match *method {
        Method::HEAD => "get".to_owned(),
        _ => method.as_str().to_ascii_lowercase(),
    };
    let path = match path {
        "/api" => format!("{OWN_API}{path}"),
        path if path.starts_with("/api/") => format!("{OWN_API}{path}"),
        path => path.to_owned(),
    };
    Access::Path { verb, path }
}

/// Puts `guard` before every path of `router`, unknown ones too, but
/// [`OPEN_PATHS`]. Handlers find the [`User`] among the request's extensions.
pub(super) fn protect(router: Router, guard: Arc<Guard>) -> Router {
    router.layer(middleware::from_fn_with_state(guard, require))
}

async fn require(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    if OPEN_PATHS.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let right = Right::claimed(guard, &request);
    match right.check().await {
        Ok(user) => {
            let extensions = request.extensions_mut();
            extensions.insert(user);
            extensions.insert(right);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// What a request was allowed by. Handlers whose answers go on find it among the
/// request's extensions, since rights end.
#[derive(Clone)]
pub(crate) struct Right {
    guard: Arc<Guard>,
    peer: Option<Peer>,
    /// What the request said of who asks.
    authorization: HeaderMap,
    access: Access,
}

impl Right {
    fn claimed(guard: Arc<Guard>, request: &Request) -> Self {
        let said = request.headers().get_all(AUTHORIZATION).iter();
        let said = said.map(|value: &HeaderValue| (AUTHORIZATION, value.clone()));
        Self {
            guard,
            peer: request
                .extensions()
                .get::<ConnectInfo<Peer>>()
                .map(|ConnectInfo(peer)| peer.clone()),
            authorization: said.collect(),
            access: path_access(request.method(), request.uri().path()),
        }
    }

    async fn check(&self) -> Result<Arc<User>, Refusal> {
        let Self { guard, peer, .. } = self;
        let user = guard
            .authenticate(peer.as_ref(), &self.authorization)
            .await?;
        guard.authorize(&user, &self.access).await?;
        Ok(user)
    }

    /// Completes once the same request would be refused, within the time that answers
    /// of the API server hold.
    pub(crate) async fn ended(&self) -> Refusal {
        loop {
            tokio::time::sleep(self.guard.fresh).await;
            if let Err(refusal) = self.check().await {
                return refusal;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, Method, header::AUTHORIZATION};

    use super::{LONGEST_TOKEN_BYTES, bearer, path_access};
    use crate::auth::review::Access;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_token_is_one_word_after_bearer() {
        assert_eq!(bearer(&headers(&[])), Ok(None));
        for good in ["Bearer abc", "bearer abc", "BEARER   abc "] {
            assert_eq!(bearer(&headers(&[good])), Ok(Some("abc")), "{good}");
        }
        let long = format!("Bearer {}", "x".repeat(LONGEST_TOKEN_BYTES + 1));
        for bad in [
            &["Bearer"][..],
            &["Bearer "],
            &["Bearer a b"],
            &["Basic abc"],
            &["Bearer a", "Bearer b"],
            &[&long],
        ] {
            assert!(bearer(&headers(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_right_to_the_api_servers_paths_is_none_to_ours() {
        for (asked, needed) in [
            ("/metrics", "/metrics"),
            ("/api", "/go-observer/api"),
            ("/api/v1/processes", "/go-observer/api/v1/processes"),
            ("/apis", "/apis"),
        ] {
            let expected = Access::Path {
                verb: "get".to_owned(),
                path: needed.to_owned(),
            };
            assert_eq!(path_access(&Method::GET, asked), expected);
        }
    }

    #[test]
    fn a_head_is_had_by_who_may_get() {
        for (method, verb) in [
            (Method::GET, "get"),
            (Method::HEAD, "get"),
            (Method::POST, "post"),
        ] {
            let expected = Access::Path {
                verb: verb.to_owned(),
                path: "/metrics".to_owned(),
            };
            assert_eq!(path_access(&method, "/metrics"), expected);
        }
    }
}
