//! Copies of the database that are made and put back where there is no room, by an administrator, twice at once, or killed half way.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use rustix::process::Signal;

use super::test_env::until;
use crate::process::{Home, wrapped};
use crate::test_app::repository;

const DATABASE: &str = "data/ecommerce.db";

/// A user that no machine has.
const SOMEBODY: u32 = 54_321;

fn monolith() -> PathBuf {
    repository().join("configs/monolith.yaml")
}

fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}

fn backup(home: &Home, around: &[&str], to: &Path) -> Result<String, String> {
    home.operate_under(around, &monolith(), &["backup", "--to", path(to)])
}

fn restore(home: &Home, around: &[&str], from: &Path) -> Result<String, String> {
    home.operate_under(around, &monolith(), &["restore", "--from", path(from)])
}

/// A shop that was stopped, with what it has left: one unit of prod-008 is sold.
async fn a_stopped_shop() -> Home {
    let home = Home::new();
    let process = home.start(&[]).await;
    process.client.customer("ada").await.order_until("prod-008", 1, "tok_visa", &["delivered"]).await;
    process.kill();
    home
}

/// What is left of a product once the shop is started again.
async fn left(home: &Home) -> u64 {
    home.start(&[]).await.client.stock("prod-008").await
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A program around another whose calls of `call` are treated as `how`, in the words of strace.
fn injecting<'a>(trace: &'a str, inject: &'a str) -> [&'a str; 9] {
    ["strace", "-f", "-qq", "-o", "/dev/null", "-e", trace, "-e", inject]
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_nothing_of_a_copy_stays_and_the_database_is_what_it_was() {
    let home = a_stopped_shop().await;
    let (copies, data) = (home.path().join("copies"), home.path().join("data"));
    fs::create_dir(&copies).unwrap();
    let copy = copies.join("copy.db");
    // There is no room for the copy alone.
    let part = copies.join("copy.db.part").display().to_string();
    let full = injecting("trace=pwrite64", "inject=pwrite64:error=ENOSPC");
    let refused = backup(&home, &[&full[..], &["-P", &part]].concat(), &copy).unwrap_err();
    assert!(refused.contains("copy.db") && refused.contains("full"), "{refused}");
    let limited = backup(&home, &["prlimit", "--fsize=40000", "--"], &copy).unwrap_err();
    assert!(limited.contains("copy.db") && limited.contains("may not grow"), "{limited}");
    assert!(names(&copies).is_empty(), "{:?}", names(&copies));

    backup(&home, &[], &copy).unwrap();
    let before = names(&data);
    let full = restore(&home, &injecting("trace=fsync", "inject=fsync:error=ENOSPC"), &copy).unwrap_err();
    assert!(full.contains("ecommerce.db") && full.contains("No space left"), "{full}");
    let limited = restore(&home, &["prlimit", "--fsize=40000", "--"], &copy).unwrap_err();
    assert!(limited.contains("ecommerce.db") && limited.contains("File too large"), "{limited}");
    assert_eq!(names(&data), before);
    assert_eq!(left(&home).await, 998);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_was_no_database_none_is_left_by_a_copy_that_finds_no_room() {
    let home = a_stopped_shop().await;
    let (copy, data) = (home.path().join("copy.db"), home.path().join("data"));
    backup(&home, &[], &copy).unwrap();
    fs::remove_dir_all(&data).unwrap();
    fs::create_dir(&data).unwrap();
    restore(&home, &injecting("trace=fsync", "inject=fsync:error=ENOSPC"), &copy).unwrap_err();
    assert!(!home.path().join(DATABASE).exists() && !names(&data).iter().any(|name| name.contains("restored")), "{:?}", names(&data));
    restore(&home, &[], &copy).unwrap();
    assert_eq!(left(&home).await, 998);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_an_administrator_puts_back_belongs_to_whom_the_database_belongs() {
    let home = a_stopped_shop().await;
    let (copy, data, database) = (home.path().join("copy.db"), home.path().join("data"), home.path().join(DATABASE));
    backup(&home, &[], &copy).unwrap();
    // Only an administrator can give a file away; for anybody else all that follows is theirs, and has to stay so.
    let _ = chown(&database, Some(SOMEBODY), Some(SOMEBODY));
    fs::set_permissions(&database, fs::Permissions::from_mode(0o640)).unwrap();
    let whose = |file: &Path| fs::metadata(file).map(|found| (found.uid(), found.gid(), found.mode() & 0o777)).unwrap();
    let before = whose(&database);
    restore(&home, &[], &copy).unwrap();
    assert_eq!(whose(&database), before, "the file that it replaces");

    fs::remove_dir_all(&data).unwrap();
    fs::create_dir(&data).unwrap();
    let _ = chown(&data, Some(SOMEBODY), Some(SOMEBODY));
    let (user, group, _) = whose(&data);
    restore(&home, &[], &copy).unwrap();
    for name in names(&data) {
        assert_eq!(whose(&data.join(&name)), (user, group, 0o600), "{name}: the folder, where there was no file");
    }
}

/// A command under way, which is killed with this.
struct UnderWay(Child);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process_group(rustix::process::Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_backup_of_one_name_is_refused_and_the_first_is_whole() {
    let home = a_stopped_shop().await;
    let copy = home.path().join("copy.db");
    // What a backup has left that was killed is in nobody's way.
    fs::write(home.path().join("copy.db.part"), vec![7; 3_000_000]).unwrap();
    // The first one waits when all is written, until it is told to go on.
    let stopping = injecting("trace=fsync", "inject=fsync:signal=STOP:when=1");
    let mut first = wrapped(&stopping, home.command_of(&["backup", "--to", path(&copy)], &monolith()));
    first.stdout(Stdio::null()).stderr(Stdio::null());
    std::os::unix::process::CommandExt::process_group(&mut first, 0);
    let mut first = UnderWay(first.spawn().unwrap());
    let part = home.path().join("copy.db.part");
    let begun = || async { fs::read(&part).is_ok_and(|bytes| bytes.starts_with(b"SQLite")).then_some(()) };
    until("the first backup writes", begun).await;
    let second = backup(&home, &[], &copy).unwrap_err();
    assert!(second.contains("copy.db") && second.contains("another backup is writing it"), "{second}");
    let status = until("the first backup ends", || {
        let group = rustix::process::Pid::from_child(&first.0);
        rustix::process::kill_process_group(group, Signal::CONT).unwrap();
        std::future::ready(first.0.try_wait().unwrap())
    })
    .await;
    assert!(status.success(), "{status}");
    let third = backup(&home, &[], &copy).unwrap_err();
    assert!(third.contains("copy.db") && third.contains("take another name"), "{third}");
    assert_eq!(names(home.path()).iter().filter(|name| name.starts_with("copy.db")).count(), 1, "{:?}", names(home.path()));
    restore(&home, &[], &copy).unwrap();
    assert_eq!(left(&home).await, 998);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_under_a_new_name_only_and_says_what_is_there() {
    let home = a_stopped_shop().await;
    let file = |name: &str| home.path().join(name);
    fs::write(file("file"), "mine").unwrap();
    fs::create_dir(file("folder")).unwrap();
    symlink("nowhere", file("link")).unwrap();
    let before = names(home.path());
    for (to, says) in [
        (file("file"), "take another name"),
        (file("link"), "take another name"),
        (file("folder"), "is a folder"),
        (file("none").join("copy.db"), "No such file or directory"),
        (file("file").join("copy.db"), "Not a directory"),
        (PathBuf::from(DATABASE), "take another name"),
    ] {
        let refused = backup(&home, &[], &to).unwrap_err();
        assert!(refused.contains(path(&to)) && refused.contains(says), "{refused}");
    }
    assert_eq!((names(home.path()), fs::read(file("file")).unwrap()), (before, b"mine".to_vec()));
    let refused = restore(&home, &[], &file("folder")).unwrap_err();
    assert!(refused.contains("folder") && refused.contains("is a folder"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_killed_anywhere_is_made_again() {
    let home = a_stopped_shop().await;
    let copy = home.path().join("copy.db");
    backup(&home, &[], &copy).unwrap();
    for (call, count) in [("fsync", 3), ("/^rename", 4), ("/^unlink", 1)] {
        for number in 1..=count {
            home.start(&[]).await.client.login("ada").await.order_until("prod-008", 1, "tok_visa", &["delivered"]).await;
            let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={number}"));
            let said = restore(&home, &injecting(&trace, &inject), &copy);
            let there = names(home.path().join(DATABASE).parent().unwrap());
            let is_parted = |name: &String| name.contains(".before-") && name.ends_with("-wal");
            assert!(!there.iter().any(is_parted), "{call} {number}: a log without its database: {there:?}");
            restore(&home, &[], &copy).unwrap_or_else(|error| panic!("{call} {number}: {error}, after {said:?}"));
            assert_eq!(left(&home).await, 998, "{call} {number}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_restore_that_is_killed_leaves_the_first_or_itself_and_never_an_empty_shop() {
    let home = a_stopped_shop().await;
    let copy = home.path().join("copy.db");
    backup(&home, &[], &copy).unwrap();
    for (call, count) in [("fsync", 3), ("/^rename", 2), ("/^link", 1)] {
        for number in 1..=count {
            // Without a start between, nothing remembers what was there.
            restore(&home, &[], &copy).unwrap();
            let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={number}"));
            let said = restore(&home, &injecting(&trace, &inject), &copy);
            assert_eq!(left(&home).await, 998, "{call} {number}: {said:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_behind_a_link_is_put_back_where_it_is() {
    let home = a_stopped_shop().await;
    let (copy, elsewhere, database) = (home.path().join("copy.db"), home.path().join("elsewhere"), home.path().join(DATABASE));
    backup(&home, &[], &copy).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    fs::rename(&database, elsewhere.join("big.db")).unwrap();
    symlink(elsewhere.join("big.db"), &database).unwrap();
    restore(&home, &[], &copy).unwrap();
    assert_eq!(fs::read_link(&database).unwrap(), elsewhere.join("big.db"));
    assert!(names(&elsewhere).iter().any(|name| name.contains(".before-")), "{:?}", names(&elsewhere));
    assert_eq!(left(&home).await, 998);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_without_the_environment_of_the_service_copies_and_puts_back_what_it_names_and_nothing_else() {
    let home = Home::new();
    let process = home.start(&[]).await;
    process.client.customer("ada").await.order_until("prod-008", 1, "tok_visa", &["delivered"]).await;
    let (data, elsewhere, copy) = (home.path().join("data"), home.path().join("elsewhere"), home.path().join("copy.db"));
    let config = monolith();
    let shell = |arguments: &[&str], data: &Path| home.operate_from_shell(&config, arguments, &[("DATA_DIR", data)]);
    let copy = copy.to_str().unwrap();

    let wrong = shell(&["backup", "--to", copy], &elsewhere).unwrap_err();
    assert!(wrong.contains("there is no database '") && wrong.contains("elsewhere") && wrong.contains("DATA_DIR"), "{wrong}");
    for listed in [["quarantined", "list"], ["dlq", "list"]] {
        let wrong = shell(&listed, &elsewhere).unwrap_err();
        assert!(wrong.contains("there is no database '") && wrong.contains("DATA_DIR"), "{wrong}");
    }
    let said = shell(&["backup", "--to", copy], &data).unwrap();
    assert!(said.contains("instances under way"), "{said}");
    assert_eq!(shell(&["quarantined", "list"], &data).unwrap(), "0 quarantined runs\n");
    assert_eq!(shell(&["dlq", "list"], &data).unwrap().lines().count(), 1);
    drop(process);

    // Where nobody has said where it is, a folder that is not there is the sign of another environment.
    let folder = home.path().join("data");
    fs::rename(&folder, home.path().join("kept")).unwrap();
    let wrong = home.operate_from_shell(&config, &["restore", "--from", copy], &[]).unwrap_err();
    assert!(wrong.contains("there is no folder '") && wrong.contains("/data'") && wrong.contains("DATA_DIR"), "{wrong}");
    assert!(!folder.exists());
    fs::rename(home.path().join("kept"), &folder).unwrap();
    // One that is named is made, with those above it, unless there is nothing to put into it.
    let new = elsewhere.join("deep");
    let wrong = shell(&["restore", "--from", config.to_str().unwrap()], &new).unwrap_err();
    assert!(!elsewhere.exists(), "{wrong}");
    let said = shell(&["restore", "--from", copy], &new).unwrap();
    assert!(said.contains("there was no database before"), "{said}");
    assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o077, 0, "nobody else reads what customers have written");
    let said = shell(&["restore", "--from", copy], &new).unwrap();
    assert!(said.contains("is kept as"), "{said}");
    let said = shell(&["restore", "--from", copy], &data).unwrap();
    assert!(said.contains("is kept as"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_report_cannot_be_printed_is_there_and_is_told_to_be() {
    let home = Home::new();
    drop(home.start(&[]).await);
    let (copy, full) = (home.path().join("copy.db"), fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let mut backup = home.command_of(&["backup", "--to", copy.to_str().unwrap()], &monolith());
    let output = backup.stdout(full).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("was copied to") && said.contains("This was done") && said.contains("No space left"), "{said}");
    assert!(copy.exists() && !output.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_says_whose_accounts_were_changed_since_the_copy() {
    let home = a_stopped_shop().await;
    let copy = home.path().join("copy.db");
    backup(&home, &[], &copy).unwrap();
    assert!(!restore(&home, &[], &copy).unwrap().contains("accounts"), "nothing has changed");
    home.operate(&monolith(), &["users", "disable", "ada@example.com"]).unwrap();
    let told = restore(&home, &[], &copy).unwrap();
    assert!(told.contains("1 accounts were changed after that copy") && told.contains("ada@example.com"), "{told}");
}
