//! What goes wrong underneath: a full disk, a commit that fails, a writer that cannot go on, a queue that does not move.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use rusqlite::ffi;

use super::super::{
    Commit, Conflict, Guard, HistoryRow, InboxRow, Listing, Messages as _, Operations as _, OutboxRow, Resource, Resources as _, StoreError,
};
use super::Sqlite;
use super::connection::LOG_BYTES_KEPT;
use super::writer::{UnitError, Writing};
use crate::clock::Clock;

/// Few enough that all of them wait for the writer at the first look at each.
const CALLERS: u64 = 20;
/// More than there is room for in the queue and in one group.
const TOO_MANY: usize = 2_000;

fn open(folder: &tempfile::TempDir) -> Sqlite {
    Sqlite::open(&folder.path().join("a.db"), 1, &[], Clock::system()).unwrap()
}

fn sized(id: &str, bytes: usize) -> Commit {
    let data = serde_json::json!({ "text": "x".repeat(bytes) });
    let at = jiff::Timestamp::UNIX_EPOCH;
    let resource = Resource {
        kind: "products".into(),
        id: id.into(),
        owner: None,
        state: "active".into(),
        version: 1,
        data: Arc::new(data.as_object().unwrap().clone()),
        workflow: None,
        created_at: at,
        updated_at: at,
    };
    Commit { change: Some((Guard::Absent, resource)), ..Commit::default() }
}

async fn count(store: &Sqlite) -> usize {
    store.resources(&Listing { kind: "products".into(), limit: usize::MAX, ..Listing::default() }).await.unwrap().len()
}

/// What a test does to the disk below a database.
pub(crate) struct BadDisk(pub(crate) Arc<Sqlite>);

impl BadDisk {
    /// Lets the database have no more pages than it has, and `more`.
    pub(crate) async fn leave_room(&self, more: i64) {
        let set = self.0.writer.write(move |writing| {
            let pages: i64 = writing.connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
            writing.connection.query_row(&format!("PRAGMA max_page_count = {}", pages + more), [], |_| Ok(()))?;
            Ok::<_, UnitError>(())
        });
        set.await.unwrap();
    }

    /// Has the next durable write fail as on a broken disk.
    pub(crate) async fn break_disk(&self) {
        let error = || rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_FSYNC), Some("disk I/O error".into()));
        let failed = self.0.writer.write(move |_| Err::<(), _>(UnitError::Broken(error()))).await;
        assert!(matches!(failed, Err(StoreError::Fatal(_))), "{failed:?}");
    }
}

#[tokio::test]
async fn the_thread_that_writes_answers_unless_it_is_held_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let before = store.commit_stats().commits;
    store.answers().await;
    assert_eq!(store.commit_stats().commits, before, "to be asked is no write");
    let (release, held) = std::sync::mpsc::channel::<()>();
    let holding = store.writer.write(move |_| Ok::<_, UnitError>(held.recv().is_ok()));
    let asking = async {
        // The first question may come to it together with what holds it up.
        let unanswered = async { while tokio::time::timeout(Duration::from_millis(100), store.answers()).await.is_ok() {} };
        tokio::time::timeout(Duration::from_secs(20), unanswered).await.unwrap();
        release.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(20), store.answers()).await.unwrap();
    };
    let (written, ()) = tokio::join!(holding, asking);
    assert!(written.unwrap());
}

#[tokio::test]
async fn a_full_disk_refuses_writes_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&folder));
    let disk = BadDisk(Arc::clone(&store));
    store.commit(sized("before", 10)).await.unwrap();
    disk.leave_room(0).await;
    for n in 0..3 {
        let full = store.commit(sized(&format!("full-{n}"), 100_000)).await;
        assert!(matches!(&full, Err(StoreError::Unavailable(text)) if text.contains("full")), "{full:?}");
        assert_eq!(count(&store).await, 1, "reads go on, and see nothing of it");
    }
    disk.leave_room(1_000).await;
    store.commit(sized("after", 100_000)).await.unwrap();
    assert_eq!(count(&store).await, 2);
    store.close().await;
    assert_eq!(count(&open(&folder)).await, 2);
}

#[tokio::test]
async fn a_write_waits_for_that_of_another_program_and_is_not_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.commit(sized("a", 10)).await.unwrap();
    let other = rusqlite::Connection::open(folder.path().join("a.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; DELETE FROM dead_letters").unwrap();
    let changed = {
        let commit = sized("a", 20);
        let change = commit.change.map(|(_, resource)| (Guard::Version(1), Resource { version: 2, ..resource }));
        Commit { change, ..Commit::default() }
    };
    let mut writing = std::pin::pin!(store.commit(changed));
    let early = tokio::time::timeout(Duration::from_millis(300), &mut writing).await;
    assert!(early.is_err(), "while another one writes there is no answer: {early:?}");
    other.execute_batch("COMMIT").unwrap();
    writing.await.unwrap();
}

#[tokio::test]
async fn the_log_is_small_again_after_somebody_has_read_for_long() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.commit(sized("first", 10)).await.unwrap();
    let log_bytes = || store.space().unwrap().unwrap().wal;
    let kept = u64::try_from(LOG_BYTES_KEPT).unwrap();
    let reader = rusqlite::Connection::open(folder.path().join("a.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM resources;").unwrap();
    let mut written = 0;
    while log_bytes() <= kept {
        written += 1;
        assert!(written < 100, "the reader does not hold up the log");
        store.commit(sized(&format!("meanwhile-{written}"), 1_000_000)).await.unwrap();
    }
    reader.execute_batch("COMMIT").unwrap();
    // The first copies what is in the log, the second begins it anew.
    store.commit(sized("after-1", 10)).await.unwrap();
    store.commit(sized("after-2", 10)).await.unwrap();
    assert!(log_bytes() <= kept, "{} bytes", log_bytes());
}

#[tokio::test]
async fn a_group_that_cannot_be_committed_fails_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let neighbour = store.commit(sized("neighbour", 10));
    // Checked at COMMIT only: a line of a reservation that is not there.
    let broken = store.writer.write(|writing| {
        writing.run("PRAGMA defer_foreign_keys = ON", [])?;
        writing.run("INSERT INTO reservation_lines (reservation, sku, quantity) VALUES ('none', 's', 1)", [])?;
        Ok::<_, UnitError>(())
    });
    let gate = hold(&store);
    let (neighbour, broken, ()) = tokio::join!(neighbour, broken, async move {
        gate.send(()).unwrap();
    });
    assert!(matches!(&broken, Err(StoreError::Unavailable(text)) if text.contains("FOREIGN KEY")), "{broken:?}");
    assert!(matches!(&neighbour, Err(StoreError::Unavailable(text)) if text.contains("FOREIGN KEY")), "{neighbour:?}");
    assert_eq!(count(&store).await, 0, "nothing of the group is there");
    store.commit(sized("next", 10)).await.expect("the writer goes on");
}

#[tokio::test]
async fn all_who_wait_for_the_writer_share_one_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let before = store.commit_stats();
    let gate = hold(&store);
    let waiting = futures::future::join_all((0..CALLERS).map(|n| {
        let store = &store;
        async move { store.commit(sized(&n.to_string(), 10)).await }
    }));
    let (results, ()) = tokio::join!(waiting, async move {
        gate.send(()).unwrap();
    });
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let after = store.commit_stats();
    let (units, commits) = (after.units - before.units, after.commits - before.commits);
    assert_eq!((units, commits), (CALLERS + 1, 2), "one that kept the writer busy, and one for all who waited");
    assert_eq!(count(&store).await as u64, CALLERS);
}

#[tokio::test]
async fn a_unit_that_breaks_a_constraint_half_way_is_undone_alone() {
    undone_alone(false).await;
}

#[tokio::test]
async fn a_unit_that_can_be_repeated_is_undone_alone_too() {
    undone_alone(true).await;
}

async fn undone_alone(is_repeatable: bool) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let told = |id: &str| {
        let event = OutboxRow {
            position: 0,
            event_id: id.into(),
            topic: "made".into(),
            key: id.into(),
            seq: 1,
            payload: "{}".into(),
            traceparent: None,
        };
        let history = vec![HistoryRow {
            seq: 1,
            from: "new".into(),
            to: "made".into(),
            transition: "make".into(),
            at: jiff::Timestamp::UNIX_EPOCH,
            cause: "accepted".into(),
            component: Some("maker".into()),
            digest: Some("a digest".into()),
            attempt: Some(1),
            reason: None,
        }];
        Commit { outbox: vec![event], history, ..sized(id, 10) }
    };
    let before = store.commit_stats();
    let gate = hold(&store);
    let work = |writing: &mut Writing<'_>| {
        writing.run("INSERT INTO inbox (written_at, consumer, event_id) VALUES (0, 'c', 'half')", [])?;
        writing.tail.position += 1;
        writing.run("INSERT INTO stock (sku, on_hand, reserved) VALUES ('s', 1, 2)", [])?;
        Ok::<_, UnitError>(())
    };
    let writer = &store.writer;
    let broken = async move { if is_repeatable { writer.write_repeatably(work).await } else { writer.write(work).await } };
    let (first, broken, last, ()) = tokio::join!(store.commit(told("first")), broken, store.commit(told("last")), async move {
        gate.send(()).unwrap();
    });
    assert!(matches!(&broken, Err(StoreError::Unavailable(text)) if text.contains("CHECK")), "{broken:?}");
    assert!(first.is_ok() && last.is_ok(), "its neighbours are not concerned: {first:?}, {last:?}");
    assert_eq!(store.commit_stats().commits - before.commits, 2, "the three were one group");
    let half = InboxRow { consumer: "c".into(), event_id: "half".into() };
    assert!(!store.handled(&half).await.unwrap(), "what it had written is there");
    let events = store.unpublished(0, 10).await.unwrap();
    let positions: Vec<_> = events.iter().map(|event| (event.key.as_str(), event.position)).collect();
    assert_eq!(positions, [("first", 1), ("last", 2)], "the position that it took was not given back");
    assert_eq!(count(&store).await, 2);
    store.commit(told("later")).await.unwrap();
    for id in ["first", "last", "later"] {
        let history = store.history("products", id, 0, 10).await.unwrap();
        assert_eq!(history[0].digest.as_deref(), Some("a digest"), "the history of '{id}' has lost the version");
    }
}

/// Keeps the writer busy, in a transaction of its own, until something is sent.
fn hold(store: &Sqlite) -> mpsc::Sender<()> {
    use futures::FutureExt as _;
    let (gate, opened) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel::<()>();
    let mut holding = Box::pin(store.writer.write(move |_| {
        let _ = begun.send(());
        let _ = opened.recv();
        Ok::<_, UnitError>(())
    }));
    assert!(holding.as_mut().now_or_never().is_none());
    has_begun.recv().expect("the writer begins");
    gate
}

fn receipt(event_id: &str) -> InboxRow {
    InboxRow { consumer: "c".into(), event_id: event_id.into() }
}

fn received(event_id: &str) -> Commit {
    Commit { inbox: Some(receipt(event_id)), ..Commit::default() }
}

#[tokio::test]
async fn a_receipt_is_written_with_what_cannot_wait_and_if_there_is_nothing_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let before = store.commit_stats();
    let (first, second, other) = tokio::join!(store.commit(received("1")), store.commit(received("2")), store.commit(sized("a", 10)));
    assert!(first.is_ok() && second.is_ok() && other.is_ok(), "{first:?}, {second:?}, {other:?}");
    let after = store.commit_stats();
    assert_eq!((after.units - before.units, after.commits - before.commits), (3, 1), "they share one transaction");
    store.commit(received("3")).await.expect("nobody else writes anything");
    let again = store.commit(received("3")).await;
    assert!(matches!(again, Err(StoreError::Conflict(Conflict::Duplicate { .. }))), "{again:?}");
    let many = futures::future::join_all((0..CALLERS * 10).map(|n| {
        let store = &store;
        async move { store.commit(received(&format!("many-{n}"))).await }
    }));
    assert!(many.await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_receipt_that_waits_is_written_when_the_store_closes_and_refused_when_it_is_closed() {
    use futures::FutureExt as _;
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let mut waiting = Box::pin(store.commit(received("1")));
    assert!(waiting.as_mut().now_or_never().is_none());
    store.close().await;
    waiting.await.expect("it was asked for in time");
    let late = tokio::time::timeout(Duration::from_secs(10), store.commit(received("2"))).await.expect("it is told");
    assert!(matches!(late, Err(StoreError::Fatal(_))), "{late:?}");
    drop(store);
    let store = open(&folder);
    assert!(store.handled(&receipt("1")).await.unwrap());
    assert!(!store.handled(&receipt("2")).await.unwrap());
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_written_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&folder));
    store.commit(sized("before", 10)).await.unwrap();
    BadDisk(Arc::clone(&store)).break_disk().await;
    let reason = tokio::time::timeout(Duration::from_secs(10), store.failed()).await.expect("the process is told");
    assert!(reason.contains("disk I/O error"), "{reason}");
    let later = store.commit(sized("after", 10)).await;
    assert!(matches!(&later, Err(StoreError::Fatal(text)) if text.contains("disk I/O error")), "{later:?}");
    let later = store.commit(received("after")).await;
    assert!(matches!(&later, Err(StoreError::Fatal(text)) if text.contains("disk I/O error")), "{later:?}");
    assert_eq!(count(&store).await, 1, "what is there can still be read");
    store.close().await;
}

#[tokio::test]
async fn a_clean_end_is_no_failure() {
    use futures::FutureExt as _;
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.close().await;
    assert!(store.failed().now_or_never().is_none());
}

#[tokio::test]
async fn callers_do_not_wait_for_ever_for_a_place_in_the_queue() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(&folder);
    store.writer.queue_wait = Duration::from_millis(100);
    let gate = hold(&store);
    let all = (0..TOO_MANY).map(|n| {
        let store = &store;
        let gate = (n + 1 == TOO_MANY).then(|| gate.clone());
        async move {
            let result = store.commit(sized(&n.to_string(), 10)).await;
            // The last in the line gave up; now the others may go on.
            if let Some(gate) = gate {
                gate.send(()).unwrap();
            }
            result
        }
    });
    let results = futures::future::join_all(all).await;
    let refused = results.iter().filter(|result| result.is_err()).count();
    assert!((1..TOO_MANY).contains(&refused), "{refused}");
    for result in results {
        assert!(!matches!(result, Err(error) if !matches!(error, StoreError::Unavailable(_))));
    }
    assert_eq!(count(&store).await, TOO_MANY - refused, "exactly what was accepted is there");
}
