//! Who may call what: each line of the table of routes is called by everybody there is, on a running app, and answered as the line says. A
//! route that is added is walked too.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace::config;
use millrace::http::{Entry, Table, Who};
use millrace::plan::access::{Role, Roles};
use millrace::plan::{Access, Owner, Scope};
use millrace::store::{Commit, Guard, Resource};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Client, PATIENCE};
use crate::test_app::{SECRET, TestApp, environment, repository};

/// Somebody who calls.
struct Person {
    who: String,
    client: Client,
    /// With a token of somebody who was just asked for the password again, where the config has a route for that.
    sudo: Option<Client>,
    id: String,
    /// Without a token `None`.
    roles: Option<Roles>,
}

/// A config that is running, and everybody who may ask something of it.
struct Walk {
    _app: TestApp,
    table: Table,
    owner: Person,
    people: Vec<Person>,
    /// What some of the resources draw from.
    paid: Option<String>,
}

impl Walk {
    async fn of(config: &str) -> Self {
        let app = TestApp::start(config, &[]).await;
        let (plan, _) = config::load(&repository().join(config), &environment(app.folder.path(), &[])).unwrap();
        let nobody = Person { who: "nobody".into(), client: app.client.clone(), sudo: None, id: String::new(), roles: None };
        let owner = person(&app, "owner", &[]).await;
        let mut people = vec![nobody, person(&app, "stranger", &[]).await];
        for role in Roles::STAFF.iter() {
            people.push(person(&app, role.name(), &[role]).await);
        }
        let table = Table::of(&plan);
        let draws = table.entries.iter().any(|entry| entry.path == REFUNDS);
        let paid = if draws { Some(owner.client.order_until("prod-008", 9, "tok_visa", &["delivered"]).await) } else { None };
        let paid = paid.map(|paid| paid["id"].as_str().unwrap().to_owned());
        Self { _app: app, table, owner, people, paid }
    }

    async fn walk(&self) {
        let mut walked = 0;
        for entry in &self.table.entries {
            if let Who::Users(access) = entry.who {
                for person in self.people.iter().chain([&self.owner]) {
                    self.call(entry, access, person).await;
                    walked += 1;
                }
            }
        }
        assert!(walked > 100, "{walked} calls");
    }

    async fn call(&self, entry: &Entry, access: Access, person: &Person) {
        let kept = self.kept(entry).await;
        for id in [kept.as_deref(), Some("not-there")] {
            let path = entry.path.replace("{id}", id.unwrap_or("none")).replace("{*path}", "index.html");
            let mut status = self.status(&person.client, entry, &path).await;
            if entry.sudo.is_some() && access.admit(person.roles).is_ok() {
                assert_eq!(status, StatusCode::FORBIDDEN, "{} {path} by {} without the password", entry.method, person.who);
                status = self.status(person.sudo.as_ref().unwrap(), entry, &path).await;
            }
            let said = format!("{} {path} ({}) by {}: {status}", entry.method, entry.who, person.who);
            match access.admit(person.roles) {
                Err(_) if person.roles.is_none() => assert_eq!(status, StatusCode::UNAUTHORIZED, "{said}"),
                // Whether or not there is such a thing.
                Err(_) => assert_eq!(status, StatusCode::FORBIDDEN, "{said}"),
                Ok(()) => {
                    assert_ne!(status, StatusCode::FORBIDDEN, "{said}");
                    assert_ne!(status, StatusCode::UNAUTHORIZED, "{said}");
                    self.check_reach(entry, access, (person, id.filter(|_| id == kept.as_deref())), status, &said).await;
                }
            }
        }
    }

    /// Somebody who was let in reaches what the table says, and nothing else.
    async fn check_reach(&self, entry: &Entry, access: Access, (person, id): (&Person, Option<&str>), status: StatusCode, said: &str) {
        let (Some(owner), Some(id)) = (entry.owner, id) else { return };
        let everything = entry.scope.of(access, person.roles.unwrap_or_default()) == Scope::All;
        let reached = owner == Owner::Nobody || everything || person.id == self.owner.id;
        match entry.operation.as_str() {
            "create" => assert!(status.is_success() || status == StatusCode::UNPROCESSABLE_ENTITY, "{said}"),
            "list" => {
                let body = person.client.get(&entry.path).await.body;
                let listed = body.as_array().unwrap().iter().any(|one| one["id"] == id);
                assert_eq!(listed, reached, "{said}: {body}");
            }
            // What is not there may be exported as well: then it is nothing.
            "export" | "figures" => assert_eq!(status, StatusCode::OK, "{said}"),
            "add_note" => assert_eq!(status == StatusCode::NOT_FOUND, !reached, "{said}"),
            // The newest come first, and it is the newest.
            "search" => {
                let body = person.client.get(&entry.path).await.body;
                let listed = body["items"].as_array().unwrap().iter().any(|one| one["id"] == id);
                assert_eq!(listed, reached, "{said}: {body}");
            }
            _ => assert_eq!(status == StatusCode::NOT_FOUND, !reached, "{said}"),
        }
    }

    /// A resource of the owner's, new for each call, of the kind that a route is about.
    async fn kept(&self, entry: &Entry) -> Option<String> {
        entry.owner?;
        let creates = |other: &&Entry| other.handler == entry.handler && other.operation == "create";
        let Some(route) = self.table.entries.iter().find(creates) else {
            let lists = |other: &&Entry| other.handler == entry.handler && other.operation == "list";
            let all = self.owner.client.get(&self.table.entries.iter().find(lists)?.path).await;
            return Some(all.body[0]["id"].as_str().unwrap().to_owned());
        };
        let by = self.people.iter().chain([&self.owner]);
        // Of what belongs to nobody, or to who owns what it draws from, it does not matter who has made it.
        let is_own = entry.owner == Some(Owner::Creator) && route.path != REFUNDS;
        let maker = if is_own { &self.owner } else { by.into_iter().find(|p| admits(route, p)).unwrap() };
        let made = maker.client.post(&route.path, &self.body(&route.path)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}: {made:?}", route.path);
        Some(made.body["id"].as_str().unwrap().to_owned())
    }
}

fn admits(entry: &Entry, person: &Person) -> bool {
    matches!(entry.who, Who::Users(access) if access.admit(person.roles).is_ok())
}

async fn person(app: &TestApp, name: &str, roles: &[Role]) -> Person {
    let client = app.client.customer(name).await;
    let id = client.get("/api/auth/profile").await.body["id"].as_str().unwrap().to_owned();
    let names: BTreeSet<String> = roles.iter().map(|role| role.name().to_owned()).collect();
    app.store.users.set_roles(&id, &names, None).await.unwrap().unwrap();
    let credentials = json!({"email": format!("{name}@example.com"), "password": "password123"});
    let token = app.client.post("/api/auth/login", &credentials).await.body["token"].as_str().unwrap().to_owned();
    let roles = roles.iter().copied().collect::<Roles>().or(Roles::CUSTOMER);
    let client = app.client.with_token(&token);
    let confirmed = client.post("/api/auth/sudo", &json!({"password": "password123"})).await;
    let sudo = confirmed.body["token"].as_str().map(|token| app.client.with_token(token));
    Person { who: name.to_owned(), client, sudo, id, roles: Some(roles) }
}

/// Where a shop gives money back.
const REFUNDS: &str = "/api/admin/refunds";

impl Walk {
    /// What a route that creates takes.
    fn body(&self, path: &str) -> Value {
        match path {
            "/api/orders" => crate::client::order("prod-008", 1, "tok_visa"),
            "/api/admin/products" => json!({"name": "a thing", "price": 1}),
            REFUNDS => json!({"orderId": self.paid, "amount": 1, "reason": "a cent"}),
            _ => json!({"name": "a thing"}),
        }
    }

    /// Without waiting for what an answer holds: some never end.
    async fn status(&self, client: &Client, entry: &Entry, path: &str) -> StatusCode {
        let method = Method::from_bytes(entry.method.as_bytes()).unwrap();
        let takes_body = [Method::POST, Method::PUT, Method::PATCH].contains(&method);
        let sent = match entry.operation.as_str() {
            "create" => self.body(&entry.path),
            "update" => json!({"name": "another thing"}),
            "add_note" => json!({"text": "a note"}),
            _ => json!({}),
        };
        client.begin(method, path, takes_body.then_some(&sent)).await.status()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_of_a_config_with_roles_answers_everybody_as_the_table_says() {
    Walk::of("host/tests/config/valid/roles.yaml").await.walk().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_of_the_shop_answers_everybody_as_the_table_says() {
    Walk::of("configs/monolith.yaml").await.walk().await;
}

/// `millrace users`, beside the running app.
fn users(app: &TestApp, arguments: &[&str]) -> (bool, String) {
    let config = repository().join("host/tests/config/valid/roles.yaml");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_millrace"));
    command.arg("users").args(arguments).env("MILLRACE_CONFIG", config);
    let output = command.env("DATA_DIR", app.folder.path().join("data")).env("JWT_SECRET", SECRET).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_of_an_account_beside_the_process_ends_its_tokens_and_counts_from_the_next_one_on() {
    let app = TestApp::start("host/tests/config/valid/roles.yaml", &[]).await;
    let before = app.client.customer("ada").await;
    let login = async || {
        let credentials = json!({"email": "ada@example.com", "password": "password123"});
        let answer = app.client.post("/api/auth/login", &credentials).await;
        app.client.with_token(answer.body["token"].as_str().unwrap_or_default())
    };
    let claims = async |client: &Client| client.get("/api/admin/claims").await.status;
    let until_ended = async |client: &Client| {
        let deadline = Instant::now() + PATIENCE;
        while claims(client).await != StatusCode::UNAUTHORIZED {
            assert!(Instant::now() < deadline, "the token is still good");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(users(&app, &["list"]).1.contains("0 users with roles"));
    let (granted, said) = users(&app, &["grant", "Ada@example.COM", "support", "finance"]);
    assert!(granted && said.contains("roles=finance,support") && said.contains("end within a second"), "{said}");
    until_ended(&before).await;
    let after = login().await;
    assert_eq!(claims(&after).await, StatusCode::OK);
    let (granted, said) = users(&app, &["grant", "ada@example.com", "support"]);
    assert!(granted && said.contains("its tokens are still good"), "{said}");
    assert!(users(&app, &["list", "--output", "json"]).1.contains("ada@example.com"));
    let (revoked, said) = users(&app, &["revoke", "ada@example.com", "support", "finance"]);
    assert!(revoked && said.contains("roles=customer"), "{said}");
    until_ended(&after).await;
    let customer = login().await;
    assert_eq!(claims(&customer).await, StatusCode::FORBIDDEN);
    let (disabled, said) = users(&app, &["disable", "ada@example.com"]);
    assert!(disabled && said.contains("roles=customer disabled"), "{said}");
    until_ended(&customer).await;
    assert_eq!(claims(&login().await).await, StatusCode::UNAUTHORIZED, "who is disabled cannot log in");
    assert!(users(&app, &["enable", "ada@example.com"]).0);
    assert_eq!(claims(&login().await).await, StatusCode::FORBIDDEN);
    for (arguments, reason) in [
        (&["disable", "bob@example.com"][..], "nobody has an account with the e-mail 'bob@example.com'"),
        (&["grant", "bob@example.com", "support"], "nobody has an account with the e-mail 'bob@example.com'"),
        (&["grant", "ada@example.com", "suport"], "there is no role 'suport'; accepted: support, catalogue,"),
        (&["grant", "ada@example.com", "customer"], "everybody with an account is a customer; accepted: support,"),
    ] {
        let (done, said) = users(&app, arguments);
        assert!(!done && said.contains(reason), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_config_kept_as_nobodys_is_reached_by_staff_only() {
    let app = TestApp::start("host/tests/config/valid/roles.yaml", &[]).await;
    let now = app.clock.now();
    let resource = Resource {
        kind: "claims".into(),
        id: "old".into(),
        owner: None,
        state: "active".into(),
        version: 1,
        data: Arc::new(serde_json::Map::new()),
        workflow: None,
        created_at: now,
        updated_at: now,
    };
    app.store.resources.commit(Commit { change: Some((Guard::Absent, resource)), ..Commit::default() }).await.unwrap();
    let (customer, support) = (person(&app, "ada", &[]).await, person(&app, "bea", &[Role::Support]).await);
    assert_eq!(customer.client.get("/api/claims/old").await.status, StatusCode::NOT_FOUND);
    assert_eq!(support.client.get("/api/claims/old").await.status, StatusCode::OK);
}
