//! Which processes have the database: each has a row of its own with its sign of life, and every transaction counts itself in it. Who finds that
//! one is dead ends its row; a transaction of that one which comes later changes no row, and is nothing.
//!
//! Transactions that write are one after the other, of all processes: each begins by locking the row of the database. So whatever holds of one
//! process that writes alone holds of all of them together, and positions of the outbox have the sequence of the commits.

use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, Error, Row as _};

use super::super::group::{Owner, SLOTS};
use super::super::writer::Tail;
use super::columns::count;
use super::unit::sql;

/// What a process is told whose row was ended.
pub(super) const REPLACED: &str = "another process has taken over what this one had in the database, because this one gave no sign of life: nothing is written by this one any more";

/// How long no sign of life is seen, by the clock of who looks, until a process is taken for dead.
const LEASE: Duration = Duration::from_secs(10);
/// The same of one whose session is gone, as that of a process that was killed: one that lives has a new session by then.
const GONE: Duration = Duration::from_secs(5);

/// A process that has the database, as another one sees it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) id: i64,
    /// Name of its machine.
    pub(super) host: String,
    pub(super) pid: i64,
    /// Its last sign of life, in microseconds of the database's clock. Somebody may set that clock, so what it says is only whether there has been
    /// another sign since.
    pub(super) heartbeat_at: i64,
    /// Where its number means something, see [`machine`].
    machine: String,
    /// Seconds since its last sign of life, as far as the database's clock can be believed.
    age: f64,
    /// Whether the server still has its session; nothing where the server does not say which sessions it has.
    has_session: Option<bool>,
    has_ended: bool,
    kinds: Vec<String>,
}

impl Seen {
    /// Whether it is dead, to whom has looked for so long without a break and has seen no sign of life: after a time in which nobody could give
    /// one, nobody is to be taken for dead.
    pub(super) fn is_dead(&self, silent_for: Duration) -> bool {
        silent_for > LEASE || (self.has_session == Some(false) && silent_for > GONE)
    }

    /// Whether nobody has to look at it for a while first: its session is gone, and so is the process on this machine. How old its sign of life is
    /// tells a newcomer nothing: after an outage of the server that of each who lives is old, and none of them has a session.
    fn is_surely_dead(&self, machine: &str, is_here: impl Fn(i64) -> bool) -> bool {
        self.has_session == Some(false) && self.machine == machine && !is_here(self.pid)
    }

    /// Whether it keeps a newcomer of another shop out. One that has gone without a word does not for ever: nobody is there to look at it.
    fn keeps_out(&self, kinds: &[String]) -> bool {
        let is_away = self.has_session == Some(false) && self.age > LEASE.as_secs_f64();
        let is_of_another_shop = !kinds.is_empty() && !self.kinds.is_empty() && !self.kinds.iter().any(|kind| kinds.contains(kind));
        is_of_another_shop && !is_away
    }

    /// Whether it may still write, to whom sees it once: it has not ended, and has a session or gave a sign of life just now.
    pub(super) fn may_write(&self) -> bool {
        let is_away = self.has_session != Some(true) && self.age > LEASE.as_secs_f64();
        !self.has_ended && !is_away
    }

    /// It has ended, and nobody has taken over from it.
    pub(super) fn is_mourned(&self) -> bool {
        self.has_ended
    }

    /// What it keeps, in words.
    pub(super) fn keeps(&self) -> String {
        self.kinds.join(", ")
    }
}

/// Where the number of a process means something: on one machine, as long as it is up, and among those who see each other there. Containers may
/// have a name of a machine in common, and each a process 1 of its own. What is kept of it in the column `host` is three words, the first the name
/// that people know it by; fewer where the system does not say the others.
fn machine(host: &str) -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{host} {} {}", boot.trim(), namespace.display()).trim_end().to_owned()
}

/// The name that people know a [`machine`] by.
fn name_of(machine: &str) -> String {
    machine.split(' ').next().unwrap_or_default().to_owned()
}

/// A sign of life as a number. Read and compared by this alone: a rounding of the server's is the same both times.
macro_rules! heartbeat {
    () => {
        "(extract(epoch FROM heartbeat_at) * 1000000)::bigint"
    };
}

/// Of the database's row: what the time is, where the outbox ends, and when that was written. See [`tail`].
macro_rules! tail {
    () => {
        "steady_at, greatest(pruned_position, coalesce((SELECT max(position) FROM outbox), 0)),
         coalesce((SELECT written_at FROM outbox ORDER BY position DESC LIMIT 1), 0)"
    };
}

/// Those that live, and those that have ended and from whom nobody has taken over. The first one that came is first.
pub(super) async fn seen(connection: &mut PgConnection) -> Result<Vec<Seen>, Error> {
    let select = concat!(
        "SELECT id, host, pid, extract(epoch FROM clock_timestamp() - heartbeat_at)::float8,
                         CASE WHEN EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = pg_backend_pid()) THEN
                             EXISTS (SELECT 1 FROM pg_stat_activity AS session WHERE session.pid = owners.backend_pid
                                     AND (session.backend_start IS NULL OR session.backend_start = owners.backend_start))
                         END, ended_at IS NOT NULL, kinds, ",
        heartbeat!(),
        " FROM owners WHERE NOT taken_over ORDER BY id"
    );
    let seen = |row: &PgRow| {
        let machine: String = row.try_get(1)?;
        Ok(Seen {
            id: row.try_get(0)?,
            host: name_of(&machine),
            pid: row.try_get(2)?,
            heartbeat_at: row.try_get(7)?,
            machine,
            age: row.try_get(3)?,
            has_session: row.try_get(4)?,
            has_ended: row.try_get(5)?,
            kinds: row.try_get(6)?,
        })
    };
    sql!(select).fetch_all(connection).await?.iter().map(seen).collect()
}

/// What joining comes to.
pub(super) enum Joined {
    /// The epoch of this process, where the outbox ends, which database it is, and the number of this process among those of its machine.
    As { epoch: i64, tail: Tail, identity: String, seat: u32 },
    /// Processes of another shop have it.
    Refused(Seen),
}

/// Who wants to join.
pub(super) struct Newcomer<'a> {
    pub(super) host: &'a str,
    pub(super) pid: u32,
    pub(super) kinds: &'a [String],
}

/// The beginning of a transaction of the process with this epoch. It waits for the one before, whosever that is. Answers two rows, the second
/// with where the outbox ends and what the time is; only the first if the process was ended.
pub(super) fn begin(epoch: i64) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        concat!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT id FROM process FOR UPDATE;
         WITH mine AS (
             UPDATE owners SET transactions = transactions + 1, heartbeat_at = clock_timestamp() WHERE id = {epoch} AND ended_at IS NULL RETURNING id
         )
         SELECT ",
            tail!(),
            " FROM process, mine"
        ),
        epoch = epoch
    ))
}

/// Where the outbox ends and what the time is, of the rows that [`begin`] answers; nothing if the process was ended.
pub(super) fn begun(rows: &[PgRow]) -> Result<Option<Tail>, Error> {
    rows.get(1).map(tail).transpose()
}

fn tail(row: &PgRow) -> Result<Tail, Error> {
    let (noted_at, position, written_at): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(Tail { position, written_at: written_at.max(noted_at), noted_at })
}

/// Transactions that a process has committed, the last one for certain: whoever is still at one holds the row. `None` if there is no such
/// process.
pub(super) async fn transactions(connection: &mut PgConnection, epoch: i64) -> Result<Option<i64>, Error> {
    let row = sql!("SELECT transactions FROM owners WHERE id = $1 FOR UPDATE", epoch).fetch_optional(connection).await?;
    row.map(|row| row.try_get(0)).transpose()
}

/// Notes by which session a process writes.
pub(super) async fn note_session(connection: &mut PgConnection, epoch: i64) -> Result<(), Error> {
    let note = "UPDATE owners SET backend_pid = pg_backend_pid(),
                                  backend_start = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())
                WHERE id = $1 AND ended_at IS NULL";
    sql!(note, epoch).execute(connection).await.map(drop)
}

/// Gives a sign of life; false if the process was ended.
pub(super) async fn renew(connection: &mut PgConnection, epoch: i64) -> Result<bool, Error> {
    let renew = "UPDATE owners SET heartbeat_at = clock_timestamp() WHERE id = $1 AND ended_at IS NULL";
    Ok(sql!(renew, epoch).execute(connection).await?.rows_affected() > 0)
}

/// Notes that a process has ended.
pub(super) async fn end(connection: &mut PgConnection, epoch: i64) -> Result<(), Error> {
    sql!("UPDATE owners SET ended_at = clock_timestamp() WHERE id = $1 AND ended_at IS NULL", epoch).execute(connection).await.map(drop)
}

/// Ends one that is dead, unless it has given a sign of life since it was `seen`, or is just writing: its row is locked then.
pub(super) async fn end_dead(connection: &mut PgConnection, seen: &Seen, silent_for: Duration) -> Result<bool, Error> {
    let end = concat!(
        "UPDATE owners SET ended_at = clock_timestamp() WHERE id IN (
             SELECT id FROM owners WHERE id = $1 AND ended_at IS NULL AND ",
        heartbeat!(),
        " = $2 FOR UPDATE SKIP LOCKED
         )"
    );
    let ended = sql!(end, seen.id, seen.heartbeat_at).execute(connection).await?.rows_affected() > 0;
    if ended {
        tracing::warn!(
            owner = seen.id,
            host = seen.host,
            pid = seen.pid,
            seconds = silent_for.as_secs_f64(),
            "a process that had the database gives no sign of life: it is taken for dead"
        );
    }
    Ok(ended)
}

/// Has this process join those that have the database. Those that are surely dead are ended first.
pub(super) async fn join(connection: &mut PgConnection, newcomer: &Newcomer<'_>) -> Result<Joined, Error> {
    let Newcomer { host, pid, kinds } = newcomer;
    let machine = machine(host);
    // One that has had this very number on this machine is not this process.
    let is_here = |other: i64| other != i64::from(*pid) && std::path::Path::new(&format!("/proc/{other}")).exists();
    let mut transaction = connection.begin().await?;
    sql!("SELECT id FROM process FOR UPDATE").execute(&mut *transaction).await?;
    let process = concat!("SELECT ", tail!(), ", epoch, identity FROM process");
    let process = sql!(process).fetch_one(&mut *transaction).await?;
    for other in seen(&mut transaction).await?.into_iter().filter(|other| !other.is_mourned()) {
        if other.is_surely_dead(&machine, is_here) {
            tracing::info!(owner = other.id, host = other.host, pid = other.pid, "a process that had the database is gone");
            end(&mut transaction, other.id).await?;
        } else if other.keeps_out(kinds) {
            transaction.rollback().await?;
            return Ok(Joined::Refused(other));
        }
    }
    let epoch = process.try_get::<i64, _>(3)? + 1;
    let seat = free_seat(&mut transaction, host).await?;
    let insert = "INSERT INTO owners (id, host, pid, backend_pid, backend_start, started_at, heartbeat_at, transactions, kinds, seat)
                  VALUES ($1, $2, $3, pg_backend_pid(), (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()),
                          clock_timestamp(), clock_timestamp(), 0, $4, $5)";
    sql!(insert, epoch, &machine, i64::from(*pid), kinds, i64::from(seat)).execute(&mut *transaction).await?;
    // Of those before some are kept, for who wants to know what happened.
    sql!("DELETE FROM owners WHERE id < $1 - 1000 AND taken_over", epoch).execute(&mut *transaction).await?;
    sql!("UPDATE process SET epoch = $1", epoch).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(Joined::As { epoch, tail: tail(&process)?, identity: process.try_get(4)?, seat })
}

/// The least number, from 1, that no living process has on the machines of this name: outside nothing but the name may tell them apart.
async fn free_seat(connection: &mut PgConnection, host: &str) -> Result<u32, Error> {
    let select = "SELECT seat FROM owners WHERE ended_at IS NULL AND split_part(host, ' ', 1) = $1";
    let rows = sql!(select, name_of(host)).fetch_all(connection).await?;
    let taken = rows.iter().map(|row| row.try_get::<i64, _>(0)).collect::<Result<Vec<_>, _>>()?;
    Ok((1..u32::MAX).find(|seat| !taken.contains(&i64::from(*seat))).unwrap_or(u32::MAX))
}

/// Gives this process its share of the slots, of so many processes: what it has beyond is let go of, and what is nobody's is taken. Answers those
/// that it has.
pub(super) async fn share_slots(connection: &mut PgConnection, epoch: i64, processes: usize) -> Result<Vec<i16>, Error> {
    let share = i64::from(SLOTS.div_ceil(u32::try_from(processes.max(1)).unwrap_or(SLOTS)));
    let select = "SELECT slot FROM slots WHERE owner = $1 ORDER BY slot";
    let mine = sql!(select, epoch).fetch_all(&mut *connection).await?;
    let has = i64::try_from(mine.len()).unwrap_or(0);
    if has > share {
        let release = "UPDATE slots SET owner = NULL WHERE slot IN (SELECT slot FROM slots WHERE owner = $1 ORDER BY slot DESC LIMIT $2)";
        sql!(release, epoch, has - share).execute(&mut *connection).await?;
    } else if has < share {
        let take = "UPDATE slots SET owner = $1 WHERE slot IN (
                        SELECT slot FROM slots WHERE owner IS NULL OR owner NOT IN (SELECT id FROM owners WHERE ended_at IS NULL)
                        ORDER BY slot LIMIT $2 FOR UPDATE SKIP LOCKED
                    )";
        sql!(take, epoch, share - has).execute(&mut *connection).await?;
    } else {
        return mine.iter().map(|row| row.try_get(0)).collect();
    }
    sql!(select, epoch).fetch_all(connection).await?.iter().map(|row| row.try_get(0)).collect()
}

/// The processes that have the database open.
pub(super) async fn all(connection: &mut PgConnection) -> Result<Vec<Owner>, Error> {
    let select = "SELECT id, host, pid, (extract(epoch FROM started_at) * 1000000)::bigint,
                         extract(epoch FROM clock_timestamp() - heartbeat_at)::float8,
                         (SELECT count(*) FROM step_runs WHERE status <> 'done' AND status = 'running' AND step_runs.owner = owners.id),
                         (SELECT count(*) FROM slots WHERE slots.owner = owners.id)
                  FROM owners WHERE ended_at IS NULL ORDER BY id";
    let owner = |row: &PgRow| {
        Ok(Owner {
            id: count(row, 0)?,
            host: name_of(row.try_get(1)?),
            pid: count(row, 2)?,
            started_at: super::columns::time(row, 3)?,
            heartbeat_age: row.try_get::<f64, _>(4)?.max(0.0),
            runs: count(row, 5)?,
            slots: count(row, 6)?,
        })
    };
    sql!(select).fetch_all(connection).await?.iter().map(owner).collect()
}
