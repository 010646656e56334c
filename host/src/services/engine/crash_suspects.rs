//! Which runs are inside a component right now, on disk, so that the next process knows what killed this one.
//!
//! Each run that enters a component takes a slot and writes its key there with a plain write: a killed process keeps its
//! page cache, and a lost disk is not the component's fault. At start the keys found are the suspects. This is what
//! lets a run be claimed in the commit that creates it: a claim alone proves nothing about a crash.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// Bytes of one slot: a length byte pair and the key.
const SLOT_BYTES: usize = 256;
const MAX_KEY_BYTES: usize = SLOT_BYTES - 2;
/// Bytes that are read: more slots than a process ever takes.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// The slots of a process.
#[derive(Clone)]
pub struct CrashSuspects {
    shared: Arc<Shared>,
}

struct Shared {
    /// None if there is no way to have one.
    file: Option<File>,
    free: Mutex<Free>,
    /// The file could not be written the last time; told once.
    failing: AtomicBool,
}

impl Shared {
    fn write(&self, bytes: &[u8], index: u64) {
        let Some(file) = &self.file else { return };
        match file.write_all_at(bytes, index * SLOT_BYTES as u64) {
            Ok(()) if self.failing.swap(false, Ordering::Relaxed) => tracing::info!("the in-flight file can be written again"),
            Err(error) if !self.failing.swap(true, Ordering::Relaxed) => {
                tracing::warn!(%error, "cannot note which runs are in flight: should one kill the process, nobody will know which");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

#[derive(Default)]
struct Free {
    slots: Vec<u64>,
    next: u64,
}

/// A taken slot; dropping it frees it.
pub struct Slot {
    shared: Arc<Shared>,
    index: u64,
}

impl CrashSuspects {
    /// Opens the file and answers the keys that a process before this one left in it. What cannot be one is left out; a file that cannot be
    /// read or written is told and done without.
    #[must_use]
    pub fn open(path: &Path) -> (Self, Vec<String>) {
        let left = left_in(path).unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), %error, "the in-flight file cannot be read: a run that killed the process before this one is not known");
            Vec::new()
        });
        let opened = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path);
        let file = opened.inspect_err(|error| {
            tracing::warn!(
                path = %path.display(),
                %error,
                "the in-flight file cannot be written: should a run kill this process, nobody will know which; remove what is there and start again"
            );
        });
        (Self { shared: Arc::new(Shared { file: file.ok(), free: Mutex::default(), failing: AtomicBool::new(false) }) }, left)
    }

    /// Notes that the run `key` enters its component.
    #[must_use]
    pub fn enter(&self, key: &str) -> Slot {
        let index = {
            let mut free = self.shared.free.lock();
            free.slots.pop().unwrap_or_else(|| {
                free.next += 1;
                free.next - 1
            })
        };
        let key = &key.as_bytes()[..key.len().min(MAX_KEY_BYTES)];
        let mut bytes = [0; SLOT_BYTES];
        bytes[..2].copy_from_slice(&u16::try_from(key.len()).unwrap_or(0).to_le_bytes());
        bytes[2..2 + key.len()].copy_from_slice(key);
        self.shared.write(&bytes, index);
        Slot { shared: Arc::clone(&self.shared), index }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.write(&[0, 0], self.index);
        self.shared.free.lock().slots.push(self.index);
    }
}

fn left_in(path: &Path) -> io::Result<Vec<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes.chunks_exact(SLOT_BYTES).filter_map(key_in).collect())
}

fn key_in(slot: &[u8]) -> Option<String> {
    let length = usize::from(u16::from_le_bytes([slot[0], slot[1]]));
    if length == 0 || length > MAX_KEY_BYTES {
        return None;
    }
    String::from_utf8(slot[2..2 + length].to_vec()).ok().filter(|key| !key.contains(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_died_leaves_the_keys_it_was_running_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in-flight");
        let (log, left) = CrashSuspects::open(&path);
        assert!(left.is_empty());
        let ended = log.enter("a:step:1");
        let running = log.enter("b:step:1");
        drop(ended);
        let reused = log.enter("c:step:2");
        std::mem::forget(running);
        std::mem::forget(reused);
        let (_, mut left) = CrashSuspects::open(&path);
        left.sort();
        assert_eq!(left, ["b:step:1", "c:step:2"]);
        let (_, left) = CrashSuspects::open(&path);
        assert!(left.is_empty(), "suspects are reported once");
    }

    #[test]
    fn a_torn_file_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in-flight");
        std::fs::write(&path, [0xff; 300]).unwrap();
        let (_, left) = CrashSuspects::open(&path);
        assert!(left.is_empty());
    }
}
