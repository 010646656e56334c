//! Figures of each minute: added to in the commit that changes them.

use rusqlite::{Connection, params};

use super::super::figures::{Figure, KEPT_MINUTES};
use super::columns::{count, int};
use super::writer::Writing;

/// Adds to the figures of a minute; a sum ends at what a number holds. The oldest go when a minute begins, by their number and not by the date:
/// one that was wrong for a while takes nothing away.
pub(super) fn add(writing: &Writing<'_>, kind: &str, figure: &Figure) -> rusqlite::Result<()> {
    let Figure { minute, made, reached, amount, gone, gone_amount } = *figure;
    let values = params![kind, minute, int(made), int(reached), amount, int(gone), gone_amount];
    let known = writing.run(
        "UPDATE figures SET made = made + ?3, reached = reached + ?4, amount = CAST(amount + ?5 AS INTEGER), gone = gone + ?6,
                            gone_amount = CAST(gone_amount + ?7 AS INTEGER)
         WHERE kind = ?1 AND minute = ?2",
        values,
    )?;
    if known == 0 {
        writing.run(
            "INSERT INTO figures (kind, minute, made, reached, amount, gone, gone_amount) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            values,
        )?;
        writing.run(
            "DELETE FROM figures WHERE kind = ?1
             AND minute < (SELECT minute FROM figures WHERE kind = ?1 ORDER BY minute DESC LIMIT 1 OFFSET ?2)",
            params![kind, KEPT_MINUTES],
        )?;
    }
    Ok(())
}

/// The figures of these minutes, the last one excluded, in their sequence; those of which there is nothing are not there.
pub(super) fn select(connection: &Connection, kind: &str, (from, to): (i64, i64)) -> rusqlite::Result<Vec<Figure>> {
    let mut statement = connection.prepare_cached(
        "SELECT minute, made, reached, amount, gone, gone_amount FROM figures WHERE kind = ?1 AND minute >= ?2 AND minute < ?3 ORDER BY minute",
    )?;
    let figure = |row: &rusqlite::Row<'_>| {
        Ok(Figure {
            minute: row.get(0)?,
            made: count(row, 1)?,
            reached: count(row, 2)?,
            amount: row.get(3)?,
            gone: count(row, 4)?,
            gone_amount: row.get(5)?,
        })
    };
    statement.query_map(params![kind, from, to], figure)?.collect()
}
