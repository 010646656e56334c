//! The processes of an installation, as one of them sees it.

use millrace::plan::access::Role;
use serde_json::json;

use super::saving::operator_of;
use super::staff;
use crate::process::Home;
use crate::test_app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn a_process_tells_itself_and_insiders_are_told_the_same_by_its_health() {
    let app = TestApp::start("configs/monolith.yaml", &[]).await;
    let support = staff(&app, "sue", &[Role::Support]).await;
    let told = support.get("/operator/processes").await;
    let description = support.get("/operator/openapi.json").await.body;
    super::described(&description, "get", "/operator/processes", &told);
    let items = told.body["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "it passes nothing on: {told:?}");
    let own = &items[0];
    assert_eq!((&own["name"], &own["health"], &own["runsFile"]), (&json!("monolith"), &json!("healthy"), &json!(true)), "{own}");
    assert!(own["modules"].as_array().unwrap().contains(&json!("orders-api")), "{own}");
    let health = app.client.get("/healthz").await;
    let said = ["process", "version", "config"].map(|what| health.headers[&format!("x-millrace-{what}")].to_str().unwrap());
    assert_eq!(said, ["name", "version", "digest"].map(|what| own[what].as_str().unwrap()), "{health:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_processes_that_requests_are_passed_on_to_are_asked_how_they_are() {
    let app = TestApp::start("configs/monolith.yaml", &[]).await;
    let there = app.client.base().trim_start_matches("http://").to_owned();
    let home = Home::new();
    let file = home.path().join("front.yaml");
    let proxy = format!(
        "{{name: passes, type: http.simple_proxy, config: {{targets: {{/api: \"http://{there}\", /far: \"http://127.0.0.1:1\"}}}}}}"
    );
    let modules = [
        "{name: web-server, type: http.server, config: {address: '${LISTEN}'}}",
        "{name: router, type: http.router}",
        "{name: health, type: health.checker}",
        &proxy,
        "{name: operator-server, type: http.server, config: {address: '${OPERATOR_LISTEN}'}}",
        "{name: operator, type: operator.api, config: {server: operator-server}}",
    ];
    let modules: String = modules.iter().map(|module| format!("  - {module}\n")).collect();
    let routes = "workflows: {http: {router: router, server: web-server, routes: [{method: GET, path: /api/things, handler: passes}, {method: GET, path: /far/things, handler: passes}]}}\n";
    std::fs::write(&file, format!("modules:\n{modules}{routes}")).unwrap();
    let process = home.start_config(&file, &[]).await;
    let told = operator_of(&process).get("/operator/processes").await.body;
    let items = told["items"].as_array().unwrap();
    let of = |address: &str| items.iter().find(|one| one["address"] == address).unwrap_or_else(|| panic!("{address}: {told}"));
    assert_eq!(items.len(), 3, "{told}");
    let near = of(&there);
    assert_eq!((&near["name"], &near["health"]), (&json!("monolith"), &json!("healthy")), "{near}");
    assert_eq!(near["asked"], json!([{"module": "passes", "what": "/api"}]));
    assert_eq!(near["digest"].as_str().map(str::len), Some(64), "{near}");
    let far = of("127.0.0.1:1");
    assert_eq!((&far["health"], &far["problems"]["process"]), (&json!("away"), &json!("accepts no connection")), "{far}");
}
