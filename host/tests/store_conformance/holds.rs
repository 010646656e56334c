//! Holds of instances, and looking for instances whatever they are.

use jiff::Timestamp;
use millrace::store::{
    Commit, Conflict, FieldChange, Found, Hold, InboxRow, Resource, RunStatus, Settled, Sighted, Sought, StepRun, StoreError, WaitingEvent,
    Was,
};

use crate::test_env::{
    TestEnv, at, change, claim, create, done, history_row, instance, moved, next_due, product, run, settling, timer, with_runs,
};

fn because(reason: &str) -> Hold {
    Hold { who: "user-9".into(), reason: reason.into(), at: at(100) }
}

fn sought() -> Sought {
    Sought { kind: "orders".into(), limit: 10, ..Sought::default() }
}

fn ids(found: &[Found]) -> Vec<&str> {
    found.iter().map(|found| found.resource.id.as_str()).collect()
}

async fn found(env: &TestEnv, sought: Sought) -> Vec<String> {
    let Sighted { found, next } = env.store.operations.find(&sought).await.unwrap();
    assert_eq!(env.store.operations.count(&sought).await.unwrap(), (found.len() as u64, true), "{sought:?}");
    assert_eq!(next, None, "{sought:?}");
    ids(&found).into_iter().map(str::to_owned).collect()
}

pub async fn nothing_of_a_held_instance_begins_until_it_is_let_go_on(env: TestEnv) {
    let store = &env.store;
    for id in ["held", "free"] {
        store.resources.commit(create(instance(id))).await.unwrap();
        let timers = vec![timer(id, "expire", 2, 20)];
        store.resources.commit(Commit { timers, ..change(moved(&instance(id), "paying")) }).await.unwrap();
    }
    store.resources.commit(with_runs([run("held", "payment"), StepRun { due_at: at(10), ..run("free", "payment") }])).await.unwrap();
    assert!(store.instances.hold("orders", "held", because("the customer calls"), None).await.unwrap());
    assert_eq!(store.instances.held("orders", "held").await.unwrap(), Some(because("the customer calls")));
    assert_eq!(store.instances.held("orders", "free").await.unwrap(), None);
    assert_eq!(store.instances.holds().await.unwrap(), [("orders".to_owned(), "held".to_owned())]);
    assert_eq!(store.operations.backlog().await.unwrap().held, 1);

    assert_eq!(next_due(store).await, Some(at(10)), "what is held is not waited for");
    let claimed: Vec<String> = claim(store, at(99), 10).await.into_iter().map(|run| run.resource_id).collect();
    assert_eq!(claimed, ["free"]);
    let due = store.instances.due_timers(at(99), 10).await.unwrap();
    assert_eq!(due.iter().map(|timer| timer.resource_id.as_str()).collect::<Vec<_>>(), ["free"]);
    assert_eq!(store.instances.timers("orders", "held").await.unwrap().len(), 1, "its timer is still there");

    assert!(store.instances.let_go("orders", "held", None).await.unwrap());
    assert!(!store.instances.let_go("orders", "held", None).await.unwrap(), "it is not held any more");
    assert_eq!(claim(store, at(99), 10).await[0].resource_id, "held");
    assert_eq!(store.instances.due_timers(at(99), 10).await.unwrap().len(), 2);
    assert_eq!(store.instances.next_timer_due().await.unwrap(), Some(at(20)));
}

pub async fn a_hold_ends_with_its_instance_and_outlives_the_process(mut env: TestEnv) {
    env.store.resources.commit(create(instance("a"))).await.unwrap();
    env.store.instances.hold("orders", "a", because("first"), None).await.unwrap();
    env.store.instances.hold("orders", "a", because("second"), None).await.unwrap();
    env.reopen().await;
    assert_eq!(env.store.instances.held("orders", "a").await.unwrap(), Some(because("second")));
    let mut ended = moved(&instance("a"), "cancelled");
    ended.workflow.as_mut().unwrap().finished = true;
    env.store.resources.commit(change(ended)).await.unwrap();
    assert_eq!(env.store.instances.held("orders", "a").await.unwrap(), None);
    assert_eq!(env.store.operations.backlog().await.unwrap().held, 0);
}

pub async fn only_an_unfinished_instance_is_held(env: TestEnv) {
    let mut ended = instance("ended");
    ended.workflow.as_mut().unwrap().finished = true;
    env.store.resources.commit(create(ended)).await.unwrap();
    env.store.resources.commit(create(product("thing"))).await.unwrap();
    for (kind, id) in [("orders", "ended"), ("products", "thing"), ("orders", "nobody")] {
        assert!(!env.store.instances.hold(kind, id, because("no"), None).await.unwrap(), "{kind} {id}");
    }
    assert!(env.store.instances.holds().await.unwrap().is_empty());
}

fn waiting(id: &str, event: &str) -> WaitingEvent {
    WaitingEvent {
        number: 0,
        kind: "orders".into(),
        id: id.into(),
        consumer: "trigger".into(),
        event_id: event.into(),
        transition: "pay".into(),
        traceparent: Some("trace".into()),
        at: at(7),
    }
}

pub async fn an_event_waits_for_a_held_instance_and_for_those_that_came_before(mut env: TestEnv) {
    for id in ["held", "free"] {
        env.store.resources.commit(create(instance(id))).await.unwrap();
    }
    env.store.instances.hold("orders", "held", because("wait"), None).await.unwrap();
    let store = &env.store;
    for (id, event) in [("free", "e1"), ("nobody", "e1")] {
        assert!(!store.instances.let_wait(waiting(id, event)).await.unwrap(), "{id} is not held");
    }
    assert!(store.instances.let_wait(waiting("held", "e1")).await.unwrap());
    assert!(store.instances.let_wait(waiting("held", "e2")).await.unwrap());
    let again = store.instances.let_wait(waiting("held", "e1")).await;
    assert!(matches!(again, Err(StoreError::Conflict(Conflict::Duplicate { .. }))), "{again:?}");
    env.reopen().await;
    let store = &env.store;
    assert_eq!(store.instances.waiting_counts().await.unwrap(), [("orders".to_owned(), "held".to_owned(), 2)]);
    assert_eq!(store.instances.waiting("orders", "held", 1).await.unwrap().len(), 1);
    let there = store.instances.waiting("orders", "held", 10).await.unwrap();
    assert_eq!(WaitingEvent { number: 0, ..there[0].clone() }, waiting("held", "e1"));
    assert!(store.instances.waiting("orders", "free", 10).await.unwrap().is_empty());

    store.instances.let_go("orders", "held", None).await.unwrap();
    assert!(store.instances.let_wait(waiting("held", "e3")).await.unwrap(), "others came before it");
    let there = store.instances.waiting("orders", "held", 10).await.unwrap();
    let events: Vec<&str> = there.iter().map(|event| event.event_id.as_str()).collect();
    assert_eq!(events, ["e1", "e2", "e3"]);
    for event in there {
        assert!(store.instances.drop_waiting(event.number).await.unwrap());
        assert!(!store.instances.drop_waiting(event.number).await.unwrap(), "it does not wait any more");
    }
    assert!(!store.instances.let_wait(waiting("held", "e4")).await.unwrap(), "nothing waits, and nobody holds it");
    let handled = InboxRow { consumer: "trigger".into(), event_id: "e2".into() };
    assert!(store.messages.handled(&handled).await.unwrap());
    assert!(!store.messages.handled(&InboxRow { event_id: "e4".into(), ..handled }).await.unwrap());
}

pub async fn no_timer_fires_while_events_wait_for_its_instance(env: TestEnv) {
    let store = &env.store;
    for id in ["a", "b"] {
        store.resources.commit(create(instance(id))).await.unwrap();
        let timers = vec![timer(id, "expire", 2, if id == "a" { 10 } else { 20 })];
        store.resources.commit(Commit { timers, ..change(moved(&instance(id), "paying")) }).await.unwrap();
    }
    store.instances.hold("orders", "a", because("wait"), None).await.unwrap();
    assert!(store.instances.let_wait(waiting("a", "e1")).await.unwrap());
    assert!(store.instances.let_go("orders", "a", None).await.unwrap());
    let due = async || -> Vec<String> {
        store.instances.due_timers(at(99), 10).await.unwrap().into_iter().map(|timer| timer.resource_id).collect()
    };
    assert_eq!(due().await, ["b"], "the event came before the timer was let fire");
    assert_eq!(store.instances.next_timer_due().await.unwrap(), Some(at(20)));
    let event = store.instances.waiting("orders", "a", 1).await.unwrap().remove(0);
    assert!(store.instances.drop_waiting(event.number).await.unwrap());
    assert_eq!(due().await, ["a", "b"]);
    assert_eq!(store.instances.next_timer_due().await.unwrap(), Some(at(10)));
}

pub async fn what_has_waited_has_its_effect_once(env: TestEnv) {
    let store = &env.store;
    let first = instance("a");
    store.resources.commit(create(first.clone())).await.unwrap();
    store.instances.hold("orders", "a", because("wait"), None).await.unwrap();
    assert!(store.instances.let_wait(waiting("a", "e1")).await.unwrap());
    let waited = store.instances.waiting("orders", "a", 1).await.unwrap().pop();
    let paid = moved(&first, "paying");
    store.resources.commit(Commit { waited: waited.clone(), ..change(moved(&paid, "late")) }).await.expect_err("it is at another version");
    assert_eq!(store.instances.waiting("orders", "a", 9).await.unwrap().len(), 1, "it still waits");
    store.resources.commit(Commit { waited: waited.clone(), ..change(paid.clone()) }).await.unwrap();
    assert!(store.instances.waiting("orders", "a", 9).await.unwrap().is_empty());
    let again = store.resources.commit(Commit { waited, ..change(moved(&paid, "paid")) }).await;
    assert!(matches!(again, Err(StoreError::Conflict(Conflict::Duplicate { .. }))), "{again:?}");
    assert_eq!(store.resources.resource("orders", "a").await.unwrap().unwrap().state, "paying");
}

pub async fn an_instance_is_hurried_and_its_runs_that_were_set_aside_get_another_chance(env: TestEnv) {
    let store = &env.store;
    let later = env.clock.steady() + jiff::SignedDuration::from_hours(1);
    let waiting = StepRun { due_at: later, ..run("a", "payment") };
    store.resources.commit(with_runs([waiting, run("a", "shipping"), StepRun { due_at: later, ..run("b", "payment") }])).await.unwrap();
    let held = store.instances.claim_run("a:shipping:1").await.unwrap().unwrap();
    store.resources.commit(settling(Settled { status: RunStatus::Quarantined, ..done(&held) })).await.unwrap();
    let aside: Vec<String> = store.operations.set_aside(10).await.unwrap().into_iter().map(|run| run.key).collect();
    assert_eq!(aside, ["a:shipping:1"]);
    assert_eq!(store.instances.hurry("orders", "a", None).await.unwrap(), 2);
    assert_eq!(store.instances.hurry("orders", "a", None).await.unwrap(), 0, "there is nothing left to hurry");
    assert_eq!(claim(store, env.clock.steady(), 10).await.len(), 2, "that of the other instance waits");
    assert!(store.operations.set_aside(10).await.unwrap().is_empty());
    assert!(!store.operations.release_run("a:shipping:1", None).await.unwrap(), "it is not set aside any more");
}

/// Three instances and a thing that is none.
async fn filled(env: &TestEnv) {
    let mut other = instance("order-b");
    other.owner = Some("user-2".into());
    other.created_at = at(10);
    let mut ended = Resource { created_at: at(20), updated_at: at(500), state: "delivered".into(), ..instance("order-c") };
    let progress = ended.workflow.as_mut().unwrap();
    (progress.finished, progress.attention) = (true, Some("look".into()));
    for resource in [instance("order-a"), other, ended, product("thing")] {
        env.store.resources.commit(create(resource)).await.unwrap();
    }
    let history = vec![history_row(2)];
    let moved = Commit { history, ..change(moved(&instance("order-a"), "paying")) };
    env.store.resources.commit(moved).await.unwrap();
    env.store.instances.hold("orders", "order-b", because("wait"), None).await.unwrap();
}

pub async fn instances_are_found_by_what_they_are(env: TestEnv) {
    filled(&env).await;
    let all = ["order-c", "order-b", "order-a"];
    assert_eq!(found(&env, sought()).await, all);
    assert_eq!(found(&env, Sought { kind: "products".into(), ..sought() }).await, [""; 0], "what has no workflow is none");
    let text = |text: &str| Some(text.to_owned());
    let cases: &[(Sought, &[&str])] = &[
        (Sought { workflow: text("order-processing"), ..sought() }, &all[..]),
        (Sought { workflow: text("other"), ..sought() }, &[]),
        (Sought { state: text("paying"), ..sought() }, &["order-a"]),
        (Sought { finished: Some(false), ..sought() }, &["order-b", "order-a"]),
        (Sought { finished: Some(true), ..sought() }, &["order-c"]),
        (Sought { finished: Some(false), owner: text("user-1"), ..sought() }, &["order-a"]),
        (Sought { attention: true, ..sought() }, &["order-c"]),
        (Sought { held: true, ..sought() }, &["order-b"]),
        (Sought { owner: text("user-2"), ..sought() }, &["order-b"]),
        (Sought { digest: text("abab"), ..sought() }, &["order-a"]),
        (Sought { digest: text("abac"), ..sought() }, &[]),
        (Sought { text: text("er-b"), ..sought() }, &["order-b"]),
        (Sought { text: text("%"), ..sought() }, &[]),
        (Sought { text: text("order-b"), ..sought() }, &["order-b"]),
        (Sought { text: text("order-b"), state: text("paying"), ..sought() }, &[]),
        (Sought { unchanged_since: Some(at(60)), ..sought() }, &["order-b"]),
        (Sought { attention: true, held: true, ..sought() }, &[]),
    ];
    for (sought, expected) in cases {
        assert_eq!(found(&env, sought.clone()).await, *expected, "{sought:?}");
    }
    let held = env.store.operations.find(&Sought { held: true, ..sought() }).await.unwrap().found;
    assert_eq!(held[0].hold, Some(because("wait")));
    assert_eq!(env.store.operations.kinds().await.unwrap(), ["orders", "products"]);
}

pub async fn pages_of_what_is_sought_have_no_gap_and_no_repetition(env: TestEnv) {
    for number in 0..25 {
        // Some are created at the same moment.
        let resource = Resource { created_at: at(number / 3), ..instance(&format!("order-{number:02}")) };
        env.store.resources.commit(create(resource)).await.unwrap();
    }
    for finished in [None, Some(false)] {
        let seen = walked(&env, &Sought { finished, limit: 7, ..sought() }).await;
        assert_eq!(seen.len(), 25);
        assert!(seen.is_sorted_by(|one, next| one > next), "the newest come first, each once");
    }
}

/// Creation and id of all that is found, page by page.
async fn walked(env: &TestEnv, sought: &Sought) -> Vec<(Timestamp, String)> {
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = env.store.operations.find(&Sought { after: after.clone(), ..sought.clone() }).await.unwrap();
        seen.extend(page.found.into_iter().map(|found| (found.resource.created_at, found.resource.id)));
        let Some(next) = page.next else { return seen };
        assert!(after.is_none_or(|after| next < after), "it gets on");
        after = Some(next);
    }
}

pub async fn a_look_ends_after_so_many_instances_and_says_where_to_go_on(env: TestEnv) {
    for number in 0..25 {
        let resource = Resource { created_at: at(number), ..instance(&format!("order-{number:02}")) };
        env.store.resources.commit(create(resource)).await.unwrap();
    }
    let rare = Sought { text: Some("r-07".into()), look_at: 5, ..sought() };
    let first = env.store.operations.find(&rare).await.unwrap();
    assert_eq!((first.found.len(), first.next), (0, Some((at(20), "order-20".into()))), "it is older than the five that were looked at");
    assert_eq!(env.store.operations.count(&rare).await.unwrap(), (0, false));
    assert_eq!(walked(&env, &rare).await, [(at(7), "order-07".to_owned())]);
    let known = Sought { text: Some("order-07".into()), ..rare };
    assert_eq!(found(&env, known).await, ["order-07"], "by its whole id it is found at once");
    let all = Sought { look_at: 10, limit: 3, ..sought() };
    assert_eq!(walked(&env, &all).await.len(), 25);
    assert_eq!(env.store.operations.count(&all).await.unwrap(), (3, false));
}

pub async fn what_a_transition_has_changed_is_told_newest_first(mut env: TestEnv) {
    let change = |name: &str, was: Was| FieldChange { name: name.into(), was };
    let first = vec![change("transaction", Was::Absent), change("card", Was::NotKept)];
    let second = vec![change("transaction", Was::Value("t-1".into())), change("reason", Was::Absent)];
    for id in ["a", "b"] {
        let created = Commit { history: vec![history_row(1), history_row(2)], changes: first.clone(), ..create(instance(id)) };
        env.store.resources.commit(created).await.unwrap();
    }
    let later = Commit { history: vec![history_row(3)], changes: second.clone(), ..change_of("a") };
    env.store.resources.commit(later).await.unwrap();
    env.reopen().await;
    let told = async |between, limit| env.store.operations.changes("orders", "a", between, limit).await.unwrap();
    assert_eq!(told((1, u64::MAX), 10).await, [(3, second.clone()), (1, first.clone())], "they are those of the first row of a commit");
    assert_eq!(told((1, u64::MAX), 1).await, [(3, second.clone())]);
    assert_eq!(told((2, 3), 10).await, []);
    assert_eq!(told((1, 3), 10).await, [(1, first.clone())]);
    // A component that names its fields as it likes.
    let own = (0..1_100).map(|number| {
        let changes = vec![change(&format!("field {number}"), Was::Absent)];
        env.store.resources.commit(Commit { history: vec![history_row(1)], changes, ..create(instance(&format!("own-{number}"))) })
    });
    assert!(futures::future::join_all(own).await.iter().all(Result::is_ok));
    for number in [0, 500, 1_099] {
        let told = env.store.operations.changes("orders", &format!("own-{number}"), (1, 9), 10).await.unwrap();
        assert_eq!(told, [(1, vec![change(&format!("field {number}"), Was::Absent)])]);
    }
}

fn change_of(id: &str) -> Commit {
    change(moved(&instance(id), "paying"))
}
