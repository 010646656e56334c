//! People with roles: short tokens that are renewed, tokens that end with a change of the account, the password again for dangerous acts.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use millrace::plan::access::{Access, Role};
use millrace::plan::{Endpoint, Middleware, Route};
use millrace::store::UserChange;
use serde_json::{Value, json};

use crate::support::{Answer, Edge, SECRET, Setup, route};

const LOGIN: &str = "/api/auth/login";
const RENEW: &str = "/api/auth/renew";
const SUDO: &str = "/api/auth/sudo";
const DANGEROUS: &str = "/api/dangerous";

/// An edge with a route that asks for the password again.
fn edge() -> Edge {
    let mut setup = Setup::new().with_route(DANGEROUS, vec![], axum::Router::new().fallback(|| async { "done" }));
    let dangerous = route("GET", DANGEROUS, Endpoint::Proxy(DANGEROUS.into()), vec![Middleware::Auth]);
    *setup.plan.routes.last_mut().unwrap() =
        Route { access: Access::Roles([Role::Finance].into_iter().collect()), sudo: Some(Duration::from_secs(300)), ..dangerous };
    setup.start()
}

/// The token of an answer.
fn token(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["token"].as_str().unwrap().to_owned()
}

async fn login(edge: &Edge) -> Answer {
    edge.post(LOGIN, json!({"email": "ada@example.com", "password": "password123"})).await
}

/// Ada, who works in finance; her token.
async fn ada(edge: &Edge) -> String {
    edge.register("ada@example.com").await;
    change(edge, UserChange::roles(["finance".to_owned()].into())).await;
    token(&login(edge).await)
}

/// As a command does it beside the process.
async fn change(edge: &Edge, change: UserChange) {
    let id = edge.store.users.user_by_email("ada@example.com").await.unwrap().unwrap().id;
    assert!(edge.store.users.change_user(&id, change).await.unwrap().unwrap().done);
}

async fn get(edge: &Edge, path: &str, token: &str) -> Answer {
    edge.send("GET", path, Some(token), "").await
}

/// Waits until a token is refused, and answers why.
async fn until_ended(edge: &Edge, token: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = edge.profile(token).await;
        if answer.status != 200 {
            return answer.problem(401);
        }
        assert!(Instant::now() < deadline, "the token is still good");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a token says.
fn claims(token: &str) -> Value {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_exp = false;
    validation.set_required_spec_claims::<&str>(&[]);
    jsonwebtoken::decode::<Value>(token, &DecodingKey::from_secret(SECRET.as_bytes()), &validation).unwrap().claims
}

/// How many seconds a token is good from its making.
fn life(token: &str) -> i64 {
    claims(token)["exp"].as_i64().unwrap() - claims(token)["iat"].as_i64().unwrap()
}

#[tokio::test]
async fn a_change_of_the_account_beside_the_process_ends_its_tokens_and_no_others() {
    let edge = edge();
    let ada = ada(&edge).await;
    let bob = edge.register("bob@example.com").await;
    assert_eq!(edge.profile(&ada).await.status, 200);
    change(&edge, UserChange::roles([].into())).await;
    assert!(until_ended(&edge, &ada).await.contains("its account has changed; log in again"));
    let again = token(&login(&edge).await);
    assert_eq!((edge.profile(&again).await.status.as_u16(), edge.profile(&bob).await.status.as_u16()), (200, 200));
}

#[tokio::test]
async fn who_is_disabled_cannot_log_in_and_is_told_no_more_than_who_has_no_account() {
    let edge = edge();
    let ada = ada(&edge).await;
    change(&edge, UserChange::disabled(true)).await;
    assert_eq!(login(&edge).await.problem(401), "invalid credentials");
    until_ended(&edge, &ada).await;
    change(&edge, UserChange::disabled(false)).await;
    let again = token(&login(&edge).await);
    assert_eq!(edge.profile(&again).await.status, 200);
    assert_eq!(edge.profile(&ada).await.status, 401, "the old ones stay ended");
}

#[tokio::test]
async fn who_has_a_role_has_a_short_token_and_renews_it_until_the_session_is_over() {
    let edge = edge();
    let eve = edge.register("eve@example.com").await;
    let customer = claims(&eve);
    assert_eq!(life(&eve), 3600);
    for name in ["epoch", "auth_time", "acr", "only", "roles"] {
        assert!(customer.get(name).is_none(), "a customer's token is what it was: {customer}");
    }
    let mut ada = ada(&edge).await;
    assert_eq!(life(&ada), 900);
    for _ in 0..71 {
        edge.clock.advance(SignedDuration::from_mins(10));
        ada = token(&edge.send("POST", RENEW, Some(&ada), "").await);
    }
    assert!((570..=600).contains(&life(&ada)), "12 hours after the login: {}", life(&ada));
    edge.clock.advance(SignedDuration::from_mins(9));
    let last = life(&token(&edge.send("POST", RENEW, Some(&ada), "").await));
    assert!((30..=60).contains(&last), "{last}");
    edge.clock.advance(SignedDuration::from_mins(2));
    assert_eq!(edge.send("POST", RENEW, Some(&ada), "").await.problem(401), "the token has expired");
}

#[tokio::test]
async fn a_renewal_has_the_roles_of_now_and_needs_an_account_that_has_not_changed() {
    let edge = edge();
    let ada = ada(&edge).await;
    change(&edge, UserChange::roles(["support".to_owned()].into())).await;
    until_ended(&edge, &ada).await;
    edge.send("POST", RENEW, Some(&ada), "").await.problem(401);
    edge.send("POST", RENEW, None, "").await.problem(401);
    let again = token(&login(&edge).await);
    assert_eq!(claims(&again)["roles"], json!(["support"]));
}

#[tokio::test]
async fn dangerous_acts_need_the_password_again_and_not_long_ago() {
    let edge = edge();
    let ada = ada(&edge).await;
    let refused = get(&edge, DANGEROUS, &ada).await;
    let detail = refused.problem(403);
    assert!(detail.contains("POST .../sudo") && detail.contains("within 5m"), "{detail}");
    assert_eq!(refused.json()["code"], "sudo-required");
    let wrong = edge.send("POST", SUDO, Some(&ada), json!({"password": "password124"}).to_string()).await;
    assert_eq!(wrong.problem(403), "/password: is not the password of this account");
    let sudo = token(&edge.send("POST", SUDO, Some(&ada), json!({"password": "password123"}).to_string()).await);
    assert_eq!(get(&edge, DANGEROUS, &sudo).await.text, "done");
    edge.clock.advance(SignedDuration::from_secs(270));
    let renewed = token(&edge.send("POST", RENEW, Some(&sudo), "").await);
    assert_eq!(get(&edge, DANGEROUS, &renewed).await.status, 200, "a renewal takes along when it was");
    edge.clock.advance(SignedDuration::from_secs(31));
    for token in [&sudo, &renewed] {
        assert_eq!(get(&edge, DANGEROUS, token).await.json()["code"], "sudo-required");
    }
}

#[tokio::test]
async fn who_has_not_the_role_is_refused_before_the_password_is_asked_for() {
    let edge = edge();
    let bob = edge.register("bob@example.com").await;
    let refused = get(&edge, DANGEROUS, &bob).await;
    assert!(refused.problem(403).contains("the roles finance") && refused.json().get("code").is_none(), "{}", refused.text);
    get(&edge, DANGEROUS, "").await.problem(401);
}

#[tokio::test]
async fn guessing_the_password_for_dangerous_acts_is_slowed_as_at_the_login() {
    let edge = edge();
    let ada = ada(&edge).await;
    // Five are free from where she has been.
    for _ in 0..7 {
        edge.send("POST", SUDO, Some(&ada), json!({"password": "password124"}).to_string()).await.problem(403);
    }
    let metrics = edge.get("/metrics").await.text;
    let held = metrics.lines().find(|line| line.starts_with("shop_logins_slowed_total{") && line.contains("outcome=\"held\""));
    assert!(held.is_some_and(|line| line.contains("by=\"network_at_account\"")), "{metrics}");
}
