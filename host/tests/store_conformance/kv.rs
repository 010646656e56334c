//! What components keep of their own: written with what belongs to it, and gone with what it is about.

use millrace::store::{Commit, KV_ENTRY_BYTES, KvEntry, KvOp, KvOwner, KvRow, Resource, StoreError};

use crate::test_env::{TestEnv, all_at_once, change, conflict, create, instance, moved};

fn owner(component: &str, instance: Option<&str>) -> KvOwner {
    KvOwner { component: component.into(), instance: instance.map(|id| ("orders".into(), id.into())) }
}

fn row(owner: KvOwner, key: &str, op: KvOp) -> KvRow {
    KvRow { owner, key: key.into(), op }
}

fn set(owner: KvOwner, key: &str, value: &str) -> KvRow {
    row(owner, key, KvOp::Set(value.into()))
}

async fn value(env: &TestEnv, owner: &KvOwner, key: &str) -> Option<String> {
    env.store.resources.kv(owner, key).await.unwrap()
}

pub async fn what_components_keep_is_written_with_a_commit_or_not_at_all(mut env: TestEnv) {
    let (own, of_a) = (owner("fraud", None), owner("fraud", Some("a")));
    let rows = vec![set(own.clone(), "limit", "5"), set(of_a.clone(), "score", "7"), set(owner("other", None), "limit", "6")];
    env.store.resources.commit(Commit { kv: rows, ..create(instance("a")) }).await.unwrap();
    let stale = Commit { kv: vec![set(own.clone(), "limit", "lost"), row(of_a.clone(), "score", KvOp::Delete)], ..create(instance("a")) };
    conflict(env.store.resources.commit(stale).await);
    env.reopen().await;
    assert_eq!(value(&env, &own, "limit").await.as_deref(), Some("5"));
    assert_eq!(value(&env, &of_a, "score").await.as_deref(), Some("7"));
    assert_eq!(value(&env, &owner("other", None), "limit").await.as_deref(), Some("6"));
    assert_eq!(value(&env, &own, "score").await, None, "scopes are apart");
    let rows = vec![row(own.clone(), "limit", KvOp::Delete), row(own.clone(), "never", KvOp::Delete), set(of_a.clone(), "score", "8")];
    env.store.resources.commit(Commit { kv: rows, ..change(moved(&instance("a"), "paying")) }).await.unwrap();
    assert_eq!((value(&env, &own, "limit").await, value(&env, &of_a, "score").await), (None, Some("8".into())));
}

pub async fn what_is_added_at_once_is_never_lost(env: TestEnv) {
    let own = owner("fraud", None);
    let add = |by| row(own.clone(), "orders", KvOp::Add(by));
    let commits = (0..50).map(|_| {
        let (store, rows) = (env.store.clone(), vec![add(2), add(-1)]);
        async move { store.resources.commit(Commit { kv: rows, ..Commit::default() }).await.map(drop) }
    });
    let answers: Vec<Result<(), StoreError>> = all_at_once(commits).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(value(&env, &own, "orders").await.as_deref(), Some("50"));
    for (before, by, sum) in [("text", 3, "3".to_owned()), ("9223372036854775807", 1, i64::MAX.to_string())] {
        let rows = vec![set(own.clone(), "orders", before), add(by)];
        env.store.resources.commit(Commit { kv: rows, ..Commit::default() }).await.unwrap();
        assert_eq!(value(&env, &own, "orders").await, Some(sum));
    }
}

pub async fn sizes_and_entries_are_those_of_each_owner(env: TestEnv) {
    let (own, of_a) = (owner("fraud", None), owner("fraud", Some("a")));
    let rows = vec![
        set(own.clone(), "k\u{e9}y", "\u{e9}"),
        set(of_a.clone(), "b", "22"),
        set(of_a.clone(), "a", "1"),
        set(owner("other", Some("a")), "c", "3"),
    ];
    env.store.resources.commit(Commit { kv: rows, ..create(instance("a")) }).await.unwrap();
    assert_eq!(env.store.resources.kv_bytes(&own).await.unwrap(), 4 + 2 + KV_ENTRY_BYTES);
    assert_eq!(env.store.resources.kv_bytes(&of_a).await.unwrap(), 2 + 3 + 2 * KV_ENTRY_BYTES);
    assert_eq!(env.store.resources.kv_bytes(&owner("fraud", Some("b"))).await.unwrap(), 0);
    let entry = |component: &str, key: &str, value: &str| KvEntry { component: component.into(), key: key.into(), value: value.into() };
    let entries = env.store.resources.kv_entries("orders", "a").await.unwrap();
    assert_eq!(entries, [entry("fraud", "a", "1"), entry("fraud", "b", "22"), entry("other", "c", "3")]);
}

pub async fn what_is_kept_about_an_instance_goes_with_it_and_is_kept_nowhere_else(env: TestEnv) {
    let mut ended: Resource = instance("a");
    ended.workflow.as_mut().unwrap().finished = true;
    let (own, of_a, of_b) = (owner("fraud", None), owner("fraud", Some("a")), owner("fraud", Some("b")));
    let rows = vec![set(of_a.clone(), "score", "7"), set(of_b.clone(), "score", "8"), set(own.clone(), "limit", "5")];
    env.store.resources.commit(Commit { kv: rows, ..create(ended.clone()) }).await.unwrap();
    assert_eq!(value(&env, &of_b, "score").await, None, "there is no such instance here");
    env.pass_an_hour();
    assert_eq!(env.store.operations.forget_finished("orders", &[("a".into(), ended.version)]).await.unwrap(), 1);
    env.store.resources.commit(create(instance("a"))).await.unwrap();
    assert_eq!(value(&env, &of_a, "score").await, None, "another one begins with nothing");
    assert_eq!(value(&env, &own, "limit").await.as_deref(), Some("5"));
}
