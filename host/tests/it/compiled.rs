//! Compiled components of the shop, shared by the tests that start a process in a new folder: compiling them takes a second of the processor,
//! taking a copy a few milliseconds. What is shared is what a process has left in its own folder, so it is checked as after a restart.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

/// Files of compiled code that are shared: one for each component of the shop, and no others.
const FILES: usize = 4;

/// Puts what an earlier process has compiled into the data folder of one that has not run yet.
pub fn give(data: &Path) {
    let folder = data.join("components-cache");
    if !folder.exists() && shared().is_dir() {
        // Half of it is as good as nothing: what is missing is compiled.
        let _ = copy(shared(), &folder);
    }
}

/// Shares what a process of the shop has compiled, once.
pub fn keep(data: &Path) {
    let folder = data.join("components-cache");
    let is_whole = fs::read_dir(folder.join("compiled"))
        .is_ok_and(|entries| entries.flatten().filter(|entry| is_code(&entry.path())).count() == FILES);
    if shared().is_dir() || !is_whole {
        return;
    }
    let part = shared().with_extension(uuid::Uuid::now_v7().simple().to_string());
    remove_those_of_other_programs();
    // Whoever is first has shared the same.
    if copy(&folder, &part).and_then(|()| fs::rename(&part, shared())).is_err() {
        let _ = fs::remove_dir_all(part);
    }
}

fn remove_those_of_other_programs() {
    let folder = shared().parent().unwrap();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_shared = name.to_string_lossy().starts_with("compiled-");
        if is_shared && !name.to_string_lossy().starts_with(&*shared().file_name().unwrap().to_string_lossy()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The key and the code that it is signed with; not the copies of the files, by which a process remembers what served.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    // As the program makes them.
    DirBuilder::new().recursive(true).mode(0o700).create(to.join("compiled"))?;
    for entry in fs::read_dir(from.join("compiled"))? {
        let path = entry?.path();
        if is_code(&path) {
            fs::copy(&path, to.join("compiled").join(path.file_name().unwrap_or_default()))?;
        }
    }
    fs::copy(from.join("compiled.key"), to.join("compiled.key")).map(drop)
}

fn is_code(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "cwasm")
}

/// Where it is: of this very program, since another one may compile to other code.
fn shared() -> &'static Path {
    static SHARED: OnceLock<PathBuf> = OnceLock::new();
    SHARED.get_or_init(|| {
        let program = fs::metadata(env!("CARGO_BIN_EXE_millrace")).unwrap();
        let built = program.modified().unwrap().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("compiled-{}-{built}", program.len()))
    })
}
