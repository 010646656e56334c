//! What is forgotten once it is old, a stretch of rows at a time, and the pages that are given back to the file system.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::super::Prunable;
use super::columns::micros;
use super::writer::{UnitError, Writing};

/// Rows that one transaction of a prune looks at, so that the writer is never held for long.
const STRETCH_ROWS: i64 = 500;
/// Pages that one transaction gives back.
const PAGES_AT_ONCE: i64 = 64;
/// Free pages that the file keeps in any case, to be written again.
const PAGES_KEPT: i64 = 1_024;
/// Of the pages, the part that may be free before some are given back, and the part that is left free then. What an instance keeps takes two and
/// a half kilobytes; with an eighth more it is less than three.
const FREE_AT_MOST: i64 = 8;
const FREE_AFTERWARDS: i64 = 16;

impl Prunable {
    /// The table and its key. Rows are written in the sequence of their keys, so the old ones are the first; of reservations the key is the
    /// time of their end itself, which some may share.
    fn table(self) -> (&'static str, &'static str) {
        match self {
            Self::Events => ("outbox", "position"),
            Self::Inbox => ("inbox", "sequence"),
            Self::Runs => ("step_runs", "sequence"),
            Self::IdempotencyKeys => ("idempotency", "sequence"),
            Self::Reservations => ("reservations", "ended_at"),
        }
    }

    /// What must hold of a row beside its age.
    fn condition(self) -> &'static str {
        match self {
            Self::Events => "position NOT IN (SELECT position FROM unpublished)",
            // Whoever withdraws something looks at what ran before, as long as anything of the instance goes on.
            Self::Runs => {
                "status = 'done'
                 AND NOT EXISTS (SELECT 1 FROM resources WHERE kind = resource_kind AND id = resource_id AND finished = 0)
                 AND NOT EXISTS (SELECT 1 FROM step_runs AS others WHERE others.key BETWEEN step_runs.resource_id || ':' AND step_runs.resource_id || ';'
                                 AND others.resource_id = step_runs.resource_id AND others.resource_kind = step_runs.resource_kind AND others.status <> 'done')"
            }
            // Whoever has reserved may ask once more.
            Self::Reservations => {
                "NOT EXISTS (SELECT 1 FROM step_runs WHERE step_runs.key BETWEEN reservations.key || ':' AND reservations.key || ';'
                             AND resource_id = reservations.key AND step_runs.status <> 'done')"
            }
            // Of an empty inbox nobody could say since when it is known what was handled.
            Self::Inbox => "sequence < (SELECT max(sequence) FROM inbox)",
            Self::IdempotencyKeys => "true",
        }
    }

    /// The key at which the rows that stay begin; rows that are added meanwhile are beyond it.
    pub(super) fn boundary(self, connection: &Connection, before: Timestamp) -> rusqlite::Result<i64> {
        let (table, key) = self.table();
        let before = match self {
            Self::Inbox => older(connection, micros(before))?,
            Self::Reservations => return Ok(micros(before)),
            _ => micros(before),
        };
        let first_kept = format!(
            "SELECT coalesce((SELECT {key} FROM {table} WHERE written_at >= ?1 ORDER BY {key} LIMIT 1), (SELECT max({key}) + 1 FROM {table}), 0)"
        );
        connection.prepare_cached(&first_kept)?.query_row([before], |row| row.get(0))
    }

    /// The last key of the next stretch of rows after `after` and below `boundary`, if there is one.
    pub(super) fn stretch(self, connection: &Connection, after: i64, boundary: i64) -> rusqlite::Result<Option<i64>> {
        let (table, key) = self.table();
        let last = format!("SELECT max({key}) FROM (SELECT {key} FROM {table} WHERE {key} > ?1 AND {key} < ?2 ORDER BY {key} LIMIT ?3)");
        connection.prepare_cached(&last)?.query_row([after, boundary, STRETCH_ROWS], |row| row.get(0))
    }

    /// Removes what may go of the rows after `after` up to `last`; answers how many went.
    pub(super) fn prune(self, writing: &Writing<'_>, after: i64, last: i64) -> Result<u64, UnitError> {
        if self == Self::Events {
            // Positions are given out once, whatever becomes of the last rows.
            writing.run("UPDATE process SET pruned_position = ?1", [writing.tail.position])?;
        }
        let (table, key) = self.table();
        let delete = format!("DELETE FROM {table} WHERE {key} > ?1 AND {key} <= ?2 AND {}", self.condition());
        Ok(writing.run(&delete, [after, last])? as u64)
    }
}

/// Room that was given back to the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) pages: u64,
    pub(super) bytes: u64,
}

/// The earlier of a time and that of the oldest event that is not published yet: whoever takes it once more must know that it was taken.
pub(super) fn older(connection: &Connection, before: i64) -> rusqlite::Result<i64> {
    let oldest = "SELECT written_at FROM outbox WHERE position = (SELECT min(position) FROM unpublished)";
    let oldest: Option<i64> = connection.prepare_cached(oldest)?.query_row([], |row| row.get(0)).optional()?;
    Ok(oldest.map_or(before, |oldest| oldest.min(before)))
}

/// Pages that are to be given back now.
pub(super) fn pages_to_give(connection: &Connection) -> rusqlite::Result<i64> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    // A file that was made before this was asked for keeps its pages, until it is copied by a backup.
    const INCREMENTAL: i64 = 2;
    let (free, all, mode) = (pragma("freelist_count")?, pragma("page_count")?, pragma("auto_vacuum")?);
    if mode != INCREMENTAL || free <= PAGES_KEPT.max(all / FREE_AT_MOST) {
        return Ok(0);
    }
    Ok(free - PAGES_KEPT.max(all / FREE_AFTERWARDS))
}

/// Gives some pages back, `pages` at most; answers how much that was.
pub(super) fn give_pages(writing: &Writing<'_>, pages: i64) -> Result<Given, UnitError> {
    let count = |connection: &Connection| connection.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0));
    let before = count(writing.connection)?;
    let mut statement = writing.connection.prepare(&format!("PRAGMA incremental_vacuum({})", pages.min(PAGES_AT_ONCE)))?;
    // Each row that is asked for is a page that goes.
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    let size: i64 = writing.connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let pages = (before - count(writing.connection)?).unsigned_abs();
    Ok(Given { pages, bytes: pages * size.unsigned_abs() })
}
