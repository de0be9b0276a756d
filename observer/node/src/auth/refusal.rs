//! Why a request is not answered.

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
};

/// Why a request is not answered. As a response it is plain text; a server
/// that owes its clients another form makes it from the parts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody knows who asks.
    #[error("unauthorized: {0}")]
    Unauthorized(String),
    /// The user is known and lacks the right.
    #[error(
        "forbidden: user {user:?} cannot {verb} {what}; a (Cluster)Role bound to the user must allow it"
    )]
    Forbidden {
        /// Its name.
        user: String,
        /// What it wanted to do, as `get`.
        verb: String,
        /// To what, as `path "/metrics"`.
        what: String,
    },
    /// It cannot be found out now.
    #[error("cannot authorize: {0}; try again")]
    Unavailable(String),
}

impl Refusal {
    /// The HTTP status that says it.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. } => StatusCode::FORBIDDEN,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status(), format!("{self}\n")).into_response();
        let headers = response.headers_mut();
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(CONTENT_TYPE, text);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Self::Unauthorized(_) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Unavailable(_) => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::Forbidden { .. } => {}
        }
        response
    }
}
