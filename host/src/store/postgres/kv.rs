//! What components keep of their own.

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Error, Row as _};

use super::super::{KV_ENTRY_BYTES, KvEntry, KvOp, KvOwner, KvRow};
use super::columns::{count, int};
use super::unit::{UnitError, Writing, sql};

/// Number of the instance, if it is here.
async fn instance(connection: &mut PgConnection, kind: &str, id: &str) -> Result<Option<i64>, Error> {
    let row = sql!("SELECT pk FROM resources WHERE kind = $1 AND id = $2", kind, id).fetch_optional(connection).await?;
    row.map(|row| row.try_get(0)).transpose()
}

pub(super) async fn value(connection: &mut PgConnection, owner: &KvOwner, key: &str) -> Result<Option<String>, Error> {
    let statement = match &owner.instance {
        None => sql!("SELECT value FROM component_state WHERE component = $1 AND key = $2", &owner.component, key),
        Some((kind, id)) => sql!(
            "SELECT value FROM instance_state WHERE resource = (SELECT pk FROM resources WHERE kind = $3 AND id = $4)
             AND component = $1 AND key = $2",
            &owner.component,
            key,
            kind,
            id,
        ),
    };
    statement.fetch_optional(connection).await?.map(|row| row.try_get(0)).transpose()
}

pub(super) async fn bytes(connection: &mut PgConnection, owner: &KvOwner) -> Result<u64, Error> {
    let each = int(KV_ENTRY_BYTES);
    let statement = match &owner.instance {
        None => sql!(
            "SELECT coalesce(sum(octet_length(key) + octet_length(value) + $1), 0)::bigint FROM component_state WHERE component = $2",
            each,
            &owner.component,
        ),
        Some((kind, id)) => sql!(
            "SELECT coalesce(sum(octet_length(key) + octet_length(value) + $1), 0)::bigint FROM instance_state
             WHERE resource = (SELECT pk FROM resources WHERE kind = $3 AND id = $4) AND component = $2",
            each,
            &owner.component,
            kind,
            id,
        ),
    };
    count(&statement.fetch_one(connection).await?, 0)
}

/// All entries of an instance, in the sequence of components and keys.
pub(super) async fn entries(connection: &mut PgConnection, kind: &str, id: &str) -> Result<Vec<KvEntry>, Error> {
    let select = "SELECT component, key, value FROM instance_state
                  WHERE resource = (SELECT pk FROM resources WHERE kind = $1 AND id = $2) ORDER BY component, key";
    let entry = |row: &PgRow| Ok(KvEntry { component: row.try_get(0)?, key: row.try_get(1)?, value: row.try_get(2)? });
    sql!(select, kind, id).fetch_all(connection).await?.iter().map(entry).collect()
}

/// Makes a change. That of an instance which is not here is left out.
pub(super) async fn apply(writing: &mut Writing, row: &KvRow) -> Result<(), UnitError> {
    let KvRow { owner, key, op } = row;
    let there = if matches!(op, KvOp::Add(_)) { value(&mut writing.connection, owner, key).await? } else { None };
    let after = op.after(there.as_deref());
    let Some((kind, id)) = &owner.instance else {
        let statement = match &after {
            Some(value) => sql!(
                "INSERT INTO component_state (component, key, value) VALUES ($1, $2, $3)
                 ON CONFLICT (component, key) DO UPDATE SET value = excluded.value",
                &owner.component,
                key,
                value,
            ),
            None => sql!("DELETE FROM component_state WHERE component = $1 AND key = $2", &owner.component, key),
        };
        writing.run(statement).await?;
        return Ok(());
    };
    let Some(pk) = instance(&mut writing.connection, kind, id).await? else { return Ok(()) };
    let statement = match &after {
        Some(value) => sql!(
            "INSERT INTO instance_state (resource, component, key, value) VALUES ($1, $2, $3, $4)
             ON CONFLICT (resource, component, key) DO UPDATE SET value = excluded.value",
            pk,
            &owner.component,
            key,
            value,
        ),
        None => sql!("DELETE FROM instance_state WHERE resource = $1 AND component = $2 AND key = $3", pk, &owner.component, key),
    };
    writing.run(statement).await?;
    Ok(())
}
