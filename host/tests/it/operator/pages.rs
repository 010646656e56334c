//! The pages of the console, and what they ask besides the operator's own calls.

use millrace::plan::access::Role;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;

use super::staff;
use crate::test_app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn the_console_is_served_and_nothing_else_of_its_folder() {
    let web = TempDir::new().unwrap();
    for (path, text) in [
        ("index.html", "the store"),
        ("admin/index.html", "the admin"),
        ("console/index.html", "<p>the console"),
        ("assets/main-abcdefgh.js", "'the code'"),
        ("theme.js", "'the theme'"),
        ("favicon.svg", "<svg/>"),
    ] {
        let path = web.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let app = TestApp::start("configs/monolith.yaml", &[("WEB_ROOT", web.path().to_str().unwrap())]).await;
    let local = app.operator.as_ref().unwrap();
    let page = local.open("/console/").await;
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("script-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(page.text().await.unwrap(), "<p>the console");
    assert_eq!(local.open("/").await.url().path(), "/console/", "whoever comes without a path is shown the way");
    for path in ["/assets/main-abcdefgh.js", "/theme.js", "/favicon.svg"] {
        assert_eq!(local.open(path).await.status(), StatusCode::OK, "{path}");
    }
    for path in ["/index.html", "/admin/", "/console/../index.html", "/console/nothing.js", "/metrics"] {
        assert_eq!(local.open(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_works_here_signs_in_at_the_console_and_no_page_of_others_does() {
    let app = TestApp::monolith().await;
    let admin = staff(&app, "olga", &[Role::Admin]).await;
    let local = app.operator.as_ref().unwrap();
    let given = json!({"email": "olga@example.com", "password": "wrong"});
    let wrong = local.post("/api/auth/login", &given).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED, "{wrong:?}");
    let signed_in = local.login("olga").await;
    assert_eq!(signed_in.get("/operator/session").await.body["roles"], json!(["customer", "admin"]));
    assert_eq!(admin.post("/api/auth/renew", &json!({})).await.status, StatusCode::OK);
    let from = [("origin", "http://evil.example")];
    let foreign = local.send(Method::POST, "/api/auth/login", Some(&given), &from).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN, "{foreign:?}");
    let named = local.send(Method::POST, "/api/auth/login", Some(&given), &[("host", "shop.example")]).await;
    assert_eq!(named.status, StatusCode::FORBIDDEN, "{named:?}");

    assert!(admin.get("/api/admin/audit").await.body.is_array() || admin.get("/api/admin/audit").await.body["items"].is_array());
    assert_eq!(local.get("/api/admin/audit").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(local.get("/api/orders").await.status, StatusCode::NOT_FOUND, "what customers ask is not asked here");
}
