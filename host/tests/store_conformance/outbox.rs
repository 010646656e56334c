//! Events on their way out.

use std::collections::BTreeMap;

use millrace::store::{Commit, DeadLetter, IdempotencyRow, InboxRow, OutboxRow, Prunable, Redriven, RunStatus, Settled, StepRun};
use millrace_workflow::RunKind;

use crate::test_env::{TestEnv, all_at_once, at, change, create, event, instance, moved, run};

fn with_events(events: impl IntoIterator<Item = OutboxRow>) -> Commit {
    Commit { outbox: events.into_iter().collect(), ..Commit::default() }
}

fn positions(events: &[OutboxRow]) -> Vec<u64> {
    events.iter().map(|event| event.position).collect()
}

pub async fn positions_follow_the_sequence_of_commits(mut env: TestEnv) {
    let first = env.store.resources.commit(with_events([event("a", 1), event("a", 2)])).await.unwrap();
    let expected = [OutboxRow { position: 1, ..event("a", 1) }, OutboxRow { position: 2, ..event("a", 2) }];
    assert_eq!(first.positions, [1, 2]);
    env.reopen().await;
    let second = env.store.resources.commit(with_events([event("b", 1)])).await.unwrap();
    assert_eq!(second.positions, [3]);
    let all = env.store.messages.unpublished(0, 10).await.unwrap();
    assert_eq!(all[..2], expected);
    assert_eq!(positions(&all), [1, 2, 3]);
    assert_eq!(positions(&env.store.messages.unpublished(1, 1).await.unwrap()), [2]);
    assert!(env.store.messages.unpublished(3, 10).await.unwrap().is_empty());
}

pub async fn events_of_a_key_are_in_sequence_under_load(env: TestEnv) {
    let results = all_at_once((0..32).map(|n| {
        let store = env.store.clone();
        async move {
            let id = n.to_string();
            let mut resource = instance(&id);
            let mut last = store.resources.commit(Commit { outbox: vec![event(&id, 0)], ..create(resource.clone()) }).await?.positions[0];
            for seq in 1..6 {
                resource = moved(&resource, "paying");
                let committed = store.resources.commit(Commit { outbox: vec![event(&id, seq)], ..change(resource.clone()) }).await?;
                assert!(committed.positions[0] > last);
                last = committed.positions[0];
            }
            Ok::<_, millrace::store::StoreError>(())
        }
    }))
    .await;
    assert!(results.into_iter().all(|result| result.is_ok()));
    let mut by_key: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for event in env.store.messages.unpublished(0, 1_000).await.unwrap() {
        by_key.entry(event.key).or_default().push(event.seq);
    }
    assert_eq!(by_key.len(), 32);
    assert!(by_key.values().all(|sequence| *sequence == [0, 1, 2, 3, 4, 5]));
}

pub async fn what_is_published_is_not_read_again(mut env: TestEnv) {
    env.store.resources.commit(with_events((0..10).map(|seq| event("a", seq)))).await.unwrap();
    env.store.messages.mark_published(&[7, 2, 3, 1, 3, 99]).await.unwrap();
    env.store.messages.mark_published(&[]).await.unwrap();
    env.reopen().await;
    assert_eq!(positions(&env.store.messages.unpublished(0, 100).await.unwrap()), [4, 5, 6, 8, 9, 10]);
    assert_eq!(env.store.operations.backlog().await.unwrap().outbox, 6);
    assert_eq!(env.store.messages.unpublished_count().await.unwrap(), 6);
}

pub async fn events_since_a_time_are_published_again(env: TestEnv) {
    let store = &env.store;
    store.resources.commit(with_events([event("old", 1), event("old", 2)])).await.unwrap();
    store.messages.mark_published(&[1, 2]).await.unwrap();
    env.pass_an_hour();
    store.resources.commit(with_events([event("new", 1), event("new", 2), event("new", 3)])).await.unwrap();
    store.messages.mark_published(&[3, 4]).await.unwrap();
    assert_eq!(store.messages.republish(env.half_an_hour_ago()).await.unwrap(), 2, "one of three was still waiting");
    assert_eq!(positions(&store.messages.unpublished(0, 10).await.unwrap()), [3, 4, 5]);
    assert_eq!(store.messages.republish(at(0)).await.unwrap(), 2);
    assert_eq!(positions(&store.messages.unpublished(0, 10).await.unwrap()), [1, 2, 3, 4, 5]);
}

fn ended(id: &str) -> StepRun {
    StepRun { status: RunStatus::Done, ..run(id, "payment") }
}

fn received(event_id: &str) -> Option<InboxRow> {
    Some(InboxRow { consumer: "trigger".into(), event_id: event_id.into() })
}

/// How much of each kind is forgotten that is older than half an hour.
async fn pruned(env: &TestEnv) -> [u64; 5] {
    let mut rows = [0; 5];
    for (rows, what) in rows.iter_mut().zip(Prunable::ALL) {
        *rows = env.store.operations.prune(what, env.half_an_hour_ago()).await.unwrap();
    }
    rows
}

pub async fn prune_forgets_only_what_is_published_or_ended(env: TestEnv) {
    let store = &env.store;
    let parked = StepRun { status: RunStatus::Quarantined, ..run("c", "shipping") };
    let old = Commit {
        runs: vec![ended("a"), run("b", "inventory"), parked.clone()],
        outbox: vec![event("a", 1), event("a", 2)],
        inbox: received("old"),
        ..Commit::default()
    };
    store.resources.commit(old).await.unwrap();
    env.pass_an_hour();
    let young = Commit { runs: vec![ended("d")], outbox: vec![event("b", 1)], inbox: received("young"), ..Commit::default() };
    store.resources.commit(young.clone()).await.unwrap();
    store.messages.mark_published(&[1, 2]).await.unwrap();
    store.messages.mark_published(&[3]).await.unwrap();

    assert_eq!(pruned(&env).await, [2, 1, 1, 0, 0], "two events, an inbox row and a run");
    for (id, stays) in [("a", vec![]), ("b", vec![run("b", "inventory")]), ("c", vec![parked]), ("d", vec![ended("d")])] {
        assert_eq!(store.instances.runs("orders", id).await.unwrap(), stays, "{id}");
    }
    store.resources.commit(Commit { inbox: received("old"), ..Commit::default() }).await.expect("it was forgotten");
    store.resources.commit(Commit { inbox: received("young"), ..Commit::default() }).await.expect_err("it was not");
    store.messages.republish(at(0)).await.unwrap();
    assert_eq!(positions(&store.messages.unpublished(0, 10).await.unwrap()), [3]);
}

pub async fn what_was_taken_is_known_while_an_event_of_that_time_may_come_again(env: TestEnv) {
    let store = &env.store;
    store.resources.commit(Commit { outbox: vec![event("a", 1), event("b", 1)], ..Commit::default() }).await.unwrap();
    env.pass_an_hour();
    store.resources.commit(Commit { inbox: received("taken"), ..Commit::default() }).await.unwrap();
    store.messages.mark_published(&[2]).await.unwrap();
    env.pass_an_hour();
    // The newest stays in any case.
    store.resources.commit(Commit { inbox: received("newest"), ..Commit::default() }).await.unwrap();
    assert_eq!(pruned(&env).await, [1, 0, 0, 0, 0], "the first event may still be delivered");
    store.messages.mark_published(&[1]).await.unwrap();
    assert_eq!(pruned(&env).await, [1, 1, 0, 0, 0]);
}

pub async fn ended_runs_stay_while_anything_of_their_instance_goes_on(env: TestEnv) {
    let store = &env.store;
    let order = instance("a");
    store.resources.commit(Commit { runs: vec![ended("a")], ..create(order.clone()) }).await.unwrap();
    store.resources.commit(Commit { runs: vec![ended("gone"), run("gone", "undo")], ..Commit::default() }).await.unwrap();
    env.pass_an_hour();
    assert_eq!(pruned(&env).await, [0; 5], "an instance is unfinished, and of the other one a run waits");
    let mut over = moved(&order, "delivered");
    over.workflow.as_mut().unwrap().finished = true;
    store.resources.commit(change(over)).await.unwrap();
    assert_eq!(pruned(&env).await, [0, 0, 1, 0, 0]);
    assert_eq!(store.instances.runs("orders", "gone").await.unwrap().len(), 2);
}

pub async fn old_idempotency_keys_are_forgotten(env: TestEnv) {
    let store = &env.store;
    let key = |key: &str| IdempotencyRow { user: "ada".into(), key: key.into(), request_hash: "h".into(), resource_id: key.into() };
    store.resources.commit(Commit { idempotency: Some(key("old")), ..Commit::default() }).await.unwrap();
    env.pass_an_hour();
    store.resources.commit(Commit { idempotency: Some(key("young")), ..Commit::default() }).await.unwrap();
    assert_eq!(pruned(&env).await, [0, 0, 0, 1, 0]);
    assert_eq!(store.resources.idempotency("ada", "old").await.unwrap(), None);
    assert_eq!(store.resources.idempotency("ada", "young").await.unwrap(), Some(key("young")));
}

pub async fn of_a_task_that_is_done_no_copy_of_its_event_stays(env: TestEnv) {
    let task = StepRun {
        kind: RunKind::Task,
        input: Some("{}".into()),
        status: RunStatus::Running,
        owner: Some(env.store.instances.epoch()),
        fence: 1,
        ..run("a", "notify")
    };
    env.store.resources.commit(Commit { runs: vec![task.clone()], ..Commit::default() }).await.unwrap();
    let done = Settled { key: task.key.clone(), fence: 1, status: RunStatus::Done, attempt: 1, due_at: at(0), error: None };
    env.store.resources.commit(Commit { settled: Some(done), ..Commit::default() }).await.unwrap();
    assert_eq!(env.store.instances.runs("orders", "a").await.unwrap()[0].input, None);
}

pub async fn positions_are_never_given_out_twice(mut env: TestEnv) {
    env.store.resources.commit(with_events((0..1_200).map(|seq| event("a", seq)))).await.unwrap();
    env.store.messages.mark_published(&(1..=1_200).collect::<Vec<u64>>()).await.unwrap();
    env.pass_an_hour();
    assert_eq!(pruned(&env).await, [1_200, 0, 0, 0, 0]);
    env.reopen().await;
    assert!(env.store.messages.last_before() >= 1_200, "whoever was before this process may have seen all of them");
    assert_eq!(env.store.resources.commit(with_events([event("b", 1)])).await.unwrap().positions, [1_201]);
    assert_eq!(positions(&env.store.messages.unpublished(0, 10).await.unwrap()), [1_201]);
}

pub async fn dead_letters_are_kept_until_dropped(mut env: TestEnv) {
    let letter = |seq| DeadLetter {
        id: 0,
        consumer: "trigger".into(),
        event: OutboxRow { position: 40 + seq, ..event("a", seq) },
        reason: "not an event".into(),
        at: at(5),
    };
    env.store.messages.add_dead_letter(letter(1)).await.unwrap();
    env.store.messages.add_dead_letter(letter(2)).await.unwrap();
    env.reopen().await;
    let kept = env.store.messages.dead_letters(10).await.unwrap();
    assert_eq!(kept, [DeadLetter { id: 1, ..letter(1) }, DeadLetter { id: 2, ..letter(2) }]);
    assert_eq!(env.store.messages.dead_letters(1).await.unwrap().len(), 1);
    assert!(env.store.messages.drop_dead_letter(2).await.unwrap());
    assert!(!env.store.messages.drop_dead_letter(2).await.unwrap());
    env.store.messages.add_dead_letter(letter(3)).await.unwrap();
    let ids: Vec<u64> = env.store.messages.dead_letters(10).await.unwrap().iter().map(|letter| letter.id).collect();
    assert_eq!(ids, [1, 3], "an id is never used again");
}

pub async fn dead_letters_are_published_again_or_taken_from_the_list(env: TestEnv) {
    let messages = &env.store.messages;
    env.store.resources.commit(with_events([event("a", 1)])).await.unwrap();
    messages.mark_published(&[1]).await.unwrap();
    let letter =
        |consumer: &str, event: OutboxRow| DeadLetter { id: 0, consumer: consumer.into(), event, reason: "not an event".into(), at: at(5) };
    for (consumer, event) in [("trigger", event("a", 1)), ("handler", event("a", 1)), ("handler", event("forgotten", 7))] {
        messages.add_dead_letter(letter(consumer, event)).await.unwrap();
    }
    let topics = ["order.paid".to_owned()];
    assert_eq!(messages.redrive(&["other".to_owned()], None).await.unwrap(), Redriven::default());
    assert_eq!(messages.redrive(&topics, None).await.unwrap(), Redriven { letters: 2, events: 1, forgotten: 1 });
    assert_eq!(positions(&messages.unpublished(0, 10).await.unwrap()), [1]);
    assert_eq!(messages.dead_letters(10).await.unwrap().len(), 1, "the event of one is not kept any more");
    assert_eq!(messages.discard("order.paid", Some(2), None).await.unwrap(), 0, "those up to there are gone");
    assert_eq!(messages.discard("order.paid", None, None).await.unwrap(), 1);
    assert!(messages.dead_letters(10).await.unwrap().is_empty());
}
