//! People with a login, each by the key of their e-mail.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::users::Applied;
use super::super::{Changed, SecondFactor, StoreError, User, UserChange};
use super::audit;
use super::columns::{count, int, json, micros, most, time};
use super::writer::{UnitError, Writing};
use crate::text::email_key;

const USER: &str = "SELECT id, name, email, password_hash, created_at, roles, disabled, second_factor, epoch FROM users";

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
        disabled: row.get(6)?,
        second_factor: row.get::<_, Option<String>>(7)?.map(|_| json(row, 7)).transpose()?,
        epoch: count(row, 8)?,
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
        "INSERT INTO users (id, name, email, email_key, password_hash, created_at, roles, disabled, second_factor, epoch, told_epoch)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10) ON CONFLICT DO NOTHING",
        params![
            user.id,
            user.name,
            user.email,
            email_key(&user.email),
            user.password_hash,
            micros(user.created_at),
            as_json(&user.roles),
            user.disabled,
            user.second_factor.as_ref().map(as_text),
            int(user.epoch)
        ],
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
    if email.is_some() {
        forget_resets(writing.connection, id)?;
    }
    Ok(by_id(writing.connection, id)?)
}

/// Changes a user as `change` says. Answers what they were before and are now.
pub(super) fn change(connection: &Connection, id: &str, change: UserChange) -> Result<Option<Changed>, UnitError> {
    let Some(before) = by_id(connection, id)? else { return Ok(None) };
    let Some(Applied { user, lost, audit: entry }) = change.apply(&before) else { return Ok(Some(Changed { user: before, done: false })) };
    if let Some(role) = lost
        && !others_act_as(connection, role, id)?
    {
        return Err(StoreError::Last(role).into());
    }
    let factor = user.second_factor.as_ref().map(as_text);
    connection
        .prepare_cached("UPDATE users SET password_hash = ?2, roles = ?3, disabled = ?4, second_factor = ?5, epoch = ?6 WHERE id = ?1")?
        .execute(params![id, user.password_hash, as_json(&user.roles), user.disabled, factor, int(user.epoch)])?;
    if user.password_hash != before.password_hash || user.disabled {
        forget_resets(connection, id)?;
    }
    audit::append(connection, entry)?;
    Ok(Some(Changed { user, done: true }))
}

/// A link that was sent to the mailbox of before, or for the password of before, is good no more.
pub(super) fn forget_resets(connection: &Connection, id: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM password_resets WHERE user_id = ?1")?.execute([id]).map(drop)
}

fn others_act_as(connection: &Connection, role: &str, id: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM users, json_each(users.roles) AS role WHERE role.value = ?1 AND users.id <> ?2 AND users.disabled = 0 LIMIT 1";
    connection.prepare_cached(sql)?.exists([role, id])
}

/// Those whose epoch others were not told of.
pub(super) fn untold(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<User>> {
    let limit = most(limit);
    connection.prepare_cached(&format!("{USER} WHERE epoch <> told_epoch ORDER BY id LIMIT ?1"))?.query_map([limit], user_row)?.collect()
}

/// By id, after the one with the id `after`; of those who have roles or of everybody.
pub(super) fn search(connection: &Connection, (search, has_roles): (&str, bool), after: &str, limit: usize) -> rusqlite::Result<Vec<User>> {
    let which = if has_roles { "roles <> '[]' AND" } else { "" };
    let sql = format!(
        "{USER} WHERE id > ?2 AND {which} (instr(lower(email), ?1) OR instr(lower(name), ?1) OR instr(lower(id), ?1)) ORDER BY id LIMIT ?3"
    );
    let limit = most(limit);
    connection.prepare_cached(&sql)?.query_map(params![search.to_ascii_lowercase(), after, limit], user_row)?.collect()
}

/// Those who were granted a role, or everybody, by e-mail.
pub(super) fn list(connection: &Connection, everybody: bool) -> rusqlite::Result<Vec<User>> {
    let which = if everybody { "" } else { "WHERE roles <> '[]'" };
    connection.prepare(&format!("{USER} {which} ORDER BY email_key"))?.query_map([], user_row)?.collect()
}

fn as_json(roles: &BTreeSet<String>) -> String {
    serde_json::json!(roles).to_string()
}

fn as_text(factor: &SecondFactor) -> String {
    serde_json::json!(factor).to_string()
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
