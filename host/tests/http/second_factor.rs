//! The second factor, seen from outside: with an authenticator app of the test's own.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use millrace::plan::access::{Access, Role, Roles};
use millrace::plan::{AccountOperation, Endpoint, Middleware, Route};
use millrace::store::UserChange;
use serde_json::{Value, json};
use totp_rs::Totp;

use crate::support::{Answer, Edge, Setup, route};

const LOGIN: &str = "/api/auth/login";
const SUDO: &str = "/api/auth/sudo";
const TOTP_PATH: &str = "/api/auth/totp";
const CONFIRM: &str = "/api/auth/totp/confirm";
const MONEY: &str = "/api/money";

/// An edge where finance needs a second factor, with a route for finance.
fn edge() -> Edge {
    let finance: Roles = [Role::Finance].into_iter().collect();
    let mut setup = Setup::new().with_route(MONEY, vec![], axum::Router::new().fallback(|| async { "money" }));
    let money = route("GET", MONEY, Endpoint::Proxy(MONEY.into()), vec![Middleware::Auth]);
    *setup.plan.routes.last_mut().unwrap() = Route { access: Access::Roles(finance), ..money };
    setup.plan.auth = Some(millrace::plan::Auth { second_factor: finance, ..crate::support::auth() });
    for (method, path, operation) in [
        ("POST", TOTP_PATH, AccountOperation::EnrolFactor),
        ("DELETE", TOTP_PATH, AccountOperation::RemoveFactor),
        ("POST", CONFIRM, AccountOperation::ConfirmFactor),
    ] {
        let factors = route(method, path, Endpoint::Account(operation), vec![Middleware::Auth]);
        setup.plan.routes.push(Route { sudo: operation.sudo(), ..factors });
    }
    setup.start()
}

fn token(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["token"].as_str().unwrap().to_owned()
}

async fn login(edge: &Edge, code: Option<&str>) -> Answer {
    let mut credentials = json!({"email": "ada@example.com", "password": "password123"});
    if let Some(code) = code {
        credentials["code"] = json!(code);
    }
    edge.post(LOGIN, credentials).await
}

async fn sudo(edge: &Edge, token: &str, code: Option<&str>) -> Answer {
    let mut given = json!({"password": "password123"});
    if let Some(code) = code {
        given["code"] = json!(code);
    }
    edge.send("POST", SUDO, Some(token), given.to_string()).await
}

async fn ada(edge: &Edge, roles: &[&str]) {
    edge.register("ada@example.com").await;
    let id = edge.store.users.user_by_email("ada@example.com").await.unwrap().unwrap().id;
    let roles = roles.iter().map(|&role| role.to_owned()).collect();
    edge.store.users.change_user(&id, UserChange::roles(roles)).await.unwrap();
}

/// An authenticator app.
struct Device<'e> {
    edge: &'e Edge,
    totp: Totp,
    /// The code that was shown to set it up.
    used: String,
}

impl Device<'_> {
    /// The code of now.
    fn code(&self) -> String {
        self.totp.generate(u64::try_from(self.edge.clock.now().as_second()).unwrap()).to_string()
    }

    /// The next one.
    fn next_code(&self) -> String {
        self.edge.clock.advance(SignedDuration::from_secs(30));
        self.code()
    }
}

/// Sets up the second factor with this token: the device, and what was answered at the end.
async fn enrol<'e>(edge: &'e Edge, with: &str) -> (Device<'e>, Value) {
    let begun = edge.send("POST", TOTP_PATH, Some(with), "").await;
    assert_eq!(begun.status, 200, "{}", begun.text);
    let uri = begun.json()["uri"].as_str().unwrap().to_owned();
    assert!(uri.starts_with("otpauth://totp/") && uri.contains("ada%40example.com"), "{uri}");
    let mut device = Device { edge, totp: Totp::from_url(&uri).unwrap(), used: String::new() };
    assert_eq!(begun.json()["secret"], device.totp.secret().to_base32());
    device.used = device.code();
    let confirmed = edge.send("POST", CONFIRM, Some(with), json!({"code": device.used}).to_string()).await;
    assert_eq!(confirmed.status, 200, "{}", confirmed.text);
    let answer = confirmed.json();
    (device, answer)
}

#[tokio::test]
async fn a_role_that_needs_a_second_factor_is_no_use_before_it_is_set_up() {
    let edge = edge();
    ada(&edge, &["finance", "support"]).await;
    let first = login(&edge, None).await;
    assert_eq!(first.json()["needs"], "second-factor-enrolment");
    let limited = token(&first);
    assert!(edge.profile(&limited).await.json().get("secondFactor").is_none());
    for (method, path, body) in [("GET", MONEY, ""), ("PUT", "/api/auth/profile", "{}"), ("POST", SUDO, r#"{"password":"password123"}"#)] {
        let refused = edge.send(method, path, Some(&limited), body).await;
        refused.problem(403);
        assert_eq!(refused.json()["code"], "second-factor-enrolment-required", "{method} {path}");
    }
    let renewed = edge.send("POST", "/api/auth/renew", Some(&limited), "").await;
    assert_eq!(renewed.json()["code"], "second-factor-enrolment-required", "it does not become more");
    let (device, enrolled) = enrol(&edge, &limited).await;
    let full = enrolled["token"].as_str().unwrap();
    assert_eq!(edge.send("GET", MONEY, Some(full), "").await.text, "money");
    edge.send("POST", TOTP_PATH, Some(&limited), "").await.problem(401);
    assert_eq!(edge.profile(full).await.json()["secondFactor"], true);
    let again = login(&edge, Some(&device.next_code())).await;
    assert!(again.json().get("needs").is_none());
    assert_eq!(edge.send("GET", MONEY, Some(&token(&again)), "").await.text, "money");
}

#[tokio::test]
async fn whoever_has_one_is_asked_for_a_code_that_is_right_and_new() {
    let edge = edge();
    ada(&edge, &["finance"]).await;
    let (device, _) = enrol(&edge, &token(&login(&edge, None).await)).await;
    let missing = login(&edge, None).await;
    assert!(missing.problem(401).contains("send the code") && missing.json()["code"] == "second-factor-required", "{}", missing.text);
    assert_eq!(missing.header("www-authenticate"), "Bearer");
    let used = login(&edge, Some(&device.used)).await;
    assert!(used.problem(401).contains("was used already"), "the one that has confirmed it");
    let next = device.next_code();
    assert_eq!(login(&edge, Some("000000")).await.json()["code"], "second-factor-required");
    assert_eq!(login(&edge, Some(&format!("{} {}", &next[..3], &next[3..]))).await.status, 200, "as an app shows it");
    login(&edge, Some(&next)).await.problem(401);
    let wrong = edge.post(LOGIN, json!({"email": "ada@example.com", "password": "password124", "code": device.next_code()})).await;
    assert_eq!(wrong.problem(401), "invalid credentials", "a right code says nothing about a wrong password");
    assert!(wrong.json().get("code").is_none());
}

#[tokio::test]
async fn of_many_logins_with_one_code_at_once_one_works() {
    let edge = edge();
    ada(&edge, &["finance"]).await;
    let (device, _) = enrol(&edge, &token(&login(&edge, None).await)).await;
    let code = device.next_code();
    let answers = futures::future::join_all((0..4).map(|_| login(&edge, Some(&code)))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
}

#[tokio::test]
async fn a_recovery_code_is_good_once_in_the_place_of_a_code() {
    let edge = edge();
    ada(&edge, &["finance"]).await;
    let (_, enrolled) = enrol(&edge, &token(&login(&edge, None).await)).await;
    let codes: Vec<&str> = enrolled["recoveryCodes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
    assert_eq!(codes.len(), 10);
    assert_eq!(login(&edge, Some(&codes[3].to_uppercase())).await.status, 200);
    login(&edge, Some(codes[3])).await.problem(401);
    assert_eq!(login(&edge, Some(codes[4])).await.status, 200);
    let kept = edge.store.users.user_by_email("ada@example.com").await.unwrap().unwrap().second_factor.unwrap();
    assert!(kept.recovery.len() == 8 && kept.recovery.iter().all(|digest| digest.len() == 64), "only digests are kept");
}

#[tokio::test]
async fn guessing_codes_is_slowed_as_guessing_passwords_is() {
    let edge = edge();
    ada(&edge, &["finance"]).await;
    enrol(&edge, &token(&login(&edge, None).await)).await;
    for _ in 0..7 {
        login(&edge, Some("000000")).await.problem(401);
    }
    let metrics = edge.get("/metrics").await.text;
    let held = metrics.lines().find(|line| line.starts_with("shop_logins_slowed_total{") && line.contains("outcome=\"held\""));
    assert!(held.is_some_and(|line| line.contains("by=\"network_at_account\"")), "{metrics}");
}

#[tokio::test]
async fn to_set_it_up_or_to_remove_it_needs_the_password_again() {
    let edge = edge();
    ada(&edge, &[]).await;
    let plain = token(&login(&edge, None).await);
    assert_eq!(edge.send("POST", TOTP_PATH, Some(&plain), "").await.json()["code"], "sudo-required");
    let confirmed = token(&sudo(&edge, &plain, None).await);
    let (device, enrolled) = enrol(&edge, &confirmed).await;
    let full = enrolled["token"].as_str().unwrap();
    edge.send("POST", TOTP_PATH, Some(full), "").await.problem(409);
    assert_eq!(sudo(&edge, full, None).await.json()["code"], "second-factor-required", "the password alone is not enough any more");
    let again = token(&login(&edge, Some(&device.next_code())).await);
    assert_eq!(edge.send("DELETE", TOTP_PATH, Some(&again), "").await.json()["code"], "sudo-required");
    let confirmed = token(&sudo(&edge, &again, Some(&device.next_code())).await);
    let removed = token(&edge.send("DELETE", TOTP_PATH, Some(&confirmed), "").await);
    edge.profile(&again).await.problem(401);
    assert_eq!((edge.profile(&removed).await.status.as_u16(), login(&edge, None).await.status.as_u16()), (200, 200));
    let confirmed = token(&sudo(&edge, &removed, None).await);
    edge.send("DELETE", TOTP_PATH, Some(&confirmed), "").await.problem(404);
}

#[tokio::test]
async fn a_key_counts_for_nothing_before_a_code_of_it_was_shown() {
    let edge = edge();
    ada(&edge, &["finance"]).await;
    let limited = token(&login(&edge, None).await);
    edge.send("POST", CONFIRM, Some(&limited), json!({"code": "123456"}).to_string()).await.problem(403);
    edge.send("POST", TOTP_PATH, Some(&limited), "").await;
    let wrong = edge.send("POST", CONFIRM, Some(&limited), json!({"code": "12345"}).to_string()).await;
    assert!(wrong.problem(403).starts_with("/code: is no code of the key that was given out last"), "{}", wrong.text);
    assert_eq!(login(&edge, None).await.status, 200, "no code is asked for");
    enrol(&edge, &limited).await;
}

#[tokio::test]
async fn who_has_lost_everything_is_helped_beside_the_process() {
    let edge = edge();
    ada(&edge, &["finance"]).await;
    let (_, enrolled) = enrol(&edge, &token(&login(&edge, None).await)).await;
    let id = edge.store.users.user_by_email("ada@example.com").await.unwrap().unwrap().id;
    let reset = UserChange::new(|user| user.second_factor.take().is_some());
    edge.store.users.change_user(&id, reset).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while edge.profile(enrolled["token"].as_str().unwrap()).await.status == 200 {
        assert!(Instant::now() < deadline, "the token is still good");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(login(&edge, None).await.json()["needs"], "second-factor-enrolment");
}
