//! Events that wait for instances which somebody holds.

use rusqlite::{Connection, Row, params};

use super::super::{Conflict, InboxRow, WaitingEvent};
use super::columns::{count, int, micros, most, time};
use super::writer::{UnitError, Writing};

/// Columns of a waiting event as [`event`] reads them.
const COLUMNS: &str = "w.number, w.kind, w.id, w.consumer, w.event_id, w.transition, w.traceparent, w.at";

/// Whether it waits now: its instance is held, or others wait before it.
pub(super) fn keep(writing: &mut Writing<'_>, event: &WaitingEvent) -> Result<bool, UnitError> {
    let has_to = "SELECT EXISTS (SELECT 1 FROM resources AS r WHERE r.kind = ?1 AND r.id = ?2
                  AND (EXISTS (SELECT 1 FROM holds WHERE resource = r.pk) OR EXISTS (SELECT 1 FROM waiting_events WHERE resource = r.pk)))";
    if !writing.connection.prepare_cached(has_to)?.query_row([&event.kind, &event.id], |row| row.get::<_, bool>(0))? {
        return Ok(false);
    }
    insert_inbox(writing, &InboxRow { consumer: event.consumer.clone(), event_id: event.event_id.clone() })?;
    let inserted = writing.run(
        "INSERT INTO waiting_events (resource, kind, id, consumer, event_id, transition, traceparent, at)
         SELECT pk, kind, id, ?3, ?4, ?5, ?6, ?7 FROM resources WHERE kind = ?1 AND id = ?2 ON CONFLICT DO NOTHING",
        params![event.kind, event.id, event.consumer, event.event_id, event.transition, event.traceparent, micros(event.at)],
    )?;
    if inserted == 0 { Err(duplicate(event).into()) } else { Ok(true) }
}

/// Notes that an event was received.
pub(super) fn insert_inbox(writing: &Writing<'_>, row: &InboxRow) -> Result<(), UnitError> {
    let inserted = writing.run(
        "INSERT INTO inbox (written_at, consumer, event_id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![writing.tail.written_at, row.consumer, row.event_id],
    )?;
    if inserted == 0 {
        return Err(Conflict::Duplicate { consumer: row.consumer.clone(), event_id: row.event_id.clone() }.into());
    }
    Ok(())
}

/// What is said of an event that was handled, or waits, already.
pub(super) fn duplicate(event: &WaitingEvent) -> Conflict {
    Conflict::Duplicate { consumer: event.consumer.clone(), event_id: event.event_id.clone() }
}

pub(super) fn of(connection: &Connection, kind: &str, id: &str, limit: usize) -> rusqlite::Result<Vec<WaitingEvent>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM waiting_events AS w WHERE w.resource = (SELECT pk FROM resources WHERE kind = ?1 AND id = ?2)
         ORDER BY w.number LIMIT ?3"
    );
    let limit = most(limit);
    connection.prepare_cached(&sql)?.query_map(params![kind, id, limit], event)?.collect()
}

pub(super) fn counts(connection: &Connection) -> rusqlite::Result<Vec<(String, String, u64)>> {
    let mut statement = connection.prepare_cached("SELECT kind, id, count(*) FROM waiting_events GROUP BY kind, id ORDER BY kind, id")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, count(row, 2)?)))?.collect()
}

pub(super) fn remove(writing: &Writing<'_>, number: u64) -> Result<bool, UnitError> {
    Ok(writing.run("DELETE FROM waiting_events WHERE number = ?1", [int(number)])? > 0)
}

/// Those of an instance that is removed.
pub(super) fn forget(writing: &Writing<'_>, pk: i64) -> rusqlite::Result<()> {
    writing.run("DELETE FROM waiting_events WHERE resource = ?1", [pk]).map(drop)
}

fn event(row: &Row<'_>) -> rusqlite::Result<WaitingEvent> {
    Ok(WaitingEvent {
        number: count(row, 0)?,
        kind: row.get(1)?,
        id: row.get(2)?,
        consumer: row.get(3)?,
        event_id: row.get(4)?,
        transition: row.get(5)?,
        traceparent: row.get(6)?,
        at: time(row, 7)?,
    })
}
