//! What every bus promises.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use millrace::bus::{BusHealth, Event, Receipt};

use crate::test_env::{Subscriber, TestEnv};

const KEYS: usize = 50;
const EVENTS_PER_KEY: usize = 8;

pub async fn every_subscriber_of_a_topic_gets_every_event(env: TestEnv) {
    let subscriber = Subscriber::willing();
    let running = env.open(&[("first", "made"), ("second", "made"), ("third", "sold")], &subscriber).await;
    let mut made = env.event("made", "a", 1);
    made.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
    running.publish(&[made.clone(), env.event("sold", "b", 1)]).await;
    let taken = subscriber.until_taken(3).await;
    let who: HashSet<(&str, &str)> = taken.iter().map(|(consumer, event)| (consumer.as_str(), event.key.as_str())).collect();
    assert_eq!(who, HashSet::from([("first", "a"), ("second", "a"), ("third", "b")]));
    let received = &taken.iter().find(|(consumer, _)| consumer == "second").unwrap().1;
    assert_eq!(*received, made, "an event arrives as it was published");
    running.close().await;
}

pub async fn events_of_a_key_arrive_in_their_sequence(env: TestEnv) {
    let subscriber = Subscriber::willing();
    let running = env.open(&[("counter", "counted")], &subscriber).await;
    let events: Vec<Event> = (0..EVENTS_PER_KEY)
        .flat_map(|number| (0..KEYS).map(move |key| (key, number)))
        .map(|(key, number)| env.event("counted", &format!("key-{key}"), number))
        .collect();
    for batch in events.chunks(120) {
        running.publish(batch).await;
    }
    let taken = subscriber.until_taken(events.len()).await;
    let mut by_key: HashMap<&str, Vec<&str>> = HashMap::new();
    for (_, event) in &taken {
        by_key.entry(&event.key).or_default().push(&event.id);
    }
    for (key, ids) in by_key {
        let published: Vec<&str> = events.iter().filter(|event| event.key == key).map(|event| event.id.as_str()).collect();
        assert_eq!(ids, published, "{key}");
    }
    running.close().await;
}

/// The first events of a topic are those that a broker which is still making it may refuse.
pub async fn none_of_the_first_events_of_new_topics_is_lost(env: TestEnv) {
    let topics: Vec<String> = (0..6).map(|number| format!("new-{number}")).collect();
    let subscriptions: Vec<(&str, &str)> = topics.iter().map(|topic| ("taker", topic.as_str())).collect();
    let subscriber = Subscriber::willing();
    let running = env.open(&subscriptions, &subscriber).await;
    let events: Vec<Event> = topics.iter().flat_map(|topic| (0..KEYS).map(|key| env.event(topic, &format!("key-{key}"), 1))).collect();
    let waves = futures::future::join_all(events.chunks(40).map(|wave| running.publish(wave))).await;
    assert_eq!(waves.len(), events.len().div_ceil(40));
    let taken: HashSet<String> = subscriber.until_taken(events.len()).await.into_iter().map(|(_, event)| event.id).collect();
    assert!(events.iter().all(|event| taken.contains(&event.id)), "{} of {}", taken.len(), events.len());
    running.close().await;
}

pub async fn an_event_that_is_published_twice_does_no_harm(env: TestEnv) {
    let subscriber = Subscriber::willing();
    let running = env.open(&[("taker", "made")], &subscriber).await;
    let (twice, after) = (env.event("made", "a", 1), env.event("made", "a", 2));
    running.publish(&[twice.clone(), twice.clone(), after.clone()]).await;
    subscriber.until_took(&after).await;
    let taken = subscriber.until_taken(3).await;
    let ids: Vec<&str> = taken.iter().map(|(_, event)| event.id.as_str()).collect();
    assert_eq!(ids, [&twice.id, &twice.id, &after.id], "whether it was there before is for its consumer to know");
    running.close().await;
}

pub async fn what_cannot_be_taken_now_is_delivered_again_and_its_key_waits(env: TestEnv) {
    let open = Arc::new(AtomicBool::new(false));
    let door = Arc::clone(&open);
    let subscriber = Subscriber::directed(move |_, event, delivery| {
        let closed = !door.load(Ordering::Relaxed) && delivery < 3;
        if event.key == "waits" && closed { Receipt::Retry("the door is closed".into()) } else { Receipt::Done }
    });
    let running = env.open(&[("taker", "made")], &subscriber).await;
    let (first, second, other) = (env.event("made", "waits", 1), env.event("made", "waits", 2), env.event("made", "free", 1));
    running.publish(&[first.clone(), second.clone(), other.clone()]).await;
    subscriber.until_delivered("taker", &first, 2).await;
    open.store(true, Ordering::Relaxed);
    let taken = subscriber.until_taken(3).await;
    let ids: Vec<&str> = taken.iter().filter(|(_, event)| event.key == "waits").map(|(_, event)| event.id.as_str()).collect();
    assert_eq!(ids, [&first.id, &second.id]);
    assert!(env.dead_letters("made", &subscriber).await.is_empty());
    running.close().await;
}

pub async fn what_nobody_can_take_now_waits_as_long_as_it_takes_and_is_no_dead_letter(env: TestEnv) {
    // Far more often than an event is delivered that fails by itself.
    let subscriber = Subscriber::directed(|_, _, delivery| if delivery < 12 { Receipt::Wait("no room".into()) } else { Receipt::Done });
    let running = env.open(&[("taker", "made")], &subscriber).await;
    let events = [1, 2].map(|number| env.event("made", "a", number));
    running.publish(&events).await;
    let taken = subscriber.until_taken(2).await;
    assert_eq!(taken.iter().map(|(_, event)| event.id.as_str()).collect::<Vec<_>>(), [&events[0].id, &events[1].id]);
    assert_eq!(subscriber.deliveries("taker", &events[0]), 12);
    assert!(env.dead_letters("made", &subscriber).await.is_empty());
    running.close().await;
}

pub async fn a_poisoned_event_becomes_a_dead_letter_and_its_key_goes_on(env: TestEnv) {
    let subscriber =
        Subscriber::directed(
            |_, event, _| {
                if event.id.ends_with("-2") { Receipt::Poison("it is the second".into()) } else { Receipt::Done }
            },
        );
    let running = env.open(&[("taker", "made")], &subscriber).await;
    let events = [1, 2, 3].map(|number| env.event("made", "a", number));
    running.publish(&events).await;
    subscriber.until_took(&events[2]).await;
    assert_eq!(env.dead_letters("made", &subscriber).await, [(events[1].id.clone(), "it is the second".to_owned())]);
    assert_eq!(subscriber.deliveries("taker", &events[1]), 1);
    running.close().await;
}

pub async fn one_poisoned_consumer_does_not_keep_an_event_from_the_others(env: TestEnv) {
    let subscriber =
        Subscriber::directed(|consumer, _, _| if consumer == "picky" { Receipt::Poison("not mine".into()) } else { Receipt::Done });
    let running = env.open(&[("picky", "made"), ("hungry", "made")], &subscriber).await;
    let events = [1, 2].map(|number| env.event("made", "a", number));
    running.publish(&events).await;
    let taken = subscriber.until_taken(2).await;
    assert!(taken.iter().all(|(consumer, _)| consumer == "hungry"), "{taken:?}");
    assert_eq!(env.dead_letters("made", &subscriber).await.len(), 2);
    running.close().await;
}

pub async fn after_a_restart_it_goes_on_where_it_stopped(env: TestEnv) {
    let subscriber = Subscriber::willing();
    let running = env.open(&[("taker", "made")], &subscriber).await;
    let events: Vec<Event> = (1..=10).map(|number| env.event("made", "a", number)).collect();
    running.publish(&events[..5]).await;
    subscriber.until_taken(5).await;
    running.close().await;

    let running = env.open(&[("taker", "made")], &subscriber).await;
    running.publish(&events[5..]).await;
    subscriber.until_took(&events[9]).await;
    let ids: Vec<String> = subscriber.until_taken(10).await.into_iter().map(|(_, event)| event.id).collect();
    assert_eq!(ids, events.iter().map(|event| event.id.clone()).collect::<Vec<_>>());
    running.close().await;
}

pub async fn a_stop_does_not_wait_for_an_event_that_nobody_can_take(env: TestEnv) {
    let open = Arc::new(AtomicBool::new(false));
    let door = Arc::clone(&open);
    let subscriber = Subscriber::directed(move |_, _, delivery| {
        if door.load(Ordering::Relaxed) || delivery > 1_000 { Receipt::Done } else { Receipt::Retry("the door is closed".into()) }
    });
    let event = env.event("made", "a", 1);
    let running = env.open(&[("taker", "made")], &subscriber).await;
    let results = running.bus.publish(std::slice::from_ref(&event)).await;
    subscriber.until_delivered("taker", &event, 1).await;
    running.close().await;

    open.store(true, Ordering::Relaxed);
    let running = env.open(&[("taker", "made")], &subscriber).await;
    if results[0].is_err() {
        running.publish(std::slice::from_ref(&event)).await;
    }
    subscriber.until_took(&event).await;
    running.close().await;
}

pub async fn a_large_event_blocks_nothing(env: TestEnv) {
    let subscriber = Subscriber::willing();
    let running = env.open(&[("taker", "made")], &subscriber).await;
    let mut large = env.event("made", "a", 1);
    let noise: String = (0..1_500_000_u32).map(|i| char::from(b'a' + (i.wrapping_mul(2_654_435_761) >> 27) as u8 % 26)).collect();
    large.payload = format!(r#"{{"id":"{}","noise":"{noise}"}}"#, large.id).into();
    let after = env.event("made", "a", 2);
    running.publish(&[large.clone(), after.clone()]).await;
    let taken = subscriber.until_taken(2).await;
    assert_eq!(taken.iter().map(|(_, event)| event).collect::<Vec<_>>(), [&large, &after]);
    running.close().await;
}

pub async fn an_event_that_nobody_asked_for_blocks_nothing(env: TestEnv) {
    let subscriber = Subscriber::willing();
    let running = env.open(&[("taker", "made")], &subscriber).await;
    let (unknown, after) = (env.event("never-heard-of", "a", 1), env.event("made", "a", 1));
    running.publish(&[unknown, after.clone()]).await;
    subscriber.until_took(&after).await;
    assert_eq!(subscriber.until_taken(1).await.len(), 1);
    running.close().await;
}

pub async fn nothing_is_published_before_the_start_or_after_the_stop(env: TestEnv) {
    let subscriber = Subscriber::willing();
    let running = env.open(&[("taker", "made")], &subscriber).await;
    let bus = Arc::clone(&running.bus);
    running.close().await;
    assert!(matches!(bus.health(), BusHealth::Down(_)));
    let results = bus.publish(&[env.event("made", "a", 1), env.event("made", "a", 2)]).await;
    assert!(results.len() == 2 && results.iter().all(Result::is_err), "{results:?}");
}

/// Numbers of the events of a topic that a consumer took, in their sequence.
fn taken_by(taken: &[(String, Event)], consumer: &str, topic: &str) -> Vec<usize> {
    let own = taken.iter().filter(|(by, event)| by == consumer && event.topic.ends_with(topic));
    own.map(|(_, event)| event.id.rsplit('-').next().unwrap().parse().unwrap()).collect()
}

pub async fn who_subscribes_while_it_runs_gets_what_comes_from_then_on(env: TestEnv) {
    let subscriber = Subscriber::willing();
    let running = env.open(&[("stays", "made"), ("goes", "made")], &subscriber).await;
    let made: Vec<Event> = (1..=10).map(|number| env.event("made", "a", number)).collect();
    let sold: Vec<Event> = (1..=5).map(|number| env.event("sold", "a", number)).collect();
    running.publish(&made[..5]).await;
    subscriber.until_taken(10).await;

    env.resubscribe(&running, &[("stays", "made"), ("comes", "made"), ("comes", "sold")]);
    running.publish(&made[5..]).await;
    running.publish(&sold).await;
    let taken = subscriber.until_taken(25).await;
    assert_eq!(taken_by(&taken, "stays", "made"), (1..=10).collect::<Vec<_>>(), "it goes on where it was");
    assert_eq!(taken_by(&taken, "goes", "made"), (1..=5).collect::<Vec<_>>());
    assert_eq!(taken_by(&taken, "comes", "made"), (6..=10).collect::<Vec<_>>());
    assert_eq!(taken_by(&taken, "comes", "sold"), (1..=5).collect::<Vec<_>>());

    env.resubscribe(&running, &[("comes", "sold")]);
    running.publish(&[env.event("made", "a", 11), env.event("sold", "a", 6)]).await;
    let taken = subscriber.until_taken(26).await;
    assert_eq!(taken_by(&taken, "comes", "sold"), (1..=6).collect::<Vec<_>>());
    assert_eq!((taken.len(), env.dead_letters("made", &subscriber).await), (26, vec![]), "nobody asks for it any more");
    running.close().await;
}

pub async fn nothing_is_lost_while_topics_come_and_go(env: TestEnv) {
    let subscriber = Subscriber::willing();
    let running = env.open(&[("stays", "made")], &subscriber).await;
    let events: Vec<Event> = (0..40)
        .flat_map(|number| (0..KEYS).map(move |key| (key, number)))
        .map(|(key, number)| env.event("made", &format!("key-{key}"), number))
        .collect();
    let publishing = async {
        for wave in events.chunks(KEYS) {
            running.publish(wave).await;
        }
    };
    let changing = async {
        for round in 1..=4 {
            // Under way, and between two batches.
            subscriber.until_taken(round * 300).await;
            let more = [("stays", "made"), ("comes", "sold")];
            env.resubscribe(&running, if round % 2 == 1 { &more } else { &more[..1] });
        }
    };
    futures::join!(publishing, changing);
    for event in &events {
        subscriber.until_took(event).await;
    }
    let taken = subscriber.until_taken(events.len()).await;
    for key in 0..KEYS {
        let of_key: Vec<(String, Event)> = taken.iter().filter(|(_, event)| event.key == format!("key-{key}")).cloned().collect();
        // What was under way may come again; for the first time each comes in its turn.
        let mut first: Vec<usize> = Vec::new();
        for number in taken_by(&of_key, "stays", "made") {
            if !first.contains(&number) {
                first.push(number);
            }
        }
        assert_eq!(first, (0..40).collect::<Vec<_>>(), "key-{key}");
    }
    assert_eq!(env.dead_letters("made", &subscriber).await, []);
    running.close().await;
}
