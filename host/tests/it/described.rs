//! Every answer is what the API says of itself, to the last field: its status, its headers, its body.

use std::collections::BTreeSet;
use std::sync::Mutex;

use millrace::plan::access::Role;
use millrace::store::{OutboxRow, Reset};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::Digest as _;

use crate::admin_orders::staff;
use crate::client::{Answer, Client, order};
use crate::test_app::TestApp;

/// What a process says of itself, and which of it has been seen.
struct Description {
    document: Value,
    seen: Mutex<BTreeSet<(String, String)>>,
}

impl Description {
    async fn of(client: &Client) -> Self {
        let mut document = client.get("/openapi.json").await.body;
        close(&mut document["components"]["schemas"]);
        Self { document, seen: Mutex::default() }
    }

    /// Asks, and checks the answer against the description.
    async fn ask(&self, client: &Client, method: Method, path: &str, body: Option<&Value>, headers: &[(&str, &str)]) -> Answer {
        let answer = client.send(method.clone(), path, body, headers).await;
        self.check_answer(&method, path, answer)
    }

    /// Checks an answer against the description.
    fn check_answer(&self, method: &Method, path: &str, answer: Answer) -> Answer {
        let method = method.as_str().to_lowercase();
        let template = self.template(path);
        let operation = &self.document["paths"][&template][&method];
        assert!(operation.is_object(), "{method} {path} is not described");
        let status = answer.status.as_str().to_owned();
        let described = &operation["responses"][&status];
        assert!(described.is_object(), "{method} {path}: {status} is not described: {answer:?}");
        self.check_headers(described, &answer, path);
        self.check_body(described, &answer, path);
        self.seen.lock().unwrap().insert((format!("{method} {template}"), status));
        answer
    }

    async fn get(&self, client: &Client, path: &str) -> Answer {
        self.ask(client, Method::GET, path, None, &[]).await
    }

    async fn post(&self, client: &Client, path: &str, body: &Value) -> Answer {
        self.ask(client, Method::POST, path, Some(body), &[]).await
    }

    /// The path of the description that a path of a request is one of.
    fn template(&self, path: &str) -> String {
        let path = path.split('?').next().unwrap();
        let fits = |template: &&String| {
            let (parts, asked): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
            parts.len() == asked.len() && parts.iter().zip(asked).all(|(part, asked)| part.starts_with('{') || *part == asked)
        };
        let templates = self.document["paths"].as_object().unwrap();
        let own = templates.keys().find(|template| *template == path);
        own.or_else(|| templates.keys().find(fits)).unwrap_or_else(|| panic!("{path} is not described")).clone()
    }

    fn check_headers(&self, described: &Value, answer: &Answer, path: &str) {
        for (name, header) in described["headers"].as_object().into_iter().flatten() {
            assert!(header["required"] == false || answer.headers.contains_key(name), "{path}: no {name}: {answer:?}");
        }
    }

    fn check_body(&self, described: &Value, answer: &Answer, path: &str) {
        let Some(content) = described["content"].as_object() else {
            assert_eq!(answer.body, json!(""), "{path}: a body that is not described");
            return;
        };
        let sent = answer.headers["content-type"].to_str().unwrap();
        let media = sent.split(';').next().unwrap();
        let schema = &content.get(media).unwrap_or_else(|| panic!("{path}: {media} is not described"))["schema"];
        if media != "text/event-stream" {
            return self.check(schema, &answer.body, path);
        }
        let events = answer.body.as_str().unwrap().split_terminator("\n\n").filter(|event| !event.starts_with(':'));
        for event in events {
            let fields = event.lines().filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_owned(), json!(value)));
            let event = Value::Object(fields.collect());
            self.check(schema, &event, path);
            let data: Value = serde_json::from_str(event["data"].as_str().unwrap()).unwrap();
            self.check(&schema["properties"]["data"]["contentSchema"], &data, path);
        }
    }

    fn check(&self, schema: &Value, value: &Value, path: &str) {
        let mut schema = schema.clone();
        close(&mut schema);
        schema["components"] = self.document["components"].clone();
        let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
        let problems: Vec<String> = validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(problems.is_empty(), "{path}: {problems:#?}\n{value:#}");
    }

    /// Every operation has answered in every way in which it succeeds.
    fn was_seen_whole(&self) {
        let seen = self.seen.lock().unwrap();
        for (path, methods) in self.document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                for status in operation["responses"].as_object().unwrap().keys().filter(|status| status.starts_with('2')) {
                    let one = (format!("{method} {path}"), status.clone());
                    assert!(seen.contains(&one), "{} {status} was never seen", one.0);
                }
            }
        }
    }
}

/// Objects have the fields that are described and no others, unless it is said that there may be more.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(close);
            if fields.get("properties").is_some_and(Value::is_object) && fields.get("type") == Some(&json!("object")) {
                fields.entry("additionalProperties").or_insert(json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

async fn check_accounts(api: &Description, app: &TestApp) -> Client {
    let ada = json!({"name": "Ada", "email": "ada@example.com", "password": "password123"});
    let session = api.post(&app.client, "/api/auth/register", &ada).await;
    let customer = app.client.with_token(session.body["token"].as_str().unwrap());
    let refused = [(&ada, StatusCode::CONFLICT), (&json!({"name": 1, "more": 2}), StatusCode::UNPROCESSABLE_ENTITY)];
    for (body, status) in refused {
        assert_eq!(api.post(&app.client, "/api/auth/register", body).await.status, status);
    }
    let credentials = json!({"email": "ada@example.com", "password": "password123"});
    assert_eq!(api.post(&app.client, "/api/auth/login", &credentials).await.status, StatusCode::OK);
    let wrong = json!({"email": "ada@example.com", "password": "another one"});
    assert_eq!(api.post(&app.client, "/api/auth/login", &wrong).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(api.get(&app.client, "/api/auth/profile").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(api.get(&customer, "/api/auth/profile").await.status, StatusCode::OK);
    api.ask(&customer, Method::PUT, "/api/auth/profile", Some(&json!({"name": "Ada Lovelace"})), &[]).await;
    customer
}

/// What people with roles do about their own account and those of others. They are somebody else, so that no customer's token ends.
async fn check_staff(api: &Description, app: &TestApp) {
    let grace = app.client.customer("grace").await;
    let id = grace.get("/api/auth/profile").await.body["id"].as_str().unwrap().to_owned();
    let password = json!({"password": "password123"});
    let with = |answer: &Answer| app.client.with_token(answer.body["token"].as_str().unwrap_or_else(|| panic!("{answer:?}")));
    app.store.users.set_roles(&id, &["admin".to_owned()].into(), None).await.unwrap();
    let credentials = json!({"email": "grace@example.com", "password": "password123"});
    let grace = with(&api.post(&app.client, "/api/auth/login", &credentials).await);
    let grace = with(&api.post(&grace, "/api/auth/renew", &json!({})).await);
    assert_eq!(api.post(&grace, "/api/auth/totp", &json!({})).await.status, StatusCode::FORBIDDEN);
    let grace = with(&api.post(&grace, "/api/auth/sudo", &password).await);

    let page = api.get(&grace, "/api/admin/users?search=grace&limit=1").await;
    assert_eq!((&page.body["items"][0]["id"], &page.body["nextCursor"]), (&json!(id), &Value::Null));
    let other = app.client.customer("otto").await.get("/api/auth/profile").await.body["id"].as_str().unwrap().to_owned();
    let contact = api.get(&grace, &format!("/api/admin/users/{other}")).await;
    assert_eq!((&contact.body["id"], &contact.body["email"]), (&json!(other), &json!("otto@example.com")));
    assert_eq!(api.get(&grace, "/api/admin/users/nobody").await.status, StatusCode::NOT_FOUND);
    let roles = json!({"roles": ["support"], "reason": "joins"});
    api.ask(&grace, Method::PUT, &format!("/api/admin/users/{other}/roles"), Some(&roles), &[]).await;
    for what in ["disable", "enable"] {
        let changed = api.post(&grace, &format!("/api/admin/users/{other}/{what}"), &json!({"reason": "a test"})).await;
        assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    }

    let begun = api.post(&grace, "/api/auth/totp", &json!({})).await;
    let device = totp_rs::Totp::from_url(begun.body["uri"].as_str().unwrap()).unwrap();
    let code = device.generate(u64::try_from(app.clock.now().as_second()).unwrap()).to_string();
    let grace = with(&api.post(&grace, "/api/auth/totp/confirm", &json!({"code": code})).await);
    assert_eq!(api.get(&grace, "/api/auth/profile").await.body["secondFactor"], true);
    assert_eq!(api.post(&app.client, "/api/auth/login", &credentials).await.body["code"], "second-factor-required");
    let grace = with(&api.ask(&grace, Method::DELETE, "/api/auth/totp", None, &[]).await);

    let change = json!({"currentPassword": "password123", "newPassword": "password456"});
    assert_eq!(api.ask(&grace, Method::PUT, "/api/auth/password", Some(&change), &[]).await.status, StatusCode::OK);
    assert_eq!(
        api.post(&app.client, "/api/auth/password/forgotten", &json!({"email": "grace@example.com"})).await.status,
        StatusCode::ACCEPTED
    );
    // As if this had been sent.
    let now = app.clock.steady();
    let digest = sha2::Sha256::digest("a link").iter().map(|byte| format!("{byte:02x}")).collect();
    let reset = Reset { digest, user_id: id, expires_at: now + jiff::SignedDuration::from_secs(60) };
    let event = event_for_nobody();
    app.store.users.add_reset(reset, now, event).await.unwrap();
    let another = json!({"token": "a link", "newPassword": "password789"});
    for status in [StatusCode::NO_CONTENT, StatusCode::FORBIDDEN] {
        assert_eq!(api.post(&app.client, "/api/auth/password/reset", &another).await.status, status);
    }
}

/// An event that nobody hears.
fn event_for_nobody() -> OutboxRow {
    let (topic, key) = ("user.changed".to_owned(), "nobody".to_owned());
    OutboxRow { position: 0, event_id: "nothing".into(), topic, key, seq: 0, payload: "{}".into(), traceparent: None }
}

async fn check_reading(api: &Description, customer: &Client) {
    let products = api.get(customer, "/api/products?limit=3").await;
    assert!(products.headers.contains_key("link"), "{products:?}");
    assert_eq!(api.get(customer, "/api/products?limit=0").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let one = api.get(customer, "/api/products/prod-001").await;
    let tag = one.headers["etag"].to_str().unwrap();
    let known = api.ask(customer, Method::GET, "/api/products/prod-001", None, &[("if-none-match", tag)]).await;
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);
    assert_eq!(api.get(customer, "/api/products/none").await.status, StatusCode::NOT_FOUND);
    for path in ["/healthz", "/readyz", "/livez", "/metrics", "/openapi.json"] {
        assert_eq!(api.get(customer, path).await.status, StatusCode::OK, "{path}");
    }
}

/// What only people with a role ask for.
async fn check_admin(api: &Description, app: &TestApp, customer: &Client) {
    const PRODUCTS: &str = "/api/admin/products";
    let (admin, clerk) = (app.staff("auditor", &[Role::Admin]).await, app.staff("clerk", &[Role::Catalogue]).await);
    assert_eq!(api.get(customer, "/api/admin/audit").await.status, StatusCode::FORBIDDEN);
    for id in ["prod-900", "prod-901"] {
        let lamp = json!({"id": id, "name": "Lamp", "price": 19.5, "stock": 3, "status": "draft"});
        assert_eq!(api.post(&clerk, PRODUCTS, &lamp).await.status, StatusCode::CREATED);
        assert_eq!(api.post(&clerk, PRODUCTS, &lamp).await.status, StatusCode::CONFLICT);
    }
    api.ask(&clerk, Method::DELETE, &format!("{PRODUCTS}/prod-901"), None, &[]).await;
    assert_eq!(api.get(&clerk, &format!("{PRODUCTS}?search=lamp&limit=1")).await.body["items"][0]["id"], "prod-900");
    let one = format!("{PRODUCTS}/prod-900");
    let shown = api.get(&clerk, &one).await;
    let tag = [("if-match", shown.headers["etag"].to_str().unwrap())];
    let cheaper = json!({"name": "Lamp", "price": 9.5, "status": "draft"});
    assert_eq!(api.ask(&clerk, Method::PUT, &one, Some(&cheaper), &tag).await.status, StatusCode::OK);
    assert_eq!(api.ask(&clerk, Method::PUT, &one, Some(&cheaper), &tag).await.status, StatusCode::PRECONDITION_FAILED);
    api.get(&clerk, &format!("{one}/prices")).await;
    let import = format!("{PRODUCTS}/import");
    for (table, media) in [("sku,price\nprod-900,8\nprod-001,x\n", "text/csv"), ("", "text/plain")] {
        let answer = clerk.send_text(Method::POST, &import, media, table).await;
        api.check_answer(&Method::POST, &import, answer);
    }
    api.get(&clerk, "/api/admin/stock?limit=2").await;
    let moves = "/api/admin/stock/prod-900/moves";
    for body in [json!({"delta": 2, "reason": "received"}), json!({"delta": -9, "reason": "damaged"}), json!({"delta": 0})] {
        api.post(&clerk, moves, &body).await;
    }
    api.get(&clerk, moves).await;
    assert_eq!(api.get(&admin, "/api/admin/audit?limit=3").await.status, StatusCode::OK);
}

async fn check_refused_orders(api: &Description, app: &TestApp, customer: &Client) {
    let place = async |changes: &[(&str, Value)]| {
        let mut body = order("prod-001", 1, "tok_visa");
        changes.iter().for_each(|(field, value)| body[field] = value.clone());
        api.post(customer, "/api/orders", &body).await.status
    };
    assert_eq!(place(&[("expectedTotal", json!(1))]).await, StatusCode::CONFLICT);
    assert_eq!(place(&[("items", json!([{"productId": "none", "quantity": 0}]))]).await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(api.get(&app.client, "/api/orders").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(api.get(customer, "/api/orders/none").await.status, StatusCode::NOT_FOUND);
}

/// What nobody ships is given up by staff.
async fn give_up(api: &Description, staff: &Client, customer: &Client) {
    let mut body = order("prod-001", 1, "tok_visa");
    body["shipping"]["zip"] = json!("99997");
    let placed = api.post(customer, "/api/orders", &body).await.body["id"].as_str().unwrap().to_owned();
    customer.wait_for("orders", &placed, &["ship_failed"]).await;
    let path = format!("/api/admin/orders/{placed}/abandon_shipping");
    assert_eq!(api.post(staff, &path, &json!({})).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(api.post(staff, &path, &json!({"reason": "no carrier"})).await.status, StatusCode::OK);
}

async fn check_orders_staff(api: &Description, app: &TestApp, customer: &Client, (delivered, last): (&str, &str)) {
    let staff = staff(app, "sue", &["support", "finance"]).await;
    let found = api.get(&staff, "/api/admin/orders?limit=1&product=prod-001&minTotal=1&from=2020-01-01&state=delivered").await;
    assert_eq!(found.body["items"][0]["id"], delivered);
    assert_eq!(api.get(&staff, "/api/admin/orders?maxTotal=a").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(api.get(&staff, &format!("/api/admin/orders/{delivered}")).await.status, StatusCode::OK);
    let events = format!("/api/admin/orders/{delivered}/events");
    assert_eq!(api.get(&staff, &events).await.status, StatusCode::OK);
    assert_eq!(api.ask(&staff, Method::GET, &events, None, &[("last-event-id", last)]).await.status, StatusCode::NO_CONTENT);
    assert_eq!(api.get(&staff, "/api/admin/orders/export?state=delivered").await.status, StatusCode::OK);
    assert_eq!(api.get(&staff, "/api/admin/orders/export?colour=red").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(api.get(&staff, "/api/admin/orders/figures?bucket=hour").await.status, StatusCode::OK);
    assert_eq!(api.get(&staff, "/api/admin/orders/figures?bucket=year").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let notes = format!("/api/admin/orders/{delivered}/notes");
    assert_eq!(api.post(&staff, &notes, &json!({"text": "called"})).await.status, StatusCode::CREATED);
    assert_eq!(api.post(&staff, &notes, &json!({"text": " "})).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(api.get(&staff, &notes).await.body["items"][0]["text"], "called");
    let waiting = customer.order_until("prod-001", 1, "tok_chargeDeclined", &["payment_failed"]).await["id"].as_str().unwrap().to_owned();
    assert_eq!(
        api.post(&staff, &format!("/api/admin/orders/{waiting}/retry"), &json!({"reason": "asked for"})).await.status,
        StatusCode::OK
    );
    customer.wait_for("orders", &waiting, &["payment_failed"]).await;
    assert_eq!(
        api.post(&staff, &format!("/api/admin/orders/{waiting}/cancel"), &json!({"reason": "asked for"})).await.status,
        StatusCode::OK
    );

    give_up(api, &staff, customer).await;
    let refund = json!({"orderId": delivered, "amount": 100, "reason": "a scratch"});
    let made = api.post(&staff, "/api/admin/refunds", &refund).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let id = made.body["id"].as_str().unwrap();
    let much = json!({"orderId": delivered, "amount": 14_990, "reason": "all of it"});
    assert_eq!(api.post(&staff, "/api/admin/refunds", &much).await.status, StatusCode::CONFLICT);
    api.get(customer, &format!("/api/refunds/{id}/events")).await;
    let closed = api.get(customer, &format!("/api/refunds/{id}")).await.body;
    assert_eq!(closed["state"], "closed", "{closed:#}");
    let last = closed["history"].as_array().unwrap().last().unwrap()["seq"].to_string();
    let last = [("last-event-id", last.as_str())];
    assert_eq!(api.ask(customer, Method::GET, &format!("/api/refunds/{id}/events"), None, &last).await.status, StatusCode::NO_CONTENT);
    assert_eq!(api.get(customer, &format!("/api/refunds?orderId={delivered}")).await.body.as_array().unwrap().len(), 1);
    assert_eq!(api.get(&staff, &format!("/api/admin/refunds?orderId={delivered}&minAmount=100")).await.body["items"][0]["id"], id);
    assert_eq!(api.get(&staff, &format!("/api/admin/refunds/{id}")).await.status, StatusCode::OK);
    assert_eq!(
        api.post(&staff, &format!("/api/admin/refunds/{id}/retry"), &json!({"reason": "asked for"})).await.status,
        StatusCode::CONFLICT
    );

    let kept = customer.order_until("prod-002", 1, "tok_refundDown", &["delivered"]).await["id"].as_str().unwrap().to_owned();
    let refund = json!({"orderId": kept, "amount": 100, "reason": "a scratch"});
    let unanswered = api.post(&staff, "/api/admin/refunds", &refund).await.body["id"].as_str().unwrap().to_owned();
    customer.wait_for("refunds", &unanswered, &["refund_failed"]).await;
    assert_eq!(
        api.post(&staff, &format!("/api/admin/refunds/{unanswered}/retry"), &json!({"reason": "asked for"})).await.status,
        StatusCode::OK
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shop_answers_as_it_describes() {
    let app = TestApp::start("configs/monolith.yaml", &[("PAYMENT_RETRY_AFTER", "20m"), ("SHIPPING_RETRY_AFTER", "20m")]).await;
    let api = Description::of(&app.client).await;
    let customer = check_accounts(&api, &app).await;
    check_staff(&api, &app).await;
    check_reading(&api, &customer).await;
    check_refused_orders(&api, &app, &customer).await;
    check_admin(&api, &app, &customer).await;

    let placed = api.post(&customer, "/api/orders", &order("prod-001", 1, "tok_visa")).await;
    let id = placed.body["id"].as_str().unwrap();
    let path = format!("/api/orders/{id}");
    api.get(&customer, &format!("{path}/events")).await;
    let delivered = api.get(&customer, &path).await.body;
    assert_eq!((&delivered["state"], &delivered["final"]), (&json!("delivered"), &json!(true)));
    let last = delivered["history"].as_array().unwrap().last().unwrap()["seq"].to_string();
    let nothing = api.ask(&customer, Method::GET, &format!("{path}/events"), None, &[("last-event-id", &last)]).await;
    assert_eq!(nothing.status, StatusCode::NO_CONTENT);
    assert_eq!(api.post(&customer, &format!("{path}/cancel"), &json!({})).await.status, StatusCode::CONFLICT);

    let declined = customer.order_until("prod-001", 1, "tok_chargeDeclined", &["payment_failed"]).await;
    let path = format!("/api/orders/{}", declined["id"].as_str().unwrap());
    assert!(api.get(&customer, &path).await.body["next"].is_object());
    api.post(&customer, &format!("{path}/retry"), &json!({})).await;
    customer.wait_for("orders", declined["id"].as_str().unwrap(), &["payment_failed"]).await;
    api.post(&customer, &format!("{path}/cancel"), &json!({})).await;
    assert_eq!(api.get(&customer, "/api/orders").await.body.as_array().unwrap().len(), 2);
    check_orders_staff(&api, &app, &customer, (delivered["id"].as_str().unwrap(), &last)).await;
    api.was_seen_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_business_answers_as_it_describes() {
    let app = TestApp::start("host/tests/it/configs/returns.yaml", &[]).await;
    let api = Description::of(&app.client).await;
    let customer = app.client.customer("ada").await;
    let parcel = json!({"article": "Desk Mat", "reason": "broken", "condition": "damaged_by_customer", "iban": "DE02120300000000202051"});
    let id = api.post(&customer, "/api/returns", &parcel).await.body["id"].as_str().unwrap().to_owned();
    let path = format!("/api/returns/{id}");
    customer.wait_for("returns", &id, &["turned_down"]).await;
    let turned_down = api.get(&customer, &path).await.body;
    assert_eq!((&turned_down["final"], &turned_down["actions"]), (&json!(false), &json!(["appeal", "withdraw"])), "{turned_down:#}");
    api.post(&customer, &format!("{path}/appeal"), &json!({})).await;
    customer.wait_for("returns", &id, &["turned_down"]).await;
    let withdrawn = api.post(&customer, &format!("{path}/withdraw"), &json!({})).await;
    assert_eq!((&withdrawn.body["final"], &withdrawn.body["actions"]), (&json!(true), &json!([])));
    assert_eq!(api.get(&customer, "/api/returns").await.body.as_array().unwrap().len(), 1);
}
