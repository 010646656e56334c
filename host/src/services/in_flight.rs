//! Which runs are inside a component right now, on disk, so that the next process knows what killed this one.
//!
//! Each run that enters a component takes a slot and writes its key there with a plain write: a killed process keeps its
//! page cache, and a lost disk is not the component's fault. At start the keys found are the suspects. This is what
//! lets a run be claimed in the commit that creates it: a claim alone proves nothing about a crash.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

/// Bytes of one slot: a length byte pair and the key.
const SLOT_BYTES: usize = 256;
const MAX_KEY_BYTES: usize = SLOT_BYTES - 2;

/// The slots of a process.
#[derive(Clone)]
pub struct InFlight {
    shared: Arc<Shared>,
}

struct Shared {
    file: File,
    free: Mutex<Free>,
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

impl InFlight {
    /// Opens the file and answers the keys that a process before this one left in it.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn open(path: &Path) -> io::Result<(Self, Vec<String>)> {
        let left = match std::fs::read(path) {
            Ok(bytes) => bytes.chunks_exact(SLOT_BYTES).filter_map(key_in).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
        Ok((Self { shared: Arc::new(Shared { file, free: Mutex::default() }) }, left))
    }

    /// Notes that the run `key` enters its component.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn enter(&self, key: &str) -> io::Result<Slot> {
        let index = {
            let mut free = self.shared.free.lock();
            free.slots.pop().unwrap_or_else(|| {
                free.next += 1;
                free.next - 1
            })
        };
        let slot = Slot { shared: Arc::clone(&self.shared), index };
        let key = &key.as_bytes()[..key.len().min(MAX_KEY_BYTES)];
        let mut bytes = [0; SLOT_BYTES];
        bytes[..2].copy_from_slice(&u16::try_from(key.len()).unwrap_or(0).to_le_bytes());
        bytes[2..2 + key.len()].copy_from_slice(key);
        self.shared.file.write_all_at(&bytes, index * SLOT_BYTES as u64)?;
        Ok(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Err(error) = self.shared.file.write_all_at(&[0, 0], self.index * SLOT_BYTES as u64) {
            tracing::warn!(%error, "cannot clear an in-flight slot: a crash now would count against a run that has ended");
        }
        self.shared.free.lock().slots.push(self.index);
    }
}

fn key_in(slot: &[u8]) -> Option<String> {
    let length = usize::from(u16::from_le_bytes([slot[0], slot[1]]));
    if length == 0 || length > MAX_KEY_BYTES {
        return None;
    }
    String::from_utf8(slot[2..2 + length].to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_died_leaves_the_keys_it_was_running_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in-flight");
        let (log, left) = InFlight::open(&path).unwrap();
        assert!(left.is_empty());
        let ended = log.enter("a:step:1").unwrap();
        let running = log.enter("b:step:1").unwrap();
        drop(ended);
        let reused = log.enter("c:step:2").unwrap();
        std::mem::forget(running);
        std::mem::forget(reused);
        let (_, mut left) = InFlight::open(&path).unwrap();
        left.sort();
        assert_eq!(left, ["b:step:1", "c:step:2"]);
        let (_, left) = InFlight::open(&path).unwrap();
        assert!(left.is_empty(), "suspects are reported once");
    }

    #[test]
    fn a_torn_file_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in-flight");
        std::fs::write(&path, [0xff; 300]).unwrap();
        let (_, left) = InFlight::open(&path).unwrap();
        assert!(left.is_empty());
    }
}
