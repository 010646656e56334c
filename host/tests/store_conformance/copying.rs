//! A database that is copied into one of another kind has the same rows there, and those who open it go on where the others were.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use millrace::clock::Clock;
use millrace::store::{self, Commit, CopiedTable, Database, Dsn, InboxRow, Place, RunStatus, Store, open};
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::postgres_server::Server;
use crate::test_env::{TestEnv, claim, create, deed, event, file, history_row, instance, keys, name, on_server, run, server, settings};

/// What is not copied as a table of rows: what a database says of itself and of its processes, and numbers that stand for texts.
const BESIDE: [&str; 6] = ["process", "digests", "changed_fields", "owners", "slots", "millrace_schema"];

/// A copy waits for what it asks, so it is made beside the runtime. Answers what was copied, or why nothing was.
async fn copied(from: &Place, to: &Place) -> Result<Vec<CopiedTable>, String> {
    let (from, to) = (from.clone(), to.clone());
    let copied = tokio::task::spawn_blocking(move || store::copy(&from, &to, &Clock::system(), &mut |_| ()));
    copied.await.unwrap().map_err(|error| error.to_string())
}

/// A new database of the server, in which nothing is yet.
fn empty_on_server() -> (Place, Dsn) {
    let dsn = Dsn::parse(&server().database()).unwrap();
    (Place::Server(dsn.clone()), dsn)
}

fn in_folder(folder: &tempfile::TempDir, file: &str) -> (Place, PathBuf) {
    let path = folder.path().join(file);
    (Place::File(path.clone()), path)
}

/// A database of SQLite with all its tables, which no process has.
async fn made(folder: &tempfile::TempDir) -> PathBuf {
    open(&settings(folder), Clock::system()).unwrap().operations.close().await;
    file(folder)
}

/// A value for a column of the row `n`, whatever the table is. Texts are of the kind that is easily mangled.
fn value(table: &str, column: &str, form: &str, n: i64) -> Value {
    match (table, column, form) {
        (_, "finished" | "disabled" | "sudo", _) => Value::Integer(n % 2),
        ("users", "roles", _) => Value::Text(format!("[\"support\",\"catalogue {n}\"]")),
        ("reservation_lines", "reservation", _) => value("reservations", "key", "TEXT", n),
        ("resource_keys", "value", _) if n % 2 == 0 => Value::Integer(n),
        // What is always the same has a number.
        ("history", "changes", _) if n % 2 == 0 => Value::Integer(1),
        ("history", "changes", _) => Value::Text(format!("[\"named\",[\"total\",{n}]]")),
        ("history", "digest", _) => {
            if n % 2 == 0 {
                Value::Null
            } else {
                Value::Text("cd".repeat(32))
            }
        }
        ("history", "digest_pk", _) => {
            if n % 2 == 0 {
                Value::Integer(1)
            } else {
                Value::Null
            }
        }
        ("stock", "on_hand", _) => Value::Integer(n + 100),
        (_, _, "INTEGER") => Value::Integer(n),
        // A sequence of texts that a collation of people would have otherwise.
        _ => Value::Text(format!("{} {n} of {table}.{column}: 'ä\"\\\n\t{{}} $1 😀", if n % 2 == 0 { "Z" } else { "a" })),
    }
}

/// Fills each table that there is with so many rows, the last of which has nothing in the columns that may have nothing.
fn fill(path: &Path, rows: i64) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch("INSERT INTO digests (digest) VALUES ('ab'); INSERT INTO changed_fields (changes) VALUES ('[\"a\",\"b\"]')")
        .unwrap();
    let mut tables =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name").unwrap();
    let names: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    connection.execute_batch("PRAGMA foreign_keys = OFF; BEGIN").unwrap();
    for table in names.iter().filter(|name| !BESIDE.contains(&name.as_str())) {
        let mut columns = connection.prepare(&format!("PRAGMA table_info({table})")).unwrap();
        let column = |row: &rusqlite::Row<'_>| {
            Ok((row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, bool>(3)? || row.get::<_, i64>(5)? > 0))
        };
        let columns: Vec<(String, String, bool)> = columns.query_map([], column).unwrap().map(Result::unwrap).collect();
        let names = columns.iter().map(|(name, ..)| name.as_str()).collect::<Vec<_>>().join(", ");
        let mut insert =
            connection.prepare(&format!("INSERT INTO {table} ({names}) VALUES ({})", vec!["?"; columns.len()].join(", "))).unwrap();
        for n in 1..=rows {
            let of = |(name, form, is_needed): &(String, String, bool)| {
                if n == rows && !is_needed { Value::Null } else { value(table, name, form, n) }
            };
            insert.execute(rusqlite::params_from_iter(columns.iter().map(of))).unwrap();
        }
    }
    // Numbers that were given to what is gone by now.
    connection.execute_batch("UPDATE sqlite_sequence SET seq = 70000 WHERE name <> 'audit'; COMMIT").unwrap();
}

/// All rows of all tables as texts, what stands for a text by a number as that text.
fn dump(path: &Path) -> BTreeSet<String> {
    let connection = Connection::open(path).unwrap();
    let columns = "SELECT t.name, group_concat(c.name, '\x1f') FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
                   WHERE t.type = 'table' AND t.name NOT IN ('digests', 'changed_fields', 'process') GROUP BY t.name";
    let mut tables = connection.prepare(columns).unwrap();
    let tables = tables.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
    let mut rows: BTreeSet<String> = BTreeSet::new();
    for (table, columns) in tables.map(Result::unwrap) {
        let read = |column: &str| {
            match (table.as_str(), column) {
            ("history", "digest") => "quote(coalesce(digest, (SELECT d.digest FROM digests AS d WHERE d.pk = digest_pk)))".to_owned(),
            ("history", "digest_pk") => "''".to_owned(),
            ("history", "changes") => {
                "quote(CASE typeof(changes) WHEN 'integer' THEN (SELECT f.changes FROM changed_fields AS f WHERE pk = history.changes) ELSE changes END)".to_owned()
            }
            ("resources", "touched_at") => "quote(coalesce(touched_at, updated_at))".to_owned(),
            (_, column) => format!("quote({column})"),
        }
        };
        let values = columns.split('\x1f').map(read).collect::<Vec<_>>().join(" || ' ' || ");
        let mut select = connection.prepare(&format!("SELECT '{table} ' || {values} FROM {table}")).unwrap();
        rows.extend(select.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap));
    }
    rows
}

/// What a database says of itself: its identity, the last epoch, and the last position of the outbox that was given out.
fn head(path: &Path) -> (String, i64, i64) {
    let select = "SELECT identity, epoch, pruned_position FROM process";
    Connection::open(path).unwrap().query_row(select, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_row_of_each_table_is_there_and_back_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = made(&folder).await;
    // More than a step has, and an even number of them: the last of some has no text in it.
    let rows = 2_500;
    fill(&path, rows);
    let large =
        "INSERT INTO outbox SELECT 10000 + value, 0, 0, 't', 'k', 'e', NULL, printf('%.*c', 1500000, 'x') FROM generate_series(1, 6)";
    let large = large.replace("generate_series(1, 6)", "json_each('[1,2,3,4,5,6]')");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(&format!("{large}; UPDATE process SET pruned_position = 12345")).unwrap();
    drop(connection);
    let (there, dsn) = empty_on_server();
    let (back, back_path) = in_folder(&folder, "back.db");
    let first = copied(&Place::File(path.clone()), &there).await.unwrap();
    let second = copied(&there, &back).await.unwrap();
    assert_eq!(first, second, "the same rows have the same digests");

    let (before, after) = (dump(&path), dump(&back_path));
    let differing: Vec<&String> = before.symmetric_difference(&after).take(6).collect();
    assert!(differing.is_empty(), "{differing:#?}");
    let ((identity, epoch, pruned), (identity_of_copy, epoch_of_copy, pruned_of_copy)) = (head(&path), head(&back_path));
    assert_eq!((&identity, pruned), (&identity_of_copy, pruned_of_copy));
    assert!(epoch_of_copy >= epoch, "{epoch_of_copy} is that of nobody who was before {epoch}");

    // A table or a column of the server's that nothing was copied into would be one that was forgotten.
    let database = name(&dsn);
    for column in columns_on(server(), &database) {
        let (table, name) = column.split_once('.').unwrap();
        let filled = server().ask(&database, &format!("SELECT count({name}) > 0 FROM {table}"));
        assert_eq!(filled, "t", "{column}");
    }
    let store = open(&on_server(&dsn), Clock::system()).unwrap();
    assert!(store.instances.epoch() > epoch.unsigned_abs());
    assert_eq!(store.instances.identity(), identity);
    store.operations.close().await;
}

/// Each column of the tables that have rows to copy, on a server.
fn columns_on(server: &Server, database: &str) -> Vec<String> {
    let beside = BESIDE.map(|table| format!("'{table}'")).join(", ");
    let select = format!(
        "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT IN ({beside})"
    );
    server.ask(database, &select).lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_opens_a_copy_goes_on_with_what_was_under_way() {
    for there_and_back in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let source = open(&settings(&folder), Clock::system()).unwrap();
        let epoch = begin_some(&source).await;
        source.operations.close().await;
        let (there, dsn) = empty_on_server();
        copied(&Place::File(file(&folder)), &there).await.unwrap();
        let store = if there_and_back {
            let (back, path) = in_folder(&folder, "back.db");
            copied(&there, &back).await.unwrap();
            open(&Database { place: Place::File(path), readers: 2, keys: keys(), kinds: vec![] }, Clock::system()).unwrap()
        } else {
            open(&on_server(&dsn), Clock::system()).unwrap()
        };
        go_on(&store, epoch).await;
        store.operations.close().await;
    }
}

/// Has some things be under way: a run inside a component, events that nobody has published, one that was handled. Answers the epoch.
async fn begin_some(store: &Store) -> u64 {
    let of_it = Commit {
        history: vec![history_row(1)],
        runs: vec![run("a", "inventory")],
        outbox: vec![event("a", 1), event("a", 2)],
        ..create(instance("a"))
    };
    store.resources.commit(of_it).await.unwrap();
    store.messages.mark_published(&[1]).await.unwrap();
    let handled = Commit { inbox: Some(InboxRow { consumer: "c".into(), event_id: "e-1".into() }), ..create(instance("b")) };
    store.resources.commit(handled).await.unwrap();
    store.audit.note(vec![deed("look", "1")]).await.unwrap();
    let claimed = claim(store, millrace::clock::Clock::system().now(), 10).await;
    assert_eq!(claimed.len(), 1);
    store.instances.epoch()
}

async fn go_on(store: &Store, epoch: u64) {
    assert!(store.instances.epoch() > epoch);
    assert_eq!(store.instances.recover_runs(&[], 3).await.unwrap(), []);
    let runs = store.instances.runs("orders", "a").await.unwrap();
    assert_eq!(runs.iter().map(|run| (run.status, run.owner)).collect::<Vec<_>>(), [(RunStatus::Ready, None)]);
    let unpublished = store.messages.unpublished(0, 10).await.unwrap();
    assert_eq!(unpublished.iter().map(|row| row.position).collect::<Vec<_>>(), [2]);
    let committed =
        store.resources.commit(Commit { outbox: vec![event("a", 3)], runs: vec![run("a", "payment")], ..Commit::default() }).await.unwrap();
    assert_eq!(committed.positions, [3], "positions go on");
    let again = Commit { inbox: Some(InboxRow { consumer: "c".into(), event_id: "e-1".into() }), ..create(instance("c")) };
    store.resources.commit(again).await.unwrap_err();
    assert_eq!(store.messages.handled_since().await.unwrap(), None, "the inbox has never forgotten anything");
    store.audit.note(vec![deed("look", "2")]).await.unwrap();
    let rows = store.audit.audited_after(0, 10).await.unwrap();
    let mut chain = store::AuditChain::default();
    rows.iter().for_each(|row| chain.check(row).unwrap());
    assert_eq!(chain.seq, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_process_has_is_not_copied_nor_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = made(&folder).await;
    let (source, (there, dsn)) = (Place::File(path.clone()), empty_on_server());

    let process = open(&settings(&folder), Clock::system()).unwrap();
    let refused = copied(&source, &there).await.unwrap_err();
    assert!(refused.contains("in use by another process") && refused.contains(&*path.to_string_lossy()), "{refused}");
    process.operations.close().await;

    let process = open(&on_server(&dsn), Clock::system()).unwrap();
    for (from, to) in [(&source, &there), (&there, &in_folder(&folder, "other.db").0)] {
        let refused = copied(from, to).await.unwrap_err();
        let id = std::process::id().to_string();
        assert!(refused.contains("in use by process") && refused.contains(&id) && refused.contains("stop it first"), "{refused}");
    }
    process.operations.close().await;
    copied(&source, &there).await.expect("nobody has it any more, and nothing is in it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_has_something_in_it_is_named_with_what_that_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = made(&folder).await;
    let (there, dsn) = empty_on_server();
    let store = open(&on_server(&dsn), Clock::system()).unwrap();
    store.resources.commit(Commit { history: vec![history_row(1), history_row(2)], ..create(instance("a")) }).await.unwrap();
    store.operations.close().await;
    let refused = copied(&Place::File(path.clone()), &there).await.unwrap_err();
    for words in ["is not empty", "1 row in 'resources'", "2 rows in 'history'", "createdb"] {
        assert!(refused.contains(words), "{refused}");
    }
    let refused = copied(&there, &Place::File(path.clone())).await.unwrap_err();
    assert!(refused.contains("no rows, but it is there") && refused.contains("move this one away"), "{refused}");
    let (back, back_path) = in_folder(&folder, "back.db");
    copied(&there, &back).await.unwrap();
    let refused = copied(&there, &back).await.unwrap_err();
    assert!(refused.contains("1 row in 'resources'"), "{refused}");
    // Its mark would keep the next start from what took its place.
    std::fs::remove_file(&back_path).unwrap();
    std::fs::write(folder.path().join("back.db.mark"), "left").unwrap();
    let refused = copied(&there, &back).await.unwrap_err();
    assert!(refused.contains("back.db.mark") && refused.contains("another database of that name"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_there_is_nothing_to_copy_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let (nowhere, path) = in_folder(&folder, "none.db");
    let (there, dsn) = empty_on_server();
    let refused = copied(&nowhere, &there).await.unwrap_err();
    assert!(refused.contains("there is nothing to copy") && !path.exists(), "{refused}");
    let refused = copied(&there, &nowhere).await.unwrap_err();
    assert!(refused.contains("none of the tables of this program") && !path.exists(), "{refused}");
    assert_eq!(server().ask(&name(&dsn), "SELECT to_regclass('process') IS NULL"), "t", "a source is not made");
    std::fs::write(&path, "no database at all, but of some length: 16 bytes are the least").unwrap();
    let refused = copied(&nowhere, &there).await.unwrap_err();
    assert!(refused.contains("not a database"), "{refused}");
    let refused = copied(&there, &there).await.unwrap_err();
    assert!(refused.contains("both what is to be copied and where"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_fails_leaves_the_target_as_empty_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = made(&folder).await;
    fill(&path, 4);
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("UPDATE figures SET kind = kind || char(0) WHERE minute = 3").unwrap();
    let (there, dsn) = empty_on_server();
    let refused = copied(&Place::File(path.clone()), &there).await.unwrap_err();
    assert!(refused.contains("'figures'") && refused.contains("minute 3") && refused.contains("U+0000"), "{refused}");
    assert!(refused.contains("as empty as before"), "{refused}");
    assert_eq!(server().ask(&name(&dsn), "SELECT count(*) FROM resources"), "0");

    // A value that is neither a text nor a whole number is none that this program writes.
    connection.execute_batch("UPDATE figures SET kind = 'f' || minute; UPDATE resource_keys SET value = 0.5 WHERE created_at = 1").unwrap();
    let (back, back_path) = in_folder(&folder, "back.db");
    let refused = copied(&Place::File(path.clone()), &back).await.unwrap_err();
    assert!(refused.contains("Real") && refused.contains("as empty as before"), "{refused}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!back_path.exists() && left.iter().all(|name| !name.to_string_lossy().contains(".part")), "{left:?}");
    connection.execute_batch("UPDATE resource_keys SET value = 'a text' WHERE created_at = 1").unwrap();
    drop(connection);
    copied(&Place::File(path.clone()), &there).await.expect("what is mended is copied");
    copied(&Place::File(path), &back).await.expect("what is mended is copied");
}

/// What was killed had the database, and gives no sign of life: it writes nothing more, should it come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_gone_without_a_word_has_ended_with_the_copy() {
    let env = TestEnv::postgres();
    env.store.resources.commit(create(instance("a"))).await.unwrap();
    env.store.operations.close().await;
    let database = name(&env.dsn());
    let gone = "UPDATE owners SET ended_at = NULL, backend_pid = 0, heartbeat_at = clock_timestamp() - interval '11 s'";
    server().ask(&database, gone);
    let folder = tempfile::tempdir().unwrap();
    copied(&Place::Server(env.dsn()), &in_folder(&folder, "a.db").0).await.unwrap();
    assert_eq!(server().ask(&database, "SELECT count(*) FROM owners WHERE ended_at IS NULL"), "0");
}
