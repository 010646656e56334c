//! Attempts that failed, as they were, kept for a time so that they can be made again.
//!
//! They are kept by the process, bounded in number and bytes, and end with it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use crate::runtime::Recording;
use crate::store::StepRun;

/// Attempts that are kept, and bytes of all of them.
const MOST: usize = 500;
const MOST_BYTES: usize = 16 << 20;
/// One that takes more is not kept.
const LARGEST: usize = 1 << 20;
/// How long one is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// An attempt as it was.
#[derive(Debug)]
pub struct Recorded {
    /// Key of its run.
    pub run: String,
    /// Name of the component.
    pub component: String,
    /// Kind of the resource.
    pub kind: String,
    /// When it ended.
    pub at: Timestamp,
    /// How long it took, waiting for a place included.
    pub took: Duration,
    /// What it was.
    pub recording: Recording,
}

/// The attempts that are kept.
#[derive(Default)]
pub struct Recordings {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The newest last.
    attempts: VecDeque<Arc<Recorded>>,
    bytes: usize,
}

impl Kept {
    fn forget(&mut self, now: Timestamp, room: usize) {
        let is_old = |one: &Recorded| now.duration_since(one.at) > KEPT;
        while let Some(oldest) = self.attempts.front() {
            let fits = self.attempts.len() <= MOST && self.bytes.saturating_add(room) <= MOST_BYTES;
            if fits && !is_old(oldest) {
                return;
            }
            self.bytes = self.bytes.saturating_sub(oldest.recording.bytes());
            self.attempts.pop_front();
        }
    }
}

impl Recordings {
    /// Keeps an attempt at a run.
    pub(super) fn keep(&self, run: &StepRun, recording: Recording, (took, now): (Duration, Timestamp)) {
        let bytes = recording.bytes();
        if bytes > LARGEST {
            return;
        }
        let (component, kind) = (run.component.clone(), run.resource_kind.clone());
        let recorded = Recorded { run: run.key.clone(), component, kind, at: now, took, recording };
        let mut kept = self.kept.lock();
        kept.attempts.push_back(Arc::new(recorded));
        kept.forget(now, bytes);
        kept.bytes += bytes;
    }

    /// The attempts of an instance that are kept, the oldest first.
    #[must_use]
    pub fn of_instance(&self, kind: &str, id: &str, now: Timestamp) -> Vec<Arc<Recorded>> {
        let mut kept = self.kept.lock();
        kept.forget(now, 0);
        kept.attempts.iter().filter(|one| one.kind == kind && one.recording.instance() == id).cloned().collect()
    }

    /// Forgets those of instances of a kind that are gone.
    pub fn forget(&self, kind: &str, instances: &[(String, u64)]) {
        let mut kept = self.kept.lock();
        let Kept { attempts, bytes } = &mut *kept;
        attempts.retain(|one| {
            let stays = one.kind != kind || instances.iter().all(|(id, _)| id != one.recording.instance());
            *bytes = if stays { *bytes } else { bytes.saturating_sub(one.recording.bytes()) };
            stays
        });
    }

    /// The attempts that are kept, the newest first: those of one component, or all.
    #[must_use]
    pub fn of(&self, component: Option<&str>, now: Timestamp) -> Vec<Arc<Recorded>> {
        let mut kept = self.kept.lock();
        kept.forget(now, 0);
        kept.attempts.iter().rev().filter(|one| component.is_none_or(|name| one.component == name)).cloned().collect()
    }
}
