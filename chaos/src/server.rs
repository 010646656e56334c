//! PostgreSQL: a server of the run's own, with the databases of orders and of users-products. It is killed and cut off like everything else, and
//! ends with whoever has started it, however that ends.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use rusqlite::types::Value as Stored;
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// The database of orders.
pub const ORDERS: &str = "orders";
/// The database of accounts and stock.
pub const USERS_PRODUCTS: &str = "users_products";

/// Starts the server in a new folder, tells the folder, and stops it when nobody holds its input any more.
const RUN: &str = r#"
set -e
folder=$(mktemp -d "${TMPDIR:-/tmp}/millrace-chaos-postgres.XXXXXX")
trap 'rm -rf "$folder"' EXIT
"$1/initdb" --pgdata="$folder/data" --username=millrace --auth=trust --encoding=UTF8 --locale=C --no-sync > "$folder/initdb.log"
"$1/pg_ctl" --pgdata="$folder/data" --log="$folder/log" --wait --timeout=120 \
    --options="-k $folder -p $2 -c listen_addresses=127.0.0.1 -c max_connections=200 -c shared_buffers=64MB" start > "$folder/start.log" ||
    { cat "$folder/log" >&2; exit 1; }
echo "$folder"
cat > /dev/null || true
"$1/pg_ctl" --pgdata="$folder/data" --mode=immediate stop > /dev/null || true
"#;

/// What the checks look at: the table, its columns there, and what they are in PostgreSQL where they have another name.
const TABLES: [(&str, &str, &str); 13] = [
    (
        "resources",
        "pk, kind, id, owner, state, machine, finished, attention, data",
        "pk, kind, id, owner, state, machine, finished, attention, data",
    ),
    (
        "history",
        "resource, seq, transition, from_state, to_state, at, cause, component, digest, digest_pk",
        "resource, seq, transition, from_state, to_state, at, cause, component, digest, NULL::bigint",
    ),
    ("machines", "digest, definition", "digest, definition"),
    ("idempotency", "user, key, resource_id", "account, key, resource_id"),
    ("outbox", "position, topic, key, seq, event_id", "position, topic, key, seq, event_id"),
    ("unpublished", "position", "position"),
    ("inbox", "sequence, consumer, event_id", "sequence, consumer, event_id"),
    (
        "step_runs",
        "key, resource_kind, resource_id, kind, name, status, fence, attempt",
        "key, resource_kind, resource_id, kind, name, status, fence, attempt",
    ),
    ("stock", "sku, on_hand, reserved", "sku, on_hand, reserved"),
    ("stock_moves", "sku, delta", "sku, delta"),
    ("reservations", "key, status", "key, status"),
    ("reservation_lines", "reservation, sku, quantity", "reservation, sku, quantity"),
    ("components", "component, digest", "component, digest"),
];

/// A server that runs. Dropping it ends it.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    programs: PathBuf,
    port: u16,
    /// Ends the server when its input is closed, which it is when this program has gone.
    _keeper: Child,
}

impl Server {
    /// Starts one at `port` with two empty databases. PostgreSQL refuses to run as root: then it runs as the user that Debian's package brings.
    pub async fn start(port: u16) -> anyhow::Result<Self> {
        let programs = programs()?;
        let mut command = as_its_user("sh");
        command.args(["-c", RUN, "sh"]).arg(&programs).arg(port.to_string()).current_dir("/");
        // A group of its own: who interrupts this program at a terminal leaves the server to its keeper.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut keeper = command.spawn().context("sh could not be started")?;
        let mut told = String::new();
        BufReader::new(keeper.stdout.take().context("no output")?).read_line(&mut told).await?;
        if told.is_empty() {
            let mut why = String::new();
            keeper.stderr.take().context("no output")?.read_to_string(&mut why).await?;
            anyhow::bail!("PostgreSQL does not start: {why}");
        }
        let server = Self { folder: PathBuf::from(told.trim()), programs, port, _keeper: keeper };
        let mut connection = server.connect("postgres").await?;
        for name in [ORDERS, USERS_PRODUCTS] {
            connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template0"))).await?;
        }
        Ok(server)
    }

    /// Where it is, for who comes directly.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The DSN of a database, for who comes by `address`.
    pub fn dsn(address: &str, database: &str) -> String {
        format!("postgres://millrace@{address}/{database}")
    }

    /// A connection of the harness's own.
    pub async fn connect(&self, database: &str) -> anyhow::Result<PgConnection> {
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(self.port).username("millrace").database(database);
        PgConnection::connect_with(&options).await.with_context(|| format!("the database {database} cannot be reached"))
    }

    /// A number that `sql` answers.
    pub async fn count(connection: &mut PgConnection, sql: &str) -> anyhow::Result<u64> {
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(connection).await.with_context(|| sql.to_owned())?;
        Ok(count.cast_unsigned())
    }

    /// Lets runs of orders go on that wait for a person, as a person does at `/operate`: on a server no command does it.
    pub async fn release_runs(&self) -> anyhow::Result<()> {
        let mut connection = self.connect(ORDERS).await?;
        connection.execute("UPDATE step_runs SET status = 'ready', crashes = 0 WHERE status IN ('parked', 'stranded')").await?;
        Ok(())
    }

    /// Ends it without any farewell: what is not in its log then is lost.
    pub async fn kill(&self) -> anyhow::Result<()> {
        self.control(&["--mode=immediate", "--wait", "stop"]).await
    }

    /// Starts it again with the options that it had, and waits until it answers.
    pub async fn launch(&self) -> anyhow::Result<()> {
        self.control(&["--wait", "--timeout=120", "restart"]).await
    }

    /// Ends all connections of others.
    pub async fn disconnect_all(&self) -> anyhow::Result<()> {
        let mut connection = self.connect("postgres").await?;
        let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        Self::count(&mut connection, ended).await.map(drop)
    }

    /// Writes what the checks look at into a file of SQLite, as it is at one moment: they read it there, and it is left when the server is gone.
    pub async fn write_down(&self, database: &str, file: &Path) -> anyhow::Result<()> {
        let mut connection = self.connect(database).await?;
        let mut reading = connection.begin().await?;
        reading.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let mut read = Vec::new();
        for (table, _, columns) in TABLES {
            let sql = format!("SELECT json_build_array({columns})::text FROM {table}");
            let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut *reading).await.context(table)?;
            read.push(rows);
        }
        let dead_letters = Self::count(&mut reading, "SELECT count(*) FROM dead_letters").await?;
        if file.exists() {
            std::fs::remove_file(file)?;
        }
        std::fs::create_dir_all(file.parent().context("a file in no folder")?)?;
        let mut written = rusqlite::Connection::open(file)?;
        let writing = written.transaction()?;
        writing.execute_batch("CREATE TABLE digests (pk, digest); CREATE TABLE dead_letters (id)")?;
        for ((table, columns, _), rows) in TABLES.into_iter().zip(read) {
            writing.execute_batch(&format!("CREATE TABLE {table} ({columns})"))?;
            let places = vec!["?"; columns.split(',').count()].join(", ");
            let mut insert = writing.prepare(&format!("INSERT INTO {table} VALUES ({places})"))?;
            for row in rows {
                let row: Vec<Value> = serde_json::from_str(&row)?;
                let row = row.into_iter().map(stored).collect::<anyhow::Result<Vec<_>>>().with_context(|| format!("in {table}"))?;
                insert.execute(rusqlite::params_from_iter(row))?;
            }
        }
        for id in 0..i64::try_from(dead_letters)? {
            writing.execute("INSERT INTO dead_letters VALUES (?1)", [id])?;
        }
        Ok(writing.commit()?)
    }

    async fn control(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = as_its_user(&self.programs.join("pg_ctl").to_string_lossy());
        command.arg("--pgdata").arg(self.folder.join("data")).arg("--log").arg(self.folder.join("log")).args(arguments).current_dir("/");
        // The server keeps what it is given open, and is not to go with a signal to this program's group.
        let done = command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().await?;
        ensure!(done.success(), "pg_ctl {arguments:?}: {}", std::fs::read_to_string(self.folder.join("log")).unwrap_or_default());
        Ok(())
    }
}

/// A value as SQLite has it, which knows no truth but 1 and 0.
fn stored(value: Value) -> anyhow::Result<Stored> {
    Ok(match value {
        Value::Null => Stored::Null,
        Value::Bool(is_so) => Stored::Integer(i64::from(is_so)),
        Value::Number(number) => Stored::Integer(number.as_i64().with_context(|| format!("{number} is no whole number"))?),
        Value::String(text) => Stored::Text(text),
        other => anyhow::bail!("{other} is no value of a column"),
    })
}

/// A command as the user that may run the server.
fn as_its_user(program: &str) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", program]).env("HOME", "/").env_remove("TMPDIR");
    command
}

/// Where Debian has the server's programs, those of the newest version that is there.
fn programs() -> anyhow::Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|version| version.path().join("bin"));
    let has_server = |bin: &PathBuf| bin.join("initdb").exists() && bin.join("postgres").exists();
    let version = |bin: &Path| bin.parent().and_then(|folder| folder.file_name()?.to_str()?.parse::<u32>().ok());
    versions.filter(has_server).max_by_key(|bin| version(bin)).context("several processes need PostgreSQL: apt-get install postgresql")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_stored_as_the_checks_read_them() {
        let row: Vec<Value> = serde_json::from_str(r#"[null, true, 9007199254740993, "text"]"#).expect("JSON");
        let row: Vec<Stored> = row.into_iter().map(|value| stored(value).expect("a value")).collect();
        assert_eq!(row, [Stored::Null, Stored::Integer(1), Stored::Integer(9_007_199_254_740_993), Stored::Text("text".into())]);
        assert!(stored(serde_json::json!(0.5)).is_err() && stored(serde_json::json!({})).is_err());
    }

    #[test]
    fn what_is_written_down_has_as_many_columns_as_what_is_read() {
        for (table, written, read) in TABLES {
            assert_eq!(written.split(',').count(), read.split(',').count(), "{table}");
        }
    }
}
