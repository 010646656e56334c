//! A database of a server as one end of a copy between databases. It is copied, or filled, in one transaction, which has the row of the database that
//! each process locks before it writes: none writes meanwhile, and none joins.

use futures::TryStreamExt as _;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection as _, Error, Postgres, Row as _};
use tokio::runtime::Runtime;

use super::super::copying::{
    Cell, Cells, Column, CopyError, Form, Head, Leaves, NUMBER_KEYS, Reads, STEP_BYTES, STEP_ROWS, TABLES, TEXT_KEYS, Table, Takes,
    bytes_of, found_in,
};
use super::columns::{count, most};
use super::opening::{self, Dsn, MIGRATIONS, ServerError};
use super::owner;
use super::unit::sql;

/// What a server says when somebody else has what is asked for.
const LOCKED: &str = "55P03";

impl From<ServerError> for CopyError {
    fn from(error: ServerError) -> Self {
        Self::Unusable(error.to_string())
    }
}

/// A database in a transaction of its own: one that is copied, or one that is filled.
pub(in super::super) struct Opened {
    dsn: Dsn,
    connection: PgConnection,
    runtime: Runtime,
    /// Most rows that the next step asks for: the server sends all that it is asked for, whether they are wanted or not.
    limit: usize,
}

impl Opened {
    /// One that is there and that no process has, to be copied.
    pub(in super::super) fn source(dsn: &Dsn) -> Result<Self, CopyError> {
        Self::open(dsn, false)
    }

    /// One to be filled, which has to be empty. Its tables are made if there are none.
    pub(in super::super) fn target(dsn: &Dsn) -> Result<Self, CopyError> {
        let mut opened = Self::open(dsn, true)?;
        match found_in(|table| opened.count(table))? {
            None => Ok(opened),
            Some(found) => Err(CopyError::NotEmpty {
                target: format!("the database '{dsn}'"),
                found,
                way_out: "Make another one (createdb), or empty it: DROP SCHEMA public CASCADE; CREATE SCHEMA public, if nothing else is in it",
            }),
        }
    }

    /// Opens it and begins. Tables are made where there are none, if it `is_made`.
    fn open(dsn: &Dsn, is_made: bool) -> Result<Self, CopyError> {
        let unusable = |reason: String| ServerError { place: dsn.to_string(), reason };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| unusable(format!("it cannot be waited for: {error}")))?;
        let options = dsn.options()?;
        let mut connection = runtime.block_on(opening::connect(dsn, &options))?;
        let refused = runtime.block_on(begin(&mut connection, is_made));
        match refused {
            Ok(None) => Ok(Self { dsn: dsn.clone(), runtime, connection, limit: STEP_ROWS }),
            Ok(Some(reason)) => Err(unusable(reason).into()),
            Err(error) => Err(unusable(error.to_string()).into()),
        }
    }

    /// Does some work on the connection.
    fn run<T>(&mut self, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Error>) -> Result<T, CopyError> {
        let Self { dsn, runtime, connection, .. } = self;
        runtime.block_on(work(connection)).map_err(|error| CopyError::Failed(format!("the database '{dsn}' cannot be copied: {error}")))
    }

    /// Ends whoever has gone without a word: should it come back, it writes nothing more here. Then ends the transaction, if it `counts`.
    fn end(mut self, counts: bool) -> Result<(), CopyError> {
        if counts {
            let ended = sql!("UPDATE owners SET ended_at = clock_timestamp() WHERE ended_at IS NULL");
            self.run(async |connection| ended.execute(connection).await.map(drop))?;
            let Self { dsn, runtime, connection, .. } = &mut self;
            let committed = runtime.block_on(sqlx::raw_sql("COMMIT").execute(&mut *connection));
            // The server may have done it before the answer was lost.
            committed.map_err(|error| CopyError::Unknown(format!("the database '{dsn}' was told to commit: {error}")))?;
        }
        let Self { runtime, connection, .. } = self;
        // Whether it says farewell or not, the server ends what was not committed.
        let _ = runtime.block_on(connection.close());
        Ok(())
    }
}

/// Looks whether the database can be used, and begins a transaction in which nobody else writes. Answers why not.
async fn begin(connection: &mut PgConnection, is_made: bool) -> Result<Option<String>, Error> {
    if let Err(reason) = opening::check_server(connection).await? {
        return Ok(Some(reason));
    }
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    match version(connection).await? {
        0 if !is_made => return Ok(Some("there is nothing to copy: it has none of the tables of this program".into())),
        0 => {
            if let Err(reason) = opening::migrate(connection).await? {
                return Ok(Some(reason));
            }
        }
        found if found != known => {
            let reason = format!("its tables have version {found}, and this version of the program copies those of version {known} only");
            let way_out = if found > known {
                "a program of that version or a newer one has to copy it"
            } else {
                "open it with a process of this version first"
            };
            return Ok(Some(format!("{reason}: {way_out}")));
        }
        _ => {}
    }
    sqlx::raw_sql("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0").execute(&mut *connection).await?;
    match sql!("SELECT id FROM process FOR UPDATE").execute(&mut *connection).await {
        Err(Error::Database(error)) if error.code().as_deref() == Some(LOCKED) => {
            return Ok(Some("somebody else has it: a process that is writing, or another copy".into()));
        }
        locked => {
            locked?;
        }
    }
    let Some(other) = owner::seen(connection).await?.into_iter().find(owner::Seen::may_write) else { return Ok(None) };
    Ok(Some(format!(
        "it is in use by process {} of host '{}' (owner {}): stop it first. One that was killed counts as gone after ten seconds",
        other.pid, other.host, other.id
    )))
}

/// Which version its tables have; 0 where there are none.
async fn version(connection: &mut PgConnection) -> Result<i64, Error> {
    let is_there: bool = sql!("SELECT to_regclass('millrace_schema') IS NOT NULL").fetch_one(&mut *connection).await?.try_get(0)?;
    if !is_there {
        return Ok(0);
    }
    sql!("SELECT version FROM millrace_schema").fetch_one(connection).await?.try_get(0)
}

/// A statement that is made of the names of tables and columns.
fn made<'q>(text: String) -> Query<'q, Postgres, PgArguments> {
    sqlx::query(AssertSqlSafe(text))
}

fn bind<'q>(statement: Query<'q, Postgres, PgArguments>, cell: &Cell) -> Query<'q, Postgres, PgArguments> {
    match cell {
        Cell::Null => statement.bind(None::<String>),
        Cell::Number(number) => statement.bind(*number),
        Cell::Text(text) => statement.bind(text.clone()),
    }
}

fn number(cell: &Cell) -> Option<i64> {
    if let Cell::Number(number) = cell { Some(*number) } else { None }
}

fn text(cell: &Cell) -> Option<String> {
    if let Cell::Text(text) = cell { Some(text.clone()) } else { None }
}

/// Which rows of its place are those of the table.
fn only(table: &Table) -> &'static str {
    match table.name {
        NUMBER_KEYS => "number IS NOT NULL",
        TEXT_KEYS => "text IS NOT NULL",
        _ => "true",
    }
}

/// How a column is read.
fn read(Column { name, form }: &Column) -> String {
    match form {
        Form::Number | Form::Text => (*name).to_owned(),
        Form::Flag => format!("{name}::int::bigint"),
        Form::Names => format!("array_to_json({name})::text"),
    }
}

/// How a column is written, of a row `new` of numbers and texts.
fn written(Column { name, form }: &Column) -> String {
    match form {
        Form::Number | Form::Text => format!("new.{name}"),
        Form::Flag => format!("new.{name} <> 0"),
        Form::Names => format!("ARRAY(SELECT json_array_elements_text(new.{name}::json))"),
    }
}

fn cell(row: &PgRow, at: usize, column: &Column) -> Result<Cell, Error> {
    Ok(match column.form {
        Form::Number | Form::Flag => row.try_get::<Option<i64>, _>(at)?.map_or(Cell::Null, Cell::Number),
        Form::Text => row.try_get::<Option<String>, _>(at)?.map_or(Cell::Null, Cell::Text),
        Form::Names => {
            let names: Vec<String> = super::columns::json(row, at)?;
            Cell::Text(serde_json::Value::from(names).to_string())
        }
    })
}

impl Leaves for Opened {
    fn leave(self: Box<Self>, is_copied: bool) {
        // What these say of the copy is not so here: it is kept or not, whatever becomes of its source.
        if let Err(CopyError::Failed(error) | CopyError::Unknown(error)) = self.end(is_copied) {
            tracing::warn!(%error, "the source of the copy was left without a farewell");
        }
    }
}

impl Reads for Opened {
    fn head(&mut self) -> Result<Head, CopyError> {
        self.run(async |connection| {
            let select = "SELECT identity, epoch, pruned_position, pruned_inbox, steady_at, noted_date FROM process";
            let row = sql!(select).fetch_one(connection).await?;
            Ok(Head {
                identity: row.try_get(0)?,
                epoch: row.try_get(1)?,
                pruned_position: row.try_get(2)?,
                pruned_inbox: row.try_get(3)?,
                steady_at: row.try_get(4)?,
                noted_date: row.try_get(5)?,
            })
        })
    }

    fn count(&mut self, table: &'static Table) -> Result<u64, CopyError> {
        let select = format!("SELECT count(*) FROM {} WHERE {}", table.place(), only(table));
        self.run(async |connection| count(&made(select).fetch_one(connection).await?, 0))
    }

    fn step(&mut self, table: &'static Table, after: Option<&[Cell]>) -> Result<Vec<Cells>, CopyError> {
        let columns: Vec<String> = table.columns.iter().map(read).collect();
        let key = table.key.join(", ");
        let later = after.map(|_| {
            let numbers: Vec<String> = (1..=table.key.len()).map(|number| format!("${number}")).collect();
            format!(" AND ({key}) > ({})", numbers.join(", "))
        });
        let select = format!(
            "SELECT {} FROM {} WHERE {}{} ORDER BY {key} LIMIT {}",
            columns.join(", "),
            table.place(),
            only(table),
            later.unwrap_or_default(),
            most(self.limit)
        );
        let (rows, bytes) = self.run(async |connection| {
            let statement = after.into_iter().flat_map(|row| table.key_of(row)).fold(made(select), bind);
            let mut found = statement.fetch(connection);
            let (mut rows, mut bytes) = (Vec::new(), 0);
            while bytes < STEP_BYTES
                && let Some(row) = found.try_next().await?
            {
                let cells =
                    table.columns.iter().enumerate().map(|(at, column)| cell(&row, at, column)).collect::<Result<Cells, Error>>()?;
                bytes += bytes_of(&cells);
                rows.push(cells);
            }
            Ok((rows, bytes))
        })?;
        self.limit = if bytes < STEP_BYTES { STEP_ROWS } else { rows.len().clamp(1, STEP_ROWS) };
        Ok(rows)
    }

    fn last_number(&mut self, table: &'static Table) -> Result<i64, CopyError> {
        let Some(counted) = table.counted else { return Ok(0) };
        let place = table.place();
        let select = format!(
            "SELECT greatest(coalesce(pg_sequence_last_value(pg_get_serial_sequence('{place}', '{counted}')::regclass), 0), (SELECT max({counted}) FROM {place}), 0)"
        );
        self.run(async |connection| made(select).fetch_one(connection).await?.try_get(0))
    }
}

impl Takes for Opened {
    fn add(&mut self, table: &'static Table, rows: &[Cells]) -> Result<(), CopyError> {
        if let Some((row, column)) = unkeepable(table, rows) {
            return Err(CopyError::Failed(format!(
                "the row of {} in '{}' has the character U+0000 in '{column}', which no text of PostgreSQL can have",
                table.shown(row),
                table.name
            )));
        }
        let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
        let values: Vec<String> = table.columns.iter().map(written).collect();
        let array = |(at, column): (usize, &Column)| {
            let form = if matches!(column.form, Form::Number | Form::Flag) { "bigint" } else { "text" };
            format!("${}::{form}[]", at + 1)
        };
        let arrays: Vec<String> = table.columns.iter().enumerate().map(array).collect();
        let insert = format!(
            "INSERT INTO {} ({names}) SELECT {} FROM unnest({}) AS new ({names})",
            table.place(),
            values.join(", "),
            arrays.join(", "),
            names = names.join(", ")
        );
        self.run(async |connection| {
            let mut statement = made(insert);
            for (at, column) in table.columns.iter().enumerate() {
                let cells = rows.iter().map(|row| row.get(at).unwrap_or(&Cell::Null));
                statement = match column.form {
                    Form::Number | Form::Flag => statement.bind(cells.map(number).collect::<Vec<_>>()),
                    Form::Text | Form::Names => statement.bind(cells.map(text).collect::<Vec<_>>()),
                };
            }
            statement.execute(connection).await.map(drop)
        })
    }

    fn count_on(&mut self, table: &'static Table, last: i64) -> Result<(), CopyError> {
        let Some(counted) = table.counted.filter(|_| last > 0) else { return Ok(()) };
        let go_on = format!("SELECT setval(pg_get_serial_sequence('{}', '{counted}'), $1)", table.place());
        self.run(async |connection| made(go_on).bind(last).execute(connection).await.map(drop))
    }

    fn set_head(&mut self, head: &Head) -> Result<(), CopyError> {
        let Head { identity, epoch, pruned_position, pruned_inbox, steady_at, noted_date } = head;
        let update =
            "UPDATE process SET identity = $1, epoch = $2, pruned_position = $3, pruned_inbox = $4, steady_at = $5, noted_date = $6";
        let set = sql!(update, identity, epoch, pruned_position, pruned_inbox, steady_at, noted_date);
        self.run(async |connection| set.execute(connection).await.map(drop))
    }

    fn finish(mut self: Box<Self>) -> Result<(), CopyError> {
        // The server would otherwise choose how to read tables of which it knows nothing, until it has looked at them by itself.
        let mut places: Vec<&str> = TABLES.iter().map(Table::place).collect();
        places.dedup();
        let analyze = format!("ANALYZE {}", places.join(", "));
        self.run(async |connection| sqlx::raw_sql(AssertSqlSafe(analyze)).execute(connection).await.map(drop))?;
        self.end(true)
    }
}

/// A row with a text that a server cannot keep, and in which column.
fn unkeepable<'a>(table: &'static Table, rows: &'a [Cells]) -> Option<(&'a Cells, &'static str)> {
    rows.iter().find_map(|row| {
        let at = row.iter().position(|cell| matches!(cell, Cell::Text(text) if text.contains('\0')))?;
        Some((row, table.columns.get(at)?.name))
    })
}
