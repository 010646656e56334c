//! What becomes of the files beside the process: deleted, emptied, overwritten, put back, of another version; and who may read them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};

use super::test_env::{Condition, until};
use crate::client::{Client, PATIENCE};
use crate::process::Home;

const DATABASE: &str = "data/ecommerce.db";

/// The files of a shop that has had two lives: the first was closed, the second was killed or closed.
struct Shop {
    folder: tempfile::TempDir,
    /// How many orders it has.
    orders: usize,
}

/// Orders of both lives.
const ORDERS: usize = 6;

async fn place(customer: &Client, orders: usize) {
    for _ in 0..orders {
        customer.order_until("prod-008", 1, "tok_visa", &["delivered"]).await;
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() { copy(&entry.path(), &target) } else { put(entry.path(), target) }
    }
}

fn put(from: PathBuf, to: PathBuf) {
    std::fs::copy(from, to).unwrap();
}

fn vacuum_into(database: &Path, target: &Path) {
    rusqlite::Connection::open(database).unwrap().execute("VACUUM INTO ?1", [target.to_str().unwrap()]).unwrap();
}

/// How far was written, as the mark says.
fn noted(home: &Path) -> i64 {
    let mark: serde_json::Value = serde_json::from_slice(&std::fs::read(file(home, ".mark")).unwrap()).unwrap();
    mark["written"].as_i64().unwrap()
}

/// How far was written, as the database says without its log.
fn in_the_file_alone(home: &Path) -> i64 {
    let uri = format!("file:{}?immutable=1", file(home, "").display());
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI;
    let database = rusqlite::Connection::open_with_flags(uri, flags).unwrap();
    database.query_row("SELECT steady_at FROM process", [], |row| row.get(0)).unwrap()
}

impl Shop {
    /// Both as they were killed, and as they were closed. Beside the killed one are copies: of the first life's end, of the last life.
    async fn two() -> (Self, Self) {
        let home = Home::new();
        let mut process = home.start_under(Condition::default()).await;
        place(&process.client.customer("ada").await, ORDERS / 2).await;
        process.signal(Signal::TERM);
        process.ended_within(Duration::from_secs(20)).await.expect("it ends when it is told to");
        let first = home.path().join("first.db");
        std::fs::copy(home.path().join(DATABASE), &first).unwrap();

        // Its end writes what it has done into the file.
        let mut process = home.start_under(Condition::default()).await;
        place(&process.client.login("ada").await, 1).await;
        process.signal(Signal::TERM);
        process.ended_within(Duration::from_secs(20)).await.expect("it ends when it is told to");

        let mut process = home.start_under(Condition::default()).await;
        let customer = process.client.login("ada").await;
        place(&customer, ORDERS / 2 - 1).await;
        // Until the log has what the mark knows of and the file has not: then its loss is one.
        let mut orders = ORDERS;
        let more = std::sync::atomic::AtomicUsize::new(0);
        until("the log has something of its own", || async {
            place(&customer, 1).await;
            more.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            (noted(home.path()) > in_the_file_alone(home.path())).then_some(())
        })
        .await;
        orders += more.into_inner();
        vacuum_into(&home.path().join(DATABASE), &home.path().join("second.db"));
        process.signal(Signal::KILL);
        process.ended_within(Duration::from_secs(20)).await.unwrap();
        let killed = Self::of(home.path(), orders);

        let mut process = home.start_under(Condition::default()).await;
        process.signal(Signal::TERM);
        process.ended_within(Duration::from_secs(20)).await.unwrap();
        (killed, Self::of(home.path(), orders))
    }

    fn of(path: &Path, orders: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(path, folder.path());
        Self { folder, orders }
    }

    /// The same files, to be damaged.
    fn again(&self) -> Home {
        let home = Home::new();
        copy(self.folder.path(), home.path());
        home
    }
}

type Damage = fn(&Path);

/// A file of the database in the folder of a home.
fn file(home: &Path, suffix: &str) -> PathBuf {
    home.join(format!("{DATABASE}{suffix}"))
}

fn empty(path: &Path) {
    std::fs::File::options().write(true).open(path).unwrap().set_len(0).unwrap();
}

fn remove(path: &Path) {
    std::fs::remove_file(path).unwrap();
}

/// Writes rubbish over all pages but the first one.
fn overwrite_pages(path: &Path) {
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::File::options().write(true).open(path).unwrap();
    let size = file.metadata().unwrap().len();
    assert!(size > 10 * 4_096, "it has {size} bytes");
    (1..size / 4_096).for_each(|page| file.write_all_at(&[0xa5; 4_096], page * 4_096).unwrap());
}

/// Starts a process that is to refuse, and answers what it says.
async fn refused(home: &Home, what: &str) -> String {
    let mut process = home.spawn_under(Condition { log: Some(Stdio::piped()), ..Condition::default() });
    let status = process.ended_within(Duration::from_secs(30)).await.unwrap_or_else(|| panic!("{what}: it has started"));
    assert_eq!(status.code(), Some(1), "{what}");
    let log = std::io::read_to_string(process.log()).unwrap();
    log.lines().rfind(|line| line.starts_with("millrace: ")).unwrap_or_else(|| panic!("{what}: {log}")).to_owned()
}

async fn orders(home: &Home) -> usize {
    let process = home.start_under(Condition::default()).await;
    process.client.login("ada").await.get("/api/orders?limit=100").await.body.as_array().unwrap().len()
}

/// What is done to the files, and what the refusal says.
const OF_THE_KILLED: &[(&str, Damage, &[&str])] = &[
    ("the database was emptied", |home| empty(&file(home, "")), &["is empty or gone", ".mark"]),
    ("the database was deleted", |home| remove(&file(home, "")), &["is empty or gone", ".mark"]),
    (
        "all was deleted but the mark",
        |home| ["", "-wal", "-shm", ".lock"].iter().for_each(|suffix| remove(&file(home, suffix))),
        &["is empty or gone"],
    ),
    ("the log was deleted", |home| remove(&file(home, "-wal")), &["less than was written", "-wal' is gone", ".mark"]),
    ("the log was emptied", |home| empty(&file(home, "-wal")), &["less than was written", "-wal' is gone"]),
    ("pages were overwritten", |home| overwrite_pages(&file(home, "")), &["is damaged", "put a copy back"]),
    (
        "a copy of an earlier life was put beside the log",
        |home| put(home.join("first.db"), file(home, "")),
        &["does not belong to the log", "-wal' too"],
    ),
    (
        "a copy of the same life was put beside the log",
        |home| put(home.join("second.db"), file(home, "")),
        &["does not belong to the log", "-wal' too"],
    ),
];

const OF_THE_CLOSED: &[(&str, Damage, &[&str])] = &[
    ("the database was emptied", |home| empty(&file(home, "")), &["is empty or gone", ".mark"]),
    ("the database was deleted", |home| remove(&file(home, "")), &["is empty or gone", ".mark"]),
    ("an older copy was put back", |home| put(home.join("first.db"), file(home, "")), &["an older copy", ".mark"]),
    (
        "the database of another shop was put in its place",
        |home| {
            let other = rusqlite::Connection::open(file(home, "")).unwrap();
            other.execute("UPDATE process SET identity = 'another'", []).unwrap();
        },
        &["another one than before", ".mark"],
    ),
    (
        "a newer version has written it",
        |home| rusqlite::Connection::open(file(home, "")).unwrap().pragma_update(None, "user_version", 99).unwrap(),
        &["newer version of this program", "version 99", "knows up to"],
    ),
    ("it is no database", |home| std::fs::write(file(home, ""), "rubbish ".repeat(4_096)).unwrap(), &["not a database"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_as_it_was_left_is_refused_in_words_that_say_what_to_do() {
    let (killed, closed) = Shop::two().await;
    for (shop, cases) in [(&killed, OF_THE_KILLED), (&closed, OF_THE_CLOSED)] {
        for (what, damage, words) in cases {
            let home = shop.again();
            damage(home.path());
            let told = refused(&home, what).await;
            assert!(told.contains("ecommerce.db"), "{what}: {told}");
            for word in *words {
                assert_eq!(told.matches(word).count(), 1, "{what}: '{word}' in: {told}");
            }
        }
    }

    // What is no damage, and the ways out.
    let harmless: [(&str, &Shop, Damage, usize); 7] = [
        ("nothing", &killed, |_| {}, killed.orders),
        ("the index of the log was deleted", &killed, |home| remove(&file(home, "-shm")), killed.orders),
        ("somebody looked at it with another program", &killed, |home| vacuum_into(&file(home, ""), &home.join("third.db")), killed.orders),
        ("the mark was deleted", &killed, |home| remove(&file(home, ".mark")), killed.orders),
        ("the mark is rubbish", &killed, |home| std::fs::write(file(home, ".mark"), [0xff; 300]).unwrap(), killed.orders),
        (
            "a copy was put back as the page says",
            &killed,
            |home| {
                ["-wal", "-shm", ".mark"].iter().for_each(|suffix| remove(&file(home, suffix)));
                put(home.join("first.db"), file(home, ""));
            },
            ORDERS / 2,
        ),
        ("it was closed", &closed, |_| {}, closed.orders),
    ];
    for (what, shop, change, expected) in harmless {
        let home = shop.again();
        change(home.path());
        assert_eq!(orders(&home).await, expected, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_leaves_the_files_as_they_are() {
    let (killed, _) = Shop::two().await;
    let home = killed.again();
    std::fs::copy(home.path().join("second.db"), file(home.path(), "")).unwrap();
    let before = ["", "-wal", ".mark"].map(|suffix| std::fs::read(file(home.path(), suffix)).unwrap());
    refused(&home, "a copy beside the log").await;
    assert!(["", "-wal", ".mark"].map(|suffix| std::fs::read(file(home.path(), suffix)).unwrap()) == before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_is_refused_even_if_the_lock_was_deleted() {
    let home = Home::new();
    let process = home.start_under(Condition::default()).await;
    remove(&file(home.path(), ".lock"));
    let told = refused(&home, "a second process").await;
    assert!(told.contains("in use by another process"), "{told}");
    place(&process.client.customer("ada").await, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_taken_away_from_a_running_process_are_missed_before_an_order_is_lost() {
    let home = Home::new();
    let mut process = home.start_under(Condition::default()).await;
    let customer = process.client.customer("ada").await;
    place(&customer, 1).await;
    let aside = home.path().join("aside");
    for (suffix, named) in [("", "the file of the database, "), ("-wal", "the log of the database, ")] {
        std::fs::rename(file(home.path(), suffix), &aside).unwrap();
        let refused = customer.order("prod-008", 1, "tok_visa").await;
        assert_eq!(refused.status, 503, "{named}{refused:?}");
        let health = process.client.get("/healthz").await;
        assert_eq!(health.status, 503, "{named}{health:?}");
        for part in [named, "was removed, moved or replaced", "put it back"] {
            assert!(health.body["checks"].to_string().contains(part), "no '{part}' in {health:?}");
        }
        assert_eq!(process.client.get("/readyz").await.status, 200, "what is there is read");
        // Another one in its place is none.
        put(aside.clone(), file(home.path(), suffix));
        assert_eq!(customer.order("prod-008", 1, "tok_visa").await.status, 503, "{named}");
        std::fs::rename(&aside, file(home.path(), suffix)).unwrap();
        place(&customer, 1).await;
    }
    remove(&file(home.path(), "-wal"));
    process.signal(Signal::TERM);
    process.ended_within(Duration::from_secs(20)).await.expect("it ends when it is told to");
    assert_eq!(orders(&home).await, 3, "the end of the process has copied the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_the_program_makes_can_be_read_by_others() {
    let home = Home::new();
    let around = ["sh", "-c", "umask 0; exec \"$@\"", "sh"];
    let process = home.start_under(Condition { around: &around, ..Condition::default() }).await;
    place(&process.client.customer("ada").await, 1).await;
    let mut files = Vec::new();
    let mut folders = vec![home.path().join("data")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                folders.push(path.clone());
            }
            files.push((path, metadata.permissions().mode() & 0o777));
        }
    }
    assert_eq!(home.path().join("data").metadata().unwrap().permissions().mode() & 0o777, 0o700);
    for name in ["ecommerce.db", "ecommerce.db-wal", "ecommerce.db-shm", "ecommerce.db.lock", "ecommerce.db.mark", "ecommerce.in-flight"] {
        assert!(files.iter().any(|(path, _)| path.ends_with(name)), "{name} in {files:?}");
    }
    let open: Vec<_> = files.iter().filter(|(_, mode)| mode & 0o007 != 0).collect();
    assert!(open.is_empty(), "{open:?}");
    drop(process);

    // Files of an older version, or of a copy.
    for suffix in ["", "-wal", ".lock"] {
        std::fs::set_permissions(file(home.path(), suffix), std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let _process = home.start_under(Condition::default()).await;
    for suffix in ["", "-wal", ".lock"] {
        assert_eq!(file(home.path(), suffix).metadata().unwrap().permissions().mode() & 0o007, 0, "{suffix}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_on_a_full_disk_is_read_and_goes_on_by_itself_when_there_is_room() {
    let (killed, closed) = Shop::two().await;
    tokio::join!(starts_on_a_full_disk(&killed), starts_on_a_full_disk(&closed));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_for_the_index_of_the_log_a_start_says_so() {
    let (_, closed) = Shop::two().await;
    let home = closed.again();
    let around = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64", "-e", "inject=pwrite64:error=ENOSPC"];
    let mut process = home.spawn_under(Condition { around: &around, ..Condition::default() });
    assert_eq!(process.ended_within(PATIENCE).await.expect("it ends").code(), Some(1));
    assert!(process.kept_log().contains("its disk is full"), "{}", process.kept_log());
    drop(process);
    let process = home.start_under(Condition::default()).await;
    assert_eq!(process.client.login("ada").await.get("/api/orders?limit=100").await.body.as_array().unwrap().len(), closed.orders);
}

async fn starts_on_a_full_disk(shop: &Shop) {
    let home = shop.again();
    let log = file(home.path(), "-wal");
    // The system says so often that there is no room when the log is written.
    let log = log.display().to_string();
    let around = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-P",
        log.as_str(),
        "-e",
        "trace=pwrite64",
        "-e",
        "inject=pwrite64:error=ENOSPC:when=1..200",
    ];
    // It is ready, because what is read goes on: to send customers elsewhere would take that away from them.
    let process = home.start_under(Condition { around: &around, ..Condition::default() }).await;
    let customer = process.client.login("ada").await;
    assert_eq!(customer.get("/api/orders?limit=100").await.body.as_array().unwrap().len(), shop.orders);
    let refused = customer.order("prod-008", 1, "tok_visa").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    let health = process.client.get("/healthz").await.body;
    assert_ne!(health["checks"]["persistence"]["status"], "up", "{health:#}");
    until("there is room", || async { (customer.order("prod-008", 1, "tok_visa").await.status == 201).then_some(()) }).await;
    until("all are delivered", || async {
        let orders = customer.get("/api/orders?limit=100").await.body;
        let orders = orders.as_array().unwrap().clone();
        (orders.len() == shop.orders + 1 && orders.iter().all(|order| order["state"] == "delivered")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_had_no_descriptor_left_for_a_while_and_is_killed_starts_with_all_its_orders() {
    let home = Home::new();
    let process = home.start(&[]).await;
    let customer = process.client.customer("ada").await;
    place(&customer, 1).await;
    // What is open stays open, the connections of the customer too: more than one, as the one before may not be back yet.
    let spare = (0..8).map(|_| customer.get("/api/orders"));
    assert!(futures::future::join_all(spare).await.iter().all(|answer| answer.status == 200));
    let process_id = Pid::from_raw(i32::try_from(process.id()).unwrap());
    let usual = prlimit(process_id, Resource::Nofile, getrlimit(Resource::Nofile)).unwrap();
    prlimit(process_id, Resource::Nofile, Rlimit { current: Some(3), ..usual }).unwrap();
    place(&customer, 2).await;
    prlimit(process_id, Resource::Nofile, usual).unwrap();
    place(&customer, 1).await;
    let token = customer.token().to_owned();
    process.kill();
    let process = home.start(&[]).await;
    let orders = process.client.with_token(&token).get("/api/orders").await.body;
    assert_eq!(orders.as_array().unwrap().len(), 4, "{orders:#}");
}
