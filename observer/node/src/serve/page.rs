//! The page at `/`: files in the binary that hold no figures. What they show
//! they ask the API for, as whoever looks at them.

use axum::{
    Router,
    extract::Path,
    http::{
        HeaderName, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
            X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
    routing::get,
};

use super::plain::plain;

/// Nothing from elsewhere, nothing inline, in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'";

macro_rules! files {
    ($($name:literal: $media_type:literal),* $(,)?) => {
        /// Name, media type and text of each file.
        const FILES: &[(&str, &str, &str)] = &[
            // What the page shares with the terminal, as a module that it can import.
            (
                "columns.json.js",
                "text/javascript; charset=utf-8",
                concat!("export default ", include_str!("../page/columns.json"), ";\n"),
            ),
            $(($name, $media_type, include_str!(concat!("../page/", $name)))),*
        ];
    };
}

files! {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "app.js": "text/javascript; charset=utf-8",
    "charts.js": "text/javascript; charset=utf-8",
    "columns.js": "text/javascript; charset=utf-8",
    "copy.js": "text/javascript; charset=utf-8",
    "creators.js": "text/javascript; charset=utf-8",
    "dom.js": "text/javascript; charset=utf-8",
    "filter.js": "text/javascript; charset=utf-8",
    "format.js": "text/javascript; charset=utf-8",
    "stream.js": "text/javascript; charset=utf-8",
    "table.js": "text/javascript; charset=utf-8",
    "timeline.js": "text/javascript; charset=utf-8",
    "view.js": "text/javascript; charset=utf-8",
}

/// The page, and what it is made of.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(async || file("index.html")))
        .route(
            "/page/{name}",
            get(async |Path(name): Path<String>| file(&name)),
        )
}

fn file(name: &str) -> Response {
    let Some((_, media_type, text)) = FILES.iter().find(|(known, ..)| *known == name) else {
        return plain(StatusCode::NOT_FOUND, "no such file\n");
    };
    let headers: [(HeaderName, &str); 6] = [
        (CONTENT_TYPE, media_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        // Another observer may answer here after an upgrade.
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, *text).into_response()
}
