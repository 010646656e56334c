//! The audit log in memory.

use super::super::{AuditChain, AuditEntry, AuditListing, AuditRow};
use super::state::State;

impl State {
    pub(super) fn note(&mut self, entries: impl IntoIterator<Item = AuditEntry>) {
        let last = self.audit.last();
        let mut chain = last.map_or_else(AuditChain::default, |last| AuditChain { seq: last.seq, hash: last.hash.clone() });
        self.audit.extend(entries.into_iter().map(|entry| chain.append(entry)));
    }

    pub(super) fn audited(&self, listing: &AuditListing) -> Vec<AuditRow> {
        let is = |wanted: &Option<String>, has: &String| wanted.as_ref().is_none_or(|wanted| wanted == has);
        let newest_first = self.audit.iter().rev().filter(|row| listing.before.is_none_or(|before| row.seq < before));
        let wanted = newest_first.filter(|AuditRow { entry, .. }| {
            is(&listing.actor, &entry.actor) && is(&listing.action, &entry.action) && is(&listing.subject, &entry.subject)
        });
        wanted.take(listing.limit).cloned().collect()
    }

    pub(super) fn audited_after(&self, seq: u64, limit: usize) -> Vec<AuditRow> {
        self.audit.iter().filter(|row| row.seq > seq).take(limit).cloned().collect()
    }
}
