//! Topics of dead letters that hold anything: other programs write there too.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::flow::broker;
use super::test_env::Shop;
use crate::client::PATIENCE;
use crate::kafka_broker::Driver;

type Bytes<'a> = Option<&'a [u8]>;

/// Another program.
struct Foreign {
    address: String,
}

impl Foreign {
    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address);
        config
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().unwrap()
    }

    async fn make(&self, topic: &str, partitions: i32) {
        let topics = [NewTopic::new(topic, partitions, TopicReplication::Fixed(1))];
        let made = self.admin().create_topics(&topics, &AdminOptions::new().operation_timeout(Some(PATIENCE))).await.unwrap();
        assert!(made.iter().all(Result::is_ok), "{made:?}");
    }

    async fn write(&self, topic: &str, partition: i32, records: &[(Bytes<'_>, Bytes<'_>)]) {
        send(&self.config().create().unwrap(), topic, partition, records).await;
    }

    /// In one transaction, which ends as told.
    async fn transact(&self, topic: &str, records: &[(Bytes<'_>, Bytes<'_>)], commit: bool) {
        let producer: FutureProducer = self.config().set("transactional.id", topic).create().unwrap();
        let (begun, after) = (producer.clone(), producer.clone());
        tokio::task::spawn_blocking(move || begun.init_transactions(PATIENCE).and_then(|()| begun.begin_transaction()))
            .await
            .unwrap()
            .unwrap();
        send(&producer, topic, 0, records).await;
        let end = move || if commit { after.commit_transaction(PATIENCE) } else { after.abort_transaction(PATIENCE) };
        tokio::task::spawn_blocking(end).await.unwrap().unwrap();
    }

    /// Makes a topic that keeps the last record of each key, as soon as it can.
    async fn make_compacted(&self, topic: &str) {
        let soon =
            [("cleanup.policy", "compact"), ("segment.ms", "50"), ("min.cleanable.dirty.ratio", "0.001"), ("max.compaction.lag.ms", "1")];
        let wanted = soon.iter().fold(NewTopic::new(topic, 1, TopicReplication::Fixed(1)), |topic, (name, value)| topic.set(name, value));
        let made = self.admin().create_topics(&[wanted], &AdminOptions::new().operation_timeout(Some(PATIENCE))).await.unwrap();
        assert!(made.iter().all(Result::is_ok), "{made:?}");
    }

    /// How many records a reader gets of a topic of one partition.
    async fn count(&self, topic: &str) -> usize {
        let (config, topic) = (self.config().set("group.id", "counting").set("enable.partition.eof", "true").clone(), topic.to_owned());
        tokio::task::spawn_blocking(move || {
            let client: BaseConsumer = config.create().unwrap();
            let mut place = TopicPartitionList::new();
            place.add_partition_offset(&topic, 0, Offset::Beginning).unwrap();
            client.assign(&place).unwrap();
            let mut count = 0;
            loop {
                match client.poll(PATIENCE).expect("Kafka gives what it has") {
                    Ok(_) => count += 1,
                    Err(KafkaError::PartitionEOF(_)) => return count,
                    Err(error) => panic!("{error}"),
                }
            }
        })
        .await
        .unwrap()
    }

    /// Keys and values that are in the only partition of a topic.
    async fn until_holding(&self, topic: &str, partitions: i32, count: usize) -> Vec<(Option<Vec<u8>>, Option<Vec<u8>>)> {
        let (config, topic) = (self.config().set("group.id", "foreign").clone(), topic.to_owned());
        tokio::task::spawn_blocking(move || {
            let client: BaseConsumer = config.create().unwrap();
            let mut places = TopicPartitionList::new();
            for partition in 0..partitions {
                places.add_partition_offset(&topic, partition, Offset::Beginning).unwrap();
            }
            client.assign(&places).unwrap();
            let mut held = Vec::new();
            while held.len() < count {
                let message = client.poll(PATIENCE).expect("Kafka gives what it has").unwrap();
                held.push((message.key().map(<[u8]>::to_vec), message.payload().map(<[u8]>::to_vec)));
            }
            held
        })
        .await
        .unwrap()
    }
}

async fn send(producer: &FutureProducer, topic: &str, partition: i32, records: &[(Bytes<'_>, Bytes<'_>)]) {
    for (key, value) in records {
        let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(topic).partition(partition);
        (record.key, record.payload) = (*key, *value);
        producer.send(record, PATIENCE).await.unwrap();
    }
}

/// A subscription to a topic whose dead letters can have no topic, because the name would be too long.
fn subscribe_to_a_topic_that_cannot_be_read(shop: &Shop) -> String {
    const NEARLY_TOO_LONG: usize = 248;
    let topic = format!("{:x<NEARLY_TOO_LONG$}", shop.topics.prefix());
    let text = std::fs::read_to_string(shop.config()).unwrap();
    let first = "    subscriptions:\n";
    let messaging = text.find("  messaging:\n").unwrap();
    let at = messaging + text[messaging..].find(first).unwrap() + first.len();
    let subscription = format!("      - topic: {topic}\n        handler: notification-handler\n");
    std::fs::write(shop.config(), format!("{}{subscription}{}", &text[..at], &text[at..])).unwrap();
    topic
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_of_any_kind_are_listed_sent_again_and_discarded_and_none_hides_another() {
    let broker = broker().await;
    let shop = Shop::new(&broker.address(), Driver::CommitAndEvents);
    let unreadable = subscribe_to_a_topic_that_cannot_be_read(&shop);
    let foreign = Foreign { address: broker.address() };
    let [created, paid, shipped] = ["created", "paid", "shipped"].map(|event| shop.topics.topic(event));
    for (topic, partitions) in [(format!("{created}.dlq"), 1), (format!("{paid}.dlq"), 1), (format!("{shipped}.dlq"), 3)] {
        foreign.make(&topic, partitions).await;
    }
    let written: [(Bytes<'_>, Bytes<'_>); 3] = [(None, Some(&[0xff, 0xfe, 0x00])), (Some(&[0xc3, 0x28]), None), (Some(b"k"), Some(b""))];
    foreign.write(&format!("{paid}.dlq"), 0, &written).await;
    foreign.transact(&format!("{paid}.dlq"), &[(Some(b"t"), Some(b"committed"))], true).await;
    // Its two offsets, and the mark of its end, are the last: there is no record at them that anybody gets.
    foreign.transact(&format!("{paid}.dlq"), &[(Some(b"t"), Some(b"aborted")), (None, Some(b"aborted"))], false).await;
    foreign.transact(&format!("{shipped}.dlq"), &[(None, Some(b"aborted"))], false).await;
    foreign.write(&format!("{created}.dlq"), 0, &[(None, Some(b"gone")), (None, Some(b"gone too")), (None, Some(b"left"))]).await;
    let mut gone = TopicPartitionList::new();
    gone.add_partition_offset(&format!("{created}.dlq"), 0, Offset::Offset(2)).unwrap();
    foreign.admin().delete_records(&gone, &AdminOptions::new()).await.unwrap();

    let begun = std::time::Instant::now();
    let (well, listed, complaint) = shop.operate_alone(&["dlq", "list"]);
    assert!(begun.elapsed() < Duration::from_secs(10), "nothing is waited for that does not come");
    assert!(
        listed.contains("5 dead letters") && listed.contains("key=- ") && listed.contains(&format!("{created} 2 ")),
        "{listed}{complaint}"
    );
    assert!(listed.contains("committed") && !listed.contains("aborted"), "{listed}");
    assert!(!well && complaint.contains(&format!("topic '{unreadable}': cannot read")), "{complaint}");

    let (well, sent, complaint) = shop.operate_alone(&["dlq", "redrive"]);
    assert!(sent.starts_with("5 dead letters were sent again, as 5 events"), "{sent} {complaint}");
    assert!(!well && complaint.contains(&unreadable), "{complaint}");
    let mut held = foreign.until_holding(&paid, 6, 4).await;
    held.sort();
    let own = |bytes: &Bytes<'_>| bytes.map(<[u8]>::to_vec);
    let mut expected: Vec<_> = written.iter().map(|(key, value)| (own(key), own(value))).collect();
    expected.push((own(&Some(b"t")), own(&Some(b"committed"))));
    expected.sort();
    assert_eq!(held, expected, "as they were");
    let (well, listed, _) = shop.operate_alone(&["dlq", "list", &paid, &created, &shipped]);
    assert!(well && listed.starts_with("0 dead letters in 3 topics"), "{listed}");

    for partition in 0..3 {
        foreign.write(&format!("{shipped}.dlq"), partition, &[(None, Some(b"{}")), (None, None)]).await;
    }
    let (_, listed, _) = shop.operate_alone(&["dlq", "list", &shipped]);
    assert!(listed.contains("6 dead letters") && listed.contains(&format!("{shipped} 2/1 ")), "{listed}");
    let (well, _, complaint) = shop.operate_alone(&["dlq", "discard", &shipped, "--through", "1"]);
    assert!(!well && complaint.contains("has 3 partitions"), "{complaint}");
    let (well, discarded, complaint) = shop.operate_alone(&["dlq", "discard", &shipped]);
    assert!(well && discarded.starts_with("6 dead letters"), "{discarded} {complaint}");
    let (well, listed, _) = shop.operate_alone(&["dlq", "list", &shipped]);
    assert!(well && listed.starts_with("0 dead letters"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_of_which_kafka_keeps_only_the_last_of_each_key_are_listed_and_sent_again() {
    const WRITTEN: usize = 40;
    let broker = broker().await;
    let shop = Shop::new(&broker.address(), Driver::CommitAndEvents);
    let foreign = Foreign { address: broker.address() };
    let paid = shop.topics.topic("paid");
    let letters = format!("{paid}.dlq");
    foreign.make_compacted(&letters).await;
    // Written until most are gone: what is compacted are the segments before the last, and a segment ends when something is written later.
    let deadline = std::time::Instant::now() + PATIENCE * 2;
    let mut written = 0;
    while written < WRITTEN || foreign.count(&letters).await > written / 2 {
        assert!(std::time::Instant::now() < deadline, "Kafka does not compact: {written} were written");
        for key in [b"a", b"b"] {
            foreign.write(&letters, 0, &[(Some(key), Some(format!("{written}").as_bytes()))]).await;
            written += 1;
        }
    }
    let (well, listed, complaint) = shop.operate_alone(&["dlq", "list", &paid]);
    let count: usize = listed.lines().last().unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(well && (2..=written / 2).contains(&count), "{written} were written: {listed} {complaint}");
    let (well, sent, complaint) = shop.operate_alone(&["dlq", "redrive", &paid]);
    assert!(well && sent.contains("dead letters were sent again"), "{sent} {complaint}");
    let (well, listed, complaint) = shop.operate_alone(&["dlq", "list", &paid]);
    assert!(well && listed.starts_with("0 dead letters"), "{listed} {complaint}");
}
