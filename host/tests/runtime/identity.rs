//! Which component a module means: by the name it is told, by a digest, or by what served before.

use millrace::runtime::Expect;
use serde_json::json;

use crate::fixtures::{built, marked, tiny};
use crate::workshop::{Plan, Workshop, accepted};

fn named(name: &str) -> Expect {
    Expect { name: Some(name.to_owned()), digest: None }
}

fn expecting(file: Vec<u8>, expect: Expect) -> Plan {
    let mut plan = Plan::of(file).own_cache();
    plan.expect = expect;
    plan
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_with_another_component_than_expected_is_refused_by_name() {
    let workshop = expecting(tiny("i32.const 96"), named("hostile")).start().await;
    assert_eq!(workshop.status().active, None);
    let reason = workshop.refused().reason;
    let says = "expected component 'hostile', the file describes itself as 'tiny'";
    assert!(reason.contains(says) && reason.contains("`expect.name` of module 'worker'"), "{reason}");
    workshop.replace(&built("hostile"));
    workshop.runtime.reload("worker").await.expect("the one that is expected");
    let first = workshop.digest();
    workshop.replace(&tiny("i32.const 96"));
    let error = workshop.runtime.reload("worker").await.expect_err("another one");
    assert!(error.to_string().contains(says), "{error}");
    workshop.replace(&marked(&built("hostile"), "2"));
    workshop.runtime.reload("worker").await.expect("another version of the one that is expected");
    assert_ne!(workshop.digest(), first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_digest_stands_for_exactly_one_file() {
    let digest = Plan::of(tiny("i32.const 96")).start().await.digest();
    let expect = Expect { name: None, digest: Some(digest.clone()) };
    let workshop = expecting(tiny("i32.const 96"), expect).start().await;
    assert_eq!(workshop.digest(), digest);
    workshop.replace(&marked(&tiny("i32.const 96"), "2"));
    let error = workshop.runtime.reload("worker").await.expect_err("another file");
    assert!(error.to_string().contains(&format!("expected digest sha256:{digest}, the file has sha256:")), "{error}");
    assert_eq!(workshop.digest(), digest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_word_the_component_that_served_before_is_expected_also_after_a_restart() {
    let workshop = expecting(built("hostile"), Expect::default()).start().await;
    let first = workshop.digest();
    workshop.replace(&tiny("i32.const 96"));
    let refused = |workshop: &Workshop| {
        let reason = workshop.refused().reason;
        assert!(reason.contains("expected component 'hostile', which served before, the file describes itself as 'tiny'"), "{reason}");
        assert!(reason.contains("write `expect: {name: tiny}` in module 'worker'"), "{reason}");
        assert_eq!(workshop.digest(), first, "the one before serves on");
    };
    workshop.runtime.reload("worker").await.expect_err("another one");
    refused(&workshop);
    let good = workshop.remembered.lock().clone();
    let workshop = expecting(tiny("i32.const 96"), Expect::default()).start_in(workshop.end().await, good.clone()).await;
    refused(&workshop);
    // Whoever means it says so.
    let workshop = expecting(tiny("i32.const 96"), named("tiny")).start_in(workshop.end().await, good).await;
    accepted(&workshop.run(json!({})).await);
    assert_ne!(workshop.digest(), first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_good_version_is_not_good_if_another_component_is_expected_now() {
    let workshop = expecting(built("hostile"), Expect::default()).start().await;
    let good = workshop.remembered.lock().clone();
    let workshop = expecting(b"garbage".to_vec(), named("tiny")).start_in(workshop.end().await, good).await;
    assert_eq!(workshop.status().active, None, "a copy is what is expected, or does not serve");
}
