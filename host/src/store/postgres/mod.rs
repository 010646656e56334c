//! The store on PostgreSQL: one connection writes in groups, a pool of them reads.
//!
//! Several processes may have a database at once, see [`owner`]: each has a row with which every transaction begins, so that a process which was
//! taken for dead writes nothing. Durability is the server's, with `synchronous_commit` on. Nothing is used for correctness that engines which speak
//! the same protocol lack: no advisory locks, and what comes by `LISTEN` is looked for anyway. Times are kept to the microsecond. What waits or has an age is kept in the steady time of
//! [`Clock::steady`], which goes on from process to process; dates are only shown.

mod audit;
mod columns;
mod commit;
mod copying;
mod ear;
mod figures;
mod group;
mod heart;
mod holds;
mod idempotency;
mod keys;
mod kv;
mod membership;
mod moment;
mod opening;
mod outbox;
mod owner;
mod parts;
mod registry;
mod resources;
mod retention;
mod runs;
mod search;
mod sought;
mod stock;
mod told;
mod unit;
mod users;
mod waiting;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use millrace_workflow::Definition;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};

use self::audit::noted;
use self::ear::Ear;
use self::membership::Membership;
use self::moment::Moment;
use self::unit::{UnitError, Writing};
use self::writer::WriterHandle;
use super::prepared::Prepared;
use super::writer::Failure;
use super::{
    AuditEntry, Backlog, Changed, Commit, CommitObserver, CommitStats, Committed, DeadLetter, FieldChange, Figure, Guard, HeldReservation,
    HistoryRow, Hold, IdempotencyRow, InboxRow, Instances, KeysOf, KvEntry, KvOwner, Line, Listing, Matches, Messages, NewMove, Note,
    Operations, OutboxRow, PinnedTo, PriceRow, Progress, Prunable, Redriven, Refused, ReservationStatus, Reset, Resource, Resources,
    Search, Sighted, Sought, Space, Standing, StepRun, Stock, StockLevel, StockLine, StockMove, StoreError, Timer, ToldEpoch, User,
    UserChange, Users, WaitingEvent,
};
use crate::clock::Clock;

pub(super) use self::copying::Opened as CopyEnd;
pub use self::opening::{Dsn, ServerError, owners};

/// Most reading connections that are opened.
const MAX_READERS: u32 = 64;
/// How long a reader waits for a connection, all of them being busy or the server away.
const READER_WAIT: Duration = Duration::from_secs(5);

/// A store in a database of a PostgreSQL server.
#[derive(Debug)]
pub struct Postgres {
    epoch: u64,
    seat: u32,
    identity: String,
    keys: Arc<[KeysOf]>,
    clock: Clock,
    writer: WriterHandle,
    pool: PgPool,
    membership: Arc<Membership>,
    ear: Ear,
}

/// Reads by a connection of the pool.
macro_rules! read {
    ($self:ident, |$connection:ident| $query:expr) => {{
        let mut acquired = $self.reader().await?;
        let $connection: &mut PgConnection = &mut acquired;
        $query.await.map_err(|error| Failure::from(&error).to_error())
    }};
}

/// The same as of one moment, whatever is written meanwhile.
macro_rules! read_at_once {
    ($self:ident, |$connection:ident| $query:expr) => {{
        let failed = |error: &sqlx::Error| Failure::from(error).to_error();
        let mut moment = Moment::begin($self.reader().await?).await.map_err(|error| failed(&error))?;
        let $connection: &mut PgConnection = moment.connection().map_err(|error| failed(&error))?;
        let answer = $query.await.map_err(|error| failed(&error));
        moment.end().await;
        answer
    }};
}

/// Writes in the next group. What is named after the work is what it needs each time that it is done.
macro_rules! written {
    ($self:ident, |$writing:ident| $work:expr; $($needs:ident),*) => {
        $self
            .writer
            .write(move |$writing| {
                $(let $needs = $needs.clone();)*
                Box::pin(async move { $work.await })
            })
            .await
    };
}

impl Postgres {
    /// Opens the database, brings its tables up to date and joins those that have it, with a new epoch and `kinds` of resources that this process
    /// keeps. The age of rows (for `prune` and `republish`) is told by `clock`. To be called in a runtime; it blocks until the server has answered.
    ///
    /// # Errors
    /// [`ServerError`], which names the server: not to be reached, in use by a process of another shop, not to be relied on.
    pub fn open(dsn: &Dsn, readers: usize, (keys, kinds): (&[KeysOf], &[String]), clock: Clock) -> Result<Self, ServerError> {
        let options = dsn.options()?;
        let keys: Arc<[KeysOf]> = keys.into();
        let (writer, starting) = WriterHandle::new(clock.clone(), Arc::clone(&keys));
        let failed = |reason: String| ServerError { place: dsn.to_string(), reason };
        let (opened_of, opened) = std::sync::mpsc::channel();
        let (dsn_of, clock_of, kinds) = (dsn.clone(), clock.clone(), kinds.to_vec());
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                // Whoever waits hears of it by what is not sent.
                Err(error) => return tracing::error!(%error, "the store's thread has no runtime"),
            };
            runtime.block_on(async move {
                match opening::open(&dsn_of, &kinds, &clock_of).await {
                    Ok(opening::Identified { opened, identity, seat }) => {
                        if opened_of.send(Ok((opened.epoch, identity, seat, Arc::clone(&opened.membership)))).is_ok() {
                            starting.run(opened).await;
                        }
                    }
                    Err(error) => drop(opened_of.send(Err(error))),
                }
            });
        });
        thread.map_err(|error| {
            failed(format!("cannot start a thread for it: {error}. The threads of this user or container are limited (`ulimit -u`, pids)"))
        })?;
        let (epoch, identity, seat, membership) = opened.recv().map_err(|_| failed("its thread has ended".into()))??;
        let most = u32::try_from(readers).unwrap_or(MAX_READERS).clamp(1, MAX_READERS);
        let ear = Ear::new(options.clone());
        let pool = PgPoolOptions::new().max_connections(most).acquire_timeout(READER_WAIT).connect_lazy_with(options);
        Ok(Self { epoch: epoch.unsigned_abs(), seat, identity, keys, clock, writer, pool, membership, ear })
    }

    async fn reader(&self) -> Result<PoolConnection<sqlx::Postgres>, StoreError> {
        self.pool.acquire().await.map_err(|error| Failure::from(&error).to_error())
    }

    fn prepared(&self, commit: Commit) -> Result<Arc<Prepared>, StoreError> {
        let prepared = Prepared::new(commit, &self.keys);
        prepared.map(Arc::new).map_err(|error| StoreError::Unavailable(format!("data is no JSON: {error}")))
    }
}

#[async_trait]
impl Resources for Postgres {
    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        let prepared = self.prepared(commit)?;
        written!(self, |writing| commit::write(&prepared, writing); prepared)
    }

    async fn commit_all(&self, commits: Vec<Commit>) -> Result<(), StoreError> {
        let prepared = commits.into_iter().map(|commit| self.prepared(commit)).collect::<Result<Vec<_>, _>>()?;
        written!(self, |writing| write_all(writing, prepared); prepared)
    }

    async fn resource(&self, kind: &str, id: &str) -> Result<Option<Resource>, StoreError> {
        read!(self, |connection| resources::select_resource(connection, kind, id))
    }

    async fn resources(&self, listing: &Listing) -> Result<Vec<Resource>, StoreError> {
        read!(self, |connection| resources::select_resources(connection, listing))
    }

    async fn find(&self, search: &Search) -> Result<Matches, StoreError> {
        read_at_once!(self, |moment| search::find(moment, search))
    }

    async fn add_note(&self, note: Note, audit: Option<AuditEntry>, request: Option<IdempotencyRow>) -> Result<Option<u64>, StoreError> {
        written!(self, |writing| keys::add_note(writing, &note, audit, request); note, audit, request)
    }

    async fn notes(&self, kind: &str, id: &str, before: u64, limit: usize) -> Result<Vec<Note>, StoreError> {
        read!(self, |connection| keys::notes(connection, kind, id, before, limit))
    }

    async fn delete_resource(&self, kind: &str, id: &str, guard: Guard, audit: Option<AuditEntry>) -> Result<bool, StoreError> {
        let (kind, id) = (kind.to_owned(), id.to_owned());
        written!(self, |writing| resources::delete_resource(writing, kind, id, guard, audit); kind, id, audit)
    }

    async fn history(&self, kind: &str, id: &str, after: u64, limit: usize) -> Result<Vec<HistoryRow>, StoreError> {
        read!(self, |connection| resources::select_history(connection, (kind, id), after, limit))
    }

    async fn history_before(&self, kind: &str, id: &str, before: u64, limit: usize) -> Result<Vec<HistoryRow>, StoreError> {
        read!(self, |connection| resources::select_history_before(connection, (kind, id), before, limit))
    }

    async fn figures(&self, kind: &str, minutes: (i64, i64)) -> Result<Vec<Figure>, StoreError> {
        read!(self, |connection| figures::select(connection, kind, minutes))
    }

    async fn prices(&self, kind: &str, id: &str, limit: usize) -> Result<Vec<PriceRow>, StoreError> {
        read!(self, |connection| resources::select_prices(connection, kind, id, limit))
    }

    async fn idempotency(&self, user: &str, key: &str) -> Result<Option<IdempotencyRow>, StoreError> {
        read!(self, |connection| idempotency::select(connection, user, key))
    }

    async fn kv(&self, owner: &KvOwner, key: &str) -> Result<Option<String>, StoreError> {
        read!(self, |connection| kv::value(connection, owner, key))
    }

    async fn kv_bytes(&self, owner: &KvOwner) -> Result<u64, StoreError> {
        read!(self, |connection| kv::bytes(connection, owner))
    }

    async fn kv_entries(&self, kind: &str, id: &str) -> Result<Vec<KvEntry>, StoreError> {
        read!(self, |connection| kv::entries(connection, kind, id))
    }
}

#[async_trait]
impl Instances for Postgres {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn identity(&self) -> &str {
        &self.identity
    }

    async fn progress(&self, kind: &str, id: &str) -> Result<Option<Progress>, StoreError> {
        read!(self, |connection| resources::select_progress(connection, kind, id))
    }

    async fn claim_runs(&self, line: &Line, now: Timestamp, limit: usize) -> Result<Vec<StepRun>, StoreError> {
        let line = line.clone();
        written!(self, |writing| runs::claim(writing, &line, now, limit); line)
    }

    async fn claim_run(&self, key: &str) -> Result<Option<StepRun>, StoreError> {
        let key = key.to_owned();
        written!(self, |writing| runs::claim_one(writing, &key); key)
    }

    async fn lines(&self) -> Result<Vec<(Line, Timestamp)>, StoreError> {
        read!(self, |connection| runs::lines(connection))
    }

    async fn claimed(&self) -> Result<Vec<StepRun>, StoreError> {
        read!(self, |connection| runs::claimed(connection, self.epoch))
    }

    async fn runs(&self, kind: &str, id: &str) -> Result<Vec<StepRun>, StoreError> {
        read!(self, |connection| runs::of_resource(connection, kind, id))
    }

    async fn recover_runs(&self, crashed: &[String], park_after: u32) -> Result<Vec<StepRun>, StoreError> {
        let crashed = crashed.to_vec();
        written!(self, |writing| runs::recover(writing, &crashed, park_after); crashed)
    }

    async fn release_quarantined(&self, component: &str) -> Result<u64, StoreError> {
        let component = component.to_owned();
        written!(self, |writing| runs::release_quarantined(writing, &component); component)
    }

    async fn wake(&self, component: &str) -> Result<u64, StoreError> {
        let component = component.to_owned();
        written!(self, |writing| runs::wake(writing, &component); component)
    }

    async fn due_timers(&self, now: Timestamp, limit: usize) -> Result<Vec<Timer>, StoreError> {
        read!(self, |connection| runs::due_timers(connection, self.membership.share(), now, limit))
    }

    async fn timers(&self, kind: &str, id: &str) -> Result<Vec<Timer>, StoreError> {
        read!(self, |connection| runs::timers_of(connection, kind, id))
    }

    async fn next_timer_due(&self) -> Result<Option<Timestamp>, StoreError> {
        read!(self, |connection| runs::next_timer_due(connection, self.membership.share()))
    }

    async fn drop_timer(&self, timer: &Timer) -> Result<(), StoreError> {
        let timer = timer.clone();
        written!(self, |writing| runs::drop_timer(writing, &timer); timer)
    }

    async fn hold(&self, kind: &str, id: &str, hold: Hold, audit: Option<AuditEntry>) -> Result<bool, StoreError> {
        let (kind, id) = (kind.to_owned(), id.to_owned());
        written!(self, |writing| async { noted(holds::hold(writing, &kind, &id, &hold).await?, writing, audit).await }; kind, id, hold, audit)
    }

    async fn let_go(&self, kind: &str, id: &str, audit: Option<AuditEntry>) -> Result<bool, StoreError> {
        let (kind, id) = (kind.to_owned(), id.to_owned());
        written!(self, |writing| async { noted(holds::let_go(writing, &kind, &id).await?, writing, audit).await }; kind, id, audit)
    }

    async fn held(&self, kind: &str, id: &str) -> Result<Option<Hold>, StoreError> {
        read!(self, |connection| holds::held(connection, kind, id))
    }

    async fn holds(&self) -> Result<Vec<(String, String)>, StoreError> {
        read!(self, |connection| holds::all(connection))
    }

    async fn let_wait(&self, event: WaitingEvent) -> Result<bool, StoreError> {
        written!(self, |writing| waiting::keep(writing, &event); event)
    }

    async fn waiting(&self, kind: &str, id: &str, limit: usize) -> Result<Vec<WaitingEvent>, StoreError> {
        read!(self, |connection| waiting::of(connection, kind, id, limit))
    }

    async fn waiting_counts(&self) -> Result<Vec<(String, String, u64)>, StoreError> {
        read!(self, |connection| waiting::counts(connection))
    }

    async fn drop_waiting(&self, number: u64) -> Result<bool, StoreError> {
        written!(self, |writing| waiting::remove(writing, number);)
    }

    async fn hurry(&self, kind: &str, id: &str, audit: Option<AuditEntry>) -> Result<u64, StoreError> {
        let (kind, id) = (kind.to_owned(), id.to_owned());
        written!(self, |writing| async { noted(holds::hurry(writing, &kind, &id).await?, writing, audit).await }; kind, id, audit)
    }

    async fn put_machine(&self, digest: &str, definition: &Definition) -> Result<(), StoreError> {
        let definition = serde_json::to_string(definition).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let digest = digest.to_owned();
        written!(self, |writing| registry::put_machine(writing, &digest, &definition); digest, definition)
    }

    async fn machine(&self, digest: &str) -> Result<Option<Definition>, StoreError> {
        read!(self, |connection| registry::machine(connection, digest))
    }

    async fn unfinished(&self) -> Result<Vec<(String, String, u64)>, StoreError> {
        read!(self, |connection| registry::unfinished(connection))
    }

    async fn unfinished_by_owner(&self, kind: &str, states: &[String]) -> Result<Vec<(String, u64)>, StoreError> {
        read!(self, |connection| registry::unfinished_by_owner(connection, kind, states))
    }

    async fn pinned(&self) -> Result<Vec<PinnedTo>, StoreError> {
        read!(self, |connection| registry::pinned(connection))
    }
}

#[async_trait]
impl Messages for Postgres {
    async fn unpublished(&self, after: u64, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        read!(self, |connection| outbox::unpublished(connection, self.membership.slots(), after, limit))
    }

    async fn unpublished_count(&self) -> Result<u64, StoreError> {
        read!(self, |connection| outbox::unpublished_count(connection))
    }

    async fn mark_published(&self, positions: &[u64]) -> Result<(), StoreError> {
        let positions = positions.to_vec();
        written!(self, |writing| outbox::mark_published(writing, &positions); positions)
    }

    async fn republish(&self, since: Timestamp) -> Result<u64, StoreError> {
        written!(self, |writing| outbox::republish(writing, since);)
    }

    async fn handled(&self, row: &InboxRow) -> Result<bool, StoreError> {
        read!(self, |connection| outbox::handled(connection, row))
    }

    async fn handled_since(&self) -> Result<Option<Timestamp>, StoreError> {
        read!(self, |connection| outbox::handled_since(connection))
    }

    async fn add_dead_letter(&self, letter: DeadLetter) -> Result<(), StoreError> {
        written!(self, |writing| outbox::add_dead_letter(writing, &letter); letter)
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        read!(self, |connection| outbox::dead_letters(connection, limit))
    }

    async fn redrive(&self, topics: &[String], audit: Option<AuditEntry>) -> Result<Redriven, StoreError> {
        let topics = topics.to_vec();
        written!(self, |writing| async {
            let redriven = outbox::redrive(writing, &topics).await?;
            audit::append(writing, audit.filter(|_| redriven.letters > 0)).await?;
            Ok(redriven)
        }; topics, audit)
    }

    async fn discard(&self, topic: &str, through: Option<u64>, audit: Option<AuditEntry>) -> Result<u64, StoreError> {
        let topic = topic.to_owned();
        written!(self, |writing| async { noted(outbox::discard(writing, &topic, through).await?, writing, audit).await }; topic, audit)
    }

    async fn drop_dead_letter(&self, id: u64) -> Result<bool, StoreError> {
        written!(self, |writing| outbox::drop_dead_letter(writing, id);)
    }
}

#[async_trait]
impl Users for Postgres {
    async fn add_user(&self, user: User) -> Result<(), StoreError> {
        written!(self, |writing| users::add(writing, &user); user)
    }

    async fn update_user(&self, id: &str, name: Option<&str>, email: Option<&str>) -> Result<Option<User>, StoreError> {
        let (id, name, email) = (id.to_owned(), name.map(str::to_owned), email.map(str::to_owned));
        written!(self, |writing| users::update(writing, &id, name.as_deref(), email.as_deref()); id, name, email)
    }

    async fn change_user(&self, id: &str, change: UserChange) -> Result<Option<Changed>, StoreError> {
        let (id, mut change) = (id.to_owned(), Some(change));
        self.writer
            .write_once(move |writing| {
                let (id, change) = (id.clone(), change.take());
                Box::pin(async move { users::change(writing, &id, change.ok_or_else(done_already)?).await })
            })
            .await
    }

    async fn user(&self, id: &str) -> Result<Option<User>, StoreError> {
        read!(self, |connection| users::by_id(connection, id))
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        read!(self, |connection| users::by_email(connection, email))
    }

    async fn users(&self, search: &str, has_roles: bool, after: &str, limit: usize) -> Result<Vec<User>, StoreError> {
        read!(self, |connection| users::search(connection, (search, has_roles), after, limit))
    }

    async fn standing(&self, id: &str) -> Result<Option<Standing>, StoreError> {
        read!(self, |connection| users::standing(connection, id))
    }

    async fn hear_epoch(&self, id: &str, epoch: u64, at: i64) -> Result<(), StoreError> {
        let id = id.to_owned();
        written!(self, |writing| users::hear(writing, &id, epoch, at); id)
    }

    async fn untold(&self, limit: usize) -> Result<Vec<User>, StoreError> {
        read!(self, |connection| users::untold(connection, limit))
    }

    async fn tell(&self, told: Vec<ToldEpoch>) -> Result<(), StoreError> {
        written!(self, |writing| users::tell(writing, told); told)
    }

    async fn add_reset(&self, reset: Reset, now: Timestamp, event: OutboxRow) -> Result<(), StoreError> {
        written!(self, |writing| users::add_reset(writing, &reset, now, event); reset, event)
    }

    async fn reset_of(&self, digest: &str, now: Timestamp) -> Result<Option<String>, StoreError> {
        read!(self, |connection| users::reset_of(connection, digest, now))
    }

    async fn use_reset(&self, digest: &str, now: Timestamp, change: UserChange) -> Result<Option<Changed>, StoreError> {
        let (digest, mut change) = (digest.to_owned(), Some(change));
        self.writer
            .write_once(move |writing| {
                let (digest, change) = (digest.clone(), change.take());
                Box::pin(async move { users::use_reset(writing, &digest, now, change.ok_or_else(done_already)?).await })
            })
            .await
    }
}

#[async_trait]
impl Stock for Postgres {
    async fn stock(&self) -> Result<Vec<StockLevel>, StoreError> {
        read!(self, |connection| stock::levels(connection))
    }

    async fn stock_of(&self, sku: &str) -> Result<Option<StockLevel>, StoreError> {
        read!(self, |connection| stock::level(connection, sku))
    }

    async fn reservations(&self) -> Result<Vec<HeldReservation>, StoreError> {
        read!(self, |connection| stock::held(connection))
    }

    async fn reserve(&self, key: &str, lines: &[StockLine]) -> Result<ReservationStatus, StoreError> {
        let (key, lines) = (key.to_owned(), lines.to_vec());
        written!(self, |writing| stock::reserve(writing, &key, &lines); key, lines)
    }

    async fn end_reservation(&self, key: &str, end: ReservationStatus) -> Result<Option<ReservationStatus>, StoreError> {
        let key = key.to_owned();
        written!(self, |writing| stock::end(writing, &key, end); key)
    }

    async fn put_back(&self, key: &str, lines: &[StockLine]) -> Result<bool, StoreError> {
        let (key, lines) = (key.to_owned(), lines.to_vec());
        written!(self, |writing| stock::put_back(writing, &key, &lines); key, lines)
    }

    async fn move_stock(&self, new: NewMove) -> Result<StockMove, StoreError> {
        written!(self, |writing| stock::move_by_hand(writing, new); new)
    }

    async fn stock_moves(&self, sku: &str, before: u64, limit: usize) -> Result<Vec<StockMove>, StoreError> {
        read!(self, |connection| stock::moves(connection, sku, before, limit))
    }

    async fn reserved_by(&self, sku: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        read!(self, |connection| stock::reserved_by(connection, sku, limit))
    }
}

#[async_trait]
impl Operations for Postgres {
    async fn put_components(&self, versions: &[(String, String)]) -> Result<(), StoreError> {
        let versions = versions.to_vec();
        written!(self, |writing| registry::put_components(writing, &versions); versions)
    }

    async fn components(&self) -> Result<Vec<(String, String)>, StoreError> {
        read!(self, |connection| registry::components(connection))
    }

    async fn prune(&self, what: Prunable, before: Timestamp) -> Result<u64, StoreError> {
        let boundary = read!(self, |connection| retention::boundary(connection, what, before))?;
        let (mut after, mut total) = (i64::MIN, 0);
        while let Some(last) = read!(self, |connection| retention::stretch(connection, what, after, boundary))? {
            total += written!(self, |writing| retention::prune(writing, what, after, last);)?;
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
        let age = self.clock.steady().duration_since(before);
        let created_before = self.clock.now().checked_sub(age).unwrap_or(Timestamp::MAX);
        let wanted = retention::Wanted { kind, before, created_before, after, limit };
        read_at_once!(self, |moment| retention::finished(moment, &wanted))
    }

    async fn forget_finished(&self, kind: &str, instances: &[(String, u64)]) -> Result<u64, StoreError> {
        let (kind, instances) = (kind.to_owned(), instances.to_vec());
        written!(self, |writing| retention::forget_finished(writing, &kind, &instances); kind, instances)
    }

    async fn give_keys(&self) -> Result<bool, StoreError> {
        // Looked up first: where nothing is lacking nothing is written.
        if read!(self, |connection| keys::is_complete(connection, &self.keys))? {
            return Ok(false);
        }
        written!(self, |writing| keys::give_some(writing);)
    }

    fn keeps_house(&self) -> bool {
        // The one that came first. Where two think so for a moment nothing is lost: what is old is forgotten once.
        self.membership.share().1 == 0
    }

    async fn give_back(&self) -> Result<u64, StoreError> {
        // The server's own vacuum has the room used again.
        Ok(0)
    }

    async fn find(&self, sought: &Sought) -> Result<Sighted, StoreError> {
        read_at_once!(self, |moment| sought::find(moment, sought))
    }

    async fn count(&self, sought: &Sought) -> Result<(u64, bool), StoreError> {
        let sought = Sought { after: None, ..sought.clone() };
        read_at_once!(self, |moment| sought::count(moment, &sought))
    }

    async fn changes(&self, kind: &str, id: &str, between: (u64, u64), limit: usize) -> Result<Vec<(u64, Vec<FieldChange>)>, StoreError> {
        read!(self, |connection| resources::select_changes(connection, (kind, id), between, limit))
    }

    async fn kinds(&self) -> Result<Vec<String>, StoreError> {
        read!(self, |connection| holds::kinds(connection))
    }

    async fn set_aside(&self, limit: usize) -> Result<Vec<StepRun>, StoreError> {
        read!(self, |connection| runs::set_aside(connection, limit))
    }

    async fn release_run(&self, key: &str, audit: Option<AuditEntry>) -> Result<bool, StoreError> {
        let key = key.to_owned();
        written!(self, |writing| async { noted(runs::release(writing, &key).await?, writing, audit).await }; key, audit)
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        let now = self.clock.steady();
        read_at_once!(self, |moment| registry::backlog(moment, now))
    }

    async fn try_write(&self) -> Result<(), StoreError> {
        // A transaction writes its own row, whatever else it does.
        written!(self, |_writing| async { Ok(()) };)
    }

    fn refused(&self) -> Option<Refused> {
        self.writer.state.refused()
    }

    fn space(&self) -> std::io::Result<Option<Space>> {
        Ok(None)
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

    async fn backup(&self, _: &Path) -> Result<(), StoreError> {
        Err(StoreError::Unavailable("a database of PostgreSQL is copied with the server's own tools: pg_dump, pg_basebackup".into()))
    }

    async fn close(&self) {
        self.pool.close().await;
        self.ear.close().await;
        self.writer.close().await;
    }
}

async fn write_all(writing: &mut Writing, commits: Vec<Arc<Prepared>>) -> Result<(), UnitError> {
    for commit in commits {
        commit::write(&commit, writing).await?;
    }
    Ok(())
}

/// What only a group that is written anew comes to, and those with such a unit are not.
fn done_already() -> UnitError {
    StoreError::Fatal("a change of a user was to be made twice".into()).into()
}
