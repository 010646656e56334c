//! Which process has the database: each has a row of its own with its sign of life, and every transaction counts itself in it. Who takes the
//! database over ends the row of the one before; a transaction of that one which comes later changes no row, and is nothing.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Error, Row as _};

use super::super::writer::Tail;
use super::unit::sql;

/// What a process is told that another one has replaced.
pub(super) const REPLACED: &str =
    "another process has taken the database over, because this one gave no sign of life: nothing is written by this one any more";

/// Age of the last sign of life, in seconds by the database's clock, from which on a process is taken for dead.
const LEASE_SECONDS: f64 = 10.0;
/// Wait between two looks at who has the database.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Who has the database.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Holder {
    pub(super) host: String,
    pub(super) pid: i64,
    /// Seconds since its last sign of life.
    pub(super) age: f64,
    /// Whether the server still has its session; nothing where the server does not say which sessions it has.
    has_session: Option<bool>,
    /// Transactions that it has committed: grows while it lives.
    transactions: i64,
}

impl Holder {
    fn is_dead(&self) -> bool {
        self.has_session == Some(false) || self.age > LEASE_SECONDS
    }
}

/// What taking a database comes to.
pub(super) enum Taken {
    /// It is this process's: its epoch, where the outbox ends, and which database it is.
    Ours { epoch: i64, tail: Tail, identity: String },
    /// A process that lives has it.
    By(Holder),
}

/// The beginning of a transaction of the process with this epoch: changes one row while the database is its own, and none after.
pub(super) fn begin(epoch: i64) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        "BEGIN; UPDATE owners SET transactions = transactions + 1, heartbeat_at = clock_timestamp() WHERE id = {epoch} AND ended_at IS NULL"
    ))
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

/// Notes that a process has ended.
pub(super) async fn end(connection: &mut PgConnection, epoch: i64) -> Result<(), Error> {
    sql!("UPDATE owners SET ended_at = clock_timestamp() WHERE id = $1 AND ended_at IS NULL", epoch).execute(connection).await.map(drop)
}

/// Takes the database for this process. One that was killed is waited for: its session ends at once, or its sign of life gets old. One that
/// gives another sign of life meanwhile keeps it.
pub(super) async fn take(connection: &mut PgConnection, host: &str, pid: u32) -> Result<Taken, Error> {
    let mut first_seen: Option<Holder> = None;
    loop {
        let holder = match attempt(connection, host, pid).await? {
            Taken::By(holder) => holder,
            ours @ Taken::Ours { .. } => return Ok(ours),
        };
        match &first_seen {
            Some(seen) if holder.transactions != seen.transactions => return Ok(Taken::By(holder)),
            Some(_) => {}
            None => {
                tracing::info!(
                    host = holder.host,
                    pid = holder.pid,
                    "another process has had the database a moment ago: waiting for its end"
                );
                first_seen = Some(holder);
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn attempt(connection: &mut PgConnection, host: &str, pid: u32) -> Result<Taken, Error> {
    let mut transaction = connection.begin().await?;
    let process = "SELECT epoch, identity, steady_at, greatest(pruned_position, coalesce((SELECT max(position) FROM outbox), 0)),
                          greatest(steady_at, coalesce((SELECT written_at FROM outbox ORDER BY position DESC LIMIT 1), 0))
                   FROM process FOR UPDATE";
    let process = sql!(process).fetch_one(&mut *transaction).await?;
    let holder = "SELECT host, pid, extract(epoch FROM clock_timestamp() - heartbeat_at)::float8,
                         CASE WHEN EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = pg_backend_pid()) THEN
                             EXISTS (SELECT 1 FROM pg_stat_activity AS session WHERE session.pid = owners.backend_pid
                                     AND (session.backend_start IS NULL OR session.backend_start = owners.backend_start))
                         END, transactions
                  FROM owners WHERE ended_at IS NULL ORDER BY id DESC LIMIT 1";
    if let Some(row) = sql!(holder).fetch_optional(&mut *transaction).await? {
        let holder = Holder {
            host: row.try_get(0)?,
            pid: row.try_get(1)?,
            age: row.try_get(2)?,
            has_session: row.try_get(3)?,
            transactions: row.try_get(4)?,
        };
        if !holder.is_dead() {
            transaction.rollback().await?;
            return Ok(Taken::By(holder));
        }
        tracing::info!(host = holder.host, pid = holder.pid, "the process that had the database is gone");
    }
    let epoch = process.try_get::<i64, _>(0)? + 1;
    sql!("UPDATE owners SET ended_at = clock_timestamp() WHERE ended_at IS NULL").execute(&mut *transaction).await?;
    let insert = "INSERT INTO owners (id, host, pid, backend_pid, backend_start, started_at, heartbeat_at, transactions)
                  VALUES ($1, $2, $3, pg_backend_pid(), (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()),
                          clock_timestamp(), clock_timestamp(), 0)";
    sql!(insert, epoch, host, i64::from(pid)).execute(&mut *transaction).await?;
    // Of those before some are kept, for who wants to know what happened.
    sql!("DELETE FROM owners WHERE id < $1 - 1000", epoch).execute(&mut *transaction).await?;
    sql!("UPDATE process SET epoch = $1", epoch).execute(&mut *transaction).await?;
    transaction.commit().await?;
    let tail = Tail { noted_at: process.try_get(2)?, position: process.try_get(3)?, written_at: process.try_get(4)? };
    Ok(Taken::Ours { epoch, tail, identity: process.try_get(1)? })
}
