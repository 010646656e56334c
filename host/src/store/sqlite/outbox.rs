//! Events on their way out: what is unpublished, what may be forgotten, what nobody could handle.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::super::{DeadLetter, InboxRow, OutboxRow};
use super::columns::{count, int, shared_text, time};
use super::writer::{UnitError, Writing, micros};

/// Rows that one transaction of a prune removes at most, so that the writer is never held for long.
const PRUNE_ROWS: i64 = 500;

pub(super) fn unpublished(connection: &Connection, after: u64, limit: usize) -> rusqlite::Result<Vec<OutboxRow>> {
    let mut statement = connection.prepare_cached(
        "SELECT outbox.position, seq, topic, key, event_id, traceparent, payload FROM unpublished JOIN outbox USING (position)
         WHERE unpublished.position > ?1 ORDER BY unpublished.position LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    statement.query_map([int(after), limit], |row| event(row, 0))?.collect()
}

pub(super) fn unpublished_count(connection: &Connection) -> rusqlite::Result<u64> {
    connection.prepare_cached("SELECT count(*) FROM unpublished")?.query_row([], |row| count(row, 0))
}

pub(super) fn handled(connection: &Connection, row: &InboxRow) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM inbox WHERE consumer = ?1 AND event_id = ?2")?;
    statement.exists([&row.consumer, &row.event_id])
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

pub(super) fn mark_published(writing: &Writing<'_>, mut positions: Vec<u64>) -> Result<(), UnitError> {
    positions.sort_unstable();
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
pub(super) fn republish_beside(connection: &Connection, since: Timestamp) -> rusqlite::Result<u64> {
    Ok(connection.execute(REPUBLISH, [micros(since)])? as u64)
}

/// A table of which old rows are forgotten.
#[derive(Debug, Clone, Copy)]
pub(super) enum Prunable {
    Outbox,
    Runs,
    Inbox,
}

impl Prunable {
    pub(super) const ALL: [Self; 3] = [Self::Outbox, Self::Runs, Self::Inbox];

    /// Rows are written in the sequence of their keys, so the old ones are the first and the search ends at a young one.
    fn delete(self) -> &'static str {
        match self {
            Self::Outbox => {
                "DELETE FROM outbox WHERE position IN (
                     SELECT position FROM outbox WHERE position < ?1 AND position NOT IN (SELECT position FROM unpublished)
                     ORDER BY position LIMIT ?2)"
            }
            Self::Runs => {
                "DELETE FROM step_runs WHERE sequence IN (
                     SELECT sequence FROM step_runs WHERE sequence < ?1 AND status = 'done' ORDER BY sequence LIMIT ?2)"
            }
            Self::Inbox => {
                "DELETE FROM inbox WHERE sequence IN (SELECT sequence FROM inbox WHERE sequence < ?1 ORDER BY sequence LIMIT ?2)"
            }
        }
    }

    /// The key at which the rows that stay begin; rows that are added meanwhile are beyond it.
    fn first_kept(self) -> &'static str {
        match self {
            Self::Outbox => {
                "SELECT coalesce((SELECT position FROM outbox WHERE written_at >= ?1 ORDER BY position LIMIT 1),
                                 (SELECT max(position) + 1 FROM outbox), 0)"
            }
            Self::Runs => {
                "SELECT coalesce((SELECT sequence FROM step_runs WHERE written_at >= ?1 ORDER BY sequence LIMIT 1),
                                 (SELECT max(sequence) + 1 FROM step_runs), 0)"
            }
            Self::Inbox => {
                "SELECT coalesce((SELECT sequence FROM inbox WHERE written_at >= ?1 ORDER BY sequence LIMIT 1),
                                 (SELECT max(sequence) + 1 FROM inbox), 0)"
            }
        }
    }

    /// Finds where a prune ends.
    pub(super) fn boundary(self, connection: &Connection, before: Timestamp) -> rusqlite::Result<i64> {
        connection.prepare_cached(self.first_kept())?.query_row([micros(before)], |row| row.get(0))
    }

    /// Removes some rows below `boundary`; answers how many, and whether there may be more.
    pub(super) fn prune(self, writing: &Writing<'_>, boundary: i64) -> Result<(u64, bool), UnitError> {
        if matches!(self, Self::Outbox) {
            writing.run("UPDATE process SET pruned_position = ?1", [writing.tail.position])?;
        }
        let removed = writing.run(self.delete(), [boundary, PRUNE_ROWS])?;
        Ok((removed as u64, removed as i64 == PRUNE_ROWS))
    }
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
    statement.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], row)?.collect()
}

/// Dead letters of an event that the outbox still has, each with the event's position there. Looks at the whole outbox.
pub(super) fn dead_letters_with_events(connection: &Connection) -> rusqlite::Result<Vec<(u64, u64)>> {
    let mut statement = connection.prepare(
        "SELECT letters.id, outbox.position FROM outbox JOIN dead_letters AS letters USING (event_id)
         WHERE outbox.event_id IN (SELECT event_id FROM dead_letters)",
    )?;
    statement.query_map([], |row| Ok((count(row, 0)?, count(row, 1)?)))?.collect()
}

/// Makes the event at `position` unpublished again, in the place of one of its dead letters. False: one of the two is gone meanwhile.
pub(super) fn redrive_beside(connection: &Connection, letter: u64, position: u64) -> rusqlite::Result<bool> {
    let insert = "INSERT INTO unpublished (position) SELECT position FROM outbox WHERE position = ?1 ON CONFLICT DO NOTHING";
    let there = connection.prepare_cached("SELECT 1 FROM outbox WHERE position = ?1")?.exists([int(position)])?;
    if !there || connection.execute("DELETE FROM dead_letters WHERE id = ?1", [int(letter)])? == 0 {
        return Ok(false);
    }
    connection.execute(insert, [int(position)])?;
    Ok(true)
}

/// Removes the dead letters of `topic`, up to the one with the id `through`, and answers how many.
pub(super) fn discard_beside(connection: &Connection, topic: &str, through: Option<u64>) -> rusqlite::Result<u64> {
    let through = through.map_or(i64::MAX, int);
    Ok(connection.execute("DELETE FROM dead_letters WHERE topic = ?1 AND id <= ?2", params![topic, through])? as u64)
}

pub(super) fn drop_dead_letter(writing: &Writing<'_>, id: u64) -> Result<bool, UnitError> {
    Ok(writing.run("DELETE FROM dead_letters WHERE id = ?1", params![int(id)])? > 0)
}
