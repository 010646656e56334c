//! One decision, all of it or nothing.

use millrace::store::{
    AuditListing, Commit, Conflict, FieldChange, Guard, IdempotencyRow, InboxRow, KvOp, KvOwner, KvRow, PriceRow, Prunable, Resource,
    Stocking, Store, Touched, Was,
};

use crate::test_env::{
    TestEnv, all_at_once, at, change, conflict, create, deed, done, event, history_row, instance, moved, product, run, settling, timer,
    with_runs,
};

pub async fn a_created_resource_is_read_back(mut env: TestEnv) {
    for resource in [product("1"), instance("a")] {
        env.store.resources.commit(create(resource.clone())).await.unwrap();
        assert_eq!(env.store.resources.resource(&resource.kind, &resource.id).await.unwrap(), Some(resource));
    }
    env.reopen().await;
    assert_eq!(env.store.resources.resource("orders", "a").await.unwrap(), Some(instance("a")));
    assert_eq!(env.store.resources.resource("orders", "1").await.unwrap(), None);
}

pub async fn a_resource_is_created_once(env: TestEnv) {
    env.store.resources.commit(create(product("1"))).await.unwrap();
    let refused = conflict(env.store.resources.commit(create(moved(&product("1"), "other"))).await);
    assert_eq!(refused, Conflict::Exists { kind: "products".into(), id: "1".into() });
    assert_eq!(env.store.resources.resource("products", "1").await.unwrap(), Some(product("1")));
}

pub async fn a_change_needs_the_version_it_was_decided_on(env: TestEnv) {
    let first = instance("a");
    let second = moved(&first, "paying");
    env.store.resources.commit(create(first.clone())).await.unwrap();
    env.store.resources.commit(change(second.clone())).await.unwrap();
    let stale = conflict(env.store.resources.commit(change(moved(&first, "failed"))).await);
    assert_eq!(stale, Conflict::Version { kind: "orders".into(), id: "a".into() });
    let absent = conflict(env.store.resources.commit(change(moved(&instance("b"), "paying"))).await);
    assert_eq!(absent, Conflict::Version { kind: "orders".into(), id: "b".into() });
    assert_eq!(env.store.resources.resource("orders", "a").await.unwrap(), Some(second));
    assert_eq!(env.store.resources.resource("orders", "b").await.unwrap(), None);
}

pub async fn owner_and_creation_time_never_change(env: TestEnv) {
    let first = instance("a");
    env.store.resources.commit(create(first.clone())).await.unwrap();
    let mut second = moved(&first, "paying");
    second.owner = Some("somebody else".into());
    second.created_at = at(999);
    env.store.resources.commit(change(second.clone())).await.unwrap();
    second.owner = first.owner;
    second.created_at = first.created_at;
    assert_eq!(env.store.resources.resource("orders", "a").await.unwrap(), Some(second));
}

pub async fn attention_and_the_end_can_come_and_go(env: TestEnv) {
    let mut resource = instance("a");
    env.store.resources.commit(create(resource.clone())).await.unwrap();
    for (attention, finished, waiting) in [(None, false, 0), (Some("look"), false, 1), (None, false, 0), (Some("look again"), true, 1)] {
        resource = moved(&resource, "paying");
        let progress = resource.workflow.as_mut().unwrap();
        progress.attention = attention.map(str::to_owned);
        progress.finished = finished;
        env.store.resources.commit(change(resource.clone())).await.unwrap();
        assert_eq!(env.store.resources.resource("orders", "a").await.unwrap().as_ref(), Some(&resource));
        let backlog = env.store.operations.backlog().await.unwrap();
        assert_eq!(backlog.attention, waiting);
        assert_eq!(backlog.active.is_empty(), finished);
    }
}

pub async fn history_is_read_after_a_sequence_number(env: TestEnv) {
    let mut rejected = history_row(3);
    (rejected.component, rejected.digest, rejected.attempt) = (None, None, None);
    rejected.reason = Some("no more of them".into());
    let first = Commit { history: vec![history_row(1), history_row(2)], ..create(instance("a")) };
    env.store.resources.commit(first).await.unwrap();
    let second = Commit { history: vec![rejected.clone()], ..change(moved(&instance("a"), "paying")) };
    env.store.resources.commit(second).await.unwrap();
    env.store.resources.commit(Commit { history: vec![history_row(1)], ..create(instance("b")) }).await.unwrap();
    assert_eq!(env.store.resources.history("orders", "a", 0, 100).await.unwrap(), [history_row(1), history_row(2), rejected.clone()]);
    assert_eq!(env.store.resources.history("orders", "a", 2, 100).await.unwrap(), [rejected]);
    assert!(env.store.resources.history("orders", "a", 3, 100).await.unwrap().is_empty());
    assert!(env.store.resources.history("products", "a", 0, 100).await.unwrap().is_empty());
}

pub async fn history_is_read_in_pages_from_either_end(env: TestEnv) {
    let rows: Vec<_> = (1..=250).map(history_row).collect();
    env.store.resources.commit(Commit { history: rows.clone(), ..create(instance("a")) }).await.unwrap();
    env.store.resources.commit(Commit { history: vec![history_row(1)], ..create(instance("b")) }).await.unwrap();
    assert_eq!(env.store.resources.history("orders", "a", 0, 100).await.unwrap(), rows[..100]);
    assert_eq!(env.store.resources.history("orders", "a", 200, 100).await.unwrap(), rows[200..]);
    assert_eq!(env.store.resources.history_before("orders", "a", u64::MAX, 100).await.unwrap(), rows[150..]);
    assert_eq!(env.store.resources.history_before("orders", "a", 151, 100).await.unwrap(), rows[50..150]);
    assert_eq!(env.store.resources.history_before("orders", "a", 51, 100).await.unwrap(), rows[..50]);
    assert!(env.store.resources.history_before("orders", "a", 1, 100).await.unwrap().is_empty());
    assert!(env.store.resources.history_before("products", "a", u64::MAX, 100).await.unwrap().is_empty());
}

pub async fn deadlines_come_and_go_with_the_change_that_has_them(env: TestEnv) {
    let mut resource = instance("a");
    env.store.resources.commit(create(resource.clone())).await.unwrap();
    for (attention, deadlines) in
        [(None, vec![]), (None, vec![("expire", 7), ("close", 9)]), (Some("look"), vec![("close", 9)]), (None, vec![])]
    {
        resource = moved(&resource, "paying");
        let progress = resource.workflow.as_mut().unwrap();
        progress.deadlines = deadlines.into_iter().map(|(transition, due)| (transition.to_owned(), at(due))).collect();
        progress.attention = attention.map(str::to_owned);
        env.store.resources.commit(change(resource.clone())).await.unwrap();
        assert_eq!(env.store.resources.resource("orders", "a").await.unwrap().as_ref(), Some(&resource));
    }
}

/// Whose state the commit with every part changes.
fn counter() -> KvOwner {
    KvOwner { component: "payment".into(), instance: None }
}

/// A commit with every part, of which the last but one does not fit.
fn everything_with_a_stale_fence(epoch: u64) -> Commit {
    let mut held = run("a", "payment");
    held.fence = 7;
    held.owner = Some(epoch);
    Commit {
        change: Some((Guard::Version(1), moved(&instance("a"), "paying"))),
        history: vec![history_row(1)],
        changes: vec![FieldChange { name: "total".into(), was: Was::Absent }],
        outbox: vec![event("a", 1)],
        runs: vec![run("a", "shipping")],
        settled: Some(done(&held)),
        timers: vec![timer("a", "expire", 2, 5)],
        inbox: Some(InboxRow { consumer: "trigger".into(), event_id: "e1".into() }),
        waited: None,
        idempotency: Some(IdempotencyRow { user: "u".into(), key: "k".into(), request_hash: "h".into(), resource_id: "a".into() }),
        stock: Some(Stocking::Anew { sku: "a".into(), on_hand: 5 }),
        before: None,
        touched: None,
        prices: vec![PriceRow { version: 2, price: 1, actor: None, at: at(0) }],
        audit: vec![deed("pay", "a")],
        kv: vec![KvRow { owner: counter(), key: "paid".into(), op: KvOp::Add(1) }],
        also: vec![create(instance("z"))],
    }
}

/// What a decision makes beside its own resource is there with it, or neither is.
pub async fn what_is_committed_together_is_there_together(mut env: TestEnv) {
    let (first, paid) = (instance("a"), moved(&instance("a"), "paying"));
    env.store.resources.commit(create(first.clone())).await.unwrap();
    let made = |id: &str| Commit {
        history: vec![history_row(1)],
        outbox: vec![event(id, 1)],
        runs: vec![run(id, "refund")],
        audit: vec![deed("create", id)],
        ..create(instance(id))
    };
    let together =
        |also: Vec<Commit>| Commit { outbox: vec![event("a", 1)], audit: vec![deed("abandon", "a")], also, ..change(paid.clone()) };
    // One that is there already keeps all of them from being written.
    env.store.resources.commit(create(instance("there"))).await.unwrap();
    let refused = conflict(env.store.resources.commit(together(vec![made("b"), made("there")])).await);
    assert_eq!(refused, Conflict::Exists { kind: "orders".into(), id: "there".into() });
    assert_eq!(env.store.resources.resource("orders", "a").await.unwrap(), Some(first));
    assert_eq!(env.store.resources.resource("orders", "b").await.unwrap(), None);
    assert!(env.store.instances.runs("orders", "b").await.unwrap().is_empty());

    let committed = env.store.resources.commit(together(vec![made("b"), made("c")])).await.unwrap();
    let events = env.store.messages.unpublished(0, 10).await.unwrap();
    let told: Vec<(&str, u64)> = events.iter().map(|row| (row.key.as_str(), row.position)).collect();
    assert_eq!(told, ["a", "b", "c"].into_iter().zip(committed.positions).collect::<Vec<_>>());
    env.reopen().await;
    assert_eq!(env.store.resources.resource("orders", "a").await.unwrap(), Some(paid));
    for id in ["b", "c"] {
        assert_eq!(env.store.resources.resource("orders", id).await.unwrap(), Some(instance(id)));
        assert_eq!(env.store.instances.runs("orders", id).await.unwrap().len(), 1);
        assert_eq!(env.store.resources.history("orders", id, 0, 10).await.unwrap().len(), 1);
    }
    let deeds = env.store.audit.audited(&AuditListing { limit: 10, ..AuditListing::default() }).await.unwrap();
    let versions: Vec<_> =
        deeds.iter().map(|row| (row.entry.subject.as_str(), row.entry.version_before, row.entry.version_after)).collect();
    assert_eq!(versions, [("products/c", None, Some(1)), ("products/b", None, Some(1)), ("products/a", Some(1), Some(2))]);
}

/// A resource is written with the move of another one's version, or not at all; of many at once one is.
pub async fn another_resource_moves_with_a_commit_or_nothing_does(env: TestEnv) {
    let source = instance("a");
    env.store.resources.commit(create(source.clone())).await.unwrap();
    env.store.resources.commit(Commit { timers: vec![timer("a", "expire", 2, 5)], ..change(moved(&source, "paying")) }).await.unwrap();
    let source = env.store.resources.resource("orders", "a").await.unwrap().unwrap();
    let drawing = |id: String, kind: &str, version: u64| {
        let touched = Some(Touched { kind: kind.into(), id: "a".into(), version });
        Commit { touched, ..create(Resource { id, ..instance("b") }) }
    };
    let attempts = (0..20).map(|n| {
        let (store, commit) = (env.store.clone(), drawing(format!("b{n}"), "orders", 2));
        async move { store.resources.commit(commit).await }
    });
    let results = all_at_once(attempts).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    let moved_on = env.store.resources.resource("orders", "a").await.unwrap().unwrap();
    assert_eq!(moved_on, Resource { version: 3, ..source }, "nothing else of it changes");
    assert_eq!(env.store.instances.timers("orders", "a").await.unwrap().len(), 1);
    for (kind, version) in [("orders", 2), ("orders", 4), ("nothing", 1)] {
        let refused = env.store.resources.commit(drawing("late".into(), kind, version)).await;
        assert_eq!(conflict(refused), Conflict::Version { kind: kind.into(), id: "a".into() });
    }
    assert_eq!(env.store.resources.resource("orders", "late").await.unwrap(), None);
    env.store.resources.commit(drawing("late".into(), "orders", 3)).await.unwrap();
}

async fn assert_untouched(store: &Store) {
    assert_eq!(store.resources.resource("orders", "a").await.unwrap(), Some(instance("a")));
    assert!(store.resources.history("orders", "a", 0, 100).await.unwrap().is_empty());
    assert!(store.messages.unpublished(0, 10).await.unwrap().is_empty());
    assert_eq!(store.instances.runs("orders", "a").await.unwrap(), [run("a", "payment")]);
    assert_eq!(store.instances.next_timer_due().await.unwrap(), None);
    assert_eq!(store.resources.idempotency("u", "k").await.unwrap(), None);
    assert_eq!(store.stock.stock_of("a").await.unwrap(), None);
    assert!(store.audit.audited_after(0, 10).await.unwrap().is_empty());
    assert!(store.resources.prices("orders", "a", 10).await.unwrap().is_empty());
    assert_eq!(store.resources.kv(&counter(), "paid").await.unwrap(), None);
}

pub async fn a_conflicting_commit_writes_nothing_at_all(env: TestEnv) {
    let store = &env.store;
    store.resources.commit(Commit { runs: vec![run("a", "payment")], ..create(instance("a")) }).await.unwrap();
    let good = everything_with_a_stale_fence(store.instances.epoch());

    let fence = conflict(store.resources.commit(good.clone()).await);
    assert_eq!(fence, Conflict::Fence { key: "a:payment:1".into(), fence: 7 });
    assert_untouched(store).await;

    let version = Commit { settled: None, change: Some((Guard::Version(9), moved(&instance("a"), "paying"))), ..good.clone() };
    assert!(matches!(conflict(store.resources.commit(version).await), Conflict::Version { .. }));
    assert_untouched(store).await;

    let taken_run = Commit { settled: None, runs: vec![run("a", "shipping"), run("a", "payment")], ..good.clone() };
    assert!(matches!(conflict(store.resources.commit(taken_run).await), Conflict::Exists { .. }));
    assert_untouched(store).await;

    // The inbox row was not left behind either: now everything fits.
    let committed = store.resources.commit(Commit { settled: None, ..good }).await.unwrap();
    assert_eq!(committed.positions[0], 1);
    assert_eq!(store.resources.kv(&counter(), "paid").await.unwrap().as_deref(), Some("1"));
}

pub async fn neighbours_of_a_conflicting_commit_succeed(env: TestEnv) {
    env.store.resources.commit(create(product("taken"))).await.unwrap();
    let results = all_at_once((0..64).map(|n| {
        let store = env.store.clone();
        let id = if n % 4 == 0 { "taken".to_owned() } else { format!("{n}") };
        async move { store.resources.commit(Commit { outbox: vec![event(&id, 1)], ..create(product(&id)) }).await }
    }))
    .await;
    for (n, result) in results.into_iter().enumerate() {
        assert_eq!(result.is_err(), n % 4 == 0, "{n}: {result:?}");
    }
    let events = env.store.messages.unpublished(0, 100).await.unwrap();
    let positions: Vec<u64> = events.iter().map(|event| event.position).collect();
    assert_eq!(positions, (1..=48).collect::<Vec<u64>>(), "what was undone left no gap");
    assert!(events.iter().all(|event| event.key != "taken"));
}

pub async fn of_many_changes_of_one_version_one_wins(env: TestEnv) {
    env.store.resources.commit(create(instance("a"))).await.unwrap();
    let results = all_at_once((0..50).map(|n| {
        let store = env.store.clone();
        async move { store.resources.commit(change(moved(&instance("a"), &format!("state-{n}")))).await }
    }))
    .await;
    let winners: Vec<usize> = results.iter().enumerate().filter(|(_, result)| result.is_ok()).map(|(n, _)| n).collect();
    let [winner] = winners[..] else { panic!("one winner was expected: {winners:?}") };
    let now = env.store.resources.resource("orders", "a").await.unwrap().unwrap();
    assert_eq!((now.state, now.version), (format!("state-{winner}"), 2));
}

pub async fn many_callers_see_what_they_were_answered(env: TestEnv) {
    let results = all_at_once((0..64).map(|n| {
        let store = env.store.clone();
        async move {
            let mut resource = instance(&n.to_string());
            store.resources.commit(create(resource.clone())).await?;
            for _ in 0..4 {
                resource = moved(&resource, "paying");
                store.resources.commit(change(resource.clone())).await?;
            }
            store.resources.resource("orders", &resource.id).await.map(|found| (found, resource))
        }
    }))
    .await;
    for result in results {
        let (found, written) = result.unwrap();
        assert_eq!(found, Some(written), "what was answered is seen");
    }
    let stats = env.store.operations.commit_stats();
    assert_eq!(stats.units, 64 * 5);
    assert!(stats.commits > 0 && stats.commits <= stats.units, "{stats:?}");
}

pub async fn since_when_it_is_known_what_was_handled_is_known(mut env: TestEnv) {
    let take = async |env: &TestEnv, id: &str| {
        let inbox = InboxRow { consumer: "handler".into(), event_id: id.into() };
        env.store.resources.commit(Commit { inbox: Some(inbox), ..Commit::default() }).await.unwrap();
        env.clock.steady()
    };
    assert_eq!(env.store.messages.handled_since().await.unwrap(), None);
    let first = take(&env, "e1").await;
    assert_eq!(env.store.messages.handled_since().await.unwrap(), None, "all is known");
    env.clock.advance(jiff::SignedDuration::from_mins(1));
    let before = env.clock.steady();
    let second = take(&env, "e2").await;
    assert!(first < before);
    assert_eq!(env.store.operations.prune(Prunable::Inbox, before).await.unwrap(), 1);
    env.reopen().await;
    let since = env.store.messages.handled_since().await.unwrap().expect("the first is forgotten");
    assert!(since >= before && since <= second, "{since} is not between {before} and {second}");

    // A shop that has nothing to do for long: the newest outlives its age, or else all would seem to be known.
    env.clock.advance(jiff::SignedDuration::from_hours(1_000));
    assert_eq!(env.store.operations.prune(Prunable::Inbox, env.clock.steady()).await.unwrap(), 0);
    assert_eq!(env.store.messages.handled_since().await.unwrap(), Some(since), "nothing younger was forgotten");
    env.clock.advance(jiff::SignedDuration::from_mins(1));
    let third = take(&env, "e3").await;
    assert_eq!(env.store.messages.handled_since().await.unwrap(), Some(since));
    env.clock.advance(jiff::SignedDuration::from_mins(1));
    assert_eq!(env.store.operations.prune(Prunable::Inbox, env.clock.steady()).await.unwrap(), 1);
    env.reopen().await;
    let later = env.store.messages.handled_since().await.unwrap().expect("two are forgotten, and one is known");
    assert!(later > since && later <= third, "{later} is not between {since} and {third}");
}

pub async fn an_event_has_its_effect_once(mut env: TestEnv) {
    let inbox = InboxRow { consumer: "trigger".into(), event_id: "e1".into() };
    assert!(!env.store.messages.handled(&inbox).await.unwrap());
    let effect = |id: &str| Commit { inbox: Some(inbox.clone()), ..create(product(id)) };
    env.store.resources.commit(effect("1")).await.unwrap();
    env.reopen().await;
    assert!(env.store.messages.handled(&inbox).await.unwrap());
    let refused = conflict(env.store.resources.commit(effect("2")).await);
    assert_eq!(refused, Conflict::Duplicate { consumer: "trigger".into(), event_id: "e1".into() });
    assert_eq!(env.store.resources.resource("products", "2").await.unwrap(), None);
    let other = Commit { inbox: Some(InboxRow { consumer: "handler".into(), event_id: "e1".into() }), ..Commit::default() };
    env.store.resources.commit(other).await.expect("another consumer has an effect of its own");
}

pub async fn an_idempotency_key_has_one_winner(env: TestEnv) {
    let row = |n: usize| IdempotencyRow { user: "u".into(), key: "k".into(), request_hash: "h".into(), resource_id: n.to_string() };
    let results = all_at_once((0..50).map(|n| {
        let store = env.store.clone();
        async move { store.resources.commit(Commit { idempotency: Some(row(n)), ..create(product(&n.to_string())) }).await }
    }))
    .await;
    let winners: Vec<usize> = results.iter().enumerate().filter(|(_, result)| result.is_ok()).map(|(n, _)| n).collect();
    let [winner] = winners[..] else { panic!("one winner was expected: {winners:?}") };
    for (n, result) in results.into_iter().enumerate().filter(|(n, _)| *n != winner) {
        assert_eq!(conflict(result), Conflict::Idempotency(row(winner)));
        assert_eq!(env.store.resources.resource("products", &n.to_string()).await.unwrap(), None);
    }
    assert_eq!(env.store.resources.idempotency("u", "k").await.unwrap(), Some(row(winner)));
    assert_eq!(env.store.resources.idempotency("another", "k").await.unwrap(), None);
}

pub async fn a_run_key_and_a_history_number_are_taken_once(env: TestEnv) {
    let store = &env.store;
    store.resources.commit(Commit { history: vec![history_row(1)], ..create(instance("a")) }).await.unwrap();
    store.resources.commit(with_runs([run("a", "payment")])).await.unwrap();
    let again = conflict(store.resources.commit(with_runs([run("a", "shipping"), run("a", "payment")])).await);
    assert_eq!(again, Conflict::Exists { kind: "run".into(), id: "a:payment:1".into() });
    assert_eq!(store.instances.runs("orders", "a").await.unwrap().len(), 1);
    let next = moved(&instance("a"), "paying");
    let twice = conflict(store.resources.commit(Commit { history: vec![history_row(1)], ..change(next) }).await);
    assert_eq!(twice, Conflict::Exists { kind: "history".into(), id: "orders/a/1".into() });
    let unknown = conflict(store.resources.commit(settling(done(&run("z", "payment")))).await);
    assert_eq!(unknown, Conflict::Fence { key: "z:payment:1".into(), fence: 0 });
}
