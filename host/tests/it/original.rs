//! The three configs in the form that the first shop was written in, run as they are: only the places that name an address of
//! their containers name one of this machine.

use std::path::PathBuf;

use reqwest::StatusCode;
use serde_json::json;

use crate::client::path_of;
use crate::kafka_broker::{KafkaBroker, free_port};
use crate::process::{Home, Process};
use crate::test_app::{built, repository};

const HAPPY: [&str; 8] = ["new", "validating", "validated", "paying", "paid", "shipping", "shipped", "delivered"];
/// The components of the first shop, and those that take their place.
const COMPONENTS: [(&str, &str); 4] = [
    ("inventory_checker.wasm", "inventory-simulated.wasm"),
    ("payment_processor.wasm", "payment.wasm"),
    ("shipping_service.wasm", "shipping.wasm"),
    ("notification_sender.wasm", "notify.wasm"),
];

/// Files laid out as the configs expect them around themselves.
struct Layout {
    home: Home,
    users_products: String,
    orders: String,
    kafka: String,
}

impl Layout {
    fn new(kafka: String) -> Self {
        let home = Home::new();
        for folder in ["configs", "seed", "spa"] {
            std::fs::create_dir(home.path().join(folder)).unwrap();
        }
        for (theirs, ours) in COMPONENTS {
            std::fs::copy(built(ours), home.component(theirs)).unwrap();
        }
        std::fs::copy(repository().join("seed/products.json"), home.path().join("seed/products.json")).unwrap();
        let users = json!([{"name": "Seeded", "email": "seeded@example.com", "password": "password123"}]);
        std::fs::write(home.path().join("seed/users.json"), users.to_string()).unwrap();
        std::fs::write(home.path().join("spa/index.html"), "<title>the first shop</title>").unwrap();
        Self { home, users_products: free_address(), orders: free_address(), kafka }
    }

    fn config(&self, name: &str, address: &str) -> PathBuf {
        let text = std::fs::read_to_string(repository().join(format!("host/tests/config/valid/original-{name}.yaml"))).unwrap();
        let places = [
            ("\":8080\"", format!("\"{address}\"")),
            ("http://users-products:8080", format!("http://{}", self.users_products)),
            ("http://orders:8080", format!("http://{}", self.orders)),
            ("kafka:9092", self.kafka.clone()),
        ];
        let text = places.iter().fold(text, |text, (theirs, ours)| text.replace(theirs, ours));
        let path = self.home.path().join(format!("configs/{name}.yaml"));
        std::fs::write(&path, text).unwrap();
        path
    }

    async fn start(&self, name: &str, address: &str) -> Process {
        self.home.start_config(&self.config(name, address), &[]).await
    }
}

fn free_address() -> String {
    format!("127.0.0.1:{}", free_port())
}

#[tokio::test(flavor = "multi_thread")]
async fn configs_of_the_first_shop_start_and_deliver_an_order() {
    let broker = tokio::task::spawn_blocking(KafkaBroker::start).await.unwrap();
    let layout = Layout::new(broker.address());
    let _users_products = layout.start("users-products", &layout.users_products).await;
    let orders = layout.start("orders", &layout.orders).await;
    let gateway = layout.start("gateway", "127.0.0.1:0").await;

    assert_eq!(gateway.client.get("/").await.body, "<title>the first shop</title>");
    assert_eq!(gateway.client.get("/api/products").await.body.as_array().unwrap().len(), 8);
    let login = json!({"email": "seeded@example.com", "password": "password123"});
    let login = gateway.client.post("/api/auth/login", &login).await;
    assert_eq!(login.status, StatusCode::OK, "{login:?}");

    let customer = gateway.client.customer("ada").await;
    let placed = json!({
        "items": [{"productId": "prod-001", "name": "Mechanical Keyboard", "price": 149.99, "quantity": 1}],
        "shipping": {"address": "123 Main St", "city": "Portland", "state": "OR", "zip": "97201"},
    });
    let placed = customer.post("/api/orders", &placed).await;
    assert_eq!(placed.status, StatusCode::CREATED, "{placed:?}");
    let order =
        customer.wait_for("orders", placed.body["id"].as_str().unwrap(), &["delivered", "failed", "payment_failed", "ship_failed"]).await;
    assert_eq!(path_of(&order), HAPPY, "{order:#}");
    for result in ["transaction_id", "last4", "tracking_number", "carrier", "estimated_delivery"] {
        assert!(order["data"][result].is_string(), "{result}: {order:#}");
    }
    assert_eq!(customer.get("/api/orders").await.body[0]["state"], "delivered");

    let metrics = orders.client.get("/metrics").await.body;
    assert!(metrics.as_str().unwrap().contains("ecommerce_orders_module_operations_total{"), "{metrics}");
    assert_eq!(orders.client.get("/healthz").await.body["checks"]["event-broker"]["status"], "up");
}
