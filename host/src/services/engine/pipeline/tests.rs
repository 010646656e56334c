//! What becomes of a run when the host itself fails.

use std::collections::HashMap;

use serde_json::json;

use super::*;
use crate::plan::Plan;
use crate::runtime::{GivenKv, Runtime, Settings};
use crate::services::engine::{Active, Backpressure, Breakers, Canaries, ChangeNotifier, CrashSuspects, Draws, Indexed, PerOwner};
use crate::store::memory::Memory;
use crate::store::{Commit, StartedBy, StoreError};

/// A pipeline without workflows and components.
async fn pipeline() -> (Pipeline, Dependencies, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan::default();
    let (clock, store) = (Clock::system(), Arc::new(Memory::new().reopen()));
    let settings =
        Settings { cache_dir: folder.path().join("cache"), authors_cache: None, compiler: "none".into(), max_concurrent_runs: 1 };
    let kv = Arc::new(GivenKv::default());
    let remember = Arc::new(|_| futures::future::ready(Ok(())).boxed());
    let runtime = Runtime::start(settings, Vec::new(), HashMap::new(), Vec::new(), (remember, kv), clock.clone()).await.unwrap();
    let workflows = Workflows::open(store.clone(), &plan.workflows).await.unwrap();
    let active = Active::new(std::iter::empty(), &[]);
    let per_owner = PerOwner::open(store.as_ref(), &plan.resources).await.unwrap();
    let (workflows, events) = (Arc::new(workflows), Arc::new(Events::new(&plan, &[], "test")));
    let indexed = Indexed { store: store.clone(), by_keys: Arc::default() };
    let draws = Draws::new(indexed, Arc::clone(&workflows), Arc::clone(&events), clock.clone(), &plan.resources);
    let dependencies = Dependencies {
        group: store.clone(),
        store,
        steps: runtime,
        workflows,
        events,
        draws: Arc::new(draws),
        clock,
        change_notifier: ChangeNotifier::default(),
        tasks: Tasks::new(),
        stop: Stop::new(),
        active: Arc::new(active),
        per_owner: Arc::new(per_owner),
        holds: Arc::default(),
        breakers: Arc::new(Breakers::new(std::iter::empty())),
        dead_ends: Arc::default(),
        canaries: Arc::new(Canaries::new(std::iter::empty())),
        recordings: Arc::default(),
        credentials: Arc::default(),
        backpressure: Arc::new(Backpressure::new(1_000)),
        metrics: Metrics::new("jobs").unwrap(),
        crash_suspects: CrashSuspects::open(&folder.path().join("in-flight")).0,
    };
    (Pipeline::new(&dependencies), dependencies, folder)
}

/// A run that this process has claimed.
async fn claimed(dependencies: &Dependencies) -> StepRun {
    let by = StartedBy {
        resource_kind: "jobs".into(),
        resource_id: "job-1".into(),
        workflow: "job-processing".into(),
        transition: "start".into(),
        from_state: "queued".into(),
        to_state: "working".into(),
    };
    let first = StepRun::first("job-1:worker:1".into(), by, RunKind::Task, ("worker", "worker"), dependencies.clock.steady());
    let owner = Some(dependencies.store.epoch());
    let run = StepRun { input: Some(json!({}).to_string().into()), status: RunStatus::Running, owner, fence: 1, ..first };
    dependencies.store.commit(Commit { runs: vec![run.clone()], ..Commit::default() }).await.unwrap();
    run
}

async fn now(dependencies: &Dependencies) -> StepRun {
    dependencies.store.runs("jobs", "job-1").await.unwrap().remove(0)
}

#[tokio::test]
async fn a_panic_in_a_run_frees_it_and_costs_it_an_attempt() {
    let (pipeline, dependencies, _folder) = pipeline().await;
    let run = claimed(&dependencies).await;
    pipeline.shielded(&run, async { panic!("nobody has thought of this") }).await;
    let freed = now(&dependencies).await;
    assert_eq!((freed.status, freed.owner, freed.attempt), (RunStatus::Ready, None, 2), "{freed:?}");
    assert!(freed.last_error.as_deref().is_some_and(|error| error.contains("nobody has thought of this")), "{freed:?}");
    assert!(freed.due_at > run.due_at, "not at once, it may panic again");
    let metrics = dependencies.metrics.render().unwrap();
    assert!(metrics.contains("jobs_component_runs_total{component=\"worker\",outcome=\"panic\"} 1"), "{metrics}");
}

#[tokio::test]
async fn an_answer_that_was_durable_before_a_panic_stands() {
    let (pipeline, dependencies, _folder) = pipeline().await;
    let run = claimed(&dependencies).await;
    let work = async {
        let settled = settled(&run, RunStatus::Done, 1, None);
        let resource = Arc::new(stand_in(&run, run.due_at));
        pipeline.commit(commit_plan::settle_only(resource, settled)).await.unwrap();
        panic!("after it was written");
    };
    pipeline.shielded(&run, work).await;
    assert_eq!(now(&dependencies).await.status, RunStatus::Done);
}

#[tokio::test]
async fn a_run_that_is_claimed_and_in_nobodys_hand_is_made_ready_and_one_in_hand_is_not() {
    let (pipeline, dependencies, _folder) = pipeline().await;
    let run = claimed(&dependencies).await;
    let held = pipeline.hand().take_claimed(&run);
    pipeline.sweep().await.unwrap();
    assert_eq!(now(&dependencies).await, run);
    drop(held);
    pipeline.sweep().await.unwrap();
    assert_eq!(now(&dependencies).await, StepRun { status: RunStatus::Ready, owner: None, ..run });
}

#[tokio::test]
async fn nothing_is_added_up_before_all_that_draws_is_found() {
    let (_pipeline, dependencies, _folder) = pipeline().await;
    let refused = dependencies.draws.others("parts", "thing-1").await.unwrap_err();
    assert!(matches!(&refused, StoreError::Unavailable(why) if why.contains("older parts are being given the keys")), "{refused:?}");
}
