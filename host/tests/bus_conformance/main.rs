//! What every bus promises, run on the embedded one and on a real Kafka; and what only a broker can.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "this is a test, its functions are only not all marked so; it spawns what it tests"
)]

#[path = "../kafka_broker/mod.rs"]
mod kafka_broker;
mod only_kafka;
mod promises;
mod test_env;

macro_rules! on_each_bus {
    ($($name:ident),+ $(,)?) => {
        mod embedded {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::promises::$name(crate::test_env::TestEnv::embedded().await).await;
                }
            )+
        }
        mod kafka {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::promises::$name(crate::test_env::TestEnv::kafka().await).await;
                }
            )+
        }
    };
}

on_each_bus! {
    every_subscriber_of_a_topic_gets_every_event,
    events_of_a_key_arrive_in_their_sequence,
    none_of_the_first_events_of_new_topics_is_lost,
    an_event_that_is_published_twice_does_no_harm,
    what_cannot_be_taken_now_is_delivered_again_and_its_key_waits,
    what_nobody_can_take_now_waits_as_long_as_it_takes_and_is_no_dead_letter,
    a_poisoned_event_becomes_a_dead_letter_and_its_key_goes_on,
    one_poisoned_consumer_does_not_keep_an_event_from_the_others,
    after_a_restart_it_goes_on_where_it_stopped,
    a_stop_does_not_wait_for_an_event_that_nobody_can_take,
    a_large_event_blocks_nothing,
    an_event_that_nobody_asked_for_blocks_nothing,
    nothing_is_published_before_the_start_or_after_the_stop,
    who_subscribes_while_it_runs_gets_what_comes_from_then_on,
    nothing_is_lost_while_topics_come_and_go,
}
