//! The locks that keep a second process away, and the rights of the files.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::connection::OpenError;
use crate::durable::beside;

/// What others than the owner and the group may do with a file: nothing.
pub(super) const OTHERS: u32 = 0o007;

/// Held as long as the database is open; the system lets go of it when the process ends in whatever way.
///
/// There are two, because the file of the first can be deleted while it is held: then a second process would make another one. Closing the
/// database's own file makes this process lose SQLite's locks on it, so it is to be dropped after every connection.
#[derive(Debug)]
pub(super) struct DatabaseLock {
    #[expect(dead_code, reason = "only held: closing the file is what unlocks it")]
    beside: File,
    database: Option<File>,
    path: PathBuf,
    /// Which file the log is, once there is one.
    log: Option<Identity>,
}

/// Which file it is, whatever it is called.
type Identity = (u64, u64);

impl DatabaseLock {
    /// Takes the lock beside `database`, making its folder if there is none, for nobody else to look into.
    pub(super) fn take(database: &Path) -> Result<Self, OpenError> {
        let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|cause| OpenError::Path { path: folder.to_owned(), cause })?;
        }
        let beside = locked(&beside(database, ".lock"), database)?;
        Ok(Self { beside, database: None, path: database.to_owned(), log: None })
    }

    /// Takes the lock on the file `database` itself, making an empty one if there is none. No connection to it may be open yet.
    pub(super) fn hold(&mut self, database: &Path) -> Result<(), OpenError> {
        self.database = Some(locked(database, database)?);
        for suffix in ["-wal", "-shm"] {
            close_to_others(&beside(database, suffix));
        }
        Ok(())
    }
}

impl DatabaseLock {
    /// Whether what is written now will be found again: the database and its log are still the files that were opened. SQLite would go on
    /// with files that have no name any more.
    ///
    /// # Errors
    /// For an operator: which file is not in its place, and what to do.
    pub(super) fn find_files(&mut self) -> Result<(), String> {
        let process = std::process::id();
        let Some(Ok(open)) = self.database.as_ref().map(File::metadata) else { return Ok(()) };
        let path = self.path.display();
        if is_elsewhere(&identity(&self.path), (open.dev(), open.ino())) {
            return Err(format!(
                "the file of the database, '{path}', was removed, moved or replaced while this process has it open: put it back. One that was \
                 removed is gone when this process ends; until then `ls -l /proc/{process}/fd` shows it, and it can be copied from there"
            ));
        }
        let log = beside(&self.path, "-wal");
        let found = identity(&log);
        match (self.log, &found) {
            (None, Ok(log)) => self.log = Some(*log),
            (Some(open), found) if is_elsewhere(found, open) => {
                return Err(format!(
                    "the log of the database, '{}', was removed, moved or replaced while this process has it open: put it back, or stop this \
                     process with SIGTERM, which copies all that was written into '{path}'",
                    log.display()
                ));
            }
            _ => {}
        }
        Ok(())
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    std::fs::metadata(path).map(|found| (found.dev(), found.ino()))
}

/// Whether another file is found than the one that is open, or none. A place that cannot be looked at may have it.
fn is_elsewhere(found: &io::Result<Identity>, open: Identity) -> bool {
    match found {
        Ok(found) => *found != open,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn locked(path: &Path, database: &Path) -> Result<File, OpenError> {
    let opened = private().create(true).truncate(false).read(true).write(true).open(path);
    let file = opened.map_err(|cause| OpenError::Path { path: path.to_owned(), cause })?;
    match file.try_lock() {
        Ok(()) => {
            close_to_others(path);
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: database.to_owned() }),
        Err(TryLockError::Error(cause)) => Err(OpenError::Path { path: path.to_owned(), cause }),
    }
}

/// How files are made that only the owner may read, whatever the process's umask.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Takes from others what an older version of this program or a copy has given them. The group keeps what an operator gave it.
fn close_to_others(path: &Path) {
    let Ok(metadata) = std::fs::metadata(path) else { return };
    let mode = metadata.permissions().mode();
    if mode & OTHERS == 0 {
        return;
    }
    if let Err(error) = std::fs::set_permissions(path, Permissions::from_mode(mode & 0o7777 & !OTHERS)) {
        tracing::warn!(path = %path.display(), %error, "a file of the database can be read by others, and this cannot be changed");
    }
}
