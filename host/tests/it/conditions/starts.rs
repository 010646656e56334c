//! A start where much is kept and much is under way.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::future::join_all;
use rusqlite::Connection;
use rustix::process::Signal;

use super::long;
use super::retention::{DATABASE, PLENTY, asked, with_plenty};
use super::test_env::{Condition, until};
use crate::process::Home;
use crate::test_app::built;

/// What a start may take longer than one with nothing kept: two seconds where nothing else runs, which is how the long form is run. Beside other
/// tests it only shows that a start does not look at each order.
const MAX_LONGER: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(2)];
/// Orders that are placed at once.
const AT_ONCE: usize = 100;

/// Keeps so many copies of the orders that are delivered, each with its history, what it is found by, and its reservation.
fn copy(database: &Path, copies: usize) {
    let mut connection = Connection::open(database).unwrap();
    let all = connection.transaction().unwrap();
    let of = "FROM resources r, (WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1) SELECT n FROM n)
              WHERE r.kind = 'orders' AND r.pk = (SELECT min(pk) FROM resources WHERE kind = 'orders' AND state = 'delivered')";
    let id = "substr(r.id, 1, length(r.id) - 8) || printf('%08x', n)";
    let resources = format!(
        "INSERT INTO resources (kind, id, owner, state, version, workflow, machine, instance, attention, finished, created_at, updated_at,
                                data, traceparent, touched_at, deadlines)
         SELECT kind, {id}, owner, state, version, workflow, machine, instance, attention, finished, created_at + n, updated_at + n,
                data, traceparent, touched_at, deadlines {of}"
    );
    assert_eq!(all.execute(&resources, [copies as i64]).unwrap(), copies);
    let copied = "resources c JOIN resources r ON r.pk = (SELECT min(pk) FROM resources WHERE kind = 'orders' AND state = 'delivered')
                  WHERE c.kind = 'orders' AND c.state = 'delivered' AND c.pk > r.pk";
    let history = format!(
        "INSERT INTO history SELECT c.pk, h.seq, h.from_state, h.to_state, h.transition, h.at, h.cause, h.component, h.digest, h.attempt,
                                    h.reason, h.digest_pk, h.changes
         FROM history h, {copied} AND h.resource = r.pk"
    );
    let keys = format!(
        "INSERT INTO resource_keys SELECT k.kind, k.name, CASE k.name WHEN '#' THEN substr(c.id, -8) ELSE k.value END, c.created_at, c.id
         FROM resource_keys k, {copied} AND k.kind = r.kind AND k.id = r.id"
    );
    let reservations = format!("INSERT INTO reservations SELECT c.id, v.status, v.ended_at FROM reservations v, {copied} AND v.key = r.id");
    for statement in [history, keys, reservations] {
        assert!(all.execute(&statement, []).unwrap() >= copies, "{statement}");
    }
    all.commit().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_takes_no_longer_because_many_orders_are_kept_and_many_are_under_way() {
    let (kept, under_way) = if long() { (100_000, 1_000) } else { (20_000, 200) };
    let home = Home::new();
    let (process, customer) = with_plenty(&home, &[]).await;
    let database = home.path().join(DATABASE);
    let first = customer.order(PLENTY, 1, "tok_visa").await;
    customer.wait_for("orders", first.body["id"].as_str().unwrap(), &["delivered"]).await;
    drop(process);
    let started = Instant::now();
    drop(home.start(&[]).await);
    let with_few = started.elapsed();

    copy(&database, kept);
    // What comes next is under way until its component is there, which is as if it had never been.
    std::fs::remove_file(home.component("payment.wasm")).unwrap();
    let forgotten = Connection::open(&database).unwrap().execute("DELETE FROM components WHERE component = 'payment-processor'", []);
    assert_eq!(forgotten.unwrap(), 1);
    let process = home.spawn_under(Condition::default());
    until("it answers", || async { process.client.try_send(reqwest::Method::GET, "/livez", None, &[]).await.ok() }).await;
    let customer = process.client.with_token(customer.token());
    let mut ids = BTreeSet::new();
    for first in (0..under_way).step_by(AT_ONCE) {
        let placed = join_all((first..under_way.min(first + AT_ONCE)).map(|_| customer.order(PLENTY, 1, "tok_visa"))).await;
        ids.extend(placed.iter().map(|answer| answer.body["id"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()));
    }
    process.signal(Signal::KILL);
    drop(process);
    assert_eq!(asked(&database, "SELECT count(*) FROM resources WHERE finished = 0 AND kind = 'orders'"), under_way as i64);

    std::fs::copy(built("payment.wasm"), home.component("payment.wasm")).unwrap();
    let started = Instant::now();
    let process = home.start(&[]).await;
    let with_many = started.elapsed();
    eprintln!("{kept} orders kept and {under_way} under way: ready after {with_many:?}, and after {with_few:?} with one");
    assert!(with_many < with_few * 3 + MAX_LONGER[usize::from(long())], "{with_many:?} instead of {with_few:?}");
    until("all orders end", || async {
        (asked(&database, "SELECT count(*) FROM resources WHERE finished = 0 AND kind = 'orders'") == 0).then_some(())
    })
    .await;
    let delivered = "SELECT count(*) FROM resources WHERE kind = 'orders' AND state = 'delivered'";
    assert_eq!(asked(&database, delivered), (1 + kept + ids.len()) as i64);
    let health = process.client.get("/healthz").await;
    assert_eq!(health.body["status"], "healthy", "{health:?}");
}
