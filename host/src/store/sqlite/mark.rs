//! A small file beside the database that remembers what was in it: `<database>.mark`.
//!
//! SQLite cannot tell a new database from one that somebody has emptied, nor a log that is gone from one that never was. The mark says how
//! far the process before this one had written, and whether it ended by itself. It is written after the commit that it speaks of, so a
//! database that has less than its mark has lost something.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::connection::{self, OpenError};
use super::lock::private;
use crate::durable::beside;

/// The whole file, so that each note replaces the one before in one write.
const BYTES: usize = 256;
/// Where the two numbers are in the head of a write-ahead log that change each time it begins anew.
const SALT_AT: u64 = 16;

/// What is known of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// Which database it is.
    pub(super) database: String,
    /// The process that wrote last.
    pub(super) epoch: i64,
    /// SQLite's counter of changes to the tables' form, which a copy by `VACUUM INTO` has one higher.
    pub(super) form: i64,
    /// How far it has written: `process.steady_at`.
    pub(super) written: i64,
    /// How much of that is in the database's own file at least, whatever becomes of the log.
    pub(super) copied: i64,
    /// The process has closed it.
    pub(super) closed: bool,
}

/// What a database says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) database: String,
    pub(super) epoch: i64,
    pub(super) form: i64,
    pub(super) written: i64,
}

impl Content {
    /// Reads it; an error also means that there are no tables yet, or those of an older version.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let form = connection.pragma_query_value(None, "schema_version", |row| row.get(0))?;
        connection.query_row("SELECT identity, epoch, steady_at FROM process", [], |row| {
            Ok(Self { database: row.get(0)?, epoch: row.get(1)?, form, written: row.get(2)? })
        })
    }

    /// What the file has without its log.
    fn of_file_alone(database: &Path) -> rusqlite::Result<Self> {
        Self::read(&connection::unchanging(database)?)
    }
}

/// What the process before this one has left.
#[derive(Debug)]
pub(super) struct Left {
    database: PathBuf,
    path: PathBuf,
    note: Option<Note>,
}

impl Left {
    /// Reads the mark of `database`. One that is no mark is as good as none.
    pub(super) fn read(database: &Path) -> Self {
        let path = beside(database, ".mark");
        let mut text = String::new();
        let note = File::open(&path).and_then(|file| file.take(BYTES as u64).read_to_string(&mut text)).ok().and_then(|_| {
            let note = serde_json::from_str(&text);
            if let Err(error) = &note {
                tracing::warn!(mark = %path.display(), %error, "the mark of the database cannot be read: what is there is taken as it is");
            }
            note.ok()
        });
        Self { database: database.to_owned(), path, note }
    }

    /// Whether a process has had it open that did not close it, or nobody knows.
    pub(super) fn is_unclean(&self) -> bool {
        let log = std::fs::metadata(beside(&self.database, "-wal")).is_ok_and(|log| log.len() > 0);
        self.note.as_ref().map_or(log, |note| !note.closed || log)
    }

    /// How much is known to be in the database's own file: all that was, if it was closed and its tables are still the same. Nothing has to
    /// be copied from the log then.
    pub(super) fn in_file(&self, content: &Content) -> Option<i64> {
        let note = self.note.as_ref().filter(|note| note.closed && note.form == content.form && note.database == content.database)?;
        Some(note.copied)
    }

    /// Looks at the files before SQLite does, which makes what is missing and joins a log to whatever it lies beside.
    pub(super) fn check_files(&self) -> Result<(), OpenError> {
        let Some(note) = &self.note else { return Ok(()) };
        let size = std::fs::metadata(&self.database).map_or(0, |file| file.len());
        let log = beside(&self.database, "-wal");
        let has_log = std::fs::metadata(&log).is_ok_and(|log| log.len() > 0);
        // Until the first copy from the log everything may be in the log.
        if size == 0 && (note.copied > 0 || !has_log) {
            return Err(self.refusal("is empty or gone".into()));
        }
        if !has_log {
            return Ok(());
        }
        match Content::of_file_alone(&self.database) {
            Ok(file) if file.database != note.database || file.written < note.copied || file.form > note.form => {
                Err(self.foreign_log(&log))
            }
            // Half copied from the log, or still without tables: joined to its log it is whole.
            _ => Ok(()),
        }
    }

    /// Compares what is there, its log included, with what was written.
    pub(super) fn check_content(&self, content: Option<&Content>) -> Result<(), OpenError> {
        let Some(note) = &self.note else { return Ok(()) };
        match content {
            None => Err(self.refusal("has none of its tables".into())),
            Some(content) if content.database != note.database => Err(self.refusal("is another one than before".into())),
            Some(content) if content.epoch < note.epoch || content.written < note.written => {
                let log = beside(&self.database, "-wal");
                let gone = !note.closed && !std::fs::metadata(&log).is_ok_and(|log| log.len() > 0);
                let why = if gone { format!(": its log '{}' is gone", log.display()) } else { " (an older copy?)".to_owned() };
                Err(self.refusal(format!("has less than was written to it{why}")))
            }
            Some(_) => Ok(()),
        }
    }

    fn refusal(&self, found: String) -> OpenError {
        let way_out = format!(
            "Put the right one back. To go on with what is there, or to begin anew where nothing is, remove '{}' and start again",
            self.path.display()
        );
        OpenError::NotAsLeft { path: self.database.clone(), found, way_out }
    }

    fn foreign_log(&self, log: &Path) -> OpenError {
        let (log, mark) = (log.display(), self.path.display());
        let way_out =
            format!("If you have put a copy back, remove '{mark}', and '{log}' too unless it came with the copy, and start again");
        OpenError::NotAsLeft { path: self.database.clone(), found: format!("does not belong to the log '{log}' beside it"), way_out }
    }
}

/// The mark of a database that is open. What cannot be noted is told once: without it a loss may go unnoticed, and nothing else.
#[derive(Debug)]
pub(super) struct Mark {
    file: Option<File>,
    path: PathBuf,
    log: PathBuf,
    /// Which log it is, where that could be read last.
    begun: Option<Begun>,
    /// How far was written when it could be read last: what came later may be in another log.
    seen: i64,
    note: Note,
}

/// A beginning of the log: none yet, or what tells it apart from others.
type Begun = Option<[u8; 8]>;

impl Mark {
    /// Notes that `content` is open from now on, durably: whoever comes next must know that it was not closed. `copied` is how much of it is
    /// known to be in the database's own file.
    pub(super) fn open(database: &Path, content: Content, copied: Option<i64>) -> Self {
        let Content { database: identity, epoch, form, written } = content;
        let note = Note { database: identity, epoch, form, written, copied: copied.unwrap_or(0), closed: false };
        let path = beside(database, ".mark");
        let file = private().create(true).truncate(false).write(true).open(&path);
        let file = file.inspect_err(|error| cannot_note(&path, error)).ok();
        let mut mark = Self { file, path, log: beside(database, "-wal"), begun: None, seen: written, note };
        mark.begun = mark.begun_now();
        mark.write();
        mark.sync();
        mark
    }

    /// Notes how far was written by the process `epoch`, which is durable in the database.
    pub(super) fn written(&mut self, epoch: i64, written: i64) {
        // Where the log cannot be read, for want of a descriptor or by a failing disk, it has not begun anew for all that is known.
        if let Some(now) = self.begun_now() {
            if self.begun.is_some_and(|before| before != now) {
                // The log has begun anew, so all that was in the one before was copied.
                self.note.copied = self.seen;
            }
            self.begun = Some(now);
            self.seen = written;
        }
        self.note.epoch = epoch;
        self.note.written = written;
        self.write();
    }

    /// Notes that the database is closed and has no log.
    pub(super) fn closed(mut self, written: i64) {
        self.note = Note { written, copied: written, closed: true, ..self.note };
        self.write();
        self.sync();
    }

    fn begun_now(&self) -> Option<Begun> {
        let mut salt = [0; 8];
        match File::open(&self.log).and_then(|log| log.read_exact_at(&mut salt, SALT_AT)) {
            Ok(()) => Some(Some(salt)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof) => Some(None),
            Err(_) => None,
        }
    }

    fn write(&mut self) {
        let Some(file) = &self.file else { return };
        let mut text = serde_json::to_vec(&self.note).unwrap_or_default();
        text.resize(BYTES - 1, b' ');
        text.push(b'\n');
        if let Err(error) = file.write_all_at(&text, 0) {
            cannot_note(&self.path, &error);
            self.file = None;
        }
    }

    fn sync(&self) {
        if let Some(Err(error)) = self.file.as_ref().map(File::sync_all) {
            cannot_note(&self.path, &error);
        }
    }
}

fn cannot_note(path: &Path, error: &std::io::Error) {
    tracing::warn!(mark = %path.display(), %error, "the mark of the database cannot be written: should something of the database get lost, nobody will know");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the mark says of how much was copied, after each step with the log.
    struct Scene {
        folder: tempfile::TempDir,
        mark: Mark,
    }

    impl Scene {
        fn open(log: &[u8]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let database = folder.path().join("shop.db");
            std::fs::write(beside(&database, "-wal"), log).unwrap();
            let content = Content { database: "one".into(), epoch: 1, form: 1, written: 10 };
            let mark = Mark::open(&database, content, Some(5));
            Self { folder, mark }
        }

        fn log(&self) -> PathBuf {
            beside(&self.folder.path().join("shop.db"), "-wal")
        }

        fn copied_after(&mut self, written: i64) -> i64 {
            self.mark.written(1, written);
            Left::read(&self.folder.path().join("shop.db")).note.unwrap().copied
        }
    }

    fn log(salt: u8) -> Vec<u8> {
        vec![salt; 32]
    }

    #[test]
    fn a_log_that_has_begun_anew_was_copied() {
        let mut scene = Scene::open(&log(1));
        assert_eq!(scene.copied_after(20), 5);
        std::fs::write(scene.log(), log(2)).unwrap();
        assert_eq!((scene.copied_after(30), scene.copied_after(40)), (20, 20));
        let mut empty = Scene::open(&[]);
        std::fs::write(empty.log(), log(1)).unwrap();
        assert_eq!(empty.copied_after(20), 10, "before the log there was all in the file");
    }

    #[test]
    fn a_log_that_cannot_be_read_for_a_while_has_not_begun_anew() {
        let mut scene = Scene::open(&log(1));
        std::fs::remove_file(scene.log()).unwrap();
        // What is there, and gives no bytes to who reads.
        std::fs::create_dir(scene.log()).unwrap();
        assert_eq!(scene.copied_after(20), 5);
        std::fs::remove_dir(scene.log()).unwrap();
        std::fs::write(scene.log(), log(1)).unwrap();
        assert_eq!((scene.copied_after(30), scene.copied_after(40)), (5, 5));
        std::fs::write(scene.log(), log(2)).unwrap();
        assert_eq!(scene.copied_after(50), 40);
    }

    #[test]
    fn what_was_written_while_the_log_could_not_be_read_may_be_in_the_next_one() {
        let mut scene = Scene::open(&log(1));
        assert_eq!(scene.copied_after(20), 5);
        std::fs::remove_file(scene.log()).unwrap();
        std::fs::create_dir(scene.log()).unwrap();
        assert_eq!((scene.copied_after(30), scene.copied_after(40)), (5, 5));
        std::fs::remove_dir(scene.log()).unwrap();
        std::fs::write(scene.log(), log(2)).unwrap();
        assert_eq!(scene.copied_after(50), 20, "only what was in the log that was seen");
    }
}
