//! What an operator repairs: dead letters, and topics that were lost.

use std::collections::HashMap;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;

use super::flow::{broker, deliver, ids};
use super::test_env::Shop;
use super::topics::Record;
use crate::client::PATIENCE;
use crate::conditions::test_env::until;
use crate::kafka_broker::Driver;
use crate::observability::scraped::Scraped;

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_message_becomes_a_dead_letter_that_can_be_sent_again_and_orders_go_on() {
    let broker = broker().await;
    let shop = Shop::new(&broker.address(), Driver::Events);
    let app = shop.start().await;
    let customer = app.client.customer("eve").await;
    let before = deliver(&customer, 1).await;
    let key = ids(&before).remove(0);
    // One on every partition that an order can be on, so that every later order has to get past one.
    let poison =
        |key: String| Record { topic: shop.topics.topic("paid"), key, payload: Some(b"poison".to_vec()), headers: HashMap::new(), at: 0 };
    let poisoned: Vec<Record> = std::iter::once(key.clone()).chain((0..40).map(|number| format!("poison-{number}"))).map(poison).collect();
    shop.topics.produce(&poisoned).await;
    deliver(&customer, 12).await;
    shop.topics.until_consumed().await;

    let listed = shop.operate(&app, &["dlq", "list"]);
    let consumers = 2;
    assert!(listed.contains(&format!("{} dead letters", poisoned.len() * consumers)), "{listed}");
    assert!(
        listed.contains(&format!("key={key}")) && listed.contains("not a CloudEvent") && listed.contains("consumer=trigger:"),
        "{listed}"
    );
    assert!(listed.contains(&format!("group={}", shop.topics.group())), "{listed}");

    let metrics = Scraped::of(&app.client).await;
    let counted = metrics.value("ecommerce_dead_letters_total", &[("topic", &shop.topics.topic("paid"))]);
    assert_eq!(counted, Some((poisoned.len() * consumers) as f64), "{}", metrics.text);

    let sent = shop.operate(&app, &["dlq", "redrive"]);
    let expected = format!("{} dead letters were sent again, as {} events", poisoned.len() * consumers, poisoned.len());
    assert!(sent.starts_with(&expected), "{sent}");
    deliver(&customer, 3).await;
    shop.topics.until_consumed().await;

    // What never was an event came back, no more often than before.
    let listed = shop.operate(&app, &["dlq", "list", &shop.topics.topic("paid")]);
    assert!(listed.contains(&format!("{} dead letters", poisoned.len() * consumers)), "{listed}");
    let third = listed.lines().nth(2).unwrap().split(' ').nth(1).unwrap();
    let discarded = shop.operate(&app, &["dlq", "discard", &shop.topics.topic("paid"), "--through", third]);
    assert!(discarded.starts_with("3 dead letters"), "{discarded}");
    let rest = poisoned.len() * consumers - 3;
    let discarded = shop.operate(&app, &["dlq", "discard", &shop.topics.topic("paid")]);
    assert!(discarded.starts_with(&format!("{rest} dead letters")), "{discarded}");
    let listed = shop.operate(&app, &["dlq", "list"]);
    assert!(listed.starts_with("0 dead letters"), "{listed}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_lost_is_filled_again_beside_the_running_shop() {
    let broker = broker().await;
    let shop = Shop::new(&broker.address(), Driver::CommitAndEvents);
    let app = shop.start().await;
    let customer = app.client.customer("finn").await;
    let mut orders = ids(&deliver(&customer, 10).await);
    shop.topics.until_told(&orders).await;
    shop.topics.until_consumed().await;

    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", broker.address()).create().unwrap();
    let lost = [shop.topics.topic("paid"), shop.topics.topic("shipped")];
    let deleted = admin.delete_topics(&[&lost[0], &lost[1]], &AdminOptions::new()).await.unwrap();
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    orders.extend(ids(&deliver(&customer, 5).await));
    let said = shop.operate(&app, &["republish", "--since", "1h"]);
    assert!(said.contains("events since"), "{said}");
    shop.topics.until_complete(&orders).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_takes_no_event_of_this_process_is_named_in_the_health_until_it_does() {
    let broker = broker().await;
    let shop = Shop::new(&broker.address(), Driver::CommitAndEvents);
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", broker.address()).create().unwrap();
    let paid = shop.topics.topic("paid");
    // As a policy of the broker's operator does: no record is new enough.
    let refusing = NewTopic::new(&paid, 1, TopicReplication::Fixed(1)).set("message.timestamp.before.max.ms", "0");
    let made = admin.create_topics(&[refusing], &AdminOptions::new().operation_timeout(Some(PATIENCE))).await.unwrap();
    assert!(made.iter().all(Result::is_ok), "{made:?}");

    let app = shop.start().await;
    deliver(&app.client.customer("finn").await, 2).await;
    let check = async || app.client.get("/healthz").await.body["checks"]["event-broker"].clone();
    let refused = until("the topic is named", async || {
        let check = check().await;
        check["message"].as_str().is_some_and(|detail| detail.contains(&paid)).then_some(check)
    });
    let refused = refused.await;
    assert_eq!(refused["status"], "degraded", "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("2 instances"), "{refused}");

    let wanted = AlterConfig::new(ResourceSpecifier::Topic(&paid)).set("message.timestamp.before.max.ms", "9223372036854775807");
    let altered = admin.alter_configs(&[wanted], &AdminOptions::new()).await.unwrap();
    assert!(altered.iter().all(Result::is_ok), "{altered:?}");
    until("nothing is refused any more", async || (check().await["status"] == "up").then_some(())).await;
    app.stop().await;
}
