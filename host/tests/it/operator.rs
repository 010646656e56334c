//! What those who run a process see and do at the address that is for them.

mod bulk;
mod canary;
mod components;
mod config;
mod copilot;
mod held_events;
mod killed_saves;
mod pages;
mod processes;
mod proxied;
mod resubscribed;
mod saved_step;
mod saving;
mod waiting;

use std::collections::BTreeSet;
use std::time::Instant;

use millrace::config as configs;
use millrace::http::{Here, Table, Who};
use millrace::plan::access::{Role, Roles};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Answer, Client, PATIENCE};
use crate::test_app::{TestApp, environment, repository};

/// A declined payment waits for a person, and changes are allowed.
const PATIENT: [(&str, &str); 2] = [("PAYMENT_RETRY_AFTER", "1h"), ("OPERATOR_WRITES", "true")];

/// Somebody with these roles.
pub async fn staff(app: &TestApp, name: &str, roles: &[Role]) -> Client {
    let customer = app.client.customer(name).await;
    let id = customer.get("/api/auth/profile").await.body["id"].as_str().unwrap().to_owned();
    let names: BTreeSet<String> = roles.iter().map(|role| role.name().to_owned()).collect();
    app.store.users.set_roles(&id, &names, None).await.unwrap().unwrap();
    let token = app.client.login(name).await;
    app.operator.as_ref().unwrap().with_token(token.token())
}

/// An order whose payment was declined.
async fn declined(app: &TestApp, name: &str) -> String {
    let customer = app.client.customer(name).await;
    let order = customer.order_until("prod-002", 1, "tok_chargeDeclined", &["payment_failed"]).await;
    order["id"].as_str().unwrap().to_owned()
}

fn texts(list: &Value, name: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|one| one[name].as_str().unwrap_or_default().to_owned()).collect()
}

async fn until(what: &str, mut look: impl AsyncFnMut() -> Option<Value>) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_finds_an_order_sees_what_happens_next_and_moves_it() {
    let app = TestApp::start("configs/monolith.yaml", &PATIENT).await;
    let id = declined(&app, "ada").await;
    let operator = staff(&app, "olga", &[Role::Operator]).await;

    let page = operator.get("/operator/instances?state=payment_failed&limit=10").await;
    assert_eq!(texts(&page.body["items"], "id"), [id.as_str()], "{page:?}");
    assert_eq!(page.body["nextCursor"], Value::Null);
    let count = operator.get("/operator/instances/counts?kind=orders&finished=false").await;
    assert_eq!(count.body, json!({"count": 1, "more": false}));

    let path = format!("/operator/instances/orders/{id}");
    let shown = operator.get(&path).await.body;
    assert_eq!(shown["state"], "payment_failed");
    assert_eq!(shown["data"]["payment"], "[hidden]", "it is there, and private: {}", shown["data"]);
    let paying = shown["stages"].as_array().unwrap().iter().find(|stage| stage["state"] == "paying").unwrap();
    assert_eq!((&paying["step"], &paying["outcome"]), (&json!("step-payment"), &json!("rejected")), "{paying}");
    assert!(paying["digest"].as_str().unwrap().len() == 64 && paying["leftAt"].is_string(), "{paying}");
    let changed = |field: &str, seq: &Value| {
        let all = shown["changes"].as_array().unwrap();
        all.iter().find(|change| change["field"] == field && change["seq"] == *seq).cloned().unwrap_or_else(|| panic!("{field}: {shown}"))
    };
    let left_by = json!(paying["seq"].as_u64().unwrap() + 1);
    let reason = changed("reason", &left_by);
    assert_eq!(reason["before"], json!({"is": "absent", "value": null}), "{reason}");
    assert_eq!(reason["after"], json!({"is": "value", "value": shown["data"]["reason"]}), "{reason}");
    let next = texts(&shown["next"], "text");
    assert!(next.iter().any(|text| text.contains("fires 'retry_payment' in")), "{next:?}");
    let may = texts(&shown["transitions"], "transition");
    assert!(may.contains(&"retry_payment".to_owned()) && may.contains(&"abandon_payment".to_owned()), "{may:?}");
    assert!(texts(&shown["actions"], "command").contains(&format!("millrace instances hold orders {id} --reason '...'")), "{shown}");

    let fired = operator.post(&format!("{path}/fire"), &json!({"reason": "the bank works again", "transition": "payment_approved"})).await;
    assert_eq!(fired.status, StatusCode::CONFLICT, "nobody says in the place of a step that it is paid: {fired:?}");
    assert!(fired.body["detail"].as_str().unwrap().contains("accepted: "), "{fired:?}");
    let without = operator.post(&format!("{path}/fire"), &json!({"reason": " ", "transition": "retry_payment"})).await;
    assert_eq!(without.status, StatusCode::UNPROCESSABLE_ENTITY, "{without:?}");
    let cancelled = operator.post(&format!("{path}/cancel"), &json!({"reason": "the customer calls"})).await;
    assert_eq!((cancelled.status, &cancelled.body["instance"]["state"]), (StatusCode::OK, &json!("cancelled")), "{cancelled:?}");
    let late = operator.post(&format!("{path}/hold"), &json!({"reason": "too late"})).await;
    assert_eq!(late.status, StatusCode::CONFLICT, "{late:?}");
    assert_eq!(operator.get("/operator/instances/orders/nobody").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_begins_for_a_held_order_until_it_is_released_and_what_was_under_way_lands() {
    let app = TestApp::start("configs/monolith.yaml", &PATIENT).await;
    let id = declined(&app, "ada").await;
    let operator = staff(&app, "olga", &[Role::Support]).await;
    let path = format!("/operator/instances/orders/{id}");
    let held = operator.post(&format!("{path}/hold"), &json!({"reason": "fraud is looked into"})).await;
    assert_eq!(held.status, StatusCode::OK, "{held:?}");
    assert_eq!(texts(&operator.get("/operator/instances?held=true").await.body["items"], "id"), [id.as_str()]);
    assert_eq!(held.body["instance"]["held"]["reason"], "fraud is looked into");

    let listing = millrace::store::AuditListing { subject: Some(format!("orders/{id}")), limit: 1, ..Default::default() };
    let entry = app.store.audit.audited(&listing).await.unwrap().remove(0).entry;
    assert_eq!((entry.action.as_str(), entry.reason.as_deref()), ("orders.hold", Some("fraud is looked into")), "{entry:?}");

    // A person moves it all the same, and the step of the state that it enters does not begin.
    let fired = operator.post(&format!("{path}/fire"), &json!({"reason": "try", "transition": "retry_payment"})).await;
    assert_eq!(fired.body["instance"]["state"], "paying", "{fired:?}");
    let entry = app.store.audit.audited(&listing).await.unwrap().remove(0).entry;
    assert_eq!((entry.action.as_str(), entry.reason.as_deref()), ("orders.retry_payment", Some("try")), "{entry:?}");
    let run =
        |shown: &Value| shown["runs"].as_array().unwrap().iter().find(|run| run["visit"] == 2 && run["name"] == "step-payment").cloned();
    assert_eq!(run(&fired.body["instance"]).unwrap()["status"], "ready");
    // Another order passes meanwhile, so there was time and room.
    app.client.customer("bob").await.order_until("prod-003", 1, "tok_visa", &["delivered"]).await;
    let shown = operator.get(&path).await.body;
    assert_eq!((&shown["state"], &run(&shown).unwrap()["status"]), (&json!("paying"), &json!("ready")), "{shown}");
    assert_eq!(shown["next"][0]["what"], "held", "{shown}");

    let released = operator.post(&format!("{path}/release"), &json!({"reason": "all is well"})).await;
    assert_eq!(released.status, StatusCode::OK, "{released:?}");
    until("the order goes on after its release", async || {
        let shown = operator.get(&path).await.body;
        (run(&shown)?["status"] == "done").then_some(shown)
    })
    .await;
    let again = operator.post(&format!("{path}/release"), &json!({"reason": "once more"})).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_orders_are_looked_at_first_and_acted_on_once() {
    let app = TestApp::start("configs/monolith.yaml", &PATIENT).await;
    for name in ["ada", "bob", "cleo"] {
        declined(&app, name).await;
    }
    let operator = staff(&app, "olga", &[Role::Operator]).await;
    let request = |preview: bool, expected: u64| json!({"action": "hold", "filter": {"state": "payment_failed"}, "reason": "the bank is down", "preview": preview, "expected": expected});
    let send = async |body: Value, key: &str| {
        operator.send(Method::POST, "/operator/instances/bulk", Some(&body), &[("Idempotency-Key", key)]).await
    };
    let preview = send(request(true, 0), "k").await;
    assert_eq!((&preview.body["count"], &preview.body["done"]), (&json!(3), &json!(0)), "{preview:?}");
    assert_eq!(preview.body["first"].as_array().unwrap().len(), 3);
    let without = operator.post("/operator/instances/bulk", &request(false, 3)).await;
    assert_eq!(without.status, StatusCode::UNPROCESSABLE_ENTITY, "a key is needed: {without:?}");
    assert_eq!(send(request(false, 2), "other").await.status, StatusCode::CONFLICT, "there are not as many as expected");
    let done = send(request(false, 3), "key-1").await;
    assert_eq!((&done.body["done"], &done.body["replayed"]), (&json!(3), &json!(false)), "{done:?}");
    let again = send(request(false, 3), "key-1").await;
    assert_eq!((&again.body["done"], &again.body["replayed"]), (&json!(3), &json!(true)), "{again:?}");
    assert_eq!(send(request(false, 4), "key-1").await.status, StatusCode::UNPROCESSABLE_ENTITY, "the key is of another request");
    assert_eq!(operator.get("/operator/instances/counts?held=true").await.body["count"], 3);
}

/// Without waiting for what an answer holds.
async fn status(client: &Client, method: &str, path: &str) -> StatusCode {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let body = json!({});
    client.begin(method.clone(), path, (method == Method::POST).then_some(&body)).await.status()
}

/// The same person, who has just shown their password.
async fn sure(app: &TestApp, client: &Client) -> Client {
    let signed = app.client.with_token(client.token()).post("/api/auth/sudo", &json!({"password": "password123"})).await;
    client.with_token(signed.body["token"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_answers_everybody_as_the_table_says() {
    let app = TestApp::start("configs/monolith.yaml", &[("OPERATOR_WRITES", "true")]).await;
    let (plan, _) = configs::load(&repository().join("configs/monolith.yaml"), &environment(app.folder.path(), &[])).unwrap();
    let table = Table::of_operator(&plan);
    let mut people = vec![(None, app.operator.clone().unwrap())];
    people.push((Some(Roles::CUSTOMER), staff(&app, "stranger", &[]).await));
    for role in Roles::STAFF.iter() {
        let person = staff(&app, role.name(), &[role]).await;
        people.push((Some(Roles::of(&[role, Role::Customer])), sure(&app, &person).await));
    }
    let mut walked = 0;
    for entry in &table.entries {
        let Who::Operators(roles, here) = entry.who else { panic!("{entry:?}") };
        let path = entry.path.replace("{kind}", "orders").replace("{id}", "none").replace("{name}", "none");
        for (has, client) in &people {
            let status = status(client, &entry.method, &path).await;
            let said = format!("{} {path} ({}) by {has:?}: {status}", entry.method, entry.who);
            let expected = match has {
                None if here == Here::Enough => None,
                None => Some(StatusCode::UNAUTHORIZED),
                Some(has) if roles.and(*has).is_empty() => Some(StatusCode::FORBIDDEN),
                Some(_) => None,
            };
            match expected {
                Some(refusal) => assert_eq!(status, refusal, "{said}"),
                None => assert!(![StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status), "{said}"),
            }
            walked += 1;
        }
    }
    assert!(walked > 100, "{walked} calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_changed_unless_the_config_says_so_and_no_page_of_others_reaches_in() {
    let app = TestApp::monolith().await;
    let operator = staff(&app, "olga", &[Role::Operator, Role::Support, Role::Designer]).await;
    let held = operator.post("/operator/instances/orders/none/hold", &json!({"reason": "x"})).await;
    assert_eq!(held.status, StatusCode::FORBIDDEN, "{held:?}");
    assert!(held.body["detail"].as_str().unwrap().contains("`write` of the module 'operator' is false"), "{held:?}");
    let local = app.operator.as_ref().unwrap();
    let asked = async |headers: &[(&str, &str)]| local.send(Method::GET, "/operator/instances", None, headers).await.status;
    assert_eq!(asked(&[]).await, StatusCode::OK);
    assert_eq!(asked(&[("host", "shop.example:9080")]).await, StatusCode::FORBIDDEN, "a name that anybody can have lead here");
    assert_eq!(asked(&[("x-forwarded-for", "203.0.113.9")]).await, StatusCode::UNAUTHORIZED, "a proxy asks for somebody else");
    let from = [("origin", "http://evil.example")];
    let foreign = operator.send(Method::POST, "/operator/instances/bulk", Some(&json!({})), &from).await;
    assert!(foreign.body["detail"].as_str().unwrap().contains("another origin"), "{foreign:?}");
    let session = local.get("/operator/session").await.body;
    assert_eq!((&session["who"], &session["may"]), (&json!("local"), &json!(["see"])));
    assert!(app.client.get("/operator/session").await.body["who"].is_null(), "customers do not reach it");
}

/// The program, which asks the running app.
pub fn millrace(app: &TestApp, token: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_millrace"));
    let url = format!("{}/operator", app.operator.as_ref().unwrap().base());
    command.args(arguments).env("MILLRACE_OPERATOR", url).env("MILLRACE_TOKEN", token);
    let output = command.output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_asks_at_a_wrong_address_says_which_it_was_and_what_is_there() {
    let app = TestApp::start("configs/monolith.yaml", &PATIENT).await;
    let (shop, nobody) = (app.client.base().to_owned(), format!("http://127.0.0.1:{}", crate::kafka_broker::free_port()));
    let not_there = format!("nothing answers at {nobody}/operator");
    let another = format!("there is no operator.api at {shop}/api");
    let pages = format!("there is no operator.api at {shop}/operator");
    let wrong = [
        (format!("{nobody}/operator"), not_there.as_str()),
        (format!("{shop}/api"), another.as_str()),
        (format!("{shop}/operator"), pages.as_str()),
        ("127.0.0.1:9080/operator".to_owned(), "'127.0.0.1:9080/operator' is no URL"),
    ];
    for (url, told) in wrong {
        for command in [&["instances", "list"][..], &["waiting", "list"], &["components", "list"], &["config", "history"]] {
            let output = tokio::task::block_in_place(|| {
                std::process::Command::new(env!("CARGO_BIN_EXE_millrace")).args(command).args(["--url", &url]).output().unwrap()
            });
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && said.contains(told), "{command:?} at {url}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_does_what_the_address_does() {
    let app = TestApp::start("configs/monolith.yaml", &PATIENT).await;
    let id = declined(&app, "ada").await;
    let operator = staff(&app, "olga", &[Role::Operator]).await;
    let ask = async |arguments: &[&str]| {
        let (app, token): (&TestApp, String) = (&app, operator.token().to_owned());
        tokio::task::block_in_place(|| millrace(app, &token, arguments))
    };
    let (ok, listed) = ask(&["instances", "list", "--state", "payment_failed", "--output", "json"]).await;
    let listed: Value = serde_json::from_str(&listed).unwrap_or_else(|error| panic!("{error}: {listed}"));
    assert!(ok && listed["items"][0]["id"] == id.as_str(), "{listed}");
    let (ok, shown) = ask(&["instances", "show", "orders", &id]).await;
    assert!(ok && shown.contains("fires 'retry_payment' in") && shown.contains("may be fired"), "{shown}");
    assert!(shown.contains("    reason: absent -> \"") && shown.contains("    available: absent -> true"), "{shown}");
    let (ok, held) = ask(&["instances", "hold", "orders", &id, "--reason", "look"]).await;
    assert!(ok && held.contains("it is held") && held.contains("held=\"look\""), "{held}");
    let (ok, released) = ask(&["instances", "release", "orders", &id, "--reason", "looked"]).await;
    assert!(ok && released.contains("it goes on"), "{released}");
    let (ok, refused) = ask(&["instances", "fire", "orders", &id, "no_such", "--reason", "x"]).await;
    assert!(!ok && refused.contains("accepted: "), "{refused}");
    let (ok, counted) = ask(&["instances", "bulk", "hold", "--state", "payment_failed", "--reason", "x"]).await;
    assert!(ok && counted.contains("nothing was done"), "{counted}");
    let (ok, unknown) = {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_millrace"));
        let output = command.args(["instances", "list", "--url", "http://127.0.0.1:1/operator"]).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(!ok && unknown.contains("operator.api"), "{unknown}");
}

/// What the description says of an operation that has answered.
fn described(description: &Value, method: &str, template: &str, answer: &Answer) {
    let operation = &description["paths"][template][method];
    let schema = &operation["responses"][answer.status.as_str()]["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{method} {template} {}: {operation}", answer.status);
    let whole = json!({"$ref": schema["$ref"], "components": description["components"]});
    let validator = jsonschema::validator_for(&whole).unwrap();
    let errors: Vec<String> = validator.iter_errors(&answer.body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{method} {template}: {errors:#?}\n{:#}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_is_what_the_description_says() {
    let app = TestApp::start("configs/monolith.yaml", &PATIENT).await;
    let id = declined(&app, "ada").await;
    let operator = staff(&app, "olga", &[Role::Operator, Role::Designer]).await;
    let description = operator.get("/operator/openapi.json").await.body;
    assert_eq!(description["openapi"], "3.1.0");
    for path in ["/operator/session", "/operator/plan", "/operator/instances", "/operator/instances/counts"] {
        described(&description, "get", path, &operator.get(path).await);
    }
    described(&description, "get", "/operator/instances/{kind}/{id}", &operator.get(&format!("/operator/instances/orders/{id}")).await);
    let held = operator.post(&format!("/operator/instances/orders/{id}/hold"), &json!({"reason": "look"})).await;
    described(&description, "post", "/operator/instances/{kind}/{id}/hold", &held);
}

/// The next event of a stream of server-sent events: its name and its data.
async fn next_event(stream: &mut reqwest::Response, read: &mut String) -> (String, Value) {
    loop {
        if let Some((event, rest)) = read.clone().split_once("\n\n") {
            rest.clone_into(read);
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned());
            if let (Some(name), Some(data)) = (field("event:"), field("data:")) {
                return (name, serde_json::from_str(&data).unwrap());
            }
            continue;
        }
        let chunk = tokio::time::timeout(PATIENCE, stream.chunk()).await.expect("something is told in time").unwrap();
        read.push_str(&String::from_utf8_lossy(&chunk.expect("the stream goes on")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_stream_tells_everything_once_and_then_what_changes() {
    let app = TestApp::start("configs/monolith.yaml", &PATIENT).await;
    let operator = staff(&app, "olga", &[Role::Operator]).await;
    let (mut stream, mut read) = (operator.open("/operator/live").await, String::new());
    let (name, snapshot) = next_event(&mut stream, &mut read).await;
    assert_eq!(name, "snapshot");
    assert_eq!(snapshot["workflows"]["order-processing"]["unfinished"], 0, "{snapshot}");
    assert!(snapshot["components"]["payment-processor"]["digest"].is_string(), "{snapshot}");
    declined(&app, "ada").await;
    loop {
        let (name, delta) = next_event(&mut stream, &mut read).await;
        assert_eq!(name, "delta");
        let workflow = &delta["workflows"]["order-processing"];
        assert!(workflow["states"]["delivered"].is_null(), "what has not changed is not told: {delta}");
        if workflow["states"]["payment_failed"] == 1 {
            break;
        }
    }
}
