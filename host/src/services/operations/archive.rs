//! Finished instances that are old go from the database into files: a line of JSON each, a file for each day on which they went.
//!
//! Lines are on the disk before their rows go. So a process that ends in between writes a line once more, and none is ever missing: of
//! lines with one id the last counts. What cannot be written stays in the database.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde::Serialize;

use crate::clock::Clock;
use crate::durable;
use crate::plan::{self, Plan};
use crate::store::{HistoryRow, Object, Operations, Resource, Resources, StoreError};
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
}

/// A kind of instances.
struct Kept {
    kind: String,
    /// The kind of what they draw from, and the field with its id.
    draws: Option<(String, String)>,
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
    kinds: Vec<Kept>,
    settings: plan::Archive,
    problem: Mutex<Option<String>>,
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
        clock: Clock,
        metrics: Metrics,
    ) -> Option<Self> {
        let settings = plan.database.as_ref()?.retention.instances.clone()?;
        let moved = plan.resources.iter().filter(|handler| handler.workflow.is_some());
        let draws = |handler: &plan::ResourceHandler| handler.draws.as_ref().map(|draws| (draws.from.clone(), draws.by.clone()));
        let mut kinds: Vec<Kept> = moved.map(|handler| Kept { kind: handler.kind.clone(), draws: draws(handler) }).collect();
        // What is drawn from goes first, then what has drawn from it.
        kinds.sort_by(|a, b| (a.draws.is_some(), &a.kind).cmp(&(b.draws.is_some(), &b.kind)));
        kinds.dedup_by(|a, b| a.kind == b.kind);
        let inner = Inner { resources, operations, clock, metrics, kinds, settings, problem: Mutex::default() };
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

    async fn pass_kind(&self, kept: &Kept, before: Timestamp) -> Result<u64, StoreError> {
        let kind = kept.kind.as_str();
        let (mut gone, mut seen) = (0, None);
        loop {
            let found = self.inner.operations.finished(kind, before, seen, BATCH).await?;
            let Some(last) = found.last() else { return Ok(gone) };
            seen = Some((last.created_at, last.id.clone()));
            let mut batch = Batch::default();
            for resource in &found {
                if self.is_counted(kept, resource).await? {
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

    /// Whether it has drawn from something that is still there. Whatever else is drawn from that is added to it, so it stays as well.
    async fn is_counted(&self, kept: &Kept, resource: &Resource) -> Result<bool, StoreError> {
        let Some((from, by)) = &kept.draws else { return Ok(false) };
        match resource.data.get(by).and_then(serde_json::Value::as_str) {
            Some(id) => Ok(self.inner.resources.resource(from, id).await?.is_some()),
            None => Ok(false),
        }
    }

    async fn add(&self, batch: &mut Batch, resource: &Resource) -> Result<(), StoreError> {
        let (mut history, mut seen) = (Vec::new(), 0);
        loop {
            let page = self.inner.resources.history(&resource.kind, &resource.id, seen, HISTORY_PAGE).await?;
            let Some(last) = page.last() else { break };
            seen = last.seq;
            history.extend(page);
        }
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
            let path = path.clone();
            move || write(&path, &batch.lines)
        });
        let written = written.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        self.note(&path, written.as_ref().err());
        match written {
            Ok(()) => self.inner.operations.forget_finished(kind, &batch.instances).await.map(Some),
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

fn write(path: &Path, lines: &[u8]) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), durable::make_folder)?;
    durable::append(path, lines)
}
