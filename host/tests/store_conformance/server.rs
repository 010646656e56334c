//! What only a store on a server can promise: a lost connection loses nothing and says nothing wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millrace::clock::Clock;
use millrace::store::{Commit, Conflict, Database, Dsn, Listing, OpenError, Search, Store, StoreError, open};

use crate::postgres_server::{Disk, Server};
use crate::test_env::{PATIENCE, TestEnv, all_at_once, create, deed, event, name, on_server, product, server};

fn on(dsn: &Dsn) -> Database {
    on_server(dsn)
}

fn refused(dsn: &Dsn) -> String {
    match open(&on(dsn), Clock::system()) {
        Err(OpenError::Server(error)) => error.to_string(),
        other => panic!("a refusal was expected, not {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_cannot_be_relied_on_is_refused_with_what_to_do() {
    let env = TestEnv::postgres();
    env.store.operations.close().await;
    let (dsn, database) = (env.dsn(), name(&env.dsn()));
    server().ask("postgres", &format!("ALTER DATABASE {database} SET synchronous_commit = off"));
    let text = refused(&dsn);
    assert!(text.contains("synchronous_commit is off") && text.contains("ALTER ROLE"), "{text}");
    server().ask("postgres", &format!("ALTER DATABASE {database} RESET synchronous_commit"));
    server().ask(&database, "UPDATE millrace_schema SET version = 99");
    let text = refused(&dsn);
    assert!(text.contains("newer version of this program") && text.contains("version 99"), "{text}");
    let nowhere = Dsn::parse(&server().dsn("no_such_database")).unwrap();
    let text = refused(&nowhere);
    assert!(text.contains("no_such_database") && text.contains("CREATE DATABASE"), "{text}");
    let nobody = Dsn::parse("postgres://millrace:hunter2@localhost:1/test").unwrap();
    let text = refused(&nobody);
    assert!(text.contains("cannot be reached") && !text.contains("hunter2"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_on_a_server_says_how_it_is_copied() {
    let env = TestEnv::postgres();
    let refused = env.store.operations.backup(std::path::Path::new("nowhere.db")).await;
    assert!(matches!(&refused, Err(StoreError::Unavailable(text)) if text.contains("pg_dump")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_log_on_a_server_is_only_added_to() {
    let env = TestEnv::postgres();
    env.store.audit.note(vec![deed("look", "1"), deed("look", "2")]).await.unwrap();
    for change in ["UPDATE audit SET actor = 'eve' WHERE seq = 2", "DELETE FROM audit WHERE seq = 2"] {
        let guarded = format!("DO $$ BEGIN {change}; EXCEPTION WHEN raise_exception THEN RAISE NOTICE 'refused'; END $$");
        server().ask(&name(&env.dsn()), &guarded);
    }
    let rows = env.store.audit.audited_after(0, 10).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.entry.actor.as_str()).collect::<Vec<_>>(), ["ada", "ada"]);
}

/// What a caller was told of each of their writes.
#[derive(Default)]
struct Told {
    written: Vec<String>,
    not_written: Vec<String>,
}

/// Writes one resource after the other until it is told to stop, each with an event, and remembers what it was told.
async fn write_until(store: Store, writer: u32, stop: Arc<AtomicBool>) -> Told {
    let mut told = Told::default();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let id = format!("{writer}-{n}");
        match store.resources.commit(Commit { outbox: vec![event(&id, 1)], ..create(product(&id)) }).await {
            Ok(_) => told.written.push(id),
            Err(StoreError::Unavailable(_)) => {
                told.not_written.push(id);
                // As whoever is told so does: later once more.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(other) => panic!("{id}: {other}"),
        }
    }
    told
}

/// Has eight callers write while `disturb` is done some times; then what they were told is what is there.
async fn what_is_told_is_what_is_there(store: Store, times: u32, mut disturb: impl FnMut()) {
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..8).map(|writer| tokio::spawn(write_until(store.clone(), writer, Arc::clone(&stop)))).collect();
    for _ in 0..times {
        let before = store.operations.commit_stats().commits;
        disturb();
        let deadline = Instant::now() + PATIENCE;
        while store.operations.commit_stats().commits < before + 5 {
            assert!(Instant::now() < deadline, "it goes on by itself: {:?}", store.operations.refused());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let (mut written, mut not_written) = (Vec::new(), Vec::new());
    for told in all_at_once(writers).await {
        let told = told.unwrap();
        written.extend(told.written);
        not_written.extend(told.not_written);
    }
    let all = Listing { kind: "products".into(), by_id: true, limit: usize::MAX, ..Listing::default() };
    let mut there: Vec<String> = store.resources.resources(&all).await.unwrap().into_iter().map(|resource| resource.id).collect();
    there.sort();
    written.sort();
    assert_eq!(there, written, "{} were refused", not_written.len());
    let events = store.messages.unpublished(0, usize::MAX).await.unwrap();
    let mut keys: Vec<String> = events.iter().map(|event| event.key.clone()).collect();
    keys.sort();
    assert_eq!(keys, written, "each with its event");
    for id in not_written {
        store.resources.commit(create(product(&id))).await.expect("it was not written, so it can be");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_somebody_ends_loses_nothing_and_doubles_nothing() {
    let env = TestEnv::postgres();
    let database = name(&env.dsn());
    let end =
        format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()");
    what_is_told_is_what_is_there(env.store.clone(), 15, || drop(server().ask("postgres", &end))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_started_again_has_what_was_answered() {
    let server = Server::start(Disk::Synced);
    let dsn = Dsn::parse(&server.database()).unwrap();
    let store = open(&on(&dsn), Clock::system()).unwrap();
    what_is_told_is_what_is_there(store.clone(), 4, || server.restart()).await;
    server.stop();
    let away = store.operations.try_write().await;
    assert!(matches!(&away, Err(StoreError::Unavailable(reason)) if reason.contains("cannot be reached")), "{away:?}");
    assert!(store.operations.refused().is_some());
    assert!(tokio::time::timeout(PATIENCE, store.operations.answers()).await.is_ok(), "the writer is not stuck");
    server.start_again();
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = store.operations.try_write().await {
        assert!(Instant::now() < deadline, "{error}");
    }
    store.operations.close().await;
    let again = open(&on(&dsn), Clock::system()).unwrap();
    let twice = again.resources.commit(create(product("0-0"))).await;
    assert!(matches!(twice, Err(StoreError::Conflict(Conflict::Exists { .. }))), "what was written stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_up_in_the_middle_of_a_question_leaves_no_old_moment_behind() {
    let env = TestEnv::postgres();
    let asked = Search { kind: "products".into(), limit: 10, ..Search::default() };
    // Given up at each point between the first byte and the answer, by connections that are there.
    for (number, polls) in (0..40).cycle().take(200).enumerate() {
        {
            let mut question = std::pin::pin!(env.store.resources.find(&asked));
            for _ in 0..polls {
                if futures::poll!(&mut question).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let id = format!("product-{number}");
        env.store.resources.commit(create(product(&id))).await.unwrap();
        for _ in 0..4 {
            let found = env.store.resources.resource("products", &id).await.unwrap();
            assert!(found.is_some(), "{id} is not there: the answer is that of an earlier moment");
        }
    }
}
