//! Resources, their history and the requests that made them: reading, listing, removing.

use std::sync::Arc;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Error, Row as _};

use super::super::{AuditEntry, Conflict, FieldChange, Guard, HistoryRow, Listing, PriceRow, Progress, Resource};
use super::audit;
use super::columns::{changes, count, deadlines, int, json, micros, most, optional_shared_text, time};
use super::unit::{UnitError, Writing, sql};

/// Columns of a resource `r` as [`resource_row`] reads them.
macro_rules! columns {
    () => {
        "r.kind, r.id, r.owner, r.state, r.version, r.workflow, r.machine, r.instance, r.attention, r.finished, r.created_at, r.updated_at,
         r.data, r.traceparent, r.deadlines"
    };
}
pub(super) use columns;

macro_rules! resource {
    ($rest:literal) => {
        concat!("SELECT ", super::resources::columns!(), " FROM resources AS r ", $rest)
    };
}
pub(super) use resource;

pub(super) fn resource_row(row: &PgRow) -> Result<Resource, Error> {
    Ok(Resource {
        kind: row.try_get(0)?,
        id: row.try_get(1)?,
        owner: row.try_get(2)?,
        state: row.try_get(3)?,
        version: count(row, 4)?,
        workflow: progress(row, [5, 6, 7, 8, 9, 13, 14])?,
        created_at: time(row, 10)?,
        updated_at: time(row, 11)?,
        data: Arc::new(json(row, 12)?),
    })
}

/// How far the instance of a row has come: workflow, machine, instance, attention, finished, traceparent and deadlines are in these columns.
fn progress(row: &PgRow, columns: [usize; 7]) -> Result<Option<Progress>, Error> {
    let [workflow, machine, instance, attention, finished, traceparent, due] = columns;
    let Some(workflow) = row.try_get(workflow)? else { return Ok(None) };
    Ok(Some(Progress {
        workflow,
        machine: row.try_get(machine)?,
        instance: json(row, instance)?,
        attention: row.try_get(attention)?,
        finished: row.try_get(finished)?,
        traceparent: optional_shared_text(row, traceparent)?,
        deadlines: deadlines(row, due)?,
    }))
}

pub(super) async fn select_progress(connection: &mut PgConnection, kind: &str, id: &str) -> Result<Option<Progress>, Error> {
    let select =
        "SELECT workflow, machine, instance, attention, finished, traceparent, deadlines FROM resources WHERE kind = $1 AND id = $2";
    let row = sql!(select, kind, id).fetch_optional(connection).await?;
    Ok(row.map(|row| progress(&row, [0, 1, 2, 3, 4, 5, 6])).transpose()?.flatten())
}

pub(super) async fn select_resource(connection: &mut PgConnection, kind: &str, id: &str) -> Result<Option<Resource>, Error> {
    let row = sql!(resource!("WHERE kind = $1 AND id = $2"), kind, id).fetch_optional(connection).await?;
    row.as_ref().map(resource_row).transpose()
}

/// Walks the index that has the asked-for sequence, so that the cost is that of the rows returned.
pub(super) async fn select_resources(connection: &mut PgConnection, listing: &Listing) -> Result<Vec<Resource>, Error> {
    let mut text = resource!("WHERE kind = $1 AND ($2::text IS NULL OR owner = $2)").to_owned();
    // Named, so that a plan that is made once for all values has the index of owners.
    if listing.owner.is_some() {
        text = resource!("WHERE kind = $1 AND owner = $2").to_owned();
    }
    text.push_str(match (&listing.after, listing.by_id) {
        (None, true) => " ORDER BY id LIMIT $3",
        (None, false) => " ORDER BY created_at DESC, id DESC LIMIT $3",
        (Some(_), true) => " AND id > $4 ORDER BY id LIMIT $3",
        (Some(_), false) => " AND (created_at, id) < ($5, $4) ORDER BY created_at DESC, id DESC LIMIT $3",
    });
    let mut statement = sqlx::query(AssertSqlSafe(text)).bind(&listing.kind).bind(&listing.owner).bind(most(listing.limit));
    if let Some((created_at, id)) = &listing.after {
        statement = statement.bind(id);
        if !listing.by_id {
            statement = statement.bind(micros(*created_at));
        }
    }
    statement.fetch_all(connection).await?.iter().map(resource_row).collect()
}

pub(super) async fn delete_resource(
    writing: &mut Writing,
    kind: String,
    id: String,
    guard: Guard,
    entry: Option<AuditEntry>,
) -> Result<bool, UnitError> {
    let found = writing.row(sql!("SELECT pk, version, workflow FROM resources WHERE kind = $1 AND id = $2", &kind, &id)).await?;
    let Some(row) = found else { return Ok(false) };
    let (pk, version): (i64, u64) = (row.try_get(0)?, count(&row, 1)?);
    match guard {
        Guard::Absent => return Err(Conflict::Exists { kind, id }.into()),
        Guard::Version(wanted) if wanted != version => return Err(Conflict::Version { kind, id }.into()),
        Guard::Version(_) => {}
    }
    if row.try_get::<Option<&str>, _>(2)?.is_some() {
        return Ok(false);
    }
    super::keys::forget(writing, pk).await?;
    let delete = "WITH moves AS (DELETE FROM history WHERE resource = $1), times AS (DELETE FROM timers WHERE resource = $1),
                       costs AS (DELETE FROM prices WHERE resource = $1), kept AS (DELETE FROM instance_state WHERE resource = $1)
                  DELETE FROM resources WHERE pk = $1";
    writing.run(sql!(delete, pk)).await?;
    super::stock::forget(writing, &id, entry.as_ref().map(|entry| entry.actor.as_str())).await?;
    audit::append(writing, entry.map(|entry| AuditEntry { version_before: entry.version_before.or(Some(version)), ..entry })).await?;
    Ok(true)
}

macro_rules! history {
    ($rest:literal) => {
        concat!(
            "SELECT seq, from_state, to_state, transition, at, cause, component, digest, attempt, reason FROM history
             WHERE resource = (SELECT pk FROM resources WHERE kind = $1 AND id = $2) AND ",
            $rest
        )
    };
}

pub(super) async fn select_history(
    connection: &mut PgConnection,
    (kind, id): (&str, &str),
    after: u64,
    limit: usize,
) -> Result<Vec<HistoryRow>, Error> {
    let statement = sql!(history!("seq > $3 ORDER BY seq LIMIT $4"), kind, id, int(after), most(limit));
    statement.fetch_all(connection).await?.iter().map(history_row).collect()
}

pub(super) async fn select_history_before(
    connection: &mut PgConnection,
    (kind, id): (&str, &str),
    before: u64,
    limit: usize,
) -> Result<Vec<HistoryRow>, Error> {
    let statement = sql!(history!("seq < $3 ORDER BY seq DESC LIMIT $4"), kind, id, int(before), most(limit));
    statement.fetch_all(connection).await?.iter().rev().map(history_row).collect()
}

/// With the number of the transition that has made them, the newest first.
pub(super) async fn select_changes(
    connection: &mut PgConnection,
    (kind, id): (&str, &str),
    (from, before): (u64, u64),
    limit: usize,
) -> Result<Vec<(u64, Vec<FieldChange>)>, Error> {
    let select = "SELECT seq, changes FROM history WHERE resource = (SELECT pk FROM resources WHERE kind = $1 AND id = $2)
                  AND seq >= $3 AND seq < $4 AND changes IS NOT NULL ORDER BY seq DESC LIMIT $5";
    let rows = sql!(select, kind, id, int(from), int(before), most(limit)).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((count(row, 0)?, changes(row, 1)?))).collect()
}

fn history_row(row: &PgRow) -> Result<HistoryRow, Error> {
    let attempt: Option<i64> = row.try_get(8)?;
    Ok(HistoryRow {
        seq: count(row, 0)?,
        from: row.try_get(1)?,
        to: row.try_get(2)?,
        transition: row.try_get(3)?,
        at: time(row, 4)?,
        cause: row.try_get(5)?,
        component: row.try_get(6)?,
        digest: row.try_get(7)?,
        attempt: attempt.and_then(|attempt| u32::try_from(attempt).ok()),
        reason: row.try_get(9)?,
    })
}

pub(super) async fn select_prices(connection: &mut PgConnection, kind: &str, id: &str, limit: usize) -> Result<Vec<PriceRow>, Error> {
    let select = "SELECT version, price, actor, at FROM prices WHERE resource = (SELECT pk FROM resources WHERE kind = $1 AND id = $2)
                  ORDER BY version DESC LIMIT $3";
    let price = |row: &PgRow| Ok(PriceRow { version: count(row, 0)?, price: row.try_get(1)?, actor: row.try_get(2)?, at: time(row, 3)? });
    sql!(select, kind, id, most(limit)).fetch_all(connection).await?.iter().map(price).collect()
}
