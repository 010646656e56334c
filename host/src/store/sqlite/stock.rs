//! Stock and reservations: `0 <= reserved <= on_hand`, checked by the table itself.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::{HeldReservation, ReservationStatus, Shortage, StockLevel, StockLine, Stocking, StoreError, merge_lines};
use super::columns::{count, int, reservation, reservation_text};
use super::writer::{UnitError, Writing};

pub(super) fn apply(writing: &Writing<'_>, stocking: &Stocking) -> Result<(), UnitError> {
    match stocking {
        Stocking::First { sku, on_hand } => init(writing, sku, *on_hand),
        Stocking::Anew { sku, on_hand } => set(writing, sku, *on_hand),
    }
}

fn init(writing: &Writing<'_>, sku: &str, on_hand: u64) -> Result<(), UnitError> {
    writing.run("INSERT INTO stock (sku, on_hand, reserved) VALUES (?1, ?2, 0) ON CONFLICT DO NOTHING", params![sku, int(on_hand)])?;
    Ok(())
}

fn set(writing: &Writing<'_>, sku: &str, on_hand: u64) -> Result<(), UnitError> {
    let changed = writing.run(
        "INSERT INTO stock (sku, on_hand, reserved) VALUES (?1, ?2, 0)
         ON CONFLICT DO UPDATE SET on_hand = excluded.on_hand WHERE reserved <= excluded.on_hand",
        params![sku, int(on_hand)],
    )?;
    if changed == 0 {
        let reserved = level(writing.connection, sku)?.map_or(0, |level| level.reserved);
        return Err(StoreError::Short(vec![Shortage { sku: sku.to_owned(), requested: reserved, available: on_hand }]).into());
    }
    Ok(())
}

pub(super) fn level(connection: &Connection, sku: &str) -> rusqlite::Result<Option<StockLevel>> {
    let mut statement = connection.prepare_cached("SELECT sku, on_hand, reserved FROM stock WHERE sku = ?1")?;
    statement.query_row([sku], level_row).optional()
}

pub(super) fn levels(connection: &Connection) -> rusqlite::Result<Vec<StockLevel>> {
    connection.prepare_cached("SELECT sku, on_hand, reserved FROM stock ORDER BY sku")?.query_map([], level_row)?.collect()
}

fn level_row(row: &Row<'_>) -> rusqlite::Result<StockLevel> {
    Ok(StockLevel { sku: row.get(0)?, on_hand: count(row, 1)?, reserved: count(row, 2)? })
}

/// Removes the level of a resource that is gone; what is reserved stays until its reservations end.
pub(super) fn forget(writing: &Writing<'_>, sku: &str) -> rusqlite::Result<()> {
    writing.run("DELETE FROM stock WHERE sku = ?1 AND reserved = 0", [sku])?;
    writing.run("UPDATE stock SET on_hand = reserved WHERE sku = ?1", [sku])?;
    Ok(())
}

pub(super) fn reserve(writing: &Writing<'_>, key: &str, lines: &[StockLine]) -> Result<ReservationStatus, UnitError> {
    let lines = merge_lines(lines);
    if let Some(status) = status_of(writing.connection, key)? {
        let known = lines_of(writing.connection, key)?;
        // A release that came first knew no lines: whatever is asked for now has ended.
        if known == lines || (known.is_empty() && status == ReservationStatus::Released) {
            return Ok(status);
        }
        return Err(StoreError::Taken("reservation").into());
    }
    take(writing, &lines)?;
    writing.run("INSERT INTO reservations (key, status) VALUES (?1, 'reserved')", [key])?;
    for (sku, quantity) in &lines {
        writing.run("INSERT INTO reservation_lines (reservation, sku, quantity) VALUES (?1, ?2, ?3)", params![key, sku, int(*quantity)])?;
    }
    Ok(ReservationStatus::Reserved)
}

fn take(writing: &Writing<'_>, lines: &BTreeMap<String, u64>) -> Result<(), UnitError> {
    let mut short = Vec::new();
    for (sku, quantity) in lines {
        let taken = writing
            .run("UPDATE stock SET reserved = reserved + ?2 WHERE sku = ?1 AND on_hand - reserved >= ?2", params![sku, int(*quantity)])?;
        if taken == 0 {
            let available = level(writing.connection, sku)?.map_or(0, |level| level.on_hand - level.reserved);
            short.push(Shortage { sku: sku.clone(), requested: *quantity, available });
        }
    }
    if short.is_empty() { Ok(()) } else { Err(StoreError::Short(short).into()) }
}

fn status_of(connection: &Connection, key: &str) -> rusqlite::Result<Option<ReservationStatus>> {
    let mut statement = connection.prepare_cached("SELECT status FROM reservations WHERE key = ?1")?;
    statement.query_row([key], |row| reservation(row, 0)).optional()
}

fn lines_of(connection: &Connection, key: &str) -> rusqlite::Result<BTreeMap<String, u64>> {
    let mut statement = connection.prepare_cached("SELECT sku, quantity FROM reservation_lines WHERE reservation = ?1")?;
    statement.query_map([key], |row| Ok((row.get(0)?, count(row, 1)?)))?.collect()
}

/// What is reserved now, by key.
pub(super) fn held(connection: &Connection) -> rusqlite::Result<Vec<HeldReservation>> {
    let mut statement = connection.prepare(
        "SELECT key, sku, quantity FROM reservations JOIN reservation_lines ON reservation = key WHERE status = 'reserved' ORDER BY key, sku",
    )?;
    let mut held: Vec<HeldReservation> = Vec::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (key, sku, quantity): (String, String, u64) = (row.get(0)?, row.get(1)?, count(row, 2)?);
        if held.last().is_none_or(|last| last.key != key) {
            held.push(HeldReservation { key, lines: BTreeMap::new() });
        }
        if let Some(last) = held.last_mut() {
            last.lines.insert(sku, quantity);
        }
    }
    Ok(held)
}

/// Gives back what is reserved under a key, beside the process that has the database; false if nothing is.
pub(super) fn release_offline(connection: &Connection, key: &str) -> rusqlite::Result<bool> {
    let ended =
        "UPDATE reservations SET status = 'released', ended_at = (SELECT steady_at FROM process) WHERE key = ?1 AND status = 'reserved'";
    if connection.execute(ended, [key])? == 0 {
        return Ok(false);
    }
    connection.execute(
        "UPDATE stock SET reserved = reserved - line.quantity
         FROM reservation_lines AS line WHERE line.reservation = ?1 AND stock.sku = line.sku",
        [key],
    )?;
    Ok(true)
}

pub(super) fn end(writing: &Writing<'_>, key: &str, end: ReservationStatus) -> Result<Option<ReservationStatus>, UnitError> {
    let sold = match end {
        ReservationStatus::Reserved => return Ok(status_of(writing.connection, key)?),
        ReservationStatus::Released => 0,
        ReservationStatus::Sold => 1,
    };
    match status_of(writing.connection, key)? {
        None if sold == 1 => return Ok(None),
        None => {
            let ended = "INSERT INTO reservations (key, status, ended_at) VALUES (?1, 'released', ?2)";
            writing.run(ended, params![key, writing.tail.written_at])?;
            return Ok(Some(end));
        }
        Some(ReservationStatus::Reserved) => {}
        Some(ended) => return Ok(Some(ended)),
    }
    let ended = "UPDATE reservations SET status = ?2, ended_at = ?3 WHERE key = ?1";
    writing.run(ended, params![key, reservation_text(end), writing.tail.written_at])?;
    writing.run(
        "UPDATE stock SET reserved = reserved - line.quantity, on_hand = on_hand - ?2 * line.quantity
         FROM reservation_lines AS line WHERE line.reservation = ?1 AND stock.sku = line.sku",
        params![key, sold],
    )?;
    Ok(Some(end))
}
