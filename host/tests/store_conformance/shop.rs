//! Users, stock and reservations.

use std::collections::BTreeSet;

use millrace::store::{Commit, Guard, Prunable, ReservationStatus, RunStatus, Shortage, StockLevel, StoreError, User};

use crate::test_env::{
    TestEnv, all_at_once, at, change, conflict, create, done, first_stocked, line, moved, product, run, settling, stocked,
};

use ReservationStatus::{Released, Reserved, Sold};

fn user(id: &str, email: &str) -> User {
    User {
        id: id.into(),
        name: format!("User {id}"),
        email: email.into(),
        password_hash: "$argon2id$x".into(),
        created_at: at(1),
        ..User::default()
    }
}

fn level(sku: &str, on_hand: u64, reserved: u64) -> StockLevel {
    StockLevel { sku: sku.into(), on_hand, reserved }
}

pub async fn an_email_is_taken_once_in_any_case(env: TestEnv) {
    let results = all_at_once((0..64).map(|n| {
        let store = env.store.clone();
        let email = if n % 2 == 0 { "Ada@Example.com" } else { "ada@example.COM" };
        async move { store.users.add_user(user(&n.to_string(), email)).await }
    }))
    .await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for refused in results.into_iter().filter_map(Result::err) {
        assert!(matches!(refused, StoreError::Taken("email")), "{refused:?}");
    }
    let same_id = env.store.users.add_user(user("1", "other@example.com")).await.err();
    let there = env.store.users.user("1").await.unwrap();
    assert_eq!(matches!(same_id, Some(StoreError::Taken("id"))), there.is_some_and(|user| user.email != "other@example.com"));
}

pub async fn a_user_is_found_by_id_and_email(mut env: TestEnv) {
    let ada = user("1", "Ada@Example.com");
    env.store.users.add_user(ada.clone()).await.unwrap();
    env.reopen().await;
    assert_eq!(env.store.users.user("1").await.unwrap(), Some(ada.clone()));
    assert_eq!(env.store.users.user_by_email("aDA@example.com").await.unwrap(), Some(ada));
    assert_eq!(env.store.users.user("2").await.unwrap(), None);
    assert_eq!(env.store.users.user_by_email("bob@example.com").await.unwrap(), None);
    let again = env.store.users.add_user(user("1", "bob@example.com")).await;
    assert!(matches!(again, Err(StoreError::Taken("id"))), "{again:?}");
}

pub async fn a_user_is_updated(env: TestEnv) {
    let store = &env.store;
    store.users.add_user(user("1", "ada@example.com")).await.unwrap();
    store.users.add_user(user("2", "bob@example.com")).await.unwrap();
    let renamed = store.users.update_user("1", Some("Countess"), None).await.unwrap().unwrap();
    assert_eq!(renamed, User { name: "Countess".into(), ..user("1", "ada@example.com") });
    let own = store.users.update_user("1", None, Some("ADA@example.com")).await.unwrap().unwrap();
    assert_eq!(own.email, "ADA@example.com", "the own e-mail may be written otherwise");
    let taken = store.users.update_user("1", Some("Nobody"), Some("Bob@example.com")).await;
    assert!(matches!(taken, Err(StoreError::Taken("email"))), "{taken:?}");
    assert_eq!(store.users.user("1").await.unwrap(), Some(own));
    assert_eq!(store.users.update_user("3", None, Some("bob@example.com")).await.unwrap(), None);
    store.users.update_user("1", None, Some("lovelace@example.com")).await.unwrap();
    assert_eq!(store.users.user_by_email("ada@example.com").await.unwrap(), None, "the old e-mail is free");
    store.users.add_user(user("3", "ada@example.com")).await.unwrap();
}

pub async fn a_user_has_the_roles_that_were_set_last(mut env: TestEnv) {
    let roles = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<String>>();
    let ada = User { roles: roles(&["support"]), ..user("1", "ada@example.com") };
    env.store.users.add_user(ada.clone()).await.unwrap();
    env.store.users.add_user(user("2", "bob@example.com")).await.unwrap();
    assert_eq!(env.store.users.user("1").await.unwrap(), Some(ada.clone()));
    let set = env.store.users.set_roles("1", &roles(&["finance", "admin"]), None).await.unwrap();
    let promoted = User { roles: roles(&["admin", "finance"]), epoch: 1, ..ada };
    assert_eq!(set, Some(promoted.clone()));
    env.store.users.update_user("1", Some(&promoted.name), None).await.unwrap();
    env.reopen().await;
    assert_eq!(env.store.users.user_by_email("ada@example.com").await.unwrap(), Some(promoted), "a change of the profile keeps them");
    assert_eq!(env.store.users.user("2").await.unwrap().unwrap().roles, roles(&[]));
    assert_eq!(env.store.users.set_roles("3", &roles(&["admin"]), None).await.unwrap(), None);
    assert_eq!(env.store.users.set_roles("1", &roles(&[]), None).await.unwrap().unwrap().roles, roles(&[]));
}

pub async fn stock_is_initialised_once(mut env: TestEnv) {
    env.store.resources.commit(first_stocked("b", 5)).await.unwrap();
    env.store.resources.commit(first_stocked("a", 7)).await.unwrap();
    env.store.resources.commit(stocked("b", 3)).await.unwrap();
    env.reopen().await;
    env.store.resources.commit(first_stocked("b", 5)).await.unwrap();
    assert_eq!(env.store.stock.stock().await.unwrap(), [level("a", 7, 0), level("b", 3, 0)]);
    assert_eq!(env.store.stock.stock_of("b").await.unwrap(), Some(level("b", 3, 0)));
    assert_eq!(env.store.stock.stock_of("z").await.unwrap(), None);
}

pub async fn stock_is_never_set_below_what_is_reserved(env: TestEnv) {
    let store = &env.store;
    store.resources.commit(stocked("a", 10)).await.unwrap();
    store.stock.reserve("r1", &[line("a", 4)]).await.unwrap();
    let Err(StoreError::Short(short)) = store.resources.commit(stocked("a", 3)).await else { panic!("it was set below") };
    assert_eq!(short, [Shortage { sku: "a".into(), requested: 4, available: 3 }]);
    store.resources.commit(stocked("a", 4)).await.unwrap();
    assert_eq!(store.stock.stock_of("a").await.unwrap(), Some(level("a", 4, 4)));
}

pub async fn stock_changes_with_its_resource_or_not_at_all(env: TestEnv) {
    let store = &env.store;
    store.resources.commit(Commit { stock: first_stocked("a", 10).stock, ..create(product("a")) }).await.unwrap();
    store.stock.reserve("r1", &[line("a", 4)]).await.unwrap();
    let next = moved(&product("a"), "changed");
    let short = store.resources.commit(Commit { stock: stocked("a", 3).stock, ..change(next.clone()) }).await;
    assert!(matches!(short, Err(StoreError::Short(_))), "{short:?}");
    assert_eq!(store.resources.resource("products", "a").await.unwrap(), Some(product("a")));
    store.resources.commit(Commit { stock: stocked("a", 8).stock, ..change(next.clone()) }).await.unwrap();
    conflict(store.resources.commit(Commit { stock: stocked("a", 20).stock, ..change(next) }).await);
    conflict(store.resources.commit(Commit { stock: first_stocked("b", 20).stock, ..create(product("a")) }).await);
    assert_eq!(store.stock.stock().await.unwrap(), [level("a", 8, 4)]);
}

pub async fn a_reservation_takes_all_lines_or_nothing(env: TestEnv) {
    let store = &env.store;
    store.resources.commit(stocked("a", 10)).await.unwrap();
    store.resources.commit(stocked("b", 2)).await.unwrap();
    let lines = [line("a", 1), line("b", 3), line("c", 1)];
    let Err(StoreError::Short(short)) = store.stock.reserve("r1", &lines).await else { panic!("it was reserved") };
    let shortage = |sku: &str, requested, available| Shortage { sku: sku.into(), requested, available };
    assert_eq!(short, [shortage("b", 3, 2), shortage("c", 1, 0)]);
    assert_eq!(store.stock.stock().await.unwrap(), [level("a", 10, 0), level("b", 2, 0)]);
    let twice_the_same = [line("b", 2), line("b", 1)];
    assert!(matches!(store.stock.reserve("r1", &twice_the_same).await, Err(StoreError::Short(_))));
    assert_eq!(store.stock.reserve("r1", &[line("a", 1), line("b", 2)]).await.unwrap(), Reserved);
    assert_eq!(store.stock.stock().await.unwrap(), [level("a", 10, 1), level("b", 2, 2)]);
}

pub async fn a_reservation_is_idempotent_by_its_key(mut env: TestEnv) {
    env.store.resources.commit(stocked("a", 10)).await.unwrap();
    env.store.stock.reserve("r1", &[line("a", 2), line("a", 1)]).await.unwrap();
    env.reopen().await;
    let store = &env.store;
    assert_eq!(store.stock.reserve("r1", &[line("a", 3)]).await.unwrap(), Reserved);
    let other = store.stock.reserve("r1", &[line("a", 4)]).await;
    assert!(matches!(other, Err(StoreError::Taken(_))), "{other:?}");
    assert_eq!(store.stock.stock_of("a").await.unwrap(), Some(level("a", 10, 3)));
}

pub async fn many_clients_never_oversell(env: TestEnv) {
    env.store.resources.commit(stocked("a", 20)).await.unwrap();
    env.store.resources.commit(stocked("b", 40)).await.unwrap();
    let results = all_at_once((0..64).map(|n| {
        let store = env.store.clone();
        async move {
            let key = format!("r{n}");
            let reserved = store.stock.reserve(&key, &[line("a", 1), line("b", 2)]).await;
            let level = store.stock.stock_of("a").await.unwrap().unwrap();
            assert!(level.reserved <= level.on_hand);
            if reserved.is_ok() && n % 2 == 0 {
                store.stock.end_reservation(&key, Sold).await.unwrap();
            }
            reserved
        }
    }))
    .await;
    let won = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(won, 20);
    let sold = results.iter().step_by(2).filter(|result| result.is_ok()).count() as u64;
    let lost = results.into_iter().filter_map(Result::err);
    assert!(lost.into_iter().all(|error| matches!(error, StoreError::Short(_))));
    let expected = [level("a", 20 - sold, 20 - sold), level("b", 40 - 2 * sold, 40 - 2 * sold)];
    assert_eq!(env.store.stock.stock().await.unwrap(), expected);
}

pub async fn a_reservation_is_released_once(env: TestEnv) {
    env.store.resources.commit(stocked("a", 10)).await.unwrap();
    env.store.stock.reserve("r1", &[line("a", 4)]).await.unwrap();
    env.store.stock.reserve("r2", &[line("a", 4)]).await.unwrap();
    let results = all_at_once((0..20).map(|_| {
        let store = env.store.clone();
        async move { store.stock.end_reservation("r1", Released).await.unwrap() }
    }))
    .await;
    assert_eq!(results, vec![Some(Released); 20]);
    assert_eq!(env.store.stock.stock_of("a").await.unwrap(), Some(level("a", 10, 4)));
    assert_eq!(env.store.stock.end_reservation("r1", Sold).await.unwrap(), Some(Released), "it keeps its end");
    assert_eq!(env.store.stock.reserve("r1", &[line("a", 4)]).await.unwrap(), Released);
    assert_eq!(env.store.stock.stock_of("a").await.unwrap(), Some(level("a", 10, 4)));
}

pub async fn a_release_that_comes_first_ends_the_reservation(mut env: TestEnv) {
    env.store.resources.commit(stocked("a", 10)).await.unwrap();
    assert_eq!(env.store.stock.end_reservation("r1", Released).await.unwrap(), Some(Released));
    assert_eq!(env.store.stock.end_reservation("r2", Sold).await.unwrap(), None);
    env.reopen().await;
    assert_eq!(env.store.stock.reserve("r1", &[line("a", 4)]).await.unwrap(), Released);
    assert_eq!(env.store.stock.stock_of("a").await.unwrap(), Some(level("a", 10, 0)));
    assert_eq!(env.store.stock.reserve("r2", &[line("a", 4)]).await.unwrap(), Reserved);
}

pub async fn what_is_sold_leaves_the_warehouse(env: TestEnv) {
    let store = &env.store;
    store.resources.commit(stocked("a", 10)).await.unwrap();
    store.resources.commit(stocked("b", 10)).await.unwrap();
    store.stock.reserve("r1", &[line("a", 4), line("b", 1)]).await.unwrap();
    assert_eq!(store.stock.end_reservation("r1", Sold).await.unwrap(), Some(Sold));
    assert_eq!(store.stock.end_reservation("r1", Sold).await.unwrap(), Some(Sold));
    assert_eq!(store.stock.end_reservation("r1", Released).await.unwrap(), Some(Sold));
    assert_eq!(store.stock.stock().await.unwrap(), [level("a", 6, 0), level("b", 9, 0)]);
}

pub async fn what_is_reserved_outlives_its_resource(env: TestEnv) {
    let store = &env.store;
    store.resources.commit(create(product("a"))).await.unwrap();
    store.resources.commit(stocked("a", 10)).await.unwrap();
    store.stock.reserve("r1", &[line("a", 4)]).await.unwrap();
    assert!(store.resources.delete_resource("products", "a", Guard::Version(1), None).await.unwrap());
    assert_eq!(store.stock.stock_of("a").await.unwrap(), Some(level("a", 4, 4)), "nothing more can be reserved");
    assert_eq!(store.stock.end_reservation("r1", Sold).await.unwrap(), Some(Sold));
    assert_eq!(store.stock.stock_of("a").await.unwrap(), Some(level("a", 0, 0)));
}

pub async fn reservations_that_ended_long_ago_are_forgotten(env: TestEnv) {
    let forgotten = async |env: &TestEnv| env.store.operations.prune(Prunable::Reservations, env.half_an_hour_ago()).await.unwrap();
    let store = &env.store;
    store.resources.commit(stocked("a", 10)).await.unwrap();
    let lines = [line("a", 1)];
    for key in ["sold", "given-back", "held", "young", "goes-on"] {
        store.stock.reserve(key, &lines).await.unwrap();
    }
    for (key, end) in [("sold", Sold), ("given-back", Released), ("never-held", Released), ("goes-on", Sold)] {
        store.stock.end_reservation(key, end).await.unwrap();
    }
    let mut settles = run("goes-on", "settle");
    (settles.status, settles.owner, settles.fence) = (RunStatus::Running, Some(store.instances.epoch()), 1);
    store.resources.commit(Commit { runs: vec![settles.clone()], ..Commit::default() }).await.unwrap();
    env.pass_an_hour();
    store.stock.end_reservation("young", Released).await.unwrap();
    let levels = store.stock.stock().await.unwrap();
    assert_eq!(levels, [level("a", 8, 1)]);

    assert_eq!(forgotten(&env).await, 3, "sold, given back, and given back before it was held");
    assert_eq!(forgotten(&env).await, 0);
    assert_eq!(store.stock.stock().await.unwrap(), levels, "units do not change by it");
    for (key, status) in [("held", Reserved), ("young", Released), ("goes-on", Sold)] {
        assert_eq!(store.stock.reserve(key, &lines).await.unwrap(), status, "{key} is known");
    }
    assert_eq!(
        store.stock.end_reservation("given-back", Released).await.unwrap(),
        Some(Released),
        "whoever gives back late changes nothing"
    );
    assert_eq!(store.stock.end_reservation("sold", Sold).await.unwrap(), None);
    assert_eq!(store.stock.stock().await.unwrap(), levels);

    store.resources.commit(settling(done(&settles))).await.unwrap();
    env.pass_an_hour();
    assert_eq!(forgotten(&env).await, 3, "young, that of which nothing goes on any more, and the one that was given back late");
    assert_eq!(store.stock.end_reservation("held", Released).await.unwrap(), Some(Released), "what is held is never forgotten");
    assert_eq!(store.stock.stock().await.unwrap(), [level("a", 8, 0)]);
}
