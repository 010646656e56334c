//! The keys that resources are found by: written in the commit that changes them, and given to older resources in small steps.

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::super::keys::{KeyValue, Keyed, KeysOf, Note};
use super::super::{AuditEntry, IdempotencyRow};
use super::audit;
use super::columns::{count, int, json, micros, most, time};
use super::idempotency::insert_idempotency;
use super::writer::{UnitError, Writing};

/// Resources that one transaction gives their keys, so that the writer is never held for long.
const AT_ONCE: i64 = 200;

impl ToSql for KeyValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Number(number) => number.to_sql(),
            Self::Text(text) => text.to_sql(),
        }
    }
}

/// Which resource keys belong to.
pub(super) struct Of<'a> {
    pub(super) kind: &'a str,
    pub(super) id: &'a str,
    pub(super) created_at: i64,
}

/// Has the resource found by what it `is` found by, and no longer by what only it `was`. Writes nothing if they are the same.
pub(super) fn change(writing: &Writing<'_>, of: &Of<'_>, was: &Keyed, is: &Keyed) -> rusqlite::Result<()> {
    for (name, value) in was.difference(is) {
        writing.run(
            "DELETE FROM resource_keys WHERE kind = ?1 AND name = ?2 AND value = ?3 AND created_at = ?4 AND id = ?5",
            params![of.kind, name, value, of.created_at, of.id],
        )?;
    }
    for (name, value) in is.difference(was) {
        writing.run(
            "INSERT INTO resource_keys (kind, name, value, created_at, id) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
            params![of.kind, name, value, of.created_at, of.id],
        )?;
    }
    Ok(())
}

/// Removes what a resource is found by and what was noted of it. To be called before its row goes. Keys of another time, of which today's specs
/// know nothing, stay: they go before any like them are given.
pub(super) fn forget(writing: &Writing<'_>, pk: i64) -> rusqlite::Result<()> {
    let mut statement = writing.connection.prepare_cached("SELECT kind, id, created_at, data FROM resources WHERE pk = ?1")?;
    let row =
        statement.query_row([pk], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?, json(row, 3)?)));
    let Some((kind, id, created_at, data)) = row.optional()? else { return Ok(()) };
    if let Some(spec) = writing.spec(&kind) {
        change(writing, &Of { kind: &kind, id: &id, created_at }, &spec.of(&id, &data), &Keyed::new())?;
    }
    writing.run("DELETE FROM notes WHERE kind = ?1 AND id = ?2", [kind, id])?;
    Ok(())
}

/// Whether every resource has the keys that `specs` say, and nothing else is kept up.
pub(super) fn is_complete(connection: &Connection, specs: &[KeysOf]) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached("SELECT kind, spec, next FROM resource_keying WHERE spec <> ''")?;
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<i64>>(2)?));
    let known = statement.query_map([], row)?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(KeysOf::are_given(specs, &known))
}

/// Gives some of the resources their keys that lack them; false when none lacks any.
pub(super) fn give_some(writing: &Writing<'_>) -> Result<bool, UnitError> {
    let specs = writing.specs;
    let kinds = serde_json::Value::from_iter(specs.iter().map(|spec| spec.kind.as_str())).to_string();
    // What is no longer asked for is not kept up either: if it is asked for again, all begins anew.
    writing.run(
        "UPDATE resource_keying SET spec = '', next = NULL WHERE spec <> '' AND kind NOT IN (SELECT value FROM json_each(?1))",
        [kinds],
    )?;
    for spec in specs {
        let text = spec.text();
        writing.run(
            "INSERT INTO resource_keying (kind, spec, next) VALUES (?1, ?2, 0)
             ON CONFLICT DO UPDATE SET spec = excluded.spec, next = -1 WHERE spec <> excluded.spec",
            [&spec.kind, &text],
        )?;
        let next = writing
            .connection
            .prepare_cached("SELECT next FROM resource_keying WHERE kind = ?1")?
            .query_row([&spec.kind], |row| row.get::<_, Option<i64>>(0))?;
        if let Some(next) = next {
            let next = if next < 0 { Some(take_some(writing, spec)?) } else { give_from(writing, spec, next)? };
            writing.run("UPDATE resource_keying SET next = ?2 WHERE kind = ?1", params![spec.kind, next])?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes keys that another spec has given, some at a time; answers 0 when there are none any more, so that all get theirs anew.
fn take_some(writing: &Writing<'_>, spec: &KeysOf) -> Result<i64, UnitError> {
    let taken = writing.run(
        "DELETE FROM resource_keys WHERE (kind, name, value, created_at, id) IN
             (SELECT kind, name, value, created_at, id FROM resource_keys WHERE kind = ?1 LIMIT ?2)",
        params![spec.kind, AT_ONCE * 10],
    )?;
    Ok(if taken == 0 { 0 } else { -1 })
}

/// Gives keys to a stretch of resources; answers where the next stretch begins.
fn give_from(writing: &Writing<'_>, spec: &KeysOf, first: i64) -> Result<Option<i64>, UnitError> {
    let mut statement = writing
        .connection
        .prepare_cached("SELECT pk, id, created_at, data FROM resources WHERE kind = ?1 AND pk >= ?2 ORDER BY pk LIMIT ?3")?;
    let rows = statement.query_map(params![spec.kind, first, AT_ONCE], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?, json(row, 3)?))
    })?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    for (_, id, created_at, data) in &rows {
        change(writing, &Of { kind: &spec.kind, id, created_at: *created_at }, &Keyed::new(), &spec.of(id, data))?;
    }
    let is_last = i64::try_from(rows.len()).unwrap_or(i64::MAX) < AT_ONCE;
    Ok(rows.last().filter(|_| !is_last).map(|(pk, ..)| pk + 1))
}

pub(super) fn add_note(
    writing: &Writing<'_>,
    note: &Note,
    entry: Option<AuditEntry>,
    request: Option<IdempotencyRow>,
) -> Result<Option<u64>, UnitError> {
    let added = writing.run(
        "INSERT INTO notes (kind, id, at, author, text)
         SELECT kind, id, ?3, ?4, ?5 FROM resources WHERE kind = ?1 AND id = ?2",
        params![note.kind, note.id, micros(note.at), note.author, note.text],
    )?;
    if added == 0 {
        return Ok(None);
    }
    let seq = writing.connection.last_insert_rowid().unsigned_abs();
    if let Some(request) = request {
        insert_idempotency(writing, &IdempotencyRow { resource_id: seq.to_string(), ..request })?;
    }
    audit::append(writing.connection, entry)?;
    Ok(Some(seq))
}

/// The last `limit` notes before that number, the newest first.
pub(super) fn notes(connection: &Connection, kind: &str, id: &str, before: u64, limit: usize) -> rusqlite::Result<Vec<Note>> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, kind, id, at, author, text FROM notes WHERE kind = ?1 AND id = ?2 AND seq < ?3 ORDER BY seq DESC LIMIT ?4",
    )?;
    let note = |row: &rusqlite::Row<'_>| {
        Ok(Note { seq: count(row, 0)?, kind: row.get(1)?, id: row.get(2)?, at: time(row, 3)?, author: row.get(4)?, text: row.get(5)? })
    };
    statement.query_map(params![kind, id, int(before), most(limit)], note)?.collect()
}
