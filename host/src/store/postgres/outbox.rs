//! Events on their way out: what is unpublished, what nobody could handle; and what was taken.

use jiff::Timestamp;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Error, Row as _};

use super::super::{DeadLetter, InboxRow, OutboxRow, Redriven};
use super::columns::{count, int, micros, most, shared_text, time};
use super::unit::{UnitError, Writing, sql};

/// Those of these slots, a bit each.
pub(super) async fn unpublished(connection: &mut PgConnection, slots: i64, after: u64, limit: usize) -> Result<Vec<OutboxRow>, Error> {
    let select = "SELECT outbox.position, seq, topic, key, event_id, traceparent, payload FROM unpublished JOIN outbox USING (position)
                  WHERE unpublished.position > $1 AND (($3::bigint >> slot) & 1) = 1 ORDER BY unpublished.position LIMIT $2";
    sql!(select, int(after), most(limit), slots).fetch_all(connection).await?.iter().map(|row| event(row, 0)).collect()
}

pub(super) async fn unpublished_count(connection: &mut PgConnection) -> Result<u64, Error> {
    count(&sql!("SELECT count(*) FROM unpublished").fetch_one(connection).await?, 0)
}

pub(super) async fn handled(connection: &mut PgConnection, row: &InboxRow) -> Result<bool, Error> {
    let select = "SELECT 1 FROM inbox WHERE consumer = $1 AND event_id = $2";
    Ok(sql!(select, &row.consumer, &row.event_id).fetch_optional(connection).await?.is_some())
}

/// The newest row stays whatever its age, so where something was forgotten there is an oldest one.
pub(super) async fn handled_since(connection: &mut PgConnection) -> Result<Option<Timestamp>, Error> {
    let select = "SELECT written_at FROM inbox WHERE (SELECT pruned_inbox FROM process) ORDER BY sequence LIMIT 1";
    sql!(select).fetch_optional(connection).await?.map(|row| time(&row, 0)).transpose()
}

/// An event whose columns begin at `first`.
fn event(row: &PgRow, first: usize) -> Result<OutboxRow, Error> {
    Ok(OutboxRow {
        position: count(row, first)?,
        seq: count(row, first + 1)?,
        topic: row.try_get(first + 2)?,
        key: row.try_get(first + 3)?,
        event_id: row.try_get(first + 4)?,
        traceparent: row.try_get(first + 5)?,
        payload: shared_text(row, first + 6)?,
    })
}

pub(super) async fn mark_published(writing: &mut Writing, positions: &[u64]) -> Result<(), UnitError> {
    let positions: Vec<i64> = positions.iter().copied().map(int).collect();
    writing.run(sql!("DELETE FROM unpublished WHERE position = ANY ($1::bigint[])", positions)).await?;
    Ok(())
}

/// Ages and positions grow together, so the first event that is young enough decides. A date that was set forward is ahead of the steady
/// time by what the process has noted of both.
pub(super) async fn republish(writing: &mut Writing, since: Timestamp) -> Result<u64, UnitError> {
    let insert = "INSERT INTO unpublished (position) SELECT position FROM outbox
                  WHERE position > coalesce((SELECT position FROM outbox WHERE written_at < $1 + (SELECT least(0, steady_at - noted_date) FROM process)
                                             ORDER BY position DESC LIMIT 1), 0)
                  ON CONFLICT DO NOTHING";
    Ok(writing.run(sql!(insert, micros(since))).await?)
}

pub(super) async fn add_dead_letter(writing: &mut Writing, letter: &DeadLetter) -> Result<(), UnitError> {
    let event = &letter.event;
    let insert = "INSERT INTO dead_letters (consumer, reason, at, position, seq, topic, key, event_id, traceparent, payload)
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let statement = sql!(
        insert,
        &letter.consumer,
        &letter.reason,
        micros(letter.at),
        int(event.position),
        int(event.seq),
        &event.topic,
        &event.key,
        &event.event_id,
        &event.traceparent,
        &*event.payload,
    );
    writing.run(statement).await?;
    Ok(())
}

pub(super) async fn dead_letters(connection: &mut PgConnection, limit: usize) -> Result<Vec<DeadLetter>, Error> {
    let select =
        "SELECT id, consumer, reason, at, position, seq, topic, key, event_id, traceparent, payload FROM dead_letters ORDER BY id LIMIT $1";
    let letter = |row: &PgRow| {
        let (consumer, reason) = (row.try_get(1)?, row.try_get(2)?);
        Ok(DeadLetter { id: count(row, 0)?, consumer, reason, at: time(row, 3)?, event: event(row, 4)? })
    };
    sql!(select, most(limit)).fetch_all(connection).await?.iter().map(letter).collect()
}

/// Makes the events of the dead letters of `topics` unpublished again. Looks at the whole outbox if there are any.
pub(super) async fn redrive(writing: &mut Writing, topics: &[String]) -> Result<Redriven, UnitError> {
    let redrive = "WITH wanted AS (SELECT id, event_id FROM dead_letters WHERE topic = ANY ($1::text[])),
                        found AS (SELECT wanted.id, outbox.position FROM wanted JOIN outbox USING (event_id)),
                        gone AS (DELETE FROM dead_letters WHERE id IN (SELECT id FROM found)),
                        again AS (INSERT INTO unpublished (position) SELECT DISTINCT position FROM found ON CONFLICT DO NOTHING)
                   SELECT (SELECT count(*) FROM wanted), (SELECT count(DISTINCT id) FROM found), (SELECT count(DISTINCT position) FROM found)";
    let rows = writing.change(sql!(redrive, topics)).await?;
    let Some(row) = rows.first() else { return Ok(Redriven::default()) };
    let number = |column| Ok::<_, Error>(usize::try_from(count(row, column)?).unwrap_or(usize::MAX));
    let (wanted, letters, events) = (number(0)?, number(1)?, number(2)?);
    Ok(Redriven { letters, events, forgotten: wanted.saturating_sub(letters) })
}

/// Removes the dead letters of `topic`, up to the one with the id `through`, and answers how many.
pub(super) async fn discard(writing: &mut Writing, topic: &str, through: Option<u64>) -> Result<u64, UnitError> {
    let through = through.map_or(i64::MAX, int);
    Ok(writing.run(sql!("DELETE FROM dead_letters WHERE topic = $1 AND id <= $2", topic, through)).await?)
}

pub(super) async fn drop_dead_letter(writing: &mut Writing, id: u64) -> Result<bool, UnitError> {
    Ok(writing.run(sql!("DELETE FROM dead_letters WHERE id = $1", int(id))).await? > 0)
}
