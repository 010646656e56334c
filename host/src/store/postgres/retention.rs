//! What is forgotten once it is old, a stretch of rows at a time; and finished instances that are old.

use jiff::Timestamp;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Error, Row as _};

use super::super::{Prunable, Resource};
use super::columns::{int, micros, most};
use super::resources::{resource, resource_row};
use super::runs::run_of;
use super::unit::{UnitError, Writing, sql};

/// Rows that one transaction of a prune looks at, so that the writer is never held for long.
const STRETCH_ROWS: i64 = 500;

/// The table of what is pruned and its key. Rows are written in the sequence of their keys, so the old ones are the first; of reservations the
/// key is the time of their end itself, which some may share.
fn table(what: Prunable) -> (&'static str, &'static str) {
    match what {
        Prunable::Events => ("outbox", "position"),
        Prunable::Inbox => ("inbox", "sequence"),
        Prunable::Runs => ("step_runs", "sequence"),
        Prunable::IdempotencyKeys => ("idempotency", "sequence"),
        Prunable::Reservations => ("reservations", "ended_at"),
    }
}

/// What must hold of a row beside its age.
fn condition(what: Prunable) -> &'static str {
    match what {
        Prunable::Events => "NOT EXISTS (SELECT 1 FROM unpublished WHERE unpublished.position = outbox.position)",
        // Whoever withdraws something looks at what ran before, as long as anything of the instance goes on.
        Prunable::Runs => {
            "status = 'done'
             AND NOT EXISTS (SELECT 1 FROM resources AS r WHERE r.kind = resource_kind AND r.id = resource_id AND NOT r.finished)
             AND NOT EXISTS (SELECT 1 FROM step_runs AS others WHERE others.key BETWEEN step_runs.resource_id || ':' AND step_runs.resource_id || ';'
                             AND others.resource_id = step_runs.resource_id AND others.resource_kind = step_runs.resource_kind AND others.status <> 'done')"
        }
        // Whoever has reserved may ask once more.
        Prunable::Reservations => {
            "NOT EXISTS (SELECT 1 FROM step_runs WHERE step_runs.key BETWEEN reservations.key || ':' AND reservations.key || ';'
                         AND resource_id = reservations.key AND step_runs.status <> 'done')"
        }
        // Of an empty inbox nobody could say since when it is known what was handled.
        Prunable::Inbox => "sequence < (SELECT max(sequence) FROM inbox)",
        Prunable::IdempotencyKeys => "true",
    }
}

/// The key at which the rows that stay begin; rows that are added meanwhile are beyond it.
pub(super) async fn boundary(connection: &mut PgConnection, what: Prunable, before: Timestamp) -> Result<i64, Error> {
    let (table, key) = table(what);
    let before = match what {
        Prunable::Inbox => older(connection, micros(before)).await?,
        Prunable::Reservations => return Ok(micros(before)),
        _ => micros(before),
    };
    let first_kept = format!(
        "SELECT coalesce((SELECT {key} FROM {table} WHERE written_at >= $1 ORDER BY {key} LIMIT 1), (SELECT max({key}) + 1 FROM {table}), 0)"
    );
    sql!(AssertSqlSafe(first_kept), before).fetch_one(connection).await?.try_get(0)
}

/// The last key of the next stretch of rows after `after` and below `boundary`, if there is one.
pub(super) async fn stretch(connection: &mut PgConnection, what: Prunable, after: i64, boundary: i64) -> Result<Option<i64>, Error> {
    let (table, key) = table(what);
    let last =
        format!("SELECT max(k) FROM (SELECT {key} AS k FROM {table} WHERE {key} > $1 AND {key} < $2 ORDER BY {key} LIMIT $3) AS next");
    sql!(AssertSqlSafe(last), after, boundary, STRETCH_ROWS).fetch_one(connection).await?.try_get(0)
}

/// Removes what may go of the rows after `after` up to `last`; answers how many went.
pub(super) async fn prune(writing: &mut Writing, what: Prunable, after: i64, last: i64) -> Result<u64, UnitError> {
    if what == Prunable::Events {
        // Positions are given out once, whatever becomes of the last rows.
        writing.run(sql!("UPDATE process SET pruned_position = $1", writing.tail.position)).await?;
    }
    let ((table, key), condition) = (table(what), condition(what));
    let delete = format!("DELETE FROM {table} WHERE {key} > $1 AND {key} <= $2 AND {condition}");
    let gone = writing.run(sql!(AssertSqlSafe(delete), after, last)).await?;
    if what == Prunable::Inbox && gone > 0 {
        writing.run(sql!("UPDATE process SET pruned_inbox = true WHERE NOT pruned_inbox")).await?;
    }
    Ok(gone)
}

/// The earlier of a time and that of the oldest event that is not published yet: whoever takes it once more must know that it was taken.
async fn older(connection: &mut PgConnection, before: i64) -> Result<i64, Error> {
    let oldest = "SELECT written_at FROM outbox WHERE position = (SELECT min(position) FROM unpublished)";
    let oldest: Option<i64> = sql!(oldest).fetch_optional(connection).await?.map(|row| row.try_get(0)).transpose()?;
    Ok(oldest.map_or(before, |oldest| oldest.min(before)))
}

/// Which finished instances are wanted.
pub(super) struct Wanted<'a> {
    pub(super) kind: &'a str,
    /// They last changed before that steady time.
    pub(super) before: Timestamp,
    /// That time as a date. It only bounds where is looked: all of these were created before.
    pub(super) created_before: Timestamp,
    pub(super) after: Option<(Timestamp, String)>,
    pub(super) limit: usize,
}

pub(super) async fn finished(connection: &mut PgConnection, wanted: &Wanted<'_>) -> Result<Vec<Resource>, Error> {
    let before = older(connection, micros(wanted.before)).await?;
    let (created_at, id) = wanted.after.as_ref().map_or((i64::MIN, ""), |(at, id)| (micros(*at), id));
    let select = resource!(
        "WHERE kind = $1 AND (created_at, id) > ($2, $3) AND created_at < $4 AND touched_at < $5 AND finished AND attention IS NULL
         AND NOT EXISTS (SELECT 1 FROM step_runs WHERE key BETWEEN r.id || ':' AND r.id || ';'
                         AND resource_id = r.id AND resource_kind = r.kind AND status <> 'done')
         ORDER BY created_at, id LIMIT $6"
    );
    let statement = sql!(select, wanted.kind, created_at, id, micros(wanted.created_before), before, most(wanted.limit));
    statement.fetch_all(connection).await?.iter().map(resource_row).collect()
}

pub(super) async fn forget_finished(writing: &mut Writing, kind: &str, instances: &[(String, u64)]) -> Result<u64, UnitError> {
    let select = "SELECT pk FROM resources AS r WHERE kind = $1 AND id = $2 AND version = $3 AND finished AND attention IS NULL
                  AND NOT EXISTS (SELECT 1 FROM step_runs WHERE key BETWEEN r.id || ':' AND r.id || ';'
                                  AND resource_id = r.id AND resource_kind = r.kind AND status <> 'done')";
    let mut gone = 0;
    for (id, version) in instances {
        let Some(row) = writing.row(sql!(select, kind, id, int(*version))).await? else { continue };
        let pk: i64 = row.try_get(0)?;
        super::keys::forget(writing, pk).await?;
        let delete = "WITH moves AS (DELETE FROM history WHERE resource = $1), times AS (DELETE FROM timers WHERE resource = $1),
                           held AS (DELETE FROM holds WHERE resource = $1), events AS (DELETE FROM waiting_events WHERE resource = $1),
                           kept AS (DELETE FROM instance_state WHERE resource = $1),
                           goods AS (DELETE FROM reservations WHERE key = $2 AND status <> 'reserved')
                      DELETE FROM resources WHERE pk = $1";
        writing.run(sql!(delete, pk, id)).await?;
        writing.run(sql!(concat!("DELETE FROM step_runs WHERE ", run_of!()), id, kind)).await?;
        gone += 1;
    }
    Ok(gone)
}
