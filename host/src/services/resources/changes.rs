//! The transitions of one resource as a stream: what happened, then what happens.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};

use super::caller::Caller;
use super::standing::{Action, Standing, Standings};
use super::view::{Change, ChangeBody};
use crate::services::ServiceError;
use crate::services::engine::{ChangeNotifier, Events, Watcher};
use crate::shutdown::Stop;
use crate::store::{HistoryRow, Resource, Resources};

/// Transitions read at once: a stream whose client takes nothing holds these and no more.
const PAGE: usize = 32;
/// How often the store is read although nothing was heard.
const POLL: Duration = Duration::from_secs(10);

/// Follows resources. Clones share everything.
#[derive(Clone)]
pub(super) struct Changes {
    pub(super) store: Arc<dyn Resources>,
    pub(super) events: Arc<Events>,
    pub(super) standings: Standings,
    pub(super) change_notifier: ChangeNotifier,
    pub(super) stop: Stop,
}

struct Following {
    from: Changes,
    watcher: Watcher,
    kind: String,
    id: String,
    actions: Arc<[Action]>,
    caller: Caller,
    seen: u64,
    page: Page,
    ended: bool,
}

/// What was read and not yet taken.
#[derive(Default)]
struct Page {
    rows: VecDeque<HistoryRow>,
    /// As it was when they were read, and where it stood.
    resource: Option<(Resource, Standing)>,
}

impl Changes {
    /// The transitions after `after`, for a caller who may ask for some of `actions`; ends after the one that enters a final state, when the store
    /// fails, or at shutdown.
    pub(super) fn stream(
        &self,
        kind: &str,
        id: &str,
        after: u64,
        (actions, caller): (Arc<[Action]>, Caller),
    ) -> BoxStream<'static, Change> {
        // Watching begins before the first read, so that nothing falls between the two.
        let watcher = self.change_notifier.watch(kind, id);
        let (from, kind, id) = (self.clone(), kind.to_owned(), id.to_owned());
        let following = Following { from, watcher, kind, id, actions, caller, seen: after, page: Page::default(), ended: false };
        stream::unfold(following, |mut following| async move {
            let change = following.next().await?;
            Some((change, following))
        })
        .boxed()
    }
}

impl Following {
    async fn next(&mut self) -> Option<Change> {
        loop {
            if let Some(change) = self.taken() {
                return Some(change);
            }
            if self.ended || self.from.stop.is_requested() {
                return None;
            }
            match self.read().await {
                Ok(()) if !self.page.rows.is_empty() || self.ended => continue,
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(%error, "an event stream ends: the store cannot be read");
                    return None;
                }
            }
            tokio::select! {
                () = self.watcher.changed() => {}
                () = tokio::time::sleep(POLL) => {}
                () = self.from.stop.requested() => return None,
            }
        }
    }

    async fn read(&mut self) -> Result<(), ServiceError> {
        let store = &self.from.store;
        let Some(resource) = store.resource(&self.kind, &self.id).await? else {
            self.ended = true;
            return Ok(());
        };
        let rows = store.history(&self.kind, &self.id, self.seen, PAGE).await?;
        // No transition leaves a final state, so what is read after it was seen is all there will ever be.
        self.ended = is_finished(&resource) && rows.len() < PAGE;
        self.seen = rows.last().map_or(self.seen, |row| row.seq);
        let standing = if rows.is_empty() { None } else { self.from.standings.of(&resource, &self.actions, &self.caller).await? };
        self.page = Page { rows: rows.into(), resource: Some((resource, standing.unwrap_or_default())) };
        Ok(())
    }

    /// The next of the page; what it says of the resource is made only now.
    fn taken(&mut self) -> Option<Change> {
        let row = self.page.rows.pop_front()?;
        let (resource, standing) = self.page.resource.as_ref()?;
        // What was left again is no state that anything can be asked of, nor the end.
        let is_in_it = resource.workflow.as_ref().is_none_or(|progress| progress.instance.version == row.seq);
        let standing = if is_in_it { standing.clone() } else { Standing::default() };
        let body = ChangeBody {
            id: resource.id.clone(),
            state: row.to.clone(),
            is_final: standing.is_final,
            actions: standing.actions,
            version: resource.version,
            data: self.from.events.public_data(resource),
            transition: row,
        };
        Some(Change { seq: body.transition.seq, body })
    }
}

fn is_finished(resource: &Resource) -> bool {
    resource.workflow.as_ref().is_none_or(|progress| progress.finished)
}
