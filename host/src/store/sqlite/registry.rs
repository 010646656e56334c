//! What a process left behind for the next one: definitions of machines, last good digests of components; and what waits.

use millrace_workflow::Definition;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::super::Backlog;
use super::columns::{count, json, time};
use super::writer::{UnitError, Writing};

pub(super) fn put_machine(writing: &Writing<'_>, digest: &str, definition: &str) -> Result<(), UnitError> {
    writing.run("INSERT INTO machines (digest, definition) VALUES (?1, ?2) ON CONFLICT DO NOTHING", [digest, definition])?;
    Ok(())
}

pub(super) fn machine(connection: &Connection, digest: &str) -> rusqlite::Result<Option<Definition>> {
    let mut statement = connection.prepare_cached("SELECT definition FROM machines WHERE digest = ?1")?;
    statement.query_row([digest], |row| json(row, 0)).optional()
}

pub(super) fn put_component(writing: &Writing<'_>, component: &str, digest: &str) -> Result<(), UnitError> {
    writing.run(
        "INSERT INTO components (component, digest) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET digest = excluded.digest",
        [component, digest],
    )?;
    Ok(())
}

pub(super) fn components(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare_cached("SELECT component, digest FROM components ORDER BY component")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// All of it as of one moment.
pub(super) fn backlog(connection: &mut Connection) -> rusqlite::Result<Backlog> {
    let moment = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
    let number = |sql: &str| moment.prepare_cached(sql)?.query_row([], |row| count(row, 0));
    let oldest = "SELECT written_at FROM outbox WHERE position = (SELECT min(position) FROM unpublished)";
    let active = "SELECT workflow, count(*) FROM resources WHERE finished = 0 GROUP BY workflow ORDER BY workflow";
    Ok(Backlog {
        outbox: number("SELECT count(*) FROM unpublished")?,
        oldest_outbox: moment.prepare_cached(oldest)?.query_row([], |row| time(row, 0)).optional()?,
        parked: number("SELECT count(*) FROM step_runs WHERE status <> 'done' AND status = 'parked'")?,
        attention: number("SELECT count(*) FROM resources WHERE attention IS NOT NULL")?,
        timers: number("SELECT count(*) FROM timers")?,
        dead_letters: number("SELECT count(*) FROM dead_letters")?,
        active: moment.prepare_cached(active)?.query_map([], |row| Ok((row.get(0)?, count(row, 1)?)))?.collect::<Result<_, _>>()?,
    })
}
