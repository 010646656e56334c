//! Finished instances that are old, in memory.

use jiff::Timestamp;

use super::super::{Resource, RunStatus};
use super::state::{Placed, State, to_micros};

impl State {
    pub(super) fn finished(&self, kind: &str, before: Timestamp, after: Option<&(Timestamp, String)>, limit: usize) -> Vec<Resource> {
        let oldest = self.unpublished.first().and_then(|position| self.outbox.get(position)).map(|aged| aged.written_at);
        let before = oldest.map_or(to_micros(before), |oldest| oldest.min(to_micros(before)));
        let after = after.map(|(at, id)| (to_micros(*at), id));
        let of_kind = self.resources.values().filter(|placed| placed.resource.kind == kind && placed.touched < before);
        let ended = of_kind.filter(|placed| self.has_ended(placed)).map(|placed| &placed.resource);
        let mut found: Vec<&Resource> =
            ended.filter(|resource| after.is_none_or(|after| (resource.created_at, &resource.id) > after)).collect();
        found.sort_by_key(|resource| (resource.created_at, &resource.id));
        found.into_iter().take(limit).cloned().collect()
    }

    fn has_ended(&self, placed: &Placed) -> bool {
        let resource = &placed.resource;
        let finished = resource.workflow.as_ref().is_some_and(|progress| progress.finished && progress.attention.is_none());
        let mut runs = self.runs.values().map(|aged| &aged.row);
        finished
            && runs.all(|run| (&run.resource_kind, &run.resource_id) != (&resource.kind, &resource.id) || run.status == RunStatus::Done)
    }

    pub(super) fn forget_finished(&mut self, kind: &str, instances: &[(String, u64)]) -> u64 {
        let mut gone = 0;
        for (id, version) in instances {
            let name = (kind.to_owned(), id.clone());
            let there = self.resources.get(&name).is_some_and(|placed| placed.resource.version == *version && self.has_ended(placed));
            if !there {
                continue;
            }
            self.remove_resource(&name);
            let (runs, keys) = (&mut self.runs, &mut self.run_keys);
            runs.retain(|_, aged| (&aged.row.resource_kind, &aged.row.resource_id) != (&name.0, &name.1));
            keys.retain(|_, sequence| runs.contains_key(sequence));
            self.forget_reservation(id);
            gone += 1;
        }
        gone
    }
}
