//! A document that stays the same while the adapter runs.

use std::fmt::Write;

use axum::{
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY},
    },
    response::{IntoResponse, Response},
};
use ring::digest::{SHA256, digest};
use serde_json::Value;

/// JSON with its digest.
pub(super) struct Document {
    body: String,
    digest: String,
}

impl Document {
    pub(super) fn new(value: &Value) -> Self {
        let body = value.to_string();
        let mut hex = String::new();
        for byte in &digest(&SHA256, body.as_bytes()).as_ref()[..16] {
            // Writing to a String does not fail.
            let _ = write!(hex, "{byte:02X}");
        }
        Self { body, digest: hex }
    }

    /// Another for another body.
    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    pub(super) fn answer(&self, media_type: &str, headers: &HeaderMap) -> Response {
        let etag = format!("\"{}\"", self.digest);
        let same = headers
            .get_all(IF_NONE_MATCH)
            .iter()
            .any(|known| known.as_bytes() == etag.as_bytes());
        let mut response = if same {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            self.body.clone().into_response()
        };
        let answer = response.headers_mut();
        for (name, value) in [
            (CONTENT_TYPE, media_type),
            (ETAG, etag.as_str()),
            (CACHE_CONTROL, "public"),
            (VARY, "Accept"),
        ] {
            if let Ok(value) = HeaderValue::from_str(value) {
                answer.insert(name, value);
            }
        }
        response
    }
}
