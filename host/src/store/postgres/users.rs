//! People with a login, each by the key of their e-mail; which of their tokens are believed, who was told, and who may set a password without the
//! old one.

use jiff::Timestamp;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Error, Row as _};

use super::super::users::Applied;
use super::super::{Changed, MAX_RESETS, OutboxRow, Reset, SecondFactor, Standing, StoreError, ToldEpoch, User, UserChange};
use super::audit;
use super::columns::{count, int, json, micros, most, time};
use super::commit::insert_outbox;
use super::unit::{UnitError, Writing, sql};
use crate::text::email_key;

macro_rules! user {
    ($rest:literal) => {
        concat!("SELECT id, name, email, password_hash, created_at, roles, disabled, second_factor, epoch FROM users ", $rest)
    };
}

fn user_row(row: &PgRow) -> Result<User, Error> {
    Ok(User {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        email: row.try_get(2)?,
        password_hash: row.try_get(3)?,
        created_at: time(row, 4)?,
        roles: row.try_get::<Vec<String>, _>(5)?.into_iter().collect(),
        disabled: row.try_get(6)?,
        second_factor: row.try_get::<Option<&str>, _>(7)?.map(|_| json(row, 7)).transpose()?,
        epoch: count(row, 8)?,
    })
}

pub(super) async fn by_id(connection: &mut PgConnection, id: &str) -> Result<Option<User>, Error> {
    sql!(user!("WHERE id = $1"), id).fetch_optional(connection).await?.as_ref().map(user_row).transpose()
}

pub(super) async fn by_email(connection: &mut PgConnection, email: &str) -> Result<Option<User>, Error> {
    sql!(user!("WHERE email_key = $1"), email_key(email)).fetch_optional(connection).await?.as_ref().map(user_row).transpose()
}

pub(super) async fn add(writing: &mut Writing, user: &User) -> Result<(), UnitError> {
    let insert =
        "INSERT INTO users (id, name, email, email_key, password_hash, created_at, roles, disabled, second_factor, epoch, told_epoch)
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10) ON CONFLICT DO NOTHING";
    let statement = sql!(
        insert,
        &user.id,
        &user.name,
        &user.email,
        email_key(&user.email),
        &user.password_hash,
        micros(user.created_at),
        user.roles.iter().map(String::as_str).collect::<Vec<_>>(),
        user.disabled,
        user.second_factor.as_ref().map(as_text),
        int(user.epoch),
    );
    match writing.run(statement).await? {
        0 if by_email(&mut writing.connection, &user.email).await?.is_some() => Err(StoreError::Taken("email").into()),
        0 => Err(StoreError::Taken("id").into()),
        _ => Ok(()),
    }
}

pub(super) async fn update(writing: &mut Writing, id: &str, name: Option<&str>, email: Option<&str>) -> Result<Option<User>, UnitError> {
    let key = email.map(email_key);
    if let Some(email) = email
        && by_email(&mut writing.connection, email).await?.is_some_and(|other| other.id != id)
        && by_id(&mut writing.connection, id).await?.is_some()
    {
        return Err(StoreError::Taken("email").into());
    }
    let update =
        "UPDATE users SET name = coalesce($2, name), email = coalesce($3, email), email_key = coalesce($4, email_key) WHERE id = $1";
    writing.run(sql!(update, id, name, email, key)).await?;
    if email.is_some() {
        forget_resets(writing, id).await?;
    }
    Ok(by_id(&mut writing.connection, id).await?)
}

/// Changes a user as `change` says. Answers what they were before and are now.
pub(super) async fn change(writing: &mut Writing, id: &str, change: UserChange) -> Result<Option<Changed>, UnitError> {
    let Some(before) = by_id(&mut writing.connection, id).await? else { return Ok(None) };
    let Some(Applied { user, lost, audit: entry }) = change.apply(&before) else { return Ok(Some(Changed { user: before, done: false })) };
    if let Some(role) = lost
        && !others_act_as(writing, role, id).await?
    {
        return Err(StoreError::Last(role).into());
    }
    let update = "UPDATE users SET password_hash = $2, roles = $3, disabled = $4, second_factor = $5, epoch = $6 WHERE id = $1";
    let statement = sql!(
        update,
        id,
        &user.password_hash,
        user.roles.iter().map(String::as_str).collect::<Vec<_>>(),
        user.disabled,
        user.second_factor.as_ref().map(as_text),
        int(user.epoch),
    );
    writing.run(statement).await?;
    if user.password_hash != before.password_hash || user.disabled {
        forget_resets(writing, id).await?;
    }
    audit::append(writing, entry).await?;
    Ok(Some(Changed { user, done: true }))
}

/// A link that was sent to the mailbox of before, or for the password of before, is good no more.
async fn forget_resets(writing: &mut Writing, id: &str) -> Result<(), Error> {
    writing.run(sql!("DELETE FROM password_resets WHERE user_id = $1", id)).await.map(drop)
}

async fn others_act_as(writing: &mut Writing, role: &str, id: &str) -> Result<bool, Error> {
    let select = "SELECT 1 FROM users WHERE roles <> '{}' AND $1 = ANY (roles) AND id <> $2 AND NOT disabled LIMIT 1";
    Ok(writing.row(sql!(select, role, id)).await?.is_some())
}

/// Those whose epoch others were not told of.
pub(super) async fn untold(connection: &mut PgConnection, limit: usize) -> Result<Vec<User>, Error> {
    let statement = sql!(user!("WHERE epoch <> told_epoch ORDER BY id LIMIT $1"), most(limit));
    statement.fetch_all(connection).await?.iter().map(user_row).collect()
}

/// By id, after the one with the id `after`; of those who have roles or of everybody.
pub(super) async fn search(
    connection: &mut PgConnection,
    (search, has_roles): (&str, bool),
    after: &str,
    limit: usize,
) -> Result<Vec<User>, Error> {
    let everybody = user!(
        "WHERE id > $2 AND (position($1 IN lower(email)) > 0 OR position($1 IN lower(name)) > 0 OR position($1 IN lower(id)) > 0)
         ORDER BY id LIMIT $3"
    );
    // Few have any, and an index has those.
    let with_roles = user!(
        "WHERE id > $2 AND roles <> '{}' AND (position($1 IN lower(email)) > 0 OR position($1 IN lower(name)) > 0 OR position($1 IN lower(id)) > 0)
         ORDER BY id LIMIT $3"
    );
    let search = search.to_ascii_lowercase();
    let found = if has_roles { sql!(with_roles, search, after, most(limit)) } else { sql!(everybody, search, after, most(limit)) };
    found.fetch_all(connection).await?.iter().map(user_row).collect()
}

fn as_text(factor: &SecondFactor) -> String {
    serde_json::json!(factor).to_string()
}

pub(super) async fn standing(connection: &mut PgConnection, id: &str) -> Result<Option<Standing>, Error> {
    if let Some(row) = sql!("SELECT epoch, disabled FROM users WHERE id = $1", id).fetch_optional(&mut *connection).await? {
        return Ok(Some(Standing::Kept { epoch: count(&row, 0)?, disabled: row.try_get(1)? }));
    }
    let heard = sql!("SELECT epoch, at FROM heard_epochs WHERE user_id = $1", id).fetch_optional(connection).await?;
    heard.map(|row| Ok(Standing::Heard { epoch: count(&row, 0)?, at: row.try_get(1)? })).transpose()
}

pub(super) async fn hear(writing: &mut Writing, id: &str, epoch: u64, at: i64) -> Result<(), UnitError> {
    let upsert = "INSERT INTO heard_epochs (user_id, epoch, at) VALUES ($1, $2, $3)
                  ON CONFLICT (user_id) DO UPDATE SET epoch = excluded.epoch, at = excluded.at WHERE excluded.at >= heard_epochs.at";
    writing.run(sql!(upsert, id, int(epoch), at)).await?;
    Ok(())
}

pub(super) async fn tell(writing: &mut Writing, told: Vec<ToldEpoch>) -> Result<(), UnitError> {
    let mut events = Vec::new();
    for ToldEpoch { user_id, epoch, event } in told {
        let update = "UPDATE users SET told_epoch = $2 WHERE id = $1 AND told_epoch <> $2";
        if writing.run(sql!(update, user_id, int(epoch))).await? > 0 {
            events.push(event);
        }
    }
    insert_outbox(writing, &events).await
}

pub(super) async fn add_reset(writing: &mut Writing, reset: &Reset, now: Timestamp, event: OutboxRow) -> Result<(), UnitError> {
    writing.run(sql!("DELETE FROM password_resets WHERE expires_at <= $1", micros(now))).await?;
    let others = "DELETE FROM password_resets WHERE user_id = $1 AND digest NOT IN
                      (SELECT digest FROM password_resets WHERE user_id = $1 ORDER BY expires_at DESC, digest LIMIT $2)";
    writing.run(sql!(others, &reset.user_id, most(MAX_RESETS - 1))).await?;
    let insert = "INSERT INTO password_resets (digest, user_id, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    writing.run(sql!(insert, &reset.digest, &reset.user_id, micros(reset.expires_at))).await?;
    insert_outbox(writing, &[event]).await
}

pub(super) async fn reset_of(connection: &mut PgConnection, digest: &str, now: Timestamp) -> Result<Option<String>, Error> {
    let select = "SELECT user_id FROM password_resets WHERE digest = $1 AND expires_at > $2";
    sql!(select, digest, micros(now)).fetch_optional(connection).await?.map(|row| row.try_get(0)).transpose()
}

pub(super) async fn use_reset(
    writing: &mut Writing,
    digest: &str,
    now: Timestamp,
    user_change: UserChange,
) -> Result<Option<Changed>, UnitError> {
    let Some(id) = reset_of(&mut writing.connection, digest, now).await? else { return Ok(None) };
    forget_resets(writing, &id).await?;
    change(writing, &id, user_change).await
}
