//! Finished instances that are old: which of them may go, and what goes with them.

use millrace::store::{Commit, ReservationStatus, Resource, RunStatus};

use crate::test_env::{
    TestEnv, change, create, done, event, first_stocked, history_row, instance, line, moved, product, run, settling, timer,
};

/// An order that has ended.
fn ended(id: &str) -> Resource {
    let mut resource = instance(id);
    resource.workflow.as_mut().unwrap().finished = true;
    resource
}

async fn old(env: &TestEnv) -> Vec<Resource> {
    env.store.operations.finished("orders", env.half_an_hour_ago(), None, 100).await.unwrap()
}

fn ids(resources: &[Resource]) -> Vec<&str> {
    resources.iter().map(|resource| resource.id.as_str()).collect()
}

pub async fn finished_instances_are_old_when_nothing_has_gone_on_for_long(env: TestEnv) {
    let store = &env.store;
    let mut asks = ended("asks");
    asks.workflow.as_mut().unwrap().attention = Some("look".into());
    let waiting = Commit { runs: vec![run("waits", "release")], ..create(ended("waits")) };
    let commits = [create(ended("b")), create(ended("a")), create(instance("goes-on")), create(asks), create(ended("moved")), waiting];
    for commit in commits.into_iter().chain([create(product("p"))]) {
        store.resources.commit(commit).await.unwrap();
    }
    assert!(old(&env).await.is_empty(), "all are young");
    env.pass_an_hour();
    store.resources.commit(change(moved(&ended("moved"), "moved"))).await.unwrap();
    let found = old(&env).await;
    assert_eq!(found, [ended("a"), ended("b")], "the others are young, go on, or ask for somebody");
    let after = Some((found[0].created_at, "a".to_owned()));
    let next = store.operations.finished("orders", env.half_an_hour_ago(), after, 100).await.unwrap();
    assert_eq!(ids(&next), ["b"]);
    assert_eq!(ids(&store.operations.finished("orders", env.half_an_hour_ago(), None, 1).await.unwrap()), ["a"]);
    assert!(store.operations.finished("products", env.half_an_hour_ago(), None, 100).await.unwrap().is_empty());
}

pub async fn an_instance_stays_while_an_event_of_its_time_waits(env: TestEnv) {
    let store = &env.store;
    let told = Commit { outbox: vec![event("a", 1)], ..create(ended("a")) };
    let position = store.resources.commit(told).await.unwrap().positions[0];
    env.pass_an_hour();
    store.resources.commit(Commit { outbox: vec![event("z", 1)], ..Commit::default() }).await.unwrap();
    assert!(old(&env).await.is_empty(), "whoever takes its event asks for it");
    store.messages.mark_published(&[position]).await.unwrap();
    assert_eq!(ids(&old(&env).await), ["a"]);
}

pub async fn what_belongs_to_a_finished_instance_goes_with_it(mut env: TestEnv) {
    let store = env.store.clone();
    store.resources.commit(first_stocked("s", 10)).await.unwrap();
    for id in ["a", "b"] {
        store.stock.reserve(id, &[line("s", 2)]).await.unwrap();
        store.stock.end_reservation(id, ReservationStatus::Sold).await.unwrap();
        let mut payment = run(id, "payment");
        (payment.status, payment.owner, payment.fence) = (RunStatus::Running, Some(store.instances.epoch()), 1);
        let rows = (vec![history_row(1), history_row(2)], vec![timer(id, "expire", 1, 5)]);
        let commit = Commit { history: rows.0, timers: rows.1, runs: vec![payment.clone()], ..create(ended(id)) };
        store.resources.commit(commit).await.unwrap();
        store.resources.commit(settling(done(&payment))).await.unwrap();
    }
    store.stock.reserve("held", &[line("s", 1)]).await.unwrap();
    store.resources.commit(create(ended("held"))).await.unwrap();
    let going = [("a".to_owned(), 1), ("held".to_owned(), 1), ("unknown".to_owned(), 1)];
    assert_eq!(store.operations.forget_finished("orders", &going).await.unwrap(), 2);
    env.reopen().await;
    let store = &env.store;
    assert_eq!(store.resources.resource("orders", "a").await.unwrap(), None);
    assert!(store.resources.history("orders", "a", 0, 10).await.unwrap().is_empty());
    assert!(store.instances.runs("orders", "a").await.unwrap().is_empty());
    assert!(store.instances.timers("orders", "a").await.unwrap().is_empty());
    assert_eq!(store.stock.end_reservation("a", ReservationStatus::Sold).await.unwrap(), None, "nobody knows it any more");
    assert_eq!(store.stock.end_reservation("held", ReservationStatus::Released).await.unwrap(), Some(ReservationStatus::Released));
    assert_eq!(store.stock.end_reservation("b", ReservationStatus::Sold).await.unwrap(), Some(ReservationStatus::Sold));
    assert_eq!(store.stock.stock_of("s").await.unwrap().map(|level| (level.on_hand, level.reserved)), Some((6, 0)));
    assert_eq!(store.resources.history("orders", "b", 0, 10).await.unwrap().len(), 2);
    assert_eq!(store.instances.runs("orders", "b").await.unwrap().len(), 1);
    store.resources.commit(Commit { history: vec![history_row(1)], ..create(ended("a")) }).await.expect("nothing of it is left");
}

pub async fn an_instance_that_is_not_what_was_archived_stays(env: TestEnv) {
    let store = &env.store;
    store.resources.commit(create(ended("moved"))).await.unwrap();
    store.resources.commit(change(moved(&ended("moved"), "moved"))).await.unwrap();
    store.resources.commit(create(instance("goes-on"))).await.unwrap();
    store.resources.commit(Commit { runs: vec![run("waits", "release")], ..create(ended("waits")) }).await.unwrap();
    let named = ["moved", "goes-on", "waits"].map(|id| (id.to_owned(), 1));
    assert_eq!(store.operations.forget_finished("orders", &named).await.unwrap(), 0);
    assert_eq!(store.operations.forget_finished("products", &[("moved".into(), 2)]).await.unwrap(), 0);
    for (id, _) in named {
        assert!(store.resources.resource("orders", &id).await.unwrap().is_some(), "{id}");
    }
}
