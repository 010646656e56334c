//! Files that are there as a whole or not at all, whatever becomes of the power: written under another name, made durable, given their name.
//!
//! It knows names, bytes and folders, nothing of what is in a file. Everything here blocks.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Whether what was written is on the disk before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// It survives a power cut from then on.
    Yes,
    /// It need not: what is lost of it is noticed, and made again.
    No,
}

/// The name of the file that belongs to another one and has this at the end of its name: `shop.db-wal` of `shop.db`.
#[must_use]
pub fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Writes `content`, one part after the other, as the file `path`, in the place of what is there. Nobody but this user may read it. Two
/// may write the same file at once: each writes a part of its own, and the last one counts.
///
/// # Errors
/// What the system says; then `path` is what it was.
pub fn write(path: &Path, content: &[&[u8]], sync: Sync) -> io::Result<()> {
    let part = part_of(path);
    let written = write_part(&part, content, sync).and_then(|()| match sync {
        Sync::Yes => rename(&part, path),
        Sync::No => fs::rename(&part, path),
    });
    if written.is_err() {
        // On a full disk nothing should stay of it.
        let _ = fs::remove_file(&part);
    }
    written
}

/// Writes `content` as the file `path`, durably, if there is none; [`io::ErrorKind::AlreadyExists`] if there is one.
///
/// # Errors
/// What the system says; then `path` is what it was.
pub fn write_new(path: &Path, content: &[&[u8]]) -> io::Result<()> {
    let part = part_of(path);
    let linked = write_part(&part, content, Sync::Yes).and_then(|()| fs::hard_link(&part, path));
    let removed = fs::remove_file(&part);
    linked?;
    removed?;
    sync_folder_of(path)
}

/// Writes `content` as the file `path`, durably, in the place of the one that is there, with the rights that this one had.
///
/// # Errors
/// What the system says; then `path` is what it was. There has to be a file.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let rights = fs::metadata(path)?.permissions();
    let part = part_of(path);
    let put = write_part(&part, &[content], Sync::No).and_then(|()| {
        let file = File::open(&part)?;
        file.set_permissions(rights)?;
        file.sync_all()?;
        rename(&part, path)
    });
    if put.is_err() {
        let _ = fs::remove_file(&part);
    }
    put
}

/// Removes what writers of the file `path` have left half written, who ended before they had given it its name. Nobody may write it now.
///
/// # Errors
/// What the system says.
pub fn remove_parts(path: &Path) -> io::Result<()> {
    let (Some(folder), Some(stem)) = (path.parent(), path.file_stem().and_then(|stem| stem.to_str())) else { return Ok(()) };
    let is_part = |name: &str| {
        let middle = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix('.')?.strip_suffix(".part"));
        middle.is_some_and(|middle| middle.len() == 32 && middle.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(is_part) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Gives the file `part`, which is written, the name `name`, durably, in the place of what had it.
///
/// # Errors
/// What the system says.
pub fn give_name(part: &Path, name: &Path) -> io::Result<()> {
    File::open(part)?.sync_all()?;
    rename(part, name)
}

/// Adds `bytes`, which end with a line, to the file `path`, durably; makes it if there is none, for nobody but this user. What a writer
/// has left half written, a line without its end, is cut off first: it never counted. Of two who add to one file the second waits.
///
/// # Errors
/// What the system says, a full disk for example; then nothing was added.
pub fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let made = !path.exists();
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    // Another process may add its lines to the same file: without this each would write over what the other writes, or cut it off.
    match file.lock() {
        // There are file systems without locks.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
        locked => locked?,
    }
    let end = whole_lines(&mut file)?;
    if end < file.metadata()?.len() {
        file.set_len(end)?;
    }
    let added = file.seek(SeekFrom::Start(end)).and_then(|_| file.write_all(bytes)).and_then(|()| file.sync_all());
    if added.is_err() {
        // If this does not succeed either, what is left of it is cut off the next time.
        let _ = file.set_len(end);
    }
    added?;
    if made { sync_folder_of(path) } else { Ok(()) }
}

/// Makes the folder `path` if there is none, for nobody but this user.
///
/// # Errors
/// What the system says.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Where the last whole line of a file ends.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    const STRETCH: u64 = 64 << 10;
    let mut end = file.metadata()?.len();
    while end > 0 {
        let start = end.saturating_sub(STRETCH);
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        io::Read::take(&mut *file, end - start).read_to_end(&mut bytes)?;
        if let Some(last) = bytes.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn rename(part: &Path, name: &Path) -> io::Result<()> {
    fs::rename(part, name)?;
    sync_folder_of(name)
}

/// A name is as durable as the folder that has it.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match File::open(folder)?.sync_all() {
        // Some file systems, of virtual machines and of networks, have nothing to sync of a folder.
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::INVAL | Errno::OPNOTSUPP)) => Ok(()),
        synced => synced,
    }
}

fn part_of(path: &Path) -> PathBuf {
    path.with_extension(format!("{}.part", uuid::Uuid::now_v7().simple()))
}

fn write_part(part: &Path, content: &[&[u8]], sync: Sync) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part)?;
    for bytes in content {
        file.write_all(bytes)?;
    }
    match sync {
        Sync::Yes => file.sync_all(),
        Sync::No => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_name_counts_where_folders_cannot_be_synced() {
        // As some file systems do, this one answers that the argument is invalid.
        let folder = File::open("/proc/self").unwrap();
        assert_eq!(folder.sync_all().unwrap_err().kind(), io::ErrorKind::InvalidInput);
        sync_folder_of(Path::new("/proc/self/status")).unwrap();
        assert!(sync_folder_of(Path::new("/proc/self/no-folder/status")).is_err());
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        for (content, sync) in [(&[&b"old"[..]][..], Sync::Yes), (&[b"ne", b"w"], Sync::No)] {
            write(&path, content, sync).unwrap();
            assert_eq!(fs::read(&path).unwrap(), content.concat());
        }
        assert!(write(&folder.path().join("none").join("a.json"), &[b"x"], Sync::Yes).is_err());
        let taken = write_new(&path, &[b"newer"]).unwrap_err();
        assert_eq!((taken.kind(), fs::read(&path).unwrap()), (io::ErrorKind::AlreadyExists, b"new".to_vec()));
        write_new(&folder.path().join("b.json"), &[b"b"]).unwrap();
        assert_eq!(names(folder.path()), ["a.json", "b.json"]);
    }

    #[test]
    fn a_file_keeps_its_rights_when_it_is_replaced_and_what_was_left_half_written_goes() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        assert_eq!(replace(&path, b"new").unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        fs::write(part_of(&path), "half").unwrap();
        fs::write(folder.path().join("a.b.part"), "of somebody else").unwrap();
        replace(&path, b"new").unwrap();
        remove_parts(&path).unwrap();
        assert_eq!((fs::read(&path).unwrap(), fs::metadata(&path).unwrap().permissions().mode() & 0o777), (b"new".to_vec(), 0o640));
        assert_eq!(names(folder.path()), ["a.b.part", "a.yaml"]);
    }

    #[test]
    fn lines_are_added_behind_the_last_whole_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        append(&path, b"one\n").unwrap();
        append(&path, b"two\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\n");
        let half = "x".repeat(200_000);
        fs::write(&path, format!("one\ntwo\n{half}")).unwrap();
        append(&path, b"three\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\nthree\n", "half a line never counted");
        fs::write(&path, half).unwrap();
        append(&path, b"four\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"four\n");
    }

    #[test]
    fn what_cannot_be_added_changes_nothing() {
        // Of this file the system says that its disk is full.
        let full = append(Path::new("/dev/full"), b"one\n").unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        let folder = tempfile::tempdir().unwrap();
        assert!(append(&folder.path().join("none").join("a.jsonl"), b"one\n").is_err());
        assert!(names(folder.path()).is_empty());
    }
}
