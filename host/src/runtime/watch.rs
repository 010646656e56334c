//! Notices that the file of a component changed, and has it looked at.
//!
//! The folders are watched, not the files, so that a file which is replaced by a rename is seen. A folder that is not there yet, or is
//! made anew, is found by looking again every second; the same look finds changes that no notification told of: behind a link, on a
//! network file system, or where the system has no notifications left to give.
//!
//! Components are taken beside each other: one whose registry is slow, or that is compiled for long, keeps no other waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, NoCache, new_debouncer_opt};
use parking_lot::Mutex;
use rustix::io::Errno;
use tokio::sync::Notify;

use super::components::Runtime;
use super::settings::Source;
use super::signature::SIGNATURE_ENDING;
use super::slot::Slot;
use super::source::Stamp;
use crate::durable::beside;
use crate::shutdown::Stop;

/// Changes within this time are one.
const DEBOUNCE: Duration = Duration::from_millis(40);
/// How often the debouncer looks at its clock.
const DEBOUNCE_TICK: Duration = Duration::from_millis(10);
/// How often folders and files are looked at without a notification.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Until a file that may be good and could not be taken is looked at again. The pause doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often the system is asked for notifications again after it had none.
const ASK_AGAIN: Duration = Duration::from_secs(60);
/// Somebody has written a file and closed it.
const AFTER_WRITING: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));

impl Runtime {
    /// Watches the files of all components until `stop`, and swaps what changed.
    ///
    /// # Errors
    /// None: without notifications of the system the files are looked at every second.
    pub async fn watch(self: Arc<Self>, stop: Stop) -> anyhow::Result<()> {
        let changed = Arc::new(Changed::default());
        let mut watching = Watching::start(&self, Arc::clone(&changed));
        let mut takings = Takings::default();
        let mut again = tokio::time::interval(LOOK_AGAIN);
        again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.requested() => return Ok(()),
                () = changed.wake.notified() => {}
                // What the folders of others are is seen by watching these anew.
                () = self.exchanged() => watching = Watching::start(&self, Arc::clone(&changed)),
                _ = again.tick() => watching.look_again(),
                Some((slot, done)) = takings.running.next() => {
                    watching.took(&slot, done);
                    takings.ended(&self, slot);
                }
            }
            watching.look_at_files();
            let (sources, due) = (changed.take(), watching.due());
            if sources.is_empty() && due.is_empty() {
                continue;
            }
            for slot in self.slots() {
                let again = due.contains(&slot.settings.name).then(Instant::now);
                if let Some(noticed) = sources.get(&slot.settings.source).copied().or(again) {
                    takings.begin(&self, slot, noticed);
                }
            }
        }
    }
}

/// Components whose files are being taken.
#[derive(Default)]
struct Takings {
    /// Each ends with whether it is done, see [`Runtime::take_file`].
    running: FuturesUnordered<BoxFuture<'static, (Arc<Slot>, bool)>>,
    /// Those that run, each with when a change was noticed since, if one was: however many there are, one more look finds them.
    busy: Vec<(Arc<Slot>, Option<Instant>)>,
}

impl Takings {
    fn begin(&mut self, runtime: &Arc<Runtime>, slot: Arc<Slot>, noticed: Instant) {
        if let Some((_, again)) = self.busy.iter_mut().find(|(busy, _)| Arc::ptr_eq(busy, &slot)) {
            again.get_or_insert(noticed);
            return;
        }
        self.busy.push((Arc::clone(&slot), None));
        let runtime = Arc::clone(runtime);
        let taking = async move {
            let done = runtime.take_file(&slot, noticed).await;
            (slot, done)
        };
        self.running.push(taking.boxed());
    }

    fn ended(&mut self, runtime: &Arc<Runtime>, slot: Arc<Slot>) {
        let Some(at) = self.busy.iter().position(|(busy, _)| Arc::ptr_eq(busy, &slot)) else { return };
        if let (_, Some(noticed)) = self.busy.swap_remove(at) {
            self.begin(runtime, slot, noticed);
        }
    }
}

/// Files that changed since they were looked at, each with when that was noticed first. However often a file changes, it is one entry.
#[derive(Default)]
struct Changed {
    sources: Mutex<BTreeMap<Source, Instant>>,
    wake: Notify,
}

impl Changed {
    fn mark(&self, source: &Source, noticed: Instant) {
        self.sources.lock().entry(source.clone()).or_insert(noticed);
    }

    /// Something in a folder has changed. What is no component may still be a link that a component is behind: then its file is looked at.
    /// The same for what came along with one.
    fn noticed(&self, path: &Path, sources: &BTreeSet<Source>, noticed: Instant) {
        let source = Source::File(path.to_owned());
        if sources.contains(&source) {
            self.mark(&source, noticed);
        }
        self.wake.notify_one();
    }

    fn take(&self) -> BTreeMap<Source, Instant> {
        std::mem::take(&mut self.sources.lock())
    }
}

type Notifications = Debouncer<RecommendedWatcher, NoCache>;

/// The folders that are watched.
struct Watching {
    changed: Arc<Changed>,
    /// None where the system gives none.
    notifications: Option<Notifications>,
    /// When the system was asked for notifications last.
    asked: Instant,
    /// Where components come from, each with what its files looked like last.
    files: BTreeMap<Source, Stamps>,
    /// Components whose files could not be taken, by name: two may have one file, and one of them may have taken it.
    later: BTreeMap<String, Later>,
    folders: BTreeMap<PathBuf, Folder>,
}

/// What a component's file and that of its signature look like; none while they are not there, and of what comes from a registry.
type Stamps = [Option<Stamp>; 2];

fn stamps(source: &Source) -> Stamps {
    source.file().map(|file| [Stamp::of(file), Stamp::of(&beside(file, SIGNATURE_ENDING))]).unwrap_or_default()
}

/// When a file is looked at again though it has not changed.
struct Later {
    /// None while it is looked at.
    due: Option<Instant>,
    pause: Duration,
}

/// A folder with components.
#[derive(Default)]
struct Folder {
    /// What tells it from another of the same name; none while it is not watched.
    watched: Option<(u64, u64)>,
    /// It was told that it cannot be watched.
    told: bool,
}

impl Watching {
    fn start(runtime: &Runtime, changed: Arc<Changed>) -> Self {
        let slots = runtime.slots();
        let sources: BTreeSet<Source> = slots.iter().map(|slot| slot.settings.source.clone()).collect();
        let folders = sources.iter().filter_map(|source| Some((source.file()?.parent()?.to_owned(), Folder::default()))).collect();
        // Not looked at yet: a change between the start and now is found by the first look.
        let files = sources.into_iter().map(|source| (source, Stamps::default())).collect();
        // What a registry did not give is asked for again; nothing else about it changes.
        let awaited = slots.iter().filter(|slot| slot.settings.source.file().is_none() && slot.is_open());
        let due = || Later { due: Some(Instant::now() + FIRST_PAUSE), pause: FIRST_PAUSE };
        let later = awaited.map(|slot| (slot.settings.name.clone(), due())).collect();
        let mut watching = Self { changed, notifications: None, asked: Instant::now(), files, later, folders };
        watching.notifications = watching
            .ask_for_notifications()
            .inspect_err(|error| {
                let why = why_none(error);
                tracing::warn!(
                    %error,
                    "the system gives no notifications of changed files, {why}: component files are looked at every second instead"
                );
            })
            .ok();
        watching
    }

    fn ask_for_notifications(&self) -> notify::Result<Notifications> {
        let (changed, sources) = (Arc::clone(&self.changed), self.files.keys().cloned().collect::<BTreeSet<Source>>());
        let told = move |result: DebounceEventResult| match result {
            Ok(events) => {
                // Opening and reading is no change, and we do it ourselves.
                let changes = events.iter().filter(|event| !event.kind.is_access() || event.kind == AFTER_WRITING);
                changes.for_each(|event| event.paths.iter().for_each(|path| changed.noticed(path, &sources, event.time)));
            }
            Err(errors) => errors.iter().for_each(|error| tracing::warn!(%error, "watching component files")),
        };
        new_debouncer_opt(DEBOUNCE, Some(DEBOUNCE_TICK), told, NoCache::new(), notify::Config::default())
    }

    /// Has the file of a component that was not taken looked at after a pause, as if it had changed.
    fn took(&mut self, slot: &Slot, done: bool) {
        let before = self.later.remove(&slot.settings.name);
        // Another config may not have it any more.
        if !done && self.files.contains_key(&slot.settings.source) {
            let pause = before.map_or(FIRST_PAUSE, |before| before.pause.saturating_mul(2).min(LONGEST_PAUSE));
            self.later.insert(slot.settings.name.clone(), Later { due: Some(Instant::now() + pause), pause });
        }
    }

    /// The components whose pause is over. Each has a new one when the look that begins now has ended.
    fn due(&mut self) -> BTreeSet<String> {
        let now = Instant::now();
        let over = |later: &mut Later| later.due.take_if(|due| *due <= now).is_some();
        self.later.iter_mut().filter_map(|(component, later)| over(later).then(|| component.clone())).collect()
    }

    /// Watches folders that are new, where the system can.
    fn look_again(&mut self) {
        if self.notifications.is_none() && self.asked.elapsed() >= ASK_AGAIN {
            self.asked = Instant::now();
            self.notifications = self.ask_for_notifications().ok();
        }
        let Some(notifications) = &mut self.notifications else { return };
        for (path, folder) in &mut self.folders {
            let there = std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
            if there == folder.watched {
                continue;
            }
            if folder.watched.is_some() {
                // It is gone, and its watch with it.
                let _ = notifications.unwatch(path.as_path());
            }
            folder.watched = there.filter(|_| folder.watch(path, notifications));
        }
    }

    /// Marks files that changed unnoticed.
    fn look_at_files(&mut self) {
        for (source, seen) in &mut self.files {
            let now = stamps(source);
            if now != *seen {
                *seen = now;
                self.changed.mark(source, Instant::now());
            }
        }
    }
}

impl Folder {
    /// Whether it can be watched. That it cannot is told once.
    fn watch(&mut self, path: &Path, notifications: &mut Notifications) -> bool {
        let Err(error) = notifications.watch(path, RecursiveMode::NonRecursive) else {
            if std::mem::take(&mut self.told) {
                tracing::info!(folder = %path.display(), "a folder of components is watched again");
            }
            return true;
        };
        if !std::mem::replace(&mut self.told, true) {
            let why = match error.kind {
                notify::ErrorKind::MaxFilesWatch => format!("{} are used up", limit("max_user_watches")),
                _ => error.to_string(),
            };
            tracing::warn!(folder = %path.display(), "a folder of components cannot be watched, {why}: its files are looked at every second instead");
        }
        false
    }
}

/// Why there are no notifications at all, as far as it is known.
fn why_none(error: &notify::Error) -> String {
    let code = match &error.kind {
        notify::ErrorKind::Io(error) => error.raw_os_error().map(Errno::from_raw_os_error),
        _ => None,
    };
    match code {
        Some(Errno::AGAIN) => {
            "and no thread can be started for them: the user or the container may have no more (`ulimit -u`, TasksMax=, pids.max)"
                .to_owned()
        }
        Some(Errno::MFILE | Errno::NFILE | Errno::NOSPC) => {
            format!("{} or the open files of this process are used up", limit("max_user_instances"))
        }
        _ => error.to_string(),
    }
}

/// One of the system's limits of notifications, with its value and how to raise it.
fn limit(name: &str) -> String {
    let value = std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}"));
    let value = value.map_or_else(|_| "unknown".to_owned(), |value| value.trim().to_owned());
    format!("the user's fs.inotify.{name} (now {value}; `sysctl fs.inotify.{name}=...` raises it)")
}
