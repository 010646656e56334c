//! What is kept in the private folder from one start to the next: copies of files that were good, and compiled code.
//!
//! Compiled code is run as it is, so one changed bit of it can do anything to this process. Each file of it begins with a keyed
//! checksum over what it was compiled from, what it was compiled for, and all of its bytes; the bytes that were checked are the bytes
//! that are loaded. The key is a file of the same folder, so this finds what a disk, a copy or a restore has changed or mixed up, and
//! what was written by somebody who cannot read the folder.

use std::collections::{HashMap, HashSet};
use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io::{self, Read as _};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::SystemTime;

use anyhow::Context as _;
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use bytes::Bytes;
use rustix::fs::{Mode, OFlags};
use rustix::process::geteuid;
use subtle::ConstantTimeEq as _;

use super::inspect::MAX_BYTES;
use super::signature::{MAX_SIGNATURE_BYTES, SIGNATURE_ENDING};
use super::source::digest;
use crate::durable::{self, Sync};

/// Versions whose files are kept to go back to.
const MAX_COPIES: usize = 32;
/// Bytes of these files and of their code, all components together. What serves and the newest version are kept whatever they have.
const MAX_KEPT_BYTES: u64 = 1 << 30;
/// Files that belong to no version and were written just now, as far as they are kept: one of them may be being written.
const MAX_FRESH: usize = 32;
/// Bytes of compiled code that are read: a Python component of 18 MB has about 70 MB of it.
pub(super) const MAX_CODE_BYTES: u64 = 1 << 30;
/// Bytes of the manifest of what came from a registry: it has about one KiB.
pub(super) const MAX_MANIFEST_BYTES: u64 = 64 << 10;
/// File in the folder by which code is known as made by this program.
pub const CACHE_KEY: &str = "compiled.key";
/// Folder in the folder that has the compiled code.
const COMPILED: &str = "compiled";
/// Bytes of the key, and of a checksum.
const KEY_BYTES: usize = 32;
/// What a checksum is of, so that it is not one of something else.
const LABEL: &[u8] = b"millrace compiled code 2";

/// Compiled code as it was found.
pub(super) enum Code {
    /// What this program wrote, checked.
    Whole(Bytes),
    /// There is none.
    Missing,
    /// It is not what this program wrote, or cannot be read; a clause that goes on after "compiled code".
    Bad(String),
}

/// The private folder.
pub(super) struct CodeCache {
    whole: PathBuf,
    /// Whose it is.
    user: u32,
    copies: PathBuf,
    compiled: PathBuf,
    /// Signatures of the copies, and manifests of what came from registries. Each of them is checked whenever it is read.
    papers: PathBuf,
    key: hmac::Key,
    /// What compiled code must fit.
    fingerprint: String,
    /// Another such folder of this user, for code that is not in this one.
    other: Option<PathBuf>,
}

impl CodeCache {
    /// Opens the folder, or makes it, for nobody but this user: whoever can write compiled code and its key can run anything in this
    /// process. `fingerprint` names what compiled code must fit.
    ///
    /// `None`, with a warning, where nothing can be closed to others: then nothing is kept. A folder of another user is made anew.
    ///
    /// # Errors
    /// A folder cannot be made.
    pub fn open(cache_dir: &Path, fingerprint: String) -> anyhow::Result<Option<Self>> {
        Self::open_as(geteuid().as_raw(), cache_dir, fingerprint)
    }

    fn open_as(user: u32, cache_dir: &Path, fingerprint: String) -> anyhow::Result<Option<Self>> {
        let (copies, compiled, papers) = (cache_dir.join("components"), cache_dir.join(COMPILED), cache_dir.join("papers"));
        let folders = [cache_dir, &compiled, &copies, &papers];
        let mut closed = make_closed(&folders, user)?;
        if let Err(open) = &closed
            && open.is_foreign()
            && let Ok(aside) = move_aside(cache_dir)
        {
            tracing::warn!("'{}' belongs to user {}, and this process is user {user}: it is made anew", open.folder.display(), open.owner);
            closed = make_closed(&folders, user)?;
            if closed.is_ok() {
                take_copies(&aside.join("components"), &copies);
            }
            // What is left of it harms nobody.
            let _ = fs::remove_dir_all(aside);
        }
        if let Err(open) = closed {
            tracing::warn!(reason = %open, "components are not kept: each start compiles all of them, and there is no version to go back to");
            return Ok(None);
        }
        Ok(Some(Self {
            whole: cache_dir.to_owned(),
            user,
            copies,
            compiled,
            papers,
            key: key(&cache_dir.join(CACHE_KEY)),
            fingerprint,
            other: None,
        }))
    }

    /// Takes code that is missing here from another private folder of this user, which may come later or never.
    pub fn beside(self, other: Option<PathBuf>) -> Self {
        Self { other, ..self }
    }

    /// Writes a file of the folder. Whoever tidies a disk may have removed the folder meanwhile: then it is made anew, as at the start.
    fn write(&self, path: &Path, content: &[&[u8]], sync: Sync) -> io::Result<()> {
        match durable::write(path, content, sync) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            written => return written,
        }
        tracing::warn!("the folder '{}' was removed, or a part of it: it is made anew", self.whole.display());
        let made = make_closed(&[&self.whole, &self.compiled, &self.copies, &self.papers], self.user).map_err(io::Error::other)?;
        made.map_err(|open| io::Error::other(open.to_string()))?;
        durable::write(path, content, sync)
    }

    /// Where the copies are.
    pub fn copies(&self) -> &Path {
        &self.copies
    }

    /// The copy of a good file.
    ///
    /// # Errors
    /// There is none, or it was changed.
    pub fn copy(&self, wanted: &str) -> Result<Bytes, String> {
        let bytes = fs::read(self.copy_of(wanted)).map_err(|error| format!("there is no copy of version {wanted}: {error}"))?;
        if digest(&bytes) != wanted {
            return Err(format!("the copy of version {wanted} was changed"));
        }
        Ok(bytes.into())
    }

    /// Whether there is a copy of this name; whether it is what it says is not looked at.
    pub fn has_copy(&self, digest: &str) -> bool {
        self.copy_of(digest).is_file()
    }

    /// Keeps a copy of a good file; one that was changed is written anew.
    pub fn keep_copy(&self, digest: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.copy_of(digest);
        if fs::read(&path).is_ok_and(|kept| kept == bytes) {
            return Ok(());
        }
        self.write(&path, &[bytes], Sync::Yes)
    }

    /// The text of the signature that a copy was good with, if there is one.
    pub fn signature(&self, digest: &str) -> Option<String> {
        let bytes = read(&self.papers.join(format!("{digest}{SIGNATURE_ENDING}")), MAX_SIGNATURE_BYTES as u64).ok()?;
        String::from_utf8(bytes).ok()
    }

    /// Keeps the signature that a copy was good with.
    pub fn keep_signature(&self, digest: &str, text: &str) -> io::Result<()> {
        self.write(&self.papers.join(format!("{digest}{SIGNATURE_ENDING}")), &[text.as_bytes()], Sync::Yes)
    }

    /// The manifest with this digest, if it was kept and is what its name says.
    pub fn manifest(&self, wanted: &str) -> Option<Bytes> {
        let bytes = read(&self.papers.join(format!("{wanted}.json")), MAX_MANIFEST_BYTES).ok()?;
        (digest(&bytes) == wanted).then(|| bytes.into())
    }

    /// Keeps the manifest of what came from a registry.
    pub fn keep_manifest(&self, digest: &str, manifest: &[u8]) -> io::Result<()> {
        self.write(&self.papers.join(format!("{digest}.json")), &[manifest], Sync::Yes)
    }

    /// Code of this name: the digest of the file that it was compiled from, or [`name_of_shipped`].
    pub fn code(&self, name: &str) -> Code {
        match read(&self.code_of(name), MAX_CODE_BYTES) {
            Ok(bytes) => self.checked(&self.key, name, bytes.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.code_of_other(name).map_or(Code::Missing, Code::Whole),
            Err(error) => Code::Bad(format!("cannot be read: {error}")),
        }
    }

    /// Code from the other folder, kept here from now on. That folder has a key of its own, and counts only where nobody but this user can have
    /// written it: what is looked at and what is read is the same folder, whatever its name leads to meanwhile.
    fn code_of_other(&self, name: &str) -> Option<Bytes> {
        let path = self.other.as_ref()?;
        let folder: File = match rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(folder) => folder.into(),
            // The first command of an author makes it.
            Err(rustix::io::Errno::NOENT) => return None,
            Err(error) => return not_taken(path, &format!("it cannot be opened: {error}")),
        };
        let found = folder.metadata().ok()?;
        if found.uid() != self.user || found.mode() & 0o077 != 0 {
            return not_taken(path, "others than the user of this process may write or read it");
        }
        let code = read_in(&folder, &Path::new(COMPILED).join(self.file_of_code(name)), MAX_CODE_BYTES).ok()?;
        let key = hmac::Key::new(HMAC_SHA256, &whole_key(read_in(&folder, Path::new(CACHE_KEY), KEY_BYTES as u64).ok()?).ok()?);
        let Code::Whole(code) = self.checked(&key, name, code.into()) else { return None };
        if let Err(error) = self.keep_code(name, &code) {
            tracing::warn!(digest = name, %error, "compiled code of a component cannot be kept: the next start may compile it again");
        }
        Some(code)
    }

    fn checked(&self, key: &hmac::Key, name: &str, mut bytes: Bytes) -> Code {
        if bytes.len() <= KEY_BYTES {
            return Code::Bad(format!("has {} bytes", bytes.len()));
        }
        let tag = bytes.split_to(KEY_BYTES);
        if bool::from(self.tag(key, name, &bytes).as_ref().ct_eq(&tag)) {
            return Code::Whole(bytes);
        }
        Code::Bad("does not match its checksum: it was changed, or is another file's".to_owned())
    }

    /// Keeps code under such a name. It need not survive a power cut: what is lost of it is noticed, and made again.
    pub fn keep_code(&self, name: &str, code: &[u8]) -> io::Result<()> {
        self.write(&self.code_of(name), &[self.tag(&self.key, name, code).as_ref(), code], Sync::No)
    }

    fn tag(&self, key: &hmac::Key, name: &str, code: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(key);
        for part in [LABEL, name.as_bytes(), self.fingerprint.as_bytes()] {
            context.update(part);
            context.update(&[0]);
        }
        context.update(code);
        context.sign()
    }

    /// Removes the oldest copies and their code, and what belongs to none. The versions in `good` stay, and the newest ones as far as their number and
    /// their bytes allow; and of what belongs to none, the newest that is not older than `before`: it may be being written.
    pub fn tidy(&self, good: &HashSet<String>, before: SystemTime) -> io::Result<()> {
        let (mut copies, mut others): (Vec<_>, Vec<_>) =
            entries(&self.copies)?.into_iter().partition(|(_, path)| path.extension().is_some_and(|extension| extension == "wasm"));
        copies.sort_unstable_by(|a, b| b.cmp(a));
        let (compiled, papers) = (entries(&self.compiled)?, entries(&self.papers)?);
        let mut sizes: HashMap<&str, u64> = HashMap::new();
        for (_, path) in &compiled {
            if let Some(digest) = self.coded(path) {
                *sizes.entry(digest).or_default() += size(path);
            }
        }
        let (mut kept, mut bytes) = (good.clone(), 0_u64);
        let mut removed = HashSet::new();
        for (at, (_, path)) in copies.iter().enumerate() {
            // A copy is there as a whole or not at all, so none of them is being written.
            let Some(digest) = digest_of(path) else { continue };
            bytes = bytes.saturating_add(size(path)).saturating_add(sizes.get(digest.as_str()).copied().unwrap_or_default());
            if at == 0 || (at < MAX_COPIES && bytes <= MAX_KEPT_BYTES) {
                kept.insert(digest);
            } else if !kept.contains(&digest) {
                gone(fs::remove_file(path))?;
                removed.insert(digest);
            }
        }
        others.extend(compiled.iter().filter(|(_, path)| self.coded(path).is_none_or(|digest| !kept.contains(digest))).cloned());
        others.extend(papers.into_iter().filter(|(_, path)| digest_of(path).is_none_or(|digest| !kept.contains(&digest))));
        others.sort_unstable_by(|a, b| b.cmp(a));
        for (at, (modified, path)) in others.iter().enumerate() {
            let was_of_one = digest_of(path).is_some_and(|digest| removed.contains(&digest))
                || self.coded(path).is_some_and(|digest| removed.contains(digest));
            if *modified < before || at >= MAX_FRESH || was_of_one {
                // Earlier versions of this program kept a folder there.
                gone(if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) })?;
            }
        }
        Ok(())
    }

    fn copy_of(&self, digest: &str) -> PathBuf {
        self.copies.join(format!("{digest}.wasm"))
    }

    fn code_of(&self, name: &str) -> PathBuf {
        self.compiled.join(self.file_of_code(name))
    }

    fn file_of_code(&self, name: &str) -> String {
        format!("{name}-{}.cwasm", self.fingerprint)
    }

    /// The digest of what the code in this file was compiled from, if the code is for this program.
    fn coded<'p>(&self, path: &'p Path) -> Option<&'p str> {
        let name = path.file_name()?.to_str()?.strip_suffix(&format!("-{}.cwasm", self.fingerprint))?;
        Some(name.split_once(SIGNED_BY).map_or(name, |(digest, _)| digest))
    }
}

/// What somebody else has removed meanwhile is removed.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// What stands between the digest of a component and the key that has signed its code.
const SIGNED_BY: char = '~';

/// The name of code that came along with the component with this digest: it is found only by who trusts the key with this name.
pub(super) fn name_of_shipped(digest: &str, key: &str) -> String {
    format!("{digest}{SIGNED_BY}{key}")
}

/// A folder that others may use.
#[derive(Debug)]
struct Open {
    folder: PathBuf,
    owner: u32,
    user: u32,
    why: io::Error,
}

impl Open {
    /// Another user has made it, so what is in it may be anything.
    fn is_foreign(&self) -> bool {
        self.owner != self.user
    }
}

impl std::fmt::Display for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { folder, owner, user, why } = self;
        write!(f, "'{}' cannot be closed to others: {why}", folder.display())?;
        if self.is_foreign() {
            write!(f, ": it belongs to user {owner}, and this process is user {user}; remove it, it is made again")?;
        }
        Ok(())
    }
}

/// Makes the folders that are not there, and has nobody but `user` use any of them.
fn make_closed(folders: &[&Path], user: u32) -> anyhow::Result<Result<(), Open>> {
    for folder in folders {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder).and_then(|()| fs::metadata(folder));
        let made = made.with_context(|| format!("the private folder '{}' for compiled components cannot be made", folder.display()))?;
        if let Err(open) = close(folder, &made, user) {
            return Ok(Err(open));
        }
    }
    Ok(Ok(()))
}

/// Root may change what belongs to others, and whom it belongs to.
fn close(folder: &Path, found: &Metadata, user: u32) -> Result<(), Open> {
    let owner = found.uid();
    let open = |why| Open { folder: folder.to_owned(), owner, user, why };
    if owner != user && user != 0 {
        return Err(open(io::ErrorKind::PermissionDenied.into()));
    }
    if owner == user && found.mode() & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(open)
}

/// Gives the folder a name that nobody uses.
fn move_aside(folder: &Path) -> io::Result<PathBuf> {
    let aside = folder.with_extension(format!("before-{}", uuid::Uuid::now_v7().simple()));
    fs::rename(folder, &aside)?;
    Ok(aside)
}

/// Copies what is what its name says; who has written it does not matter. What cannot be read is not needed for a start.
fn take_copies(from: &Path, to: &Path) {
    for (_, path) in entries(from).unwrap_or_default() {
        let (Some(name), Ok(bytes)) = (path.file_name(), read(&path, MAX_BYTES)) else { continue };
        if digest_of(&path).is_some_and(|named| digest(&bytes) == named)
            && let Err(error) = durable::write(&to.join(name), &[&bytes], Sync::No)
        {
            tracing::warn!(path = %path.display(), %error, "a copy of a component cannot be taken along");
        }
    }
}

fn digest_of(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_str()?.split('.').next()?.to_owned())
}

/// Bytes of a file; none of one that has gone meanwhile.
fn size(path: &Path) -> u64 {
    path.symlink_metadata().map_or(0, |metadata| metadata.len())
}

/// What is in a folder, each with when it was changed last.
fn entries(folder: &Path) -> io::Result<Vec<(SystemTime, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if let Ok(modified) = path.symlink_metadata().and_then(|metadata| metadata.modified()) {
            found.push((modified, path));
        }
    }
    Ok(found)
}

/// The key of this folder, which is made if there is none or what is there cannot be one. Without a file for it this start has one of its
/// own, and the next compiles everything again.
fn key(path: &Path) -> hmac::Key {
    let bytes = read_key(path).or_else(|found| {
        if found.kind() != io::ErrorKind::NotFound {
            tracing::warn!(path = %path.display(), reason = %found, "the key of the compiled components is bad: it is made anew, and they are compiled again");
            fs::remove_file(path)?;
        }
        write_new_key(path, &rand::random())
    });
    let bytes = bytes.unwrap_or_else(|error| {
        tracing::warn!(path = %path.display(), %error, "the key of the compiled components cannot be kept: the next start compiles them again");
        rand::random()
    });
    hmac::Key::new(HMAC_SHA256, &bytes)
}

/// Says once why no code is taken from the folder of this user's other commands.
fn not_taken(folder: &Path, why: &str) -> Option<Bytes> {
    static TOLD: Once = Once::new();
    TOLD.call_once(
        || tracing::warn!(folder = %folder.display(), %why, "compiled code is not taken from the folder that MILLRACE_CACHE names"),
    );
    None
}

fn read_key(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    whole_key(read(path, KEY_BYTES as u64)?)
}

fn whole_key(bytes: Vec<u8>) -> io::Result<[u8; KEY_BYTES]> {
    let key =
        <[u8; KEY_BYTES]>::try_from(bytes).map_err(|bytes| io::Error::other(format!("it has {} bytes, not {KEY_BYTES}", bytes.len())))?;
    // As a file system leaves a file whose content never reached the disk.
    if key == [0; KEY_BYTES] { Err(io::Error::other("it is empty")) } else { Ok(key) }
}

/// Writes the key where there is none; if another process has just done so, its key counts.
fn write_new_key(path: &Path, key: &[u8; KEY_BYTES]) -> io::Result<[u8; KEY_BYTES]> {
    match durable::write_new(path, &[key]) {
        Ok(()) => Ok(*key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read_key(path),
        Err(error) => Err(error),
    }
}

/// A plain file of at most `most` bytes, at once; what is in the private folder is no link.
fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    read_in(rustix::fs::CWD, path, most)
}

/// The same; a relative path begins in `folder`.
fn read_in(folder: impl AsFd, path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file: File = rustix::fs::openat(folder, path, flags, Mode::empty())?.into();
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > most {
        return Err(io::Error::other(format!("it is no plain file of at most {most} bytes")));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default() + 1);
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPONENT: &[u8] = b"a component";

    fn open(folder: &Path) -> Option<CodeCache> {
        CodeCache::open(folder, "fits".to_owned()).unwrap()
    }

    #[test]
    fn of_a_folder_of_another_user_the_copies_are_taken_along_and_the_code_is_not() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("components-cache");
        let wanted = digest(COMPONENT);
        let before = open(&folder).unwrap();
        before.keep_copy(&wanted, COMPONENT).unwrap();
        before.keep_copy(&digest(b"another"), b"and changed").unwrap();
        before.keep_code(&wanted, b"code").unwrap();
        let mine = geteuid().as_raw();
        let open_folder = close(&folder, &fs::metadata(&folder).unwrap(), mine + 1).unwrap_err();
        assert!(open_folder.to_string().contains(&format!("it belongs to user {mine}, and this process is user {}; remove it", mine + 1)));

        let aside = move_aside(&folder).unwrap();
        let after = open(&folder).unwrap();
        take_copies(&aside.join("components"), after.copies());
        assert_eq!(after.copy(&wanted).unwrap(), COMPONENT);
        assert_eq!(fs::read_dir(after.copies()).unwrap().count(), 1, "what is not what its name says stays behind");
        assert!(matches!(after.code(&wanted), Code::Missing));
    }

    #[test]
    fn code_of_another_private_folder_is_taken_along_and_what_others_may_have_written_is_not() {
        let home = tempfile::tempdir().unwrap();
        let (authors, wanted) = (home.path().join("authors"), digest(COMPONENT));
        let serving = || {
            let folder = tempfile::tempdir_in(home.path()).unwrap().keep();
            open(&folder).unwrap().beside(Some(authors.clone()))
        };
        let early = serving();
        assert!(matches!(early.code(&wanted), Code::Missing), "there is no such folder yet");
        let author = open(&authors).unwrap();
        author.keep_code(&wanted, b"code").unwrap();
        assert!(matches!(early.code(&wanted), Code::Whole(code) if code == b"code".as_slice()));
        assert!(matches!(early.code(&digest(b"another")), Code::Missing));

        let file = author.code_of(&wanted);
        let whole = fs::read(&file).unwrap();
        fs::write(&file, [whole.as_slice(), b"!"].concat()).unwrap();
        assert!(matches!(serving().code(&wanted), Code::Missing), "it was changed");
        fs::write(&file, &whole).unwrap();
        fs::set_permissions(&authors, Permissions::from_mode(0o770)).unwrap();
        assert!(matches!(serving().code(&wanted), Code::Missing), "others may write there");
        fs::set_permissions(&authors, Permissions::from_mode(0o700)).unwrap();
        let stranger = CodeCache { user: geteuid().as_raw() + 1, ..serving() };
        assert!(matches!(stranger.code(&wanted), Code::Missing), "it is another user's");
        assert!(matches!(serving().code(&wanted), Code::Whole(_)));

        fs::remove_dir_all(&authors).unwrap();
        assert!(matches!(early.code(&wanted), Code::Whole(_)), "it was not kept");
    }

    #[test]
    fn a_folder_of_another_user_is_moved_away_and_what_cannot_be_closed_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("components-cache");
        open(&folder).unwrap().keep_code("digest", b"code").unwrap();
        // Nothing that is made here can belong to that user.
        let another = geteuid().as_raw() + 1;
        assert!(CodeCache::open_as(another, &folder, "fits".to_owned()).unwrap().is_none());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
        assert!(matches!(open(&folder).unwrap().code("digest"), Code::Missing));
    }

    #[test]
    fn code_that_came_along_has_the_name_of_its_key_and_stays_as_long_as_its_component() {
        let home = tempfile::tempdir().unwrap();
        let cache = open(&home.path().join("components-cache")).unwrap();
        let (wanted, gone) = (digest(COMPONENT), digest(b"another"));
        for component in [&wanted, &gone] {
            cache.keep_code(&name_of_shipped(component, "k1"), b"code").unwrap();
        }
        assert!(matches!(cache.code(&wanted), Code::Missing));
        assert!(matches!(cache.code(&name_of_shipped(&wanted, "k2")), Code::Missing));
        fs::copy(cache.code_of(&name_of_shipped(&wanted, "k1")), cache.code_of(&wanted)).unwrap();
        assert!(matches!(cache.code(&wanted), Code::Bad(_)), "its checksum is that of another name");
        let later = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1 << 36);
        cache.tidy(&HashSet::from([wanted.clone()]), later).unwrap();
        assert!(matches!(cache.code(&name_of_shipped(&wanted, "k1")), Code::Whole(code) if code == b"code".as_slice()));
        assert!(matches!(cache.code(&name_of_shipped(&gone, "k1")), Code::Missing));
    }

    #[test]
    fn what_is_kept_to_go_back_to_has_a_bound_in_bytes_however_new_it_is() {
        let home = tempfile::tempdir().unwrap();
        let cache = open(&home.path().join("components-cache")).unwrap();
        let digests: Vec<String> = (0..6_u8).map(|number| digest(&[number])).collect();
        // The first is the oldest; each takes three tenths of what is allowed, most of it as code.
        for (age, wanted) in digests.iter().rev().enumerate() {
            cache.keep_copy(wanted, COMPONENT).unwrap();
            cache.keep_code(wanted, b"code").unwrap();
            let file = File::options().write(true).open(cache.code_of(wanted)).unwrap();
            file.set_len(MAX_KEPT_BYTES / 10 * 3).unwrap();
            let file = File::options().write(true).open(cache.copy_of(wanted)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000 - age as u64)).unwrap();
        }
        // None of it is old.
        let before = SystemTime::UNIX_EPOCH;
        cache.tidy(&HashSet::from([digests[0].clone()]), before).unwrap();
        let is_there =
            |path: fn(&CodeCache, &str) -> PathBuf| digests.iter().map(|wanted| path(&cache, wanted).exists()).collect::<Vec<_>>();
        let expected = [true, false, false, true, true, true];
        assert_eq!(is_there(CodeCache::copy_of), expected, "what serves, and the newest ones");
        assert_eq!(is_there(CodeCache::code_of), expected, "code goes with its file");

        // What never became a version is left for a while, and not without end.
        for number in 0..100_u8 {
            cache.keep_code(&digest(&[number, number]), b"code").unwrap();
        }
        cache.tidy(&HashSet::from([digests[0].clone()]), before).unwrap();
        assert_eq!(entries(&cache.compiled).unwrap().len(), 4 + MAX_FRESH);
    }

    #[test]
    fn a_folder_that_is_removed_while_the_process_runs_is_made_anew_for_nobody_else() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("components-cache");
        let (cache, wanted) = (open(&folder).unwrap(), digest(COMPONENT));
        for keep in 0..4 {
            fs::remove_dir_all(&folder).unwrap();
            match keep {
                0 => cache.keep_copy(&wanted, COMPONENT).unwrap(),
                1 => cache.keep_code(&wanted, b"code").unwrap(),
                2 => cache.keep_signature(&wanted, "signed").unwrap(),
                _ => cache.keep_manifest(&wanted, COMPONENT).unwrap(),
            }
            assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o077, 0);
        }
        assert_eq!(cache.manifest(&wanted).unwrap(), COMPONENT);
        cache.keep_copy(&wanted, COMPONENT).unwrap();
        assert_eq!(cache.copy(&wanted).unwrap(), COMPONENT);
    }

    #[test]
    fn without_modes_nothing_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("components-cache");
        fs::create_dir(&folder).unwrap();
        // Its own user may not change the mode of this one.
        std::os::unix::fs::symlink("/proc/self/task", folder.join("compiled")).unwrap();
        assert!(open(&folder).is_none());
        assert!(folder.join("compiled").exists());
    }

    #[test]
    fn a_folder_that_others_may_use_is_closed() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("components-cache");
        assert!(open(&folder).is_some());
        fs::set_permissions(&folder, Permissions::from_mode(0o2770)).unwrap();
        assert!(open(&folder).is_some());
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o077, 0);
    }
}
