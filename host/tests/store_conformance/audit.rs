//! The audit log.

use std::collections::BTreeSet;

use millrace::store::{AuditChain, AuditListing, AuditRow, Broken, Commit, Guard, IdempotencyRow, Prunable, Store, StoreError};

use crate::test_env::{TestEnv, all_at_once, change, conflict, create, deed, moved, product};

async fn rows(store: &Store) -> Vec<AuditRow> {
    store.audit.audited_after(0, 10_000).await.unwrap()
}

fn check(rows: &[AuditRow]) -> Result<(), Broken> {
    let mut chain = AuditChain::default();
    rows.iter().try_for_each(|row| chain.check(row))
}

pub async fn an_entry_is_written_with_its_change_and_has_its_versions(env: TestEnv) {
    let store = &env.store;
    let first = product("a");
    store.resources.commit(Commit { audit: vec![deed("create", "a")], ..create(first.clone()) }).await.unwrap();
    store.resources.commit(Commit { audit: vec![deed("update", "a")], ..change(moved(&first, "active")) }).await.unwrap();
    assert!(store.resources.delete_resource("products", "a", Guard::Version(2), Some(deed("delete", "a"))).await.unwrap());
    store.audit.note(vec![deed("look", "a"), deed("look", "b")]).await.unwrap();
    let written = rows(store).await;
    let versions: Vec<_> = written.iter().map(|row| (row.seq, row.entry.version_before, row.entry.version_after)).collect();
    assert_eq!(versions, [(1, None, Some(1)), (2, Some(1), Some(2)), (3, Some(2), None), (4, None, None), (5, None, None)]);
    assert_eq!(written[4].entry, deed("look", "b"));
    check(&written).unwrap();
}

pub async fn a_failed_write_leaves_no_entry(env: TestEnv) {
    let store = &env.store;
    store.resources.commit(create(product("a"))).await.unwrap();
    let taken = Commit { audit: vec![deed("create", "a")], ..create(product("a")) };
    conflict(store.resources.commit(taken).await);
    let stale = Commit { audit: vec![deed("update", "a")], ..change(moved(&moved(&product("a"), "active"), "active")) };
    conflict(store.resources.commit(stale).await);
    let key = IdempotencyRow { user: "u".into(), key: "k".into(), request_hash: "h".into(), resource_id: "b".into() };
    let once = |id| Commit { idempotency: Some(key.clone()), audit: vec![deed("create", id)], ..create(product(id)) };
    store.resources.commit(once("b")).await.unwrap();
    conflict(store.resources.commit(once("c")).await);
    conflict(store.resources.delete_resource("products", "a", Guard::Version(7), Some(deed("delete", "a"))).await);
    assert!(!store.resources.delete_resource("products", "z", Guard::Version(1), Some(deed("delete", "z"))).await.unwrap());
    assert_eq!(store.users.set_roles("nobody", &BTreeSet::new(), Some(deed("roles", "nobody"))).await.unwrap(), None);
    let written = rows(store).await;
    assert_eq!(written.iter().map(|row| row.entry.subject.as_str()).collect::<Vec<_>>(), ["products/b"]);
}

pub async fn rows_are_a_chain_whoever_writes_at_once(env: TestEnv) {
    let results = all_at_once((0..200).map(|n: u64| {
        let store = env.store.clone();
        async move {
            // Two of each four want the same id, and one of these two gets it.
            let id = (n / 2).to_string();
            match n % 4 {
                0 | 1 => store.resources.commit(Commit { audit: vec![deed("create", &id)], ..create(product(&id)) }).await.map(drop),
                _ => store.audit.note(vec![deed("look", &id)]).await,
            }
        }
    }))
    .await;
    let refused = results.iter().filter(|result| matches!(result, Err(StoreError::Conflict(_)))).count();
    assert_eq!((refused, results.iter().filter(|result| result.is_ok()).count()), (50, 150));
    let written = rows(&env.store).await;
    assert_eq!(written.len(), 150);
    check(&written).unwrap();
}

pub async fn a_row_that_is_not_as_it_was_is_found(env: TestEnv) {
    env.store.audit.note((0..5).map(|n: u64| deed("look", &n.to_string())).collect()).await.unwrap();
    let written = rows(&env.store).await;
    check(&written).unwrap();
    let tampered = |change: &dyn Fn(&mut Vec<AuditRow>)| {
        let mut rows = written.clone();
        change(&mut rows);
        check(&rows).unwrap_err()
    };
    assert_eq!(tampered(&|rows| rows[2].entry.actor = "eve".into()), Broken::Changed(3));
    assert_eq!(tampered(&|rows| rows[1].entry.reason = None), Broken::Changed(2));
    assert_eq!(tampered(&|rows| drop(rows.remove(1))), Broken::Missing { expected: 2, found: 3 });
    let resealed = |rows: &mut Vec<AuditRow>| {
        let mut chain = AuditChain { seq: 2, hash: rows[1].hash.clone() };
        rows[2].entry.action = "nothing".into();
        rows[2] = chain.append(rows[2].entry.clone());
    };
    assert_eq!(tampered(&resealed), Broken::Unlinked(4), "a row that was sealed anew is not the one that the next follows");
}

pub async fn entries_are_listed_newest_first_by_what_is_asked_for(env: TestEnv) {
    let store = &env.store;
    let by = |actor: &str, action: &str, id: &str| millrace::store::AuditEntry { actor: actor.into(), ..deed(action, id) };
    let all = vec![by("ada", "update", "1"), by("bob", "update", "2"), by("ada", "delete", "2"), by("ada", "update", "2")];
    store.audit.note(all).await.unwrap();
    let some = |text: &str| Some(text.to_owned());
    let every = AuditListing { limit: 10, ..AuditListing::default() };
    for (listing, expected) in [
        (every.clone(), vec![4, 3, 2, 1]),
        (AuditListing { limit: 2, ..every.clone() }, vec![4, 3]),
        (AuditListing { before: Some(3), ..every.clone() }, vec![2, 1]),
        (AuditListing { actor: some("ada"), ..every.clone() }, vec![4, 3, 1]),
        (AuditListing { action: some("update"), before: Some(4), ..every.clone() }, vec![2, 1]),
        (AuditListing { subject: some("products/2"), action: some("update"), actor: some("ada"), ..every.clone() }, vec![4]),
        (AuditListing { subject: some("products/9"), ..every.clone() }, vec![]),
    ] {
        let found: Vec<u64> = store.audit.audited(&listing).await.unwrap().iter().map(|row| row.seq).collect();
        assert_eq!(found, expected, "{listing:?}");
    }
}

pub async fn nothing_of_it_is_ever_pruned(env: TestEnv) {
    env.store.audit.note(vec![deed("look", "a")]).await.unwrap();
    env.clock.advance(jiff::SignedDuration::from_hours(24 * 365 * 10));
    for what in Prunable::ALL {
        env.store.operations.prune(what, env.half_an_hour_ago()).await.unwrap();
    }
    env.store.audit.note(vec![deed("look", "b")]).await.unwrap();
    let written = rows(&env.store).await;
    assert_eq!(written.len(), 2);
    check(&written).unwrap();
}
