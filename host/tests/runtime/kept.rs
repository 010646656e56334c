//! What a process keeps on its disk of components, when the disk does not keep it: never run, always made again.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use crate::fixtures::{built, marked, tiny};
use crate::workshop::{Plan, accepted};

/// Files of compiled code.
fn compiled(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.join("cache/compiled")).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = entries.collect();
    files.sort();
    files
}

struct Kept {
    good: Vec<(String, String)>,
    file: Vec<u8>,
    folder: TempDir,
}

impl Kept {
    async fn of(file: Vec<u8>) -> Self {
        let workshop = Plan::of(file.clone()).own_cache().start().await;
        let good = workshop.remembered.lock().clone();
        Self { good, file, folder: workshop.end().await }
    }

    fn code(&self) -> PathBuf {
        compiled(self.folder.path()).pop().expect("code was kept")
    }

    /// Starts again, and tells whether the code was taken from what was kept.
    async fn start(self) -> (Self, bool) {
        let Self { good, file, folder } = self;
        let workshop = Plan::of(file.clone()).own_cache().start_in(folder, good.clone()).await;
        let cached = workshop.runtime.compilations().iter().all(|compilation| compilation.cached);
        accepted(&workshop.run(json!({ "mode": "accept" })).await);
        assert_eq!(workshop.status().refused, None);
        (Self { good, file, folder: workshop.end().await }, cached)
    }

    /// Starts again after a file was damaged: the code is made again, and the next start takes it.
    async fn starts_after(self, what: &str) -> Self {
        let (kept, cached) = self.start().await;
        assert!(!cached, "{what}: damaged code was run");
        let (kept, cached) = kept.start().await;
        assert!(cached, "{what}: the code that was made again is not taken");
        kept
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_with_one_changed_bit_is_compiled_again() {
    let mut kept = Kept::of(tiny("i32.const 96")).await;
    let whole = std::fs::read(kept.code()).expect("code");
    assert_eq!(std::fs::metadata(kept.code()).expect("code").permissions().mode() & 0o777, 0o600);
    // The checksum, the header behind it, and all along to the last byte.
    let rest = (2..14).map(|part| whole.len() * part / 14);
    for (seed, at) in [0, 31, 32, 40, 63].into_iter().chain(rest).chain([whole.len() - 1]).enumerate() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (seed % 8);
        std::fs::write(kept.code(), damaged).expect("written");
        kept = kept.starts_after(&format!("bit {} of byte {at}", seed % 8)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_authors_command_has_compiled_is_not_compiled_by_the_host_that_serves() {
    let authors = tempfile::tempdir().expect("a folder");
    let (folder, file) = (authors.path().join("cache"), authors.path().join("step.wasm"));
    std::fs::write(&file, tiny("i32.const 96")).expect("a file");
    let check = std::process::Command::new(env!("CARGO_BIN_EXE_millrace")).arg("check").arg(&file).env("MILLRACE_CACHE", &folder).output();
    let check = check.expect("it starts");
    assert!(check.status.success(), "{check:?}");

    let mut plan = Plan::of(tiny("i32.const 96")).own_cache();
    plan.authors_cache = Some(folder);
    let workshop = plan.start().await;
    accepted(&workshop.run(json!({})).await);
    assert_eq!(workshop.runtime.compilations().iter().map(|compilation| compilation.cached).collect::<Vec<_>>(), [true]);
    // From now on it is its own.
    drop(authors);
    let good = workshop.remembered.lock().clone();
    let kept = Kept { good, file: tiny("i32.const 96"), folder: workshop.end().await };
    let (_, cached) = kept.start().await;
    assert!(cached, "it was not kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_that_is_cut_off_or_empty_or_no_file_is_compiled_again() {
    let mut kept = Kept::of(tiny("i32.const 96")).await;
    let whole = std::fs::read(kept.code()).expect("code");
    for left in [0, 1, 32, 33, whole.len() / 2, whole.len() - 1] {
        std::fs::write(kept.code(), &whole[..left]).expect("written");
        kept = kept.starts_after(&format!("{left} bytes")).await;
    }
    std::fs::write(kept.code(), [whole.as_slice(), &[0]].concat()).expect("written");
    kept = kept.starts_after("a byte more").await;
    std::fs::write(kept.code(), vec![0; whole.len()]).expect("written");
    kept = kept.starts_after("zeros").await;
    let (code, elsewhere) = (kept.code(), kept.folder.path().join("elsewhere"));
    std::fs::rename(&code, &elsewhere).expect("moved");
    std::os::unix::fs::symlink(&elsewhere, &code).expect("a link");
    kept.starts_after("a link").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_of_one_component_in_place_of_another_is_compiled_again() {
    let first = Kept::of(tiny("i32.const 96")).await;
    let workshop = Plan::of(first.file.clone()).own_cache().start_in(first.folder, first.good).await;
    workshop.replace(&marked(&first.file, "2"));
    workshop.runtime.reload("worker").await.expect("it is good");
    let good = workshop.remembered.lock().clone();
    let kept = Kept { good, file: marked(&first.file, "2"), folder: workshop.end().await };
    let [one, other] = compiled(kept.folder.path()).try_into().expect("two files of code");
    let between = kept.folder.path().join("between");
    std::fs::rename(&one, &between).expect("renamed");
    std::fs::rename(&other, &one).expect("renamed");
    std::fs::rename(&between, &other).expect("renamed");
    kept.starts_after("another's code").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_lost_or_damaged_is_made_anew() {
    let mut kept = Kept::of(tiny("i32.const 96")).await;
    let key = kept.folder.path().join("cache/compiled.key");
    assert_eq!(std::fs::metadata(&key).expect("a key").permissions().mode() & 0o777, 0o600, "others can read the key");
    let whole = std::fs::read(&key).expect("a key");
    let flipped: Vec<u8> = whole.iter().map(|byte| byte ^ 1).collect();
    for (what, bytes) in [("another key", flipped.as_slice()), ("half a key", &whole[..16]), ("no key", &[]), ("zeros", &[0; 32])] {
        std::fs::write(&key, bytes).expect("written");
        kept = kept.starts_after(what).await;
    }
    std::fs::remove_file(&key).expect("removed");
    kept = kept.starts_after("a lost key").await;
    // Where no key can be kept, each start compiles.
    std::fs::remove_file(&key).expect("removed");
    std::fs::create_dir(&key).expect("a folder");
    let (kept, cached) = kept.start().await;
    assert!(!cached);
    assert!(!kept.start().await.1, "a key from nowhere");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_was_damaged_is_written_again_while_the_file_is_good() {
    let kept = Kept::of(built("hostile")).await;
    let copy = kept.folder.path().join(format!("cache/components/{}.wasm", kept.good[0].1));
    let whole = std::fs::read(&copy).expect("a copy");
    std::fs::write(&copy, &whole[1..]).expect("written");
    let (kept, cached) = kept.start().await;
    assert!(cached);
    assert_eq!(std::fs::read(&copy).expect("a copy"), whole);
    drop(kept);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_to_nothing_is_removed_once_it_is_old() {
    let kept = Kept::of(tiny("i32.const 96")).await;
    let old = std::time::SystemTime::UNIX_EPOCH;
    let leave = |path: PathBuf| {
        std::fs::write(&path, b"left behind").expect("a file");
        std::fs::File::options().write(true).open(&path).and_then(|file| file.set_modified(old)).expect("its time");
        path
    };
    let code = kept.folder.path().join("cache/compiled");
    let orphans =
        [leave(code.join("0123.cwasm")), leave(code.join("0123.part")), leave(kept.folder.path().join("cache/components/0123.part"))];
    std::fs::create_dir(code.join("modules")).expect("a folder");
    let (kept, cached) = kept.start().await;
    assert!(cached && orphans.iter().all(|orphan| !orphan.exists()), "{orphans:?}");
    assert_eq!(compiled(kept.folder.path()).len(), 2, "what is new may be being written");
}
