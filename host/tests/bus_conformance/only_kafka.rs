//! What only a broker can: be away, be given nonsense, keep dead letters, lose a topic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use millrace::bus::kafka::dead_letters::{self, Redriven};
use millrace::bus::kafka::{self, MAX_EVENT_BYTES};
use millrace::bus::{Bus, Member, Receipt};
use millrace::clock::Clock;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::kafka_broker::KafkaBroker;
use crate::test_env::{DELIVERIES, PATIENCE, Running, Subscriber, TestEnv};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_while_nobody_receives_is_received_later() {
    let env = TestEnv::kafka().await;
    let (silent, subscriber) = (Subscriber::willing(), Subscriber::willing());
    let running = env.open(&[], &silent).await;
    let event = env.event("made", "a", 1);
    running.publish(std::slice::from_ref(&event)).await;
    running.close().await;
    let running = env.open(&[("taker", "made")], &subscriber).await;
    subscriber.until_took(&event).await;
    running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_on_a_topic_becomes_dead_letters() {
    let env = TestEnv::kafka().await;
    let subscriber =
        Subscriber::directed(|_, event, _| if event.payload.starts_with('{') { Receipt::Done } else { Receipt::Poison("no event".into()) });
    let running = env.open(&[("taker", "made")], &subscriber).await;
    let (first, last) = (env.event("made", "a", 1), env.event("made", "a", 2));
    running.publish(std::slice::from_ref(&first)).await;
    // The same partition as ours: what comes after the nonsense has to get past it.
    let foreign = ClientConfig::new().set("bootstrap.servers", env.address()).set("partitioner", "murmur2_random").clone();
    let foreign: FutureProducer = foreign.create().unwrap();
    let topic = env.topic("made");
    let nonsense: [Option<&[u8]>; 3] = [None, Some(&[0xff, 0x00, 0xfe]), Some(b"not an event")];
    for payload in nonsense {
        let mut record: FutureRecord<'_, str, [u8]> = FutureRecord::to(&topic).key("a");
        record.payload = payload;
        foreign.send(record, Duration::from_secs(10)).await.unwrap();
    }
    running.publish(std::slice::from_ref(&last)).await;
    subscriber.until_took(&last).await;
    let mut reasons: Vec<String> = env.dead_letters("made", &subscriber).await.into_iter().map(|(_, reason)| reason).collect();
    reasons.sort();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert_eq!(subscriber.told_of_dead_letters(), [env.topic("made"), env.topic("made"), env.topic("made")]);
    assert!(reasons[0] == "no event" && reasons[1] == "the record has no value" && reasons[2].contains("not UTF-8"), "{reasons:?}");
    running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_share_a_broker_have_topics_of_their_own_by_a_prefix() {
    let env = TestEnv::kafka().await;
    let of = |prefix: &str| {
        let settings = env.settings(&env.address());
        kafka::Settings { group_id: format!("{prefix}{}", settings.group_id), topic_prefix: prefix.to_owned(), ..settings }
    };
    let (here, there) = (Subscriber::directed(|_, event, _| poison_if(event.id.ends_with("-2"))), Subscriber::willing());
    let first = env.run(Arc::new(TestEnv::client(of("first."), DELIVERIES)), &[("taker", "made")], &here);
    let second = env.run(Arc::new(TestEnv::client(of("second."), DELIVERIES)), &[("taker", "made")], &there);
    let [mine, bad, theirs] = [1, 2, 3].map(|number| env.event("made", "a", number));
    for (running, events) in [(&first, [&mine, &bad].as_slice()), (&second, &[&theirs])] {
        running.until_up().await;
        running.publish(&events.iter().map(|event| (*event).clone()).collect::<Vec<_>>()).await;
    }
    here.until_took(&mine).await;
    there.until_took(&theirs).await;
    here.until_delivered("taker", &bad, 1).await;
    assert_eq!((here.deliveries("taker", &theirs), there.deliveries("taker", &mine)), (0, 0));
    let kept = async {
        while here.told_of_dead_letters().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, kept).await.expect("the letter is kept");

    // Commands name the topic as the config does.
    let (settings, topic) = (of("first."), env.topic("made"));
    let listing = (settings.clone(), topic.clone());
    let listed = tokio::task::spawn_blocking(move || dead_letters::list(&listing.0, &[listing.1])).await.unwrap().unwrap();
    assert_eq!(listed.letters.iter().map(|letter| &letter.topic).collect::<Vec<_>>(), [&topic]);
    assert_eq!(here.told_of_dead_letters(), std::slice::from_ref(&topic));
    assert_eq!(dead_letters::redrive(&settings, &[topic]).await.unwrap(), Redriven { letters: 1, events: 1, failed: Vec::new() });
    here.until_delivered("taker", &bad, 2).await;
    first.close().await;
    second.close().await;
}

fn poison_if(bad: bool) -> Receipt {
    if bad { Receipt::Poison("no".into()) } else { Receipt::Done }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_members_of_one_name_say_that_there_are_two() {
    let env = TestEnv::kafka().await;
    let subscriber = Subscriber::willing();
    let first = env.open(&[("taker", "made")], &subscriber).await;
    let event = env.event("made", "a", 1);
    first.publish(std::slice::from_ref(&event)).await;
    subscriber.until_took(&event).await;
    assert_eq!(first.bus.deaf(), None);
    let second = env.open(&[("taker", "made")], &subscriber).await;
    let told = async {
        loop {
            if let Some(reason) = first.bus.deaf().or_else(|| second.bus.deaf()) {
                return reason;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let reason = tokio::time::timeout(PATIENCE, told).await.expect("it is told");
    let settings = env.settings(&env.address());
    assert!(reason.contains(&format!("takes part as '{}-only'", settings.group_id)) && reason.contains("topicPrefix"), "{reason}");
    first.close().await;
    second.close().await;
}

/// Publishes events of new keys until this one has taken one: the group may have given it no partition yet.
async fn until_it_takes(publisher: &Running, env: &TestEnv, taker: &Subscriber, first_number: &mut usize) {
    let begun = std::time::Instant::now();
    let before = taker.count();
    while taker.count() == before {
        assert!(begun.elapsed() < PATIENCE * 2, "it takes nothing");
        let events: Vec<_> =
            (*first_number..*first_number + 24).map(|number| env.event("made", &format!("key-{number}"), number)).collect();
        *first_number += events.len();
        publisher.publish(&events).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_of_one_machine_share_a_group_and_one_that_is_not_sure_of_its_work_leaves_it_to_the_other() {
    let env = TestEnv::kafka().await;
    let (sure, is_sure) = tokio::sync::watch::channel(true);
    let member = |seat| {
        let settings = kafka::Settings { instance_id: None, ..env.settings(&env.address()) };
        Arc::new(TestEnv::member(settings, Member { seat, sure: Some(is_sure.clone()).filter(|_| seat == 2) }))
    };
    let (here, there) = (Subscriber::willing(), Subscriber::willing());
    let first = env.run(member(1), &[("taker", "made")], &here);
    let second = env.run(member(2), &[("taker", "made")], &there);
    first.until_up().await;
    second.until_up().await;
    let mut number = 0;
    until_it_takes(&first, &env, &there, &mut number).await;
    until_it_takes(&first, &env, &here, &mut number).await;
    assert_eq!((first.bus.deaf(), second.bus.deaf()), (None, None), "they have names of their own");

    sure.send_replace(false);
    second.until_deaf("in its place").await;
    let taken_there = there.count();
    let later: Vec<_> = (number..number + 60).map(|number| env.event("made", &format!("key-{number}"), number)).collect();
    first.publish(&later).await;
    for event in &later {
        here.until_took(event).await;
    }
    assert_eq!(there.count(), taken_there, "nothing more comes to who is not sure");

    sure.send_replace(true);
    number += later.len();
    until_it_takes(&first, &env, &there, &mut number).await;
    first.close().await;
    second.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_of_another_name_is_not_given_what_may_have_been_handled_and_is_forgotten() {
    let env = TestEnv::kafka().await;
    let subscriber = Subscriber::willing();
    let [first, second, third] = [1, 2, 3].map(|number| env.event("made", "a", number));
    let running = env.open(&[("taker", "made")], &subscriber).await;
    running.publish(std::slice::from_ref(&first)).await;
    subscriber.until_took(&first).await;
    running.close().await;

    // The broker knows how far this group had come: whatever comes is new.
    subscriber.forget_before(Timestamp::MAX);
    let running = env.open(&[("taker", "made")], &subscriber).await;
    running.publish(std::slice::from_ref(&second)).await;
    subscriber.until_took(&second).await;
    running.close().await;

    // A broker knows milliseconds.
    let clock = Clock::system();
    let taken = clock.now().as_millisecond();
    while clock.now().as_millisecond() <= taken {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    subscriber.forget_before(Timestamp::from_millisecond(clock.now().as_millisecond()).unwrap());
    let settings = env.settings(&env.address());
    let settings = kafka::Settings { group_id: format!("renamed-{}", settings.group_id), ..settings };
    let running = env.run(Arc::new(TestEnv::client(settings, DELIVERIES)), &[("taker", "made")], &subscriber);
    running.until_up().await;
    running.publish(std::slice::from_ref(&third)).await;
    subscriber.until_took(&third).await;
    running.close().await;
    assert_eq!([&first, &second, &third].map(|event| subscriber.deliveries("taker", event)), [1, 1, 1]);
}

/// As a member of that name that comes to the group and dies at once, or as a request to join whose answer is lost.
fn take_the_place_of(settings: &kafka::Settings, topic: &str) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &settings.brokers[0]).set("group.id", &settings.group_id).set("session.timeout.ms", "6000");
    config.set("group.instance.id", format!("{}-only", settings.group_id)).set("partition.assignment.strategy", "cooperative-sticky");
    let other: BaseConsumer = config.create().unwrap();
    other.subscribe(&[topic]).unwrap();
    let begun = std::time::Instant::now();
    // Whoever was there before may take it back before this one sees that it had it.
    while other.assignment().unwrap().count() == 0 && other.client().fatal_error().is_none() {
        assert!(begun.elapsed() < PATIENCE, "the other one has its place");
        other.poll(Duration::from_millis(50));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_lost_its_place_after_its_broker_was_away_takes_it_back_and_accuses_nobody() {
    let mut broker = tokio::task::spawn_blocking(KafkaBroker::start).await.unwrap();
    let env = TestEnv::embedded().await;
    let subscriber = Subscriber::willing();
    let settings = env.settings(&broker.address());
    let running = env.run(Arc::new(TestEnv::client(settings.clone(), DELIVERIES)), &[("taker", "made")], &subscriber);
    running.until_up().await;
    let [before, after] = [1, 2].map(|number| env.event("made", "a", number));
    running.publish(std::slice::from_ref(&before)).await;
    subscriber.until_took(&before).await;

    broker = tokio::task::spawn_blocking(move || {
        broker.kill();
        broker
    })
    .await
    .unwrap();
    running.until_down().await;
    broker = tokio::task::spawn_blocking(move || {
        broker.start_again();
        broker
    })
    .await
    .unwrap();
    running.until_up().await;
    let topic = env.topic("made");
    tokio::task::spawn_blocking(move || take_the_place_of(&settings, &topic)).await.unwrap();
    running.publish(std::slice::from_ref(&after)).await;
    subscriber.until_took(&after).await;
    assert_eq!(running.bus.deaf(), None, "there is no other process");
    running.close().await;
    drop(broker);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_far_it_is_behind_is_told() {
    let env = TestEnv::kafka().await;
    let willing = Arc::new(AtomicBool::new(false));
    let will = Arc::clone(&willing);
    let subscriber =
        Subscriber::directed(move |_, _, _| if will.load(Ordering::Relaxed) { Receipt::Done } else { Receipt::Retry("later".into()) });
    let settings = env.settings(&env.address());
    let running = env.run(Arc::new(TestEnv::client(settings, u32::MAX)), &[("taker", "made")], &subscriber);
    running.until_up().await;
    let events: Vec<_> = (0..7).map(|number| env.event("made", &format!("key-{number}"), number)).collect();
    running.publish(&events).await;
    running.until_behind(&env.topic("made"), 7).await;
    willing.store(true, Ordering::Relaxed);
    running.until_behind(&env.topic("made"), 0).await;
    running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_fails_again_and_again_is_given_up_and_can_be_sent_again() {
    let env = TestEnv::kafka().await;
    let healed = Arc::new(AtomicBool::new(false));
    let health = Arc::clone(&healed);
    let subscriber = Subscriber::directed(move |consumer, event, _| {
        let ill = consumer == "ill" && event.id.ends_with("-1") && !health.load(Ordering::Relaxed);
        if ill { Receipt::Retry("it hurts".into()) } else { Receipt::Done }
    });
    let running = env.open(&[("ill", "made"), ("well", "made")], &subscriber).await;
    let (bad, good) = (env.event("made", "a", 1), env.event("made", "a", 2));
    running.publish(&[bad.clone(), good.clone()]).await;
    subscriber.until_delivered("ill", &good, 1).await;
    assert_eq!(subscriber.deliveries("ill", &bad), 4);
    let letters = env.dead_letters("made", &subscriber).await;
    assert_eq!(letters.len(), 1);
    assert!(letters[0].0 == bad.id && letters[0].1.contains("4 deliveries") && letters[0].1.contains("it hurts"), "{letters:?}");

    healed.store(true, Ordering::Relaxed);
    let (settings, topics) = (env.settings(&env.address()), [env.topic("made")]);
    assert_eq!(dead_letters::redrive(&settings, &topics).await.unwrap(), Redriven { letters: 1, events: 1, failed: Vec::new() });
    subscriber.until_delivered("ill", &bad, 5).await;
    assert!(env.dead_letters("made", &subscriber).await.is_empty(), "what was sent again is no longer listed");
    assert_eq!(dead_letters::redrive(&settings, &topics).await.unwrap(), Redriven::default());
    running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_no_topic_takes_leaves_a_note_and_blocks_nothing() {
    let env = TestEnv::kafka().await;
    let subscriber = Subscriber::willing();
    let running = env.open(&[("taker", "made")], &subscriber).await;
    let mut huge = env.event("made", "a", 1);
    huge.payload = "x".repeat(MAX_EVENT_BYTES + 1).into();
    let after = env.event("made", "a", 2);
    running.publish(&[huge.clone(), after.clone()]).await;
    subscriber.until_took(&after).await;
    let letters = env.dead_letters("made", &subscriber).await;
    assert!(letters.len() == 1 && letters[0].0 == huge.id && letters[0].1.contains("bytes"), "{letters:?}");
    let redriven = dead_letters::redrive(&env.settings(&env.address()), &[env.topic("made")]).await.unwrap();
    assert!(redriven.letters == 0 && redriven.failed[0].reason.contains("too large to be kept"), "{redriven:?}");
    running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_was_deleted_is_made_again() {
    let env = TestEnv::kafka().await;
    let subscriber = Subscriber::willing();
    let running = env.open(&[("taker", "made")], &subscriber).await;
    running.publish(&[env.event("made", "a", 1)]).await;
    subscriber.until_taken(1).await;
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", env.address()).create().unwrap();
    let deleted = admin.delete_topics(&[&env.topic("made")], &AdminOptions::new()).await.unwrap();
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    let after = env.event("made", "a", 2);
    running.publish(std::slice::from_ref(&after)).await;
    subscriber.until_took(&after).await;
    running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_is_waited_for() {
    let mut broker = tokio::task::spawn_blocking(KafkaBroker::not_started).await.unwrap();
    let env = TestEnv::embedded().await;
    let subscriber = Subscriber::willing();
    let bus = Arc::new(TestEnv::client(env.settings(&broker.address()), DELIVERIES));
    let running = env.run(bus, &[("taker", "made")], &subscriber);
    let events: Vec<_> = (1..=4).map(|number| env.event("made", "a", number)).collect();
    let reason = running.until_down().await;
    assert!(!reason.is_empty());
    assert!(running.bus.publish(&events[..1]).await[0].is_err(), "not there at the start");

    let mut broker = tokio::task::spawn_blocking(move || {
        broker.start_again();
        broker
    })
    .await
    .unwrap();
    running.until_up().await;
    running.publish(&events[..2]).await;
    subscriber.until_took(&events[1]).await;

    let mut broker = tokio::task::spawn_blocking(move || {
        broker.kill();
        broker
    })
    .await
    .unwrap();
    let reason = running.until_down().await;
    assert!(reason.contains("127.0.0.1"), "{reason}");
    assert!(running.bus.publish(&events[2..]).await.iter().all(Result::is_err));

    let broker = tokio::task::spawn_blocking(move || {
        broker.start_again();
        broker
    })
    .await
    .unwrap();
    running.until_up().await;
    running.publish(&events[2..]).await;
    subscriber.until_took(&events[3]).await;
    running.close().await;
    drop(broker);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_named_no_broker_for_a_while_is_found_again() {
    // It reports late, so its controller takes it for gone again and again. Meanwhile it names no broker, not even itself: so does one that
    // was stopped for a while and goes on.
    let late = "broker.session.timeout.ms=6000\nbroker.heartbeat.interval.ms=12000";
    let broker = tokio::task::spawn_blocking(|| KafkaBroker::start_with(late)).await.unwrap();
    let address = broker.address();
    // Which client lets go of its brokers is a matter of moments.
    let shops: Vec<(TestEnv, Subscriber)> = join_all((0..4).map(|_| async { (TestEnv::embedded().await, Subscriber::willing()) })).await;
    let open = |(env, subscriber): &(TestEnv, Subscriber)| {
        env.run(Arc::new(TestEnv::client(env.settings(&address), DELIVERIES)), &[("taker", "made")], subscriber)
    };
    let running: Vec<_> = shops.iter().map(open).collect();
    for (running, (env, subscriber)) in running.iter().zip(&shops) {
        running.publish(&[env.event("made", "a", 1)]).await;
        subscriber.until_taken(1).await;
    }
    for running in &running {
        running.until_down().await;
    }
    let broker = tokio::task::spawn_blocking(move || {
        let mut broker = broker;
        broker.kill();
        broker.set("broker.heartbeat.interval.ms=500");
        broker.start_again();
        broker
    });
    let broker = broker.await.unwrap();
    for (running, (env, subscriber)) in running.into_iter().zip(&shops) {
        running.until_up().await;
        let after = env.event("made", "a", 2);
        running.publish(std::slice::from_ref(&after)).await;
        subscriber.until_took(&after).await;
        running.close().await;
    }
    drop(broker);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_says_that_it_is_elsewhere_is_told_of_with_the_name_that_it_gives() {
    let elsewhere = "advertised.listeners=PLAINTEXT://kafka-1.invalid:9092";
    let broker = tokio::task::spawn_blocking(|| KafkaBroker::start_with(elsewhere)).await.unwrap();
    let env = TestEnv::kafka().await;
    let bus = Arc::new(TestEnv::client(env.settings(&broker.address()), DELIVERIES));
    let running = env.run(bus, &[("taker", "made")], &Subscriber::willing());
    let told = async {
        loop {
            let reason = running.until_down().await;
            // At first nothing is known but that a connection fails.
            if reason.contains("kafka-1.invalid:9092") && reason.contains("advertised.listeners") {
                return reason;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let reason = tokio::time::timeout(PATIENCE, told).await.expect("the name is told");
    assert!(reason.contains(&broker.address()) && reason.contains("advertised.listeners") && !reason.contains("TLS"), "{reason}");
    running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_no_broker_looks_after_is_told_of_although_the_broker_answers() {
    // What a broker has unless somebody says otherwise, and one broker alone cannot do.
    let alone = "offsets.topic.replication.factor=3";
    let broker = tokio::task::spawn_blocking(|| KafkaBroker::start_with(alone)).await.unwrap();
    let env = TestEnv::kafka().await;
    let bus: Arc<dyn Bus> = Arc::new(TestEnv::client(env.settings(&broker.address()), DELIVERIES));
    let running = env.run(Arc::clone(&bus), &[("taker", "made")], &Subscriber::willing());
    running.until_up().await;
    let told = async {
        loop {
            if let Some(reason) = bus.deaf() {
                return reason;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let reason = tokio::time::timeout(PATIENCE * 4, told).await.expect("it is told");
    assert!(reason.contains("no broker has looked after the group") && reason.contains("offsets.topic.replication.factor"), "{reason}");
    running.close().await;
}

/// Whoever asks may write and read everything, and make no topic.
fn without_create(broker: &KafkaBroker, prefix: &str) {
    let (everybody, acls) = ("User:ANONYMOUS", "org.apache.kafka.tools.AclCommand");
    let cluster = ["ClusterAction", "Describe", "DescribeConfigs", "Alter", "AlterConfigs", "IdempotentWrite"];
    let cluster: Vec<&str> = cluster.iter().flat_map(|operation| ["--operation", operation]).collect();
    broker.tool(acls, &[&["--add", "--allow-principal", everybody, "--cluster"], cluster.as_slice()].concat());
    for resource in ["--topic", "--group"] {
        broker.tool(acls, &["--add", "--allow-principal", everybody, "--operation", "All", resource, "*"]);
    }
    // The broker itself is nobody else here, and makes topics of its own.
    let topics = ["--topic", prefix, "--resource-pattern-type", "prefixed"];
    broker.tool(acls, &[["--add", "--deny-principal", everybody, "--operation", "Create"].as_slice(), &topics].concat());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_that_others_have_made_need_no_right_to_make_them_and_one_that_is_missing_is_asked_for() {
    let env = TestEnv::kafka().await;
    let (made, missing) = (env.event("made", "a", 1), env.event("missing", "b", 1));
    let (topic, prefix) = (made.topic.clone(), env.topic(""));
    let broker = tokio::task::spawn_blocking(move || {
        let guarded = "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
                       super.users=User:admin\nallow.everyone.if.no.acl.found=true";
        let broker = KafkaBroker::start_with(guarded);
        broker.tool("org.apache.kafka.tools.TopicCommand", &["--create", "--topic", &topic, "--partitions", "3"]);
        without_create(&broker, &prefix);
        broker
    });
    let broker = broker.await.unwrap();
    let subscriber = Subscriber::willing();
    let bus = Arc::new(TestEnv::client(env.settings(&broker.address()), DELIVERIES));
    let running = env.run(bus, &[("taker", "made")], &subscriber);
    running.until_up().await;
    running.publish(std::slice::from_ref(&made)).await;
    subscriber.until_took(&made).await;
    let refused = running.bus.publish(std::slice::from_ref(&missing)).await.remove(0).unwrap_err().0;
    assert!(refused.contains("is not there") && refused.contains("6 partitions") && refused.contains("grant it Create"), "{refused}");
    running.close().await;
}
