//! Finished instances that are old go from the database into files: a line of JSON each, a file for each day on which they went.
//!
//! Lines are on the disk before their rows go. So a process that ends in between writes a line once more, and none is ever missing: of
//! lines with one id the last counts. What cannot be written stays in the database.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde::Serialize;

use super::archive_place::ArchivePlace;
use crate::clock::Clock;
use crate::durable;
use crate::plan::{self, Plan};
use crate::services::engine::Recordings;
use crate::services::engine::draws::DRAWN;
use crate::store::{HistoryRow, KvEntry, Object, Operations, Resource, Resources, Search, StoreError, Wanted};
use crate::telemetry::Metrics;

/// Instances that are read, written and removed together, at most.
const BATCH: usize = 100;
/// Bytes of lines after which they are written, however many instances that is.
const BATCH_BYTES: usize = 4 << 20;
/// Rows of history that are read at once.
const HISTORY_PAGE: usize = 500;

/// What is written of an instance.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    archived_at: Timestamp,
    kind: &'a str,
    id: &'a str,
    owner: Option<&'a str>,
    workflow: Option<&'a str>,
    /// Digest of the definition that it went by.
    definition: Option<&'a str>,
    state: &'a str,
    version: u64,
    created_at: Timestamp,
    last_update: Timestamp,
    data: &'a Object,
    history: &'a [HistoryRow],
    /// What components kept about it.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    state_of_components: &'a [KvEntry],
}

/// Keeps the archive of a store. Clones share it.
#[derive(Clone)]
pub struct Archive {
    inner: Arc<Inner>,
}

struct Inner {
    resources: Arc<dyn Resources>,
    operations: Arc<dyn Operations>,
    clock: Clock,
    metrics: Metrics,
    kinds: Vec<Kind>,
    settings: plan::Archive,
    place: ArchivePlace,
    /// Attempts of instances, which go with them.
    recordings: Arc<Recordings>,
    /// Whether all that draws from another resource is found by that.
    by_keys: Arc<AtomicBool>,
    problem: Mutex<Option<String>>,
}

/// Instances of one kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    name: String,
    /// The kind that they draw from, and the field with the id of what that is.
    draws: Option<(String, String)>,
    /// Kinds that draw from these.
    drawn_by: Vec<String>,
}

/// Lines that are not written yet, and what they are about.
#[derive(Default)]
struct Batch {
    lines: Vec<u8>,
    instances: Vec<(String, u64)>,
}

impl Archive {
    /// As the plan says; `None` if finished instances stay.
    #[must_use]
    pub fn new(
        plan: &Plan,
        resources: Arc<dyn Resources>,
        operations: Arc<dyn Operations>,
        (recordings, clock, metrics): (Arc<Recordings>, Clock, Metrics),
        by_keys: Arc<AtomicBool>,
    ) -> Option<Self> {
        let database = plan.database.as_ref()?;
        let settings = database.retention.instances.clone()?;
        let place = ArchivePlace::new(&settings.folder, &database.path);
        let moved = plan.resources.iter().filter(|handler| handler.workflow.is_some());
        let draws = |handler: &plan::ResourceHandler| handler.draws.as_ref().map(|draws| (draws.from.clone(), draws.by.clone()));
        let drawn_by = |kind: &str| {
            let draw = |other: &&plan::ResourceHandler| other.draws.as_ref().is_some_and(|draws| draws.from == kind);
            plan.resources.iter().filter(draw).map(|other| other.kind.clone()).collect()
        };
        let kind =
            |handler: &plan::ResourceHandler| Kind { name: handler.kind.clone(), draws: draws(handler), drawn_by: drawn_by(&handler.kind) };
        let mut kinds: Vec<Kind> = moved.map(kind).collect();
        // What is drawn from goes before what draws from it.
        kinds.sort_by_key(|kind| (kind.draws.is_some(), kind.name.clone()));
        kinds.dedup();
        let inner = Inner { resources, operations, recordings, clock, metrics, kinds, settings, place, by_keys, problem: Mutex::default() };
        Some(Self { inner: Arc::new(inner) })
    }

    /// How it is kept.
    #[must_use]
    pub fn settings(&self) -> &plan::Archive {
        &self.inner.settings
    }

    /// Why nothing can be archived, as far as was seen at the last attempt.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.inner.problem.lock().clone()
    }

    /// Archives what is old. That the files cannot be written is told by [`Archive::problem`]; nothing is removed then. Returns how many went.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn pass(&self) -> Result<u64, StoreError> {
        let after = SignedDuration::try_from(self.inner.settings.after).unwrap_or(SignedDuration::MAX);
        // Nothing is older than time itself.
        let Ok(before) = self.inner.clock.steady().checked_sub(after) else { return Ok(0) };
        let mut gone = 0;
        for kind in &self.inner.kinds {
            gone += self.pass_kind(kind, before).await?;
        }
        Ok(gone)
    }

    async fn pass_kind(&self, kind: &Kind, before: Timestamp) -> Result<u64, StoreError> {
        let Kind { name: kind, draws, drawn_by } = kind;
        let (mut gone, mut seen) = (0, None);
        loop {
            let found = self.inner.operations.finished(kind, before, seen, BATCH).await?;
            let Some(last) = found.last() else { return Ok(gone) };
            seen = Some((last.created_at, last.id.clone()));
            let mut batch = Batch::default();
            for resource in &found {
                if self.is_counted(resource, draws.as_ref()).await? || self.is_drawn_from(resource, drawn_by).await? {
                    continue;
                }
                self.add(&mut batch, resource).await?;
                if batch.lines.len() >= BATCH_BYTES {
                    let Some(went) = self.put_away(kind, std::mem::take(&mut batch)).await? else { return Ok(gone) };
                    gone += went;
                }
            }
            let Some(went) = self.put_away(kind, batch).await? else { return Ok(gone) };
            gone += went;
        }
    }

    /// Whether what it draws from is still here: as long as that is, all that was drawn of it has to be known.
    async fn is_counted(&self, resource: &Resource, draws: Option<&(String, String)>) -> Result<bool, StoreError> {
        let Some((from, by)) = draws else { return Ok(false) };
        let Some(id) = resource.data.get(by).and_then(serde_json::Value::as_str) else { return Ok(false) };
        Ok(self.inner.resources.resource(from, id).await?.is_some())
    }

    /// Whether something that draws from it has not ended: it may have to look at it yet, and what becomes of it belongs to it.
    async fn is_drawn_from(&self, resource: &Resource, drawn_by: &[String]) -> Result<bool, StoreError> {
        if !drawn_by.is_empty() && !self.inner.by_keys.load(Ordering::Acquire) {
            return Ok(true);
        }
        for kind in drawn_by {
            let keys = vec![Wanted::Text { name: DRAWN.to_owned(), is: resource.id.clone() }];
            let mut search = Search { kind: kind.clone(), keys, limit: BATCH, ..Search::default() };
            loop {
                let found = self.inner.resources.find(&search).await?;
                if found.resources.iter().any(|one| one.workflow.as_ref().is_some_and(|progress| !progress.finished)) {
                    return Ok(true);
                }
                let Some(next) = found.next else { break };
                search.after = Some(next);
            }
        }
        Ok(false)
    }

    async fn add(&self, batch: &mut Batch, resource: &Resource) -> Result<(), StoreError> {
        let (mut history, mut seen) = (Vec::new(), 0);
        loop {
            let page = self.inner.resources.history(&resource.kind, &resource.id, seen, HISTORY_PAGE).await?;
            let Some(last) = page.last() else { break };
            seen = last.seq;
            history.extend(page);
        }
        let kept = self.inner.resources.kv_entries(&resource.kind, &resource.id).await?;
        let progress = resource.workflow.as_ref();
        let line = Line {
            archived_at: self.inner.clock.now(),
            kind: &resource.kind,
            id: &resource.id,
            owner: resource.owner.as_deref(),
            workflow: progress.map(|progress| progress.workflow.as_str()),
            definition: progress.map(|progress| progress.machine.as_str()),
            state: &resource.state,
            version: resource.version,
            created_at: resource.created_at,
            last_update: resource.updated_at,
            data: &resource.data,
            history: &history,
            state_of_components: &kept,
        };
        let line = serde_json::to_vec(&line).map_err(|error| StoreError::Unavailable(format!("data is no JSON: {error}")))?;
        batch.lines.extend(line);
        batch.lines.push(b'\n');
        batch.instances.push((resource.id.clone(), resource.version));
        Ok(())
    }

    /// Writes the lines and removes the rows; `None` if the lines cannot be written.
    async fn put_away(&self, kind: &str, batch: Batch) -> Result<Option<u64>, StoreError> {
        if batch.instances.is_empty() {
            return Ok(Some(0));
        }
        let path = self.file();
        let written = tokio::task::spawn_blocking({
            let (path, place) = (path.clone(), self.inner.place.clone());
            move || place.open().and_then(|()| durable::append(&path, &batch.lines))
        });
        let written = written.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        self.note(&path, written.as_ref().err());
        match written {
            Ok(()) => {
                let gone = self.inner.operations.forget_finished(kind, &batch.instances).await?;
                self.inner.recordings.forget(kind, &batch.instances);
                Ok(Some(gone))
            }
            Err(_) => Ok(None),
        }
    }

    /// The file of today.
    fn file(&self) -> PathBuf {
        let today = self.inner.clock.now().to_zoned(TimeZone::UTC).date();
        self.inner.settings.folder.join(format!("instances-{today}.jsonl"))
    }

    fn note(&self, path: &Path, error: Option<&std::io::Error>) {
        let mut problem = self.inner.problem.lock();
        let Some(error) = error else {
            if problem.take().is_some() {
                tracing::info!(path = %path.display(), "finished instances are archived again");
            }
            return;
        };
        self.inner.metrics.archive_failed();
        let now = format!("finished instances cannot be written to '{}' and stay in the database: {error}", path.display());
        if problem.as_ref() != Some(&now) {
            tracing::error!(path = %path.display(), %error, "finished instances cannot be archived, and stay in the database");
        }
        *problem = Some(now);
    }
}
