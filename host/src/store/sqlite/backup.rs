//! A consistent copy while others write: one read snapshot, copied as a whole. And how such a copy takes the database's place again.

use std::fs::{File, Metadata, Permissions, TryLockError};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};
use rustix::process::{Resource, getrlimit};

use super::super::StoreError;
use super::check;
use super::connection::{self, OpenError};
use super::lock::{DatabaseLock, OTHERS, private};
use super::mark::Content;
use crate::durable::{self, beside};

/// Copies what `source` sees to `path`, which must not exist; a copy that failed is removed.
pub(super) fn copy(source: &Connection, path: &Path) -> Result<(), StoreError> {
    let unavailable = |reason: String| StoreError::Unavailable(format!("cannot back up to '{}': {reason}", path.display()));
    private().create_new(true).write(true).open(path).map_err(|error| unavailable(error.to_string()))?;
    let copied = copy_pages(source, path);
    copied.map_err(|error| {
        // The reason that is told is the first one.
        let _ = std::fs::remove_file(path);
        unavailable(error.to_string())
    })
}

fn copy_pages(source: &Connection, path: &Path) -> rusqlite::Result<()> {
    let mut copy = Connection::open(path)?;
    // All pages in one step: between two steps the snapshot would be let go.
    Backup::new(source, &mut copy)?.run_to_completion(i32::MAX, Duration::ZERO, None)?;
    copy.close().map_err(|(_, error)| error)
}

/// What a copy has in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Bytes of the file.
    pub bytes: u64,
    /// Resources of every kind.
    pub resources: u64,
    /// Instances that are under way.
    pub unfinished: u64,
    /// What of the stock is not the sum of its moves, in words. Nothing else hangs on it, so the copy is good.
    pub stock_differs: Option<String>,
    /// When something was last written; none of a copy that a version of this program made which did not note that.
    pub written: Option<Timestamp>,
}

/// Copies the database `path` to `to`, which must not exist, beside the process that has it open, if one has. The copy is looked through
/// and on the disk before this answers.
///
/// # Errors
/// [`OpenError`], which names the file: there is no database, the copy cannot be written, or it is not whole.
pub fn back_up(path: &Path, to: &Path) -> Result<Copied, OpenError> {
    connection::check_version(rusqlite::version_number())?;
    let source = connection::open_reader(path)?;
    let part = Part::take(to)?;
    let copied = copy_pages(&source, &part.path).map_err(|error| unmade(to, why(&error)));
    copied.and_then(|()| look_through(&part.path)).and_then(|content| durably(&part.path, to).map(|()| content)).inspect_err(|_| {
        let _ = std::fs::remove_file(&part.path);
    })
}

/// The file that a copy is written into until it has its name.
pub(super) struct Part {
    pub(super) path: PathBuf,
    /// Locked until then: two backups of one name would write into each other's file.
    #[expect(dead_code, reason = "only held: closing the file is what unlocks it")]
    held: File,
}

impl Part {
    /// Takes the part of the copy `to`, empty: what a backup has left in it that was killed is nobody's.
    pub(super) fn take(to: &Path) -> Result<Self, OpenError> {
        free(to)?;
        let path = beside(to, ".part");
        let failed = |cause: std::io::Error| unmade(to, cause.to_string());
        let held = private().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match held.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(unmade(to, "another backup is writing it now".into())),
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
        // Whoever had the lock before has given the file its name since it was opened here, or removed it.
        let open = held.metadata().map_err(failed)?;
        if !std::fs::metadata(&path).is_ok_and(|found| (found.dev(), found.ino()) == (open.dev(), open.ino())) {
            free(to)?;
            return Err(unmade(to, "another backup was writing it just now: try again".into()));
        }
        held.set_len(0).map_err(failed)?;
        Ok(Self { path, held })
    }
}

/// That nothing has the name of a copy which is to be made.
fn free(to: &Path) -> Result<(), OpenError> {
    match to.symlink_metadata() {
        Err(_) => Ok(()),
        Ok(found) if found.is_dir() => Err(unmade(to, "this is a folder: name the file that is to be made in it".into())),
        Ok(_) => Err(unmade(to, "there is a file of this name, and a copy replaces none: take another name".into())),
    }
}

fn unmade(to: &Path, reason: String) -> OpenError {
    OpenError::NoCopy { path: to.to_owned(), reason }
}

/// Why pages cannot be copied, in words that say what to do.
fn why(error: &rusqlite::Error) -> String {
    let code = error.sqlite_error().map(|error| error.extended_code);
    match (code, getrlimit(Resource::Fsize).current) {
        // SQLite has no word for it.
        (Some(rusqlite::ffi::SQLITE_IOERR_WRITE), Some(most)) => format!("it may not grow beyond {most} bytes (`ulimit -f`)"),
        _ => error.to_string(),
    }
}

/// Puts the copy `from` in the place of the database `path`, which no process may have open. What was there is kept under a name of its
/// own, made of the date `now`, which is answered, with what the copy has in it.
///
/// # Errors
/// [`OpenError`], which names the file: a process has the database, the copy is not whole or not one of this program, or there is no room
/// for it. Nothing was changed then.
pub fn restore(path: &Path, from: &Path, now: Timestamp) -> Result<(Copied, Option<PathBuf>), OpenError> {
    connection::check_version(rusqlite::version_number())?;
    let content = look_through(from)?;
    let mut lock = DatabaseLock::take(path)?;
    // Behind a link it lies where there is room for it, with its log beside it. The lock and the mark are beside the link.
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let before = std::fs::metadata(&place).ok();
    lock.hold(path)?;
    let part = beside(&place, ".restored");
    let written = write_copy(from, &part).and_then(|()| hand_over(&part, &place, before.as_ref()));
    written.inspect_err(|_| {
        let _ = std::fs::remove_file(&part);
        if before.is_none() {
            let _ = std::fs::remove_file(&place);
        }
    })?;
    hand_over_lock(&part, path);

    let there = before.is_some_and(|before| before.len() > 0);
    let suffix = format!(".before-{}", now.strftime("%Y%m%dT%H%M%S%fZ"));
    let kept = |path: &Path| there.then(|| beside(path, &suffix));
    if there {
        join_log(&place);
    }
    for suffix in ["-wal", "-shm"] {
        move_away(&place, suffix, kept(&place).as_deref())?;
    }
    // At no time is there none: a start would make a new one.
    if let Some(name) = kept(&place)
        && std::fs::hard_link(&place, name).is_err()
    {
        // A file system without links.
        move_away(&place, "", kept(&place).as_deref())?;
    }
    durably(&part, &place)?;
    // Last: until then a start sees that this is not what was left, should the power go here.
    move_away(path, ".mark", kept(path).as_deref())?;
    drop(lock);
    Ok((content, kept(&place)))
}

/// Writes what is in the log of a database into its file: the two cannot be given other names at once, and a kill in between would leave a
/// file without what was confirmed last. What cannot be opened is kept as it is.
fn join_log(place: &Path) {
    let joined = Connection::open_with_flags(place, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|connection| {
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        connection.close().map_err(|(_, error)| error)
    });
    if let Err(error) = joined {
        tracing::warn!(%error, "the log of the database of before could not be written into its file: both are kept as they are");
    }
}

fn write_copy(from: &Path, part: &Path) -> Result<(), OpenError> {
    let mut source = File::open(from).map_err(|cause| OpenError::Path { path: from.to_owned(), cause })?;
    let target = private().create(true).truncate(true).write(true).open(part);
    let written = target.and_then(|mut target| std::io::copy(&mut source, &mut target).and_then(|_| target.sync_all()));
    written.map_err(|cause| OpenError::Path { path: part.to_owned(), cause })
}

/// Gives what takes the place of the file `place` the owner and the rights of what was there before; where nothing was, the owner of the
/// folder. An administrator puts back what the process, a user of its own, has to open.
pub(super) fn hand_over(part: &Path, place: &Path, before: Option<&Metadata>) -> Result<(), OpenError> {
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |cause| OpenError::Path { path: part.to_owned(), cause };
    let owner = before.cloned().map_or_else(|| std::fs::metadata(folder), Ok).map_err(failed)?;
    let given = chown(part, Some(owner.uid()), Some(owner.gid()));
    // Anybody but root has the right to some groups only, and need not have that of a folder.
    let given = given.or_else(|error| if rustix::process::geteuid().as_raw() == owner.uid() { Ok(()) } else { Err(error) });
    let Some(before) = before else { return Ok(()) };
    given.map_err(|error| {
        let user = owner.uid();
        failed(std::io::Error::other(format!(
            "the database belongs to the user {user}, who could not open this file ({error}): restore as that user"
        )))
    })?;
    std::fs::set_permissions(part, Permissions::from_mode(before.mode() & 0o777 & !OTHERS)).map_err(failed)
}

/// Gives the lock of the database `path` the owner of what takes its place. Who may not give it away has no need to, or was refused before.
pub(super) fn hand_over_lock(part: &Path, path: &Path) {
    let _ = std::fs::metadata(part).and_then(|part| chown(beside(path, ".lock"), Some(part.uid()), Some(part.gid())));
}

fn move_away(path: &Path, suffix: &str, kept: Option<&Path>) -> Result<(), OpenError> {
    let old = beside(path, suffix);
    let moved = match kept {
        Some(kept) => std::fs::rename(&old, beside(kept, suffix)),
        None => std::fs::remove_file(&old),
    };
    match moved {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(OpenError::Path { path: old, cause }),
        _ => Ok(()),
    }
}

/// Opens a copy as a start would, looks at every page and says what is in it. Nothing of it is changed.
fn look_through(copy: &Path) -> Result<Copied, OpenError> {
    let sqlite = |cause| OpenError::of(copy, cause);
    let file = std::fs::metadata(copy).map_err(|cause| OpenError::Path { path: copy.to_owned(), cause })?;
    if file.is_dir() {
        return Err(OpenError::Copy { path: copy.to_owned(), reason: "it is a folder: name the file in it".into() });
    }
    let log = beside(copy, "-wal");
    if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let reason = format!("it has a log, '{}', so it is no finished backup", log.display());
        return Err(OpenError::Copy { path: copy.to_owned(), reason });
    }
    let connection = connection::open_unchanging(copy)?;
    if let Some(found) = check::look_through(&connection) {
        return Err(OpenError::Damaged { path: copy.to_owned(), found });
    }
    let count = |sql: &str| connection.query_row(sql, [], |row| super::columns::count(row, 0));
    if connection::version_of_tables(&connection).map_err(sqlite)? == 0 {
        return Err(OpenError::Copy { path: copy.to_owned(), reason: "it has none of the tables of this program".into() });
    }
    Ok(Copied {
        bytes: file.len(),
        resources: count("SELECT count(*) FROM resources").map_err(sqlite)?,
        unfinished: count("SELECT count(*) FROM resources WHERE finished = 0").map_err(sqlite)?,
        stock_differs: super::stock::differs(&connection).map_err(sqlite)?,
        // Tables of an older version have none; the next start brings them up to date.
        written: Content::read(&connection).ok().map(|content| super::writer::time(content.written)),
    })
}

/// Gives a file that is written its name, durably.
pub(super) fn durably(part: &Path, name: &Path) -> Result<(), OpenError> {
    durable::give_name(part, name).map_err(|cause| OpenError::Path { path: name.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A backup before an upgrade is made with the new version.
    #[test]
    fn a_database_of_any_older_version_is_copied_and_put_back() {
        for version in connection::older::versions() {
            let folder = tempfile::tempdir().unwrap();
            let [old, copy, place] = ["old.db", "copy.db", "place.db"].map(|name| folder.path().join(name));
            connection::older::make(&old, version);
            let copied = back_up(&old, &copy).unwrap();
            assert_eq!((copied.resources, copied.unfinished), (0, 0), "version {version}");
            let (restored, kept) = restore(&place, &copy, Timestamp::UNIX_EPOCH).unwrap();
            assert_eq!((restored, kept), (copied, None), "version {version}");
            let mut started = connection::open_writer(&place).unwrap();
            connection::migrate(&mut started, &place).unwrap_or_else(|error| panic!("version {version}: {error}"));
        }
    }
}
