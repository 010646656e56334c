//! Holds of instances in memory, and looking for instances whatever they are.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::super::{Conflict, Found, Hold, InboxRow, RunStatus, Sighted, Sought, StepRun, Timer, WaitingEvent};
use super::state::{Placed, State, to_micros};

impl State {
    pub(super) fn hold(&mut self, kind: &str, id: &str, mut hold: Hold) -> bool {
        let name = (kind.to_owned(), id.to_owned());
        let is_unfinished = |placed: &Placed| placed.resource.workflow.as_ref().is_some_and(|progress| !progress.finished);
        if !self.resources.get(&name).is_some_and(is_unfinished) {
            return false;
        }
        hold.at = to_micros(hold.at);
        self.holds.insert(name, hold);
        true
    }

    pub(super) fn let_go(&mut self, kind: &str, id: &str) -> bool {
        self.holds.remove(&(kind.to_owned(), id.to_owned())).is_some()
    }

    pub(super) fn held(&self, kind: &str, id: &str) -> Option<Hold> {
        self.holds.get(&(kind.to_owned(), id.to_owned())).cloned()
    }

    /// Whether nobody holds the instance of a run.
    pub(super) fn is_free(&self, run: &StepRun) -> bool {
        self.holds.is_empty() || self.held(&run.resource_kind, &run.resource_id).is_none()
    }

    /// Whether nobody holds the instance of a timer, and no event waits for it, which came before the timer was let fire.
    pub(super) fn may_fire(&self, timer: &Timer) -> bool {
        let (kind, id) = (&timer.resource_kind, &timer.resource_id);
        (self.holds.is_empty() || self.held(kind, id).is_none()) && self.waiting(kind, id).next().is_none()
    }

    /// Whether the event waits now: its instance is held, or others wait before it.
    pub(super) fn let_wait(&mut self, mut event: WaitingEvent) -> Result<bool, Conflict> {
        if self.held(&event.kind, &event.id).is_none() && self.waiting(&event.kind, &event.id).next().is_none() {
            return Ok(false);
        }
        let received = InboxRow { consumer: event.consumer.clone(), event_id: event.event_id.clone() };
        let is_same = |other: &WaitingEvent| (&other.consumer, &other.event_id) == (&received.consumer, &received.event_id);
        if self.inbox.contains_key(&received) || self.waiting.values().any(is_same) {
            return Err(Conflict::Duplicate { consumer: received.consumer, event_id: received.event_id });
        }
        self.take_note(received);
        self.last_waiting += 1;
        event.number = self.last_waiting;
        event.at = to_micros(event.at);
        self.waiting.insert(event.number, event);
        Ok(true)
    }

    pub(super) fn waiting<'a>(&'a self, kind: &'a str, id: &'a str) -> impl Iterator<Item = &'a WaitingEvent> {
        self.waiting.values().filter(move |event| event.kind == kind && event.id == id)
    }

    pub(super) fn waiting_counts(&self) -> Vec<(String, String, u64)> {
        let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for event in self.waiting.values() {
            *counts.entry((&event.kind, &event.id)).or_default() += 1;
        }
        counts.into_iter().map(|((kind, id), count)| (kind.to_owned(), id.to_owned(), count)).collect()
    }

    pub(super) fn hurry(&mut self, kind: &str, id: &str) -> u64 {
        let now = self.now;
        let of_instance = self.runs.values_mut().map(|aged| &mut aged.row).filter(|run| run.resource_kind == kind && run.resource_id == id);
        let mut hurried = 0;
        for run in of_instance {
            match run.status {
                RunStatus::Quarantined | RunStatus::Stranded => (run.status, run.crashes) = (RunStatus::Ready, 0),
                RunStatus::Ready if run.due_at > now => {}
                RunStatus::Ready | RunStatus::Running | RunStatus::Done => continue,
            }
            run.due_at = run.due_at.min(now);
            hurried += 1;
        }
        hurried
    }

    pub(super) fn kinds(&self) -> Vec<String> {
        self.resources.keys().map(|(kind, _)| kind.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub(super) fn set_aside(&self, limit: usize) -> Vec<StepRun> {
        let aside = [RunStatus::Quarantined, RunStatus::Stranded].into_iter().flat_map(|status| self.open(status));
        let mut aside: Vec<(u64, &StepRun)> = aside.collect();
        aside.sort_by_key(|(sequence, run)| (run.due_at, *sequence));
        aside.into_iter().take(limit).map(|(_, run)| run.clone()).collect()
    }

    pub(super) fn release_run(&mut self, key: &str) -> bool {
        let now = self.now;
        let Some(run) = self.run_keys.get(key).and_then(|sequence| self.runs.get_mut(sequence)).map(|aged| &mut aged.row) else {
            return false;
        };
        if !matches!(run.status, RunStatus::Quarantined | RunStatus::Stranded) {
            return false;
        }
        (run.status, run.crashes, run.due_at) = (RunStatus::Ready, 0, run.due_at.min(now));
        true
    }

    pub(super) fn find(&self, sought: &Sought) -> Sighted {
        let after = sought.after.as_ref().map(|(at, id)| (to_micros(*at), id.clone()));
        let position = |placed: &Placed| (placed.resource.created_at, placed.resource.id.clone());
        let is_after = |placed: &Placed| after.as_ref().is_none_or(|after| position(placed) < *after);
        let one = sought.text.as_ref().filter(|text| self.resources.contains_key(&(sought.kind.clone(), (*text).clone())));
        let is_meant = |(kind, id): &(String, String)| *kind == sought.kind && one.is_none_or(|one| one == id);
        let mut all: Vec<_> = self.resources.iter().filter(|(name, placed)| is_meant(name) && is_after(placed)).collect();
        all.sort_by_key(|(_, placed)| Reverse(position(placed)));
        let looked_at = all.iter().take(sought.look_at);
        let fits = |name: &(String, String), placed: &Placed| {
            sought.fits(&placed.resource, self.holds.contains_key(name))
                && sought.digest.as_deref().is_none_or(|digest| self.was_moved_by(name, digest))
        };
        let mut fitting: Vec<_> = looked_at.filter(|(name, placed)| fits(name, placed)).collect();
        let next = if fitting.len() > sought.limit {
            fitting.truncate(sought.limit);
            fitting.last().map(|(_, placed)| position(placed))
        } else {
            all.get(..sought.look_at).filter(|_| all.len() > sought.look_at).and_then(|all| Some(position(all.last()?.1)))
        };
        let found = fitting.into_iter();
        let found = found.map(|(name, placed)| Found { resource: placed.resource.clone(), hold: self.holds.get(*name).cloned() }).collect();
        Sighted { found, next }
    }

    fn was_moved_by(&self, name: &(String, String), digest: &str) -> bool {
        let rows = self.history.get(name).into_iter().flat_map(|rows| rows.values());
        rows.filter_map(|row| row.digest.as_deref()).any(|made_by| made_by.starts_with(digest))
    }
}
