//! What components keep of their own.

use rusqlite::{Connection, OptionalExtension, params};

use super::super::{KV_ENTRY_BYTES, KvEntry, KvOp, KvOwner, KvRow};
use super::columns::{count, int};
use super::writer::{UnitError, Writing};

/// Number of the instance, if it is here.
fn instance(connection: &Connection, kind: &str, id: &str) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached("SELECT pk FROM resources WHERE kind = ?1 AND id = ?2")?;
    statement.query_row([kind, id], |row| row.get(0)).optional()
}

pub(super) fn value(connection: &Connection, owner: &KvOwner, key: &str) -> rusqlite::Result<Option<String>> {
    let Some((kind, id)) = &owner.instance else {
        let mut statement = connection.prepare_cached("SELECT value FROM component_state WHERE component = ?1 AND key = ?2")?;
        return statement.query_row(params![owner.component, key], |row| row.get(0)).optional();
    };
    let Some(pk) = instance(connection, kind, id)? else { return Ok(None) };
    let mut statement =
        connection.prepare_cached("SELECT value FROM instance_state WHERE resource = ?1 AND component = ?2 AND key = ?3")?;
    statement.query_row(params![pk, owner.component, key], |row| row.get(0)).optional()
}

pub(super) fn bytes(connection: &Connection, owner: &KvOwner) -> rusqlite::Result<u64> {
    const SIZE: &str = "coalesce(sum(octet_length(key) + octet_length(value) + ?1), 0)";
    let each = int(KV_ENTRY_BYTES);
    let Some((kind, id)) = &owner.instance else {
        let mut statement = connection.prepare_cached(&format!("SELECT {SIZE} FROM component_state WHERE component = ?2"))?;
        return statement.query_row(params![each, owner.component], |row| count(row, 0));
    };
    let Some(pk) = instance(connection, kind, id)? else { return Ok(0) };
    let mut statement = connection.prepare_cached(&format!("SELECT {SIZE} FROM instance_state WHERE resource = ?2 AND component = ?3"))?;
    statement.query_row(params![each, pk, owner.component], |row| count(row, 0))
}

/// All entries of an instance, in the sequence of components and keys.
pub(super) fn entries(connection: &Connection, kind: &str, id: &str) -> rusqlite::Result<Vec<KvEntry>> {
    let mut statement = connection.prepare_cached(
        "SELECT component, key, value FROM instance_state
         WHERE resource = (SELECT pk FROM resources WHERE kind = ?1 AND id = ?2) ORDER BY component, key",
    )?;
    let entry = |row: &rusqlite::Row<'_>| Ok(KvEntry { component: row.get(0)?, key: row.get(1)?, value: row.get(2)? });
    statement.query_map([kind, id], entry)?.collect()
}

/// Makes a change. That of an instance which is not here is left out.
pub(super) fn apply(writing: &Writing<'_>, row: &KvRow) -> Result<(), UnitError> {
    let KvRow { owner, key, op } = row;
    let there = if matches!(op, KvOp::Add(_)) { value(writing.connection, owner, key)? } else { None };
    let after = op.after(there.as_deref());
    let Some((kind, id)) = &owner.instance else {
        match after {
            Some(value) => writing.run(
                "INSERT INTO component_state (component, key, value) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET value = excluded.value",
                params![owner.component, key, value],
            )?,
            None => writing.run("DELETE FROM component_state WHERE component = ?1 AND key = ?2", params![owner.component, key])?,
        };
        return Ok(());
    };
    let Some(pk) = instance(writing.connection, kind, id)? else { return Ok(()) };
    match after {
        Some(value) => writing.run(
            "INSERT INTO instance_state (resource, component, key, value) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET value = excluded.value",
            params![pk, owner.component, key, value],
        )?,
        None => writing
            .run("DELETE FROM instance_state WHERE resource = ?1 AND component = ?2 AND key = ?3", params![pk, owner.component, key])?,
    };
    Ok(())
}

/// Removes the state of an instance that goes.
pub(super) fn forget(writing: &Writing<'_>, pk: i64) -> Result<(), UnitError> {
    writing.run("DELETE FROM instance_state WHERE resource = ?1", [pk])?;
    Ok(())
}
