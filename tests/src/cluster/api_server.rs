//! The API server, asked directly: cheaper than a kubectl for each question.

use std::sync::OnceLock;

use serde_json::{Value, json};

use super::{Cluster, SOON, tls};
use crate::wait;

/// An account of the tests that may do everything.
const ACCOUNT: (&str, &str) = ("default", "go-observer-tests");

/// The API server, and what it leads to, as one caller sees them.
#[derive(Clone, Debug)]
pub struct ApiServer {
    url: String,
    token: Option<String>,
    agent: ureq::Agent,
}

/// A code and the body, which is an object of Kubernetes or a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status code.
    pub code: u16,
    /// The body; a string where it is no JSON.
    pub body: Value,
}

impl Answer {
    pub(super) fn of((code, text): (u16, String)) -> Self {
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self { code, body }
    }

    /// The items of a list; panics where it is none.
    pub fn items(&self) -> &[Value] {
        match self.body["items"].as_array() {
            Some(items) if self.code == 200 => items,
            _ => panic!("no list: {self:?}"),
        }
    }
}

impl ApiServer {
    /// As an administrator.
    pub fn administrator(cluster: &Cluster) -> Self {
        static TOKEN: OnceLock<String> = OnceLock::new();
        let token = TOKEN.get_or_init(|| {
            let (namespace, name) = ACCOUNT;
            cluster.apply(&json!({
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": { "name": name, "namespace": namespace },
            }));
            cluster.apply(&json!({
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": { "name": name },
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": "cluster-admin",
                },
                "subjects": [{ "kind": "ServiceAccount", "name": name, "namespace": namespace }],
            }));
            cluster.token(namespace, name)
        });
        Self::with_token(cluster, Some(token))
    }

    /// As whoever shows this token.
    pub fn with_token(cluster: &Cluster, token: Option<&str>) -> Self {
        let url = cluster.env("KUBERNETES_URL");
        Self {
            url: url.expect("its address"),
            token: token.map(str::to_owned),
            agent: tls::agent(),
        }
    }

    /// An answer, or why there is none.
    pub fn try_get(&self, path: &str) -> Result<Answer, String> {
        self.try_get_as(path, "application/json")
    }

    fn try_get_as(&self, path: &str, accept: &str) -> Result<Answer, String> {
        let url = format!("{}{path}", self.url);
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut headers = vec![("Accept", accept)];
        headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
        tls::get_with(&self.agent, &url, &headers).map(Answer::of)
    }

    /// An answer of whatever code.
    pub fn ask(&self, path: &str) -> Answer {
        self.try_get(path)
            .unwrap_or_else(|e| panic!("GET {path}: {e}"))
    }

    /// The body of a good answer.
    pub fn get(&self, path: &str) -> Value {
        let answer = self.ask(path);
        assert_eq!(answer.code, 200, "GET {path}: {}", answer.body);
        answer.body
    }

    /// A good answer, once it is what is awaited.
    pub fn await_get<T>(&self, path: &str, is_it: impl FnMut(&Value) -> Option<T>) -> T {
        self.await_get_as(path, "application/json", is_it)
    }

    /// As [`Self::await_get`], with what is accepted.
    pub fn await_get_as<T>(
        &self,
        path: &str,
        accept: &str,
        mut is_it: impl FnMut(&Value) -> Option<T>,
    ) -> T {
        let mut last = None;
        let found = wait::find(SOON, || {
            let answer = self.try_get_as(path, accept);
            let found = match &answer {
                Ok(answer) if answer.code == 200 => is_it(&answer.body),
                _ => None,
            };
            last = Some(answer);
            found
        });
        found.unwrap_or_else(|| panic!("GET {path} is not what was awaited: {last:?}"))
    }
}
