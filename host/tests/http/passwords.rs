//! Another password: for who knows the old one, and for who gets the mail.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use millrace::plan::{AccountOperation, AccountTopics, Endpoint, Middleware};
use millrace::store::UserChange;
use serde_json::{Value, json};

use crate::support::{Answer, Edge, Setup, route};

const PASSWORD: &str = "/api/auth/password";
const FORGOTTEN: &str = "/api/auth/password/forgotten";
const RESET: &str = "/api/auth/password/reset";

fn edge() -> Edge {
    let mut setup = Setup::new();
    setup.plan.auth = Some(millrace::plan::Auth {
        topics: Some(AccountTopics::of("user")),
        reset_link: Some("https://shop.example/#/reset/{token}".into()),
        ..crate::support::auth()
    });
    for (method, path, operation, middlewares) in [
        ("PUT", PASSWORD, AccountOperation::ChangePassword, vec![Middleware::Auth]),
        ("POST", FORGOTTEN, AccountOperation::ForgottenPassword, vec![]),
        ("POST", RESET, AccountOperation::ResetPassword, vec![]),
    ] {
        setup.plan.routes.push(route(method, path, Endpoint::Account(operation), middlewares));
    }
    setup.start()
}

async fn try_login(edge: &Edge, password: &str) -> u16 {
    edge.post("/api/auth/login", json!({"email": "ada@example.com", "password": password})).await.status.as_u16()
}

async fn change(edge: &Edge, token: &str, old: &str, new: &str) -> Answer {
    edge.send("PUT", PASSWORD, Some(token), json!({"currentPassword": old, "newPassword": new}).to_string()).await
}

async fn forgotten(edge: &Edge, email: &str) -> Answer {
    edge.post(FORGOTTEN, json!({"email": email})).await
}

async fn reset(edge: &Edge, token: &str, new: &str) -> Answer {
    edge.post(RESET, json!({"token": token, "newPassword": new})).await
}

/// The events of this topic in the outbox, oldest first.
async fn told(edge: &Edge, topic: &str) -> Vec<Value> {
    let events = edge.store.messages.unpublished(0, 100).await.unwrap();
    events.iter().filter(|event| event.topic == topic).map(|event| serde_json::from_str(&event.payload).unwrap()).collect()
}

/// The tokens of the links that were sent, once there are so many.
async fn sent(edge: &Edge, count: usize) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let events = told(edge, "user.password_forgotten").await;
        if events.len() >= count {
            let link = |event: &Value| event["data"]["data"]["link"].as_str().unwrap().to_owned();
            return events.iter().map(|event| link(event).strip_prefix("https://shop.example/#/reset/").unwrap().to_owned()).collect();
        }
        assert!(Instant::now() < deadline, "{} links were sent", events.len());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn who_knows_the_old_password_sets_another_and_all_other_tokens_end() {
    let edge = edge();
    let (ada, elsewhere) = (edge.register("ada@example.com").await, edge.login("ada@example.com").await);
    let changed = change(&edge, &ada, "password123", "password456").await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let token = changed.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(edge.profile(&token).await.status, 200, "who has changed it stays logged in");
    for ended in [&ada, &elsewhere] {
        assert!(edge.profile(ended).await.problem(401).contains("its account has changed"));
    }
    assert_eq!((try_login(&edge, "password123").await, try_login(&edge, "password456").await), (401, 200));
    let notices = told(&edge, "user.changed").await;
    assert_eq!((notices.len(), &notices[0]["data"]["data"]["epoch"]), (1, &json!(1)), "the other processes are told: {notices:?}");
    assert!(notices[0]["data"]["data"]["notice"].is_string() && !notices[0].to_string().contains("ada@"), "{notices:?}");
}

#[tokio::test]
async fn a_wrong_old_password_and_a_new_one_that_is_none_change_nothing() {
    let edge = edge();
    let ada = edge.register("ada@example.com").await;
    let refused = change(&edge, &ada, "password124", "password456").await;
    assert_eq!(refused.problem(403), "/currentPassword: is not the password of this account");
    assert_eq!(change(&edge, &ada, "password123", "short").await.wrong_fields(), ["/newPassword"]);
    assert_eq!(edge.send("PUT", PASSWORD, Some(&ada), "{}").await.wrong_fields(), ["/currentPassword", "/newPassword"]);
    change(&edge, "", "password123", "password456").await.problem(401);
    assert_eq!((edge.profile(&ada).await.status.as_u16(), try_login(&edge, "password123").await), (200, 200));
}

#[tokio::test]
async fn who_gets_the_mail_sets_another_password_once_and_all_tokens_end() {
    let edge = edge();
    let ada = edge.register("ada@example.com").await;
    assert_eq!(edge.profile(&ada).await.status, 200);
    for _ in 0..2 {
        assert_eq!(forgotten(&edge, "ADA@example.com").await.status, 202);
    }
    let links = sent(&edge, 2).await;
    assert_eq!(reset(&edge, &links[0], "short").await.wrong_fields(), ["/newPassword"]);
    let done = reset(&edge, &links[0], "password456").await;
    assert_eq!((done.status.as_u16(), done.text.as_str()), (204, ""));
    edge.profile(&ada).await.problem(401);
    assert_eq!((try_login(&edge, "password123").await, try_login(&edge, "password456").await), (401, 200));
    for used in [links[0].as_str(), &links[1], "", "0000"] {
        let refused = reset(&edge, used, "password789").await;
        assert!(refused.problem(403).starts_with("/token"), "{used}: {}", refused.text);
    }
    assert_eq!(try_login(&edge, "password456").await, 200);
}

#[tokio::test]
async fn a_link_is_good_for_half_an_hour_and_what_is_kept_of_it_is_no_link() {
    let edge = edge();
    edge.register("ada@example.com").await;
    forgotten(&edge, "ada@example.com").await;
    let link = sent(&edge, 1).await.remove(0);
    assert_eq!(link.len(), 64);
    assert_eq!(edge.store.users.reset_of(&link, edge.clock.steady()).await.unwrap(), None, "the store has a digest only");
    edge.clock.advance(SignedDuration::from_mins(31));
    assert!(reset(&edge, &link, "password456").await.problem(403).starts_with("/token"));
}

#[tokio::test]
async fn it_makes_no_difference_to_who_asks_whether_there_is_such_an_account() {
    let edge = edge();
    edge.register("ada@example.com").await;
    let bob = edge.register("bob@example.com").await;
    let id = edge.profile(&bob).await.json()["id"].as_str().unwrap().to_owned();
    edge.store.users.change_user(&id, UserChange::disabled(true)).await.unwrap();
    let mut answers = Vec::new();
    for email in ["nobody@example.com", "bob@example.com", "no e-mail", "ada@example.com"] {
        let answer = forgotten(&edge, email).await;
        answers.push((answer.status.as_u16(), answer.text.clone(), answer.headers.len()));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]) && answers[0].0 == 202, "{answers:?}");
    let links = sent(&edge, 1).await;
    assert_eq!(links.len(), 1, "only who has an account and may log in gets one");
}

#[tokio::test]
async fn who_asks_again_and_again_is_slowed_and_logs_in_all_the_same() {
    let edge = edge();
    edge.register("ada@example.com").await;
    for email in ["ada@example.com", "nobody@example.com"] {
        let mut refused = None;
        for _ in 0..60 {
            let answer = forgotten(&edge, email).await;
            if answer.status == 429 {
                refused = Some(answer.header("retry-after").parse::<u64>().unwrap());
                break;
            }
        }
        assert!(refused.is_some(), "{email} was never slowed");
    }
    assert_eq!(try_login(&edge, "password123").await, 200);
}
