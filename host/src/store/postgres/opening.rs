//! How a database is opened: reached, asked whether it can be relied on, brought up to date, and joined by this process.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _, Error, Row as _};
use uuid::Uuid;

use super::super::group::Owner;
use super::membership::Membership;
use super::owner::{self, Joined, Newcomer};
use super::unit::sql;
use super::writer::Opened;
use crate::clock::Clock;

/// Oldest PostgreSQL that is accepted, as it counts (130000 is 13).
const OLDEST_SERVER: i32 = 130_000;
/// How long the server may take to answer at the start.
const LIMIT: Duration = Duration::from_secs(20);

/// In their sequence. The migrations of sqlx are not used: they take an advisory lock, which engines that replicate by themselves lack.
pub(super) const MIGRATIONS: [&str; 4] = [
    include_str!("../../../migrations/postgres/0001_initial.sql"),
    include_str!("../../../migrations/postgres/0002_owners.sql"),
    include_str!("../../../migrations/postgres/0003_seats.sql"),
    include_str!("../../../migrations/postgres/0004_few_of_many.sql"),
];

/// Settings of every session: what is left behind by a process that was stopped, or whose network was cut, does not hold its locks for long. All
/// who write wait for the one that does.
const SESSION: [(&str, &str); 6] = [
    ("idle_in_transaction_session_timeout", "5s"),
    ("lock_timeout", "15s"),
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "3"),
    // Compiling a statement takes longer than any of these takes.
    ("jit", "off"),
];

/// Where a database of a server is, and who may use it: `postgres://user:password@host:port/database`. Shown without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Dsn(String);

impl Dsn {
    /// What such a text says.
    ///
    /// # Errors
    /// What is wrong with it, a clause; without the text, which may have a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !(text.starts_with("postgres://") || text.starts_with("postgresql://")) {
            return Err("it does not begin with postgres://".into());
        }
        PgConnectOptions::from_str(text).map_err(|error| error.to_string())?;
        Ok(Self(text.to_owned()))
    }

    /// How it is connected to. It was parsed before.
    pub(super) fn options(&self) -> Result<PgConnectOptions, ServerError> {
        let options =
            PgConnectOptions::from_str(&self.0).map_err(|error| ServerError { place: self.to_string(), reason: error.to_string() })?;
        let name = options.get_application_name().unwrap_or("millrace").to_owned();
        Ok(options.application_name(&name).options(SESSION))
    }
}

impl Dsn {
    /// What stands for the database in the name of a file, the same at each start: eight digits of a hash of where it is.
    #[must_use]
    pub fn short(&self) -> String {
        use sha2::Digest as _;
        let hash = sha2::Sha256::digest(self.to_string().as_bytes());
        hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl std::fmt::Display for Dsn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Ok(options) = PgConnectOptions::from_str(&self.0) else { return f.write_str("postgres://") };
        let host = options.get_socket().map_or_else(|| options.get_host().to_owned(), |socket| socket.display().to_string());
        write!(f, "{}:{}/{}", host, options.get_port(), options.get_database().unwrap_or_default())
    }
}

impl std::fmt::Debug for Dsn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dsn({self})")
    }
}

/// Why a database of a server cannot be used. Names the server and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot use the database '{place}': {reason}")]
pub struct ServerError {
    /// Host, port and name of the database.
    pub place: String,
    /// Why, and a way out.
    pub reason: String,
}

/// What a database is, beside what the writer has of it.
pub(super) struct Identified {
    pub(super) opened: Opened,
    pub(super) identity: String,
    /// See [`Group::seat`](super::super::Group::seat).
    pub(super) seat: u32,
}

/// A session at the server, in time.
pub(super) async fn connect(dsn: &Dsn, options: &PgConnectOptions) -> Result<PgConnection, ServerError> {
    let failed = |reason: String| ServerError { place: dsn.to_string(), reason };
    match tokio::time::timeout(LIMIT, PgConnection::connect_with(options)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(failed(why_not(&error))),
        Err(_) => {
            Err(failed(format!("the server has not answered for {LIMIT:?}. Is it at that address, and does a firewall let it through?")))
        }
    }
}

/// The processes that have the database open, without joining them. To be called in a runtime.
///
/// # Errors
/// The server cannot be reached, or there is no database of this program.
pub async fn owners(dsn: &Dsn) -> Result<Vec<Owner>, ServerError> {
    let failed = |reason: String| ServerError { place: dsn.to_string(), reason };
    let mut connection = connect(dsn, &dsn.options()?).await?;
    let asked = tokio::time::timeout(LIMIT, async {
        let there = sql!("SELECT to_regclass('slots') IS NOT NULL").fetch_one(&mut connection).await?.try_get::<bool, _>(0)?;
        if there { owner::all(&mut connection).await.map(Some) } else { Ok(None) }
    });
    match asked.await {
        Ok(Ok(Some(owners))) => Ok(owners),
        Ok(Ok(None)) => Err(failed("no process of this version has ever opened it: there are no tables".into())),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("the server has not answered for {LIMIT:?}"))),
    }
}

/// Opens the database for this process, which keeps resources of these kinds.
pub(super) async fn open(dsn: &Dsn, kinds: &[String], clock: &Clock) -> Result<Identified, ServerError> {
    let options = dsn.options()?;
    let failed = |reason: String| ServerError { place: dsn.to_string(), reason };
    let mut connection = connect(dsn, &options).await?;
    let checked = async {
        check_server(&mut connection).await?.map_err(failed)?;
        migrate(&mut connection).await?.map_err(failed)?;
        Ok::<_, Stopped>(())
    };
    checked.await.map_err(|stopped| stopped.into_error(failed))?;
    let host = hostname::get().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let newcomer = Newcomer { host: &host, pid: std::process::id(), kinds };
    let joined = owner::join(&mut connection, &newcomer).await.map_err(|error| failed(error.to_string()))?;
    match joined {
        Joined::As { epoch, tail, identity, seat } => {
            clock.go_on_from(super::columns::time_of(tail.written_at).map_err(|error| failed(error.to_string()))?);
            if epoch == 1 {
                tracing::info!(database = %dsn, "the database was empty: its tables were made");
            }
            let living = owner::all(&mut connection).await.map_err(|error| failed(error.to_string()))?;
            let slots = owner::share_slots(&mut connection, epoch, living.len()).await.map_err(|error| failed(error.to_string()))?;
            let membership = Arc::new(Membership::new());
            membership.place(living.len().saturating_sub(1), living.len().saturating_sub(1));
            membership.set_slots(slots);
            tracing::info!(owner = epoch, others = membership.others(), "the database is open for this process");
            Ok(Identified { opened: Opened { connection, options, epoch, tail, membership }, identity, seat })
        }
        Joined::Refused(other) => Err(failed(format!(
            "it is in use by a process of another shop ({} of host '{}', owner {}), which keeps {} and none of {}: processes share a database with \
             others of the same config. Give this one a database of its own, or stop that one",
            other.pid,
            other.host,
            other.id,
            other.keeps(),
            kinds.join(", ")
        ))),
    }
}

/// Why a start ends: the database refuses, or this program does.
enum Stopped {
    Database(Error),
    Program(ServerError),
}

impl Stopped {
    fn into_error(self, failed: impl Fn(String) -> ServerError) -> ServerError {
        match self {
            Self::Database(error) => failed(error.to_string()),
            Self::Program(error) => error,
        }
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl From<ServerError> for Stopped {
    fn from(error: ServerError) -> Self {
        Self::Program(error)
    }
}

fn why_not(error: &Error) -> String {
    match error {
        Error::Database(refused) => match refused.code().as_deref() {
            Some("3D000") => format!("{refused}. Make it: createdb, or CREATE DATABASE"),
            Some("28P01" | "28000") => format!("{refused}. Look at user and password of `dsn`, and at pg_hba.conf of the server"),
            _ => refused.to_string(),
        },
        other => format!("the server cannot be reached: {other}. Does it run, and is it at that address?"),
    }
}

/// Whether what is committed there stays, and texts are kept as they are.
pub(super) async fn check_server(connection: &mut PgConnection) -> Result<Result<(), String>, Error> {
    let asked = "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), current_setting('fsync')";
    let row = sql!(asked).fetch_one(&mut *connection).await?;
    let (version, encoding, fsync): (i32, &str, &str) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if version < OLDEST_SERVER {
        return Ok(Err(format!("the server has version {version}, and {OLDEST_SERVER} (PostgreSQL 13) or newer is needed")));
    }
    if encoding != "UTF8" {
        return Ok(Err(format!(
            "its encoding is {encoding}, and UTF8 is needed: make it with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
        )));
    }
    if fsync != "on" {
        tracing::warn!(
            "fsync is off in postgresql.conf: what was confirmed is lost, and the database damaged, if the machine of the server fails"
        );
    }
    let reads_only: bool = sql!("SELECT pg_is_in_recovery()").fetch_one(&mut *connection).await?.try_get(0)?;
    if reads_only {
        return Ok(Err("the server is a standby, which only reads: name the primary in `dsn`".into()));
    }
    let commits = || sql!("SELECT current_setting('synchronous_commit')");
    if commits().fetch_one(&mut *connection).await?.try_get::<&str, _>(0)? == "off" {
        return Ok(Err("synchronous_commit is off for this user or database: what was confirmed could be lost. Set it to on: \
                       ALTER ROLE ... SET synchronous_commit = on, or in postgresql.conf"
            .into()));
    }
    Ok(Ok(()))
}

/// Brings the tables to this program's version, one process at a time.
pub(super) async fn migrate(connection: &mut PgConnection) -> Result<Result<(), String>, Error> {
    let version = "CREATE TABLE IF NOT EXISTS millrace_schema (id BIGINT PRIMARY KEY CHECK (id = 1), version BIGINT NOT NULL);
                   INSERT INTO millrace_schema (id, version) VALUES (1, 0) ON CONFLICT DO NOTHING";
    let is_there: bool = sql!("SELECT to_regclass('millrace_schema') IS NOT NULL").fetch_one(&mut *connection).await?.try_get(0)?;
    if !is_there && let Err(error) = sqlx::raw_sql(version).execute(&mut *connection).await {
        // Of two that make one table at once, one is told that its name is taken.
        let is_made: bool = sql!("SELECT to_regclass('millrace_schema') IS NOT NULL").fetch_one(&mut *connection).await?.try_get(0)?;
        if !is_made {
            return Err(error);
        }
    }
    let mut transaction = connection.begin().await?;
    let found: i64 = sql!("SELECT version FROM millrace_schema WHERE id = 1 FOR UPDATE").fetch_one(&mut *transaction).await?.try_get(0)?;
    let known = MIGRATIONS.len();
    let done = match usize::try_from(found) {
        Ok(done) if done <= known => done,
        _ => {
            return Ok(Err(format!(
                "it was written by a newer version of this program: its tables have version {found}, and this one knows up to {known}. Start \
                 that version, or put back a dump from before the upgrade"
            )));
        }
    };
    for migration in &MIGRATIONS[done..] {
        sqlx::raw_sql(*migration).execute(&mut *transaction).await?;
    }
    if done == 0 {
        let identity = Uuid::now_v7().simple().to_string();
        let insert = "INSERT INTO process (id, epoch, identity, pruned_position, pruned_inbox, steady_at, noted_date)
                      VALUES (1, 0, $1, 0, false, 0, 0)";
        sql!(insert, identity).execute(&mut *transaction).await?;
    }
    if (1..known).contains(&done) {
        // They do not know of these tables, and write nothing more.
        sqlx::raw_sql("UPDATE owners SET ended_at = clock_timestamp() WHERE ended_at IS NULL").execute(&mut *transaction).await?;
    }
    if done < known {
        let update = format!("UPDATE millrace_schema SET version = {known}");
        sqlx::raw_sql(AssertSqlSafe(update)).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(Ok(()))
}
