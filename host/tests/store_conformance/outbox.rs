//! Events on their way out.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace::store::{Commit, DeadLetter, InboxRow, OutboxRow, RunStatus, StepRun};

use crate::bed::{Bed, all_at_once, at, change, create, event, instance, moved, run};

fn with_events(events: impl IntoIterator<Item = OutboxRow>) -> Commit {
    Commit { outbox: events.into_iter().collect(), ..Commit::default() }
}

fn positions(events: &[OutboxRow]) -> Vec<u64> {
    events.iter().map(|event| event.position).collect()
}

pub async fn positions_follow_the_sequence_of_commits(mut bed: Bed) {
    let first = bed.store.commit(with_events([event("a", 1), event("a", 2)])).await.unwrap();
    let expected = [OutboxRow { position: 1, ..event("a", 1) }, OutboxRow { position: 2, ..event("a", 2) }];
    assert_eq!(first.outbox, expected);
    bed.reopen().await;
    let second = bed.store.commit(with_events([event("b", 1)])).await.unwrap();
    assert_eq!(positions(&second.outbox), [3]);
    let all = bed.store.unpublished(0, 10).await.unwrap();
    assert_eq!(all[..2], expected);
    assert_eq!(positions(&all), [1, 2, 3]);
    assert_eq!(positions(&bed.store.unpublished(1, 1).await.unwrap()), [2]);
    assert!(bed.store.unpublished(3, 10).await.unwrap().is_empty());
}

pub async fn events_of_a_key_are_in_sequence_under_load(bed: Bed) {
    let results = all_at_once((0..32).map(|n| {
        let store = Arc::clone(&bed.store);
        async move {
            let id = n.to_string();
            let mut resource = instance(&id);
            let mut last = store.commit(Commit { outbox: vec![event(&id, 0)], ..create(resource.clone()) }).await?.outbox[0].position;
            for seq in 1..6 {
                resource = moved(&resource, "paying");
                let committed = store.commit(Commit { outbox: vec![event(&id, seq)], ..change(resource.clone()) }).await?;
                assert!(committed.outbox[0].position > last);
                last = committed.outbox[0].position;
            }
            Ok::<_, millrace::store::StoreError>(())
        }
    }))
    .await;
    assert!(results.into_iter().all(|result| result.is_ok()));
    let mut by_key: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for event in bed.store.unpublished(0, 1_000).await.unwrap() {
        by_key.entry(event.key).or_default().push(event.seq);
    }
    assert_eq!(by_key.len(), 32);
    assert!(by_key.values().all(|sequence| *sequence == [0, 1, 2, 3, 4, 5]));
}

pub async fn what_is_published_is_not_read_again(mut bed: Bed) {
    bed.store.commit(with_events((0..10).map(|seq| event("a", seq)))).await.unwrap();
    bed.store.mark_published(&[7, 2, 3, 1, 3, 99]).await.unwrap();
    bed.store.mark_published(&[]).await.unwrap();
    bed.reopen().await;
    assert_eq!(positions(&bed.store.unpublished(0, 100).await.unwrap()), [4, 5, 6, 8, 9, 10]);
    assert_eq!(bed.store.backlog().await.unwrap().outbox, 6);
    assert_eq!(bed.store.unpublished_count().await.unwrap(), 6);
}

pub async fn events_since_a_time_are_published_again(bed: Bed) {
    let store = &bed.store;
    store.commit(with_events([event("old", 1), event("old", 2)])).await.unwrap();
    store.mark_published(&[1, 2]).await.unwrap();
    bed.pass_an_hour();
    store.commit(with_events([event("new", 1), event("new", 2), event("new", 3)])).await.unwrap();
    store.mark_published(&[3, 4]).await.unwrap();
    assert_eq!(store.republish(bed.half_an_hour_ago()).await.unwrap(), 2, "one of three was still waiting");
    assert_eq!(positions(&store.unpublished(0, 10).await.unwrap()), [3, 4, 5]);
    assert_eq!(store.republish(at(0)).await.unwrap(), 2);
    assert_eq!(positions(&store.unpublished(0, 10).await.unwrap()), [1, 2, 3, 4, 5]);
}

fn ended(id: &str) -> StepRun {
    StepRun { status: RunStatus::Done, ..run(id, "payment") }
}

fn received(event_id: &str) -> Option<InboxRow> {
    Some(InboxRow { consumer: "trigger".into(), event_id: event_id.into() })
}

pub async fn prune_forgets_only_what_is_published_or_ended(bed: Bed) {
    let store = &bed.store;
    let parked = StepRun { status: RunStatus::Parked, ..run("a", "shipping") };
    let old = Commit {
        runs: vec![ended("a"), run("a", "inventory"), parked.clone()],
        outbox: vec![event("a", 1), event("a", 2)],
        inbox: received("old"),
        ..Commit::default()
    };
    store.commit(old).await.unwrap();
    bed.pass_an_hour();
    let young = Commit { runs: vec![ended("b")], outbox: vec![event("b", 1)], inbox: received("young"), ..Commit::default() };
    store.commit(young.clone()).await.unwrap();
    store.mark_published(&[1, 3]).await.unwrap();

    assert_eq!(store.prune(bed.half_an_hour_ago()).await.unwrap(), 3, "an event, a run and an inbox row");
    assert_eq!(store.runs("orders", "a").await.unwrap(), [run("a", "inventory"), parked]);
    assert_eq!(store.runs("orders", "b").await.unwrap(), [ended("b")]);
    store.commit(Commit { inbox: received("old"), ..Commit::default() }).await.expect("it was forgotten");
    store.commit(Commit { inbox: received("young"), ..Commit::default() }).await.expect_err("it was not");
    store.republish(at(0)).await.unwrap();
    assert_eq!(positions(&store.unpublished(0, 10).await.unwrap()), [2, 3]);
}

pub async fn positions_are_never_given_out_twice(mut bed: Bed) {
    bed.store.commit(with_events((0..1_200).map(|seq| event("a", seq)))).await.unwrap();
    bed.store.mark_published(&(1..=1_200).collect::<Vec<u64>>()).await.unwrap();
    bed.pass_an_hour();
    assert_eq!(bed.store.prune(bed.half_an_hour_ago()).await.unwrap(), 1_200);
    bed.reopen().await;
    assert_eq!(positions(&bed.store.commit(with_events([event("b", 1)])).await.unwrap().outbox), [1_201]);
    assert_eq!(positions(&bed.store.unpublished(0, 10).await.unwrap()), [1_201]);
}

pub async fn dead_letters_are_kept_until_dropped(mut bed: Bed) {
    let letter = |seq| DeadLetter {
        id: 0,
        consumer: "trigger".into(),
        event: OutboxRow { position: 40 + seq, ..event("a", seq) },
        reason: "not an event".into(),
        at: at(5),
    };
    bed.store.add_dead_letter(letter(1)).await.unwrap();
    bed.store.add_dead_letter(letter(2)).await.unwrap();
    bed.reopen().await;
    let kept = bed.store.dead_letters(10).await.unwrap();
    assert_eq!(kept, [DeadLetter { id: 1, ..letter(1) }, DeadLetter { id: 2, ..letter(2) }]);
    assert_eq!(bed.store.dead_letters(1).await.unwrap().len(), 1);
    assert!(bed.store.drop_dead_letter(2).await.unwrap());
    assert!(!bed.store.drop_dead_letter(2).await.unwrap());
    bed.store.add_dead_letter(letter(3)).await.unwrap();
    let ids: Vec<u64> = bed.store.dead_letters(10).await.unwrap().iter().map(|letter| letter.id).collect();
    assert_eq!(ids, [1, 3], "an id is never used again");
}
