//! Which tokens of an account are believed, who is told, and who may set a password without the old one.

use std::collections::BTreeSet;

use millrace::store::{Changed, MAX_RESETS, OutboxRow, Reset, SecondFactor, Standing, StoreError, ToldEpoch, User, UserChange};

use crate::test_env::{TestEnv, at};

fn user(id: &str, roles: &[&str]) -> User {
    let roles = roles.iter().map(|&role| role.to_owned()).collect();
    let (name, email) = (format!("User {id}"), format!("{id}@example.com"));
    User { id: id.into(), name, email, password_hash: "old".into(), roles, created_at: at(1), ..User::default() }
}

fn event(key: &str, n: u64) -> OutboxRow {
    let event_id = format!("{key}-{n}");
    OutboxRow { position: 0, event_id, topic: "user.changed".into(), key: key.into(), seq: n, payload: "{}".into(), traceparent: None }
}

fn password(hash: &'static str) -> UserChange {
    UserChange::new(move |user| {
        user.password_hash = hash.into();
        true
    })
}

fn factor(confirmed: bool, last_step: u64) -> Option<SecondFactor> {
    Some(SecondFactor { secret: "MFRGG".into(), confirmed, last_step, recovery: BTreeSet::from(["digest".to_owned()]) })
}

async fn changed(env: &TestEnv, id: &str, change: UserChange) -> Changed {
    env.store.users.change_user(id, change).await.unwrap().unwrap()
}

pub async fn a_change_of_what_tokens_rest_on_makes_a_new_epoch(mut env: TestEnv) {
    env.store.users.add_user(user("1", &[])).await.unwrap();
    let set = |factor: Option<SecondFactor>| {
        UserChange::new(move |user| {
            user.second_factor = factor;
            true
        })
    };
    let mut expected = user("1", &[]);
    for (change, ends, edit) in [
        (password("new"), true, (|user| user.password_hash = "new".into()) as fn(&mut User)),
        (password("new"), false, |_| {}),
        (UserChange::roles(["support".to_owned()].into()), true, |user| user.roles = ["support".to_owned()].into()),
        (UserChange::disabled(true), true, |user| user.disabled = true),
        (UserChange::disabled(true), false, |_| {}),
        (UserChange::disabled(false), true, |user| user.disabled = false),
        (set(factor(false, 0)), false, |user| user.second_factor = factor(false, 0)),
        (set(factor(true, 7)), true, |user| user.second_factor = factor(true, 7)),
        (set(factor(true, 8)), false, |user| user.second_factor = factor(true, 8)),
        (set(None), true, |user| user.second_factor = None),
    ] {
        edit(&mut expected);
        expected.epoch += u64::from(ends);
        assert_eq!(changed(&env, "1", change).await, Changed { user: expected.clone(), done: true });
        let standing = Standing::Kept { epoch: expected.epoch, disabled: expected.disabled };
        assert_eq!(env.store.users.standing("1").await.unwrap(), Some(standing));
    }
    let refused = UserChange::new(|user| {
        user.password_hash = "never".into();
        false
    });
    assert_eq!(changed(&env, "1", refused).await, Changed { user: expected.clone(), done: false });
    env.reopen().await;
    assert_eq!(env.store.users.user("1").await.unwrap(), Some(expected));
    assert_eq!(env.store.users.change_user("2", password("new")).await.unwrap(), None);
    assert_eq!(env.store.users.standing("2").await.unwrap(), None);
}

pub async fn the_last_who_has_a_role_keeps_it_if_that_is_asked_for(env: TestEnv) {
    for (id, roles) in [("1", &["admin"][..]), ("2", &["admin", "support"]), ("3", &["support"])] {
        env.store.users.add_user(user(id, roles)).await.unwrap();
    }
    let revoke = || UserChange::roles(BTreeSet::new()).keeping("admin");
    assert!(changed(&env, "1", revoke()).await.done);
    for change in [revoke(), UserChange::disabled(true).keeping("admin")] {
        let refused = env.store.users.change_user("2", change).await;
        assert!(matches!(refused, Err(StoreError::Last("admin"))), "{refused:?}");
    }
    assert_eq!(env.store.users.user("2").await.unwrap(), Some(user("2", &["admin", "support"])), "nothing has changed");
    assert!(changed(&env, "3", revoke()).await.done, "who has not the role can lose no last one");
    assert!(changed(&env, "2", UserChange::roles(BTreeSet::new())).await.done, "nobody has asked");
}

pub async fn of_many_who_take_a_role_from_each_other_one_keeps_it(env: TestEnv) {
    for id in ["1", "2", "3", "4"] {
        env.store.users.add_user(user(id, &["admin"])).await.unwrap();
    }
    let revoke = |id: &'static str| {
        let users = env.store.users.clone();
        async move { users.change_user(id, UserChange::roles(BTreeSet::new()).keeping("admin")).await }
    };
    let answers = futures::future::join_all(["1", "2", "3", "4"].map(revoke)).await;
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Err(StoreError::Last(_)))).count(), 1, "{answers:?}");
}

pub async fn what_another_process_has_told_of_an_account_is_kept(mut env: TestEnv) {
    env.store.users.hear_epoch("1", 3, 100).await.unwrap();
    env.store.users.hear_epoch("1", 2, 90).await.unwrap();
    env.reopen().await;
    assert_eq!(env.store.users.standing("1").await.unwrap(), Some(Standing::Heard { epoch: 3, at: 100 }), "what came late is old");
    // The other process has put a backup back.
    env.store.users.hear_epoch("1", 1, 200).await.unwrap();
    assert_eq!(env.store.users.standing("1").await.unwrap(), Some(Standing::Heard { epoch: 1, at: 200 }));
}

pub async fn every_epoch_is_told_once(mut env: TestEnv) {
    for id in ["1", "2"] {
        env.store.users.add_user(user(id, &[])).await.unwrap();
    }
    assert_eq!(env.store.users.untold(9).await.unwrap(), []);
    let ada = changed(&env, "1", password("new")).await.user;
    env.reopen().await;
    assert_eq!(env.store.users.untold(9).await.unwrap(), std::slice::from_ref(&ada));
    let told = || vec![ToldEpoch { user_id: "1".into(), epoch: ada.epoch, event: event("1", ada.epoch) }];
    env.store.users.tell(told()).await.unwrap();
    env.store.users.tell(told()).await.unwrap();
    assert_eq!(env.store.users.untold(9).await.unwrap(), []);
    let events = env.store.messages.unpublished(0, 9).await.unwrap();
    assert_eq!(events.iter().map(|event| event.event_id.as_str()).collect::<Vec<_>>(), ["1-1"]);
}

pub async fn a_reset_is_good_once_and_for_its_time(mut env: TestEnv) {
    for id in ["1", "2"] {
        env.store.users.add_user(user(id, &[])).await.unwrap();
    }
    let reset = |digest: &str, user: &str, until| Reset { digest: digest.into(), user_id: user.into(), expires_at: at(until) };
    for (n, reset) in [reset("a", "1", 100), reset("b", "1", 200), reset("c", "2", 200)].into_iter().enumerate() {
        env.store.users.add_reset(reset, at(10), event("1", n as u64)).await.unwrap();
    }
    env.reopen().await;
    let of = async |digest: &str, now| env.store.users.reset_of(digest, at(now)).await.unwrap();
    assert_eq!((of("a", 99).await.as_deref(), of("a", 100).await, of("x", 10).await), (Some("1"), None, None));
    let used = |digest: &'static str, now| env.store.users.use_reset(digest, at(now), password("new"));
    assert_eq!((used("x", 10).await.unwrap(), used("a", 100).await.unwrap()), (None, None));
    assert_eq!(env.store.users.user("1").await.unwrap(), Some(user("1", &[])), "nothing has changed");
    let done = used("b", 150).await.unwrap().unwrap();
    assert_eq!((done.done, done.user.password_hash.as_str(), done.user.epoch), (true, "new", 1));
    for digest in ["a", "b"] {
        assert_eq!(used(digest, 50).await.unwrap(), None, "all of that user are used up");
    }
    assert_eq!(of("c", 150).await.as_deref(), Some("2"), "those of others are not");
    assert_eq!(env.store.messages.unpublished_count().await.unwrap(), 3);
}

pub async fn another_password_and_another_email_end_the_resets_of_before(env: TestEnv) {
    for id in ["1", "2"] {
        env.store.users.add_user(user(id, &[])).await.unwrap();
    }
    let (users, of) = (&env.store.users, async |digest: &str| env.store.users.reset_of(digest, at(50)).await.unwrap());
    let reset = |digest: &str, user: &str| Reset { digest: digest.into(), user_id: user.into(), expires_at: at(100) };
    users.add_reset(reset("kept", "2"), at(1), event("1", 1)).await.unwrap();
    users.add_reset(reset("a", "1"), at(1), event("1", 2)).await.unwrap();
    users.update_user("1", Some("another name"), None).await.unwrap();
    assert_eq!(of("a").await.as_deref(), Some("1"), "a name is nothing that a link depends on");
    users.update_user("1", None, Some("elsewhere@example.com")).await.unwrap();
    assert_eq!(of("a").await, None, "who reads the mailbox of before has the account no more");
    users.add_reset(reset("b", "1"), at(1), event("1", 3)).await.unwrap();
    users.change_user("1", password("new")).await.unwrap();
    assert_eq!((of("b").await, of("kept").await.as_deref()), (None, Some("2")));
}

pub async fn a_user_has_a_few_resets_at_most(env: TestEnv) {
    env.store.users.add_user(user("1", &[])).await.unwrap();
    for n in 0..=MAX_RESETS {
        let expires_at = at(100 + i64::try_from(n).unwrap());
        let reset = Reset { digest: format!("{n}"), user_id: "1".into(), expires_at };
        env.store.users.add_reset(reset, at(1), event("1", n as u64)).await.unwrap();
    }
    let of = async |digest: &str| env.store.users.reset_of(digest, at(50)).await.unwrap();
    assert_eq!((of("0").await, of("1").await.as_deref(), of("3").await.as_deref()), (None, Some("1"), Some("1")));
}

pub async fn users_are_searched_by_what_is_known_of_them_and_listed_in_pages(env: TestEnv) {
    for id in ["1", "2", "3"] {
        env.store.users.add_user(user(id, &[])).await.unwrap();
    }
    let found = async |search: &str, after: &str, limit| {
        let found = env.store.users.users(search, false, after, limit).await.unwrap();
        found.into_iter().map(|user| user.id).collect::<Vec<_>>()
    };
    assert_eq!(found("", "", 9).await, ["1", "2", "3"]);
    assert_eq!((found("", "1", 1).await, found("", "3", 9).await), (vec!["2".to_owned()], vec![]));
    assert_eq!((found("USER 2", "", 9).await, found("3@example", "", 9).await), (vec!["2".to_owned()], vec!["3".to_owned()]));
    assert_eq!(found("%", "", 9).await, Vec::<String>::new(), "it is no pattern");
    env.store.users.set_roles("2", &["support".to_owned()].into(), None).await.unwrap();
    let staff = env.store.users.users("", true, "", 9).await.unwrap();
    assert_eq!(staff.into_iter().map(|user| user.id).collect::<Vec<_>>(), ["2"], "who works there");
    assert!(env.store.users.users("user 1", true, "", 9).await.unwrap().is_empty());
}
