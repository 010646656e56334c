//! A config that is saved: judged, written as a whole, in use without a restart where that goes, and back again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millrace::plan::access::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{PATIENT, declined, millrace, staff, sure, until};
use crate::client::{Answer, Client, PATIENCE};
use crate::process::{Home, Process};
use crate::test_app::{SECRET, TestApp, built, changed_monolith};

/// The monolith, with a config of its own that may be written.
async fn app() -> (TestApp, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let components = folder.path().join("components");
    std::fs::create_dir(&components).unwrap();
    for name in ["inventory", "payment", "shipping", "notify", "returns-inspection"] {
        std::fs::copy(built(&format!("{name}.wasm")), components.join(format!("{name}.wasm"))).unwrap();
    }
    let config = changed_monolith(folder.path(), &[]);
    (TestApp::start_in(folder, &config, &PATIENT).await, config)
}

pub(super) async fn save(client: &Client, text: &str, digest: &str) -> Answer {
    let (body, tag) = (json!({"text": text, "reason": "a test"}), format!("\"{digest}\""));
    client.send(Method::PUT, "/operator/config", Some(&body), &[("if-match", &tag)]).await
}

pub(super) async fn digest(client: &Client) -> String {
    client.get("/operator/config").await.body["digest"].as_str().unwrap().to_owned()
}

/// The config without the route of the stock, whose path nothing else answers.
pub(super) fn without_stock(text: &str) -> String {
    let route = text.find("path: /api/admin/stock").expect("the config has this route");
    let begin = text[..route].rfind("      - method:").unwrap();
    let end = text[route..].find("      - method:").map(|at| route + at).unwrap();
    format!("{}{}", &text[..begin], &text[end..])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_config_is_in_use_at_once_and_comes_back_from_the_history() {
    let (app, file) = app().await;
    let admin = staff(&app, "ann", &[Role::Admin]).await;
    let (text, first) = (std::fs::read_to_string(&file).unwrap(), digest(&admin).await);
    let fewer = without_stock(&text);
    let unsure = save(&admin, &fewer, &first).await;
    assert_eq!((unsure.status, &unsure.body["code"]), (StatusCode::FORBIDDEN, &json!("sudo-required")), "{unsure:?}");
    let admin = sure(&app, &admin).await;
    let body = json!({"text": fewer, "reason": "a test"});
    let unmatched = admin.send(Method::PUT, "/operator/config", Some(&body), &[]).await;
    assert_eq!(unmatched.status, StatusCode::PRECONDITION_REQUIRED, "{unmatched:?}");
    for role in [Role::Support, Role::Designer] {
        let other = staff(&app, role.name(), &[role]).await;
        let other = sure(&app, &other).await;
        assert_eq!(save(&other, &fewer, &first).await.status, StatusCode::FORBIDDEN, "{role:?}");
    }
    let exported = app.client.get("/api/admin/stock").await.status;
    assert_eq!(exported, StatusCode::UNAUTHORIZED);

    let saved = save(&admin, &fewer, &first).await;
    assert_eq!((saved.status, &saved.body["runs"], &saved.body["restart"]), (StatusCode::OK, &json!(true), &json!([])), "{saved:?}");
    assert_eq!(saved.body["live"], json!(["route GET /api/admin/stock"]));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), fewer);
    assert_ne!(app.client.get("/api/admin/stock").await.status, exported, "the route is gone");

    let late = save(&admin, &text, &first).await;
    assert_eq!((late.status, &late.body["code"]), (StatusCode::PRECONDITION_FAILED, &json!("config_changed")), "{late:?}");
    assert_eq!((&late.body["text"], &late.body["digest"]), (&json!(fewer), &saved.body["digest"]), "what it is now");
    let who = late.body["who"].as_str().unwrap();
    assert!(who.len() > 4 && who != "file", "who has changed it: {late:?}");

    let history = admin.get("/operator/config/history").await.body;
    let items = history["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["reason"], &items[1]["who"]), (2, &json!("a test"), &json!("file")), "{history}");
    assert_eq!(history["current"], saved.body["digest"]);
    assert_eq!(admin.get(&format!("/operator/config/history/{first}")).await.body["text"], json!(text));

    let token = admin.token().to_owned();
    let back = ["config", "rollback", &first[..12], "--reason", "as it was", "--output", "json"];
    let (ok, said) = tokio::task::block_in_place(|| millrace(&app, &token, &back));
    assert!(ok && serde_json::from_str::<Value>(&said).unwrap()["runs"] == true, "{said}");
    assert_eq!((std::fs::read_to_string(&file).unwrap(), digest(&admin).await), (text, first));
    assert_eq!(app.client.get("/api/admin/stock").await.status, exported);
    let (ok, said) = tokio::task::block_in_place(|| millrace(&app, &token, &["config", "history"]));
    assert!(ok && said.lines().count() == 3 && said.starts_with("* ") && said.contains("as it was"), "{said}");

    let listing = millrace::store::AuditListing { limit: 9, ..Default::default() };
    let audited = app.store.audit.audited(&listing).await.unwrap();
    let of = |action: &str| audited.iter().find(|row| row.entry.action == action).map(|row| row.entry.sudo);
    assert_eq!((of("config.save"), of("config.rollback")), (Some(true), Some(true)), "{audited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_run_or_strands_somebody_changes_nothing() {
    let (app, file) = app().await;
    declined(&app, "ada").await;
    let admin = staff(&app, "ann", &[Role::Admin]).await;
    let admin = sure(&app, &admin).await;
    let (text, first) = (std::fs::read_to_string(&file).unwrap(), digest(&admin).await);
    for (status, code, from, to) in [
        (StatusCode::CONFLICT, json!("config_invalid"), "type: health.checker", "type: health.chequer"),
        (StatusCode::CONFLICT, json!("would_strand"), "payment-processor", "payments"),
    ] {
        assert!(text.contains(from), "{from}");
        let refused = save(&admin, &text.replace(from, to), &first).await;
        assert_eq!((refused.status, &refused.body["code"]), (status, &code), "{to}: {refused:?}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "{to}");
    }
    let stranded = save(&admin, &text.replace("payment-processor", "payments"), &first).await.body;
    assert_eq!(stranded["stranded"][0]["instances"], 1, "{stranded}");
    let timeout = text.replace("readTimeout: 15s", "readTimeout: 14s");
    let saved = save(&admin, &timeout, &first).await;
    assert_eq!((saved.status, &saved.body["runs"]), (StatusCode::OK, &json!(false)), "{saved:?}");
    assert_eq!(saved.body["restart"], json!(["module web-server"]));
    assert_eq!(admin.get("/operator/config").await.body["runs"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_written_by_hand_goes_the_same_way_and_a_bad_one_changes_nothing_but_the_health() {
    let (app, file) = app().await;
    let admin = staff(&app, "dora", &[Role::Designer]).await;
    let text = std::fs::read_to_string(&file).unwrap();
    let exported = app.client.get("/api/admin/stock").await.status;
    let health = async || app.client.get("/healthz").await.body["checks"]["config"].clone();
    std::fs::write(&file, text.replace("type: health.checker", "type: health.chequer")).unwrap();
    let refused = until("the health tells of it", async || Some(health().await).filter(|check| check["status"] == "degraded")).await;
    let line = 1 + text.lines().position(|line| line.contains("type: health.checker")).unwrap();
    let why = refused["message"].as_str().unwrap();
    assert!(why.contains(&format!("line {line}, column ")) && why.contains("'health.chequer'"), "who reads it has nothing else: {why}");
    assert_eq!(app.client.get("/api/admin/stock").await.status, exported);
    std::fs::write(&file, without_stock(&text)).unwrap();
    until("the process takes it", async || Some(health().await).filter(|check| check["status"] == "up")).await;
    assert_ne!(app.client.get("/api/admin/stock").await.status, exported);
    assert_eq!(admin.get("/operator/config").await.body["runs"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_changes_under_orders_lose_no_request_and_leave_no_order() {
    let (app, file) = app().await;
    let app = Arc::new(app);
    let admin = staff(&app, "ann", &[Role::Admin]).await;
    let admin = sure(&app, &admin).await;
    let (text, done) = (std::fs::read_to_string(&file).unwrap(), Arc::new(AtomicBool::new(false)));
    let mut customers = Vec::new();
    for name in ["ada", "bob", "cleo"] {
        let (customer, done) = (app.client.customer(name).await, Arc::clone(&done));
        customers.push(tokio::spawn(async move {
            let mut orders = 0;
            while !done.load(Ordering::Acquire) {
                // It fails if any request of it does. Quick machines sell all that there is.
                customer.order_until("prod-003", 1, "tok_visa", &["delivered", "failed"]).await;
                orders += 1;
            }
            orders
        }));
    }
    let (fewer, mut last) = (without_stock(&text), digest(&admin).await);
    for number in 0..100 {
        let base = if number % 2 == 0 { &fewer } else { &text };
        let saved = save(&admin, &format!("{base}# change {number}\n"), &last).await;
        assert_eq!((saved.status, &saved.body["runs"]), (StatusCode::OK, &json!(true)), "{saved:?}");
        last = saved.body["digest"].as_str().unwrap().to_owned();
    }
    done.store(true, Ordering::Release);
    let mut orders = 0;
    for customer in customers {
        orders += customer.await.unwrap();
    }
    assert!(orders > 0);
    let unfinished = admin.get("/operator/instances/counts?kind=orders&finished=false").await.body;
    assert_eq!(unfinished["count"], 0, "{orders} orders, and none is left: {unfinished}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_asked_of_a_resource_and_said_in_it_changes_without_a_restart() {
    let (app, file) = app().await;
    let admin = staff(&app, "ann", &[Role::Admin]).await;
    let admin = sure(&app, &admin).await;
    let ada = app.client.customer("ada").await;
    let order = ada.order_until("prod-002", 1, "tok_chargeDeclined", &["payment_failed"]).await;
    let path = format!("/api/orders/{}", order["id"].as_str().unwrap());
    assert_eq!(order["actions"], json!(["cancel", "retry"]));
    let text = std::fs::read_to_string(&file).unwrap();
    let (actions, route) =
        ("        retry: [retry_payment, retry_shipping]\n", "        path: /api/orders/{id}/retry\n        handler: orders-api\n");
    let length = "reason: {type: string, minLength: 1, maxLength: 500}";
    assert!([actions, route, length].iter().all(|part| text.contains(part)));
    let routed = format!("{route}      - method: POST\n{}", route.replace("retry", "again"));
    let at = text.find(route).unwrap() + route.len();
    let middlewares = text[at..].lines().next().unwrap();
    let routed = routed.replacen(route, &format!("{route}{middlewares}\n"), 1);
    let more = text.replacen(actions, &format!("{actions}        again: [retry_payment]\n"), 1).replacen(route, &routed, 1).replacen(
        length,
        &length.replace("500", "477"),
        1,
    );
    let saved = save(&admin, &more, &digest(&admin).await).await;
    assert_eq!((saved.status, &saved.body["runs"], &saved.body["restart"]), (StatusCode::OK, &json!(true), &json!([])), "{saved:?}");
    assert_eq!(ada.get(&path).await.body["actions"], json!(["again", "cancel", "retry"]));
    let again = ada.post(&format!("{path}/again"), &json!({"payment": {"token": "tok_visa"}})).await;
    assert!(again.status.is_success(), "{again:?}");
    ada.wait_for("orders", order["id"].as_str().unwrap(), &["delivered"]).await;
    assert!(app.client.get("/openapi.json").await.body.to_string().contains("\"maxLength\":477"));
    let removed = save(&admin, &text, saved.body["digest"].as_str().unwrap()).await;
    assert_eq!((removed.status, &removed.body["runs"]), (StatusCode::OK, &json!(true)), "{removed:?}");
    assert_eq!(ada.post(&format!("{path}/again"), &json!({})).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_a_restart_is_told_without_secrets() {
    let (app, file) = app().await;
    let designer = staff(&app, "dora", &[Role::Designer]).await;
    let text = std::fs::read_to_string(&file).unwrap();
    let secret = SECRET.to_owned();
    for name in ["${JWT_SECRET}", "x-${JWT_SECRET}"] {
        let module = format!("modules:\n  - {{name: \"{name}\", type: api.handler, config: {{resourceName: extras}}}}\n");
        let told = designer.post("/operator/config/plan", &json!({"text": text.replacen("modules:\n", &module, 1)})).await;
        assert_eq!(told.status, StatusCode::OK, "{told:?}");
        assert!(!told.body["restart"].as_array().unwrap().is_empty(), "{told:?}");
        assert!(!told.body.to_string().contains(&secret), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_the_file_is_hidden_and_kept_by_its_place() {
    let (app, file) = app().await;
    let admin = staff(&app, "ann", &[Role::Admin]).await;
    let admin = sure(&app, &admin).await;
    let text = std::fs::read_to_string(&file).unwrap();
    let secret = |secret: &str| format!("x-mail-token: {secret}\n{text}");
    let saved = save(&admin, &secret("pa$$word-hunter2"), &digest(&admin).await).await;
    assert_eq!(saved.status, StatusCode::OK, "{saved:?}");
    let read = admin.get("/operator/config").await.body;
    assert_eq!(read["text"], json!(secret("\"[hidden]\"")));

    let more = format!("{}# more\n", read["text"].as_str().unwrap());
    let saved = save(&admin, &more, read["digest"].as_str().unwrap()).await;
    assert_eq!(saved.status, StatusCode::OK, "{saved:?}");
    let kept = format!("{}# more\n", secret("pa$$word-hunter2"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), kept);

    let moved = more.replace("x-mail-token", "x-post-token");
    let refused = save(&admin, &moved, saved.body["digest"].as_str().unwrap()).await;
    assert_eq!((refused.status, &refused.body["code"]), (StatusCode::CONFLICT, &json!("config_invalid")), "{refused:?}");
    assert_eq!(
        (&refused.body["detail"], &refused.body["problems"][0]["line"]),
        (&json!("the secret of line 1 is hidden here; write it anew"), &json!(1))
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), kept);
    for path in ["/operator/config/check", "/operator/config/plan"] {
        let told = admin.post(path, &json!({"text": moved})).await.body;
        assert_eq!((&told["valid"], &told["problems"][0]["line"]), (&json!(false), &json!(1)), "{path}: {told}");
    }

    let earlier = saved.body["digest"].as_str().unwrap().to_owned();
    let without = save(&admin, &text, &earlier).await;
    assert_eq!(without.status, StatusCode::OK, "{without:?}");
    let shown = admin.get(&format!("/operator/config/history/{earlier}")).await.body;
    let by_text = admin.post("/operator/config/plan", &json!({"text": shown["text"]})).await.body;
    assert_eq!(by_text["valid"], false, "the file has the secret no more: {by_text}");
    let by_digest = admin.get(&format!("/operator/config/history/{earlier}/plan")).await;
    assert_eq!((by_digest.status, &by_digest.body["valid"]), (StatusCode::OK, &json!(true)), "{by_digest:?}");
    assert!(!by_digest.body.to_string().contains("hunter2"), "{by_digest:?}");
    assert_eq!(admin.get("/operator/config/history/none/plan").await.status, StatusCode::NOT_FOUND);
}

const SMALL: &str = "modules:\n  - {name: web-server, type: http.server, config: {address: '${LISTEN}', readTimeout: 5s}}\n  - {name: health, type: health.checker}\n  - {name: site, type: static.fileserver, config: {root: site}}\n  - {name: operator-server, type: http.server, config: {address: '${OPERATOR_LISTEN}'}}\n  - {name: operator, type: operator.api, config: {server: operator-server, write: true}}\n";

/// At the address for those who run a process.
pub(super) fn operator_of(process: &Process) -> Client {
    let log = process.log();
    let begin = Instant::now();
    loop {
        let lines = log.lock().clone();
        let mut parsed = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let found = parsed.rfind(|line| line["message"] == "listening for those who run the process");
        if let Some(line) = found {
            return Client::new(&format!("http://{}", line["address"].as_str().unwrap()));
        }
        assert!(begin.elapsed() < PATIENCE, "{lines:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn files(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_a_process_is_killed_in_a_save_its_config_is_the_old_or_the_new_one() {
    let rounds = if std::env::var_os("MILLRACE_TEST_LONG").is_some() { 200 } else { 20 };
    // A machine that is very slow or very quick needs some more until there are kills on both sides of the rename.
    let most = rounds + 40;
    let home = Home::new();
    let folder = home.path().join("config");
    std::fs::create_dir_all(folder.join("site")).unwrap();
    let file = folder.join("small.yaml");
    std::fs::write(&file, SMALL).unwrap();
    let (mut longest, mut counts) = (Duration::from_millis(80), [0, 0]);
    for round in 0..most {
        if round >= rounds && counts.iter().all(|count| *count > 0) {
            break;
        }
        let process = home.start_config(&file, &[]).await;
        let operator = operator_of(&process);
        let old = std::fs::read_to_string(&file).unwrap();
        let seconds = rand::random_range(1..=30);
        let new = format!("{}# round {round}\n", SMALL.replace("readTimeout: 5s", &format!("readTimeout: {seconds}s")));
        let before = digest(&operator).await;
        let saving = {
            let (operator, new) = (operator.clone(), new.clone());
            tokio::spawn(async move {
                let (body, tag) = (json!({"text": new, "reason": "a test"}), format!("\"{before}\""));
                let answer = operator.try_send(Method::PUT, "/operator/config", Some(&body), &[("if-match", &tag)]).await;
                answer.is_ok_and(|answer| answer.status.is_success())
            })
        };
        tokio::time::sleep(rand::random_range(Duration::ZERO..longest)).await;
        process.kill();
        let answered = saving.await.unwrap();
        let found = std::fs::read_to_string(&file).unwrap();
        assert!(found == old || found == new, "round {round}: {found}");
        assert!(!answered || found == new, "round {round}: what was answered is there");
        counts[usize::from(found == new)] += 1;
        // The kill is to be as often before as after it, whatever the machine does beside.
        longest = if found == new { longest.mul_f64(0.8) } else { longest.mul_f64(1.25) };
    }
    assert!(counts.iter().all(|count| *count > 0), "some were killed before and some after: {counts:?}");
    let process = home.start_config(&file, &[]).await;
    let operator = operator_of(&process);
    let saved = save(&operator, SMALL, &digest(&operator).await).await;
    assert_eq!(saved.status, StatusCode::OK, "{saved:?}");
    assert!(files(&folder).iter().all(|name| !name.ends_with(".part")), "{:?}", files(&folder));

    let real = folder.join("real.yaml");
    std::fs::rename(&file, &real).unwrap();
    std::os::unix::fs::symlink(&real, &file).unwrap();
    let linked = save(&operator, &format!("{SMALL}# more\n"), &digest(&operator).await).await;
    assert_eq!(linked.status, StatusCode::CONFLICT);
    assert!(linked.body["detail"].as_str().unwrap().contains("is a link"), "{linked:?}");
    assert_eq!(std::fs::read_to_string(&real).unwrap(), SMALL);
}

/// Orders without end by these customers, each of which is delivered; what they came to.
fn buying(app: &Arc<TestApp>, done: &Arc<AtomicBool>, customers: Vec<Client>) -> Vec<tokio::task::JoinHandle<Vec<Value>>> {
    let buy = |customer: Client| {
        let (app, done) = (Arc::clone(app), Arc::clone(done));
        tokio::spawn(async move {
            let mut orders = Vec::new();
            while !done.load(Ordering::Acquire) {
                // It fails if any request of it does. Quick machines sell all that there is.
                orders.push(customer.order_until("prod-003", 1, "tok_visa", &["delivered", "failed"]).await);
            }
            drop(app);
            orders
        })
    };
    customers.into_iter().map(buy).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_and_its_component_are_inserted_under_orders_and_each_order_ends_on_the_machine_that_it_began_with() {
    let (app, file) = app().await;
    let app = Arc::new(app);
    let admin = staff(&app, "ann", &[Role::Admin]).await;
    let admin = sure(&app, &admin).await;
    let done = Arc::new(AtomicBool::new(false));
    // It waits for its payment while the machine changes, and ends on the one that it began with.
    let dan = app.client.customer("dan").await;
    let early = dan.order_until("prod-002", 1, "tok_chargeDeclined", &["payment_failed"]).await;
    let early = early["id"].as_str().unwrap();
    let mut customers = Vec::new();
    for name in ["ada", "bob", "cleo"] {
        customers.push(app.client.customer(name).await);
    }
    let buying = buying(&app, &done, customers);

    let folder = file.parent().unwrap().to_owned();
    let mut add = std::process::Command::new(env!("CARGO_BIN_EXE_millrace"));
    add.env("COMPONENTS_DIR", folder.join("components")).env("JWT_SECRET", SECRET);
    let copy = folder.join("more.yaml");
    std::fs::copy(&file, &copy).unwrap();
    add.args(["add", "fraud-check"]).arg(built("shipping.wasm")).arg("--config").arg(&copy).args(["--between", "validated,paying"]);
    let added = tokio::task::block_in_place(|| add.output().unwrap());
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let more = std::fs::read_to_string(&copy).unwrap();
    let first = digest(&admin).await;
    let told = admin.post("/operator/config/plan", &json!({"text": more})).await;
    assert_eq!((&told.body["takes"], &told.body["restart"]), (&json!("live"), &json!([])), "{told:?}");
    let saved = save(&admin, &more, &first).await;
    assert_eq!((saved.status, &saved.body["runs"]), (StatusCode::OK, &json!(true)), "{saved:?}");

    let late = app.client.customer("eve").await;
    let checked = late.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
    let states = |order: &Value| -> Vec<String> {
        order["history"].as_array().unwrap().iter().map(|row| row["to"].as_str().unwrap().to_owned()).collect()
    };
    let is_checked = |order: &Value| states(order).iter().any(|state| state.contains("fraud"));
    assert!(is_checked(&checked), "{checked:#}");
    let components = admin.get("/operator/components/fraud-check").await;
    assert_eq!(components.status, StatusCode::OK, "{components:?}");
    assert_eq!(app.client.get("/healthz").await.body["checks"]["fraud-check"]["status"], "up");

    // What the order that began before needs may not be taken away.
    let renamed = more.replace("payment-processor", "payments");
    let refused = save(&admin, &renamed, saved.body["digest"].as_str().unwrap()).await;
    assert_eq!((refused.status, &refused.body["code"]), (StatusCode::CONFLICT, &json!("would_strand")), "{refused:?}");
    done.store(true, Ordering::Release);
    let mut orders = vec![checked];
    for customer in buying {
        orders.extend(customer.await.unwrap());
    }
    let count = |wanted: &str| orders.iter().map(|order| states(order).iter().filter(|state| *state == wanted).count()).collect::<Vec<_>>();
    assert!(orders.iter().any(is_checked) && orders.len() > 1);
    assert!(count("paid").iter().chain(&count("shipped")).all(|times| *times <= 1), "each is paid and shipped once");
    let mut paid = std::collections::BTreeSet::new();
    let mut transactions = orders.iter().filter_map(|order| order["data"]["transaction_id"].as_str());
    assert!(transactions.all(|transaction| paid.insert(transaction.to_owned())), "no charge is of two orders");
    let unfinished = admin.get("/operator/instances/counts?kind=orders&finished=false").await.body;
    assert_eq!(unfinished["count"], 1, "but for that which waits for its payment: {unfinished}");
    let paid = dan.post(&format!("/api/orders/{early}/retry"), &json!({"payment": {"token": "tok_visa"}})).await;
    assert!(paid.status.is_success(), "{paid:?}");
    let early = dan.wait_for("orders", early, &["delivered"]).await;
    assert!(!is_checked(&early), "it ends on the machine that it began with: {early:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_comes_while_a_config_is_saved_is_not_stranded_by_it() {
    let (app, file) = app().await;
    let admin = staff(&app, "ann", &[Role::Admin]).await;
    let admin = sure(&app, &admin).await;
    let customer = app.client.customer("ada").await;
    let (text, first) = (std::fs::read_to_string(&file).unwrap(), digest(&admin).await);
    // There are two hundred of the product.
    const MOST_ORDERS: usize = 100;
    // Nobody has compiled this one yet, which keeps the save busy after it has looked at who would be stranded.
    let new =
        format!("modules:\n  - name: slow\n    type: dynamic.component\n    config: {{source: {}}}\n", built("hostile.wasm").display());
    let renamed = text.replace("payment-processor", "payments").replacen("modules:\n", &new, 1);
    let saving = tokio::spawn({
        let (admin, first) = (admin.clone(), first.clone());
        async move { save(&admin, &renamed, &first).await }
    });
    for _ in 0..MOST_ORDERS {
        if saving.is_finished() {
            break;
        }
        // It waits for a person, so it needs its payment for as long as it is looked for.
        customer.order_until("prod-005", 1, "tok_chargeDeclined", &["payment_failed"]).await;
    }
    let saved = saving.await.unwrap();
    assert!(saved.status == StatusCode::OK || saved.body["code"] == "would_strand", "{saved:?}");
    let now = std::fs::read_to_string(&file).unwrap();
    assert_eq!(now == text, saved.status == StatusCode::CONFLICT, "{saved:?}");
    let needs = admin.post("/operator/config/plan", &json!({"text": now})).await.body;
    assert_eq!(needs["stranded"], json!([]), "each order has what it needs in the config that runs: {saved:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn components_change_and_go_without_a_restart_and_one_that_does_not_load_changes_nothing() {
    let (app, file) = app().await;
    let admin = staff(&app, "ann", &[Role::Admin]).await;
    let admin = sure(&app, &admin).await;
    let (text, first) = (std::fs::read_to_string(&file).unwrap(), digest(&admin).await);
    let folder = file.parent().unwrap().join("components");
    let module = |source: &str, limit: &str| {
        let more = format!(
            "  - name: checker\n    type: dynamic.component\n    config:\n      source: {source}\n      limits: {{cpuMs: {limit}}}\n"
        );
        text.replacen("modules:\n", &format!("modules:\n{more}"), 1)
    };
    std::fs::write(folder.join("broken.wasm"), b"no component").unwrap();
    let broken = module(folder.join("broken.wasm").to_str().unwrap(), "2000");
    let refused = save(&admin, &broken, &first).await;
    assert_eq!((refused.status, &refused.body["code"]), (StatusCode::CONFLICT, &json!("config_invalid")), "{refused:?}");
    assert!(refused.body["problems"].to_string().contains("checker"), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);

    let good = folder.join("shipping.wasm");
    let mut last = first;
    for limit in ["2000", "3000"] {
        let saved = save(&admin, &module(good.to_str().unwrap(), limit), &last).await;
        assert_eq!((saved.status, &saved.body["runs"]), (StatusCode::OK, &json!(true)), "{saved:?}");
        last = saved.body["digest"].as_str().unwrap().to_owned();
        let shown = admin.get("/operator/components/checker").await;
        assert!(shown.body["digest"].is_string(), "{shown:?}");
    }
    let saved = save(&admin, &text, &last).await;
    assert_eq!((saved.status, &saved.body["runs"]), (StatusCode::OK, &json!(true)), "{saved:?}");
    let listed = admin.get("/operator/components").await.body.to_string();
    assert!(!listed.contains("\"checker\""), "{listed}");
    assert!(app.client.get("/healthz").await.body["checks"]["checker"].is_null());
}
