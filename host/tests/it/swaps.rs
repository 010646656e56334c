//! Components change while orders run.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::Client;
use crate::test_app::{TestApp, built};

/// Orders a second while components change, where the machine can do as many, and how many there are at least.
const RATE: u32 = 50;
const ORDERS: usize = 2_500;
/// Orders that are under way at one time. A busy machine takes longer for all of them; it is not asked for more than it can do.
const AT_ONCE: usize = 32;
/// A busy machine compiles in what time others leave it.
const COMPILED: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn payment_changes_under_load_and_no_order_notices() {
    let seed = seed_with_plenty();
    let app = TestApp::start("configs/monolith.yaml", &[("PRODUCTS_SEED", seed.path().to_str().unwrap())]).await;
    let customer = app.client.customer("ada").await;
    let changing = Arc::new(AtomicBool::new(true));
    let load = tokio::spawn(place_orders(customer.clone(), Arc::clone(&changing)));
    let first = active(&app);

    replace(&app.component("payment.wasm"), &std::fs::read(built("payment-v2.wasm")).unwrap());
    let second = wait_for_another(&app, &first).await;
    for (bad, hint) in [(b"garbage".to_vec(), "component"), (other_world(), "process")] {
        replace(&app.component("payment.wasm"), &bad);
        let reason = wait_for_refusal(&app, &bad).await;
        assert!(reason.contains(hint), "{reason}");
        assert_eq!(active(&app), second, "the good version serves on");
    }
    replace(&app.component("payment.wasm"), &std::fs::read(built("payment.wasm")).unwrap());
    assert_eq!(wait_for_another(&app, &second).await, first, "the same bytes are the same version");

    changing.store(false, Ordering::Relaxed);
    let orders = load.await.unwrap();
    assert!(orders.len() >= ORDERS, "{} orders", orders.len());
    let mut by_digest: HashMap<String, usize> = HashMap::new();
    let mut transactions = HashSet::new();
    for ended in &orders {
        let (digest, transaction) = payment_of(ended);
        assert_eq!(transaction.starts_with("txn_"), digest == first, "the history names the version that answered: {ended:#}");
        assert!(transactions.insert(transaction), "an order was charged twice");
        *by_digest.entry(digest).or_default() += 1;
    }
    assert_eq!(by_digest.keys().collect::<HashSet<_>>(), HashSet::from([&first, &second]), "{by_digest:?}");
}

/// Places orders at a steady rate, as long as components change and until there are enough, and answers what they came to.
async fn place_orders(customer: Client, changing: Arc<AtomicBool>) -> Vec<Value> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut under_way, mut ended) = (tokio::task::JoinSet::new(), Vec::new());
    while changing.load(Ordering::Relaxed) || ended.len() + under_way.len() < ORDERS {
        ticks.tick().await;
        while let Some(order) = under_way.try_join_next() {
            ended.push(order.unwrap());
        }
        if under_way.len() == AT_ONCE {
            ended.extend(under_way.join_next().await.map(Result::unwrap));
        }
        let customer = customer.clone();
        under_way.spawn(async move { customer.order_until("plenty", 1, "tok_visa", &["delivered", "failed", "cancelled"]).await });
    }
    ended.extend(under_way.join_all().await);
    ended
}

fn payment_of(ended: &Value) -> (String, String) {
    assert_eq!(ended["state"], "delivered", "{ended:#}");
    let rows = ended["history"].as_array().unwrap();
    let approved: Vec<_> = rows.iter().filter(|row| row["transition"] == "payment_approved").collect();
    assert_eq!((approved.len(), rows.len()), (1, 7), "nothing ran twice: {ended:#}");
    for row in rows {
        assert_eq!(row["component"].is_null(), row["digest"].is_null(), "an answer names its digest: {row}");
    }
    (approved[0]["digest"].as_str().unwrap().to_owned(), ended["data"]["transaction_id"].as_str().unwrap().to_owned())
}

fn active(app: &TestApp) -> String {
    app.runtime.active("payment-processor").unwrap().digest
}

async fn wait_for_another(app: &TestApp, digest: &str) -> String {
    let deadline = Instant::now() + COMPILED;
    loop {
        let now = active(app);
        if now != digest {
            return now;
        }
        assert!(Instant::now() < deadline, "the new file was not taken: {:?}", app.runtime.status());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn wait_for_refusal(app: &TestApp, bytes: &[u8]) -> String {
    use sha2::Digest as _;
    let digest = millrace::services::engine::hex(&sha2::Sha256::digest(bytes));
    let deadline = Instant::now() + COMPILED;
    loop {
        let status = app.runtime.status().into_iter().find(|status| status.name == "payment-processor").unwrap();
        if let Some(refusal) = status.refused.filter(|refusal| refusal.digest.as_deref() == Some(digest.as_str())) {
            return refusal.reason;
        }
        assert!(Instant::now() < deadline, "the bad file was not refused: {:?}", app.runtime.status());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// As an editor or a deploy does it: written beside, then renamed.
fn replace(path: &Path, bytes: &[u8]) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, bytes).unwrap();
    std::fs::rename(&beside, path).unwrap();
}

fn other_world() -> Vec<u8> {
    wat::parse_str("(component)").unwrap()
}

/// A catalogue whose one product does not run out.
pub fn seed_with_plenty() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let products = serde_json::json!([{"id": "plenty", "data": {"name": "Plenty", "price": 1.25, "stock": 1_000_000}}]);
    std::fs::write(file.path(), products.to_string()).unwrap();
    file
}
