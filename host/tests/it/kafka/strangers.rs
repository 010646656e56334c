//! Two shops at one Kafka: with the same topics and group each takes events of the other, and says so; with a prefix of its own neither does.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::flow::{broker, deliver};
use super::test_env::Shop;
use crate::client::{Client, PATIENCE};
use crate::kafka_broker::Driver;
use crate::observability::scraped::Scraped;
use crate::process::Home;
use crate::test_app::repository;

/// A further config beside that of `shop`, whose Kafka has these settings too.
fn beside(shop: &Shop, name: &str, more: &str) -> PathBuf {
    let text = std::fs::read_to_string(shop.config()).unwrap();
    let group = format!("      groupId: {}\n", shop.topics.group());
    assert!(text.contains(&group), "{text}");
    let path = shop.config().with_file_name(name);
    std::fs::write(&path, text.replace(&group, more)).unwrap();
    path
}

async fn start(home: &Home, config: &Path) -> crate::process::Process {
    home.start_config(config, &[("PRODUCTS_SEED", &repository().join("seed/products.json").display().to_string())]).await
}

/// What is said of the bus, as status and message.
async fn bus(client: &Client) -> (String, String) {
    let check = client.get("/healthz").await.body["checks"]["event-broker"].clone();
    let text = |name: &str| check[name].as_str().unwrap_or_default().to_owned();
    (text("status"), text("message"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_takes_events_of_another_one_says_so() {
    let broker = broker().await;
    let shop = Shop::new(&broker.address(), Driver::CommitAndEvents);
    let (here, there) = (Home::new(), Home::new());
    let second = beside(&shop, "second.yaml", &format!("      groupId: {}\n      instanceId: second\n", shop.topics.group()));
    let (first, second) = (start(&here, &shop.config()).await, start(&there, &second).await);
    let customer = first.client.customer("ada").await;
    let deadline = Instant::now() + 2 * PATIENCE;
    // Until the group has given the second one a partition that an order of the first one goes to.
    let (status, message) = loop {
        deliver(&customer, 3).await;
        let (status, message) = bus(&second.client).await;
        if message.contains("of a shop with another database") || Instant::now() > deadline {
            break (status, message);
        }
    };
    assert_eq!(status, "degraded", "{message}");
    for word in [shop.topics.prefix(), shop.topics.group(), "topicPrefix"] {
        assert!(message.contains(word), "{word}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_prefix_of_its_own_a_shop_takes_no_event_of_another_one() {
    let broker = broker().await;
    let shop = Shop::new(&broker.address(), Driver::CommitAndEvents);
    let prefix = format!("{}-staging.", shop.topics.group());
    let staging = beside(&shop, "staging.yaml", &format!("      groupId: {prefix}group\n      topicPrefix: {prefix}\n"));
    let (here, there) = (Home::new(), Home::new());
    let (production, staging) = (start(&here, &shop.config()).await, start(&there, &staging).await);
    for (client, name) in [(&production.client, "ada"), (&staging.client, "bea")] {
        let customer = client.customer(name).await;
        deliver(&customer, 3).await;
        // Three orders with five events each, all told by the process that has them.
        Scraped::until(client, "every customer is told", |metrics| {
            let told = [("module", "notification-handler"), ("operation", "process"), ("status", "accepted")];
            metrics.value("ecommerce_module_operations_total", &told).is_some_and(|told| told >= 15.0)
        })
        .await;
    }
    for client in [&production.client, &staging.client] {
        let ignored = Scraped::of(client).await.value("ecommerce_ignored_events_total", &[("reason", "unknown_instance")]);
        assert_eq!(ignored.unwrap_or_default(), 0.0);
        assert_eq!(bus(client).await.0, "up");
    }
}
