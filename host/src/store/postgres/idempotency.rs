//! Requests that were answered.

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Error, Row as _};

use super::super::{Conflict, IdempotencyRow};
use super::unit::{UnitError, Writing, sql};

/// Notes that a request was answered.
pub(super) async fn insert_idempotency(writing: &mut Writing, row: &IdempotencyRow) -> Result<(), UnitError> {
    let insert =
        "INSERT INTO idempotency (account, key, request_hash, resource_id, written_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    let statement = sql!(insert, &row.user, &row.key, &row.request_hash, &row.resource_id, writing.tail.written_at);
    if writing.run(statement).await? == 0 {
        let existing = select(&mut writing.connection, &row.user, &row.key).await?;
        return Err(Conflict::Idempotency(existing.unwrap_or_else(|| row.clone())).into());
    }
    Ok(())
}

/// The answered request of that user and key.
pub(super) async fn select(connection: &mut PgConnection, user: &str, key: &str) -> Result<Option<IdempotencyRow>, Error> {
    let select = "SELECT account, key, request_hash, resource_id FROM idempotency WHERE account = $1 AND key = $2";
    let row = sql!(select, user, key).fetch_optional(connection).await?;
    let request = |row: PgRow| {
        Ok(IdempotencyRow { user: row.try_get(0)?, key: row.try_get(1)?, request_hash: row.try_get(2)?, resource_id: row.try_get(3)? })
    };
    row.map(request).transpose()
}
