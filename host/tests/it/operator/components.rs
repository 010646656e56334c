//! Components: shown, judged, swapped and rolled back.

use millrace::plan::access::Role;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{millrace, staff, until};
use crate::test_app::{TestApp, built};

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_judged_put_in_its_place_and_rolled_back() {
    let app = TestApp::start("configs/monolith.yaml", &[("OPERATOR_WRITES", "true")]).await;
    let designer = staff(&app, "dora", &[Role::Designer]).await;
    app.client.customer("ada").await.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
    let list = designer.get("/operator/components").await.body;
    let payment = list["items"].as_array().unwrap().iter().find(|one| one["name"] == "payment-processor").unwrap().clone();
    let first = payment["digest"].as_str().unwrap().to_owned();
    assert_eq!((&payment["breaker"], &payment["outcomes"]["accepted"]), (&json!("closed"), &json!(1)), "{payment}");
    assert!(payment["p95Seconds"].as_f64().unwrap() > 0.0, "{payment}");
    let shown = designer.get("/operator/components/payment-processor").await.body;
    assert!(shown["limits"]["memoryBytes"].as_u64().unwrap() > 0 && shown["versions"].as_array().unwrap().len() == 1, "{shown}");

    let refused = designer.post("/operator/components/payment-processor/upload", &json!({})).await;
    assert_eq!(refused.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{refused:?}");
    let token = designer.token().to_owned();
    let ask = |arguments: &[&str]| tokio::task::block_in_place(|| millrace(&app, &token, arguments));
    let (ok, wrong) = ask(&["components", "upload", "payment-processor", built("shipping.wasm").to_str().unwrap()]);
    assert!(!ok && wrong.contains("the file is another component"), "{wrong}");
    assert_eq!(designer.get("/operator/components/payment-processor").await.body["digest"], first.as_str(), "nothing has changed");

    let data = json!({"data": {"total": "1.00"}});
    let tried = designer.post("/operator/components/payment-processor/trial", &data).await;
    assert_eq!((tried.status, &tried.body["digest"]), (StatusCode::OK, &json!(first)), "{tried:?}");
    assert_ne!(tried.body["outcome"], "accepted", "there is nothing to pay with: {tried:?}");
    let written = app.store.audit.audited_after(0, 100).await.unwrap();
    assert!(written.iter().any(|row| row.entry.action == "components.trial"), "{written:?}");
    let listed = async |which: usize| designer.get("/operator/components/payment-processor").await.body["versions"][which].clone();
    let (ok, kept) = ask(&["components", "upload", "payment-processor", built("payment-v2.wasm").to_str().unwrap()]);
    assert!(ok, "{kept}");
    assert_eq!((&listed(0).await["served"], &listed(1).await["served"]), (&json!(true), &json!(false)), "who comes later finds it");
    let (ok, swapped) =
        ask(&["components", "swap", "payment-processor", built("payment-v2.wasm").to_str().unwrap(), "--reason", "the new version"]);
    assert!(ok && swapped.contains("serves"), "{swapped}");
    let second = designer.get("/operator/components/payment-processor").await.body["digest"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    assert_eq!((&listed(0).await["served"], &listed(2).await), (&json!(true), &json!(null)), "it is listed once");
    let at = std::fs::read(app.component("payment.wasm")).unwrap();
    assert_eq!(at, std::fs::read(built("payment-v2.wasm")).unwrap(), "the file says so too");

    let back = designer.post("/operator/components/payment-processor/rollback", &json!({"reason": "it is slow"})).await;
    assert_eq!((back.status, &back.body["component"]["digest"]), (StatusCode::OK, &json!(first)), "{back:?}");
    until("the file is that of the version that serves", async || {
        (std::fs::read(app.component("payment.wasm")).unwrap() == std::fs::read(built("payment.wasm")).unwrap()).then_some(json!(null))
    })
    .await;
    let none = designer.send(Method::POST, "/operator/components/nobody/swap", Some(&json!({"digest": "x", "reason": "y"})), &[]).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND, "{none:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_copies_that_was_tidied_away_is_made_anew_and_a_file_that_cannot_be_kept_is_not_blamed() {
    let app = TestApp::start("configs/monolith.yaml", &[("OPERATOR_WRITES", "true")]).await;
    let designer = staff(&app, "dora", &[Role::Designer]).await;
    let token = designer.token().to_owned();
    let cache = app.folder.path().join("data/components-cache");
    std::fs::remove_dir_all(&cache).unwrap();
    let uploading = |name: &str| {
        let file = built(name);
        tokio::task::block_in_place(|| millrace(&app, &token, &["components", "upload", "payment-processor", file.to_str().unwrap()]))
    };
    let (ok, said) = uploading("payment-v2.wasm");
    assert!(ok, "{said}");

    std::fs::remove_dir_all(&cache).unwrap();
    std::fs::write(&cache, "in its place").unwrap();
    let (ok, said) = uploading("payment-v2.wasm");
    assert!(
        !ok && said.contains("nothing is known against the file") && said.contains("cannot be copied") && !said.contains("the body"),
        "{said}"
    );
    app.client.customer("ada").await.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_versions_do_the_same_jobs_and_it_is_told_where_they_differ() {
    let app = TestApp::start("configs/monolith.yaml", &[("OPERATOR_WRITES", "true")]).await;
    let designer = staff(&app, "dora", &[Role::Designer]).await;
    let customer = app.client.customer("ada").await;
    for _ in 0..3 {
        customer.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
    }
    let token = designer.token().to_owned();
    let ask = |arguments: &[&str]| tokio::task::block_in_place(|| millrace(&app, &token, arguments));
    let same = ask(&["components", "compare", "shipping-service", built("shipping.wasm").to_str().unwrap()]);
    assert!(same.0 && same.1.contains("3 of 3 jobs were answered alike"), "{}", same.1);
    let before = designer.get("/operator/components/shipping-service").await.body["runs"].clone();

    let (_, said) = ask(&["components", "upload", "payment-processor", built("payment-v2.wasm").to_str().unwrap()]);
    let digest = said.split(' ').next().unwrap();
    let compared = designer.post("/operator/components/payment-processor/compare", &json!({"digest": digest, "limit": 2})).await;
    assert_eq!((compared.status, &compared.body["compared"]), (StatusCode::OK, &json!(2)), "{compared:?}");
    assert_eq!(compared.body["jobs"][0]["step"], "step-payment", "{compared:?}");
    let description = designer.get("/operator/openapi.json").await.body;
    super::described(&description, "post", "/operator/components/{name}/compare", &compared);
    let wrong = designer.post("/operator/components/payment-processor/compare", &json!({"digest": digest, "limit": 51})).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong:?}");
    assert_eq!(designer.get("/operator/components/shipping-service").await.body["runs"], before, "nothing of it counts as a run");
    let written = app.store.audit.audited_after(0, 100).await.unwrap();
    let subject = format!("components/payment-processor@{digest}");
    let actions = written.iter().filter(|row| row.entry.subject == subject).map(|row| row.entry.action.as_str());
    assert_eq!(actions.collect::<Vec<_>>(), ["components.upload", "components.compare"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_failed_is_made_again_as_it_was_and_tells_nothing_private() {
    let app = TestApp::start("configs/monolith.yaml", &[("OPERATOR_WRITES", "true")]).await;
    let designer = staff(&app, "dora", &[Role::Designer]).await;
    let customer = app.client.customer("ada").await;
    let placed = customer.post("/api/orders", &crate::client::order("prod-001", 1, "tok_gatewayDown")).await;
    let id = placed.body["id"].as_str().unwrap().to_owned();
    let kept = until("the attempt is kept", async || {
        let list = designer.get("/operator/recordings?component=payment-processor").await.body;
        list["items"].as_array().unwrap().last().cloned()
    })
    .await;
    assert_eq!((&kept["instance"], &kept["outcome"], &kept["attempt"]), (&json!(id), &json!("transient"), &json!(1)), "{kept}");
    assert!(kept["reason"].as_str().unwrap().contains("gateway is down"), "{kept}");
    let run = kept["run"].as_str().unwrap().to_owned();
    let shown = designer.get(&format!("/operator/instances/orders/{id}")).await.body;
    let attempt = &shown["attempts"][0];
    assert_eq!((&attempt["run"], &attempt["attempt"], &attempt["reason"]), (&kept["run"], &json!(1), &kept["reason"]), "{shown}");
    let at = |name: &str| attempt[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(at("beganAt") <= at("endedAt") && attempt["endedAt"] == kept["at"], "{attempt}");
    let replay = json!({"run": run, "attempt": 1});
    let made = designer.post("/operator/components/payment-processor/replay", &replay).await;
    assert_eq!((made.status, &made.body["same"], &made.body["complete"]), (StatusCode::OK, &json!(true), &json!(true)), "{made:?}");
    assert!(!made.body.to_string().contains("tok_gatewayDown"), "{made:?}");
    let description = designer.get("/operator/openapi.json").await.body;
    super::described(&description, "post", "/operator/components/{name}/replay", &made);
    super::described(&description, "get", "/operator/recordings", &designer.get("/operator/recordings").await);

    let token = designer.token().to_owned();
    let ask = |arguments: &[&str]| tokio::task::block_in_place(|| millrace(&app, &token, arguments));
    let listed = ask(&["components", "replay"]);
    assert!(listed.0 && listed.1.contains(&run), "{}", listed.1);
    let other = built("payment-v2.wasm");
    let (other, on_other) =
        (other.to_str().unwrap(), ["components", "replay", &run, "--attempt", "1", "--digest", other.to_str().unwrap()]);
    let (ok, said) = ask(&on_other);
    assert!(!ok && said.contains("has not served"), "what nobody has let serve is given nothing private: {said}");
    assert!(ask(&["components", "swap", "payment-processor", other, "--reason", "it is better"]).0);
    let (ok, said) = ask(&on_other);
    assert!(ok && said.starts_with("the same answer: transient"), "{said}");
    let none = designer.post("/operator/components/payment-processor/replay", &json!({"run": "order-0:step-payment:1"})).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND, "{none:?}");
    let written = app.store.audit.audited_after(0, 100).await.unwrap();
    assert!(written.iter().any(|row| row.entry.action == "components.replay" && row.entry.reason.as_deref() == Some(&run)), "{written:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_whose_file_cannot_be_written_says_what_serves_and_what_the_next_start_takes() {
    let app = TestApp::start("configs/monolith.yaml", &[("OPERATOR_WRITES", "true")]).await;
    let designer = staff(&app, "dora", &[Role::Designer]).await;
    let serving = async || designer.get("/operator/components/payment-processor").await.body["digest"].as_str().unwrap().to_owned();
    let first = serving().await;
    // Beside a file with so long a name there is none with a longer one, whoever writes it.
    let (place, file) = (app.component("payment.wasm"), app.component(&format!("{}.wasm", "v".repeat(240))));
    std::fs::copy(built("payment-v2.wasm"), &file).unwrap();
    std::os::unix::fs::symlink(&file, place.with_extension("link")).unwrap();
    std::fs::rename(place.with_extension("link"), &place).unwrap();
    until("the new version serves", async || (serving().await != first).then_some(json!(null))).await;

    let back = designer.post("/operator/components/payment-processor/rollback", &json!({"reason": "it is slow"})).await;
    assert_eq!((back.status, &back.body["component"]["digest"]), (StatusCode::OK, &json!(first)), "{back:?}");
    let done = back.body["done"].as_str().unwrap();
    assert!(done.contains("serves") && done.contains("cannot write") && done.contains("next start"), "{done}");
    let health = app.client.get("/healthz").await.body;
    let check = &health["checks"]["payment-processor"];
    assert_eq!(check["status"], "degraded", "{health:#}");
    assert!(check["message"].as_str().unwrap().contains("which the next start takes"), "{check}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_the_config_does_not_have_is_judged_tried_and_put_where_the_config_can_name_it() {
    let app = TestApp::start("configs/monolith.yaml", &[("OPERATOR_WRITES", "true")]).await;
    let designer = staff(&app, "dora", &[Role::Designer]).await;
    let begun = designer.get("/operator/templates/rust?name=fraud-check").await;
    let files = begun.body["files"].as_array().unwrap();
    let script = files.iter().find(|file| file["path"] == "build.sh").unwrap();
    assert!(script["script"] == true && script["text"].as_str().unwrap().contains("fraud-check.wasm"), "{script}");
    let description = designer.get("/operator/openapi.json").await.body;
    super::described(&description, "get", "/operator/templates/{language}", &begun);
    assert_eq!(designer.get("/operator/templates/cobol?name=fraud-check").await.status, StatusCode::NOT_FOUND);
    assert_eq!(designer.get("/operator/templates/go?name=../up").await.status, StatusCode::UNPROCESSABLE_ENTITY);

    let wasm = std::fs::read(built("payment.wasm")).unwrap();
    let upload = async |name: &str, file: &[u8]| {
        designer.send_text(Method::POST, &format!("/operator/components/{name}/new"), "application/wasm", file).await
    };
    assert_eq!(upload("fraud-check", b"no component").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(upload("payment-processor", &wasm).await.status, StatusCode::CONFLICT, "the config has it");
    assert_eq!(upload("..%2Fup", &wasm).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(upload("Fraud", &wasm).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let data = json!({"data": {"total": "1.00"}, "digest": "0".repeat(64)});
    assert_eq!(
        designer.post("/operator/components/fraud-check/trial", &data).await.status,
        StatusCode::NOT_FOUND,
        "nobody has uploaded it"
    );

    let good = upload("fraud-check", &wasm).await;
    assert_eq!(good.status, StatusCode::OK, "{good:?}");
    super::described(&description, "post", "/operator/components/{name}/new", &good);
    let digest = good.body["digest"].clone();
    let tried = designer.post("/operator/components/fraud-check/trial", &json!({"data": {"total": "1.00"}, "digest": digest})).await;
    assert_eq!((tried.status, &tried.body["digest"]), (StatusCode::OK, &digest), "{tried:?}");
    assert_eq!(designer.get("/operator/components/fraud-check").await.status, StatusCode::NOT_FOUND, "the config does not have it yet");

    let place = json!({"digest": digest, "reason": "orders are to be looked at"});
    let placed = designer.post("/operator/components/fraud-check/place", &place).await;
    assert_eq!(placed.status, StatusCode::OK, "{placed:?}");
    super::described(&description, "post", "/operator/components/{name}/place", &placed);
    assert_eq!(placed.body["source"], good.body["source"]);
    let file = app.component("fraud-check.wasm");
    assert_eq!(std::fs::read(&file).unwrap(), wasm, "{placed:?}");
    let again = designer.post("/operator/components/fraud-check/place", &place).await;
    assert_eq!(again.status, StatusCode::OK, "the same file is there: {again:?}");

    std::fs::write(&file, "of somebody else").unwrap();
    let refused = designer.post("/operator/components/fraud-check/place", &place).await;
    assert!(refused.status == StatusCode::CONFLICT && refused.body.to_string().contains("there is another file"), "{refused:?}");
    assert_eq!(std::fs::read(&file).unwrap(), b"of somebody else", "nothing is written over");
    let written = app.store.audit.audited_after(0, 100).await.unwrap();
    let deeds: Vec<&str> = written.iter().map(|row| row.entry.action.as_str()).filter(|action| action.starts_with("components.")).collect();
    assert_eq!(deeds, ["components.new", "components.trial", "components.place", "components.place", "components.place"]);
}
