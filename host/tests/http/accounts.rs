//! Registration, login, profile, tokens.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use futures::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use millrace::services::users::Users;
use serde_json::{Value, json};

use crate::support::{Answer, Edge, SECRET, Setup};

const REGISTER: &str = "/api/auth/register";
const LOGIN: &str = "/api/auth/login";
const PROFILE: &str = "/api/auth/profile";

fn ada() -> Value {
    json!({"name": "Ada", "email": "ada@example.com", "password": "password123"})
}

async fn login(edge: &Edge, email: &str, password: &str) -> Answer {
    edge.post(LOGIN, json!({"email": email, "password": password})).await
}

#[tokio::test]
async fn who_registers_can_log_in_and_see_their_profile() {
    let edge = Setup::new().start();
    let registered = edge.post(REGISTER, ada()).await;
    assert_eq!(registered.status, 201, "{}", registered.text);
    let user = &registered.json()["user"];
    assert_eq!((&user["name"], &user["email"]), (&json!("Ada"), &json!("ada@example.com")));
    assert!(user["createdAt"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    assert_eq!(user.as_object().unwrap().len(), 4, "nothing more is shown: {user}");

    let session = login(&edge, "ADA@example.com", "password123").await;
    assert_eq!((session.status.as_u16(), &session.json()["user"]), (200, user));
    let profile = edge.profile(session.json()["token"].as_str().unwrap()).await;
    assert_eq!((profile.status.as_u16(), &profile.json()), (200, user));
    assert_eq!(profile.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_taken_email_is_409_in_any_case_of_letters() {
    let edge = Setup::new().start();
    edge.register("ada@example.com").await;
    let again = edge.post(REGISTER, json!({"name": "Eve", "email": "Ada@Example.com", "password": "password123"})).await;
    assert_eq!(again.problem(409), "this e-mail is taken");
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let edge = Setup::new().start();
    let empty = edge.post(REGISTER, json!({})).await;
    assert_eq!(empty.wrong_fields(), ["/name", "/email", "/password"]);
    let types = edge.post(REGISTER, json!({"name": 1, "email": null, "password": ["x"]})).await;
    assert_eq!(types.wrong_fields(), ["/name", "/email", "/password"]);
    let rules = edge.post(REGISTER, json!({"name": "", "email": "ada", "password": "short"})).await;
    assert_eq!(rules.wrong_fields(), ["/name", "/email", "/password"]);
}

#[tokio::test]
async fn nobody_gives_themselves_a_role_or_an_id() {
    let edge = Setup::new().start();
    for field in ["role", "id", "user_id", "state", "version", "createdAt", "password_hash"] {
        let mut body = ada();
        body[field] = json!("admin");
        let answer = edge.post(REGISTER, body).await;
        assert_eq!(answer.wrong_fields(), [format!("/{field}")]);
        assert!(answer.problem(422).contains("accepted are name, email, password"), "{}", answer.text);
    }
}

#[tokio::test]
async fn bodies_that_are_no_objects_are_refused_with_what_they_are() {
    let edge = Setup::new().start();
    for (body, status, said) in [
        ("null", 422, "is null"),
        ("[]", 422, "is a list"),
        ("7", 422, "is a number"),
        ("", 400, "not valid JSON"),
        ("{\"name\": \"Ada\"", 400, "not valid JSON"),
        ("{} {}", 400, "not valid JSON"),
        ("\u{0}", 400, "not valid JSON"),
    ] {
        let answer = edge.send("POST", REGISTER, None, body).await;
        let detail = answer.problem(status);
        assert!(detail.contains(said), "{body:?}: {detail}");
    }
    let deep = "[".repeat(30_000);
    edge.send("POST", REGISTER, None, deep).await.problem(400);
}

#[tokio::test]
async fn a_body_has_a_size_and_a_type() {
    let edge = Setup::new().start();
    let huge = json!({"name": "Ada", "email": "ada@example.com", "password": "x".repeat(1 << 20)}).to_string();
    assert!(edge.send("POST", REGISTER, None, huge).await.problem(413).contains("65536 bytes"));

    let typed = |media: &str| Request::post(REGISTER).header("content-type", media).body(Body::from(ada().to_string())).unwrap();
    assert!(edge.ask(typed("text/plain")).await.problem(415).contains("'text/plain'"));
    edge.ask(Request::post(REGISTER).body(Body::from(ada().to_string())).unwrap()).await.problem(415);
    assert_eq!(edge.ask(typed("application/json; charset=utf-8")).await.status, 201);

    let mut compressed = typed("application/json");
    compressed.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    edge.ask(compressed).await.problem(415);
}

fn moved(email: &str, password: &str) -> Value {
    json!({"name": "Countess", "email": email, "currentPassword": password})
}

#[tokio::test]
async fn another_email_needs_the_password_as_a_token_alone_may_be_stolen() {
    let edge = Setup::new().start();
    let token = edge.register("ada@example.com").await;
    let change = async |body: Value| edge.send("PUT", PROFILE, Some(&token), body.to_string()).await;
    let (without, wrong) = (json!({"email": "eve@example.com"}), moved("eve@example.com", "password124"));
    for (body, expected) in [(without, "is needed for another e-mail address"), (wrong, "is not the password of this account")] {
        let refused = change(body).await;
        assert_eq!(refused.wrong_fields(), ["/currentPassword"]);
        assert!(refused.text.contains(expected), "{}", refused.text);
    }
    let profile = edge.profile(&token).await.json();
    assert_eq!((&profile["name"], &profile["email"]), (&json!("Ada"), &json!("ada@example.com")), "nothing has changed");
    // The same address, and a name, are no other account.
    let same = change(json!({"name": "Countess", "email": "ADA@example.com"})).await;
    assert_eq!((same.status.as_u16(), &same.json()["name"]), (200, &json!("Countess")));
    assert_eq!(change(moved("ada@new.example", "password123")).await.status, 200);
}

#[tokio::test]
async fn guessing_the_password_with_a_token_is_slowed_as_at_the_login() {
    let edge = Setup::new().start();
    let token = edge.register("ada@example.com").await;
    // Five are free from where the owner has been.
    for guess in 0..7 {
        let body = moved("eve@example.com", &format!("password-{guess}"));
        assert_eq!(edge.send("PUT", PROFILE, Some(&token), body.to_string()).await.wrong_fields(), ["/currentPassword"]);
    }
    let metrics = edge.get("/metrics").await.text;
    let held = metrics.lines().find(|line| line.starts_with("shop_logins_slowed_total{") && line.contains("outcome=\"held\""));
    assert!(held.is_some_and(|line| line.contains("by=\"network_at_account\"")), "{metrics}");
}

#[tokio::test]
async fn a_profile_changes_in_both_fields_and_the_new_email_logs_in() {
    let edge = Setup::new().start();
    let token = edge.register("ada@example.com").await;
    let changed = edge.send("PUT", PROFILE, Some(&token), moved("ada@new.example", "password123").to_string()).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let profile = edge.profile(&token).await.json();
    assert_eq!((&profile["name"], &profile["email"]), (&json!("Countess"), &json!("ada@new.example")));
    assert_eq!(login(&edge, "ada@new.example", "password123").await.status, 200);
    login(&edge, "ada@example.com", "password123").await.problem(401);
}

#[tokio::test]
async fn a_profile_does_not_take_the_email_of_another_or_foreign_fields() {
    let edge = Setup::new().start();
    edge.register("bob@example.com").await;
    let token = edge.register("ada@example.com").await;
    edge.send("PUT", PROFILE, Some(&token), moved("BOB@example.com", "password123").to_string()).await.problem(409);
    let foreign = edge.send("PUT", PROFILE, Some(&token), json!({"id": "1", "name": "\u{7}"}).to_string()).await;
    assert_eq!(foreign.wrong_fields(), ["/id"]);
    assert_eq!(edge.profile(&token).await.json()["email"], "ada@example.com");
}

#[tokio::test]
async fn who_is_unknown_and_who_errs_get_the_same_answer() {
    let edge = Setup::new().start();
    edge.register("ada@example.com").await;
    let mut wrong = login(&edge, "ada@example.com", "password124").await;
    let mut unknown = login(&edge, "eve@example.com", "password124").await;
    assert_eq!(wrong.problem(401), "invalid credentials");
    assert_ne!(wrong.headers.remove("x-request-id"), unknown.headers.remove("x-request-id"));
    assert_eq!((wrong.text, wrong.headers), (unknown.text, unknown.headers));
}

#[tokio::test]
async fn who_is_unknown_waits_as_long_as_who_errs() {
    let edge = Setup::new().start();
    edge.register("ada@example.com").await;
    let mut times = [vec![], vec![]];
    for round in 0..5 {
        for (which, email) in [(0, "ada@example.com".to_owned()), (1, format!("nobody{round}@example.com"))] {
            let begin = Instant::now();
            login(&edge, &email, "password124").await.problem(401);
            times[which].push(begin.elapsed());
        }
    }
    let [known, unknown] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    // Without the decoy hash it would be a hundredth.
    assert!(unknown * 4 > known && known * 4 > unknown, "known {known:?}, unknown {unknown:?}");
}

#[tokio::test]
async fn guessing_one_account_is_slowed_from_wherever_it_comes() {
    let edge = Setup::new().start();
    let guesses = join_all((0..40).map(|_| login(&edge, "ada@example.com", "password124"))).await;
    let (tried, refused): (Vec<_>, Vec<_>) = guesses.iter().partition(|answer| answer.status == 401);
    assert!((5..15).contains(&tried.len()), "{} were tried", tried.len());
    for answer in refused {
        answer.problem(429);
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 4);
    }
}

#[tokio::test]
async fn who_knows_the_password_is_not_slowed() {
    let edge = Setup::new().start();
    edge.register("ada@example.com").await;
    let logins = join_all((0..20).map(|_| login(&edge, "ada@example.com", "password123"))).await;
    assert!(logins.iter().all(|answer| answer.status == 200));
}

#[tokio::test]
async fn of_64_registrations_of_one_email_one_succeeds() {
    let edge = Setup::new().start();
    let answers = join_all((0..64).map(|_| edge.post(REGISTER, ada()))).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let taken = answers.iter().filter(|answer| answer.status == 409).count();
    let busy = answers.iter().filter(|answer| answer.status == 503).count();
    assert_eq!((created, taken + busy), (1, 63));
    assert!(edge.store.users.user_by_email("ada@example.com").await.unwrap().is_some());
}

#[tokio::test]
async fn closed_registration_is_403() {
    let mut setup = Setup::new();
    setup.plan.auth.as_mut().unwrap().allow_registration = false;
    setup.start().post(REGISTER, ada()).await.problem(403);
}

#[tokio::test]
async fn tokens_that_are_not_ours_are_401_and_say_how() {
    let edge = Setup::new().start();
    let id = edge.profile(&edge.register("ada@example.com").await).await.json()["id"].clone();
    let sign = |algorithm, secret: &str, claims: &Value| {
        jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    };
    let now = i64::try_from(jsonwebtoken::get_current_timestamp()).unwrap();
    let claims = |issuer: &str, exp: i64| json!({"iss": issuer, "sub": id, "exp": now + exp});
    let fine = sign(Algorithm::HS256, SECRET, &claims("millrace", 60));
    assert_eq!(edge.profile(&fine).await.status, 200, "the base of the others is fine");
    let payload = fine.split('.').nth(1).unwrap();
    for token in [
        sign(Algorithm::HS256, SECRET, &claims("millrace", -6)),
        sign(Algorithm::HS256, SECRET, &claims("another", 60)),
        sign(Algorithm::HS256, "another secret, also longer than 32 bytes", &claims("millrace", 60)),
        sign(Algorithm::HS512, SECRET, &claims("millrace", 60)),
        sign(Algorithm::HS256, SECRET, &json!({"iss": "millrace", "sub": id})),
        sign(Algorithm::HS256, SECRET, &json!({"iss": "millrace", "exp": now + 60})),
        format!("eyJhbGciOiJub25lIn0.{payload}."),
        format!("eyJhbGciOiJOb05lIn0.{payload}."),
        fine[..fine.len() - 2].to_owned(),
        "x".repeat(1 << 20),
        String::new(),
    ] {
        let answer = edge.profile(&token).await;
        answer.problem(401);
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
}

#[tokio::test]
async fn only_one_bearer_token_in_the_header_counts() {
    let edge = Setup::new().start();
    let token = edge.register("ada@example.com").await;
    let with = |values: &[String]| {
        let request = Request::get(format!("{PROFILE}?token={token}&access_token={token}"));
        values.iter().fold(request, |request, value| request.header("authorization", value)).body(Body::empty()).unwrap()
    };
    let bearer = format!("bearer {token}");
    assert_eq!(edge.ask(with(std::slice::from_ref(&bearer))).await.status, 200);
    for wrong in [vec![], vec![format!("Basic {token}")], vec![token.clone()], vec![bearer.clone(), bearer]] {
        edge.ask(with(&wrong)).await.problem(401);
    }
}

#[tokio::test]
async fn a_token_of_a_user_who_is_gone_is_401() {
    let (here, elsewhere) = (Setup::new().start(), Setup::new().start());
    let token = elsewhere.register("ada@example.com").await;
    here.profile(&token).await.problem(401);
}

#[tokio::test]
async fn a_seed_file_adds_who_is_missing_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.json");
    std::fs::write(&file, r#"[{"name": "Demo", "email": "demo@example.com", "password": "password123"}]"#).unwrap();
    let edge = Setup::new().start();
    let settings = millrace::plan::Auth { seed_file: Some(file.clone()), ..crate::support::auth() };
    let users = |settings| Users::new(edge.store.users.clone(), settings, edge.clock.clone(), edge.metrics.clone()).unwrap();
    assert_eq!((users(&settings).seed().await.unwrap(), users(&settings).seed().await.unwrap()), (1, 0));
    assert_eq!(login(&edge, "demo@example.com", "password123").await.status, 200);

    std::fs::write(&file, r#"[{"name": "Demo", "email": "demo", "password": "password123"}]"#).unwrap();
    let error = format!("{:#}", users(&settings).seed().await.unwrap_err());
    assert!(error.contains("users.json") && error.contains("/email"), "{error}");
}

#[tokio::test]
async fn a_slow_hash_does_not_hold_up_other_requests() {
    let edge = Setup::new().start();
    let logins = join_all((0..8).map(|_| login(&edge, "ada@example.com", "password124")));
    let probe = async {
        let begin = Instant::now();
        assert_eq!(edge.get("/livez").await.status, 200);
        begin.elapsed()
    };
    let (_, took) = tokio::join!(logins, probe);
    assert!(took < Duration::from_millis(500), "{took:?}");
}
