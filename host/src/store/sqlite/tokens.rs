//! Which tokens of accounts are believed, who was told, and who may set a password without the old one.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::{Changed, MAX_RESETS, OutboxRow, Reset, Standing, ToldEpoch, UserChange};
use super::columns::{count, int, micros};
use super::commit::insert_outbox;
use super::users;
use super::writer::{UnitError, Writing};

pub(super) fn standing(connection: &Connection, id: &str) -> rusqlite::Result<Option<Standing>> {
    let kept = |row: &Row<'_>| Ok(Standing::Kept { epoch: count(row, 0)?, disabled: row.get(1)? });
    let kept = connection.prepare_cached("SELECT epoch, disabled FROM users WHERE id = ?1")?.query_row([id], kept).optional()?;
    if kept.is_some() {
        return Ok(kept);
    }
    let heard = |row: &Row<'_>| Ok(Standing::Heard { epoch: count(row, 0)?, at: row.get(1)? });
    connection.prepare_cached("SELECT epoch, at FROM heard_epochs WHERE user_id = ?1")?.query_row([id], heard).optional()
}

pub(super) fn hear(writing: &Writing<'_>, id: &str, epoch: u64, at: i64) -> Result<(), UnitError> {
    let sql = "INSERT INTO heard_epochs (user_id, epoch, at) VALUES (?1, ?2, ?3)
               ON CONFLICT DO UPDATE SET epoch = excluded.epoch, at = excluded.at WHERE excluded.at >= heard_epochs.at";
    writing.run(sql, params![id, int(epoch), at])?;
    Ok(())
}

pub(super) fn tell(writing: &mut Writing<'_>, told: Vec<ToldEpoch>) -> Result<(), UnitError> {
    let mut events = Vec::new();
    for ToldEpoch { user_id, epoch, event } in told {
        let sql = "UPDATE users SET told_epoch = ?2 WHERE id = ?1 AND told_epoch <> ?2";
        if writing.run(sql, params![user_id, int(epoch)])? > 0 {
            events.push(event);
        }
    }
    insert_outbox(writing, &events)?;
    Ok(())
}

pub(super) fn add_reset(writing: &mut Writing<'_>, reset: &Reset, now: Timestamp, event: OutboxRow) -> Result<(), UnitError> {
    writing.run("DELETE FROM password_resets WHERE expires_at <= ?1", [micros(now)])?;
    let others = i64::try_from(MAX_RESETS - 1).unwrap_or(i64::MAX);
    writing.run(
        "DELETE FROM password_resets WHERE user_id = ?1 AND digest NOT IN
             (SELECT digest FROM password_resets WHERE user_id = ?1 ORDER BY expires_at DESC, digest LIMIT ?2)",
        params![reset.user_id, others],
    )?;
    writing.run(
        "INSERT INTO password_resets (digest, user_id, expires_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![reset.digest, reset.user_id, micros(reset.expires_at)],
    )?;
    insert_outbox(writing, &[event])?;
    Ok(())
}

pub(super) fn reset_of(connection: &Connection, digest: &str, now: Timestamp) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT user_id FROM password_resets WHERE digest = ?1 AND expires_at > ?2";
    connection.prepare_cached(sql)?.query_row(params![digest, micros(now)], |row| row.get(0)).optional()
}

pub(super) fn use_reset(writing: &Writing<'_>, digest: &str, now: Timestamp, change: UserChange) -> Result<Option<Changed>, UnitError> {
    let Some(id) = reset_of(writing.connection, digest, now)? else { return Ok(None) };
    users::forget_resets(writing.connection, &id)?;
    users::change(writing.connection, &id, change)
}
