//! Answers for people.

use axum::{
    body::Bytes,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};

pub(super) fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response {
    (
        status,
        [
            (CONTENT_TYPE, "text/plain; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
        ],
        text.into(),
    )
        .into_response()
}
