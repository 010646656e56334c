//! People with a login, each by the key of their e-mail.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::{AuditEntry, StoreError, User};
use super::audit;
use super::columns::{json, time};
use super::writer::{UnitError, Writing, micros};
use crate::text::email_key;

const USER: &str = "SELECT id, name, email, password_hash, created_at, roles FROM users";

/// Of how the keys are made; grows with every change of it.
const KEYS: i64 = 1;

fn user_row(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get(0)?,
        name: row.get(1)?,
        email: row.get(2)?,
        password_hash: row.get(3)?,
        created_at: time(row, 4)?,
        roles: json(row, 5)?,
    })
}

pub(super) fn by_id(connection: &Connection, id: &str) -> rusqlite::Result<Option<User>> {
    connection.prepare_cached(&format!("{USER} WHERE id = ?1"))?.query_row([id], user_row).optional()
}

pub(super) fn by_email(connection: &Connection, email: &str) -> rusqlite::Result<Option<User>> {
    let mut statement = connection.prepare_cached(&format!("{USER} WHERE email_key = ?1"))?;
    statement.query_row([email_key(email)], user_row).optional()
}

pub(super) fn add(writing: &Writing<'_>, user: &User) -> Result<(), UnitError> {
    let inserted = writing.run(
        "INSERT INTO users (id, name, email, email_key, password_hash, created_at, roles) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT DO NOTHING",
        params![user.id, user.name, user.email, email_key(&user.email), user.password_hash, micros(user.created_at), as_json(&user.roles)],
    )?;
    match inserted {
        0 if by_email(writing.connection, &user.email)?.is_some() => Err(StoreError::Taken("email").into()),
        0 => Err(StoreError::Taken("id").into()),
        _ => Ok(()),
    }
}

pub(super) fn update(writing: &Writing<'_>, id: &str, name: Option<&str>, email: Option<&str>) -> Result<Option<User>, UnitError> {
    let key = email.map(email_key);
    if let Some(email) = email
        && by_email(writing.connection, email)?.is_some_and(|other| other.id != id)
        && by_id(writing.connection, id)?.is_some()
    {
        return Err(StoreError::Taken("email").into());
    }
    writing.run(
        "UPDATE users SET name = coalesce(?2, name), email = coalesce(?3, email), email_key = coalesce(?4, email_key) WHERE id = ?1",
        params![id, name, email, key],
    )?;
    Ok(by_id(writing.connection, id)?)
}

pub(super) fn set_roles(
    connection: &Connection,
    id: &str,
    roles: &BTreeSet<String>,
    entry: Option<AuditEntry>,
) -> rusqlite::Result<Option<User>> {
    if connection.execute("UPDATE users SET roles = ?2 WHERE id = ?1", params![id, as_json(roles)])? == 1 {
        audit::append(connection, entry)?;
    }
    by_id(connection, id)
}

/// Those who were granted a role, or everybody, by e-mail.
pub(super) fn list(connection: &Connection, everybody: bool) -> rusqlite::Result<Vec<User>> {
    let which = if everybody { "" } else { "WHERE roles <> '[]'" };
    connection.prepare(&format!("{USER} {which} ORDER BY email_key"))?.query_map([], user_row)?.collect()
}

fn as_json(roles: &BTreeSet<String>) -> String {
    serde_json::json!(roles).to_string()
}

/// Makes the keys anew if an older version has made them otherwise. Of users who turn out to have one e-mail the one who registered
/// first keeps it; the others stay as they are, and nobody finds them by it.
pub(super) fn renew_keys(connection: &mut Connection) -> rusqlite::Result<()> {
    let made: i64 = connection.query_row("SELECT email_keys FROM process", [], |row| row.get(0))?;
    if made >= KEYS {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    let changed = with_other_keys(&transaction)?;
    // Out of the way first: one may get the key that another had.
    for user in &changed {
        transaction.execute("UPDATE users SET email_key = ?2 WHERE id = ?1", params![user.id, out_of_reach(user)])?;
    }
    for user in &changed {
        give_key(&transaction, user)?;
    }
    transaction.execute("UPDATE process SET email_keys = ?1", [KEYS])?;
    transaction.commit()
}

/// A user whose key is another one now.
struct Rekeyed {
    id: String,
    key: String,
    registered: i64,
}

/// Who registered first is first.
fn with_other_keys(connection: &Connection) -> rusqlite::Result<Vec<Rekeyed>> {
    let mut statement = connection.prepare("SELECT id, email, email_key, created_at FROM users ORDER BY created_at, id")?;
    let mut rows = statement.query([])?;
    let mut changed = Vec::new();
    while let Some(row) = rows.next()? {
        let key = email_key(&row.get::<_, String>(1)?);
        if row.get::<_, String>(2)? != key {
            changed.push(Rekeyed { id: row.get(0)?, key, registered: row.get(3)? });
        }
    }
    Ok(changed)
}

/// A key that no e-mail has.
fn out_of_reach(user: &Rekeyed) -> String {
    format!("\n{}", user.id)
}

fn give_key(connection: &Connection, user: &Rekeyed) -> rusqlite::Result<()> {
    let holder = connection
        .query_row("SELECT id, created_at FROM users WHERE email_key = ?1", [&user.key], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))
        .optional()?;
    let holder = holder.map(|(id, registered)| Rekeyed { id, key: user.key.clone(), registered });
    let (first, second) = match &holder {
        None => (user, None),
        Some(holder) if (holder.registered, &holder.id) <= (user.registered, &user.id) => (holder, Some(user)),
        Some(holder) => (user, Some(holder)),
    };
    if let Some(second) = second {
        tracing::warn!(
            kept = first.id,
            unreachable = second.id,
            "two users have one e-mail, written in two ways: who registered first keeps it, and the other cannot log in by it"
        );
        connection.execute("UPDATE users SET email_key = ?2 WHERE id = ?1", params![second.id, out_of_reach(second)])?;
    }
    connection.execute("UPDATE users SET email_key = ?2 WHERE id = ?1", params![first.id, first.key]).map(drop)
}
