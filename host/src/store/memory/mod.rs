//! The store in memory: for tests and for trying things out. It keeps every promise but the one to survive.
//!
//! One lock around one [`State`](state::State); every change checks all its guards before it writes anything, so nothing ever
//! has to be undone.

mod accounts;
mod audit;
mod commit;
mod finished;
mod holds;
mod kv;
mod letters;
mod search;
mod state;
mod stock;
mod users;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use millrace_workflow::Definition;
use parking_lot::Mutex;

use self::state::State;
use super::{
    Audit, AuditEntry, AuditListing, AuditRow, Backlog, Changed, Commit, CommitObserver, CommitStats, Committed, DeadLetter, FieldChange,
    Figure, Group, Guard, HeldReservation, HistoryRow, Hold, IdempotencyRow, InboxRow, Instances, KeysOf, KvEntry, KvOwner, Line, Listing,
    Matches, Messages, NewMove, Note, Operations, OutboxRow, PinnedTo, PriceRow, Progress, Prunable, Redriven, Refused, ReservationStatus,
    Reset, Resource, Resources, Search, Sighted, Sought, Space, Standing, StepRun, Stock, StockLevel, StockLine, StockMove, StoreError,
    Timer, ToldEpoch, User, UserChange, Users, WaitingEvent,
};
use crate::clock::Clock;

/// A store that ends with the process.
#[derive(Debug)]
pub struct Memory {
    state: Arc<Mutex<State>>,
    epoch: u64,
    last_before: u64,
    identity: String,
    clock: Clock,
    keys: Vec<KeysOf>,
    closed: AtomicBool,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Clock::system())
    }

    /// An empty store with a clock of its own; the age of rows (for `prune` and `republish`) is told by it.
    #[must_use]
    pub fn with_clock(clock: Clock) -> Self {
        Self::over(Arc::default(), clock, Vec::new())
    }

    /// The same store, whose resources are found by `keys`.
    #[must_use]
    pub fn with_keys(self, keys: Vec<KeysOf>) -> Self {
        Self { keys, ..self }
    }

    /// The same rows in a new epoch, as after the process was started again.
    #[must_use]
    pub fn reopen(&self) -> Self {
        Self::over(Arc::clone(&self.state), self.clock.clone(), self.keys.clone())
    }

    fn over(state: Arc<Mutex<State>>, clock: Clock, keys: Vec<KeysOf>) -> Self {
        let (epoch, identity) = state.lock().begin_epoch();
        let last_before = state.lock().last_position;
        Self { state, epoch, last_before, identity, clock, keys, closed: AtomicBool::new(false) }
    }

    fn read<T>(&self, query: impl FnOnce(&State) -> T) -> Result<T, StoreError> {
        self.check_open()?;
        Ok(query(&self.state.lock()))
    }

    fn write<T>(&self, work: impl FnOnce(&mut State) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.check_open()?;
        let started = Instant::now();
        let mut state = self.state.lock();
        state.stamp(self.clock.steady());
        state.date(self.clock.now());
        let result = work(&mut state);
        state.stats.commits += 1;
        state.stats.units += 1;
        state.stats.busy += started.elapsed();
        result
    }

    fn check_open(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Fatal("the store is closed".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl Resources for Memory {
    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        let added = state::figures_of(&commit, &self.keys);
        self.write(|state| {
            let committed = state.commit(commit, self.epoch)?;
            state.count(added);
            Ok(committed)
        })
    }

    async fn commit_all(&self, commits: Vec<Commit>) -> Result<(), StoreError> {
        let added: Vec<_> = commits.iter().flat_map(|commit| state::figures_of(commit, &self.keys)).collect();
        self.write(|state| {
            state.commit_all(commits, self.epoch)?;
            state.count(added);
            Ok(())
        })
    }

    async fn resource(&self, kind: &str, id: &str) -> Result<Option<Resource>, StoreError> {
        self.read(|state| state.resource(kind, id))
    }

    async fn resources(&self, listing: &Listing) -> Result<Vec<Resource>, StoreError> {
        self.read(|state| state.resources(listing))
    }

    async fn find(&self, search: &Search) -> Result<Matches, StoreError> {
        self.read(|state| state.matches(search, &self.keys))
    }

    async fn add_note(&self, note: Note, audit: Option<AuditEntry>, request: Option<IdempotencyRow>) -> Result<Option<u64>, StoreError> {
        self.write(|state| Ok(state.add_note(note, audit, request)?))
    }

    async fn notes(&self, kind: &str, id: &str, before: u64, limit: usize) -> Result<Vec<Note>, StoreError> {
        self.read(|state| state.notes(kind, id, before, limit))
    }

    async fn delete_resource(&self, kind: &str, id: &str, guard: Guard, audit: Option<AuditEntry>) -> Result<bool, StoreError> {
        self.write(|state| Ok(state.delete_resource(kind, id, guard, audit)?))
    }

    async fn history(&self, kind: &str, id: &str, after: u64, limit: usize) -> Result<Vec<HistoryRow>, StoreError> {
        self.read(|state| state.history(kind, id, after, limit))
    }

    async fn history_before(&self, kind: &str, id: &str, before: u64, limit: usize) -> Result<Vec<HistoryRow>, StoreError> {
        self.read(|state| state.history_before(kind, id, before, limit))
    }

    async fn figures(&self, kind: &str, (from, to): (i64, i64)) -> Result<Vec<Figure>, StoreError> {
        let kind = kind.to_owned();
        self.read(|state| state.figures.range((kind.clone(), from)..(kind.clone(), to)).map(|(_, figure)| *figure).collect())
    }

    async fn prices(&self, kind: &str, id: &str, limit: usize) -> Result<Vec<PriceRow>, StoreError> {
        self.read(|state| state.prices(kind, id, limit))
    }

    async fn idempotency(&self, user: &str, key: &str) -> Result<Option<IdempotencyRow>, StoreError> {
        self.read(|state| state.idempotency(user, key))
    }

    async fn kv(&self, owner: &KvOwner, key: &str) -> Result<Option<String>, StoreError> {
        self.read(|state| state.kv(owner, key))
    }

    async fn kv_bytes(&self, owner: &KvOwner) -> Result<u64, StoreError> {
        self.read(|state| state.kv_bytes(owner))
    }

    async fn kv_entries(&self, kind: &str, id: &str) -> Result<Vec<KvEntry>, StoreError> {
        self.read(|state| state.kv_entries(kind, id))
    }
}

#[async_trait]
impl Instances for Memory {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn identity(&self) -> &str {
        &self.identity
    }

    async fn progress(&self, kind: &str, id: &str) -> Result<Option<Progress>, StoreError> {
        self.read(|state| state.resource(kind, id).and_then(|resource| resource.workflow))
    }

    async fn claim_runs(&self, line: &Line, now: Timestamp, limit: usize) -> Result<Vec<StepRun>, StoreError> {
        self.write(|state| Ok(state.claim_runs(line, now, limit, self.epoch)))
    }

    async fn claim_run(&self, key: &str) -> Result<Option<StepRun>, StoreError> {
        self.write(|state| Ok(state.claim_run(key, self.epoch)))
    }

    async fn lines(&self) -> Result<Vec<(Line, Timestamp)>, StoreError> {
        self.read(State::lines)
    }

    async fn claimed(&self) -> Result<Vec<StepRun>, StoreError> {
        self.read(|state| state.claimed(self.epoch))
    }

    async fn runs(&self, kind: &str, id: &str) -> Result<Vec<StepRun>, StoreError> {
        self.read(|state| state.runs(kind, id))
    }

    async fn recover_runs(&self, crashed: &[String], park_after: u32) -> Result<Vec<StepRun>, StoreError> {
        self.write(|state| Ok(state.recover_runs(crashed, park_after, self.epoch)))
    }

    async fn release_quarantined(&self, component: &str) -> Result<u64, StoreError> {
        self.write(|state| Ok(state.release_quarantined(component)))
    }

    async fn wake(&self, component: &str) -> Result<u64, StoreError> {
        self.write(|state| Ok(state.wake(component)))
    }

    async fn due_timers(&self, now: Timestamp, limit: usize) -> Result<Vec<Timer>, StoreError> {
        self.read(|state| state.due_timers(now, limit))
    }

    async fn timers(&self, kind: &str, id: &str) -> Result<Vec<Timer>, StoreError> {
        self.read(|state| state.timers_of(kind, id))
    }

    async fn next_timer_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(State::next_timer_due)
    }

    async fn drop_timer(&self, timer: &Timer) -> Result<(), StoreError> {
        self.write(|state| {
            state.drop_timer(timer);
            Ok(())
        })
    }

    async fn hold(&self, kind: &str, id: &str, hold: Hold, audit: Option<AuditEntry>) -> Result<bool, StoreError> {
        self.write(|state| {
            let held = state.hold(kind, id, hold);
            state.note(audit.filter(|_| held));
            Ok(held)
        })
    }

    async fn let_go(&self, kind: &str, id: &str, audit: Option<AuditEntry>) -> Result<bool, StoreError> {
        self.write(|state| {
            let was_held = state.let_go(kind, id);
            state.note(audit.filter(|_| was_held));
            Ok(was_held)
        })
    }

    async fn held(&self, kind: &str, id: &str) -> Result<Option<Hold>, StoreError> {
        self.read(|state| state.held(kind, id))
    }

    async fn holds(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.read(|state| state.holds.keys().cloned().collect())
    }

    async fn let_wait(&self, event: WaitingEvent) -> Result<bool, StoreError> {
        self.write(|state| Ok(state.let_wait(event.clone())?))
    }

    async fn waiting(&self, kind: &str, id: &str, limit: usize) -> Result<Vec<WaitingEvent>, StoreError> {
        self.read(|state| state.waiting(kind, id).take(limit).cloned().collect())
    }

    async fn waiting_counts(&self) -> Result<Vec<(String, String, u64)>, StoreError> {
        self.read(State::waiting_counts)
    }

    async fn drop_waiting(&self, number: u64) -> Result<bool, StoreError> {
        self.write(|state| Ok(state.waiting.remove(&number).is_some()))
    }

    async fn hurry(&self, kind: &str, id: &str, audit: Option<AuditEntry>) -> Result<u64, StoreError> {
        self.write(|state| {
            let runs = state.hurry(kind, id);
            state.note(audit.filter(|_| runs > 0));
            Ok(runs)
        })
    }

    async fn put_machine(&self, digest: &str, definition: &Definition) -> Result<(), StoreError> {
        self.write(|state| {
            state.put_machine(digest, definition);
            Ok(())
        })
    }

    async fn machine(&self, digest: &str) -> Result<Option<Definition>, StoreError> {
        self.read(|state| state.machine(digest))
    }

    async fn unfinished(&self) -> Result<Vec<(String, String, u64)>, StoreError> {
        self.read(State::unfinished)
    }

    async fn unfinished_by_owner(&self, kind: &str, states: &[String]) -> Result<Vec<(String, u64)>, StoreError> {
        self.read(|state| state.unfinished_by_owner(kind, states))
    }

    async fn pinned(&self) -> Result<Vec<PinnedTo>, StoreError> {
        self.read(State::pinned)
    }
}

#[async_trait]
impl Messages for Memory {
    fn last_before(&self) -> u64 {
        self.last_before
    }

    async fn unpublished(&self, after: u64, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        self.read(|state| state.unpublished(after, limit))
    }

    async fn unpublished_count(&self) -> Result<u64, StoreError> {
        self.read(|state| state.unpublished.len() as u64)
    }

    async fn mark_published(&self, positions: &[u64]) -> Result<(), StoreError> {
        self.write(|state| {
            state.mark_published(positions);
            Ok(())
        })
    }

    async fn republish(&self, since: Timestamp) -> Result<u64, StoreError> {
        // A date that was set forward is ahead of the steady time that rows have: rather one event too many than one too few.
        let behind = self.clock.steady().duration_since(self.clock.now()).min(SignedDuration::ZERO);
        self.write(|state| Ok(state.republish(since.saturating_add(behind).unwrap_or(since))))
    }

    async fn handled(&self, row: &InboxRow) -> Result<bool, StoreError> {
        self.read(|state| state.inbox.contains_key(row))
    }

    async fn handled_since(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(|state| state.inbox.values().min().copied().filter(|_| state.inbox_pruned))
    }

    async fn add_dead_letter(&self, letter: DeadLetter) -> Result<(), StoreError> {
        self.write(|state| {
            state.add_dead_letter(letter);
            Ok(())
        })
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        self.read(|state| state.dead_letters(limit))
    }

    async fn redrive(&self, topics: &[String], audit: Option<AuditEntry>) -> Result<Redriven, StoreError> {
        self.write(|state| {
            let redriven = state.redrive(topics);
            state.note(audit.filter(|_| redriven.letters > 0));
            Ok(redriven)
        })
    }

    async fn discard(&self, topic: &str, through: Option<u64>, audit: Option<AuditEntry>) -> Result<u64, StoreError> {
        self.write(|state| {
            let letters = state.discard(topic, through);
            state.note(audit.filter(|_| letters > 0));
            Ok(letters)
        })
    }

    async fn drop_dead_letter(&self, id: u64) -> Result<bool, StoreError> {
        self.write(|state| Ok(state.drop_dead_letter(id)))
    }
}

#[async_trait]
impl Users for Memory {
    async fn add_user(&self, user: User) -> Result<(), StoreError> {
        self.write(|state| state.add_user(user))
    }

    async fn update_user(&self, id: &str, name: Option<&str>, email: Option<&str>) -> Result<Option<User>, StoreError> {
        self.write(|state| state.update_user(id, name, email))
    }

    async fn change_user(&self, id: &str, change: UserChange) -> Result<Option<Changed>, StoreError> {
        self.write(|state| state.change_user(id, change))
    }

    async fn user(&self, id: &str) -> Result<Option<User>, StoreError> {
        self.read(|state| state.user(id))
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        self.read(|state| state.user_by_email(email))
    }

    async fn users(&self, search: &str, has_roles: bool, after: &str, limit: usize) -> Result<Vec<User>, StoreError> {
        self.read(|state| state.users(search, has_roles, after, limit))
    }

    async fn standing(&self, id: &str) -> Result<Option<Standing>, StoreError> {
        self.read(|state| state.standing(id))
    }

    async fn hear_epoch(&self, id: &str, epoch: u64, at: i64) -> Result<(), StoreError> {
        self.write(|state| {
            state.hear_epoch(id, epoch, at);
            Ok(())
        })
    }

    async fn untold(&self, limit: usize) -> Result<Vec<User>, StoreError> {
        self.read(|state| state.untold(limit))
    }

    async fn tell(&self, told: Vec<ToldEpoch>) -> Result<(), StoreError> {
        self.write(|state| {
            state.tell(told);
            Ok(())
        })
    }

    async fn add_reset(&self, reset: Reset, now: Timestamp, event: OutboxRow) -> Result<(), StoreError> {
        self.write(|state| {
            state.add_reset(reset, now, event);
            Ok(())
        })
    }

    async fn reset_of(&self, digest: &str, now: Timestamp) -> Result<Option<String>, StoreError> {
        self.read(|state| state.reset_of(digest, now))
    }

    async fn use_reset(&self, digest: &str, now: Timestamp, change: UserChange) -> Result<Option<Changed>, StoreError> {
        self.write(|state| state.use_reset(digest, now, change))
    }
}

#[async_trait]
impl Stock for Memory {
    async fn stock(&self) -> Result<Vec<StockLevel>, StoreError> {
        self.read(State::stock)
    }

    async fn stock_of(&self, sku: &str) -> Result<Option<StockLevel>, StoreError> {
        self.read(|state| state.stock_of(sku))
    }

    async fn reservations(&self) -> Result<Vec<HeldReservation>, StoreError> {
        self.read(State::reservations)
    }

    async fn reserve(&self, key: &str, lines: &[StockLine]) -> Result<ReservationStatus, StoreError> {
        self.write(|state| state.reserve(key, lines))
    }

    async fn end_reservation(&self, key: &str, end: ReservationStatus) -> Result<Option<ReservationStatus>, StoreError> {
        self.write(|state| Ok(state.end_reservation(key, end)))
    }

    async fn put_back(&self, key: &str, lines: &[StockLine]) -> Result<bool, StoreError> {
        self.write(|state| Ok(state.put_back(key, lines)))
    }

    async fn move_stock(&self, new: NewMove) -> Result<StockMove, StoreError> {
        self.write(|state| state.move_stock(new))
    }

    async fn stock_moves(&self, sku: &str, before: u64, limit: usize) -> Result<Vec<StockMove>, StoreError> {
        self.read(|state| state.stock_moves(sku, before, limit))
    }

    async fn reserved_by(&self, sku: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        self.read(|state| state.reserved_by(sku, limit))
    }
}

impl Group for Memory {}

#[async_trait]
impl Audit for Memory {
    async fn note(&self, entries: Vec<AuditEntry>) -> Result<(), StoreError> {
        self.write(|state| {
            state.note(entries);
            Ok(())
        })
    }

    async fn audited(&self, listing: &AuditListing) -> Result<Vec<AuditRow>, StoreError> {
        self.read(|state| state.audited(listing))
    }

    async fn audited_after(&self, seq: u64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        self.read(|state| state.audited_after(seq, limit))
    }
}

#[async_trait]
impl Operations for Memory {
    async fn put_components(&self, versions: &[(String, String)]) -> Result<(), StoreError> {
        self.write(|state| {
            versions.iter().for_each(|(component, digest)| state.put_component(component, digest));
            Ok(())
        })
    }

    async fn components(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.read(State::components)
    }

    async fn prune(&self, what: Prunable, before: Timestamp) -> Result<u64, StoreError> {
        self.write(|state| Ok(state.prune(what, before)))
    }

    async fn finished(
        &self,
        kind: &str,
        before: Timestamp,
        after: Option<(Timestamp, String)>,
        limit: usize,
    ) -> Result<Vec<Resource>, StoreError> {
        self.read(|state| state.finished(kind, before, after.as_ref(), limit))
    }

    async fn forget_finished(&self, kind: &str, instances: &[(String, u64)]) -> Result<u64, StoreError> {
        self.write(|state| Ok(state.forget_finished(kind, instances)))
    }

    /// Resources are found by what their data is when they are looked for.
    async fn give_keys(&self) -> Result<bool, StoreError> {
        self.check_open().map(|()| false)
    }

    async fn give_back(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn find(&self, sought: &Sought) -> Result<Sighted, StoreError> {
        self.read(|state| state.find(sought))
    }

    async fn count(&self, sought: &Sought) -> Result<(u64, bool), StoreError> {
        let Sighted { found, next } = self.read(|state| state.find(&Sought { after: None, ..sought.clone() }))?;
        Ok((found.len() as u64, next.is_none()))
    }

    async fn changes(&self, kind: &str, id: &str, between: (u64, u64), limit: usize) -> Result<Vec<(u64, Vec<FieldChange>)>, StoreError> {
        self.read(|state| state.changes(kind, id, between, limit))
    }

    async fn kinds(&self) -> Result<Vec<String>, StoreError> {
        self.read(State::kinds)
    }

    async fn set_aside(&self, limit: usize) -> Result<Vec<StepRun>, StoreError> {
        self.read(|state| state.set_aside(limit))
    }

    async fn release_run(&self, key: &str, audit: Option<AuditEntry>) -> Result<bool, StoreError> {
        self.write(|state| {
            let released = state.release_run(key);
            state.note(audit.filter(|_| released));
            Ok(released)
        })
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        let now = self.clock.steady();
        self.read(|state| state.backlog(now))
    }

    async fn try_write(&self) -> Result<(), StoreError> {
        self.write(|_| Ok(()))
    }

    fn refused(&self) -> Option<Refused> {
        None
    }

    fn space(&self) -> std::io::Result<Option<Space>> {
        Ok(None)
    }

    fn commit_stats(&self) -> CommitStats {
        self.state.lock().stats.clone()
    }

    /// A transaction in memory takes no time that is worth telling.
    fn on_commit(&self, _observe: CommitObserver) {}

    async fn failed(&self) -> String {
        std::future::pending().await
    }

    async fn answers(&self) {}

    /// There is nothing that a copy could be made of: always [`StoreError::Unavailable`].
    async fn backup(&self, _path: &Path) -> Result<(), StoreError> {
        self.check_open()?;
        Err(StoreError::Unavailable("a store in memory cannot be backed up".into()))
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }
}
