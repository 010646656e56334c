//! What an admin does about the accounts of others.

use millrace::plan::access::Access;
use millrace::plan::{AccountOperation, Endpoint, Middleware, Route};
use millrace::store::{AuditListing, UserChange};
use serde_json::{Value, json};

use crate::support::{Answer, Edge, Setup, route};

const USERS: &str = "/api/admin/users";

/// An edge with the routes of admins, and Ada, who is one and has just shown her password again; her token.
async fn edge() -> (Edge, String) {
    let mut setup = Setup::new();
    for (method, end, operation) in [
        ("GET", "", AccountOperation::ListUsers),
        ("GET", "/{id}", AccountOperation::Contact),
        ("PUT", "/{id}/roles", AccountOperation::SetRoles),
        ("POST", "/{id}/disable", AccountOperation::Disable),
        ("POST", "/{id}/enable", AccountOperation::Enable),
    ] {
        let of_admins = route(method, &format!("{USERS}{end}"), Endpoint::Account(operation), vec![Middleware::Auth]);
        let access = Access::Roles(operation.roles().expect("not for everybody"));
        setup.plan.routes.push(Route { access, sudo: operation.sudo(), ..of_admins });
    }
    let edge = setup.start();
    edge.register("ada@example.com").await;
    let id = edge.store.users.user_by_email("ada@example.com").await.unwrap().unwrap().id;
    edge.store.users.change_user(&id, UserChange::roles(["admin".to_owned()].into())).await.unwrap();
    let token = edge.login("ada@example.com").await;
    let sudo = edge.send("POST", "/api/auth/sudo", Some(&token), json!({"password": "password123"}).to_string()).await;
    let token = sudo.json()["token"].as_str().unwrap().to_owned();
    (edge, token)
}

/// Registers somebody; their id and token.
async fn somebody(edge: &Edge, email: &str) -> (String, String) {
    let token = edge.register(email).await;
    (edge.profile(&token).await.json()["id"].as_str().unwrap().to_owned(), token)
}

async fn list(edge: &Edge, token: &str, query: &str) -> Value {
    let answer = edge.send("GET", &format!("{USERS}{query}"), Some(token), "").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

async fn put_roles(edge: &Edge, token: &str, id: &str, body: Value) -> Answer {
    edge.send("PUT", &format!("{USERS}/{id}/roles"), Some(token), body.to_string()).await
}

async fn keep(edge: &Edge, token: &str, id: &str, what: &str, body: Value) -> Answer {
    edge.send("POST", &format!("{USERS}/{id}/{what}"), Some(token), body.to_string()).await
}

#[tokio::test]
async fn accounts_are_listed_in_pages_and_searched() {
    let (edge, ada) = edge().await;
    for name in ["bob", "eve", "mia"] {
        edge.register(&format!("{name}@example.com")).await;
    }
    let first = list(&edge, &ada, "?limit=3").await;
    let emails =
        |page: &Value| page["items"].as_array().unwrap().iter().map(|one| one["email"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(emails(&first), ["ada@example.com", "bob@example.com", "eve@example.com"]);
    let ada_shown = &first["items"][0];
    assert_eq!(
        (&ada_shown["roles"], &ada_shown["disabled"], &ada_shown["secondFactor"]),
        (&json!(["admin"]), &json!(false), &json!(false))
    );
    assert_eq!(ada_shown.as_object().unwrap().len(), 7, "no hash and no key is shown: {ada_shown}");
    let rest = list(&edge, &ada, &format!("?limit=3&cursor={}", first["nextCursor"].as_str().unwrap())).await;
    assert_eq!((emails(&rest), &rest["nextCursor"]), (vec!["mia@example.com".to_owned()], &Value::Null));
    assert_eq!(emails(&list(&edge, &ada, "?search=EVE@").await), ["eve@example.com"]);
    assert_eq!(emails(&list(&edge, &ada, "?staff=true").await), ["ada@example.com"]);
    for wrong in ["?limit=0", "?limit=101"] {
        edge.send("GET", &format!("{USERS}{wrong}"), Some(&ada), "").await.problem(422);
    }
    edge.send("GET", &format!("{USERS}?staff=perhaps"), Some(&ada), "").await.problem(400);
}

#[tokio::test]
async fn whoever_looks_after_customers_reads_whose_account_it_is_and_no_more() {
    let (edge, ada) = edge().await;
    let (bob, before) = somebody(&edge, "bob@example.com").await;
    edge.send("GET", &format!("{USERS}/{bob}"), Some(&before), "").await.problem(403);
    assert_eq!(put_roles(&edge, &ada, &bob, json!({"roles": ["support"], "reason": "joins"})).await.status, 200);
    let support = edge.login("bob@example.com").await;
    let (eve, _) = somebody(&edge, "eve@example.com").await;
    let shown = edge.send("GET", &format!("{USERS}/{eve}"), Some(&support), "").await;
    assert_eq!((shown.status.as_u16(), shown.json()["email"].clone()), (200, json!("eve@example.com")));
    assert_eq!(shown.json().as_object().unwrap().len(), 3, "no roles and no second factor: {}", shown.text);
    let missing = edge.send("GET", &format!("{USERS}/nobody"), Some(&support), "").await;
    assert!(missing.text.contains("account 'nobody'"), "{}", missing.text);
    missing.problem(404);
    edge.send("GET", USERS, Some(&support), "").await.problem(403);
}

#[tokio::test]
async fn an_admin_gives_roles_and_takes_them_and_tokens_end_at_once() {
    let (edge, ada) = edge().await;
    let (id, before) = somebody(&edge, "bob@example.com").await;
    assert_eq!(edge.profile(&before).await.status, 200);
    let given = put_roles(&edge, &ada, &id, json!({"roles": ["support", "finance"], "reason": "joins the team"})).await;
    assert_eq!((given.status.as_u16(), &given.json()["roles"]), (200, &json!(["support", "finance"])), "{}", given.text);
    assert_eq!(edge.profile(&before).await.status, 401, "not a request later");
    let after = edge.login("bob@example.com").await;
    assert_eq!(edge.profile(&after).await.status, 200);
    let same = put_roles(&edge, &ada, &id, json!({"roles": ["finance", "support"], "reason": "once more"})).await;
    assert_eq!((same.status.as_u16(), edge.profile(&after).await.status.as_u16()), (200, 200), "what he has already ends nothing");
    let taken = put_roles(&edge, &ada, &id, json!({"roles": [], "reason": "leaves the team"})).await;
    assert_eq!((&taken.json()["roles"], edge.profile(&after).await.status.as_u16()), (&json!([]), 401));
}

#[tokio::test]
async fn what_an_admin_does_is_written_with_its_reason_in_the_audit_log() {
    let (edge, ada) = edge().await;
    let own = edge.profile(&ada).await.json()["id"].as_str().unwrap().to_owned();
    let (id, _) = somebody(&edge, "bob@example.com").await;
    put_roles(&edge, &ada, &id, json!({"roles": ["support"], "reason": "joins the team"})).await;
    keep(&edge, &ada, &id, "disable", json!({"reason": "stolen laptop"})).await;
    put_roles(&edge, &ada, &own, json!({"roles": [], "reason": "refused: nobody else is one"})).await.problem(409);
    let rows = edge.store.audit.audited(&AuditListing { limit: 9, ..AuditListing::default() }).await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.entry.action.as_str(), row.entry.reason.as_deref().unwrap())).collect();
    assert_eq!(told, [("users.disable", "stolen laptop"), ("users.roles", "joins the team")]);
    for row in rows {
        assert_eq!((row.entry.actor, row.entry.subject, row.entry.sudo), (own.clone(), format!("users/{id}"), true));
    }
}

#[tokio::test]
async fn who_is_kept_out_is_out_at_once() {
    let (edge, ada) = edge().await;
    let (id, token) = somebody(&edge, "bob@example.com").await;
    let out = keep(&edge, &ada, &id, "disable", json!({"reason": "stolen laptop"})).await;
    assert_eq!((out.status.as_u16(), &out.json()["disabled"]), (200, &json!(true)), "{}", out.text);
    edge.profile(&token).await.problem(401);
    let credentials = json!({"email": "bob@example.com", "password": "password123"});
    assert_eq!(edge.post("/api/auth/login", credentials.clone()).await.problem(401), "invalid credentials");
    assert_eq!(keep(&edge, &ada, &id, "enable", json!({"reason": "found"})).await.json()["disabled"], json!(false));
    assert_eq!(edge.post("/api/auth/login", credentials).await.status, 200);
    edge.profile(&token).await.problem(401);
}

#[tokio::test]
async fn nobody_takes_away_the_last_admin() {
    let (edge, ada) = edge().await;
    let own = edge.profile(&ada).await.json()["id"].as_str().unwrap().to_owned();
    let reason = || json!({"reason": "holidays"});
    let none = || json!({"roles": ["support"], "reason": "holidays"});
    let kept = put_roles(&edge, &ada, &own, none()).await.problem(409);
    assert!(kept.contains("nobody else has the role admin: give it to somebody first"), "{kept}");
    keep(&edge, &ada, &own, "disable", reason()).await.problem(409);
    let (bob, _) = somebody(&edge, "bob@example.com").await;
    put_roles(&edge, &ada, &bob, json!({"roles": ["admin"], "reason": "deputy"})).await;
    assert_eq!(keep(&edge, &ada, &bob, "disable", reason()).await.status, 200);
    put_roles(&edge, &ada, &own, none()).await.problem(409);
    assert_eq!(keep(&edge, &ada, &bob, "enable", reason()).await.status, 200);
    assert_eq!(put_roles(&edge, &ada, &own, none()).await.status, 200);
}

#[tokio::test]
async fn a_change_needs_roles_that_there_are_and_a_reason_and_somebody() {
    let (edge, ada) = edge().await;
    let (id, _) = somebody(&edge, "bob@example.com").await;
    for (body, fields) in [
        (json!({}), vec!["/roles", "/reason"]),
        (json!({"roles": "admin", "reason": 1}), vec!["/roles", "/reason"]),
        (json!({"roles": ["admin", 7], "reason": "x"}), vec!["/roles/1"]),
        (json!({"roles": ["emperor", "support", "customer"], "reason": " "}), vec!["/roles/0", "/roles/2", "/reason"]),
        (json!({"roles": [], "reason": "x", "epoch": 1}), vec!["/epoch"]),
    ] {
        assert_eq!(put_roles(&edge, &ada, &id, body.clone()).await.wrong_fields(), fields, "{body}");
    }
    assert_eq!(keep(&edge, &ada, &id, "disable", json!({})).await.wrong_fields(), ["/reason"]);
    let nobody = put_roles(&edge, &ada, "nobody", json!({"roles": [], "reason": "x"})).await;
    assert_eq!(nobody.problem(404), "account 'nobody' not found");
}

#[tokio::test]
async fn a_customer_is_refused_alike_whether_or_not_there_is_such_an_account_and_an_admin_without_the_password_too() {
    let (edge, _) = edge().await;
    let (id, bob) = somebody(&edge, "bob@example.com").await;
    let body = || json!({"roles": ["admin"], "reason": "I want to"});
    let (there, not_there) = (put_roles(&edge, &bob, &id, body()).await, put_roles(&edge, &bob, "nobody", body()).await);
    assert_eq!((there.problem(403), &there.text), (not_there.problem(403), &not_there.text));
    edge.send("GET", USERS, Some(&bob), "").await.problem(403);
    let plain = edge.login("ada@example.com").await;
    assert_eq!(put_roles(&edge, &plain, &id, body()).await.json()["code"], "sudo-required");
    assert_eq!(edge.send("GET", USERS, Some(&plain), "").await.status, 200, "to look needs no password");
}
