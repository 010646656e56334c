//! Which runs are inside a component right now, on disk, so that the next process knows what killed this one.
//!
//! Each run that enters a component takes a slot and writes its key there with a plain write: a killed process keeps its
//! page cache, and a lost disk is not the component's fault. At start the keys found are the suspects. This is what
//! lets a run be claimed in the commit that creates it: a claim alone proves nothing about a crash.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// Bytes of one slot: a length byte pair and the key.
const SLOT_BYTES: usize = 256;
const MAX_KEY_BYTES: usize = SLOT_BYTES - 2;
/// Bytes that are read: more slots than a process ever takes.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// Processes over one database that may keep their files in one folder.
const MAX_FILES: u32 = 64;

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
    /// read or written is told and done without. A process that lives has its file locked: another one beside it takes the next, with a number
    /// after its name, and all of them that are nobody's are read.
    #[must_use]
    pub fn open(path: &Path) -> (Self, Vec<String>) {
        let (mut file, mut left) = (None, Vec::new());
        for number in 1..=MAX_FILES {
            let path = numbered(path, number);
            // Those that were made are numbered without a gap: the first that is not there is the last that can be this process's.
            let is_there = path.exists();
            if !is_there && file.is_some() {
                break;
            }
            match taken(&path) {
                Ok(Some((opened, keys))) => {
                    left.extend(keys);
                    file.get_or_insert(opened);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(
                        path = %path.display(),
                        %error,
                        "the in-flight file cannot be read and written: what killed the process before this one is not known, nor will be what kills \
                         this one; remove what is there and start again"
                    );
                    break;
                }
            }
        }
        (Self { shared: Arc::new(Shared { file, free: Mutex::default(), failing: AtomicBool::new(false) }) }, left)
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

/// The name of the file of one of several processes; that of the first has no number.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    if number > 1 {
        name.push(format!(".{number}"));
    }
    name.into()
}

/// The file, locked and empty, and the keys that were in it; nothing if a process that lives has it.
fn taken(path: &Path) -> io::Result<Option<(File, Vec<String>)>> {
    let file = OpenOptions::new().create(true).read(true).write(true).truncate(false).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let mut bytes = Vec::new();
    (&file).take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    file.set_len(0)?;
    Ok(Some((file, bytes.chunks_exact(SLOT_BYTES).filter_map(key_in).collect())))
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
        let died = killed(log, [running, reused]);
        let (next, mut left) = CrashSuspects::open(&path);
        left.sort();
        assert_eq!(left, ["b:step:1", "c:step:2"]);
        drop((next, died));
        let (_, left) = CrashSuspects::open(&path);
        assert!(left.is_empty(), "suspects are reported once");
    }

    /// Ends a process as a kill does: its lock goes, and what it has written stays.
    fn killed<const N: usize>(log: CrashSuspects, slots: [Slot; N]) -> [Slot; N] {
        log.shared.file.as_ref().unwrap().unlock().unwrap();
        slots
    }

    #[test]
    fn processes_in_one_folder_have_a_file_each_and_whoever_starts_reads_what_is_nobodys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in-flight");
        let (first, _) = CrashSuspects::open(&path);
        let (second, left) = CrashSuspects::open(&path);
        assert!(left.is_empty());
        let (of_first, of_second) = (first.enter("a:step:1"), second.enter("b:step:1"));
        let died = killed(second, [of_second]);
        let (third, left) = CrashSuspects::open(&path);
        assert_eq!(left, ["b:step:1"], "the first one lives, and what it is at is no suspect");
        drop((of_first, died, third));
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
