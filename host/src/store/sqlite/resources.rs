//! Resources, their history and the requests that made them: reading, listing, removing.

use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::super::{AuditEntry, Conflict, FieldChange, Guard, HistoryRow, Listing, PriceRow, Progress, Resource};
use super::audit;
use super::columns::{changes, count, deadlines, int, json, micros, most, optional_shared_text, time};
use super::writer::{UnitError, Writing};

/// What of a resource is [`Progress`].
const PROGRESS: &str = "workflow, machine, instance, attention, finished, traceparent, deadlines";

pub(super) const RESOURCE: &str =
    "SELECT kind, id, owner, state, version, workflow, machine, instance, attention, finished, created_at, updated_at,
                               data, traceparent, deadlines FROM resources";

pub(super) fn resource_row(row: &Row<'_>) -> rusqlite::Result<Resource> {
    Ok(Resource {
        kind: row.get(0)?,
        id: row.get(1)?,
        owner: row.get(2)?,
        state: row.get(3)?,
        version: count(row, 4)?,
        workflow: progress(row, [5, 6, 7, 8, 9, 13, 14])?,
        created_at: time(row, 10)?,
        updated_at: time(row, 11)?,
        data: Arc::new(json(row, 12)?),
    })
}

/// How far the instance of a row has come, by the places of the columns in [`PROGRESS`].
fn progress(row: &Row<'_>, columns: [usize; 7]) -> rusqlite::Result<Option<Progress>> {
    let [workflow, machine, instance, attention, finished, traceparent, due] = columns;
    let Some(workflow) = row.get(workflow)? else { return Ok(None) };
    Ok(Some(Progress {
        workflow,
        machine: row.get(machine)?,
        instance: json(row, instance)?,
        attention: row.get(attention)?,
        finished: row.get(finished)?,
        traceparent: optional_shared_text(row, traceparent)?,
        deadlines: deadlines(row, due)?,
    }))
}

pub(super) fn select_progress(connection: &Connection, kind: &str, id: &str) -> rusqlite::Result<Option<Progress>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {PROGRESS} FROM resources WHERE kind = ?1 AND id = ?2"))?;
    Ok(statement.query_row([kind, id], |row| progress(row, [0, 1, 2, 3, 4, 5, 6])).optional()?.flatten())
}

pub(super) fn select_resource(connection: &Connection, kind: &str, id: &str) -> rusqlite::Result<Option<Resource>> {
    let mut statement = connection.prepare_cached(&format!("{RESOURCE} WHERE kind = ?1 AND id = ?2"))?;
    statement.query_row([kind, id], resource_row).optional()
}

/// Walks the index that has the asked-for sequence, so that the cost is that of the rows returned.
pub(super) fn select_resources(connection: &Connection, listing: &Listing) -> rusqlite::Result<Vec<Resource>> {
    let (sql, values) = statement(listing);
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map(params_from_iter(values), resource_row)?.collect()
}

pub(super) fn statement(listing: &Listing) -> (String, Vec<Value>) {
    let mut sql = format!("{RESOURCE} WHERE kind = ?1");
    let mut values = vec![Value::from(listing.kind.clone())];
    if let Some(owner) = &listing.owner {
        values.push(owner.clone().into());
        sql.push_str(" AND owner = ?2");
    }
    if let Some((created_at, id)) = &listing.after {
        values.push(id.clone().into());
        let id_at = values.len();
        if listing.by_id {
            sql.push_str(&format!(" AND id > ?{id_at}"));
        } else {
            values.push(micros(*created_at).into());
            sql.push_str(&format!(" AND (created_at, id) < (?{}, ?{id_at})", id_at + 1));
        }
    }
    sql.push_str(if listing.by_id { " ORDER BY id" } else { " ORDER BY created_at DESC, id DESC" });
    values.push(most(listing.limit).into());
    sql.push_str(&format!(" LIMIT ?{}", values.len()));
    (sql, values)
}

pub(super) fn delete_resource(
    writing: &Writing<'_>,
    kind: String,
    id: String,
    guard: Guard,
    entry: Option<AuditEntry>,
) -> Result<bool, UnitError> {
    let mut statement = writing.connection.prepare_cached("SELECT pk, version, workflow FROM resources WHERE kind = ?1 AND id = ?2")?;
    let found = statement.query_row([&kind, &id], |row| Ok((row.get::<_, i64>(0)?, count(row, 1)?, row.get::<_, Option<String>>(2)?)));
    let Some((pk, version, workflow)) = found.optional()? else { return Ok(false) };
    match guard {
        Guard::Absent => return Err(Conflict::Exists { kind, id }.into()),
        Guard::Version(wanted) if wanted != version => return Err(Conflict::Version { kind, id }.into()),
        Guard::Version(_) => {}
    }
    if workflow.is_some() {
        return Ok(false);
    }
    super::keys::forget(writing, pk)?;
    writing.run("DELETE FROM resources WHERE pk = ?1", [pk])?;
    writing.run("DELETE FROM history WHERE resource = ?1", [pk])?;
    writing.run("DELETE FROM timers WHERE resource = ?1", [pk])?;
    writing.run("DELETE FROM prices WHERE resource = ?1", [pk])?;
    super::kv::forget(writing, pk)?;
    super::stock::forget(writing, &id, entry.as_ref().map(|entry| entry.actor.as_str()))?;
    audit::append(writing.connection, entry.map(|entry| AuditEntry { version_before: entry.version_before.or(Some(version)), ..entry }))?;
    Ok(true)
}

const HISTORY: &str = "SELECT seq, from_state, to_state, transition, at, cause, component,
                              coalesce((SELECT digest FROM digests WHERE pk = digest_pk), digest), attempt, reason FROM history
                       WHERE resource = (SELECT pk FROM resources WHERE kind = ?1 AND id = ?2)";

pub(super) fn select_history(connection: &Connection, kind: &str, id: &str, after: u64, limit: usize) -> rusqlite::Result<Vec<HistoryRow>> {
    let mut statement = connection.prepare_cached(&format!("{HISTORY} AND seq > ?3 ORDER BY seq LIMIT ?4"))?;
    statement.query_map(params![kind, id, int(after), most(limit)], history_row)?.collect()
}

pub(super) fn select_history_before(
    connection: &Connection,
    kind: &str,
    id: &str,
    before: u64,
    limit: usize,
) -> rusqlite::Result<Vec<HistoryRow>> {
    let mut statement = connection.prepare_cached(&format!("{HISTORY} AND seq < ?3 ORDER BY seq DESC LIMIT ?4"))?;
    let mut rows: Vec<HistoryRow> =
        statement.query_map(params![kind, id, int(before), most(limit)], history_row)?.collect::<Result<_, _>>()?;
    rows.reverse();
    Ok(rows)
}

/// With the number of the transition that has made them, the newest first.
pub(super) fn select_changes(
    connection: &Connection,
    (kind, id): (&str, &str),
    (from, before): (u64, u64),
    limit: usize,
) -> rusqlite::Result<Vec<(u64, Vec<FieldChange>)>> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, coalesce((SELECT known.changes FROM changed_fields AS known WHERE known.pk = history.changes), history.changes)
         FROM history WHERE resource = (SELECT pk FROM resources WHERE kind = ?1 AND id = ?2) AND seq >= ?3 AND seq < ?4
                            AND history.changes IS NOT NULL
         ORDER BY seq DESC LIMIT ?5",
    )?;
    let row = |row: &Row<'_>| Ok((count(row, 0)?, changes(row, 1)?));
    statement.query_map(params![kind, id, int(from), int(before), most(limit)], row)?.collect()
}

fn history_row(row: &Row<'_>) -> rusqlite::Result<HistoryRow> {
    Ok(HistoryRow {
        seq: count(row, 0)?,
        from: row.get(1)?,
        to: row.get(2)?,
        transition: row.get(3)?,
        at: time(row, 4)?,
        cause: row.get(5)?,
        component: row.get(6)?,
        digest: row.get(7)?,
        attempt: row.get(8)?,
        reason: row.get(9)?,
    })
}

pub(super) fn select_prices(connection: &Connection, kind: &str, id: &str, limit: usize) -> rusqlite::Result<Vec<PriceRow>> {
    let mut statement = connection.prepare_cached(
        "SELECT version, price, actor, at FROM prices WHERE resource = (SELECT pk FROM resources WHERE kind = ?1 AND id = ?2)
         ORDER BY version DESC LIMIT ?3",
    )?;
    let row = |row: &Row<'_>| Ok(PriceRow { version: count(row, 0)?, price: row.get(1)?, actor: row.get(2)?, at: time(row, 3)? });
    statement.query_map(params![kind, id, most(limit)], row)?.collect()
}
