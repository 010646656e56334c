//! The transitions of one resource as a stream: what happened, then what happens.

use std::collections::VecDeque;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};

use super::hub::Watcher;
use super::pipeline::Pipeline;
use super::resources::{Change, ChangeBody};
use crate::store::{HistoryRow, Resource, StoreError};

/// How often the store is read although nothing was heard.
const POLL: Duration = Duration::from_secs(10);

struct Following {
    pipeline: Pipeline,
    watcher: Watcher,
    kind: String,
    id: String,
    seen: u64,
    waiting: VecDeque<Change>,
    ended: bool,
}

/// The transitions after `after`; ends after the one that enters a final state, when the store fails, or at shutdown.
#[must_use]
pub fn stream(pipeline: Pipeline, kind: &str, id: &str, after: u64) -> BoxStream<'static, Change> {
    // Watching begins before the first read, so that nothing falls between the two.
    let watcher = pipeline.parts().hub.watch(kind, id);
    let following =
        Following { pipeline, watcher, kind: kind.to_owned(), id: id.to_owned(), seen: after, waiting: VecDeque::new(), ended: false };
    stream::unfold(following, |mut following| async move {
        let change = following.next().await?;
        Some((change, following))
    })
    .boxed()
}

impl Following {
    async fn next(&mut self) -> Option<Change> {
        loop {
            if let Some(change) = self.waiting.pop_front() {
                return Some(change);
            }
            if self.ended || self.pipeline.parts().stop.is_requested() {
                return None;
            }
            match self.read().await {
                Ok(()) if !self.waiting.is_empty() || self.ended => continue,
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(%error, "an event stream ends: the store cannot be read");
                    return None;
                }
            }
            tokio::select! {
                () = self.watcher.changed() => {}
                () = tokio::time::sleep(POLL) => {}
                () = self.pipeline.parts().stop.requested() => return None,
            }
        }
    }

    async fn read(&mut self) -> Result<(), StoreError> {
        let store = &self.pipeline.parts().store;
        let Some(resource) = store.resource(&self.kind, &self.id).await? else {
            self.ended = true;
            return Ok(());
        };
        let rows = store.history(&self.kind, &self.id, self.seen).await?;
        let finished = resource.workflow.as_ref().is_none_or(|progress| progress.finished);
        for row in rows {
            self.seen = row.seq;
            let last = finished && row.to == resource.state;
            self.waiting.push_back(self.change(&resource, &row, last));
        }
        self.ended = finished;
        Ok(())
    }

    fn change(&self, resource: &Resource, row: &HistoryRow, last: bool) -> Change {
        let body = ChangeBody {
            id: resource.id.clone(),
            state: row.to.clone(),
            version: resource.version,
            transition: row.clone(),
            data: self.pipeline.parts().events.public_data(resource),
        };
        Change { seq: row.seq, body: serde_json::to_value(body).unwrap_or_default(), last }
    }
}
