//! Events on their way out: what is unpublished, what may be forgotten, what nobody could handle.

use std::collections::HashSet;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::{DeadLetter, InboxRow, OutboxRow, Redriven};
use super::columns::{count, int, micros, most, shared_text, time};
use super::writer::{UnitError, Writing};

pub(super) fn unpublished(connection: &Connection, after: u64, limit: usize) -> rusqlite::Result<Vec<OutboxRow>> {
    let mut statement = connection.prepare_cached(
        "SELECT outbox.position, seq, topic, key, event_id, traceparent, payload FROM unpublished JOIN outbox USING (position)
         WHERE unpublished.position > ?1 ORDER BY unpublished.position LIMIT ?2",
    )?;
    let limit = most(limit);
    statement.query_map([int(after), limit], |row| event(row, 0))?.collect()
}

pub(super) fn unpublished_count(connection: &Connection) -> rusqlite::Result<u64> {
    connection.prepare_cached("SELECT count(*) FROM unpublished")?.query_row([], |row| count(row, 0))
}

pub(super) fn handled(connection: &Connection, row: &InboxRow) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM inbox WHERE consumer = ?1 AND event_id = ?2")?;
    statement.exists([&row.consumer, &row.event_id])
}

/// The first row is number 1 until it is pruned; the newest stays whatever its age, so no number is given out twice.
pub(super) fn handled_since(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let mut statement = connection.prepare_cached("SELECT sequence, written_at FROM inbox ORDER BY sequence LIMIT 1")?;
    let oldest = statement.query_row([], |row| Ok((count(row, 0)?, time(row, 1)?))).optional()?;
    Ok(oldest.filter(|(sequence, _)| *sequence > 1).map(|(_, written_at)| written_at))
}

/// An event whose columns begin at `first`.
fn event(row: &Row<'_>, first: usize) -> rusqlite::Result<OutboxRow> {
    Ok(OutboxRow {
        position: count(row, first)?,
        seq: count(row, first + 1)?,
        topic: row.get(first + 2)?,
        key: row.get(first + 3)?,
        event_id: row.get(first + 4)?,
        traceparent: row.get(first + 5)?,
        payload: shared_text(row, first + 6)?,
    })
}

/// Positions that ascend.
pub(super) fn mark_published(writing: &Writing<'_>, positions: &[u64]) -> Result<(), UnitError> {
    for stretch in positions.chunk_by(|a, b| b - a <= 1) {
        if let [first, .., last] | [first @ last] = stretch {
            writing.run("DELETE FROM unpublished WHERE position BETWEEN ?1 AND ?2", [int(*first), int(*last)])?;
        }
    }
    Ok(())
}

/// Ages and positions grow together, so the first event that is young enough decides. A date that was set forward is ahead of the steady
/// time that rows have: rather one event too many than one too few.
const REPUBLISH: &str = "INSERT INTO unpublished (position) SELECT position FROM outbox
    WHERE position > coalesce((SELECT position FROM outbox WHERE written_at < ?1 + (SELECT min(0, steady_at - noted_date) FROM process)
                               ORDER BY position DESC LIMIT 1), 0)
    ON CONFLICT DO NOTHING";

pub(super) fn republish(writing: &Writing<'_>, since: Timestamp) -> Result<u64, UnitError> {
    Ok(writing.run(REPUBLISH, [micros(since)])? as u64)
}

/// The same on a connection beside the one that writes.
pub(super) fn republish_offline(connection: &Connection, since: Timestamp) -> rusqlite::Result<u64> {
    Ok(connection.execute(REPUBLISH, [micros(since)])? as u64)
}

pub(super) fn add_dead_letter(writing: &Writing<'_>, letter: &DeadLetter) -> Result<(), UnitError> {
    let event = &letter.event;
    writing.run(
        "INSERT INTO dead_letters (consumer, reason, at, position, seq, topic, key, event_id, traceparent, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            letter.consumer,
            letter.reason,
            micros(letter.at),
            int(event.position),
            int(event.seq),
            event.topic,
            event.key,
            event.event_id,
            event.traceparent,
            &*event.payload,
        ],
    )?;
    Ok(())
}

pub(super) fn dead_letters(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<DeadLetter>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, consumer, reason, at, position, seq, topic, key, event_id, traceparent, payload FROM dead_letters ORDER BY id LIMIT ?1",
    )?;
    let row = |row: &Row<'_>| {
        Ok(DeadLetter { id: count(row, 0)?, consumer: row.get(1)?, reason: row.get(2)?, at: time(row, 3)?, event: event(row, 4)? })
    };
    statement.query_map([most(limit)], row)?.collect()
}

/// Dead letters of an event that the outbox still has, each with the event's position there. Looks at the whole outbox.
fn dead_letters_with_events(connection: &Connection) -> rusqlite::Result<Vec<(u64, u64)>> {
    let mut statement = connection.prepare(
        "SELECT letters.id, outbox.position FROM outbox JOIN dead_letters AS letters USING (event_id)
         WHERE outbox.event_id IN (SELECT event_id FROM dead_letters)",
    )?;
    statement.query_map([], |row| Ok((count(row, 0)?, count(row, 1)?)))?.collect()
}

/// Dead letters of some topics: how many there are, and those of which the outbox still has the event, with its position.
pub(super) struct Redrivable {
    letters: usize,
    found: Vec<(u64, u64)>,
}

/// The dead letters of `topics`. Looks at the whole outbox.
pub(super) fn redrivable(connection: &Connection, topics: &[String]) -> rusqlite::Result<Redrivable> {
    let letters = dead_letters(connection, usize::MAX)?.into_iter().filter(|letter| topics.contains(&letter.event.topic));
    let wanted: HashSet<u64> = letters.map(|letter| letter.id).collect();
    let mut found = dead_letters_with_events(connection)?;
    found.retain(|(letter, _)| wanted.contains(letter));
    Ok(Redrivable { letters: wanted.len(), found })
}

/// Makes their events unpublished again.
pub(super) fn redrive(writing: &Connection, redrivable: Redrivable) -> rusqlite::Result<Redriven> {
    let (mut letters, mut events) = (0, HashSet::new());
    for (letter, position) in redrivable.found {
        if redrive_offline(writing, letter, position)? {
            letters += 1;
            events.insert(position);
        }
    }
    Ok(Redriven { letters, events: events.len(), forgotten: redrivable.letters.saturating_sub(letters) })
}

/// Makes the event at `position` unpublished again, in the place of one of its dead letters. False: one of the two is gone meanwhile.
fn redrive_offline(connection: &Connection, letter: u64, position: u64) -> rusqlite::Result<bool> {
    let insert = "INSERT INTO unpublished (position) SELECT position FROM outbox WHERE position = ?1 ON CONFLICT DO NOTHING";
    let there = connection.prepare_cached("SELECT 1 FROM outbox WHERE position = ?1")?.exists([int(position)])?;
    if !there || connection.execute("DELETE FROM dead_letters WHERE id = ?1", [int(letter)])? == 0 {
        return Ok(false);
    }
    connection.execute(insert, [int(position)])?;
    Ok(true)
}

/// Removes the dead letters of `topic`, up to the one with the id `through`, and answers how many.
pub(super) fn discard_offline(connection: &Connection, topic: &str, through: Option<u64>) -> rusqlite::Result<u64> {
    let through = through.map_or(i64::MAX, int);
    Ok(connection.execute("DELETE FROM dead_letters WHERE topic = ?1 AND id <= ?2", params![topic, through])? as u64)
}

pub(super) fn drop_dead_letter(writing: &Writing<'_>, id: u64) -> Result<bool, UnitError> {
    Ok(writing.run("DELETE FROM dead_letters WHERE id = ?1", params![int(id)])? > 0)
}
