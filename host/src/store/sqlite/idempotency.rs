//! Requests that were answered.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::{Conflict, IdempotencyRow};
use super::writer::{UnitError, Writing};

pub(super) fn insert_idempotency(writing: &Writing<'_>, row: &IdempotencyRow) -> Result<(), UnitError> {
    let inserted = writing.run(
        "INSERT INTO idempotency (user, key, request_hash, resource_id, written_at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
        params![row.user, row.key, row.request_hash, row.resource_id, writing.tail.written_at],
    )?;
    if inserted == 0 {
        let existing = select_idempotency(writing.connection, &row.user, &row.key)?.unwrap_or_else(|| row.clone());
        return Err(Conflict::Idempotency(existing).into());
    }
    Ok(())
}

pub(super) fn select_idempotency(connection: &Connection, user: &str, key: &str) -> rusqlite::Result<Option<IdempotencyRow>> {
    let mut statement =
        connection.prepare_cached("SELECT user, key, request_hash, resource_id FROM idempotency WHERE user = ?1 AND key = ?2")?;
    let row =
        |row: &Row<'_>| Ok(IdempotencyRow { user: row.get(0)?, key: row.get(1)?, request_hash: row.get(2)?, resource_id: row.get(3)? });
    statement.query_row([user, key], row).optional()
}
