//! Whether the folder of the archive is the one that was written before, and not what lies beneath a disk that is not mounted.
//!
//! Where the archive is on another file system than the database, a note beside the database says which archive that is, and a file in the
//! archive says the same. On one file system there is nothing to be confused: neither is there without the other.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::durable;

/// In the folder of an archive: which one it is.
const MARKER: &str = ".archive-id";

/// Where an archive is, and where it is noted which one that is.
#[derive(Debug, Clone)]
pub(super) struct ArchivePlace {
    folder: PathBuf,
    note: PathBuf,
    /// Whether the second is on another file system than the first.
    apart: fn(&Path, &Path) -> io::Result<bool>,
}

impl ArchivePlace {
    /// The archive in `folder` of a database with this file.
    pub(super) fn new(folder: &Path, database: &Path) -> Self {
        Self { folder: folder.to_owned(), note: durable::beside(database, ".archive"), apart }
    }

    /// Makes the folder if it is not there.
    ///
    /// # Errors
    /// Another archive was there before, or none can be made. Then nothing was made.
    pub(super) fn open(&self) -> io::Result<()> {
        let marker = self.folder.join(MARKER);
        let marked = read(&marker)?;
        let noted = read(&self.note)?;
        // The config may name another folder: that is another archive.
        if let Some((id, _)) = noted.as_deref().and_then(|noted| noted.split_once('\n')).filter(|(_, folder)| *folder == self.name()) {
            return if marked.is_some_and(|marked| marked == id) { Ok(()) } else { Err(self.lost()) };
        }
        durable::make_folder(&self.folder)?;
        if !(self.apart)(&self.folder, &self.note)? {
            return Ok(());
        }
        // Several processes may have one archive.
        let id = match marked {
            Some(id) => id,
            None => {
                let id = uuid::Uuid::new_v4().to_string();
                durable::write(&marker, &[id.as_bytes()], durable::Sync::Yes)?;
                id
            }
        };
        durable::write(&self.note, &[format!("{id}\n{}\n", self.name()).as_bytes()], durable::Sync::Yes)
    }

    /// The folder, as it is noted.
    fn name(&self) -> String {
        self.folder.display().to_string()
    }

    fn lost(&self) -> io::Error {
        io::Error::other(format!(
            "'{}' is not the archive that was written before: is its disk mounted? If a new archive is to begin there, remove '{}'",
            self.name(),
            self.note.display()
        ))
    }
}

/// None if there is no such file.
fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn apart(folder: &Path, note: &Path) -> io::Result<bool> {
    let beside = note.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(fs::metadata(folder)?.dev() != fs::metadata(beside)?.dev())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(root: &Path, apart: fn(&Path, &Path) -> io::Result<bool>) -> ArchivePlace {
        ArchivePlace { apart, ..ArchivePlace::new(&root.join("archive"), &root.join("shop.db")) }
    }

    #[test]
    fn an_archive_whose_disk_is_gone_is_missed_and_nothing_is_made_in_its_place() {
        let root = tempfile::tempdir().unwrap();
        let (there, elsewhere) = (root.path().join("archive"), root.path().join("elsewhere"));
        let archive = place(root.path(), |_, _| Ok(true));
        archive.open().unwrap();
        archive.open().unwrap();
        fs::rename(&there, &elsewhere).unwrap();
        let error = archive.open().unwrap_err().to_string();
        assert!(error.contains("is its disk mounted?") && error.contains("shop.db.archive"), "{error}");
        assert!(!there.exists(), "nothing is made in its place");
        fs::create_dir(&there).unwrap();
        assert!(archive.open().is_err(), "nor is anything written into the folder beneath");
        assert_eq!(fs::read_dir(&there).unwrap().count(), 0);
        fs::remove_dir(&there).unwrap();
        fs::rename(&elsewhere, &there).unwrap();
        archive.open().unwrap();
        let another = ArchivePlace { folder: root.path().join("another"), ..archive.clone() };
        another.open().unwrap();
        assert!(archive.open().is_ok(), "it is the same one again");
        fs::remove_dir_all(&there).unwrap();
        fs::remove_file(root.path().join("shop.db.archive")).unwrap();
        archive.open().unwrap();
    }

    #[test]
    fn on_the_file_system_of_the_database_the_folder_may_be_moved_away() {
        let root = tempfile::tempdir().unwrap();
        let archive = place(root.path(), apart);
        archive.open().unwrap();
        fs::remove_dir(root.path().join("archive")).unwrap();
        archive.open().unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "nothing is noted");
    }

    #[test]
    fn several_processes_may_have_one_archive() {
        let root = tempfile::tempdir().unwrap();
        let archive = |database: &str| ArchivePlace {
            apart: |_, _| Ok(true),
            ..ArchivePlace::new(&root.path().join("archive"), &root.path().join(database))
        };
        for database in ["first.db", "second.db", "first.db"] {
            archive(database).open().unwrap();
        }
    }
}
