//! The audit log. A trigger lets nobody change a row; its hashes tell if somebody did all the same.

use async_trait::async_trait;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Error, Row as _};

use super::super::writer::Failure;
use super::super::{Audit, AuditChain, AuditEntry, AuditListing, AuditRow, StoreError};
use super::Postgres;
use super::columns::{count, int, json, micros, most, time};
use super::unit::{UnitError, Writing, sql};

macro_rules! row {
    ($rest:literal) => {
        concat!(
            "SELECT seq, at, actor, roles, sudo, action, subject, version_before, version_after, reason, request_id, address, prev_hash, hash
             FROM audit ",
            $rest
        )
    };
}

/// Adds entries after the last row, within the transaction of the deed that they are about.
pub(super) async fn append(writing: &mut Writing, entries: impl IntoIterator<Item = AuditEntry>) -> Result<(), Error> {
    let entries: Vec<AuditEntry> = entries.into_iter().collect();
    if entries.is_empty() {
        return Ok(());
    }
    let last = writing.row(sql!("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")).await?;
    let last = last.map(|row| Ok::<_, Error>(AuditChain { seq: count(&row, 0)?, hash: row.try_get(1)? })).transpose()?;
    let mut chain = last.unwrap_or_default();
    for entry in entries {
        let AuditRow { seq, entry, prev_hash, hash } = chain.append(entry);
        let insert =
            "INSERT INTO audit (seq, at, actor, roles, sudo, action, subject, version_before, version_after, reason, request_id, address,
                                         prev_hash, hash)
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
        let statement = sql!(
            insert,
            int(seq),
            micros(entry.at),
            &entry.actor,
            serde_json::json!(entry.roles).to_string(),
            entry.sudo,
            &entry.action,
            &entry.subject,
            entry.version_before.map(int),
            entry.version_after.map(int),
            &entry.reason,
            &entry.request_id,
            &entry.address,
            prev_hash,
            hash,
        );
        writing.run(statement).await?;
    }
    Ok(())
}

/// Each filter has an index that holds its rows in the sequence of their numbers.
pub(super) async fn list(connection: &mut PgConnection, listing: &AuditListing) -> Result<Vec<AuditRow>, Error> {
    let mut text = row!("WHERE seq < $1").to_owned();
    let wanted = [("actor", &listing.actor), ("action", &listing.action), ("subject", &listing.subject)];
    let wanted: Vec<_> = wanted.into_iter().filter_map(|(column, wanted)| Some((column, wanted.as_ref()?))).collect();
    for (at, (column, _)) in wanted.iter().enumerate() {
        text.push_str(&format!(" AND {column} = ${}", at + 2));
    }
    text.push_str(&format!(" ORDER BY seq DESC LIMIT ${}", wanted.len() + 2));
    let mut statement = sqlx::query(AssertSqlSafe(text)).bind(listing.before.map_or(i64::MAX, int));
    for (_, wanted) in wanted {
        statement = statement.bind(wanted);
    }
    statement.bind(most(listing.limit)).fetch_all(connection).await?.iter().map(audit_row).collect()
}

pub(super) async fn after(connection: &mut PgConnection, seq: u64, limit: usize) -> Result<Vec<AuditRow>, Error> {
    let statement = sql!(row!("WHERE seq > $1 ORDER BY seq LIMIT $2"), int(seq), most(limit));
    statement.fetch_all(connection).await?.iter().map(audit_row).collect()
}

fn audit_row(row: &PgRow) -> Result<AuditRow, Error> {
    let version = |column| row.try_get::<Option<i64>, _>(column)?.map(|_| count(row, column)).transpose();
    let entry = AuditEntry {
        at: time(row, 1)?,
        actor: row.try_get(2)?,
        roles: json(row, 3)?,
        sudo: row.try_get(4)?,
        action: row.try_get(5)?,
        subject: row.try_get(6)?,
        version_before: version(7)?,
        version_after: version(8)?,
        reason: row.try_get(9)?,
        request_id: row.try_get(10)?,
        address: row.try_get(11)?,
    };
    Ok(AuditRow { seq: count(row, 0)?, entry, prev_hash: row.try_get(12)?, hash: row.try_get(13)? })
}

#[async_trait]
impl Audit for Postgres {
    async fn note(&self, entries: Vec<AuditEntry>) -> Result<(), StoreError> {
        self.writer
            .write(move |writing| {
                let entries = entries.clone();
                Box::pin(async move { Ok(append(writing, entries).await?) })
            })
            .await
    }

    async fn audited(&self, listing: &AuditListing) -> Result<Vec<AuditRow>, StoreError> {
        list(&mut *self.reader().await?, listing).await.map_err(|error| Failure::from(&error).to_error())
    }

    async fn audited_after(&self, seq: u64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        after(&mut *self.reader().await?, seq, limit).await.map_err(|error| Failure::from(&error).to_error())
    }
}

/// Whether anything was done.
pub(super) trait Done {
    fn is_done(&self) -> bool;
}

impl Done for bool {
    fn is_done(&self) -> bool {
        *self
    }
}

impl Done for u64 {
    fn is_done(&self) -> bool {
        *self > 0
    }
}

/// Writes an entry for the audit log, if anything was done; answers what was.
pub(super) async fn noted<T: Done>(done: T, writing: &mut Writing, entry: Option<AuditEntry>) -> Result<T, UnitError> {
    append(writing, entry.filter(|_| done.is_done())).await?;
    Ok(done)
}
