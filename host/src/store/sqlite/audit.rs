//! The audit log. Its triggers let nobody change a row; its hashes tell if somebody did all the same.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::super::{AuditChain, AuditEntry, AuditListing, AuditRow};
use super::columns::{count, int, json, micros, most, time};

const ROW: &str = "SELECT seq, at, actor, roles, sudo, action, subject, version_before, version_after, reason, request_id, address,
                          prev_hash, hash FROM audit";

/// Adds entries after the last row, within the transaction of the deed that they are about.
pub(super) fn append(connection: &Connection, entries: impl IntoIterator<Item = AuditEntry>) -> rusqlite::Result<()> {
    let mut entries = entries.into_iter().peekable();
    if entries.peek().is_none() {
        return Ok(());
    }
    let mut chain = end(connection)?;
    let mut statement = connection.prepare_cached(
        "INSERT INTO audit (seq, at, actor, roles, sudo, action, subject, version_before, version_after, reason, request_id, address,
                            prev_hash, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?;
    for entry in entries {
        let AuditRow { seq, entry, prev_hash, hash } = chain.append(entry);
        statement.execute(params![
            int(seq),
            micros(entry.at),
            entry.actor,
            serde_json::json!(entry.roles).to_string(),
            entry.sudo,
            entry.action,
            entry.subject,
            entry.version_before.map(int),
            entry.version_after.map(int),
            entry.reason,
            entry.request_id,
            entry.address,
            prev_hash,
            hash,
        ])?;
    }
    Ok(())
}

/// Where the log ends.
fn end(connection: &Connection) -> rusqlite::Result<AuditChain> {
    let mut statement = connection.prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?;
    let last = statement.query_row([], |row| Ok(AuditChain { seq: count(row, 0)?, hash: row.get(1)? })).optional()?;
    Ok(last.unwrap_or_default())
}

/// The number that was given out last, whether its row is still there or not.
pub(super) fn last_given(connection: &Connection) -> rusqlite::Result<u64> {
    let last = connection.query_row("SELECT seq FROM sqlite_sequence WHERE name = 'audit'", [], |row| count(row, 0));
    Ok(last.optional()?.unwrap_or(0))
}

/// Each filter has an index that holds its rows in the sequence of their numbers.
pub(super) fn list(connection: &Connection, listing: &AuditListing) -> rusqlite::Result<Vec<AuditRow>> {
    let (sql, values) = statement(listing);
    connection.prepare_cached(&sql)?.query_map(params_from_iter(values), audit_row)?.collect()
}

pub(super) fn statement(listing: &AuditListing) -> (String, Vec<Value>) {
    let mut sql = format!("{ROW} WHERE seq < ?1");
    let mut values = vec![Value::from(listing.before.map_or(i64::MAX, int))];
    for (column, wanted) in [("actor", &listing.actor), ("action", &listing.action), ("subject", &listing.subject)] {
        if let Some(wanted) = wanted {
            values.push(wanted.clone().into());
            sql.push_str(&format!(" AND {column} = ?{}", values.len()));
        }
    }
    values.push(most(listing.limit).into());
    sql.push_str(&format!(" ORDER BY seq DESC LIMIT ?{}", values.len()));
    (sql, values)
}

pub(super) fn after(connection: &Connection, seq: u64, limit: usize) -> rusqlite::Result<Vec<AuditRow>> {
    let mut statement = connection.prepare_cached(&format!("{ROW} WHERE seq > ?1 ORDER BY seq LIMIT ?2"))?;
    statement.query_map(params![int(seq), most(limit)], audit_row)?.collect()
}

fn audit_row(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    let version = |column| row.get::<_, Option<i64>>(column)?.map(|_| count(row, column)).transpose();
    let entry = AuditEntry {
        at: time(row, 1)?,
        actor: row.get(2)?,
        roles: json(row, 3)?,
        sudo: row.get(4)?,
        action: row.get(5)?,
        subject: row.get(6)?,
        version_before: version(7)?,
        version_after: version(8)?,
        reason: row.get(9)?,
        request_id: row.get(10)?,
        address: row.get(11)?,
    };
    Ok(AuditRow { seq: count(row, 0)?, entry, prev_hash: row.get(12)?, hash: row.get(13)? })
}
