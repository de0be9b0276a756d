//! Errors as Kubernetes writes them.

use std::time::Duration;

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use observer_node::auth::Refusal;
use serde_json::json;

use super::{no_value::NoValue, selector::SelectorError};

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApiError {
    /// Nothing is served at this path.
    #[error("the server could not find the requested resource")]
    NoPath,
    /// The object has no such metric, or there is no such object.
    #[error("the server could not find the metric {metric} for {resource} {name}: {why}")]
    NoMetric {
        /// As asked.
        metric: String,
        /// As `pods` or `deployments.apps`.
        resource: String,
        /// The object's name.
        name: String,
        /// Why not.
        why: Box<NoValue>,
    },
    /// Nothing by that name can be chosen by labels.
    #[error("the server could not find the metric {0}")]
    NoExternal(String),
    /// Only reading is served.
    #[error("{0} is not supported: metrics can only be read")]
    Method(String),
    /// Only JSON is.
    #[error("only application/json is served here")]
    NotAcceptable,
    /// The request says what it cannot mean.
    #[error("{0}")]
    Selector(#[from] SelectorError),
    /// Another part of the request is malformed.
    #[error("{0}")]
    BadRequest(String),
    /// Who asks is not known or may not.
    #[error("{0}")]
    Refused(Refusal),
    /// Too many ask at once.
    #[error("too many requests for values at once, please try again later")]
    Busy,
    /// It took too long.
    #[error("no answer could be given within {0:?}")]
    Late(Duration),
    /// Nothing is known yet.
    #[error("{0}")]
    NotReady(&'static str),
}

impl ApiError {
    const fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoPath | Self::NoMetric { .. } | Self::NoExternal(_) => {
                (StatusCode::NOT_FOUND, "NotFound")
            }
            Self::Busy => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
            Self::Late(_) => (StatusCode::GATEWAY_TIMEOUT, "Timeout"),
            Self::NotAcceptable => (StatusCode::NOT_ACCEPTABLE, "NotAcceptable"),
            Self::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
            Self::Selector(_) | Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "BadRequest"),
            Self::Refused(Refusal::Unauthorized(_)) => (StatusCode::UNAUTHORIZED, "Unauthorized"),
            Self::Refused(Refusal::Forbidden { .. }) => (StatusCode::FORBIDDEN, "Forbidden"),
            Self::Refused(Refusal::Unavailable(_)) | Self::NotReady(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable")
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (code, reason) = self.status();
        let body = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.to_string(),
            "reason": reason,
            "code": code.as_u16(),
        });
        let mut response = (code, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        if code == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let later = [
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::TOO_MANY_REQUESTS,
        ];
        if later.contains(&code) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
