//! Reading a component's file: once, and only when nobody is still writing it.
//!
//! Links are followed, as an orchestrator mounts files (`a.wasm -> ..data/a.wasm`, and `..data` is swapped by a rename): the
//! file is opened once, and what was opened is what is looked at and hashed. It must be a plain file in the end.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};

use super::inspect::MAX_BYTES;
use crate::clock::Clock;
use crate::memory;

/// Between two looks at a file that changed a moment ago.
const BETWEEN_LOOKS: Duration = Duration::from_millis(15);
/// A file that has not changed for this long needs no second look.
const SETTLED: SignedDuration = SignedDuration::from_secs(1);
/// Looks at a file that goes on changing: half a minute of them.
const MAX_LOOKS: u32 = 2_000;

/// A whole file.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    /// What is in it.
    pub bytes: bytes::Bytes,
    /// SHA-256 of it, in hex.
    pub digest: String,
    /// It changed within the last seconds: if it is cut off, the rest may still come.
    pub fresh: bool,
}

/// Why a file could not be read, as a clause that goes on after its name.
#[derive(Debug)]
pub(super) struct Unreadable {
    /// The clause.
    pub reason: String,
    /// There is no such file: it may just be being replaced.
    pub missing: bool,
}

impl From<String> for Unreadable {
    fn from(reason: String) -> Self {
        Self { reason, missing: false }
    }
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Device and inode: of what a link leads to, so that a link which leads elsewhere is another file.
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    /// When anything of it was changed, its date included: a file that was written over and given the date of before is another one.
    changed: (i64, i64),
}

impl Stamp {
    /// The file's stamp now; none if there is no file.
    pub fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|metadata| Self::from(&metadata))
    }

    fn age(&self, clock: &Clock) -> SignedDuration {
        let modified = jiff::Timestamp::from_second(self.modified.0).unwrap_or(jiff::Timestamp::MIN);
        clock.now().duration_since(modified)
    }
}

impl From<&std::fs::Metadata> for Stamp {
    fn from(metadata: &std::fs::Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Reads the file when it is whole: put there by a rename, or the same at two looks.
///
/// # Errors
/// There is no file, it is no plain file, it is too large, it goes on changing, or the system does not let us read it.
pub(super) async fn read_whole(path: &Path, clock: &Clock) -> Result<Whole, Unreadable> {
    for _ in 0..MAX_LOOKS {
        let before = Stamp::of(path);
        if before.is_some_and(|stamp| stamp.age(clock) < SETTLED) {
            tokio::time::sleep(BETWEEN_LOOKS).await;
            // Not read as long as it changes: it may be large, and what was read would be of no use.
            if Stamp::of(path) != before {
                continue;
            }
        }
        let file = path.to_owned();
        let (bytes, stamp) = off_thread(move || read_once(&file, MAX_BYTES)).await??;
        if before != Some(stamp) {
            continue;
        }
        let age = stamp.age(clock);
        let bytes = bytes::Bytes::from(bytes);
        let hashed = bytes.clone();
        let digest = off_thread(move || digest(&hashed)).await?;
        return Ok(Whole { bytes, digest, fresh: age < SETTLED.saturating_mul(3) });
    }
    Err(format!("went on changing for {:?}: write it beside and rename it", BETWEEN_LOOKS * MAX_LOOKS).into())
}

/// SHA-256 in hex.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Does what blocks where blocking is allowed. What it has made is mostly let go of elsewhere, and the allocator keeps that for this thread.
pub(super) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(move || {
        let done = work();
        memory::give_back_at_rest();
        done
    });
    done.await.map_err(|error| format!("could not be handled: {error}"))
}

/// What is in a file beside a component's at this moment, `fraud.wasm.sig` for its signature; none if there is no such file.
///
/// # Errors
/// It cannot be read, or has more than `most` bytes, as a clause that goes on after its name.
pub(super) async fn read_beside(path: PathBuf, most: u64) -> Result<Option<bytes::Bytes>, String> {
    match off_thread(move || read_once(&path, most)).await? {
        Ok((bytes, _)) => Ok(Some(bytes.into())),
        Err(unreadable) if unreadable.missing => Ok(None),
        Err(unreadable) => Err(unreadable.reason),
    }
}

fn read_once(path: &Path, most: u64) -> Result<(Vec<u8>, Stamp), Unreadable> {
    // A pipe in its place must not make us wait for a writer.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mut file: File = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| cannot_open(path, error))?.into();
    let metadata = file.metadata().map_err(|error| format!("cannot be read: {error}"))?;
    if !metadata.is_file() {
        return Err("is not a plain file".to_owned().into());
    }
    if metadata.len() > most {
        return Err(format!("has {} bytes, and at most {most} are read", metadata.len()).into());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default() + 1);
    (&mut file).take(most + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    let stamp = Stamp::from(&file.metadata().map_err(|error| format!("cannot be read: {error}"))?);
    Ok((bytes, stamp))
}

fn cannot_open(path: &Path, error: rustix::io::Errno) -> Unreadable {
    match (error, std::fs::read_link(path)) {
        (rustix::io::Errno::NOENT, Ok(target)) => {
            Unreadable { reason: format!("is a link to '{}', and nothing is there", target.display()), missing: true }
        }
        (rustix::io::Errno::NOENT, Err(_)) => {
            Unreadable { reason: "does not exist: build the component, or correct `source`".into(), missing: true }
        }
        (rustix::io::Errno::LOOP, _) => "is a link that leads back to itself".to_owned().into(),
        (error, _) => format!("cannot be read: {}", std::io::Error::from(error)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_written_over_and_given_the_date_of_before_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wasm");
        std::fs::write(&path, "one").unwrap();
        let (before, date) = (Stamp::of(&path), std::fs::metadata(&path).unwrap().modified().unwrap());
        // As builds that can be repeated and `cp -p` do; the file stays the same one, and as long.
        let mut file = File::options().write(true).open(&path).unwrap();
        std::io::Write::write_all(&mut file, b"two").unwrap();
        file.set_modified(date).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), date);
        assert_ne!(Stamp::of(&path), before);
    }
}
