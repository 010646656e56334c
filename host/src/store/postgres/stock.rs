//! Stock and reservations: `0 <= reserved <= on_hand`, checked by the table itself. Whatever changes what is on hand writes a move.

use std::collections::BTreeMap;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Error, Row as _};

use super::super::stock::{RESERVATIONS_LOOKED_AT, because, moved};
use super::super::{
    HeldReservation, IdempotencyRow, NewMove, ReservationStatus, Shortage, StockLevel, StockLine, StockMove, Stocking, StoreError,
    merge_lines,
};
use super::audit;
use super::columns::{count, int, most, reservation, reservation_text, time};
use super::idempotency::insert_idempotency;
use super::unit::{UnitError, Writing, sql};
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

pub(super) async fn apply(writing: &mut Writing, stocking: &Stocking, actor: Option<&str>) -> Result<(), UnitError> {
    match stocking {
        Stocking::First { sku, on_hand } => init(writing, sku, *on_hand, actor).await,
        Stocking::Anew { sku, on_hand } => set(writing, sku, *on_hand, actor).await,
    }
}

async fn init(writing: &mut Writing, sku: &str, on_hand: u64, actor: Option<&str>) -> Result<(), UnitError> {
    let insert = "INSERT INTO stock (sku, on_hand, reserved) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING";
    if writing.run(sql!(insert, sku, int(on_hand))).await? > 0 {
        write_move(writing, sku, int(on_hand), Why { reason: because::FIRST, actor, ..Why::default() }).await?;
    }
    Ok(())
}

async fn set(writing: &mut Writing, sku: &str, on_hand: u64, actor: Option<&str>) -> Result<(), UnitError> {
    let before = level(&mut writing.connection, sku).await?;
    let upsert = "INSERT INTO stock (sku, on_hand, reserved) VALUES ($1, $2, 0)
                  ON CONFLICT (sku) DO UPDATE SET on_hand = excluded.on_hand WHERE stock.reserved <= excluded.on_hand";
    if writing.run(sql!(upsert, sku, int(on_hand))).await? == 0 {
        let reserved = before.map_or(0, |level| level.reserved);
        return Err(StoreError::Short(vec![Shortage { sku: sku.to_owned(), requested: reserved, available: on_hand }]).into());
    }
    let reason = if before.is_some() { because::SET } else { because::FIRST };
    let delta = int(on_hand) - before.as_ref().map_or(0, |level| int(level.on_hand));
    if delta != 0 || before.is_none() {
        write_move(writing, sku, delta, Why { reason, actor, ..Why::default() }).await?;
    }
    Ok(())
}

pub(super) async fn level(connection: &mut PgConnection, sku: &str) -> Result<Option<StockLevel>, Error> {
    let row = sql!("SELECT sku, on_hand, reserved FROM stock WHERE sku = $1", sku).fetch_optional(connection).await?;
    row.as_ref().map(level_row).transpose()
}

pub(super) async fn levels(connection: &mut PgConnection) -> Result<Vec<StockLevel>, Error> {
    sql!("SELECT sku, on_hand, reserved FROM stock ORDER BY sku").fetch_all(connection).await?.iter().map(level_row).collect()
}

fn level_row(row: &PgRow) -> Result<StockLevel, Error> {
    Ok(StockLevel { sku: row.try_get(0)?, on_hand: count(row, 1)?, reserved: count(row, 2)? })
}

/// Removes the level of a resource that is gone; what is reserved stays until its reservations end.
pub(super) async fn forget(writing: &mut Writing, sku: &str, actor: Option<&str>) -> Result<(), Error> {
    let Some(level) = level(&mut writing.connection, sku).await? else { return Ok(()) };
    writing.run(sql!("UPDATE stock SET on_hand = reserved WHERE sku = $1", sku)).await?;
    let why = Why { reason: because::REMOVED, actor, ..Why::default() };
    write_move(writing, sku, int(level.reserved) - int(level.on_hand), why).await?;
    writing.run(sql!("DELETE FROM stock WHERE sku = $1 AND reserved = 0", sku)).await?;
    Ok(())
}

/// Writes that the level of a sku, as it is now, came about by `delta`.
async fn write_move(writing: &mut Writing, sku: &str, delta: i64, why: Why<'_>) -> Result<(), Error> {
    let Why { reason, note, actor, key } = why;
    let insert = "INSERT INTO stock_moves (sku, delta, on_hand, reserved, reason, note, actor, key, at)
                  SELECT sku, $2, on_hand, reserved, $3, $4, $5, $6, $7 FROM stock WHERE sku = $1";
    writing.run(sql!(insert, sku, delta, reason, note, actor, key, writing.date)).await.map(drop)
}

/// A move that a person makes.
pub(super) async fn move_by_hand(writing: &mut Writing, new: NewMove) -> Result<StockMove, UnitError> {
    let NewMove { sku, by, reason, note, actor, request, audit } = new;
    let before = level(&mut writing.connection, &sku).await?;
    let before = before.unwrap_or_else(|| StockLevel { sku: sku.clone(), on_hand: 0, reserved: 0 });
    let key = request.as_ref().map(|request| request.key.clone());
    let next = writing.row(sql!("SELECT nextval(pg_get_serial_sequence('stock_moves', 'seq'))")).await?;
    let seq: i64 = next.ok_or(Error::RowNotFound)?.try_get(0)?;
    // Before anything that may be refused: a request that was answered is answered the same, whatever has happened since.
    if let Some(request) = request {
        insert_idempotency(writing, &IdempotencyRow { resource_id: seq.to_string(), ..request }).await?;
    }
    let after = moved(&before, by)?;
    let upsert = "INSERT INTO stock (sku, on_hand, reserved) VALUES ($1, $2, 0) ON CONFLICT (sku) DO UPDATE SET on_hand = excluded.on_hand";
    writing.run(sql!(upsert, &sku, int(after.on_hand))).await?;
    let insert = "INSERT INTO stock_moves (seq, sku, delta, on_hand, reserved, reason, note, actor, key, at)
                  SELECT $1, sku, $3, on_hand, reserved, $4, $5, $6, $7, $8 FROM stock WHERE sku = $2
                  RETURNING seq, sku, delta, on_hand, reserved, reason, note, actor, key, at";
    let delta = int(after.on_hand) - int(before.on_hand);
    let made = writing.change(sql!(insert, seq, &sku, delta, reason, note, actor, key, writing.date)).await?;
    audit::append(writing, audit).await?;
    Ok(move_row(made.first().ok_or(Error::RowNotFound)?)?)
}

pub(super) async fn moves(connection: &mut PgConnection, sku: &str, before: u64, limit: usize) -> Result<Vec<StockMove>, Error> {
    let select = "SELECT seq, sku, delta, on_hand, reserved, reason, note, actor, key, at FROM stock_moves
                  WHERE sku = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3";
    sql!(select, sku, int(before), most(limit)).fetch_all(connection).await?.iter().map(move_row).collect()
}

fn move_row(row: &PgRow) -> Result<StockMove, Error> {
    Ok(StockMove {
        seq: count(row, 0)?,
        sku: row.try_get(1)?,
        delta: row.try_get(2)?,
        on_hand: count(row, 3)?,
        reserved: count(row, 4)?,
        reason: row.try_get(5)?,
        note: row.try_get(6)?,
        actor: row.try_get(7)?,
        key: row.try_get(8)?,
        at: time(row, 9)?,
    })
}

/// Keys are made of ids that begin with the time, so the newest come last.
pub(super) async fn reserved_by(connection: &mut PgConnection, sku: &str, limit: usize) -> Result<Vec<String>, Error> {
    let select = "SELECT key FROM (SELECT key, status FROM reservations ORDER BY key DESC LIMIT $2) AS newest
                  WHERE status = 'reserved' AND EXISTS (SELECT 1 FROM reservation_lines WHERE reservation = newest.key AND sku = $1)
                  ORDER BY key DESC LIMIT $3";
    let rows = sql!(select, sku, most(RESERVATIONS_LOOKED_AT), most(limit)).fetch_all(connection).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

pub(super) async fn reserve(writing: &mut Writing, key: &str, lines: &[StockLine]) -> Result<ReservationStatus, UnitError> {
    let lines = merge_lines(lines);
    if let Some(status) = status_of(writing, key).await? {
        let known = lines_of(writing, key).await?;
        // A release that came first knew no lines: whatever is asked for now has ended.
        if known == lines || (known.is_empty() && status == ReservationStatus::Released) {
            return Ok(status);
        }
        return Err(StoreError::Taken("reservation").into());
    }
    let (skus, quantities): (Vec<&str>, Vec<i64>) = lines.iter().map(|(sku, quantity)| (sku.as_str(), int(*quantity))).unzip();
    take(writing, &lines, &skus, &quantities).await?;
    let insert = "WITH reserved AS (INSERT INTO reservations (key, status) VALUES ($1, 'reserved') RETURNING key)
                  INSERT INTO reservation_lines (reservation, sku, quantity)
                  SELECT key, sku, quantity FROM reserved CROSS JOIN unnest($2::text[], $3::bigint[]) AS line (sku, quantity)";
    writing.run(sql!(insert, key, skus, quantities)).await?;
    Ok(ReservationStatus::Reserved)
}

async fn take(writing: &mut Writing, lines: &BTreeMap<String, u64>, skus: &[&str], quantities: &[i64]) -> Result<(), UnitError> {
    let take = "UPDATE stock SET reserved = stock.reserved + line.quantity FROM unnest($1::text[], $2::bigint[]) AS line (sku, quantity)
                WHERE stock.sku = line.sku AND stock.on_hand - stock.reserved >= line.quantity RETURNING stock.sku";
    let taken = writing.change(sql!(take, skus, quantities)).await?;
    if taken.len() == lines.len() {
        return Ok(());
    }
    // Those that were taken are the answer's; of the others it is asked what is left.
    let taken: Vec<String> = taken.iter().map(|row| row.try_get(0)).collect::<Result<_, Error>>()?;
    let select = "SELECT sku, on_hand - reserved FROM stock WHERE sku = ANY ($1::text[])";
    let rows = sql!(select, skus).fetch_all(&mut writing.connection).await?;
    let left = rows.iter().map(|row| Ok((row.try_get(0)?, count(row, 1)?))).collect::<Result<BTreeMap<String, u64>, Error>>()?;
    let short = lines.iter().filter(|(sku, _)| !taken.contains(sku)).map(|(sku, quantity)| Shortage {
        sku: sku.clone(),
        requested: *quantity,
        available: left.get(sku).copied().unwrap_or(0),
    });
    Err(StoreError::Short(short.collect()).into())
}

async fn status_of(writing: &mut Writing, key: &str) -> Result<Option<ReservationStatus>, Error> {
    let row = writing.row(sql!("SELECT status FROM reservations WHERE key = $1", key)).await?;
    row.map(|row| reservation(&row, 0)).transpose()
}

async fn lines_of(writing: &mut Writing, key: &str) -> Result<BTreeMap<String, u64>, Error> {
    let select = "SELECT sku, quantity FROM reservation_lines WHERE reservation = $1";
    let rows = sql!(select, key).fetch_all(&mut writing.connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, count(row, 1)?))).collect()
}

/// What is reserved now, by key.
pub(super) async fn held(connection: &mut PgConnection) -> Result<Vec<HeldReservation>, Error> {
    // The lines of each are looked up: a join may read those of all that were ever made.
    let select = "SELECT key, ARRAY(SELECT sku FROM reservation_lines WHERE reservation = key ORDER BY sku),
                         ARRAY(SELECT quantity FROM reservation_lines WHERE reservation = key ORDER BY sku)
                  FROM reservations WHERE status = 'reserved' ORDER BY key";
    let reservation = |row: &PgRow| {
        let (skus, quantities): (Vec<String>, Vec<i64>) = (row.try_get(1)?, row.try_get(2)?);
        let lines = skus.into_iter().zip(quantities.into_iter().map(i64::unsigned_abs)).collect::<BTreeMap<_, _>>();
        Ok(HeldReservation { key: row.try_get(0)?, lines })
    };
    let held = sql!(select).fetch_all(connection).await?.iter().map(reservation).collect::<Result<Vec<_>, Error>>()?;
    // What has no lines holds nothing.
    Ok(held.into_iter().filter(|held| !held.lines.is_empty()).collect())
}

pub(super) async fn end(writing: &mut Writing, key: &str, end: ReservationStatus) -> Result<Option<ReservationStatus>, UnitError> {
    let (sold, reason) = match end {
        ReservationStatus::Reserved => return Ok(status_of(writing, key).await?),
        ReservationStatus::Released => (0_i64, because::RELEASED),
        ReservationStatus::Sold => (1, because::SOLD),
    };
    match status_of(writing, key).await? {
        None if sold == 1 => return Ok(None),
        None => {
            let ended = "INSERT INTO reservations (key, status, ended_at) VALUES ($1, 'released', $2)";
            writing.run(sql!(ended, key, writing.tail.written_at)).await?;
            return Ok(Some(end));
        }
        Some(ReservationStatus::Reserved) => {}
        Some(_) if planted("release-without-key") => {}
        Some(ended) => return Ok(Some(ended)),
    }
    let ended = "UPDATE reservations SET status = $2, ended_at = $3 WHERE key = $1";
    writing.run(sql!(ended, key, reservation_text(end), writing.tail.written_at)).await?;
    let levels = "UPDATE stock SET reserved = reserved - line.quantity, on_hand = on_hand - $2 * line.quantity
                  FROM reservation_lines AS line WHERE line.reservation = $1 AND stock.sku = line.sku";
    writing.run(sql!(levels, key, sold)).await?;
    crash_point!("in-stock-release");
    let moves = "INSERT INTO stock_moves (sku, delta, on_hand, reserved, reason, key, at)
                 SELECT line.sku, -$2::bigint * line.quantity, stock.on_hand, stock.reserved, $3, $1, $4
                 FROM reservation_lines AS line JOIN stock ON stock.sku = line.sku WHERE line.reservation = $1 ORDER BY line.sku";
    writing.run(sql!(moves, key, sold, reason, writing.date)).await?;
    Ok(Some(end))
}

/// Puts units that were sold on hand again, once for each key.
pub(super) async fn put_back(writing: &mut Writing, key: &str, lines: &[StockLine]) -> Result<bool, UnitError> {
    let done = "SELECT 1 FROM stock_moves WHERE key = $1 AND reason = 'returned' AND actor IS NULL LIMIT 1";
    if writing.row(sql!(done, key)).await?.is_some() {
        return Ok(false);
    }
    for (sku, quantity) in merge_lines(lines) {
        let upsert = "INSERT INTO stock (sku, on_hand, reserved) VALUES ($1, $2, 0)
                      ON CONFLICT (sku) DO UPDATE SET on_hand = stock.on_hand + excluded.on_hand";
        writing.run(sql!(upsert, &sku, int(quantity))).await?;
        write_move(writing, &sku, int(quantity), Why { reason: because::RETURNED, key: Some(key), ..Why::default() }).await?;
    }
    Ok(true)
}
