//! What only a store on a disk can promise.

use std::process::Command;

use futures::FutureExt as _;
use millrace::clock::Clock;
use millrace::store::{self, Broken, Commit, Database, HistoryRow, Listing, OpenError, Place, Sought, Store, StoreError};

use crate::test_env::{PATIENCE, TestEnv, all_at_once, change, create, deed, event, file, history_row, instance, moved, product, settings};

fn open(database: &Database) -> Result<Store, OpenError> {
    store::open(database, Clock::system())
}

#[tokio::test]
async fn what_was_answered_is_there_without_a_clean_end() {
    let env = TestEnv::sqlite();
    for n in 0..20 {
        env.store.resources.commit(Commit { outbox: vec![event("a", n)], ..create(product(&n.to_string())) }).await.unwrap();
    }
    // What a killed process leaves: the files as they are now, the log not yet copied into the database.
    let copy = tempfile::tempdir().unwrap();
    let target = file(&copy);
    std::fs::create_dir_all(target.parent().unwrap()).unwrap();
    for suffix in ["", "-wal"] {
        let name = |path: &std::path::Path| format!("{}{suffix}", path.display());
        std::fs::copy(name(&env.path()), name(&target)).unwrap();
    }
    let next = open(&settings(&copy)).unwrap();
    assert_eq!(next.instances.epoch(), env.store.instances.epoch() + 1);
    assert_eq!(next.messages.unpublished(0, 100).await.unwrap().len(), 20);
    let all = Listing { kind: "products".into(), limit: 100, ..Listing::default() };
    assert_eq!(next.resources.resources(&all).await.unwrap(), env.store.resources.resources(&all).await.unwrap());
}

#[tokio::test]
async fn a_second_open_is_refused_and_names_the_file() {
    let mut env = TestEnv::sqlite();
    let again = open(&Database { place: Place::File(env.path()), readers: 1, keys: vec![], kinds: vec![] }).unwrap_err();
    assert!(matches!(again, OpenError::InUse { .. }), "{again:?}");
    let text = again.to_string();
    assert!(text.contains(&*env.path().to_string_lossy()) && text.contains("in use by another process"), "{text}");
    env.reopen().await;
    env.store.resources.commit(create(product("1"))).await.expect("it was closed, so it can be opened");
}

#[test]
fn a_lock_of_another_process_is_respected() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Database { place: Place::File(folder.path().join("a.db")), readers: 1, keys: vec![], kinds: vec![] };
    let lock = folder.path().join("a.db.lock");
    // flock(1) takes the lock, says so, and holds it until its input ends.
    let mut holder = Command::new("flock")
        .arg(&lock)
        .args(["sh", "-c", "echo held; cat"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(holder.stdout.as_mut().unwrap()), &mut line).unwrap();
    assert_eq!(line, "held\n");
    assert!(matches!(open(&settings), Err(OpenError::InUse { .. })));
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert!(open(&settings).is_ok());
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    std::fs::write(&path, "this is no database, but long enough to be taken for the header of one: ".repeat(20)).unwrap();
    let error = open(&Database { place: Place::File(path.clone()), readers: 1, keys: vec![], kinds: vec![] }).unwrap_err().to_string();
    assert!(error.contains(&*path.to_string_lossy()) && error.contains("not a database"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = open(&Database { place: Place::File(file.join("a.db")), readers: 1, keys: vec![], kinds: vec![] }).unwrap_err().to_string();
    assert!(error.contains(&*file.to_string_lossy()), "{error}");
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&settings(&folder)).unwrap();
    store.operations.close().await;
    let connection = rusqlite::Connection::open(file(&folder)).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = open(&settings(&folder)).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error:?}");
}

#[tokio::test]
async fn keys_of_emails_that_an_older_program_made_are_made_anew_and_who_registered_first_keeps_theirs() {
    let mut env = TestEnv::sqlite();
    let older = [
        ("1", "b\u{FC}cher@example.com", 2),
        ("2", "bu\u{308}cher@example.com", 1),
        ("3", "Jo\u{308}rg@B\u{FC}cher.example", 3),
        ("4", "eve@example.com", 4),
    ];
    env.store.operations.close().await;
    let connection = rusqlite::Connection::open(env.path()).unwrap();
    connection.execute("UPDATE process SET email_keys = 0", []).unwrap();
    for (id, email, created_at) in older {
        let insert = "INSERT INTO users (id, name, email, email_key, password_hash, created_at) VALUES (?1, 'n', ?2, ?3, 'p', ?4)";
        connection.execute(insert, rusqlite::params![id, email, email.to_lowercase(), created_at]).unwrap();
    }
    drop(connection);
    for _ in 0..2 {
        env.reopen().await;
        let found = async |email: &str| env.store.users.user_by_email(email).await.unwrap().map(|user| user.id);
        assert_eq!(found("b\u{FC}cher@example.com").await.as_deref(), Some("2"));
        assert_eq!(found("bu\u{308}cher@example.com").await.as_deref(), Some("2"));
        assert_eq!(found("j\u{F6}rg@xn--bcher-kva.example").await.as_deref(), Some("3"));
        assert_eq!(found("EVE@example.com").await.as_deref(), Some("4"));
        assert_eq!(env.store.users.user("1").await.unwrap().map(|user| user.email).as_deref(), Some("b\u{FC}cher@example.com"));
    }
}

#[tokio::test]
async fn history_that_an_older_program_wrote_names_its_components_versions() {
    let mut env = TestEnv::sqlite();
    let row = HistoryRow { digest: Some("abab".into()), ..history_row(1) };
    env.store.resources.commit(Commit { history: vec![row.clone()], ..create(instance("a")) }).await.unwrap();
    env.store.operations.close().await;
    let connection = rusqlite::Connection::open(env.path()).unwrap();
    assert_eq!(connection.execute("UPDATE history SET digest = 'abab', digest_pk = NULL", []).unwrap(), 1);
    drop(connection);
    env.reopen().await;
    assert_eq!(env.store.resources.history("orders", "a", 0, 10).await.unwrap(), [row]);
    let sought = Sought { kind: "orders".into(), digest: Some("aba".into()), limit: 10, ..Sought::default() };
    assert_eq!(env.store.operations.find(&sought).await.unwrap().found.len(), 1);
}

#[tokio::test]
async fn a_commit_happens_although_its_caller_is_gone() {
    let env = TestEnv::sqlite();
    for n in 0..20 {
        let mut commit = env.store.resources.commit(create(product(&n.to_string())));
        // The first look hands it to the writer; then the caller hangs up.
        let _ = (&mut commit).now_or_never();
        drop(commit);
    }
    // Writes are answered in the sequence they were asked for.
    env.store.resources.commit(create(product("last"))).await.unwrap();
    let all = Listing { kind: "products".into(), limit: 100, ..Listing::default() };
    assert_eq!(env.store.resources.resources(&all).await.unwrap().len(), 21);
}

#[tokio::test]
async fn closing_finishes_what_was_asked_for() {
    let mut env = TestEnv::sqlite();
    let writes = futures::future::join_all((0..50).map(|n| {
        let store = env.store.clone();
        async move { store.resources.commit(create(product(&n.to_string()))).await }
    }));
    let close = env.store.operations.close();
    let (results, ()) = tokio::time::timeout(PATIENCE, futures::future::join(writes, close)).await.unwrap();
    assert!(results.iter().all(Result::is_ok), "all were asked for before the end: {results:?}");
    env.reopen().await;
    let all = Listing { kind: "products".into(), limit: 100, ..Listing::default() };
    assert_eq!(env.store.resources.resources(&all).await.unwrap().len(), results.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_taken_under_load_is_consistent() {
    let env = TestEnv::sqlite();
    let copy = tempfile::tempdir().unwrap();
    let target = file(&copy);
    std::fs::create_dir_all(target.parent().unwrap()).unwrap();
    let writers = (0..16).map(|n| {
        let (store, target) = (env.store.clone(), target.clone());
        async move {
            let id = n.to_string();
            let mut resource = instance(&id);
            store.resources.commit(Commit { outbox: vec![event(&id, 1)], ..create(resource.clone()) }).await.unwrap();
            for seq in 2..12 {
                resource = moved(&resource, "paying");
                store.resources.commit(Commit { outbox: vec![event(&id, seq)], ..change(resource.clone()) }).await.unwrap();
                if (n, seq) == (0, 5) {
                    store.operations.backup(&target).await.unwrap();
                }
            }
        }
    });
    all_at_once(writers).await;
    let restored = open(&settings(&copy)).unwrap();
    let all = Listing { kind: "orders".into(), limit: 100, ..Listing::default() };
    let resources = restored.resources.resources(&all).await.unwrap();
    let versions: u64 = resources.iter().map(|resource| resource.version).sum();
    let events = restored.messages.unpublished(0, 1_000).await.unwrap();
    assert!((5..=16 * 11).contains(&versions));
    assert_eq!(events.len() as u64, versions, "every change is there with its event");
}

#[tokio::test]
async fn a_backup_is_equal_and_never_replaces_a_file() {
    let env = TestEnv::sqlite();
    for n in 0..30 {
        env.store.resources.commit(create(product(&n.to_string()))).await.unwrap();
    }
    let copy = tempfile::tempdir().unwrap();
    let target = copy.path().join("copy.db");
    env.store.operations.backup(&target).await.unwrap();
    let again = env.store.operations.backup(&target).await;
    assert!(matches!(&again, Err(StoreError::Unavailable(text)) if text.contains("copy.db")), "{again:?}");
    let restored = open(&Database { place: Place::File(target), readers: 1, keys: vec![], kinds: vec![] }).unwrap();
    let all = Listing { kind: "products".into(), limit: 100, ..Listing::default() };
    assert_eq!(restored.resources.resources(&all).await.unwrap(), env.store.resources.resources(&all).await.unwrap());
}

#[tokio::test]
async fn a_store_in_memory_says_that_it_cannot_be_backed_up() {
    let env = TestEnv::memory();
    let refused = env.store.operations.backup(std::path::Path::new("nowhere.db")).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
}

#[tokio::test]
async fn the_newest_of_many_are_found_by_walking_an_index() {
    let env = TestEnv::sqlite();
    let connection = rusqlite::Connection::open(env.path()).unwrap();
    let plan = |sql: &str| {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    };
    let mine = plan(
        "SELECT data FROM resources WHERE kind = 'orders' AND owner = 'u' AND (created_at, id) < (5, 'x')
         ORDER BY created_at DESC, id DESC LIMIT 50",
    );
    assert!(mine.contains("USING INDEX resources_owned") && !mine.contains("TEMP B-TREE"), "{mine}");
    let ready = plan(
        "SELECT sequence FROM step_runs WHERE status = 'ready' AND component = 'c' AND (attempt > 1 OR (kind = 'step' AND visit > 1)) = 0
         AND due_at <= 5 ORDER BY due_at, sequence LIMIT 5",
    );
    let walked = "INDEX step_runs_line (component=? AND <expr>=? AND due_at<?)";
    assert!(ready.contains(walked) && !ready.contains("TEMP B-TREE"), "{ready}");
    let components = plan("SELECT min(component) FROM step_runs WHERE status = 'ready' AND component > 'c'");
    assert!(components.contains("INDEX step_runs_line (component>?)"), "{components}");
}

/// The triggers keep the program and a person at a prompt from it; whoever drops them is found out.
#[tokio::test]
async fn the_audit_log_on_the_disk_is_only_added_to_and_says_if_it_was_changed() {
    let env = TestEnv::sqlite();
    env.store.audit.note((0..5).map(|n: u64| deed("look", &n.to_string())).collect()).await.unwrap();
    let verify = || store::offline::verify_audit(&env.path()).unwrap();
    assert_eq!((verify().broken, verify().chain.seq), (None, 5));
    let connection = rusqlite::Connection::open(env.path()).unwrap();
    let replace = "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE seq = 2";
    for change in ["UPDATE audit SET actor = 'eve' WHERE seq = 2", "DELETE FROM audit WHERE seq = 2", replace] {
        let refused = connection.execute(change, []).unwrap_err().to_string();
        assert!(refused.contains("only added to"), "{change}: {refused}");
    }
    connection.execute_batch("DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_shortened").unwrap();
    connection.execute("DELETE FROM audit WHERE seq = 5", []).unwrap();
    assert_eq!(verify().broken, Some(Broken::Cut { last: 4, written: 5 }));
    connection.execute("UPDATE audit SET actor = 'eve' WHERE seq = 2", []).unwrap();
    assert_eq!((verify().broken, verify().chain.seq), (Some(Broken::Changed(2)), 1));
}
