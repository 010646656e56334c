//! One connection: how it is opened, what is asserted about it, and why it may not be.

use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use rusqlite_migration::{M, Migrations};

use super::super::Space;
use crate::durable::beside;
use crate::faults::planted;

/// Older versions can corrupt a database when its write-ahead log is reset (fixed in 3.51.3).
const OLDEST_SQLITE: i32 = 3_051_003;
/// Milliseconds to wait for a lock that somebody else holds (a person with the `sqlite3` program).
const BUSY_TIMEOUT_MS: i64 = 5_000;
/// Pages of 4 KiB in the write-ahead log after which the writer copies them into the database.
const CHECKPOINT_PAGES: i64 = 2_000;
/// Bytes that the file of the write-ahead log keeps once its content was copied. It has more only while somebody reads for long.
pub(super) const LOG_BYTES_KEPT: i64 = 16 << 20;
/// KiB of page cache of the writer (negative is SQLite's way to say KiB). Its cache survives its own commits.
const WRITER_CACHE_KIB: i64 = -8_192;
/// KiB of page cache of a reader; small, because every commit empties it.
const READER_CACHE_KIB: i64 = -2_048;
/// More than there are statements, so that none is compiled twice.
const CACHED_STATEMENTS: usize = 128;

const MIGRATION_LIST: &[M<'static>] = &[
    M::up(include_str!("../../../migrations/0001_initial.sql")),
    M::up(include_str!("../../../migrations/0002_trace_context.sql")),
    M::up(include_str!("../../../migrations/0003_undo.sql")),
    M::up(include_str!("../../../migrations/0004_lines.sql")),
    M::up(include_str!("../../../migrations/0005_steady_time.sql")),
    M::up(include_str!("../../../migrations/0006_deadlines.sql")),
    M::up(include_str!("../../../migrations/0007_email_keys.sql")),
    M::up(include_str!("../../../migrations/0008_retention.sql")),
    M::up(include_str!("../../../migrations/0009_roles.sql")),
    M::up(include_str!("../../../migrations/0010_ended_reservations.sql")),
    M::up(include_str!("../../../migrations/0011_staff.sql")),
    M::up(include_str!("../../../migrations/0012_audit.sql")),
    M::up(include_str!("../../../migrations/0013_stock_moves.sql")),
    M::up(include_str!("../../../migrations/0014_holds.sql")),
    M::up(include_str!("../../../migrations/0015_keys.sql")),
    M::up(include_str!("../../../migrations/0016_digests.sql")),
    M::up(include_str!("../../../migrations/0019_figures.sql")),
    M::up(include_str!("../../../migrations/0020_waiting_events.sql")),
    M::up(include_str!("../../../migrations/0023_runs_by_key.sql")),
    M::up(include_str!("../../../migrations/0026_component_state.sql")),
    M::up(include_str!("../../../migrations/0030_changed_fields.sql")),
];
const MIGRATIONS: Migrations<'static> = Migrations::from_slice(MIGRATION_LIST);

/// Why the database could not be opened. Each names the file and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder of the database cannot be made, or the lock file not opened.
    #[error("cannot use '{}' for the database: {cause}", path.display())]
    Path {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A thread that works for the database cannot be started.
    #[error(
        "cannot start a thread for the database '{}': {cause}. The threads of this user or container are limited (`ulimit -u`, pids)",
        path.display()
    )]
    Thread {
        /// File of the database.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Another process has it open.
    #[error("the database '{}' is in use by another process: stop that one, or give this one a database of its own", path.display())]
    InUse {
        /// File of the database.
        path: PathBuf,
    },
    /// This SQLite has a known fault.
    #[error("SQLite {found} can corrupt its write-ahead log: {needed} or newer is needed")]
    Version {
        /// Version that is linked, as SQLite counts (3051003 is 3.51.3).
        found: i32,
        /// Oldest version that is accepted.
        needed: i32,
    },
    /// A setting that durability depends on was not accepted.
    #[error("the database '{}' has {pragma} = {found}, but {wanted} is needed (is it on a network file system?)", path.display())]
    Setting {
        /// File of the database.
        path: PathBuf,
        /// Name of the setting.
        pragma: &'static str,
        /// Its value.
        found: String,
        /// The value it needs.
        wanted: String,
    },
    /// The tables could not be brought to this program's version.
    #[error("cannot migrate the database '{}': {cause}", path.display())]
    Migration {
        /// File of the database.
        path: PathBuf,
        /// What went wrong.
        cause: rusqlite_migration::Error,
    },
    /// A newer version of the program has written it.
    #[error(
        "the database '{}' was written by a newer version of this program: its tables have version {found}, and this one knows up to {known}. Start that version, or put back a copy from before the upgrade",
        path.display()
    )]
    Newer {
        /// File of the database.
        path: PathBuf,
        /// Version of its tables.
        found: i64,
        /// Newest version that this program knows.
        known: i64,
    },
    /// It was made from a dump, which has the tables and not their version.
    #[error(
        "the database '{}' has the tables of this program and not their version, as after `.dump` or `.recover` of sqlite3. Nothing was changed. Set it: `sqlite3 '{}' 'PRAGMA user_version = N'`, where N is the `PRAGMA user_version` of the database that it was made from ({known} if that was used by this version of the program)",
        path.display(), path.display()
    )]
    Unversioned {
        /// File of the database.
        path: PathBuf,
        /// Version of the tables that this program makes.
        known: i64,
    },
    /// It is not what the process before this one left: something was lost, or put in its place.
    #[error("the database '{}' {found}. Nothing was changed. {way_out}", path.display())]
    NotAsLeft {
        /// File of the database.
        path: PathBuf,
        /// What is there, as a clause that goes on after its name.
        found: String,
        /// What an operator can do, a sentence.
        way_out: String,
    },
    /// Its pages make no sense.
    #[error(
        "the database '{}' is damaged ({found}): put a copy back (docs/operating.md), and keep this file for whoever looks into it",
        path.display()
    )]
    Damaged {
        /// File of the database.
        path: PathBuf,
        /// What SQLite found first.
        found: String,
    },
    /// There is no room for the index of its log (`-shm`), without which it cannot be opened.
    #[error("cannot open the database '{}': its disk is full, or no file may grow that far (`ulimit -f`). 32 KiB beside it are needed to read it: make room", path.display())]
    Full {
        /// File of the database.
        path: PathBuf,
    },
    /// A copy of the database cannot be made.
    #[error("the copy '{}' cannot be made: {reason}", path.display())]
    NoCopy {
        /// File of the copy.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A copy of the database cannot be used.
    #[error("the copy '{}' cannot be used: {reason}", path.display())]
    Copy {
        /// File of the copy.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A database of a server cannot be used.
    #[error(transparent)]
    Server(#[from] super::super::postgres::ServerError),
    /// Anything else that SQLite says.
    #[error("cannot open the database '{}': {cause}", path.display())]
    Sqlite {
        /// File of the database.
        path: PathBuf,
        /// What went wrong.
        cause: rusqlite::Error,
    },
}

impl OpenError {
    /// What SQLite's error means for the database `path`.
    pub(super) fn of(path: &Path, cause: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match cause.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, found: cause.to_string() },
            // The process before this one has ended by itself, and its end removes the index.
            _ if cause.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE) => {
                Self::Full { path }
            }
            _ => Self::Sqlite { path, cause },
        }
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Writer,
    Reader,
}

/// The room of the database `path`.
pub(super) fn space(path: &Path) -> std::io::Result<Space> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let disk = rustix::fs::statvfs(folder)?;
    Ok(Space {
        // There is none before the first write.
        wal: std::fs::metadata(beside(path, "-wal")).map_or(0, |file| file.len()),
        file: std::fs::metadata(path).map_or(0, |file| file.len()),
        free: disk.f_bavail.saturating_mul(disk.f_frsize),
        size: disk.f_blocks.saturating_mul(disk.f_frsize),
    })
}

/// Fails when the linked SQLite is one that can lose what it has acknowledged.
pub(super) fn check_version(found: i32) -> Result<(), OpenError> {
    if found < OLDEST_SQLITE {
        return Err(OpenError::Version { found, needed: OLDEST_SQLITE });
    }
    Ok(())
}

/// Opens the writing connection, whatever its tables are.
pub(super) fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    open(path, flags, Role::Writer)
}

/// Brings the tables to this program's version.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    MIGRATIONS.to_latest(connection).map_err(|cause| OpenError::Migration { path: path.to_owned(), cause })
}

/// Opens a connection that writes beside the process that has the database, which must be there and up to date.
pub(super) fn open_offline(path: &Path) -> Result<Connection, OpenError> {
    open(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX, Role::Writer)
}

/// Opens a connection that cannot write.
pub(super) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    open(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX, Role::Reader)
}

/// Opens a file alone, which nobody writes, without making anything beside it.
pub(super) fn unchanging(path: &Path) -> rusqlite::Result<Connection> {
    let encoded = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(format!("file:{encoded}?immutable=1"), flags)
}

/// The same, for a database that this program can read.
pub(super) fn open_unchanging(path: &Path) -> Result<Connection, OpenError> {
    let connection = unchanging(path).map_err(|cause| OpenError::of(path, cause))?;
    check_tables(&connection, path)?;
    Ok(connection)
}

/// Which version of this program's tables a database has; 0 for none.
pub(super) fn version_of_tables(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Whether it has tables of this program, whatever version it says.
fn has_tables(connection: &Connection) -> rusqlite::Result<bool> {
    let ours = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('process', 'resources')";
    connection.query_row(ours, [], |row| Ok(row.get::<_, i64>(0)? == 2))
}

fn check_tables(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let found = version_of_tables(connection).map_err(|cause| OpenError::of(path, cause))?;
    let known = MIGRATION_LIST.len() as i64;
    if found == 0 && has_tables(connection).map_err(|cause| OpenError::of(path, cause))? {
        return Err(OpenError::Unversioned { path: path.to_owned(), known });
    }
    if found > known { Err(OpenError::Newer { path: path.to_owned(), found, known }) } else { Ok(()) }
}

fn open(path: &Path, flags: OpenFlags, role: Role) -> Result<Connection, OpenError> {
    let sqlite = |cause| OpenError::of(path, cause);
    let connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    check_tables(&connection, path)?;
    configure(&connection, role).map_err(sqlite)?;
    assert_settings(&connection, path)?;
    Ok(connection)
}

fn configure(connection: &Connection, role: Role) -> rusqlite::Result<()> {
    connection.pragma_update(None, "busy_timeout", BUSY_TIMEOUT_MS)?;
    connection.pragma_update(None, "synchronous", synchronous())?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // A page that cannot be read through a memory map is a SIGBUS, through a read it is an error.
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Otherwise SQLite compiles a statement anew each time a value is bound that its plan might depend on, as that of a LIMIT.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    match role {
        Role::Writer => {
            // Only a new file takes this, before anything else is written to it: pages that are free can be given back. In another one it
            // would be a write.
            if connection.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0))? == 0 {
                connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
            }
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
            connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
            connection.pragma_update(None, "cache_size", WRITER_CACHE_KIB)
        }
        Role::Reader => {
            connection.pragma_update(None, "query_only", true)?;
            connection.pragma_update(None, "cache_size", READER_CACHE_KIB)
        }
    }
}

/// `FULL`: the log is on the disk before a commit counts. The bug is `NORMAL`, which is what many programs have.
fn synchronous() -> i64 {
    if planted("power-commit-not-synced") { 1 } else { 2 }
}

/// Asks the connection for what was set: SQLite ignores what it does not know or cannot do.
fn assert_settings(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    use rusqlite::types::Value;
    let wanted = [
        ("journal_mode", Value::Text("wal".into())),
        ("synchronous", Value::Integer(synchronous())),
        ("foreign_keys", Value::Integer(1)),
        ("busy_timeout", Value::Integer(BUSY_TIMEOUT_MS)),
    ];
    for (pragma, wanted) in wanted {
        let found: Value = connection
            .pragma_query_value(None, pragma, |row| row.get(0))
            .map_err(|cause| OpenError::Sqlite { path: path.to_owned(), cause })?;
        if found != wanted {
            let (found, wanted) = (format!("{found:?}"), format!("{wanted:?}"));
            return Err(OpenError::Setting { path: path.to_owned(), pragma, found, wanted });
        }
    }
    Ok(())
}

/// Databases as older versions have left them.
#[cfg(test)]
pub(super) mod older {
    use super::*;

    /// Versions of the tables that came before this program's.
    pub fn versions() -> std::ops::Range<usize> {
        1..MIGRATION_LIST.len()
    }

    /// Makes the database `path` with tables of `version`.
    pub fn make(path: &Path, version: usize) {
        let mut connection = open_writer(path).unwrap();
        MIGRATIONS.to_version(&mut connection, version).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn versions_with_the_reset_fault_are_refused() {
        assert!(check_version(3_051_003).is_ok());
        let text = check_version(3_051_002).unwrap_err().to_string();
        assert_eq!(text, "SQLite 3051002 can corrupt its write-ahead log: 3051003 or newer is needed");
    }

    #[test]
    fn the_linked_version_is_accepted() {
        assert!(check_version(rusqlite::version_number()).is_ok());
    }

    #[test]
    fn migrations_are_well_formed() {
        MIGRATIONS.validate().unwrap();
    }

    #[test]
    fn a_connection_without_the_settings_is_refused() {
        let connection = Connection::open_in_memory().unwrap();
        let error = assert_settings(&connection, Path::new("some.db")).unwrap_err().to_string();
        assert!(error.contains("'some.db' has journal_mode"), "{error}");
    }

    /// In WAL mode anything less leaves the last commits to the system's own time for writing them.
    #[test]
    fn whoever_writes_has_each_commit_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        for connection in [open_writer(&path).unwrap(), open_offline(&path).unwrap()] {
            let asked = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
            const FULL: i64 = 2;
            assert_eq!((asked("synchronous"), asked("journal_mode")), (FULL.into(), "wal".to_owned().into()));
        }
    }

    #[test]
    fn readers_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let _writer = open_writer(&path).unwrap();
        let reader = open_reader(&path).unwrap();
        assert!(reader.execute("UPDATE process SET epoch = 7", []).is_err());
    }

    #[test]
    fn a_statement_is_compiled_once_whatever_values_are_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let mut writer = open_writer(&path).unwrap();
        MIGRATIONS.to_latest(&mut writer).unwrap();
        for connection in [&writer, &open_reader(&path).unwrap()] {
            let mut statement = connection.prepare("SELECT seq FROM history WHERE resource = ?1 ORDER BY seq LIMIT ?2").unwrap();
            for limit in 1..4 {
                assert!(!statement.exists([limit, limit]).unwrap());
            }
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
        }
    }
}
