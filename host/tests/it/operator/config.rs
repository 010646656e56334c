//! The config: as it is, what is wrong with another one, and what that would change.

use millrace::plan::access::Role;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{PATIENT, declined, millrace, staff};
use crate::test_app::{SECRET, TestApp, from_anywhere, repository};

#[tokio::test(flavor = "multi_thread")]
async fn a_config_is_read_judged_and_compared_before_anybody_runs_it() {
    let app = TestApp::start("configs/monolith.yaml", &PATIENT).await;
    declined(&app, "ada").await;
    let designer = staff(&app, "dora", &[Role::Designer]).await;
    let text = std::fs::read_to_string(repository().join("configs/monolith.yaml")).unwrap();
    let read = designer.get("/operator/config").await;
    assert_eq!((&read.body["text"], &read.body["runs"]), (&json!(text), &json!(true)));
    let tag = read.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(tag, format!("\"{}\"", read.body["digest"].as_str().unwrap()));
    let known = designer.send(Method::GET, "/operator/config", None, &[("if-none-match", &tag)]).await;
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);
    assert!(designer.get("/operator/schema").await.body["$defs"].is_object());

    let wrong = text.replace("type: health.checker", "type: health.chequer");
    let checked = designer.post("/operator/config/check", &json!({"text": wrong})).await.body;
    assert_eq!(checked["valid"], false);
    let problem = &checked["problems"][0];
    assert!(problem["line"].as_u64().unwrap() > 1 && problem["help"].as_str().unwrap().contains("health.checker"), "{problem}");

    let same = designer.post("/operator/config/plan", &json!({"text": text})).await.body;
    assert_eq!((&same["valid"], &same["changes"], &same["stranded"]), (&json!(true), &json!([]), &json!([])), "{same}");
    let renamed = text.replace("payment-processor", "payments");
    let planned = designer.post("/operator/config/plan", &json!({"text": renamed})).await.body;
    assert_eq!(planned["valid"], true, "{planned}");
    let parts: Vec<&str> = planned["changes"].as_array().unwrap().iter().map(|change| change["part"].as_str().unwrap()).collect();
    assert!(parts.contains(&"module payment-processor") && parts.contains(&"module payments"), "{parts:?}");
    let stranded = json!([{"workflow": "order-processing", "what": "component 'payment-processor'", "instances": 1}]);
    assert_eq!(planned["stranded"], stranded);

    let file = app.folder.path().join("renamed.yaml");
    std::fs::write(&file, from_anywhere(&renamed)).unwrap();
    let token = designer.token().to_owned();
    let (ok, said) = tokio::task::block_in_place(|| millrace(&app, &token, &["plan", file.to_str().unwrap(), "--against", "running"]));
    assert!(!ok && said.contains("would strand instances") && said.contains("need component 'payment-processor'"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_that_somebody_has_judged_tells_them_a_secret_of_the_process() {
    let app = TestApp::start("configs/monolith.yaml", &PATIENT).await;
    let support = staff(&app, "sue", &[Role::Support]).await;
    let server = "  - {name: x, type: http.server, config: {address: '${JWT_SECRET}', readTimeout: '${JWT_SECRET}'}}";
    let text = format!("a: ${{JWT_SECRET}}\n${{JWT_SECRET}}: 1\nmodules:\n{server}\n");
    for path in ["/operator/config/plan", "/operator/config/check"] {
        let told = support.post(path, &json!({"text": text})).await;
        assert_eq!(told.status, StatusCode::OK, "{told:?}");
        let said = told.body.to_string();
        // What a message has room for would be enough.
        assert!(!said.contains(&SECRET[..12]) && said.contains("hidden-"), "{said}");
    }
}
