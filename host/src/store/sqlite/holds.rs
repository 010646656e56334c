//! Holds of instances, and what was set aside.

use rusqlite::{Connection, OptionalExtension, params};

use super::super::{Hold, StepRun};
use super::columns::{micros, time};
use super::runs;
use super::writer::{UnitError, Writing};

pub(super) fn hold(writing: &Writing<'_>, kind: &str, id: &str, hold: &Hold) -> Result<bool, UnitError> {
    let held = writing.run(
        "INSERT INTO holds (resource, kind, id, who, reason, at)
         SELECT pk, kind, id, ?3, ?4, ?5 FROM resources WHERE kind = ?1 AND id = ?2 AND finished = 0
         ON CONFLICT DO UPDATE SET who = excluded.who, reason = excluded.reason, at = excluded.at",
        params![kind, id, hold.who, hold.reason, micros(hold.at)],
    )?;
    Ok(held > 0)
}

pub(super) fn let_go(writing: &Writing<'_>, kind: &str, id: &str) -> Result<bool, UnitError> {
    Ok(writing.run("DELETE FROM holds WHERE kind = ?1 AND id = ?2", [kind, id])? > 0)
}

pub(super) fn held(connection: &Connection, kind: &str, id: &str) -> rusqlite::Result<Option<Hold>> {
    let mut statement = connection.prepare_cached("SELECT who, reason, at FROM holds WHERE kind = ?1 AND id = ?2")?;
    let found = statement.query_row([kind, id], |row| Ok(Hold { who: row.get(0)?, reason: row.get(1)?, at: time(row, 2)? }));
    found.optional()
}

pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare_cached("SELECT kind, id FROM holds ORDER BY kind, id")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// The runs of an instance that wait or were set aside are due at once.
pub(super) fn hurry(writing: &Writing<'_>, kind: &str, id: &str) -> Result<u64, UnitError> {
    let sql = format!(
        "UPDATE step_runs SET status = 'ready', crashes = CASE WHEN status = 'ready' THEN crashes ELSE 0 END, due_at = min(due_at, ?3)
         WHERE {} AND (status IN ('parked', 'stranded') OR (status = 'ready' AND due_at > ?3))",
        runs::RUN_OF
    );
    let changed = writing.run(&sql, params![id, kind, writing.tail.written_at])?;
    Ok(changed as u64)
}

pub(super) fn set_aside(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<StepRun>> {
    let mut runs = runs::parked(connection)?;
    runs.truncate(limit);
    Ok(runs)
}

/// Whether a run that was set aside is let go on.
pub(super) fn release(writing: &Writing<'_>, key: &str) -> Result<bool, UnitError> {
    let now = super::columns::time_of(writing.tail.written_at)?;
    Ok(runs::release(writing.connection, key, now)?)
}

/// Looks at the first entry of each kind only.
pub(super) fn kinds(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "WITH RECURSIVE each (kind) AS (
             SELECT min(kind) FROM resources
             UNION ALL SELECT (SELECT min(kind) FROM resources WHERE kind > each.kind) FROM each WHERE each.kind IS NOT NULL
         ) SELECT kind FROM each WHERE kind IS NOT NULL",
    )?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// A hold ends with its instance.
pub(super) fn end(writing: &Writing<'_>, pk: i64) -> rusqlite::Result<()> {
    writing.run("DELETE FROM holds WHERE resource = ?1", [pk]).map(drop)
}
