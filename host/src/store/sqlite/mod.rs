//! The store on SQLite: one thread writes in groups, a few connections read.
//!
//! Durability rests on three things, asserted at the start: a write-ahead log with `synchronous=FULL`, a SQLite without the
//! log-reset fault, and locks that keep a second process away. Times are kept to the microsecond. What waits or has an age is kept in the
//! steady time of [`Clock::steady`], which goes on from process to process; dates are only shown.

mod audit;
mod backup;
mod check;
mod columns;
mod commit;
mod connection;
mod copying;
mod figures;
mod finished;
mod holds;
mod idempotency;
mod keys;
mod kv;
mod lock;
mod mark;
pub mod offline;
mod opening;
mod outbox;
#[cfg(test)]
mod plans;
mod readers;
mod registry;
mod resources;
mod retention;
mod runs;
mod search;
mod sought;
mod stock;
#[cfg(test)]
mod tests;
mod tokens;
mod unit;
mod users;
mod waiting;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use millrace_workflow::Definition;

use self::readers::Readers;
use self::writer::WriterHandle;
use super::prepared::Prepared;
use super::{
    Audit, AuditEntry, AuditListing, AuditRow, Backlog, Changed, Commit, CommitObserver, CommitStats, Committed, DeadLetter, FieldChange,
    Figure, Group, Guard, HeldReservation, HistoryRow, Hold, IdempotencyRow, InboxRow, Instances, KeysOf, KvEntry, KvOwner, Line, Listing,
    Matches, Messages, NewMove, Note, Operations, OutboxRow, PinnedTo, PriceRow, Progress, Prunable, Redriven, Refused, ReservationStatus,
    Reset, Resource, Resources, Search, Sighted, Sought, Space, Standing, StepRun, Stock, StockLevel, StockLine, StockMove, StoreError,
    Timer, ToldEpoch, User, UserChange, Users, WaitingEvent,
};
use crate::clock::Clock;

pub use self::backup::{Copied, back_up, restore};
pub use self::connection::OpenError;
pub(super) use self::copying::{Source as CopySource, Target as CopyTarget};
#[cfg(test)]
pub(crate) use self::tests::BadDisk;

/// Most reading connections that are opened.
const MAX_READERS: usize = 64;

/// A store in one SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    epoch: u64,
    identity: String,
    last_before: u64,
    path: PathBuf,
    keys: Arc<[KeysOf]>,
    clock: Clock,
    writer: WriterHandle,
    readers: Readers,
}

impl Sqlite {
    /// Opens or makes the database, brings its tables up to date and begins a new epoch. The age of rows (for `prune` and `republish`) is
    /// told by `clock`.
    ///
    /// # Errors
    /// [`OpenError`], which names the file: in use by another process, not writable, or not a database of this program.
    pub fn open(path: &Path, readers: usize, keys: &[KeysOf], clock: Clock) -> Result<Self, OpenError> {
        connection::check_version(rusqlite::version_number())?;
        let opened = opening::open(path, &clock)?;
        let (epoch, identity, last_before) = (opened.epoch, opened.identity.clone(), opened.tail.position.unsigned_abs());
        let reading = (0..readers.clamp(1, MAX_READERS)).map(|_| connection::open_reader(path));
        let readers = Readers::new(reading.collect::<Result<_, _>>()?);
        let keys: Arc<[KeysOf]> = keys.into();
        let writer = WriterHandle::start(opened, clock.clone(), Arc::clone(&keys))
            .map_err(|cause| OpenError::Thread { path: path.to_owned(), cause })?;
        Ok(Self { epoch: epoch.unsigned_abs(), identity, last_before, path: path.to_owned(), keys, clock, writer, readers })
    }
}

#[async_trait]
impl Resources for Sqlite {
    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        let prepared = Prepared::new(commit, &self.keys).map_err(|error| StoreError::Unavailable(format!("data is no JSON: {error}")))?;
        if prepared.commit.is_a_receipt() {
            return self.writer.write_when_others_do(move |writing| commit::write(&prepared, writing)).await;
        }
        self.writer.write_repeatably(move |writing| commit::write(&prepared, writing)).await
    }

    async fn commit_all(&self, commits: Vec<Commit>) -> Result<(), StoreError> {
        let prepared: Result<Vec<_>, _> = commits.into_iter().map(|commit| Prepared::new(commit, &self.keys)).collect();
        let prepared = prepared.map_err(|error| StoreError::Unavailable(format!("data is no JSON: {error}")))?;
        self.writer.write_repeatably(move |writing| prepared.iter().try_for_each(|commit| commit::write(commit, writing).map(drop))).await
    }

    async fn resource(&self, kind: &str, id: &str) -> Result<Option<Resource>, StoreError> {
        self.readers.look_up(|connection| resources::select_resource(connection, kind, id)).await
    }

    async fn resources(&self, listing: &Listing) -> Result<Vec<Resource>, StoreError> {
        let listing = listing.clone();
        self.readers.read(move |connection| resources::select_resources(connection, &listing)).await
    }

    async fn find(&self, search: &Search) -> Result<Matches, StoreError> {
        let search = search.clone();
        self.readers.read(move |connection| search::find(connection, &search)).await
    }

    async fn add_note(&self, note: Note, audit: Option<AuditEntry>, request: Option<IdempotencyRow>) -> Result<Option<u64>, StoreError> {
        self.writer.write(move |writing| keys::add_note(writing, &note, audit, request)).await
    }

    async fn notes(&self, kind: &str, id: &str, before: u64, limit: usize) -> Result<Vec<Note>, StoreError> {
        self.readers.look_up(|connection| keys::notes(connection, kind, id, before, limit)).await
    }

    async fn delete_resource(&self, kind: &str, id: &str, guard: Guard, audit: Option<AuditEntry>) -> Result<bool, StoreError> {
        let (kind, id) = (kind.to_owned(), id.to_owned());
        self.writer.write(move |writing| resources::delete_resource(writing, kind, id, guard, audit)).await
    }

    async fn history(&self, kind: &str, id: &str, after: u64, limit: usize) -> Result<Vec<HistoryRow>, StoreError> {
        self.readers.look_up(|connection| resources::select_history(connection, kind, id, after, limit)).await
    }

    async fn history_before(&self, kind: &str, id: &str, before: u64, limit: usize) -> Result<Vec<HistoryRow>, StoreError> {
        self.readers.look_up(|connection| resources::select_history_before(connection, kind, id, before, limit)).await
    }

    async fn figures(&self, kind: &str, minutes: (i64, i64)) -> Result<Vec<Figure>, StoreError> {
        self.readers.look_up(|connection| figures::select(connection, kind, minutes)).await
    }

    async fn prices(&self, kind: &str, id: &str, limit: usize) -> Result<Vec<PriceRow>, StoreError> {
        self.readers.look_up(|connection| resources::select_prices(connection, kind, id, limit)).await
    }

    async fn idempotency(&self, user: &str, key: &str) -> Result<Option<IdempotencyRow>, StoreError> {
        self.readers.look_up(|connection| idempotency::select_idempotency(connection, user, key)).await
    }

    async fn kv(&self, owner: &KvOwner, key: &str) -> Result<Option<String>, StoreError> {
        self.readers.look_up(|connection| kv::value(connection, owner, key)).await
    }

    async fn kv_bytes(&self, owner: &KvOwner) -> Result<u64, StoreError> {
        let owner = owner.clone();
        self.readers.read(move |connection| kv::bytes(connection, &owner)).await
    }

    async fn kv_entries(&self, kind: &str, id: &str) -> Result<Vec<KvEntry>, StoreError> {
        self.readers.look_up(|connection| kv::entries(connection, kind, id)).await
    }
}

#[async_trait]
impl Instances for Sqlite {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn identity(&self) -> &str {
        &self.identity
    }

    async fn progress(&self, kind: &str, id: &str) -> Result<Option<Progress>, StoreError> {
        self.readers.look_up(|connection| resources::select_progress(connection, kind, id)).await
    }

    async fn claim_runs(&self, line: &Line, now: Timestamp, limit: usize) -> Result<Vec<StepRun>, StoreError> {
        let line = line.clone();
        self.writer.write_repeatably(move |writing| runs::claim(writing, &line, now, limit)).await
    }

    async fn claim_run(&self, key: &str) -> Result<Option<StepRun>, StoreError> {
        let key = key.to_owned();
        self.writer.write_repeatably(move |writing| runs::claim_one(writing, &key)).await
    }

    async fn lines(&self) -> Result<Vec<(Line, Timestamp)>, StoreError> {
        self.readers.look_up(|connection| runs::lines(connection)).await
    }

    async fn claimed(&self) -> Result<Vec<StepRun>, StoreError> {
        let epoch = self.epoch;
        self.readers.read(move |connection| runs::claimed(connection, epoch)).await
    }

    async fn runs(&self, kind: &str, id: &str) -> Result<Vec<StepRun>, StoreError> {
        self.readers.look_up(|connection| runs::of_resource(connection, kind, id)).await
    }

    async fn recover_runs(&self, crashed: &[String], park_after: u32) -> Result<Vec<StepRun>, StoreError> {
        let crashed = crashed.to_vec();
        self.writer.write(move |writing| runs::recover(writing, &crashed, park_after)).await
    }

    async fn release_quarantined(&self, component: &str) -> Result<u64, StoreError> {
        let component = component.to_owned();
        self.writer.write(move |writing| runs::release_quarantined(writing, &component)).await
    }

    async fn wake(&self, component: &str) -> Result<u64, StoreError> {
        let component = component.to_owned();
        self.writer.write(move |writing| runs::wake(writing, &component)).await
    }

    async fn due_timers(&self, now: Timestamp, limit: usize) -> Result<Vec<Timer>, StoreError> {
        self.readers.read(move |connection| runs::due_timers(connection, now, limit)).await
    }

    async fn timers(&self, kind: &str, id: &str) -> Result<Vec<Timer>, StoreError> {
        self.readers.look_up(|connection| runs::timers_of(connection, kind, id)).await
    }

    async fn next_timer_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.readers.look_up(|connection| runs::next_timer_due(connection)).await
    }

    async fn drop_timer(&self, timer: &Timer) -> Result<(), StoreError> {
        let timer = timer.clone();
        self.writer.write_repeatably(move |writing| runs::drop_timer(writing, &timer)).await
    }

    async fn hold(&self, kind: &str, id: &str, hold: Hold, audit: Option<AuditEntry>) -> Result<bool, StoreError> {
        let (kind, id) = (kind.to_owned(), id.to_owned());
        self.writer
            .write(move |writing| {
                let held = holds::hold(writing, &kind, &id, &hold)?;
                audited(writing, held, audit).map(|()| held)
            })
            .await
    }

    async fn let_go(&self, kind: &str, id: &str, audit: Option<AuditEntry>) -> Result<bool, StoreError> {
        let (kind, id) = (kind.to_owned(), id.to_owned());
        self.writer
            .write(move |writing| {
                let was_held = holds::let_go(writing, &kind, &id)?;
                audited(writing, was_held, audit).map(|()| was_held)
            })
            .await
    }

    async fn held(&self, kind: &str, id: &str) -> Result<Option<Hold>, StoreError> {
        self.readers.look_up(|connection| holds::held(connection, kind, id)).await
    }

    async fn holds(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.readers.read(|connection| holds::all(connection)).await
    }

    async fn let_wait(&self, event: WaitingEvent) -> Result<bool, StoreError> {
        self.writer.write(move |writing| waiting::keep(writing, &event)).await
    }

    async fn waiting(&self, kind: &str, id: &str, limit: usize) -> Result<Vec<WaitingEvent>, StoreError> {
        self.readers.look_up(|connection| waiting::of(connection, kind, id, limit)).await
    }

    async fn waiting_counts(&self) -> Result<Vec<(String, String, u64)>, StoreError> {
        self.readers.read(|connection| waiting::counts(connection)).await
    }

    async fn drop_waiting(&self, number: u64) -> Result<bool, StoreError> {
        self.writer.write(move |writing| waiting::remove(writing, number)).await
    }

    async fn hurry(&self, kind: &str, id: &str, audit: Option<AuditEntry>) -> Result<u64, StoreError> {
        let (kind, id) = (kind.to_owned(), id.to_owned());
        self.writer
            .write(move |writing| {
                let runs = holds::hurry(writing, &kind, &id)?;
                audited(writing, runs > 0, audit).map(|()| runs)
            })
            .await
    }

    async fn put_machine(&self, digest: &str, definition: &Definition) -> Result<(), StoreError> {
        let definition = serde_json::to_string(definition).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let digest = digest.to_owned();
        self.writer.write(move |writing| registry::put_machine(writing, &digest, &definition)).await
    }

    async fn machine(&self, digest: &str) -> Result<Option<Definition>, StoreError> {
        self.readers.look_up(|connection| registry::machine(connection, digest)).await
    }

    async fn unfinished(&self) -> Result<Vec<(String, String, u64)>, StoreError> {
        self.readers.read(|connection| registry::unfinished(connection)).await
    }

    async fn unfinished_by_owner(&self, kind: &str, states: &[String]) -> Result<Vec<(String, u64)>, StoreError> {
        let (kind, states) = (kind.to_owned(), states.to_owned());
        self.readers.read(move |connection| registry::unfinished_by_owner(connection, &kind, &states)).await
    }

    async fn pinned(&self) -> Result<Vec<PinnedTo>, StoreError> {
        self.readers.read(|connection| registry::pinned(connection)).await
    }
}

#[async_trait]
impl Messages for Sqlite {
    fn last_before(&self) -> u64 {
        self.last_before
    }

    async fn unpublished(&self, after: u64, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        self.readers.read(move |connection| outbox::unpublished(connection, after, limit)).await
    }

    async fn unpublished_count(&self) -> Result<u64, StoreError> {
        self.readers.read(|connection| outbox::unpublished_count(connection)).await
    }

    async fn mark_published(&self, positions: &[u64]) -> Result<(), StoreError> {
        let mut positions = positions.to_vec();
        positions.sort_unstable();
        self.writer.write_when_others_do(move |writing| outbox::mark_published(writing, &positions)).await
    }

    async fn republish(&self, since: Timestamp) -> Result<u64, StoreError> {
        self.writer.write(move |writing| outbox::republish(writing, since)).await
    }

    async fn handled(&self, row: &InboxRow) -> Result<bool, StoreError> {
        self.readers.look_up(|connection| outbox::handled(connection, row)).await
    }

    async fn handled_since(&self) -> Result<Option<Timestamp>, StoreError> {
        self.readers.look_up(|connection| outbox::handled_since(connection)).await
    }

    async fn add_dead_letter(&self, letter: DeadLetter) -> Result<(), StoreError> {
        self.writer.write(move |writing| outbox::add_dead_letter(writing, &letter)).await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        self.readers.read(move |connection| outbox::dead_letters(connection, limit)).await
    }

    async fn redrive(&self, topics: &[String], audit: Option<AuditEntry>) -> Result<Redriven, StoreError> {
        let topics = topics.to_vec();
        let redrivable = self.readers.read(move |connection| outbox::redrivable(connection, &topics)).await?;
        self.writer
            .write(move |writing| {
                let redriven = outbox::redrive(writing.connection, redrivable)?;
                audited(writing, redriven.letters > 0, audit).map(|()| redriven)
            })
            .await
    }

    async fn discard(&self, topic: &str, through: Option<u64>, audit: Option<AuditEntry>) -> Result<u64, StoreError> {
        let topic = topic.to_owned();
        self.writer
            .write(move |writing| {
                let letters = outbox::discard_offline(writing.connection, &topic, through)?;
                audited(writing, letters > 0, audit).map(|()| letters)
            })
            .await
    }

    async fn drop_dead_letter(&self, id: u64) -> Result<bool, StoreError> {
        self.writer.write(move |writing| outbox::drop_dead_letter(writing, id)).await
    }
}

#[async_trait]
impl Users for Sqlite {
    async fn add_user(&self, user: User) -> Result<(), StoreError> {
        self.writer.write(move |writing| users::add(writing, &user)).await
    }

    async fn update_user(&self, id: &str, name: Option<&str>, email: Option<&str>) -> Result<Option<User>, StoreError> {
        let (id, name, email) = (id.to_owned(), name.map(str::to_owned), email.map(str::to_owned));
        self.writer.write(move |writing| users::update(writing, &id, name.as_deref(), email.as_deref())).await
    }

    async fn change_user(&self, id: &str, change: UserChange) -> Result<Option<Changed>, StoreError> {
        let id = id.to_owned();
        self.writer.write(move |writing| users::change(writing.connection, &id, change)).await
    }

    async fn user(&self, id: &str) -> Result<Option<User>, StoreError> {
        self.readers.look_up(|connection| users::by_id(connection, id)).await
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        self.readers.look_up(|connection| users::by_email(connection, email)).await
    }

    async fn users(&self, search: &str, has_roles: bool, after: &str, limit: usize) -> Result<Vec<User>, StoreError> {
        let (search, after) = (search.to_owned(), after.to_owned());
        self.readers.read(move |connection| users::search(connection, (&search, has_roles), &after, limit)).await
    }

    async fn standing(&self, id: &str) -> Result<Option<Standing>, StoreError> {
        self.readers.look_up(|connection| tokens::standing(connection, id)).await
    }

    async fn hear_epoch(&self, id: &str, epoch: u64, at: i64) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.writer.write(move |writing| tokens::hear(writing, &id, epoch, at)).await
    }

    async fn untold(&self, limit: usize) -> Result<Vec<User>, StoreError> {
        self.readers.read(move |connection| users::untold(connection, limit)).await
    }

    async fn tell(&self, told: Vec<ToldEpoch>) -> Result<(), StoreError> {
        self.writer.write(move |writing| tokens::tell(writing, told)).await
    }

    async fn add_reset(&self, reset: Reset, now: Timestamp, event: OutboxRow) -> Result<(), StoreError> {
        self.writer.write(move |writing| tokens::add_reset(writing, &reset, now, event)).await
    }

    async fn reset_of(&self, digest: &str, now: Timestamp) -> Result<Option<String>, StoreError> {
        self.readers.look_up(|connection| tokens::reset_of(connection, digest, now)).await
    }

    async fn use_reset(&self, digest: &str, now: Timestamp, change: UserChange) -> Result<Option<Changed>, StoreError> {
        let digest = digest.to_owned();
        self.writer.write(move |writing| tokens::use_reset(writing, &digest, now, change)).await
    }
}

#[async_trait]
impl Stock for Sqlite {
    async fn stock(&self) -> Result<Vec<StockLevel>, StoreError> {
        self.readers.read(|connection| stock::levels(connection)).await
    }

    async fn stock_of(&self, sku: &str) -> Result<Option<StockLevel>, StoreError> {
        self.readers.look_up(|connection| stock::level(connection, sku)).await
    }

    async fn reservations(&self) -> Result<Vec<HeldReservation>, StoreError> {
        self.readers.read(|connection| stock::held(connection)).await
    }

    async fn reserve(&self, key: &str, lines: &[StockLine]) -> Result<ReservationStatus, StoreError> {
        let (key, lines) = (key.to_owned(), lines.to_vec());
        self.writer.write_repeatably(move |writing| stock::reserve(writing, &key, &lines)).await
    }

    async fn end_reservation(&self, key: &str, end: ReservationStatus) -> Result<Option<ReservationStatus>, StoreError> {
        let key = key.to_owned();
        self.writer.write_repeatably(move |writing| stock::end(writing, &key, end)).await
    }

    async fn put_back(&self, key: &str, lines: &[StockLine]) -> Result<bool, StoreError> {
        let (key, lines) = (key.to_owned(), lines.to_vec());
        self.writer.write_repeatably(move |writing| stock::put_back(writing, &key, &lines)).await
    }

    async fn move_stock(&self, new: NewMove) -> Result<StockMove, StoreError> {
        self.writer.write(move |writing| stock::move_by_hand(writing, new)).await
    }

    async fn stock_moves(&self, sku: &str, before: u64, limit: usize) -> Result<Vec<StockMove>, StoreError> {
        self.readers.look_up(|connection| stock::moves(connection, sku, before, limit)).await
    }

    async fn reserved_by(&self, sku: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        let sku = sku.to_owned();
        self.readers.read(move |connection| stock::reserved_by(connection, &sku, limit)).await
    }
}

impl Group for Sqlite {}

#[async_trait]
impl Audit for Sqlite {
    async fn note(&self, entries: Vec<AuditEntry>) -> Result<(), StoreError> {
        self.writer.write(move |writing| Ok(audit::append(writing.connection, entries)?)).await
    }

    async fn audited(&self, listing: &AuditListing) -> Result<Vec<AuditRow>, StoreError> {
        let listing = listing.clone();
        self.readers.read(move |connection| audit::list(connection, &listing)).await
    }

    async fn audited_after(&self, seq: u64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        self.readers.read(move |connection| audit::after(connection, seq, limit)).await
    }
}

#[async_trait]
impl Operations for Sqlite {
    async fn put_components(&self, versions: &[(String, String)]) -> Result<(), StoreError> {
        let versions = versions.to_vec();
        self.writer.write(move |writing| registry::put_components(writing, &versions)).await
    }

    async fn components(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.readers.read(|connection| registry::components(connection)).await
    }

    async fn prune(&self, what: Prunable, before: Timestamp) -> Result<u64, StoreError> {
        let boundary = self.readers.read(move |connection| what.boundary(connection, before)).await?;
        let (mut after, mut total) = (i64::MIN, 0);
        while let Some(last) = self.readers.read(move |connection| what.stretch(connection, after, boundary)).await? {
            total += self.writer.write(move |writing| what.prune(writing, after, last)).await?;
            after = last;
        }
        Ok(total)
    }

    async fn finished(
        &self,
        kind: &str,
        before: Timestamp,
        after: Option<(Timestamp, String)>,
        limit: usize,
    ) -> Result<Vec<Resource>, StoreError> {
        let kind = kind.to_owned();
        let age = self.clock.steady().duration_since(before);
        let created_before = self.clock.now().checked_sub(age).unwrap_or(Timestamp::MAX);
        let wanted = finished::Wanted { kind, before, created_before, after, limit };
        self.readers.read(move |connection| finished::select(connection, &wanted)).await
    }

    async fn forget_finished(&self, kind: &str, instances: &[(String, u64)]) -> Result<u64, StoreError> {
        let (kind, instances) = (kind.to_owned(), instances.to_vec());
        self.writer.write(move |writing| finished::forget(writing, &kind, &instances)).await
    }

    async fn give_keys(&self) -> Result<bool, StoreError> {
        let keys = Arc::clone(&self.keys);
        // Looked up first: where nothing is lacking nothing is written.
        if self.readers.look_up(|connection| keys::is_complete(connection, &keys)).await? {
            return Ok(false);
        }
        self.writer.write(|writing| keys::give_some(writing)).await
    }

    async fn give_back(&self) -> Result<u64, StoreError> {
        let (mut left, mut bytes) = (self.readers.read(|connection| retention::pages_to_give(connection)).await?, 0);
        while left > 0 {
            let given = self.writer.write(move |writing| retention::give_pages(writing, left)).await?;
            if given.pages == 0 {
                break;
            }
            left -= given.pages.cast_signed();
            bytes += given.bytes;
        }
        Ok(bytes)
    }

    async fn find(&self, sought: &Sought) -> Result<Sighted, StoreError> {
        let sought = sought.clone();
        self.readers.read(move |connection| sought::find(connection, &sought)).await
    }

    async fn count(&self, sought: &Sought) -> Result<(u64, bool), StoreError> {
        let sought = Sought { after: None, ..sought.clone() };
        self.readers.read(move |connection| sought::count(connection, &sought)).await
    }

    async fn changes(&self, kind: &str, id: &str, between: (u64, u64), limit: usize) -> Result<Vec<(u64, Vec<FieldChange>)>, StoreError> {
        self.readers.look_up(|connection| resources::select_changes(connection, (kind, id), between, limit)).await
    }

    async fn kinds(&self) -> Result<Vec<String>, StoreError> {
        self.readers.look_up(|connection| holds::kinds(connection)).await
    }

    async fn set_aside(&self, limit: usize) -> Result<Vec<StepRun>, StoreError> {
        self.readers.read(move |connection| holds::set_aside(connection, limit)).await
    }

    async fn release_run(&self, key: &str, audit: Option<AuditEntry>) -> Result<bool, StoreError> {
        let key = key.to_owned();
        self.writer
            .write(move |writing| {
                let released = holds::release(writing, &key)?;
                audited(writing, released, audit).map(|()| released)
            })
            .await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        let now = self.clock.steady();
        self.readers.read(move |connection| registry::backlog(connection, now)).await
    }

    async fn try_write(&self) -> Result<(), StoreError> {
        self.writer.write(|writing| registry::touch(writing)).await
    }

    fn refused(&self) -> Option<Refused> {
        self.writer.state.refused()
    }

    fn space(&self) -> std::io::Result<Option<Space>> {
        connection::space(&self.path).map(Some)
    }

    fn commit_stats(&self) -> CommitStats {
        self.writer.state.stats()
    }

    fn on_commit(&self, observe: CommitObserver) {
        self.writer.state.on_commit(observe);
    }

    async fn failed(&self) -> String {
        self.writer.state.failed().await
    }

    async fn answers(&self) {
        self.writer.answers().await;
    }

    async fn backup(&self, path: &Path) -> Result<(), StoreError> {
        let path = path.to_owned();
        self.readers.read(move |connection| Ok(backup::copy(connection, &path))).await?
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Writes an entry for the audit log, if anything was done.
fn audited(writing: &writer::Writing<'_>, done: bool, entry: Option<AuditEntry>) -> Result<(), writer::UnitError> {
    Ok(audit::append(writing.connection, entry.filter(|_| done))?)
}
