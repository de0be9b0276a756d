//! Objects of the API server as the JSON that they are: their types, of which
//! hardly a field is looked at, would be a fiftieth of the program.

use axum::http::{Method, Request, header::CONTENT_TYPE};
use kube::{Client, Error};
use serde_json::Value;

/// Asks for them by path, and changes them.
pub(super) struct Objects(pub(super) Client);

impl Objects {
    /// The one at this path, if there is one.
    pub(super) async fn get(&self, path: &str) -> Result<Option<Value>, Error> {
        match self.send(Method::GET, path, &Value::Null).await {
            Ok(object) => Ok(Some(object)),
            Err(Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// POST, PATCH (a merge) or DELETE with this body.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Value, Error> {
        let kind = match method {
            Method::PATCH => "application/merge-patch+json",
            _ => "application/json",
        };
        let body = match body {
            Value::Null => Vec::new(),
            body => serde_json::to_vec(body).map_err(Error::SerdeError)?,
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(CONTENT_TYPE, kind)
            .body(body)
            .map_err(Error::HttpError)?;
        self.0.request(request).await
    }
}
