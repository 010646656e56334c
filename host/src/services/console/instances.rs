//! All instances of a process: found, counted, shown one by one.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::filter::Filter;
use super::instance;
use super::service::Console;
use super::view::{CountBody, InstanceBody, InstancePage, StateCount, row};
use crate::services::ServiceError;
use crate::services::engine::WorkflowCounts;
use crate::services::error::page_limit;
use crate::services::resources::view::{cursor_at, parse_cursor};
use crate::store::{Found, Sighted, Sought};

/// Entries of a page, unless somebody says otherwise, and at most.
const PAGE: (usize, usize) = (50, 200);
/// So far is counted.
const MOST_COUNTED: usize = 10_000;

impl Console {
    /// A page of the instances that `filter` finds.
    ///
    /// # Errors
    /// A filter, a limit or a cursor that is none.
    pub async fn list(&self, filter: &Filter, limit: Option<usize>, after: Option<&str>) -> Result<InstancePage, ServiceError> {
        let limit = page_limit(limit.unwrap_or(PAGE.0), PAGE.1)?;
        let after = after.map(parse_cursor).transpose()?;
        let Sighted { found, next } = self.find(filter, after, limit).await?;
        let next_cursor = next.map(|(at, id)| cursor_at(at, &id));
        Ok(InstancePage { items: found.into_iter().filter_map(row).collect(), next_cursor, states: self.states() })
    }

    /// How many instances `filter` finds; counted up to ten thousand of each kind, and only those that are looked at.
    ///
    /// # Errors
    /// A filter that is none.
    pub async fn count(&self, filter: &Filter) -> Result<CountBody, ServiceError> {
        let sought = filter.sought(self.parts.clock.now(), &self.parts.workflows, (None, MOST_COUNTED))?;
        let mut all = CountBody { count: 0, more: false };
        for kind in self.kinds(filter).await? {
            let (count, is_all) = self.parts.operations.count(&Sought { kind, ..sought.clone() }).await?;
            all.more |= !is_all;
            all.count += count;
        }
        Ok(all)
    }

    /// One instance with its course, and what happens next; its history before that number.
    ///
    /// # Errors
    /// It is not there.
    pub async fn show(&self, kind: &str, id: &str, before: Option<u64>) -> Result<InstanceBody, ServiceError> {
        let shown = instance::show(&self.parts, (kind, id), before.unwrap_or(u64::MAX)).await?;
        Ok(InstanceBody { attempts: self.attempts(kind, id), ..shown })
    }

    /// The newest that `filter` finds, after that one, `limit` at most: of each kind as far as it was looked at, and of all kinds as far as of each.
    pub(super) async fn find(&self, filter: &Filter, after: Option<(Timestamp, String)>, limit: usize) -> Result<Sighted, ServiceError> {
        let sought = filter.sought(self.parts.clock.now(), &self.parts.workflows, (after, limit))?;
        let (mut all, mut next) = (Vec::new(), None);
        for kind in self.kinds(filter).await? {
            let sighted = self.parts.operations.find(&Sought { kind, ..sought.clone() }).await?;
            all.extend(sighted.found);
            next = next.max(sighted.next);
        }
        all.sort_by_key(|found| Reverse(position(found)));
        // What comes after is not known of each kind.
        let known = next.as_ref().map_or(all.len(), |next| all.partition_point(|found| position(found) >= *next));
        all.truncate(known);
        if all.len() > limit {
            all.truncate(limit);
            next = all.last().map(position);
        }
        Ok(Sighted { found: all, next })
    }

    /// Kinds of which there may be instances: those without a workflow in the config are left out. Where the text is the whole id of one, only
    /// kinds that have it: to look for a part of an id among the newest of the others would keep it from the page.
    async fn kinds(&self, filter: &Filter) -> Result<Vec<String>, ServiceError> {
        if let Some(kind) = &filter.kind {
            return Ok(vec![kind.clone()]);
        }
        let there = self.parts.operations.kinds().await?;
        let kinds: Vec<String> = there.into_iter().filter(|kind| self.parts.resources.workflow_of(kind) != Some(None)).collect();
        let Some(id) = &filter.text else { return Ok(kinds) };
        let mut with_it = Vec::new();
        for kind in &kinds {
            if self.parts.store.resource(kind, id).await?.is_some() {
                with_it.push(kind.clone());
            }
        }
        Ok(if with_it.is_empty() { kinds } else { with_it })
    }

    fn states(&self) -> Vec<StateCount> {
        let counts = self.parts.active.counts();
        let mut states: Vec<StateCount> = counts
            .into_iter()
            .flat_map(|counts| {
                let WorkflowCounts { workflow, states, .. } = counts;
                states.into_iter().map(move |(state, count)| StateCount { workflow: workflow.clone(), state, count })
            })
            .collect();
        states.sort_unstable();
        states
    }
}

/// Where it stands in lists.
fn position(found: &Found) -> (Timestamp, String) {
    (found.resource.created_at, found.resource.id.clone())
}
