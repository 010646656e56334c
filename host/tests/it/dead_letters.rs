//! Dead letters where there is no broker: in the database of the process, and what an operator does about them beside it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use millrace::store::{Commit, DeadLetter, OutboxRow};

use crate::client::PATIENCE;
use crate::test_app::{SECRET, TestApp, repository};

const TOPIC: &str = "order.delivered";

fn event(id: &str, payload: &str) -> OutboxRow {
    let (event_id, topic, key) = (id.to_owned(), TOPIC.to_owned(), "order-1".to_owned());
    OutboxRow { position: 0, event_id, topic, key, seq: 1, payload: payload.into(), traceparent: None }
}

fn monolith() -> PathBuf {
    repository().join("configs/monolith.yaml")
}

/// Whether a command succeeds beside the running process, and all that it says.
fn dlq(app: &TestApp, arguments: &[&str]) -> (bool, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_millrace"))
        .arg("dlq")
        .args(arguments)
        .arg("--config")
        .arg(monolith())
        .env("DATA_DIR", app.folder.path().join("data"))
        .env("COMPONENTS_DIR", app.folder.path().join("components"))
        .env("JWT_SECRET", SECRET)
        .output()
        .unwrap();
    (output.status.success(), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

/// Waits until the only dead letter has a number of at least `number`.
async fn until_letter(app: &TestApp, number: u64) -> DeadLetter {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let letters = app.store.messages.dead_letters(10).await.unwrap();
        if let [letter] = &letters[..]
            && letter.id >= number
        {
            return letter.clone();
        }
        assert!(Instant::now() < deadline, "{letters:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_dead_letters_are_listed_published_again_and_discarded() {
    let app = TestApp::monolith().await;
    let (well, listed) = dlq(&app, &["list"]);
    assert!(well && listed.starts_with("0 dead letters"), "{listed}");

    app.store.resources.commit(Commit { outbox: vec![event("poison-1", "poison")], ..Commit::default() }).await.unwrap();
    let first = until_letter(&app, 1).await;
    let (well, listed) = dlq(&app, &["list", TOPIC]);
    assert!(well && listed.contains("1 dead letters in 1 topics"), "{listed}");
    for part in [&format!("{TOPIC} {} key=order-1 id=poison-1", first.id), "consumer=handler:", "not a CloudEvent", "poison"] {
        assert!(listed.contains(part), "no '{part}' in {listed}");
    }

    // It is published again, and is as wrong as before.
    let (well, said) = dlq(&app, &["redrive"]);
    assert!(well && said.contains("1 dead letters wait to be published again, as 1 events"), "{said}");
    let second = until_letter(&app, first.id + 1).await;
    let (well, said) = dlq(&app, &["discard", TOPIC, "--through", &first.id.to_string()]);
    assert!(!well && said.contains(&format!("no dead letter {}", first.id)), "{said}");
    let (well, said) = dlq(&app, &["discard", TOPIC, "--through", &second.id.to_string()]);
    assert!(well && said.starts_with("1 dead letters"), "{said}");

    // Of an event that was forgotten meanwhile nothing can be published again.
    let forgotten = DeadLetter { event: event("long-ago", "{}"), reason: "it took too long".into(), ..second };
    app.store.messages.add_dead_letter(forgotten).await.unwrap();
    let (well, said) = dlq(&app, &["redrive", TOPIC]);
    assert!(!well && said.contains("1 dead letters stay"), "{said}");
    assert!(dlq(&app, &["discard", TOPIC]).1.starts_with("1 dead letters"));
    let (well, listed) = dlq(&app, &["list"]);
    assert!(well && listed.starts_with("0 dead letters"), "{listed}");

    let (well, said) = dlq(&app, &["list", "order.lost"]);
    assert!(!well && said.contains("'order.lost' is no topic"), "{said}");
    app.stop().await;
}
