//! Canaries of the started program: a bad version is thrown out and a good one taken, by themselves.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::until;
use crate::client::{Client, order};
use crate::process::{Home, Process};
use crate::swaps::seed_with_plenty;
use crate::test_app::{built, repository};

/// States of an order that is paid.
const PAID: [&str; 4] = ["paid", "shipping", "shipped", "delivered"];
const CANARY: &str = "/operator/components/payment-processor/canary";

/// The program with somebody who designs and somebody who buys.
struct Shop {
    home: Home,
    process: Process,
    designer: Client,
    customer: Client,
    _seed: tempfile::NamedTempFile,
}

impl Shop {
    async fn open() -> Self {
        let (home, seed) = (Home::new(), seed_with_plenty());
        let process = home.start(&[("OPERATOR_WRITES", "true"), ("PRODUCTS_SEED", seed.path().to_str().unwrap())]).await;
        process.client.customer("dora").await;
        home.operate(&repository().join("configs/monolith.yaml"), &["users", "grant", "dora@example.com", "designer"]).unwrap();
        let token = process.client.login("dora").await.token().to_owned();
        let customer = process.client.customer("ada").await;
        let found = |line: &String| {
            let line: Value = serde_json::from_str(line).ok()?;
            (line["message"] == "listening for those who run the process").then(|| line["address"].as_str().unwrap().to_owned())
        };
        let address = process.log().lock().iter().find_map(found).expect("it says where operators ask");
        let designer = Client::new(&format!("http://{address}")).with_token(&token);
        Self { home, process, designer, customer, _seed: seed }
    }

    /// What the program says as a command that asks the running one.
    fn millrace(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_millrace"));
        let url = format!("{}/operator", self.designer.base());
        command.args(arguments).env("MILLRACE_OPERATOR", url).env("MILLRACE_TOKEN", self.designer.token());
        let output = tokio::task::block_in_place(|| command.output().unwrap());
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    fn begin(&self, version: &Path, terms: &[&str]) {
        let version = version.to_str().unwrap();
        let words = [&["components", "canary", "payment-processor", version, "--reason", "let us see"], terms].concat();
        let (ok, began) = self.millrace(&words);
        assert!(ok && began.contains("running"), "{began}");
    }

    async fn canary(&self) -> Value {
        self.designer.get(CANARY).await.body["canary"].clone()
    }

    async fn serving(&self) -> String {
        self.designer.get("/operator/components/payment-processor").await.body["digest"].as_str().unwrap().to_owned()
    }

    /// Places an order that goes to `city`.
    async fn place(&self, city: &str) -> String {
        let mut body = order("plenty", 1, "tok_visa");
        body["shipping"]["city"] = json!(city);
        let placed = self.customer.post("/api/orders", &body).await;
        assert_eq!(placed.status, StatusCode::CREATED, "{placed:?}");
        placed.body["id"].as_str().unwrap().to_owned()
    }

    /// Waits until all orders are delivered, each paid once, and answers how many each version has paid.
    async fn delivered(&self, ids: &[String]) -> HashMap<String, usize> {
        let (mut by_digest, mut transactions) = (HashMap::new(), HashSet::new());
        for id in ids {
            let ended = self.customer.wait_for("orders", id, &["delivered", "failed", "cancelled"]).await;
            assert_eq!(ended["state"], "delivered", "{ended:#}");
            let rows = ended["history"].as_array().unwrap();
            let paid: Vec<&Value> = rows.iter().filter(|row| row["transition"] == "payment_approved").collect();
            assert_eq!((paid.len(), rows.len()), (1, 7), "nothing ran twice: {ended:#}");
            if let Some(transaction) = ended["data"]["transaction_id"].as_str() {
                assert!(transactions.insert(transaction.to_owned()), "an order was charged twice");
            }
            *by_digest.entry(paid[0]["digest"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        by_digest
    }

    /// Attempts that the payment of an order has used up.
    async fn attempts(&self, id: &str) -> Value {
        let shown = self.designer.get(&format!("/operator/instances/orders/{id}")).await.body;
        let paying = shown["stages"].as_array().unwrap().iter().find(|stage| stage["state"] == "paying").unwrap();
        paying["attempts"].clone()
    }
}

/// A component that calls itself payment and does what the city of an order says.
fn obedient(folder: &Path) -> PathBuf {
    let mut file = std::fs::read(built("hostile.wasm")).unwrap();
    let (own, other) = (b"hostile", b"payment");
    let places: Vec<usize> = file.windows(own.len()).enumerate().filter(|(_, bytes)| bytes == own).map(|(at, _)| at).collect();
    places.into_iter().for_each(|at| file[at..at + own.len()].copy_from_slice(other));
    let path = folder.join("obedient.wasm");
    std::fs::write(&path, file).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_breaks_in_a_tenth_of_its_runs_is_thrown_out_and_no_order_notices() {
    let shop = Shop::open().await;
    let first = shop.serving().await;
    shop.begin(&obedient(shop.home.path()), &["--share", "10"]);
    let (mut ids, mut broken) = (Vec::new(), Vec::new());
    let ended = loop {
        let canary = shop.canary().await;
        if canary["state"] != "running" {
            break canary;
        }
        assert!(ids.len() < 2_000, "{canary:#}");
        // Each tenth run of the version breaks, and none of the other's.
        let breaks = canary["candidate"]["runs"].as_u64().unwrap() % 10 == 9;
        let id = shop.place(if breaks { "panic" } else { "accept" }).await;
        shop.customer.wait_for("orders", &id, &PAID).await;
        if breaks {
            broken.push(id.clone());
        }
        ids.push(id);
    };
    assert!(ended["candidate"]["runs"].as_u64().unwrap() <= 50, "{ended:#}");
    assert_eq!(ended["candidate"]["failed"], 3, "{ended:#}");
    let ended = until("it is thrown out", async || Some(shop.canary().await).filter(|canary| canary["state"] == "thrown_out")).await;
    assert!(ended["reason"].as_str().unwrap().contains("3 of 30 runs failed"), "{ended:#}");
    assert_eq!(shop.serving().await, first);

    let by_digest = shop.delivered(&ids).await;
    let digest = ended["digest"].as_str().unwrap();
    assert_eq!(by_digest[digest], 27, "the others were made again on the version that serves: {by_digest:?}");
    assert_eq!(by_digest.len(), 2, "{by_digest:?}");
    for id in &broken {
        assert_eq!(shop.attempts(id).await, 1, "what the version broke was no attempt");
    }
    let told = |words: &str| shop.process.log().lock().iter().any(|line| line.contains(words));
    assert!(told("a canary has ended: the version serves that served"));
    let audit = shop.home.operate(&repository().join("configs/monolith.yaml"), &["audit", "export"]).unwrap();
    assert!(audit.contains("components.canary.throw_out") && audit.contains("let us see"), "{audit}");
    let metrics = shop.process.client.begin(reqwest::Method::GET, "/metrics", None).await.text().await.unwrap();
    assert!(metrics.contains("component_canaries_total{component=\"payment-processor\",end=\"thrown_out\"} 1"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_version_is_taken_and_its_file_says_so() {
    let shop = Shop::open().await;
    let first = shop.serving().await;
    // What else the machine does is no fault of the version.
    shop.begin(&built("payment-v2.wasm"), &["--share", "50", "--runs", "20", "--max-slowdown", "1000"]);
    let again = shop.millrace(&["components", "canary", "payment-processor", &first, "--share", "10", "--reason", "x"]);
    assert!(!again.0 && again.1.contains("serves already"), "{}", again.1);
    let mut ids = Vec::new();
    while shop.canary().await["state"] == "running" {
        assert!(ids.len() < 500, "{:#}", shop.canary().await);
        for _ in 0..5 {
            ids.push(shop.place("Portland").await);
        }
    }
    let ended = until("it is taken", async || Some(shop.canary().await).filter(|canary| canary["state"] == "taken")).await;
    let second = ended["digest"].as_str().unwrap().to_owned();
    assert_eq!((shop.serving().await, &ended["against"]), (second.clone(), &json!(first)));
    let file = std::fs::read(shop.home.component("payment.wasm")).unwrap();
    assert_eq!(file, std::fs::read(built("payment-v2.wasm")).unwrap());
    ids.push(shop.place("Portland").await);
    let by_digest = shop.delivered(&ids).await;
    assert_eq!(by_digest.keys().collect::<HashSet<_>>(), HashSet::from([&first, &second]), "{by_digest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_says_what_it_takes_is_stopped_by_a_person_and_leaves_what_served() {
    let shop = Shop::open().await;
    let none = shop.designer.get(CANARY).await;
    assert_eq!((none.status, &none.body["canary"]), (StatusCode::OK, &Value::Null), "{none:?}");
    let (_, said) = shop.millrace(&["components", "upload", "payment-processor", built("payment-v2.wasm").to_str().unwrap()]);
    let digest = said.split(' ').next().unwrap();
    let wrong = json!({"digest": digest, "share": 60, "runs": 5, "maxSlowdown": 0.5, "reason": "x"});
    let refused = shop.designer.post(CANARY, &wrong).await;
    let pointers: Vec<&Value> = refused.body["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
    assert_eq!(
        (refused.status, pointers),
        (StatusCode::UNPROCESSABLE_ENTITY, vec![&json!("/share"), &json!("/runs"), &json!("/maxSlowdown")])
    );
    let unknown = shop.designer.post(CANARY, &json!({"digest": "0".repeat(64), "share": 10, "reason": "x"})).await;
    assert_eq!(unknown.status, StatusCode::CONFLICT, "{unknown:?}");
    let stop = json!({"reason": "enough"});
    let nothing = shop.designer.send(reqwest::Method::DELETE, CANARY, Some(&stop), &[]).await;
    assert_eq!(nothing.status, StatusCode::CONFLICT, "{nothing:?}");

    let first = shop.serving().await;
    let began = shop.designer.post(CANARY, &json!({"digest": digest, "share": 50, "seconds": 600, "reason": "x"})).await;
    assert_eq!((began.status, &began.body["canary"]["state"]), (StatusCode::OK, &json!("running")), "{began:?}");
    let description = shop.designer.get("/operator/openapi.json").await.body;
    super::described(&description, "post", "/operator/components/{name}/canary", &began);
    let twice = shop.designer.post(CANARY, &json!({"digest": digest, "share": 50, "reason": "x"})).await;
    assert_eq!(twice.status, StatusCode::CONFLICT, "{twice:?}");
    let (ok, stopped) = shop.millrace(&["components", "canary", "payment-processor", "--stop", "--reason", "enough"]);
    assert!(ok && stopped.contains("stopped") && stopped.contains("enough"), "{stopped}");
    let id = shop.place("Portland").await;
    assert_eq!(shop.delivered(&[id]).await.keys().collect::<Vec<_>>(), [&first]);

    // A time that is up with too few runs is no proof.
    let short = json!({"digest": digest, "share": 50, "seconds": 1, "reason": "x"});
    assert_eq!(shop.designer.post(CANARY, &short).await.status, StatusCode::OK);
    let ended = until("its time is up", async || Some(shop.canary().await).filter(|canary| canary["state"] == "thrown_out")).await;
    assert!(ended["reason"].as_str().unwrap().contains("too little"), "{ended:#}");
    assert_eq!(shop.serving().await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_visit_fails_by_the_candidate_alone() {
    let shop = Shop::open().await;
    let first = shop.serving().await;
    shop.begin(&obedient(shop.home.path()), &["--share", "50", "--runs", "10000", "--max-failures", "10000", "--max-slowdown", "1000"]);
    let mut ids = Vec::new();
    while shop.canary().await["candidate"]["failed"].as_u64().unwrap() < 1 {
        assert!(ids.len() < 100, "{:#}", shop.canary().await);
        ids.push(shop.place("transient").await);
    }
    let by_digest = shop.delivered(&ids).await;
    assert_eq!(by_digest.keys().collect::<Vec<_>>(), [&first], "{by_digest:?}");
    let canary = shop.canary().await;
    assert_eq!((&canary["state"], canary["candidate"]["failed"].as_u64().unwrap() % 3), (&json!("running"), 0), "all attempts: {canary:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_put_in_place_meanwhile_ends_a_canary() {
    let shop = Shop::open().await;
    let first = shop.serving().await;
    shop.begin(&obedient(shop.home.path()), &["--share", "50", "--runs", "10000"]);
    let other = built("payment-v2.wasm");
    let (ok, said) = shop.millrace(&["components", "swap", "payment-processor", other.to_str().unwrap(), "--reason", "it is better"]);
    assert!(ok, "{said}");
    let second =
        until("the other version serves", async || Some(json!(shop.serving().await)).filter(|digest| *digest != json!(first))).await;
    let id = shop.place("panic").await;
    let ended = until("the canary has ended", async || Some(shop.canary().await).filter(|canary| canary["state"] == "replaced")).await;
    assert!(ended["reason"].as_str().unwrap().contains(second.as_str().unwrap()), "{ended:#}");
    assert_eq!(shop.delivered(&[id]).await.keys().collect::<Vec<_>>(), [second.as_str().unwrap()]);
}
