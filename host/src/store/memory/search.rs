//! Resources by several conditions at once, and notes, in memory.

use std::cmp::Reverse;

use super::super::{AuditEntry, Conflict, IdempotencyRow, KeysOf, Matches, Note, Resource, Search};
use super::state::{Aged, State, to_micros};

impl State {
    pub(super) fn matches(&self, search: &Search, keys: &[KeysOf]) -> Matches {
        let of_kind = self.resources.values().map(|placed| &placed.resource).filter(|resource| resource.kind == search.kind);
        let mut found: Vec<&Resource> = of_kind.filter(|resource| fits(resource, search, keys)).collect();
        found.sort_by_key(|resource| Reverse((resource.created_at, &resource.id)));
        let more = found.len() > search.limit;
        found.truncate(search.limit);
        let next = found.last().filter(|_| more).map(|last| (last.created_at, last.id.clone()));
        Matches { resources: found.into_iter().cloned().collect(), next }
    }

    pub(super) fn add_note(
        &mut self,
        mut note: Note,
        audit: Option<AuditEntry>,
        request: Option<IdempotencyRow>,
    ) -> Result<Option<u64>, Conflict> {
        if self.resource(&note.kind, &note.id).is_none() {
            return Ok(None);
        }
        if let Some(earlier) = request.as_ref().and_then(|request| self.idempotency(&request.user, &request.key)) {
            return Err(Conflict::Idempotency(earlier));
        }
        note.seq = self.notes.last_key_value().map_or(0, |(last, _)| *last) + 1;
        note.at = to_micros(note.at);
        let seq = note.seq;
        self.notes.insert(seq, note);
        self.note(audit);
        if let Some(row) = request {
            let row = IdempotencyRow { resource_id: seq.to_string(), ..row };
            self.idempotency.insert((row.user.clone(), row.key.clone()), Aged { written_at: self.now, row });
        }
        Ok(Some(seq))
    }

    pub(super) fn notes(&self, kind: &str, id: &str, before: u64, limit: usize) -> Vec<Note> {
        let before = self.notes.range(..before).rev().map(|(_, note)| note);
        before.filter(|note| note.kind == kind && note.id == id).take(limit).cloned().collect()
    }
}

fn fits(resource: &Resource, search: &Search, keys: &[KeysOf]) -> bool {
    let asks = || resource.workflow.as_ref().is_some_and(|progress| progress.attention.is_some());
    let is_before = |(at, id): &(_, String)| (resource.created_at, &resource.id) < (to_micros(*at), id);
    let has_keys = || {
        let keyed =
            keys.iter().find(|keys| keys.kind == resource.kind).map(|keys| keys.of(&resource.id, &resource.data)).unwrap_or_default();
        search.keys.iter().all(|wanted| wanted.is_in(&keyed))
    };
    search.id.as_ref().is_none_or(|id| resource.id == *id)
        && search.owner.as_ref().is_none_or(|owner| resource.owner.as_ref() == Some(owner))
        && search.state.as_ref().is_none_or(|state| resource.state == *state)
        && (!search.attention || asks())
        && search.from.is_none_or(|from| resource.created_at >= to_micros(from))
        && search.to.is_none_or(|to| resource.created_at < to_micros(to))
        && search.after.as_ref().is_none_or(is_before)
        && has_keys()
}
