//! Stock and reservations: `0 <= reserved <= on_hand`, checked by the table itself. Whatever changes what is on hand writes a move.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::stock::{RESERVATIONS_LOOKED_AT, because, moved};
use super::super::{
    AuditEntry, HeldReservation, IdempotencyRow, NewMove, ReservationStatus, Shortage, StockLevel, StockLine, StockMove, Stocking,
    StoreError, merge_lines,
};
use super::audit;
use super::columns::{count, int, most, reservation, reservation_text, time};
use super::idempotency::insert_idempotency;
use super::writer::{UnitError, Writing};
use crate::crash_point;
use crate::faults::planted;

/// Why a move is made, and by whom.
#[derive(Clone, Copy, Default)]
struct Why<'a> {
    reason: &'a str,
    note: Option<&'a str>,
    actor: Option<&'a str>,
    key: Option<&'a str>,
}

pub(super) fn apply(writing: &Writing<'_>, stocking: &Stocking, actor: Option<&str>) -> Result<(), UnitError> {
    match stocking {
        Stocking::First { sku, on_hand } => init(writing, sku, *on_hand, actor),
        Stocking::Anew { sku, on_hand } => set(writing, sku, *on_hand, actor),
    }
}

fn init(writing: &Writing<'_>, sku: &str, on_hand: u64, actor: Option<&str>) -> Result<(), UnitError> {
    let added =
        writing.run("INSERT INTO stock (sku, on_hand, reserved) VALUES (?1, ?2, 0) ON CONFLICT DO NOTHING", params![sku, int(on_hand)])?;
    if added > 0 {
        write_move(writing, sku, int(on_hand), Why { reason: because::FIRST, actor, ..Why::default() })?;
    }
    Ok(())
}

fn set(writing: &Writing<'_>, sku: &str, on_hand: u64, actor: Option<&str>) -> Result<(), UnitError> {
    let before = level(writing.connection, sku)?;
    let changed = writing.run(
        "INSERT INTO stock (sku, on_hand, reserved) VALUES (?1, ?2, 0)
         ON CONFLICT DO UPDATE SET on_hand = excluded.on_hand WHERE reserved <= excluded.on_hand",
        params![sku, int(on_hand)],
    )?;
    if changed == 0 {
        let reserved = before.map_or(0, |level| level.reserved);
        return Err(StoreError::Short(vec![Shortage { sku: sku.to_owned(), requested: reserved, available: on_hand }]).into());
    }
    let reason = if before.is_some() { because::SET } else { because::FIRST };
    let delta = int(on_hand) - before.as_ref().map_or(0, |level| int(level.on_hand));
    if delta != 0 || before.is_none() {
        write_move(writing, sku, delta, Why { reason, actor, ..Why::default() })?;
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
pub(super) fn forget(writing: &Writing<'_>, sku: &str, actor: Option<&str>) -> rusqlite::Result<()> {
    let Some(level) = level(writing.connection, sku)? else { return Ok(()) };
    writing.run("UPDATE stock SET on_hand = reserved WHERE sku = ?1", [sku])?;
    write_move(writing, sku, int(level.reserved) - int(level.on_hand), Why { reason: because::REMOVED, actor, ..Why::default() })?;
    writing.run("DELETE FROM stock WHERE sku = ?1 AND reserved = 0", [sku])?;
    Ok(())
}

/// Writes that the level of a sku, as it is now, came about by `delta`.
fn write_move(writing: &Writing<'_>, sku: &str, delta: i64, why: Why<'_>) -> rusqlite::Result<i64> {
    let Why { reason, note, actor, key } = why;
    writing.run(
        "INSERT INTO stock_moves (sku, delta, on_hand, reserved, reason, note, actor, key, at)
         SELECT sku, ?2, on_hand, reserved, ?3, ?4, ?5, ?6, ?7 FROM stock WHERE sku = ?1",
        params![sku, delta, reason, note, actor, key, writing.date],
    )?;
    Ok(writing.connection.last_insert_rowid())
}

/// A move that a person makes.
pub(super) fn move_by_hand(writing: &Writing<'_>, new: NewMove) -> Result<StockMove, UnitError> {
    let NewMove { sku, by, reason, note, actor, request, audit } = new;
    let before = level(writing.connection, &sku)?.unwrap_or_else(|| StockLevel { sku: sku.clone(), on_hand: 0, reserved: 0 });
    let key = request.as_ref().map(|request| request.key.clone());
    // Before anything that may be refused: a request that was answered is answered the same, whatever has happened since.
    if let Some(request) = request {
        let seq: i64 =
            writing.connection.prepare_cached("SELECT coalesce(max(seq), 0) + 1 FROM stock_moves")?.query_row([], |row| row.get(0))?;
        insert_idempotency(writing, &IdempotencyRow { resource_id: seq.to_string(), ..request })?;
    }
    let after = moved(&before, by)?;
    writing.run(
        "INSERT INTO stock (sku, on_hand, reserved) VALUES (?1, ?2, 0) ON CONFLICT DO UPDATE SET on_hand = excluded.on_hand",
        params![sku, int(after.on_hand)],
    )?;
    let why = Why { reason: &reason, note: note.as_deref(), actor: Some(&actor), key: key.as_deref() };
    let seq = write_move(writing, &sku, int(after.on_hand) - int(before.on_hand), why)?;
    audit::append(writing.connection, audit)?;
    let mut statement = writing.connection.prepare_cached(&format!("{MOVE} WHERE seq = ?1"))?;
    Ok(statement.query_row([seq], move_row)?)
}

const MOVE: &str = "SELECT seq, sku, delta, on_hand, reserved, reason, note, actor, key, at FROM stock_moves";

pub(super) fn moves(connection: &Connection, sku: &str, before: u64, limit: usize) -> rusqlite::Result<Vec<StockMove>> {
    let mut statement = connection.prepare_cached(&format!("{MOVE} WHERE sku = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3"))?;
    statement.query_map(params![sku, int(before), most(limit)], move_row)?.collect()
}

fn move_row(row: &Row<'_>) -> rusqlite::Result<StockMove> {
    Ok(StockMove {
        seq: count(row, 0)?,
        sku: row.get(1)?,
        delta: row.get(2)?,
        on_hand: count(row, 3)?,
        reserved: count(row, 4)?,
        reason: row.get(5)?,
        note: row.get(6)?,
        actor: row.get(7)?,
        key: row.get(8)?,
        at: time(row, 9)?,
    })
}

/// Keys are made of ids that begin with the time, so the newest come last.
pub(super) fn reserved_by(connection: &Connection, sku: &str, limit: usize) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "SELECT key FROM (SELECT key, status FROM reservations ORDER BY key DESC LIMIT ?2) AS newest
         WHERE status = 'reserved' AND EXISTS (SELECT 1 FROM reservation_lines WHERE reservation = newest.key AND sku = ?1)
         ORDER BY key DESC LIMIT ?3",
    )?;
    statement.query_map(params![sku, most(RESERVATIONS_LOOKED_AT), most(limit)], |row| row.get(0))?.collect()
}

/// What of the stock is not the sum of its moves, in words; nothing if all is.
pub(super) fn differs(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let has_moves = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'stock_moves'";
    if !connection.prepare(has_moves)?.exists([])? {
        return Ok(None);
    }
    let sql = "SELECT coalesce(stock.sku, moves.sku), coalesce(on_hand, 0), coalesce(moved, 0)
               FROM stock FULL JOIN (SELECT sku, sum(delta) AS moved FROM stock_moves GROUP BY sku) AS moves ON moves.sku = stock.sku
               WHERE coalesce(on_hand, 0) <> coalesce(moved, 0) LIMIT 1";
    let described = |row: &Row<'_>| {
        let (sku, on_hand, moved): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(format!("'{sku}' has {on_hand} units on hand, and its moves come to {moved}"))
    };
    connection.query_row(sql, [], described).optional()
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

/// Levels once the reservation ?1 has ended; ?2 is 1 if its units are sold, and 0 if they are given back.
const LEVELS_AFTER_END: &str = "UPDATE stock SET reserved = reserved - line.quantity, on_hand = on_hand - ?2 * line.quantity
         FROM reservation_lines AS line WHERE line.reservation = ?1 AND stock.sku = line.sku";

/// The moves of that, for the reason ?3, at the date ?4, by ?5.
const MOVES_OF_END: &str = "INSERT INTO stock_moves (sku, delta, on_hand, reserved, reason, key, at, actor)
         SELECT line.sku, -?2 * line.quantity, stock.on_hand, stock.reserved, ?3, ?1, ?4, ?5
         FROM reservation_lines AS line JOIN stock ON stock.sku = line.sku WHERE line.reservation = ?1 ORDER BY line.sku";

/// Gives back what is reserved under a key, beside the process that has the database; false if nothing is. `entry` says who does it, and when.
pub(super) fn release_offline(connection: &Connection, key: &str, entry: &AuditEntry) -> rusqlite::Result<bool> {
    let ended =
        "UPDATE reservations SET status = 'released', ended_at = (SELECT steady_at FROM process) WHERE key = ?1 AND status = 'reserved'";
    if connection.execute(ended, [key])? == 0 {
        return Ok(false);
    }
    connection.execute(LEVELS_AFTER_END, params![key, 0])?;
    connection.execute(MOVES_OF_END, params![key, 0, because::RELEASED, entry.at.as_microsecond(), entry.actor])?;
    Ok(true)
}

pub(super) fn end(writing: &Writing<'_>, key: &str, end: ReservationStatus) -> Result<Option<ReservationStatus>, UnitError> {
    let (sold, reason) = match end {
        ReservationStatus::Reserved => return Ok(status_of(writing.connection, key)?),
        ReservationStatus::Released => (0, because::RELEASED),
        ReservationStatus::Sold => (1, because::SOLD),
    };
    match status_of(writing.connection, key)? {
        None if sold == 1 => return Ok(None),
        None => {
            let ended = "INSERT INTO reservations (key, status, ended_at) VALUES (?1, 'released', ?2)";
            writing.run(ended, params![key, writing.tail.written_at])?;
            return Ok(Some(end));
        }
        Some(ReservationStatus::Reserved) => {}
        Some(_) if planted("release-without-key") => {}
        Some(ended) => return Ok(Some(ended)),
    }
    let ended = "UPDATE reservations SET status = ?2, ended_at = ?3 WHERE key = ?1";
    writing.run(ended, params![key, reservation_text(end), writing.tail.written_at])?;
    writing.run(LEVELS_AFTER_END, params![key, sold])?;
    crash_point!("in-stock-release");
    writing.run(MOVES_OF_END, params![key, sold, reason, writing.date, None::<String>])?;
    Ok(Some(end))
}

/// Puts units that were sold on hand again, once for each key.
pub(super) fn put_back(writing: &Writing<'_>, key: &str, lines: &[StockLine]) -> Result<bool, UnitError> {
    let done = "SELECT 1 FROM stock_moves WHERE key = ?1 AND reason = 'returned' AND actor IS NULL";
    if writing.connection.prepare_cached(done)?.exists([key])? {
        return Ok(false);
    }
    for (sku, quantity) in merge_lines(lines) {
        writing.run(
            "INSERT INTO stock (sku, on_hand, reserved) VALUES (?1, ?2, 0) ON CONFLICT DO UPDATE SET on_hand = on_hand + excluded.on_hand",
            params![sku, int(quantity)],
        )?;
        write_move(writing, &sku, int(quantity), Why { reason: because::RETURNED, key: Some(key), ..Why::default() })?;
    }
    Ok(true)
}
