//! Notices that the file of a component changed, and has it looked at.
//!
//! The folders are watched, not the files, so that a file which is replaced by a rename is seen. A folder that is not there yet, or is
//! made anew, is found by looking again every second; the same look finds changes that no notification told of.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures::future::join_all;
use notify::{RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, NoCache, new_debouncer_opt};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::components::Runtime;
use super::source::Stamp;
use crate::shutdown::Stop;

/// Changes within this time are one.
const DEBOUNCE: Duration = Duration::from_millis(40);
/// How often the debouncer looks at its clock.
const DEBOUNCE_TICK: Duration = Duration::from_millis(10);
/// How often folders and files are looked at without a notification.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Runtime {
    /// Watches the files of all components until `stop`, and swaps what changed.
    ///
    /// # Errors
    /// The system gives no file notifications at all.
    pub async fn watch(self: Arc<Self>, stop: Stop) -> anyhow::Result<()> {
        let changed = Arc::new(Changed::default());
        let mut watching = Watching::start(&self, Arc::clone(&changed))?;
        let mut again = tokio::time::interval(LOOK_AGAIN);
        again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.requested() => return Ok(()),
                () = changed.wake.notified() => {}
                _ = again.tick() => watching.look_again(&changed),
            }
            let paths = changed.take();
            let slots = self.slots().filter_map(|slot| Some((slot, *paths.get(&slot.settings.source)?)));
            let taking = join_all(slots.map(async |(slot, noticed)| (&slot.settings.source, self.take_file(slot, noticed).await)));
            tokio::select! {
                () = stop.requested() => return Ok(()),
                taken = taking => taken.into_iter().filter(|(_, done)| !done).for_each(|(source, _)| watching.forget(source)),
            }
        }
    }
}

/// Files that changed since they were looked at, each with when that was noticed first. However often a file changes, it is one entry.
#[derive(Default)]
struct Changed {
    paths: Mutex<BTreeMap<PathBuf, Instant>>,
    wake: Notify,
}

impl Changed {
    fn mark(&self, path: &Path, noticed: Instant) {
        self.paths.lock().entry(path.to_owned()).or_insert(noticed);
        self.wake.notify_one();
    }

    fn take(&self) -> BTreeMap<PathBuf, Instant> {
        std::mem::take(&mut self.paths.lock())
    }
}

/// The folders that are watched.
struct Watching {
    debouncer: Debouncer<RecommendedWatcher, NoCache>,
    /// Files, each with what it looked like last; none while it is not there.
    files: BTreeMap<PathBuf, Option<Stamp>>,
    /// Folders, each with what tells it from another of the same name; none while it is not watched.
    folders: BTreeMap<PathBuf, Option<(u64, u64)>>,
}

impl Watching {
    fn start(runtime: &Runtime, changed: Arc<Changed>) -> anyhow::Result<Self> {
        let sources: BTreeSet<PathBuf> = runtime.slots().map(|slot| slot.settings.source.clone()).collect();
        let folders = sources.iter().filter_map(|source| Some((source.parent()?.to_owned(), None))).collect();
        // Not looked at yet: a change between the start and now is found by the first look.
        let files = sources.iter().map(|source| (source.clone(), None)).collect();
        let told = move |result: DebounceEventResult| match result {
            Ok(events) => {
                for event in events {
                    event.paths.iter().filter(|path| sources.contains(*path)).for_each(|path| changed.mark(path, event.time));
                }
            }
            Err(errors) => errors.iter().for_each(|error| tracing::warn!(%error, "watching component files")),
        };
        let debouncer = new_debouncer_opt(DEBOUNCE, Some(DEBOUNCE_TICK), told, NoCache::new(), notify::Config::default())
            .context("the files of components cannot be watched")?;
        Ok(Self { debouncer, files, folders })
    }

    /// Has this file marked at the next look, as if it had changed.
    fn forget(&mut self, file: &Path) {
        self.files.insert(file.to_owned(), None);
    }

    /// Watches folders that are new, and marks files that changed unnoticed.
    fn look_again(&mut self, changed: &Changed) {
        for (folder, watched) in &mut self.folders {
            let there = std::fs::metadata(folder).ok().map(|metadata| (metadata.dev(), metadata.ino()));
            if there == *watched {
                continue;
            }
            if watched.is_some() {
                // It is gone, and its watch with it.
                let _ = self.debouncer.unwatch(folder.as_path());
            }
            *watched = there.filter(|_| match self.debouncer.watch(folder.as_path(), RecursiveMode::NonRecursive) {
                Ok(()) => true,
                Err(error) => {
                    tracing::warn!(folder = %folder.display(), %error, "a folder of components cannot be watched: it is looked at every second");
                    false
                }
            });
        }
        for (file, seen) in &mut self.files {
            let now = Stamp::of(file);
            if now != *seen {
                *seen = now;
                changed.mark(file, Instant::now());
            }
        }
    }
}
