//! The rows in memory and what is asked of them, apart from [`commit`](super::commit).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use millrace_workflow::Definition;

use super::super::{
    AuditEntry, AuditRow, Backlog, Commit, CommitStats, Conflict, DeadLetter, FieldChange, Figure, Guard, HistoryRow, Hold, IdempotencyRow,
    InboxRow, KeysOf, KvOwner, Line, Listing, Note, OLDEST_LOOKED_AT, OutboxRow, PinnedTo, PriceRow, Prunable, ReservationStatus, Resource,
    RunStatus, StepRun, StockLevel, StockMove, Timer, WaitingEvent, figures,
};
use super::accounts::Accounts;
use crate::faults::planted;

/// Kind and id of a resource.
pub(super) type Name = (String, String);

/// A row and when it was written, which never goes back from one row to the next.
#[derive(Debug)]
pub(super) struct Aged<T> {
    pub(super) written_at: Timestamp,
    pub(super) row: T,
}

/// A resource and its place among all that were ever added.
#[derive(Debug)]
pub(super) struct Placed {
    place: u64,
    /// When it last changed, by the steady time.
    pub(super) touched: Timestamp,
    pub(super) resource: Resource,
}

/// Units that are set aside, or were.
#[derive(Debug)]
pub(super) struct Reservation {
    pub(super) status: ReservationStatus,
    pub(super) lines: BTreeMap<String, u64>,
    /// When it ended, by the steady time.
    pub(super) ended: Option<Timestamp>,
}

/// All rows.
#[derive(Debug, Default)]
pub(super) struct State {
    epoch: u64,
    identity: Option<String>,
    pub(super) now: Timestamp,
    /// The date, for people.
    pub(super) date: Timestamp,
    pub(super) stats: CommitStats,
    pub(super) resources: BTreeMap<Name, Placed>,
    last_place: u64,
    pub(super) history: HashMap<Name, BTreeMap<u64, HistoryRow>>,
    pub(super) changes: HashMap<Name, BTreeMap<u64, Vec<FieldChange>>>,
    pub(super) timers: BTreeMap<(String, String, String), Timer>,
    pub(super) holds: BTreeMap<Name, Hold>,
    pub(super) waiting: BTreeMap<u64, WaitingEvent>,
    pub(super) last_waiting: u64,
    pub(super) runs: BTreeMap<u64, Aged<StepRun>>,
    pub(super) run_keys: HashMap<String, u64>,
    pub(super) open_runs: BTreeSet<u64>,
    pub(super) last_sequence: u64,
    pub(super) outbox: BTreeMap<u64, Aged<OutboxRow>>,
    pub(super) unpublished: BTreeSet<u64>,
    pub(super) last_position: u64,
    pub(super) inbox: HashMap<InboxRow, Timestamp>,
    /// The newest row of it, which is never forgotten: of an empty inbox nobody could say since when it is known what was handled.
    received_last: Option<InboxRow>,
    /// Some of it is forgotten.
    pub(super) inbox_pruned: bool,
    pub(super) idempotency: HashMap<(String, String), Aged<IdempotencyRow>>,
    pub(super) dead_letters: BTreeMap<u64, DeadLetter>,
    last_letter: u64,
    pub(super) accounts: Accounts,
    pub(super) stock: BTreeMap<String, StockLevel>,
    pub(super) stock_moves: Vec<StockMove>,
    pub(super) reservations: HashMap<String, Reservation>,
    pub(super) figures: BTreeMap<(String, i64), Figure>,
    prices: HashMap<Name, BTreeMap<u64, PriceRow>>,
    machines: HashMap<String, Definition>,
    components: BTreeMap<String, String>,
    pub(super) notes: BTreeMap<u64, Note>,
    pub(super) audit: Vec<AuditRow>,
    pub(super) kv: BTreeMap<KvOwner, BTreeMap<String, String>>,
}

/// A time as precise as every back end keeps it.
pub(super) fn to_micros(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

impl State {
    /// The next epoch, and what tells these rows from those of every other store.
    pub(super) fn begin_epoch(&mut self) -> (u64, String) {
        self.epoch += 1;
        let identity = self.identity.get_or_insert_with(|| uuid::Uuid::now_v7().simple().to_string());
        (self.epoch, identity.clone())
    }

    /// Says what time it is; rows never get older from one to the next.
    pub(super) fn stamp(&mut self, now: Timestamp) {
        self.now = self.now.max(to_micros(now));
    }

    pub(super) fn resource(&self, kind: &str, id: &str) -> Option<Resource> {
        self.resources.get(&(kind.to_owned(), id.to_owned())).map(|placed| placed.resource.clone())
    }

    pub(super) fn put_resource(&mut self, name: &Name, mut resource: Resource) {
        resource.created_at = to_micros(resource.created_at);
        resource.updated_at = to_micros(resource.updated_at);
        for deadline in resource.workflow.iter_mut().flat_map(|progress| progress.deadlines.values_mut()) {
            *deadline = to_micros(*deadline);
        }
        if let Some(placed) = self.resources.get_mut(name) {
            resource.owner.clone_from(&placed.resource.owner);
            resource.created_at = placed.resource.created_at;
            placed.resource = resource;
            placed.touched = self.now;
            return;
        }
        self.last_place += 1;
        self.resources.insert(name.clone(), Placed { place: self.last_place, touched: self.now, resource });
    }

    pub(super) fn resources(&self, listing: &Listing) -> Vec<Resource> {
        let of_kind = self.resources.values().map(|placed| &placed.resource).filter(|resource| resource.kind == listing.kind);
        let mut found: Vec<&Resource> = of_kind
            .filter(|resource| listing.owner.is_none() || resource.owner == listing.owner)
            .filter(|resource| is_after(resource, listing))
            .collect();
        if listing.by_id {
            found.sort_by_key(|resource| &resource.id);
        } else {
            found.sort_by_key(|resource| Reverse((resource.created_at, &resource.id)));
        }
        found.into_iter().take(listing.limit).cloned().collect()
    }

    pub(super) fn delete_resource(&mut self, kind: &str, id: &str, guard: Guard, entry: Option<AuditEntry>) -> Result<bool, Conflict> {
        let name = (kind.to_owned(), id.to_owned());
        let Some(Placed { resource, .. }) = self.resources.get(&name) else { return Ok(false) };
        match guard {
            Guard::Absent => return Err(Conflict::Exists { kind: name.0, id: name.1 }),
            Guard::Version(version) if version != resource.version => return Err(Conflict::Version { kind: name.0, id: name.1 }),
            Guard::Version(_) => {}
        }
        if resource.workflow.is_some() {
            return Ok(false);
        }
        let version = resource.version;
        let actor = entry.as_ref().map(|entry| entry.actor.clone());
        self.note(entry.map(|entry| AuditEntry { version_before: entry.version_before.or(Some(version)), ..entry }));
        self.remove_resource(&name);
        self.forget_stock(id, actor);
        Ok(true)
    }

    pub(super) fn remove_resource(&mut self, name: &Name) {
        self.resources.remove(name);
        self.history.remove(name);
        self.changes.remove(name);
        self.notes.retain(|_, note| (&note.kind, &note.id) != (&name.0, &name.1));
        self.prices.remove(name);
        self.holds.remove(name);
        self.waiting.retain(|_, event| (&event.kind, &event.id) != (&name.0, &name.1));
        self.timers.retain(|(kind, id, _), _| (kind, id) != (&name.0, &name.1));
        self.forget_kv(name);
    }

    pub(super) fn history(&self, kind: &str, id: &str, after: u64, limit: usize) -> Vec<HistoryRow> {
        let rows = self.history.get(&(kind.to_owned(), id.to_owned()));
        rows.into_iter().flat_map(BTreeMap::values).filter(|row| row.seq > after).take(limit).cloned().collect()
    }

    pub(super) fn history_before(&self, kind: &str, id: &str, before: u64, limit: usize) -> Vec<HistoryRow> {
        let Some(rows) = self.history.get(&(kind.to_owned(), id.to_owned())) else { return Vec::new() };
        let mut last: Vec<HistoryRow> = rows.range(..before).rev().take(limit).map(|(_, row)| row.clone()).collect();
        last.reverse();
        last
    }

    /// The newest first.
    pub(super) fn changes(&self, kind: &str, id: &str, (from, before): (u64, u64), limit: usize) -> Vec<(u64, Vec<FieldChange>)> {
        let Some(rows) = self.changes.get(&(kind.to_owned(), id.to_owned())).filter(|_| from < before) else { return Vec::new() };
        rows.range(from..before).rev().take(limit).map(|(seq, changes)| (*seq, changes.clone())).collect()
    }

    pub(super) fn count(&mut self, added: Vec<(String, Figure)>) {
        for (kind, figure) in added {
            let known = self.figures.entry((kind, figure.minute)).or_insert(Figure { minute: figure.minute, ..Figure::default() });
            *known = known.with(&figure);
        }
    }

    pub(super) fn add_prices(&mut self, name: &Name, rows: Vec<PriceRow>) {
        let prices = self.prices.entry(name.clone()).or_default();
        for row in rows {
            prices.entry(row.version).or_insert_with(|| PriceRow { at: to_micros(row.at), ..row });
        }
    }

    pub(super) fn prices(&self, kind: &str, id: &str, limit: usize) -> Vec<PriceRow> {
        let rows = self.prices.get(&(kind.to_owned(), id.to_owned()));
        rows.into_iter().flat_map(|rows| rows.values().rev()).take(limit).cloned().collect()
    }

    pub(super) fn timers_of(&self, kind: &str, id: &str) -> Vec<Timer> {
        let timers = self.timers.values().filter(|timer| timer.resource_kind == kind && timer.resource_id == id);
        let mut timers: Vec<Timer> = timers.cloned().collect();
        timers.sort_by_key(|timer| timer.due_at);
        timers
    }

    pub(super) fn idempotency(&self, user: &str, key: &str) -> Option<IdempotencyRow> {
        self.idempotency.get(&(user.to_owned(), key.to_owned())).map(|aged| aged.row.clone())
    }

    /// Runs that have not ended, with their places.
    pub(super) fn open(&self, status: RunStatus) -> impl Iterator<Item = (u64, &StepRun)> {
        let open = self.open_runs.iter().filter_map(|sequence| Some((*sequence, &self.runs.get(sequence)?.row)));
        open.filter(move |(_, run)| run.status == status)
    }

    pub(super) fn claim_runs(&mut self, line: &Line, now: Timestamp, limit: usize, epoch: u64) -> Vec<StepRun> {
        let due = self.open(RunStatus::Ready).filter(|(_, run)| run.due_at <= now && run.line() == *line && self.is_free(run));
        let mut due: Vec<_> = due.map(|(sequence, run)| (run.due_at, sequence)).collect();
        due.sort_unstable();
        let mut claimed = Vec::new();
        for (_, sequence) in due.into_iter().take(limit) {
            claimed.extend(self.claim(sequence, epoch));
        }
        claimed
    }

    pub(super) fn claim_run(&mut self, key: &str, epoch: u64) -> Option<StepRun> {
        let waits = |status| self.open(status).find(|(_, run)| run.key == key).map(|(sequence, _)| sequence);
        let sequence = waits(RunStatus::Ready).or_else(|| waits(RunStatus::Stranded))?;
        self.claim(sequence, epoch)
    }

    fn claim(&mut self, sequence: u64, epoch: u64) -> Option<StepRun> {
        let Aged { row, .. } = self.runs.get_mut(&sequence)?;
        row.status = RunStatus::Running;
        row.owner = Some(epoch);
        row.fence += 1;
        Some(row.clone())
    }

    pub(super) fn lines(&self) -> Vec<(Line, Timestamp)> {
        let mut lines: BTreeMap<Line, Timestamp> = BTreeMap::new();
        for (_, run) in self.open(RunStatus::Ready).filter(|(_, run)| self.is_free(run)) {
            let first = lines.entry(run.line()).or_insert(run.due_at);
            *first = run.due_at.min(*first);
        }
        lines.into_iter().collect()
    }

    pub(super) fn claimed(&self, epoch: u64) -> Vec<StepRun> {
        let mut claimed: Vec<_> = self.open(RunStatus::Running).filter(|(_, run)| run.owner == Some(epoch)).collect();
        claimed.sort_by_key(|(sequence, run)| (run.due_at, *sequence));
        claimed.into_iter().map(|(_, run)| run.clone()).collect()
    }

    pub(super) fn runs(&self, kind: &str, id: &str) -> Vec<StepRun> {
        let rows = self.runs.values().map(|aged| &aged.row);
        rows.filter(|run| run.resource_kind == kind && run.resource_id == id).cloned().collect()
    }

    pub(super) fn recover_runs(&mut self, crashed: &[String], park_after: u32, epoch: u64) -> Vec<StepRun> {
        if planted("no-requeue-at-boot") {
            return Vec::new();
        }
        let crashed: HashSet<&String> = crashed.iter().collect();
        let abandoned = self.open(RunStatus::Running).filter(|(_, run)| run.owner.is_some_and(|owner| owner < epoch));
        let abandoned: Vec<u64> = abandoned.map(|(sequence, _)| sequence).collect();
        let now = self.now;
        let mut parked = Vec::new();
        for sequence in abandoned {
            let Some(Aged { row, .. }) = self.runs.get_mut(&sequence) else { continue };
            row.crashes = row.crashes.saturating_add(u32::from(crashed.contains(&row.key)));
            row.status = if row.crashes >= park_after { RunStatus::Quarantined } else { RunStatus::Ready };
            row.owner = None;
            // A clock that was set back must not make it wait.
            row.due_at = row.due_at.min(now);
            if row.status == RunStatus::Quarantined {
                parked.push((row.due_at, sequence, row.clone()));
            }
        }
        for run in self.runs.values_mut().map(|aged| &mut aged.row).filter(|run| run.status == RunStatus::Stranded) {
            run.status = RunStatus::Ready;
            run.due_at = run.due_at.min(now);
        }
        parked.sort_by_key(|(due_at, sequence, _)| (*due_at, *sequence));
        parked.into_iter().map(|(_, _, run)| run).collect()
    }

    pub(super) fn release_quarantined(&mut self, component: &str) -> u64 {
        let now = self.now;
        let parked = self.runs.values_mut().map(|aged| &mut aged.row);
        let parked = parked.filter(|run| matches!(run.status, RunStatus::Quarantined | RunStatus::Stranded) && run.component == component);
        parked
            .map(|run| {
                run.status = RunStatus::Ready;
                run.crashes = 0;
                run.due_at = run.due_at.min(now);
            })
            .count() as u64
    }

    pub(super) fn wake(&mut self, component: &str) -> u64 {
        let now = self.now;
        let waiting = self.runs.values_mut().map(|aged| &mut aged.row);
        let waiting = waiting.filter(|run| run.status == RunStatus::Ready && run.component == component && run.due_at > now);
        waiting.map(|run| run.due_at = now).count() as u64
    }

    pub(super) fn due_timers(&self, now: Timestamp, limit: usize) -> Vec<Timer> {
        let mut due: Vec<&Timer> = self.timers.values().filter(|timer| timer.due_at <= now && self.may_fire(timer)).collect();
        due.sort_by_key(|timer| {
            let name = (timer.resource_kind.clone(), timer.resource_id.clone());
            (timer.due_at, self.resources.get(&name).map(|placed| placed.place), &timer.transition)
        });
        due.into_iter().take(limit).cloned().collect()
    }

    pub(super) fn next_timer_due(&self) -> Option<Timestamp> {
        self.timers.values().filter(|timer| self.may_fire(timer)).map(|timer| timer.due_at).min()
    }

    pub(super) fn drop_timer(&mut self, timer: &Timer) {
        let key = (timer.resource_kind.clone(), timer.resource_id.clone(), timer.transition.clone());
        if self.timers.get(&key).is_some_and(|there| there.version == timer.version) {
            self.timers.remove(&key);
        }
    }

    pub(super) fn unpublished(&self, after: u64, limit: usize) -> Vec<OutboxRow> {
        let positions = self.unpublished.range(after.saturating_add(1)..);
        positions.filter_map(|position| self.outbox.get(position)).take(limit).map(|aged| aged.row.clone()).collect()
    }

    pub(super) fn mark_published(&mut self, positions: &[u64]) {
        for position in positions {
            self.unpublished.remove(position);
        }
    }

    pub(super) fn republish(&mut self, since: Timestamp) -> u64 {
        let since = to_micros(since);
        let young = self.outbox.iter().filter(|(_, aged)| aged.written_at >= since);
        young.filter(|(position, _)| self.unpublished.insert(**position)).count() as u64
    }

    /// Remembers an event's effect at a consumer.
    pub(super) fn take_note(&mut self, row: InboxRow) {
        self.received_last = Some(row.clone());
        self.inbox.insert(row, self.now);
    }

    pub(super) fn prune(&mut self, what: Prunable, before: Timestamp) -> u64 {
        let before = to_micros(before);
        let rows =
            |state: &Self| state.outbox.len() + state.runs.len() + state.inbox.len() + state.idempotency.len() + state.reservations.len();
        let there = rows(self);
        match what {
            Prunable::Events => self.outbox.retain(|position, aged| aged.written_at >= before || self.unpublished.contains(position)),
            Prunable::Inbox => {
                let waiting = self.unpublished.first().and_then(|first| self.outbox.get(first)).map(|aged| aged.written_at);
                let before = waiting.map_or(before, |waiting| waiting.min(before));
                let kept = self.inbox.len();
                let newest = self.received_last.as_ref();
                self.inbox.retain(|row, written_at| *written_at >= before || Some(row) == newest);
                self.inbox_pruned |= self.inbox.len() < kept;
            }
            Prunable::Runs => {
                let going_on = self.going_on();
                let name = |run: &StepRun| (run.resource_kind.clone(), run.resource_id.clone());
                self.runs.retain(|_, aged| {
                    aged.written_at >= before || aged.row.status != RunStatus::Done || going_on.contains(&name(&aged.row))
                });
                self.run_keys.retain(|_, sequence| self.runs.contains_key(sequence));
            }
            Prunable::IdempotencyKeys => self.idempotency.retain(|_, aged| aged.written_at >= before),
            Prunable::Reservations => {
                let mut open = HashSet::new();
                open.extend(self.runs.values().filter(|run| run.row.status != RunStatus::Done).map(|run| &run.row.resource_id));
                self.reservations.retain(|key, reservation| reservation.ended.is_none_or(|ended| ended >= before) || open.contains(key));
            }
        }
        (there - rows(self)) as u64
    }

    /// Resources that are unfinished, and those of which a run has not ended.
    fn going_on(&self) -> HashSet<Name> {
        let unfinished =
            self.resources.iter().filter(|(_, placed)| placed.resource.workflow.as_ref().is_some_and(|progress| !progress.finished));
        let open = self.runs.values().filter(|aged| aged.row.status != RunStatus::Done);
        let open = open.map(|aged| (aged.row.resource_kind.clone(), aged.row.resource_id.clone()));
        unfinished.map(|(name, _)| name.clone()).chain(open).collect()
    }

    pub(super) fn add_dead_letter(&mut self, mut letter: DeadLetter) {
        self.last_letter += 1;
        letter.id = self.last_letter;
        letter.at = to_micros(letter.at);
        self.dead_letters.insert(letter.id, letter);
    }

    pub(super) fn dead_letters(&self, limit: usize) -> Vec<DeadLetter> {
        self.dead_letters.values().take(limit).cloned().collect()
    }

    pub(super) fn drop_dead_letter(&mut self, id: u64) -> bool {
        self.dead_letters.remove(&id).is_some()
    }

    pub(super) fn backlog(&self, now: Timestamp) -> Backlog {
        let mut changes: BTreeMap<String, Vec<(u64, Timestamp)>> = BTreeMap::new();
        for (placed, workflow) in self.active() {
            changes.entry(workflow.to_owned()).or_default().push((placed.place, placed.touched));
        }
        let active = changes.iter().map(|(workflow, changes)| (workflow.clone(), changes.len() as u64)).collect();
        let oldest_active = changes.into_iter().filter_map(|(workflow, mut changes)| {
            changes.sort_unstable();
            let changed = changes.into_iter().take(OLDEST_LOOKED_AT).map(|(_, at)| at).min()?;
            Some((workflow, changed))
        });
        let progress = || self.resources.values().filter_map(|placed| placed.resource.workflow.as_ref());
        let crashed = self.open(RunStatus::Quarantined).filter(|(_, run)| run.crashes > 0);
        let due_timers = self.timers.values().filter(|timer| timer.due_at <= now && self.may_fire(timer)).count();
        let due_runs = self.open(RunStatus::Ready).filter(|(_, run)| run.due_at <= now && self.is_free(run)).count();
        let oldest = self.unpublished.first().and_then(|position| self.outbox.get(position));
        Backlog {
            outbox: self.unpublished.len() as u64,
            oldest_outbox: oldest.map(|aged| aged.written_at),
            parked: (self.open(RunStatus::Quarantined).count() + self.open(RunStatus::Stranded).count()) as u64,
            attention: progress().filter(|progress| progress.attention.is_some()).count() as u64,
            timers: self.timers.len() as u64,
            dead_letters: self.dead_letters.len() as u64,
            active,
            due: (due_timers + due_runs) as u64,
            held: self.holds.len() as u64,
            quarantined: crashed.map(|(_, run)| run.component.clone()).collect::<BTreeSet<_>>().into_iter().collect(),
            oldest_active: oldest_active.collect(),
        }
    }

    pub(super) fn unfinished(&self) -> Vec<(String, String, u64)> {
        let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for (placed, workflow) in self.active() {
            *counts.entry((workflow, placed.resource.state.as_str())).or_default() += 1;
        }
        counts.into_iter().map(|((workflow, state), count)| (workflow.to_owned(), state.to_owned(), count)).collect()
    }

    pub(super) fn unfinished_by_owner(&self, kind: &str, states: &[String]) -> Vec<(String, u64)> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for (placed, _) in self.active().filter(|(placed, _)| placed.resource.kind == kind && states.contains(&placed.resource.state)) {
            if let Some(owner) = &placed.resource.owner {
                *counts.entry(owner).or_default() += 1;
            }
        }
        counts.into_iter().map(|(owner, count)| (owner.to_owned(), count)).collect()
    }

    pub(super) fn pinned(&self) -> Vec<PinnedTo> {
        let mut counts: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
        for (placed, workflow) in self.active() {
            let machine = placed.resource.workflow.as_ref().map_or("", |progress| progress.machine.as_str());
            *counts.entry((workflow, machine, placed.resource.kind.as_str())).or_default() += 1;
        }
        let pinned = |((workflow, definition, kind), instances): ((&str, &str, &str), u64)| PinnedTo {
            workflow: workflow.to_owned(),
            definition: definition.to_owned(),
            kind: kind.to_owned(),
            instances,
        };
        counts.into_iter().map(pinned).collect()
    }

    /// Unfinished instances with the names of their workflows.
    fn active(&self) -> impl Iterator<Item = (&Placed, &str)> {
        self.resources.values().filter_map(|placed| {
            let progress = placed.resource.workflow.as_ref().filter(|progress| !progress.finished)?;
            Some((placed, progress.workflow.as_str()))
        })
    }

    pub(super) fn put_machine(&mut self, digest: &str, definition: &Definition) {
        self.machines.entry(digest.to_owned()).or_insert_with(|| definition.clone());
    }

    pub(super) fn machine(&self, digest: &str) -> Option<Definition> {
        self.machines.get(digest).cloned()
    }

    pub(super) fn put_component(&mut self, component: &str, digest: &str) {
        self.components.insert(component.to_owned(), digest.to_owned());
    }

    pub(super) fn components(&self) -> Vec<(String, String)> {
        self.components.clone().into_iter().collect()
    }
}

fn is_after(resource: &Resource, listing: &Listing) -> bool {
    let Some((created_at, id)) = &listing.after else { return true };
    if listing.by_id {
        return resource.id > *id;
    }
    (resource.created_at, &resource.id) < (to_micros(*created_at), id)
}

/// What a commit and all that comes with it add to the figures of kinds.
pub(super) fn figures_of(commit: &Commit, keys: &[KeysOf]) -> Vec<(String, Figure)> {
    let kind = commit.change.as_ref().map(|(_, resource)| resource.kind.clone());
    let own = kind.zip(figures::added(commit, keys));
    own.into_iter().chain(commit.also.iter().flat_map(|other| figures_of(other, keys))).collect()
}
