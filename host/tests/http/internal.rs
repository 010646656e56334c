//! Who may ask what is only for processes of the same installation.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{Request, Response};
use bytes::Bytes;
use millrace::clock::Clock;
use millrace::http::{InternalService, agreement, internal};
use millrace::services::operations::agreement::{Known, PATH};
use serde_json::{Value, json};
use tower::ServiceExt;

const SECRET: &str = "what the processes of this installation share";

fn service() -> InternalService {
    InternalService::new(tower::service_fn(|request: Request<Bytes>| async move {
        let told = format!("{} {} {}", request.method(), request.uri().path(), String::from_utf8_lossy(request.body()));
        Ok::<_, Infallible>(Response::new(Bytes::from(told)))
    }))
}

async fn ask(request: axum::http::request::Builder, body: impl Into<Body>) -> (u16, String) {
    let router = internal("/internal/things/", &["another secret that is also known here", SECRET], service());
    let response = router.oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn who_knows_the_secret_is_answered() {
    let request = Request::put("/internal/things/key/commit").header("x-internal-secret", SECRET);
    assert_eq!(ask(request, "body").await, (200, "PUT /internal/things/key/commit body".to_owned()));
    let request = Request::delete("/internal/things/key").header("x-internal-secret", "another secret that is also known here");
    assert_eq!(ask(request, "").await.0, 200);
}

#[tokio::test]
async fn who_does_not_is_refused_before_the_body_is_read() {
    let unread = || Body::from_stream(futures::stream::pending::<Result<Bytes, Infallible>>());
    assert_eq!(ask(Request::put("/internal/things/key"), unread()).await.0, 401);
    let twice = Request::put("/internal/things/key").header("x-internal-secret", SECRET).header("x-internal-secret", "x");
    assert_eq!(ask(twice, unread()).await.0, 401);
    for wrong in ["", "x", &SECRET[1..], &SECRET.to_uppercase(), &format!("{SECRET} ")] {
        assert_eq!(ask(Request::put("/internal/things/key").header("x-internal-secret", wrong), unread()).await.0, 403, "{wrong:?}");
    }
}

#[tokio::test]
async fn nobody_knows_a_secret_that_is_empty() {
    for sent in ["", "x", SECRET] {
        let router = internal("/internal/things/", &[""], service());
        let request = Request::put("/internal/things/key").header("x-internal-secret", sent).body(Body::empty()).unwrap();
        assert_eq!(router.oneshot(request).await.unwrap().status().as_u16(), 403, "{sent:?}");
    }
}

#[tokio::test]
async fn whether_settings_are_the_same_is_all_that_is_told_of_them_and_what_time_it_is() {
    let ask = |body: String| async move {
        let plan = crate::support::Setup::new().plan;
        let router = agreement(Known::of(&plan), Clock::system());
        let response = router.oneshot(Request::post(PATH).body(Body::from(body)).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let mut told = serde_json::from_slice::<Value>(&body).unwrap();
        let now = told.as_object_mut().unwrap().remove("now");
        assert_eq!(now.is_some_and(|now| now.is_i64()), status == 200, "the time, by which the clock of who asks is judged");
        let issues = told.as_object_mut().unwrap().remove("issues");
        assert_eq!(issues, (status == 200).then(|| json!(plan.has_accounts())), "whether tokens are of that time");
        (status, told)
    };
    let told = |key: &str| json!({"internalSecret": "unset", "jwtSecret": key, "issuer": "same"});
    assert_eq!(ask("{}".to_owned()).await, (200, told("same")), "who checks no tokens needs no key");
    for guessed in [crate::support::SECRET, "guessed"] {
        assert_eq!(ask(json!({"jwtSecret": guessed}).to_string()).await, (200, told("different")), "a key is no fingerprint of it");
    }
    assert_eq!(ask("{\"jwtSecret\":7}".to_owned()).await.0, 400);
}

#[tokio::test]
async fn a_body_is_bounded() {
    let request = || Request::put("/internal/things/key").header("x-internal-secret", SECRET);
    assert_eq!(ask(request(), vec![b'x'; 64 << 10]).await.0, 200);
    assert_eq!(ask(request(), vec![b'x'; (64 << 10) + 1]).await.0, 413);
}
