//! Components of another plan take the place of those that there are.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::join_all;
use millrace::runtime::{ComponentSettings, Source};
use serde_json::json;

use crate::fixtures::{built, marked};
use crate::workshop::{PATIENCE, Plan, Workshop, accepted, job};

/// The component of the workshop with another config.
fn changed(workshop: &Workshop, value: i64) -> ComponentSettings {
    let json = json!({ "value": value });
    ComponentSettings { config: json.as_object().expect("an object").clone(), given: Vec::new(), ..workshop.settings.clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_hangs_in_every_place_keeps_neither_its_successor_nor_another_waiting() {
    let mut plan = Plan::of(built("hostile"));
    plan.runs = 2;
    let workshop = plan.start().await;
    let hung = join_all((0..2).map(|_| workshop.run(json!({ "mode": "sleep" }))));
    let exchanged = async {
        let arranged = workshop.runtime.arrange(&[changed(&workshop, 1)]).await.expect("it is good");
        workshop.runtime.put(arranged);
        let report = workshop.run(json!({ "mode": "config" })).await;
        assert_eq!(accepted(&report)["value"], 1);
    };
    tokio::select! {
        // Those that hang are there first.
        biased;
        _ = hung => panic!("the successor has waited until the time-out of the component before"),
        () = exchanged => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_leaves_while_it_hangs_keeps_no_other_waiting() {
    let mut plan = Plan::of(built("hostile"));
    plan.runs = 2;
    let workshop = plan.start().await;
    let hung = join_all((0..2).map(|_| workshop.run(json!({ "mode": "sleep" }))));
    let exchanged = async {
        let other = ComponentSettings { name: "other".into(), ..workshop.settings.clone() };
        let arranged = workshop.runtime.arrange(&[other]).await.expect("it is good");
        workshop.runtime.put(arranged);
        let work = job(&json!({ "mode": "accept" }), PATIENCE);
        let first = workshop.runtime.place("other", false).await;
        let second = workshop.runtime.place("other", true).await;
        accepted(&workshop.runtime.run_in(first, "other", work, None, None).await);
        drop(second);
    };
    tokio::select! {
        biased;
        _ = hung => panic!("the others have waited until the time-out of the component that left"),
        () = exchanged => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_arranged_leaves_no_trace_before_it_is_certain_and_is_recorded_before_it_serves() {
    let plan = Plan::of(built("hostile"));
    let works = Arc::clone(&plan.remembers);
    let workshop = plan.start().await;
    let first = workshop.digest();
    let started = workshop.remembered.lock().clone();
    workshop.replace(&marked(&built("hostile"), "2"));
    let settings = [changed(&workshop, 1)];

    // Of another component that is not there, or of a save that is refused later.
    let missing = ComponentSettings {
        name: "missing".into(),
        source: Source::File(workshop.dir.path().join("none.wasm")),
        ..workshop.settings.clone()
    };
    assert!(workshop.runtime.arrange(&[settings[0].clone(), missing]).await.is_err());
    drop(workshop.runtime.arrange(&settings).await.expect("it is good"));
    assert_eq!((workshop.remembered.lock().clone(), workshop.digest()), (started.clone(), first.clone()));

    let arranged = workshop.runtime.arrange(&settings).await.expect("it is good");
    works.store(false, Ordering::Relaxed);
    let error = workshop.runtime.record(&arranged).await.expect_err("the disk is full");
    assert!(format!("{error:#}").contains("component 'worker' cannot be recorded: the disk is full"), "{error:#}");
    works.store(true, Ordering::Relaxed);
    workshop.runtime.record(&arranged).await.expect("there is room again");
    assert_eq!(workshop.digest(), first, "it does not serve before it is put in place");
    workshop.runtime.put(arranged);
    let second = workshop.digest();
    assert_ne!(second, first);
    let recorded = [started, vec![("worker".to_owned(), second)]].concat();
    assert_eq!(*workshop.remembered.lock(), recorded);

    // What is recorded already needs no write.
    let arranged = workshop.runtime.arrange(&[changed(&workshop, 2)]).await.expect("it is good");
    workshop.runtime.record(&arranged).await.expect("nothing is to be written");
    workshop.runtime.put(arranged);
    assert_eq!(*workshop.remembered.lock(), recorded);
}
