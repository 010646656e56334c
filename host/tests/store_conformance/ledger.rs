//! The ledger of the stock: whatever changes what is on hand writes a move, and the sum of the moves is the stock. Prices, and several
//! decisions as one.

use std::collections::BTreeMap;

use millrace::store::{
    Commit, Conflict, Guard, IdempotencyRow, MoveBy, NewMove, PriceRow, ReservationStatus, Shortage, StockMove, Store, StoreError,
};

use crate::test_env::{TestEnv, all_at_once, at, change, conflict, create, deed, first_stocked, line, moved, product, stocked};

fn by_hand(sku: &str, by: MoveBy) -> NewMove {
    NewMove {
        sku: sku.into(),
        by,
        reason: "received".into(),
        note: Some("a pallet".into()),
        actor: "ada".into(),
        request: None,
        audit: Some(deed("move", sku)),
    }
}

fn keyed(new: NewMove, key: &str) -> NewMove {
    let request = IdempotencyRow { user: "ada".into(), key: key.into(), request_hash: "h".into(), resource_id: String::new() };
    NewMove { request: Some(request), ..new }
}

async fn moves(store: &Store, sku: &str) -> Vec<StockMove> {
    let mut moves = store.stock.stock_moves(sku, u64::MAX, 10_000).await.unwrap();
    moves.reverse();
    moves
}

/// What each move has done: why, the units, and what was on hand and reserved after it.
async fn told(store: &Store, sku: &str) -> Vec<(String, i64, u64, u64)> {
    moves(store, sku).await.into_iter().map(|row| (row.reason, row.delta, row.on_hand, row.reserved)).collect()
}

/// That of each of these the sum of the moves is what is on hand.
async fn adds_up(store: &Store, skus: &[&str]) {
    let levels: BTreeMap<String, u64> = store.stock.stock().await.unwrap().into_iter().map(|level| (level.sku, level.on_hand)).collect();
    for sku in skus {
        let sum: i64 = moves(store, sku).await.iter().map(|row| row.delta).sum();
        assert_eq!(sum, levels.get(*sku).copied().unwrap_or(0).cast_signed(), "{sku}: {levels:?}");
    }
}

fn told_as(rows: &[(&str, i64, u64, u64)]) -> Vec<(String, i64, u64, u64)> {
    rows.iter().map(|(reason, delta, on_hand, reserved)| ((*reason).to_owned(), *delta, *on_hand, *reserved)).collect()
}

pub async fn whatever_changes_the_stock_writes_a_move(env: TestEnv) {
    let store = &env.store;
    store.resources.commit(Commit { stock: first_stocked("a", 10).stock, ..create(product("a")) }).await.unwrap();
    store.resources.commit(first_stocked("a", 99)).await.unwrap();
    store.stock.reserve("o-1", &[line("a", 2), line("a", 1)]).await.unwrap();
    store.stock.reserve("o-2", &[line("a", 4)]).await.unwrap();
    store.stock.end_reservation("o-1", ReservationStatus::Sold).await.unwrap();
    store.stock.end_reservation("o-1", ReservationStatus::Sold).await.unwrap();
    store.stock.end_reservation("o-2", ReservationStatus::Released).await.unwrap();
    assert!(store.stock.put_back("r-1", &[line("a", 1)]).await.unwrap());
    assert!(!store.stock.put_back("r-1", &[line("a", 1)]).await.unwrap(), "what came back came back once");
    store.resources.commit(stocked("a", 20)).await.unwrap();
    store.resources.commit(stocked("a", 20)).await.unwrap();
    let expected = [("received", 10, 10, 0), ("sold", -3, 7, 4), ("released", 0, 7, 0), ("returned", 1, 8, 0), ("set", 12, 20, 0)];
    assert_eq!(told(store, "a").await, told_as(&expected));
    store.stock.reserve("o-3", &[line("a", 5)]).await.unwrap();
    assert!(store.resources.delete_resource("products", "a", Guard::Version(1), Some(deed("delete", "a"))).await.unwrap());
    adds_up(store, &["a"]).await;
    store.stock.end_reservation("o-3", ReservationStatus::Sold).await.unwrap();
    let last = moves(store, "a").await;
    assert_eq!(told(store, "a").await[5..], told_as(&[("removed", -15, 5, 5), ("sold", -5, 0, 0)]));
    assert_eq!((last[5].actor.as_deref(), last[6].key.as_deref()), (Some("ada"), Some("o-3")));
    adds_up(store, &["a"]).await;
}

pub async fn a_move_by_hand_never_goes_below_what_is_reserved(env: TestEnv) {
    let store = &env.store;
    store.resources.commit(stocked("a", 10)).await.unwrap();
    store.stock.reserve("o-1", &[line("a", 4)]).await.unwrap();
    let made = store.stock.move_stock(by_hand("a", MoveBy::Delta(-6))).await.unwrap();
    assert_eq!((made.delta, made.on_hand, made.reserved, made.actor.as_deref()), (-6, 4, 4, Some("ada")));
    let below = store.stock.move_stock(by_hand("a", MoveBy::Delta(-1))).await;
    let short = |shortages: &[Shortage]| shortages.len() == 1 && shortages[0].requested == 4 && shortages[0].available == 4;
    assert!(matches!(&below, Err(StoreError::Short(shortages)) if short(shortages)), "{below:?}");
    for impossible in [MoveBy::Delta(i64::MIN), MoveBy::Delta(i64::MAX), MoveBy::Counted { units: 3, expected: 4 }] {
        assert!(matches!(store.stock.move_stock(by_hand("a", impossible)).await, Err(StoreError::Short(_))), "{impossible:?}");
    }
    assert_eq!(store.stock.reserved_by("a", 10).await.unwrap(), ["o-1"]);
    assert_eq!(moves(store, "a").await.len(), 2, "what was refused wrote nothing");
    assert_eq!(store.audit.audited_after(0, 10).await.unwrap().len(), 1);
    let first = store.stock.move_stock(by_hand("new", MoveBy::Delta(3))).await.unwrap();
    assert_eq!((first.on_hand, first.note.as_deref()), (3, Some("a pallet")), "a sku without a level has 0 units");
    adds_up(store, &["a", "new"]).await;
}

pub async fn a_count_holds_against_what_was_expected_only(env: TestEnv) {
    let store = &env.store;
    store.resources.commit(stocked("a", 10)).await.unwrap();
    let counted = store.stock.move_stock(by_hand("a", MoveBy::Counted { units: 8, expected: 10 })).await.unwrap();
    assert_eq!((counted.delta, counted.on_hand), (-2, 8));
    let stale = conflict(store.stock.move_stock(by_hand("a", MoveBy::Counted { units: 9, expected: 10 })).await);
    assert_eq!(stale, Conflict::Counted { sku: "a".into(), on_hand: 8, reserved: 0 });
    let same = store.stock.move_stock(by_hand("a", MoveBy::Counted { units: 8, expected: 8 })).await.unwrap();
    assert_eq!(same.delta, 0, "a count that found nothing is a count all the same");
    adds_up(store, &["a"]).await;
}

pub async fn a_move_with_a_key_is_made_once(env: TestEnv) {
    let store = &env.store;
    let first = store.stock.move_stock(keyed(by_hand("a", MoveBy::Delta(5)), "k")).await.unwrap();
    let again = conflict(store.stock.move_stock(keyed(by_hand("a", MoveBy::Delta(5)), "k")).await);
    assert!(matches!(again, Conflict::Idempotency(row) if row.resource_id == first.seq.to_string()));
    assert_eq!((moves(store, "a").await.len(), first.key.as_deref()), (1, Some("k")));
    let results = all_at_once((0..50).map(|_| {
        let store = store.clone();
        async move { store.stock.move_stock(keyed(by_hand("a", MoveBy::Delta(1)), "at once")).await }
    }))
    .await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    adds_up(store, &["a"]).await;
}

pub async fn a_thousand_moves_at_once_sum_up(env: TestEnv) {
    let store = &env.store;
    store.resources.commit(stocked("a", 500)).await.unwrap();
    let results = all_at_once((0..1_000_i64).map(|n| {
        let store = store.clone();
        async move {
            match n % 4 {
                0 => {
                    let key = format!("o-{n}");
                    store.stock.reserve(&key, &[line("a", 1)]).await?;
                    store.stock.end_reservation(&key, ReservationStatus::Sold).await.map(|_| -1)
                }
                1 => store.stock.put_back(&format!("r-{n}"), &[line("a", 2)]).await.map(|_| 2),
                _ => store.stock.move_stock(by_hand("a", MoveBy::Delta(n % 7 - 3))).await.map(|made| made.delta),
            }
        }
    }))
    .await;
    let sum: i64 = results.into_iter().map(|result: Result<i64, StoreError>| result.unwrap()).sum();
    assert_eq!(store.stock.stock_of("a").await.unwrap().unwrap().on_hand.cast_signed(), 500 + sum);
    assert_eq!(moves(store, "a").await.len(), 1_001);
    // Each says what was on hand after it.
    let mut on_hand = 0;
    for row in moves(store, "a").await {
        on_hand += row.delta;
        assert_eq!(row.on_hand.cast_signed(), on_hand, "{row:?}");
    }
}

pub async fn prices_are_kept_by_version_and_go_with_their_resource(env: TestEnv) {
    let store = &env.store;
    let price = |version, price| PriceRow { version, price, actor: Some("ada".into()), at: at(3) };
    store.resources.commit(Commit { prices: vec![price(1, 14_999)], ..create(product("a")) }).await.unwrap();
    let next = Commit { prices: vec![price(1, 1), price(2, 13_999)], ..change(moved(&product("a"), "active")) };
    store.resources.commit(next).await.unwrap();
    let kept = store.resources.prices("products", "a", 10).await.unwrap();
    assert_eq!(kept, [price(2, 13_999), price(1, 14_999)], "a version that has a price keeps it");
    assert_eq!(store.resources.prices("products", "a", 1).await.unwrap(), [price(2, 13_999)]);
    assert!(store.resources.delete_resource("products", "a", Guard::Version(2), None).await.unwrap());
    store.resources.commit(create(product("a"))).await.unwrap();
    assert!(store.resources.prices("products", "a", 10).await.unwrap().is_empty());
}

pub async fn several_decisions_are_one_or_nothing(env: TestEnv) {
    let store = &env.store;
    store.resources.commit(create(product("a"))).await.unwrap();
    let with = |commit: Commit, id: &str| Commit { audit: vec![deed("import", id)], stock: first_stocked(id, 3).stock, ..commit };
    let stale = change(moved(&moved(&product("a"), "active"), "active"));
    conflict(store.resources.commit_all(vec![with(create(product("b")), "b"), stale, with(create(product("c")), "c")]).await);
    assert!(store.resources.resource("products", "b").await.unwrap().is_none());
    assert!(store.audit.audited_after(0, 10).await.unwrap().is_empty() && store.stock.stock().await.unwrap().is_empty());
    let good = vec![with(create(product("b")), "b"), with(change(moved(&product("a"), "active")), "a")];
    store.resources.commit_all(good).await.unwrap();
    assert_eq!(store.resources.resource("products", "a").await.unwrap().unwrap().version, 2);
    assert_eq!(store.audit.audited_after(0, 10).await.unwrap().len(), 2);
    adds_up(store, &["a", "b"]).await;
}
