//! The shop's admin: what people with a role do, and what is written of it.

use std::process::Command;

use millrace::plan::access::Role;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::conditions::test_env::until;
use crate::test_app::{SECRET, TestApp, repository};

async fn audit(app: &TestApp, query: &str) -> Vec<Value> {
    let admin = app.client.login("auditor").await;
    let page = admin.get(&format!("/api/admin/audit?{query}")).await;
    assert_eq!(page.status, StatusCode::OK, "{page:?}");
    page.body["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_is_in_the_audit_log_once_in_a_while() {
    let app = TestApp::monolith().await;
    app.staff("auditor", &[Role::Admin]).await;
    let (catalogue, customer) = (app.staff("carol", &[Role::Catalogue]).await, app.client.customer("mallory").await);
    for client in [&catalogue, &customer, &customer, &customer] {
        let refused = client.send(Method::GET, "/api/admin/audit", None, &[("x-request-id", "r-7")]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
    }
    assert_eq!(app.client.get("/api/admin/audit").await.status, StatusCode::UNAUTHORIZED);
    until("two refusals are written", || async { (audit(&app, "action=refused").await.len() == 2).then_some(()) }).await;
    let rows = audit(&app, "subject=GET%20/api/admin/audit").await;
    let mallory = customer.get("/api/auth/profile").await.body["id"].clone();
    assert_eq!((rows.len(), &rows[0]["actor"], &rows[0]["requestId"]), (2, &mallory, &"r-7".into()), "{rows:?}");
    assert_eq!((&rows[0]["address"], &rows[1]["roles"]), (&"127.0.0.1".into(), &serde_json::json!(["catalogue", "customer"])));
    assert_eq!(audit(&app, &format!("actor={}", mallory.as_str().unwrap())).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_write_what_they_do_and_tell_whether_the_log_is_whole() {
    let app = TestApp::monolith().await;
    app.staff("auditor", &[Role::Admin]).await;
    app.client.customer("ada").await;
    let config = repository().join("configs/monolith.yaml");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.args(arguments).env("MILLRACE_CONFIG", &config).env("JWT_SECRET", SECRET).env("DATA_DIR", app.folder.path().join("data"));
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let before = run(&["audit", "verify"]);
    assert!(before.0, "{before:?}");
    assert!(run(&["users", "grant", "ada@example.com", "finance", "support"]).0);
    assert!(run(&["users", "revoke", "ada@example.com", "support"]).0);
    assert!(!run(&["users", "grant", "nobody@example.com", "support"]).0, "nothing is written of what was not done");
    let rows = audit(&app, "").await;
    let deeds: Vec<_> = rows.iter().map(|row| (row["action"].as_str().unwrap(), row["reason"].as_str().unwrap())).collect();
    assert_eq!(deeds, [("users.revoke", "revoke support"), ("users.grant", "grant support, finance")]);
    assert!(rows.iter().all(|row| row["actor"].as_str().unwrap().starts_with("cli:")), "{rows:?}");

    // Of an exported line without its hash the SHA-256 is that hash.
    let (_, exported, _) = run(&["audit", "export"]);
    let lines: Vec<&str> = exported.lines().collect();
    assert_eq!(lines.len(), 2, "{exported}");
    for line in &lines {
        let (content, hash) = line.split_once(r#","hash":""#).unwrap();
        assert_eq!(format!("{:x}", Sha256::digest(format!("{content}}}"))), hash.trim_end_matches("\"}"));
    }
    let (whole, said, _) = run(&["audit", "verify", "--output", "json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((whole, &said["whole"], &said["rows"], &said["last"]["seq"]), (true, &true.into(), &2.into(), &2.into()));
    let noted = format!("2:{}", said["last"]["hash"].as_str().unwrap());
    assert!(run(&["audit", "verify", "--noted", &noted]).0);
    let other = run(&["audit", "verify", "--noted", &format!("2:{}", "0".repeat(64))]);
    assert!(!other.0 && other.1.contains("row 2 is not the one that was noted"), "{other:?}");

    let database = rusqlite::Connection::open(app.folder.path().join("data/ecommerce.db")).unwrap();
    database.execute_batch("DROP TRIGGER audit_is_not_changed; UPDATE audit SET reason = 'nothing' WHERE seq = 1").unwrap();
    let tampered = run(&["audit", "verify"]);
    assert!(!tampered.0 && tampered.1.contains("row 1 was changed after it was written"), "{tampered:?}");
}
