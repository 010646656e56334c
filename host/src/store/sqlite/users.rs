//! People with a login.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::{StoreError, User};
use super::columns::time;
use super::writer::{UnitError, Writing, micros};

const USER: &str = "SELECT id, name, email, password_hash, created_at FROM users";

fn user_row(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User { id: row.get(0)?, name: row.get(1)?, email: row.get(2)?, password_hash: row.get(3)?, created_at: time(row, 4)? })
}

pub(super) fn by_id(connection: &Connection, id: &str) -> rusqlite::Result<Option<User>> {
    connection.prepare_cached(&format!("{USER} WHERE id = ?1"))?.query_row([id], user_row).optional()
}

pub(super) fn by_email(connection: &Connection, email: &str) -> rusqlite::Result<Option<User>> {
    let mut statement = connection.prepare_cached(&format!("{USER} WHERE email_key = ?1"))?;
    statement.query_row([email.to_lowercase()], user_row).optional()
}

pub(super) fn add(writing: &Writing<'_>, user: &User) -> Result<(), UnitError> {
    let inserted = writing.run(
        "INSERT INTO users (id, name, email, email_key, password_hash, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO NOTHING",
        params![user.id, user.name, user.email, user.email.to_lowercase(), user.password_hash, micros(user.created_at)],
    )?;
    match inserted {
        0 if by_email(writing.connection, &user.email)?.is_some() => Err(StoreError::Taken("email").into()),
        0 => Err(StoreError::Taken("id").into()),
        _ => Ok(()),
    }
}

pub(super) fn update(writing: &Writing<'_>, id: &str, name: Option<&str>, email: Option<&str>) -> Result<Option<User>, UnitError> {
    let key = email.map(str::to_lowercase);
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
