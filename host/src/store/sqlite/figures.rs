//! Figures of each minute: added to in the commit that changes them.

use rusqlite::{Connection, params};

use super::super::figures::{Figure, KEPT_MINUTES};
use super::columns::{count, int};
use super::writer::Writing;

/// Adds to the figures of a minute. Those that nobody asks for any more go when a minute begins.
pub(super) fn add(writing: &Writing<'_>, kind: &str, figure: &Figure) -> rusqlite::Result<()> {
    let Figure { minute, made, reached, amount, gone, gone_amount } = *figure;
    let values = params![kind, minute, int(made), int(reached), amount, int(gone), gone_amount];
    let known = writing.run(
        "UPDATE figures SET made = made + ?3, reached = reached + ?4, amount = amount + ?5, gone = gone + ?6, gone_amount = gone_amount + ?7
         WHERE kind = ?1 AND minute = ?2",
        values,
    )?;
    if known == 0 {
        writing.run(
            "INSERT INTO figures (kind, minute, made, reached, amount, gone, gone_amount) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            values,
        )?;
        writing.run("DELETE FROM figures WHERE kind = ?1 AND minute < ?2", params![kind, minute - KEPT_MINUTES])?;
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
