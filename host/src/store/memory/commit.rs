//! One decision in memory: every guard first, then everything.

use std::collections::HashSet;

use millrace_workflow::RunKind;

use super::super::{
    Commit, Committed, Conflict, Guard, OutboxRow, Resource, RunStatus, Settled, StepRun, Stocking, StoreError, Timer, Touched,
};
use super::state::{Aged, Name, State, to_micros};
use crate::faults::planted;

impl State {
    pub(super) fn commit(&mut self, commit: Commit, epoch: u64) -> Result<Committed, StoreError> {
        self.check_all(&commit, epoch)?;
        Ok(self.apply(commit, epoch))
    }

    pub(super) fn commit_all(&mut self, commits: Vec<Commit>, epoch: u64) -> Result<(), StoreError> {
        commits.iter().try_for_each(|commit| self.check_all(commit, epoch))?;
        for commit in commits {
            self.apply(commit, epoch);
        }
        Ok(())
    }

    fn check_all(&self, commit: &Commit, epoch: u64) -> Result<(), StoreError> {
        self.check(commit, epoch)?;
        if let Some(Stocking::Anew { sku, on_hand }) = &commit.stock {
            self.check_stock(sku, *on_hand)?;
        }
        commit.also.iter().try_for_each(|other| self.check_all(other, epoch))
    }

    fn apply(&mut self, commit: Commit, epoch: u64) -> Committed {
        if let Some(touched) = &commit.touched {
            let now = self.now;
            if let Some(placed) = self.resources.get_mut(&(touched.kind.clone(), touched.id.clone())) {
                placed.resource.version += 1;
                placed.touched = now;
            }
        }
        let written_at = self.now;
        let actor = commit.audit.first().map(|entry| entry.actor.clone());
        self.note(commit.audited().collect::<Vec<_>>());
        if let Some(row) = commit.inbox {
            self.take_note(row);
        }
        if let Some(event) = commit.waited {
            self.waiting.remove(&event.number);
        }
        if let Some(row) = commit.idempotency {
            self.idempotency.insert((row.user.clone(), row.key.clone()), Aged { written_at, row });
        }
        if let Some(settled) = commit.settled {
            self.settle(settled, epoch);
        }
        if let Some((_, resource)) = commit.change {
            let name = (resource.kind.clone(), resource.id.clone());
            if let Some(first) = commit.history.first().filter(|_| !commit.changes.is_empty()) {
                self.changes.entry(name.clone()).or_default().insert(first.seq, commit.changes);
            }
            let history = self.history.entry(name.clone()).or_default();
            history.extend(commit.history.into_iter().map(|mut row| {
                row.at = to_micros(row.at);
                (row.seq, row)
            }));
            if resource.workflow.as_ref().is_some_and(|progress| progress.finished) {
                self.holds.remove(&name);
            }
            self.put_resource(&name, resource);
            self.add_prices(&name, commit.prices);
            self.replace_timers(&name, commit.timers);
        } else {
            commit.timers.into_iter().for_each(|timer| self.add_timer(timer));
        }
        for run in commit.runs {
            self.add_run(run);
        }
        commit.kv.into_iter().for_each(|row| self.change_kv(row));
        if let Some(stocking) = commit.stock {
            self.apply_stocking(stocking, actor);
        }
        let mut positions: Vec<u64> = commit.outbox.into_iter().map(|row| self.add_event(row)).collect();
        for other in commit.also {
            positions.extend(self.apply(other, epoch).positions);
        }
        Committed { positions }
    }

    fn check(&self, commit: &Commit, epoch: u64) -> Result<(), Conflict> {
        if let Some(row) = commit.inbox.as_ref().filter(|row| self.inbox.contains_key(row) && !planted("no-inbox")) {
            return Err(Conflict::Duplicate { consumer: row.consumer.clone(), event_id: row.event_id.clone() });
        }
        if let Some(event) = commit.waited.as_ref().filter(|event| !self.waiting.contains_key(&event.number)) {
            return Err(Conflict::Duplicate { consumer: event.consumer.clone(), event_id: event.event_id.clone() });
        }
        let asked = commit.idempotency.as_ref().map(|row| (row.user.clone(), row.key.clone()));
        if let Some(existing) = asked.and_then(|key| self.idempotency.get(&key)).filter(|_| !planted("no-idempotency")) {
            return Err(Conflict::Idempotency(existing.row.clone()));
        }
        if let Some(settled) = &commit.settled
            && !self.is_held(settled, epoch)
            && !planted("no-fence")
        {
            return Err(Conflict::Fence { key: settled.key.clone(), fence: settled.fence });
        }
        if let Some(Touched { kind, id, version }) = &commit.touched {
            let there = self.resources.get(&(kind.clone(), id.clone())).map(|placed| placed.resource.version);
            if there != Some(*version) {
                return Err(Conflict::Version { kind: kind.clone(), id: id.clone() });
            }
        }
        if let Some((guard, resource)) = &commit.change {
            self.check_guard(*guard, resource)?;
            self.check_history(commit, resource)?;
        }
        let mut added = HashSet::new();
        for key in commit.runs.iter().map(|run| &run.key) {
            if self.run_keys.contains_key(key) || !added.insert(key) {
                return Err(Conflict::Exists { kind: "run".into(), id: key.clone() });
            }
        }
        Ok(())
    }

    fn is_held(&self, settled: &Settled, epoch: u64) -> bool {
        let run = self.run_keys.get(&settled.key).and_then(|sequence| self.runs.get(sequence));
        run.is_some_and(|Aged { row, .. }| row.status == RunStatus::Running && row.fence == settled.fence && row.owner == Some(epoch))
    }

    fn check_guard(&self, guard: Guard, resource: &Resource) -> Result<(), Conflict> {
        let (kind, id) = (resource.kind.clone(), resource.id.clone());
        let version = self.resources.get(&(kind.clone(), id.clone())).map(|placed| placed.resource.version);
        match guard {
            Guard::Absent if version.is_some() => Err(Conflict::Exists { kind, id }),
            Guard::Version(wanted) if version != Some(wanted) && !planted("no-compare-and-set") => Err(Conflict::Version { kind, id }),
            Guard::Absent | Guard::Version(_) => Ok(()),
        }
    }

    fn check_history(&self, commit: &Commit, resource: &Resource) -> Result<(), Conflict> {
        let there = self.history.get(&(resource.kind.clone(), resource.id.clone()));
        let mut added = HashSet::new();
        for row in &commit.history {
            if there.is_some_and(|rows| rows.contains_key(&row.seq)) || !added.insert(row.seq) {
                let id = format!("{}/{}/{}", resource.kind, resource.id, row.seq);
                return Err(Conflict::Exists { kind: "history".into(), id });
            }
        }
        Ok(())
    }

    fn settle(&mut self, settled: Settled, epoch: u64) {
        let Some(&sequence) = self.run_keys.get(&settled.key) else { return };
        let Some(Aged { row, .. }) = self.runs.get_mut(&sequence) else { return };
        row.status = settled.status;
        row.attempt = settled.attempt;
        row.owner = (settled.status == RunStatus::Running).then_some(epoch);
        if settled.status == RunStatus::Ready {
            row.due_at = to_micros(settled.due_at);
        }
        if settled.error.is_some() {
            row.last_error = settled.error;
        }
        if settled.status == RunStatus::Done {
            if row.kind == RunKind::Task {
                row.input = None;
            }
            self.open_runs.remove(&sequence);
        }
    }

    fn replace_timers(&mut self, name: &Name, timers: Vec<Timer>) {
        self.timers.retain(|(kind, id, _), _| (kind, id) != (&name.0, &name.1));
        for mut timer in timers {
            timer.due_at = to_micros(timer.due_at);
            timer.resource_kind.clone_from(&name.0);
            timer.resource_id.clone_from(&name.1);
            self.timers.insert((name.0.clone(), name.1.clone(), timer.transition.clone()), timer);
        }
    }

    fn add_timer(&mut self, mut timer: Timer) {
        timer.due_at = to_micros(timer.due_at);
        let Timer { resource_kind: kind, resource_id: id, transition, .. } = &timer;
        let key = (kind.clone(), id.clone(), transition.clone());
        let is_earlier = self.timers.get(&key).is_some_and(|there| there.version > timer.version);
        if self.resources.contains_key(&(kind.clone(), id.clone())) && !is_earlier {
            self.timers.insert(key, timer);
        }
    }

    fn add_run(&mut self, mut run: StepRun) {
        run.due_at = to_micros(run.due_at);
        self.last_sequence += 1;
        self.run_keys.insert(run.key.clone(), self.last_sequence);
        if run.status != RunStatus::Done {
            self.open_runs.insert(self.last_sequence);
        }
        self.runs.insert(self.last_sequence, Aged { written_at: self.now, row: run });
    }

    /// Adds an event and answers its position.
    pub(super) fn add_event(&mut self, mut row: OutboxRow) -> u64 {
        self.last_position += 1;
        row.position = self.last_position;
        self.unpublished.insert(row.position);
        self.outbox.insert(row.position, Aged { written_at: self.now, row });
        self.last_position
    }
}
