//! Events that wait for instances which somebody holds.

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Error, Row as _};

use super::super::{Conflict, InboxRow, WaitingEvent};
use super::columns::{count, int, micros, most, time};
use super::unit::{UnitError, Writing, sql};

/// Whether it waits now: its instance is held, or others wait before it.
pub(super) async fn keep(writing: &mut Writing, event: &WaitingEvent) -> Result<bool, UnitError> {
    let has_to = "SELECT 1 FROM resources AS r WHERE r.kind = $1 AND r.id = $2
                  AND (EXISTS (SELECT 1 FROM holds WHERE resource = r.pk) OR EXISTS (SELECT 1 FROM waiting_events WHERE resource = r.pk))";
    if writing.row(sql!(has_to, &event.kind, &event.id)).await?.is_none() {
        return Ok(false);
    }
    insert_inbox(writing, &InboxRow { consumer: event.consumer.clone(), event_id: event.event_id.clone() }).await?;
    let insert = "INSERT INTO waiting_events (resource, kind, id, consumer, event_id, transition, traceparent, at)
                  SELECT pk, kind, id, $3, $4, $5, $6, $7 FROM resources WHERE kind = $1 AND id = $2 ON CONFLICT DO NOTHING";
    let statement =
        sql!(insert, &event.kind, &event.id, &event.consumer, &event.event_id, &event.transition, &event.traceparent, micros(event.at),);
    if writing.run(statement).await? == 0 { Err(duplicate(event).into()) } else { Ok(true) }
}

/// Notes that an event was received.
pub(super) async fn insert_inbox(writing: &mut Writing, row: &InboxRow) -> Result<(), UnitError> {
    let insert = "INSERT INTO inbox (written_at, consumer, event_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    if writing.run(sql!(insert, writing.tail.written_at, &row.consumer, &row.event_id)).await? == 0 {
        return Err(Conflict::Duplicate { consumer: row.consumer.clone(), event_id: row.event_id.clone() }.into());
    }
    Ok(())
}

/// What is said of an event that was handled, or waits, already.
pub(super) fn duplicate(event: &WaitingEvent) -> Conflict {
    Conflict::Duplicate { consumer: event.consumer.clone(), event_id: event.event_id.clone() }
}

pub(super) async fn of(connection: &mut PgConnection, kind: &str, id: &str, limit: usize) -> Result<Vec<WaitingEvent>, Error> {
    let select = "SELECT number, kind, id, consumer, event_id, transition, traceparent, at FROM waiting_events
                  WHERE resource = (SELECT pk FROM resources WHERE kind = $1 AND id = $2) ORDER BY number LIMIT $3";
    sql!(select, kind, id, most(limit)).fetch_all(connection).await?.iter().map(event).collect()
}

pub(super) async fn counts(connection: &mut PgConnection) -> Result<Vec<(String, String, u64)>, Error> {
    let select = "SELECT kind, id, count(*) FROM waiting_events GROUP BY kind, id ORDER BY kind, id";
    let rows = sql!(select).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, count(row, 2)?))).collect()
}

pub(super) async fn remove(writing: &mut Writing, number: u64) -> Result<bool, UnitError> {
    Ok(writing.run(sql!("DELETE FROM waiting_events WHERE number = $1", int(number))).await? > 0)
}

fn event(row: &PgRow) -> Result<WaitingEvent, Error> {
    Ok(WaitingEvent {
        number: count(row, 0)?,
        kind: row.try_get(1)?,
        id: row.try_get(2)?,
        consumer: row.try_get(3)?,
        event_id: row.try_get(4)?,
        transition: row.try_get(5)?,
        traceparent: row.try_get(6)?,
        at: time(row, 7)?,
    })
}
