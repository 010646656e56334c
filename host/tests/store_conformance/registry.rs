//! What one process leaves for the next, and what the store tells about itself.

use millrace::store::{Backlog, Commit, DeadLetter, Listing, RunStatus, StepRun, StoreError};
use millrace_workflow::{Definition, State, Transition};

use crate::test_env::{TestEnv, at, change, create, event, first_stocked, instance, moved, product, run, timer};

fn definition() -> Definition {
    let state = |is_final| State { description: "a state".into(), is_final, is_error: false };
    let end = Transition { from: "new".into(), to: "end".into(), automatic: true, ..Transition::default() };
    Definition {
        name: "returns".into(),
        description: "goods that come back".into(),
        initial_state: "new".into(),
        initial_transition: None,
        states: [("new".to_owned(), state(false)), ("end".to_owned(), state(true))].into(),
        transitions: [("finish".to_owned(), end)].into(),
        steps: [].into(),
        hooks: Vec::new(),
    }
}

pub async fn a_machine_is_kept_under_its_digest(mut env: TestEnv) {
    env.store.instances.put_machine("d1", &definition()).await.unwrap();
    env.store.instances.put_machine("d1", &definition()).await.unwrap();
    env.reopen().await;
    assert_eq!(env.store.instances.machine("d1").await.unwrap(), Some(definition()));
    assert_eq!(env.store.instances.machine("d2").await.unwrap(), None);
}

pub async fn the_last_good_digest_of_a_component_is_kept(mut env: TestEnv) {
    let pairs =
        |versions: &[(&str, &str)]| versions.iter().map(|(name, digest)| ((*name).to_owned(), (*digest).to_owned())).collect::<Vec<_>>();
    for versions in [&[("payment", "1")][..], &[("inventory", "2"), ("payment", "3")]] {
        env.store.operations.put_components(&pairs(versions)).await.unwrap();
    }
    env.reopen().await;
    assert_eq!(env.store.operations.components().await.unwrap(), pairs(&[("inventory", "2"), ("payment", "3")]));
}

pub async fn unfinished_instances_are_counted_by_their_definition(env: TestEnv) {
    let of = |id: &str, machine: &str, finished: bool| {
        let mut resource = instance(id);
        let progress = resource.workflow.as_mut().unwrap();
        progress.machine = machine.into();
        progress.finished = finished;
        resource
    };
    for resource in [of("a", "old", false), of("b", "new", false), of("c", "old", false), of("d", "older", true)] {
        env.store.resources.commit(create(resource)).await.unwrap();
    }
    env.store.resources.commit(create(product("1"))).await.unwrap();
    let mut renamed = of("e", "old", false);
    renamed.kind = "purchases".into();
    env.store.resources.commit(create(renamed)).await.unwrap();
    let pinned = env.store.instances.pinned().await.unwrap();
    let found: Vec<_> =
        pinned.iter().map(|one| (one.workflow.as_str(), one.definition.as_str(), one.kind.as_str(), one.instances)).collect();
    let workflow = "order-processing";
    assert_eq!(found, [(workflow, "new", "orders", 1), (workflow, "old", "orders", 2), (workflow, "old", "purchases", 1)]);
}

pub async fn unfinished_instances_are_counted_by_their_owner(mut env: TestEnv) {
    let of = |id: &str, owner: Option<&str>, state: &str| {
        let mut resource = instance(id);
        resource.owner = owner.map(str::to_owned);
        resource.state = state.into();
        resource
    };
    let mut finished = of("f", Some("ada"), "paying");
    finished.workflow.as_mut().unwrap().finished = true;
    let mut other = of("a", Some("ada"), "paying");
    other.kind = "returns".into();
    let held = [of("a", Some("bob"), "paying"), of("b", Some("ada"), "paying"), of("c", Some("ada"), "reserving")];
    let others = [of("d", Some("ada"), "shipping"), of("e", None, "paying"), finished, other, product("1")];
    for resource in held.into_iter().chain(others) {
        env.store.resources.commit(create(resource)).await.unwrap();
    }
    let states = ["paying", "reserving"].map(str::to_owned);
    for _ in 0..2 {
        let expected = [("ada", 2), ("bob", 1)].map(|(owner, count)| (owner.to_owned(), count));
        assert_eq!(env.store.instances.unfinished_by_owner("orders", &states).await.unwrap(), expected);
        assert_eq!(env.store.instances.unfinished_by_owner("orders", &[]).await.unwrap(), []);
        env.reopen().await;
    }
}

pub async fn the_backlog_counts_what_waits(env: TestEnv) {
    let store = &env.store;
    assert_eq!(store.operations.backlog().await.unwrap(), millrace::store::Backlog::default());
    let began = env.clock.steady();
    let parked = StepRun { status: RunStatus::Quarantined, ..run("a", "payment") };
    let outbox = vec![event("a", 1), event("a", 2)];
    let timers = vec![timer("a", "expire", 1, 5)];
    store.resources.commit(Commit { runs: vec![parked], outbox, timers, ..create(instance("a")) }).await.unwrap();
    let mut finished = instance("b");
    finished.workflow.as_mut().unwrap().finished = true;
    finished.workflow.as_mut().unwrap().attention = Some("look".into());
    store.resources.commit(create(finished)).await.unwrap();
    let mut other = instance("c");
    other.workflow.as_mut().unwrap().workflow = "returns".into();
    store.resources.commit(create(other)).await.unwrap();
    store.resources.commit(create(product("1"))).await.unwrap();
    let letter = DeadLetter { id: 0, consumer: "c".into(), event: event("a", 1), reason: "r".into(), at: at(0) };
    store.messages.add_dead_letter(letter).await.unwrap();
    env.pass_an_hour();
    store.resources.commit(Commit { outbox: vec![event("b", 1)], ..Commit::default() }).await.unwrap();

    let backlog = store.operations.backlog().await.unwrap();
    let counts = (backlog.outbox, backlog.parked, backlog.attention, backlog.timers, backlog.dead_letters);
    assert_eq!(counts, (3, 1, 1, 1, 1));
    assert_eq!(backlog.active, [("order-processing".to_owned(), 1), ("returns".to_owned(), 1)]);
    let age = env.clock.steady().duration_since(backlog.oldest_outbox.unwrap());
    assert!(age.as_secs() >= 3_600 && age <= env.clock.steady().duration_since(began) + jiff::SignedDuration::from_millis(1));
    store.messages.mark_published(&[1, 2]).await.unwrap();
    assert!(store.operations.backlog().await.unwrap().oldest_outbox > backlog.oldest_outbox);
}

pub async fn the_backlog_tells_what_is_late_and_who_kills_processes(env: TestEnv) {
    let store = &env.store;
    let crashed = |id, component: &str, crashes| StepRun {
        status: RunStatus::Quarantined,
        crashes,
        component: component.into(),
        ..run(id, "payment")
    };
    let soon = StepRun { due_at: env.clock.steady() + jiff::SignedDuration::from_mins(65), ..run("d", "shipping") };
    let runs = [crashed("a", "z", 3), crashed("b", "z", 3), crashed("c", "never-crashed", 0), soon, run("e", "inventory")];
    let timers = vec![timer("old", "expire", 1, 5)];
    store.resources.commit(Commit { runs: runs.into(), timers, ..create(instance("old")) }).await.unwrap();
    env.pass_an_hour();
    let young = instance("young");
    store.resources.commit(create(young.clone())).await.unwrap();
    let mut finished = instance("finished");
    finished.updated_at = at(-1_000);
    finished.workflow.as_mut().unwrap().finished = true;
    store.resources.commit(create(finished)).await.unwrap();

    let backlog = store.operations.backlog().await.unwrap();
    assert_eq!((backlog.due, &backlog.quarantined[..]), (2, &["z".to_owned()][..]), "the run of the future is not due");
    let oldest = |backlog: &Backlog| {
        let [(workflow, changed)] = &backlog.oldest_active[..] else { panic!("{backlog:?}") };
        assert_eq!(workflow, "order-processing");
        env.clock.steady().duration_since(*changed).as_hours()
    };
    assert_eq!(oldest(&backlog), 1, "by the time that has passed, whatever the dates of its rows are");
    env.pass_an_hour();
    assert_eq!(store.operations.backlog().await.unwrap().due, 3);
    store.resources.commit(change(moved(&instance("old"), "paying"))).await.unwrap();
    env.clock.set(jiff::SignedDuration::from_hours(-24));
    assert_eq!(
        oldest(&store.operations.backlog().await.unwrap()),
        1,
        "the other one is the oldest now, and a date that was set back changes nothing"
    );
    let expected = [("order-processing", "paying", 1), ("order-processing", "reserving", 1)];
    assert_eq!(
        store.instances.unfinished().await.unwrap(),
        expected.map(|(workflow, state, n)| (workflow.to_owned(), state.to_owned(), n))
    );
}

pub async fn a_store_that_can_write_says_so(env: TestEnv) {
    env.store.operations.try_write().await.unwrap();
    assert_eq!(env.store.operations.refused(), None);
    let space = env.store.operations.space().unwrap();
    assert_eq!(space.is_some(), env.is_on_a_disk());
    assert!(space.as_ref().is_none_or(|space| space.wal > 0 && space.free <= space.size && space.size > 0), "{space:?}");
    env.store.operations.close().await;
    assert!(matches!(env.store.operations.try_write().await, Err(StoreError::Fatal(_))));
}

pub async fn epochs_grow(mut env: TestEnv) {
    let first = env.store.instances.epoch();
    env.reopen().await;
    assert_eq!(env.store.instances.epoch(), first + 1);
}

pub async fn each_store_has_an_identity_that_stays(mut env: TestEnv) {
    let first = env.store.instances.identity().to_owned();
    env.reopen().await;
    assert_eq!(env.store.instances.identity(), first);
    assert!(first.len() >= 16, "{first:?} may be that of another store");
}

pub async fn commits_are_counted(env: TestEnv) {
    let before = env.store.operations.commit_stats();
    env.store.resources.commit(create(product("1"))).await.unwrap();
    env.store.resources.commit(first_stocked("1", 1)).await.unwrap();
    let after = env.store.operations.commit_stats();
    assert_eq!((after.units - before.units, after.commits - before.commits), (2, 2));
    assert!(after.busy > before.busy);
}

pub async fn a_closed_store_answers_that_it_is_closed(env: TestEnv) {
    env.store.operations.close().await;
    env.store.operations.close().await;
    let read = env.store.resources.resource("products", "1").await;
    assert!(matches!(read, Err(StoreError::Fatal(_))), "{read:?}");
    let list = env.store.resources.resources(&Listing::default()).await;
    assert!(matches!(list, Err(StoreError::Fatal(_))), "{list:?}");
    let write = env.store.resources.commit(create(product("1"))).await;
    assert_eq!(write.unwrap_err().to_string(), "the store failed: the store is closed");
}
