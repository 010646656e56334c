//! Claims, fences, recovery and timers.

use std::collections::BTreeSet;

use millrace::store::{Commit, Conflict, Line, RunStatus, Settled, StepRun};
use millrace_workflow::RunKind;

use crate::test_env::{
    TestEnv, all_at_once, at, change, claim, conflict, create, done, instance, moved, next_due, run, settling, timer, with_runs,
};

fn due(id: &str, seconds: i64) -> StepRun {
    StepRun { due_at: at(seconds), ..run(id, "payment") }
}

fn ids(runs: &[StepRun]) -> Vec<&str> {
    runs.iter().map(|run| run.resource_id.as_str()).collect()
}

pub async fn due_runs_are_claimed_oldest_first(env: TestEnv) {
    let store = &env.store;
    assert_eq!(next_due(store).await, None);
    store.resources.commit(with_runs([due("c", 30), due("a", 10), due("b", 20), due("a2", 10)])).await.unwrap();
    assert_eq!(next_due(store).await, Some(at(10)));
    assert!(claim(store, at(9), 10).await.is_empty(), "none is due");
    let first = claim(store, at(20), 2).await;
    assert_eq!(ids(&first), ["a", "a2"]);
    let expected = StepRun { status: RunStatus::Running, owner: Some(store.instances.epoch()), fence: 1, ..due("a", 10) };
    assert_eq!(first[0], expected);
    assert_eq!(store.instances.runs("orders", "a").await.unwrap(), [expected]);
    assert_eq!(ids(&claim(store, at(20), 10).await), ["b"]);
    assert_eq!(next_due(store).await, Some(at(30)));
}

fn line(component: &str, again: bool) -> Line {
    Line { component: component.into(), again }
}

pub async fn runs_stand_in_lines_by_component_and_first_attempts_apart(env: TestEnv) {
    let store = &env.store;
    assert_eq!(store.instances.lines().await.unwrap(), []);
    let retried = StepRun { attempt: 2, ..due("retried", 10) };
    let returned = StepRun { visit: 2, ..due("returned", 5) };
    let event = StepRun { kind: millrace_workflow::RunKind::Task, visit: 7, ..due("event", 40) };
    let other = StepRun { due_at: at(20), ..run("other", "shipping") };
    store.resources.commit(with_runs([retried, returned, event, other, due("first", 30)])).await.unwrap();
    let payment = |again| line("payment-component", again);
    let shipping = line("shipping-component", false);
    let expected = [(payment(false), at(30)), (payment(true), at(5)), (shipping.clone(), at(20))];
    assert_eq!(store.instances.lines().await.unwrap(), expected);
    assert!(store.instances.claim_runs(&line("no-such-component", false), at(99), 10).await.unwrap().is_empty());
    assert_eq!(ids(&store.instances.claim_runs(&payment(false), at(99), 10).await.unwrap()), ["first", "event"]);
    assert_eq!(ids(&store.instances.claim_runs(&payment(true), at(9), 10).await.unwrap()), ["returned"]);
    assert_eq!(ids(&store.instances.claim_runs(&shipping, at(99), 10).await.unwrap()), ["other"]);
    assert_eq!(store.instances.lines().await.unwrap(), [(payment(true), at(10))]);
}

pub async fn a_run_is_claimed_by_its_key_while_it_is_ready(env: TestEnv) {
    let store = &env.store;
    store.resources.commit(with_runs([due("a", 100), due("b", 0)])).await.unwrap();
    let key = due("a", 100).key;
    let claimed = store.instances.claim_run(&key).await.unwrap();
    let expected = StepRun { status: RunStatus::Running, owner: Some(store.instances.epoch()), fence: 1, ..due("a", 100) };
    assert_eq!(claimed, Some(expected.clone()));
    assert_eq!(store.instances.claim_run(&key).await.unwrap(), None, "it is claimed");
    assert_eq!(store.instances.claim_run("no such run").await.unwrap(), None);
    let [set_aside, quarantined] =
        [("c", RunStatus::Stranded), ("d", RunStatus::Quarantined)].map(|(id, status)| StepRun { status, ..due(id, 0) });
    store.resources.commit(with_runs([set_aside.clone(), quarantined.clone()])).await.unwrap();
    assert!(store.instances.claim_run(&set_aside.key).await.unwrap().is_some_and(|run| run.status == RunStatus::Running));
    assert_eq!(store.instances.claim_run(&quarantined.key).await.unwrap(), None, "it waits for a person");
    assert_eq!(store.instances.runs("orders", "a").await.unwrap(), [expected]);
}

pub async fn what_this_process_has_claimed_is_known(mut env: TestEnv) {
    env.store.resources.commit(with_runs([held("old", env.store.instances.epoch())])).await.unwrap();
    env.reopen().await;
    let store = &env.store;
    store.resources.commit(with_runs([held("a", store.instances.epoch()), due("b", 10), due("c", 0)])).await.unwrap();
    let c = claim(store, at(5), 10).await.remove(0);
    assert_eq!(ids(&store.instances.claimed().await.unwrap()), ["a", "c"]);
    store.resources.commit(settling(done(&c))).await.unwrap();
    assert_eq!(ids(&store.instances.claimed().await.unwrap()), ["a"]);
}

pub async fn no_run_is_claimed_twice(env: TestEnv) {
    let runs = (0..200).map(|n| run(&n.to_string(), "payment"));
    env.store.resources.commit(with_runs(runs)).await.unwrap();
    let claims = all_at_once((0..40).map(|_| {
        let store = env.store.clone();
        async move { claim(&store, at(0), 7).await }
    }))
    .await;
    let claimed: Vec<String> = claims.into_iter().flatten().map(|run| run.key).collect();
    let distinct: BTreeSet<&String> = claimed.iter().collect();
    assert_eq!((claimed.len(), distinct.len()), (200, 200));
}

fn held(id: &str, epoch: u64) -> StepRun {
    StepRun { status: RunStatus::Running, owner: Some(epoch), fence: 1, ..run(id, "payment") }
}

pub async fn a_run_added_as_running_is_held_by_who_added_it(env: TestEnv) {
    let store = &env.store;
    let run = held("a", store.instances.epoch());
    store.resources.commit(with_runs([run.clone()])).await.unwrap();
    assert!(claim(store, at(99), 10).await.is_empty());
    store.resources.commit(settling(done(&run))).await.unwrap();
    let ended = &store.instances.runs("orders", "a").await.unwrap()[0];
    assert_eq!((ended.status, ended.owner), (RunStatus::Done, None));
}

pub async fn a_late_answer_is_discarded(mut env: TestEnv) {
    let run = held("a", env.store.instances.epoch());
    env.store.resources.commit(Commit { runs: vec![run.clone()], ..create(instance("a")) }).await.unwrap();
    env.reopen().await;
    let store = &env.store;
    store.instances.recover_runs(&[], 3).await.unwrap();
    let taken_over = claim(store, at(0), 1).await.remove(0);
    assert_eq!(taken_over.fence, 2);
    let late = Commit { settled: Some(done(&run)), ..change(moved(&instance("a"), "late")) };
    assert_eq!(conflict(store.resources.commit(late).await), Conflict::Fence { key: run.key.clone(), fence: 1 });
    assert_eq!(store.resources.resource("orders", "a").await.unwrap(), Some(instance("a")));
    store.resources.commit(settling(done(&taken_over))).await.unwrap();
    let twice = conflict(store.resources.commit(settling(done(&taken_over))).await);
    assert_eq!(twice, Conflict::Fence { key: run.key, fence: 2 });
}

pub async fn an_answer_for_a_process_that_is_gone_is_discarded(mut env: TestEnv) {
    let run = held("a", env.store.instances.epoch());
    env.store.resources.commit(with_runs([run.clone()])).await.unwrap();
    env.reopen().await;
    let late = conflict(env.store.resources.commit(settling(done(&run))).await);
    assert_eq!(late, Conflict::Fence { key: run.key.clone(), fence: 1 }, "the fence is right, but another process held it");
    assert_eq!(env.store.instances.runs("orders", "a").await.unwrap(), [run]);
}

pub async fn a_settled_run_can_be_tried_again_later(env: TestEnv) {
    let store = &env.store;
    let first = held("a", store.instances.epoch());
    store.resources.commit(with_runs([first.clone()])).await.unwrap();
    let again = Settled { status: RunStatus::Ready, attempt: 2, due_at: at(50), error: Some("no answer".into()), ..done(&first) };
    store.resources.commit(settling(again)).await.unwrap();
    assert!(claim(store, at(49), 10).await.is_empty());
    let second = claim(store, at(50), 10).await.remove(0);
    assert_eq!((second.attempt, second.fence, second.last_error.as_deref()), (2, 2, Some("no answer")));
    store.resources.commit(settling(done(&second))).await.unwrap();
    let ended = store.instances.runs("orders", "a").await.unwrap().remove(0);
    assert_eq!((ended.status, ended.due_at, ended.last_error.as_deref()), (RunStatus::Done, at(50), Some("no answer")));
    assert_eq!(next_due(store).await, None);
}

pub async fn runs_of_a_process_that_is_gone_become_ready(mut env: TestEnv) {
    let (a, b) = (held("a", env.store.instances.epoch()), held("b", env.store.instances.epoch()));
    let ended = StepRun { status: RunStatus::Done, owner: None, ..held("c", env.store.instances.epoch()) };
    env.store.resources.commit(with_runs([a.clone(), b.clone(), ended.clone(), due("d", 5)])).await.unwrap();
    env.reopen().await;
    let store = &env.store;
    assert!(claim(store, at(0), 10).await.is_empty());
    assert!(store.instances.recover_runs(std::slice::from_ref(&a.key), 3).await.unwrap().is_empty());
    let recovered = store.instances.runs("orders", "a").await.unwrap().remove(0);
    assert_eq!(recovered, StepRun { status: RunStatus::Ready, owner: None, crashes: 1, ..a });
    assert_eq!(store.instances.runs("orders", "b").await.unwrap()[0].crashes, 0);
    assert_eq!(store.instances.runs("orders", "c").await.unwrap(), [ended]);
    let claimed = claim(store, at(0), 10).await;
    assert_eq!(ids(&claimed), ["a", "b"]);
    assert_eq!(claimed[0].fence, 2);
}

pub async fn runs_of_this_process_are_not_recovered(env: TestEnv) {
    let run = held("a", env.store.instances.epoch());
    env.store.resources.commit(with_runs([run.clone()])).await.unwrap();
    assert!(env.store.instances.recover_runs(std::slice::from_ref(&run.key), 1).await.unwrap().is_empty());
    assert_eq!(env.store.instances.runs("orders", "a").await.unwrap(), [run]);
}

pub async fn a_run_that_kills_processes_is_parked(mut env: TestEnv) {
    let (bad, good) = (held("bad", env.store.instances.epoch()), held("good", env.store.instances.epoch()));
    env.store.resources.commit(with_runs([bad.clone(), good.clone()])).await.unwrap();
    for crash in 1..=3 {
        env.reopen().await;
        let parked = env.store.instances.recover_runs(std::slice::from_ref(&bad.key), 3).await.unwrap();
        assert_eq!(ids(&parked), if crash == 3 { vec!["bad"] } else { vec![] });
        let claimed = claim(&env.store, at(0), 10).await;
        assert_eq!(claimed.len(), if crash == 3 { 1 } else { 2 });
    }
    let parked = env.store.instances.runs("orders", "bad").await.unwrap().remove(0);
    assert_eq!((parked.status, parked.crashes, parked.owner), (RunStatus::Quarantined, 3, None));
    assert_eq!(env.store.operations.backlog().await.unwrap().parked, 1);
    assert_eq!(env.store.instances.runs("orders", "good").await.unwrap()[0].crashes, 0);
}

pub async fn runs_of_a_component_that_wait_can_be_made_due(env: TestEnv) {
    let later = env.clock.steady() + jiff::SignedDuration::from_hours(1);
    let waiting = |id, name| StepRun { due_at: later, ..run(id, name) };
    let parked = StepRun { status: RunStatus::Quarantined, ..waiting("d", "payment") };
    env.store.resources.commit(with_runs([waiting("a", "payment"), run("b", "payment"), waiting("c", "shipping"), parked])).await.unwrap();
    assert_eq!(env.store.instances.wake("no-such-component").await.unwrap(), 0);
    assert_eq!(env.store.instances.wake("payment-component").await.unwrap(), 1);
    let claimed = claim(&env.store, env.clock.steady(), 10).await;
    assert_eq!(ids(&claimed), ["b", "a"]);
    assert!(claimed.iter().all(|run| run.attempt == 1), "to wait is no attempt");
}

pub async fn parked_runs_of_a_component_can_be_made_ready(env: TestEnv) {
    let parked = |id, name| StepRun { status: RunStatus::Quarantined, crashes: 3, fence: 3, ..run(id, name) };
    let all = [parked("a", "payment"), parked("b", "payment"), parked("c", "shipping")];
    env.store.resources.commit(with_runs(all)).await.unwrap();
    assert_eq!(env.store.instances.release_quarantined("no-such-component").await.unwrap(), 0);
    assert_eq!(env.store.instances.release_quarantined("payment-component").await.unwrap(), 2);
    assert_eq!(env.store.operations.backlog().await.unwrap().parked, 1);
    let claimed = claim(&env.store, at(0), 10).await;
    assert_eq!(ids(&claimed), ["a", "b"]);
    assert!(claimed.iter().all(|run| run.crashes == 0 && run.fence == 4));
}

pub async fn stranded_runs_are_set_aside_until_the_next_start(mut env: TestEnv) {
    let later = env.clock.now() + jiff::SignedDuration::from_hours(1);
    let stranded = |id, kind| StepRun { status: RunStatus::Stranded, kind, attempt: 2, due_at: later, ..run(id, "payment") };
    let all = [stranded("a", RunKind::Step), stranded("b", RunKind::Undo), run("c", "shipping")];
    env.store.resources.commit(with_runs(all)).await.unwrap();
    assert_eq!(ids(&claim(&env.store, later, 10).await), ["c"]);
    assert_eq!(env.store.operations.backlog().await.unwrap().parked, 2, "a person has to know");
    env.reopen().await;
    assert!(env.store.instances.recover_runs(&[], 3).await.unwrap().is_empty(), "nothing is parked");
    let claimed = claim(&env.store, env.clock.now(), 10).await;
    let mut found: Vec<_> = claimed.iter().map(|run| (run.resource_id.as_str(), run.kind, run.attempt)).collect();
    found.sort_by_key(|(id, ..)| *id);
    assert_eq!(found, [("a", RunKind::Step, 2), ("b", RunKind::Undo, 2), ("c", RunKind::Step, 1)], "to be set aside is no attempt");
}

pub async fn runs_of_a_resource_are_listed_oldest_first(env: TestEnv) {
    let names = ["payment", "inventory", "shipping"];
    for name in names {
        env.store.resources.commit(with_runs([run("a", name), run("b", name)])).await.unwrap();
    }
    let found = env.store.instances.runs("orders", "a").await.unwrap();
    assert_eq!(found, names.map(|name| run("a", name)));
    assert!(env.store.instances.runs("returns", "a").await.unwrap().is_empty());
}

pub async fn timers_are_replaced_by_every_change(env: TestEnv) {
    let store = &env.store;
    let (first, second) = (instance("a"), moved(&instance("a"), "paying"));
    let both = vec![timer("a", "expire", 1, 100), timer("a", "remind", 1, 50)];
    store.resources.commit(Commit { timers: both.clone(), ..create(first) }).await.unwrap();
    store.resources.commit(Commit { timers: vec![timer("b", "expire", 1, 60)], ..create(instance("b")) }).await.unwrap();
    assert_eq!(store.instances.due_timers(at(100), 10).await.unwrap(), [both[1].clone(), timer("b", "expire", 1, 60), both[0].clone()]);
    store.resources.commit(Commit { timers: vec![timer("a", "expire", 2, 200)], ..change(second.clone()) }).await.unwrap();
    assert_eq!(store.instances.due_timers(at(999), 10).await.unwrap(), [timer("b", "expire", 1, 60), timer("a", "expire", 2, 200)]);
    store.resources.commit(change(moved(&second, "shipping"))).await.unwrap();
    assert_eq!(store.instances.due_timers(at(999), 10).await.unwrap(), [timer("b", "expire", 1, 60)]);
    assert_eq!(store.operations.backlog().await.unwrap().timers, 1);
}

pub async fn timers_of_a_resource_come_earliest_first(env: TestEnv) {
    let both = vec![timer("a", "expire", 1, 100), timer("a", "remind", 1, 50)];
    env.store.resources.commit(Commit { timers: both.clone(), ..create(instance("a")) }).await.unwrap();
    env.store.resources.commit(Commit { timers: vec![timer("b", "expire", 1, 60)], ..create(instance("b")) }).await.unwrap();
    assert_eq!(env.store.instances.timers("orders", "a").await.unwrap(), [both[1].clone(), both[0].clone()]);
    assert!(
        env.store.instances.timers("orders", "c").await.unwrap().is_empty()
            && env.store.instances.timers("returns", "a").await.unwrap().is_empty()
    );
}

pub async fn timers_stay_when_only_a_run_is_settled(env: TestEnv) {
    let run = held("a", env.store.instances.epoch());
    let timers = vec![timer("a", "expire", 1, 100)];
    env.store.resources.commit(Commit { timers: timers.clone(), runs: vec![run.clone()], ..create(instance("a")) }).await.unwrap();
    env.store.resources.commit(settling(done(&run))).await.unwrap();
    assert_eq!(env.store.instances.due_timers(at(100), 10).await.unwrap(), timers);
}

pub async fn a_timer_is_added_where_nothing_changes_and_takes_no_later_ones_place(env: TestEnv) {
    let store = &env.store;
    let added = |timer| Commit { timers: vec![timer], ..Commit::default() };
    let other = timer("a", "remind", 1, 50);
    store.resources.commit(Commit { timers: vec![other.clone()], ..create(instance("a")) }).await.unwrap();
    for due in [300, 200] {
        store.resources.commit(added(timer("a", "expire", 2, due))).await.unwrap();
        assert_eq!(store.instances.timers("orders", "a").await.unwrap(), [other.clone(), timer("a", "expire", 2, due)]);
    }
    store.resources.commit(added(timer("a", "expire", 1, 10))).await.unwrap();
    assert_eq!(store.instances.timers("orders", "a").await.unwrap(), [other, timer("a", "expire", 2, 200)], "of a version before");
    store.resources.commit(added(timer("nobody", "expire", 1, 10))).await.unwrap();
    assert!(store.instances.timers("orders", "nobody").await.unwrap().is_empty());
    assert_eq!(store.operations.backlog().await.unwrap().timers, 2);
}

pub async fn due_timers_come_earliest_first(env: TestEnv) {
    let store = &env.store;
    assert_eq!(store.instances.next_timer_due().await.unwrap(), None);
    for (id, due) in [("a", 30), ("b", 10), ("c", 20)] {
        store.resources.commit(Commit { timers: vec![timer(id, "expire", 1, due)], ..create(instance(id)) }).await.unwrap();
    }
    assert_eq!(store.instances.next_timer_due().await.unwrap(), Some(at(10)));
    assert!(store.instances.due_timers(at(9), 10).await.unwrap().is_empty());
    assert_eq!(store.instances.due_timers(at(30), 2).await.unwrap(), [timer("b", "expire", 1, 10), timer("c", "expire", 1, 20)]);
    assert_eq!(store.instances.due_timers(at(29), 10).await.unwrap().len(), 2);
}

pub async fn a_stale_timer_is_dropped_but_not_its_successor(env: TestEnv) {
    let store = &env.store;
    let (old, new) = (timer("a", "expire", 1, 10), timer("a", "expire", 2, 20));
    store.resources.commit(Commit { timers: vec![old.clone()], ..create(instance("a")) }).await.unwrap();
    store.resources.commit(Commit { timers: vec![new.clone()], ..change(moved(&instance("a"), "paying")) }).await.unwrap();
    store.instances.drop_timer(&old).await.unwrap();
    assert_eq!(store.instances.due_timers(at(99), 10).await.unwrap(), std::slice::from_ref(&new));
    store.instances.drop_timer(&new).await.unwrap();
    assert_eq!(store.instances.next_timer_due().await.unwrap(), None);
}
