//! Answers that go on end when the right to them does.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, routing::post};
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewStatus, UserInfo},
    authorization::v1::{SubjectAccessReview, SubjectAccessReviewStatus},
};
use kube::Config;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};

use super::{Authority, Client, Files, HOUR, Server};
use crate::auth::{Security, review::AnswerCacheLimits};

/// An API server: whose tokens hold, and who may everything. A token is its user's name.
#[derive(Clone, Default)]
struct Api {
    known: Arc<Mutex<BTreeSet<String>>>,
    allowed: Arc<Mutex<BTreeSet<String>>>,
}

impl Api {
    async fn serve(&self) -> kube::Client {
        let Self { known, allowed } = self.clone();
        let who = async move |Json(mut review): Json<TokenReview>| {
            let token = review.spec.token.clone().unwrap();
            let authenticated = known.lock().unwrap().contains(&token);
            let user = authenticated.then(|| UserInfo {
                username: Some(token),
                ..UserInfo::default()
            });
            review.status = Some(TokenReviewStatus {
                authenticated: Some(authenticated),
                user,
                ..TokenReviewStatus::default()
            });
            Json(review)
        };
        let whether = async move |Json(mut review): Json<SubjectAccessReview>| {
            let user = review.spec.user.clone().unwrap();
            review.status = Some(SubjectAccessReviewStatus {
                allowed: allowed.lock().unwrap().contains(&user),
                ..SubjectAccessReviewStatus::default()
            });
            Json(review)
        };
        let router = Router::new()
            .route("/apis/authentication.k8s.io/v1/tokenreviews", post(who))
            .route(
                "/apis/authorization.k8s.io/v1/subjectaccessreviews",
                post(whether),
            );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, router).await });
        kube::Client::try_from(Config::new(uri.parse().unwrap())).unwrap()
    }

    fn admit(&self, user: &str) {
        self.known.lock().unwrap().insert(user.to_owned());
        self.allowed.lock().unwrap().insert(user.to_owned());
    }
}

/// Somebody who listens to events, and has read the first.
async fn listen(server: &Server, authority: &Authority, token: &str) -> Client {
    let mut client = server.connect(&authority.pem, None).await;
    let request = format!(
        "GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    client.stream.write_all(request.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains("event: table") {
        let more = client.stream.read_buf(&mut read).await.unwrap();
        assert!(more > 0, "{}", String::from_utf8_lossy(&read));
    }
    client
}

/// Whether the stream ends within this time.
async fn ends(client: &mut Client, within: Duration) -> bool {
    let mut rest = Vec::new();
    // A connection that is cut off has ended too.
    let end = async { drop(client.stream.read_to_end(&mut rest).await) };
    timeout(within, end).await.is_ok()
}

#[tokio::test]
async fn a_stream_ends_with_its_token_and_with_its_right() {
    const SOON: Duration = Duration::from_secs(20);
    let authority = Authority::new("ours");
    let files = Files::new(&authority.server(24 * HOUR));
    let api = Api::default();
    for user in ["jane", "john", "mary"] {
        api.admit(user);
    }
    let limits = AnswerCacheLimits {
        fresh: Duration::from_millis(100),
        ..AnswerCacheLimits::default()
    };
    let client = api.serve().await;
    let security = Security::new(&files.settings(), Some(client), [], limits).unwrap();
    let server = Server::start(security).await;
    let mut jane = listen(&server, &authority, "jane").await;
    let mut john = listen(&server, &authority, "john").await;
    let mut mary = listen(&server, &authority, "mary").await;
    api.known.lock().unwrap().remove("jane");
    assert!(ends(&mut jane, SOON).await, "the token holds no longer");
    api.allowed.lock().unwrap().remove("john");
    assert!(ends(&mut john, SOON).await, "its user may no longer");
    assert!(!ends(&mut mary, Duration::from_secs(1)).await);
}
