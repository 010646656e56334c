//! A file as one end of a copy between databases: opened as a start opens it and read, or made anew beside its name and given it when it is whole.

use std::path::{Path, PathBuf};

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ToSql, params, params_from_iter};

use super::super::changes;
use super::super::copying::{
    Cell, Cells, Column, CopyError, Form, Head, Leaves, NUMBER_KEYS, Reads, STEP_BYTES, STEP_ROWS, TEXT_KEYS, Table, Takes, bytes_of,
    found_in,
};
use super::backup::{self, Part};
use super::columns::most;
use super::connection::{self, OpenError};
use super::lock::DatabaseLock;
use super::mark::Mark;
use super::unit::MOST_CHANGES;
use super::{opening, users, writer};
use crate::clock::Clock;
use crate::durable::beside;

impl From<OpenError> for CopyError {
    fn from(error: OpenError) -> Self {
        Self::Unusable(error.to_string())
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Value::Null),
            Self::Number(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

/// What a column is called here.
fn name(table: &Table, column: &'static str) -> &'static str {
    match (table.name, column) {
        ("idempotency", "account") => "user",
        (TEXT_KEYS, "text") | (NUMBER_KEYS, "number") => "value",
        _ => column,
    }
}

/// How a column is read here: what is kept by a small number is read as what it stands for.
fn expression(table: &Table, column: &'static str) -> &'static str {
    match (table.name, column) {
        ("history", "digest") => "coalesce(digest, (SELECT d.digest FROM digests AS d WHERE d.pk = digest_pk))",
        ("history", "changes") => {
            "CASE typeof(changes) WHEN 'integer' THEN (SELECT f.changes FROM changed_fields AS f WHERE f.pk = history.changes) ELSE changes END"
        }
        ("resources", "touched_at") => "coalesce(touched_at, updated_at)",
        _ => name(table, column),
    }
}

/// Which rows of its place are those of the table. Each row is of one.
fn only(table: &Table) -> &'static str {
    match table.name {
        NUMBER_KEYS => "typeof(value) = 'integer'",
        TEXT_KEYS => "typeof(value) <> 'integer'",
        _ => "true",
    }
}

/// What is read and written of a database that nobody else has.
struct Rows<'a> {
    path: &'a Path,
    connection: &'a Connection,
}

impl Rows<'_> {
    fn failed(&self, error: &rusqlite::Error) -> CopyError {
        CopyError::Failed(format!("the database '{}' cannot be copied: {error}", self.path.display()))
    }

    fn head(&self) -> Result<Head, CopyError> {
        let select = "SELECT identity, epoch, pruned_position, coalesce((SELECT min(sequence) > 1 FROM inbox), false), steady_at, noted_date FROM process";
        let head = self.connection.query_row(select, [], |row| {
            Ok(Head {
                identity: row.get(0)?,
                epoch: row.get(1)?,
                pruned_position: row.get(2)?,
                pruned_inbox: row.get(3)?,
                steady_at: row.get(4)?,
                noted_date: row.get(5)?,
            })
        });
        head.map_err(|error| self.failed(&error))
    }

    fn count(&self, table: &'static Table) -> Result<u64, CopyError> {
        let select = format!("SELECT count(*) FROM {} WHERE {}", table.place(), only(table));
        self.connection.query_row(&select, [], |row| super::columns::count(row, 0)).map_err(|error| self.failed(&error))
    }

    fn step(&self, table: &'static Table, after: Option<&[Cell]>) -> Result<Vec<Cells>, CopyError> {
        let list = |names: &mut dyn Iterator<Item = &'static str>| names.map(|name| expression(table, name)).collect::<Vec<_>>().join(", ");
        let (columns, key) = (list(&mut table.columns.iter().map(|column| column.name)), list(&mut table.key.iter().copied()));
        let (later, values) = match after {
            None => (String::new(), Vec::new()),
            Some(row) => (format!(" AND ({key}) > ({})", vec!["?"; table.key.len()].join(", ")), table.key_of(row).collect()),
        };
        let select =
            format!("SELECT {columns} FROM {} WHERE {}{later} ORDER BY {key} LIMIT {}", table.place(), only(table), most(STEP_ROWS));
        let step = || -> rusqlite::Result<Vec<Cells>> {
            let mut statement = self.connection.prepare_cached(&select)?;
            let mut found = statement.query(params_from_iter(values))?;
            let (mut rows, mut bytes) = (Vec::new(), 0);
            while bytes < STEP_BYTES
                && let Some(row) = found.next()?
            {
                let cells = table.columns.iter().enumerate().map(|(at, column)| cell(row.get_ref(at)?, at, column));
                let cells = cells.collect::<rusqlite::Result<Cells>>()?;
                bytes += bytes_of(&cells);
                rows.push(cells);
            }
            Ok(rows)
        };
        step().map_err(|error| self.failed(&error))
    }

    fn last_number(&self, table: &'static Table) -> Result<i64, CopyError> {
        let Some(counted) = table.counted else { return Ok(0) };
        let select = format!(
            "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?1), 0), coalesce((SELECT max({counted}) FROM {}), 0))",
            table.place()
        );
        self.connection.query_row(&select, [table.place()], |row| row.get(0)).map_err(|error| self.failed(&error))
    }
}

/// A value as it was found. In a table that is STRICT, what is not of its column's type can only be an `ANY`.
fn cell(found: ValueRef<'_>, at: usize, column: &Column) -> rusqlite::Result<Cell> {
    Ok(match (found, column.form) {
        (ValueRef::Null, _) => Cell::Null,
        (ValueRef::Integer(number), Form::Number | Form::Flag) => Cell::Number(number),
        (ValueRef::Text(_), Form::Names) => {
            let names: Vec<String> = serde_json::from_str(found.as_str()?).map_err(|error| unreadable(at, column, &error.to_string()))?;
            Cell::Text(serde_json::Value::from(names).to_string())
        }
        (ValueRef::Text(_), Form::Text) => Cell::Text(found.as_str()?.to_owned()),
        (other, _) => return Err(unreadable(at, column, &format!("it holds {}", other.data_type()))),
    })
}

fn unreadable(at: usize, column: &Column, why: &str) -> rusqlite::Error {
    let text = format!("the column '{}' is not what it should be: {why}", column.name);
    rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Null, text.into())
}

/// A database that is copied: open as for a process, which a start of one would not know from a process that has done nothing.
pub(in super::super) struct Source {
    path: PathBuf,
    connection: Connection,
    mark: Mark,
    /// How far was written, if that could be noted.
    written: Option<i64>,
    /// Let go of after the connection is.
    lock: DatabaseLock,
}

impl Source {
    /// Opens the database `path`, which has to be there and in nobody's use. It is looked through as at a start, and its tables are brought up to
    /// date.
    pub(in super::super) fn open(path: &Path, clock: &Clock) -> Result<Self, CopyError> {
        connection::check_version(rusqlite::version_number())?;
        check_there(path)?;
        let opened = opening::open(path, clock)?;
        let written = opened.begun.then_some(opened.tail.noted_at);
        let source = Self { path: path.to_owned(), connection: opened.connection, mark: opened.mark, written, lock: opened.lock };
        match opened.check.and_then(super::check::Check::finish) {
            Some(found) => Err(CopyError::Unusable(found)),
            None => Ok(source),
        }
    }

    fn rows(&self) -> Rows<'_> {
        Rows { path: &self.path, connection: &self.connection }
    }
}

/// That there is a database which an opening would not make anew.
fn check_there(path: &Path) -> Result<(), CopyError> {
    let none = |why: String| Err(CopyError::Unusable(format!("there is nothing to copy: {why}")));
    match std::fs::metadata(path) {
        Err(error) => return none(format!("'{}' cannot be read: {error}", path.display())),
        Ok(found) if !found.is_file() => return none(format!("'{}' is no file", path.display())),
        Ok(_) => {}
    }
    // What is in its log only is for the opening to judge.
    let has_log = std::fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0);
    let version = connection::unchanging(path).and_then(|connection| connection::version_of_tables(&connection));
    match version {
        Ok(0) if !has_log => none(format!("'{}' has none of the tables of this program", path.display())),
        Ok(_) => Ok(()),
        Err(error) => Err(OpenError::of(path, error).into()),
    }
}

impl Leaves for Source {
    fn leave(self: Box<Self>, _is_copied: bool) {
        let Self { path: _, connection, mark, written, lock: _held } = *self;
        writer::close(connection, mark, written);
    }
}

impl Reads for Source {
    fn head(&mut self) -> Result<Head, CopyError> {
        self.rows().head()
    }

    fn count(&mut self, table: &'static Table) -> Result<u64, CopyError> {
        self.rows().count(table)
    }

    fn step(&mut self, table: &'static Table, after: Option<&[Cell]>) -> Result<Vec<Cells>, CopyError> {
        self.rows().step(table, after)
    }

    fn last_number(&mut self, table: &'static Table) -> Result<i64, CopyError> {
        self.rows().last_number(table)
    }
}

/// A database that is filled, in a file that is given its name in the end.
pub(in super::super) struct Target {
    path: PathBuf,
    connection: Option<Connection>,
    part: Part,
    head: Option<Head>,
    #[expect(dead_code, reason = "only held: no process starts here meanwhile")]
    lock: DatabaseLock,
}

impl Target {
    /// Begins the database `path`, of which there may be none.
    pub(in super::super) fn begin(path: &Path) -> Result<Self, CopyError> {
        connection::check_version(rusqlite::version_number())?;
        let mut lock = DatabaseLock::take(path)?;
        if std::fs::symlink_metadata(path).is_ok() {
            lock.hold(path)?;
            return Err(taken(path)?);
        }
        for ending in ["-wal", ".mark"] {
            let rest = beside(path, ending);
            if std::fs::metadata(&rest).is_ok_and(|rest| rest.len() > 0) {
                let text = format!("'{}' is what another database of that name has left: move it away first", rest.display());
                return Err(CopyError::Unusable(text));
            }
        }
        let part = Part::take(path)?;
        let failed = |error: &rusqlite::Error| CopyError::Failed(format!("the database '{}' cannot be made: {error}", path.display()));
        let mut connection = Connection::open(&part.path).map_err(|error| failed(&error))?;
        prepare(&connection).map_err(|error| failed(&error))?;
        connection::migrate(&mut connection, path)?;
        users::renew_keys(&mut connection).and_then(|()| connection.execute_batch("BEGIN IMMEDIATE")).map_err(|error| failed(&error))?;
        Ok(Self { path: path.to_owned(), connection: Some(connection), part, head: None, lock })
    }

    fn rows(&self) -> Result<Rows<'_>, CopyError> {
        let connection = self.connection.as_ref().ok_or_else(|| CopyError::Failed("it was closed".into()))?;
        Ok(Rows { path: &self.path, connection })
    }

    /// Writes what is open, and gives the file its name.
    fn complete(&mut self) -> Result<(), CopyError> {
        let rows = self.rows()?;
        let is_pruned = self.head.as_ref().is_some_and(|head| head.pruned_inbox);
        let ended = || -> rusqlite::Result<()> {
            if !is_pruned {
                // Here the first row's number says so.
                rows.connection.execute("UPDATE inbox SET sequence = 1 WHERE sequence = (SELECT min(sequence) FROM inbox)", [])?;
            }
            rows.connection.execute_batch("COMMIT")?;
            rows.connection.pragma_update(None, "journal_mode", "WAL")
        };
        ended().map_err(|error| rows.failed(&error))?;
        if let Some(connection) = self.connection.take() {
            connection.close().map_err(|(_, error)| self.failed(&error))?;
        }
        backup::hand_over(&self.part.path, &self.path, None)?;
        backup::hand_over_lock(&self.part.path, &self.path);
        backup::durably(&self.part.path, &self.path).map_err(|error| {
            // Where the part has its name by now, only its folder is not sure to be on the disk.
            if self.part.path.exists() { error.into() } else { CopyError::Unknown(error.to_string()) }
        })
    }

    fn failed(&self, error: &rusqlite::Error) -> CopyError {
        CopyError::Failed(format!("the database '{}' cannot be made: {error}", self.path.display()))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        drop(self.connection.take());
        // There is none if it was given its name.
        let _ = std::fs::remove_file(&self.part.path);
    }
}

/// Nobody needs this file before it is whole, so it is made durable once, and what failed is not rolled back but removed.
fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "OFF")?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.pragma_update(None, "foreign_keys", true)
}

/// Why the database `path`, which is there, is not written over.
fn taken(path: &Path) -> Result<CopyError, CopyError> {
    let connection = connection::open_reader(path)?;
    let is_ours = connection::version_of_tables(&connection).map_err(|error| OpenError::of(path, error))? > 0;
    let there = Rows { path, connection: &connection };
    let found = if is_ours { found_in(|table| there.count(table))? } else { None };
    Ok(CopyError::NotEmpty {
        target: format!("the database '{}'", path.display()),
        found: found.unwrap_or_else(|| "no rows, but it is there".to_owned()),
        way_out: "Name a file that is not there, or move this one away, with those beside it",
    })
}

impl Reads for Target {
    fn head(&mut self) -> Result<Head, CopyError> {
        let head = self.rows()?.head()?;
        // What the first row's number will say in the end.
        let pruned_inbox = self.head.as_ref().map_or(head.pruned_inbox, |set| set.pruned_inbox);
        Ok(Head { pruned_inbox, ..head })
    }

    fn count(&mut self, table: &'static Table) -> Result<u64, CopyError> {
        self.rows()?.count(table)
    }

    fn step(&mut self, table: &'static Table, after: Option<&[Cell]>) -> Result<Vec<Cells>, CopyError> {
        self.rows()?.step(table, after)
    }

    fn last_number(&mut self, table: &'static Table) -> Result<i64, CopyError> {
        self.rows()?.last_number(table)
    }
}

impl Takes for Target {
    fn add(&mut self, table: &'static Table, rows: &[Cells]) -> Result<(), CopyError> {
        let target = self.rows()?;
        let add = || -> rusqlite::Result<()> {
            let mut insert = target.connection.prepare_cached(&insertion(table))?;
            for row in rows {
                if table.name == "history" {
                    give_numbers(target.connection, table, row)?;
                }
                insert.execute(params_from_iter(row))?;
            }
            Ok(())
        };
        add().map_err(|error| target.failed(&error))
    }

    fn count_on(&mut self, table: &'static Table, last: i64) -> Result<(), CopyError> {
        let target = self.rows()?;
        // Other tables go on after their last row.
        let begin = "INSERT INTO sqlite_sequence (name, seq) SELECT ?1, 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?1)
                     AND EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?1 AND sql LIKE '%AUTOINCREMENT%')";
        let go_on = "UPDATE sqlite_sequence SET seq = ?2 WHERE name = ?1 AND seq < ?2";
        let place = table.place();
        let counted = target.connection.execute(begin, [place]).and_then(|_| target.connection.execute(go_on, params![place, last]));
        counted.map(drop).map_err(|error| target.failed(&error))
    }

    fn set_head(&mut self, head: &Head) -> Result<(), CopyError> {
        let Head { identity, epoch, pruned_position, pruned_inbox: _, steady_at, noted_date } = head;
        let update = "UPDATE process SET identity = ?1, epoch = ?2, pruned_position = ?3, steady_at = ?4, noted_date = ?5";
        let target = self.rows()?;
        let set = target.connection.execute(update, params![identity, epoch, pruned_position, steady_at, noted_date]);
        set.map_err(|error| target.failed(&error))?;
        self.head = Some(head.clone());
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), CopyError> {
        self.complete()
    }
}

/// How a row is added.
fn insertion(table: &Table) -> String {
    let place = |column: &Column| match (table.name, column.name) {
        ("history", "digest") => "digest_pk",
        (_, column) => name(table, column),
    };
    let value = |(at, column): (usize, &Column)| match (table.name, column.name) {
        ("history", "digest") => format!("(SELECT pk FROM digests WHERE digest = ?{})", at + 1),
        ("history", "changes") => format!("coalesce((SELECT pk FROM changed_fields AS f WHERE f.changes = ?{0}), ?{0})", at + 1),
        _ => format!("?{}", at + 1),
    };
    let places: Vec<&str> = table.columns.iter().map(place).collect();
    let values: Vec<String> = table.columns.iter().enumerate().map(value).collect();
    format!("INSERT INTO {} ({}) VALUES ({})", table.place(), places.join(", "), values.join(", "))
}

/// Has a row of history be able to name by a number what many of them name.
fn give_numbers(connection: &Connection, table: &Table, row: &[Cell]) -> rusqlite::Result<()> {
    for (column, cell) in table.columns.iter().zip(row) {
        let Cell::Text(text) = cell else { continue };
        match column.name {
            "digest" => {
                connection.prepare_cached("INSERT INTO digests (digest) VALUES (?1) ON CONFLICT DO NOTHING")?.execute([text])?;
            }
            "changes" if changes::from_text(text).is_ok_and(|changes| !changes::has_values(&changes)) => {
                let insert = "INSERT INTO changed_fields (changes) SELECT ?1 WHERE coalesce((SELECT max(pk) FROM changed_fields), 0) < ?2
                              ON CONFLICT DO NOTHING";
                connection.prepare_cached(insert)?.execute(params![text, MOST_CHANGES])?;
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::super::copying::TABLES;
    use super::*;

    /// What is kept of a database apart from its tables' rows, or by other names.
    const BESIDE: [&str; 5] = ["process", "digests", "changed_fields", "sqlite_sequence", "history.digest_pk"];

    #[test]
    fn each_table_is_copied_with_each_of_its_columns() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection::migrate(&mut connection, Path::new("memory")).unwrap();
        let columns = "SELECT t.name, c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c WHERE t.type = 'table'";
        let mut statement = connection.prepare(columns).unwrap();
        let there = statement.query_map([], |row| Ok(format!("{}.{}", row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
        let is_of_its_own = |name: &String| !BESIDE.iter().any(|beside| name == beside || name.starts_with(&format!("{beside}.")));
        let there: BTreeSet<String> = there.map(Result::unwrap).filter(is_of_its_own).collect();
        let copied =
            TABLES.iter().flat_map(|table| table.columns.iter().map(|column| format!("{}.{}", table.place(), name(table, column.name))));
        assert_eq!(copied.collect::<BTreeSet<_>>(), there);
    }
}
