//! What a process left behind for the next one: definitions of machines, last good digests of components; and what waits.

use jiff::Timestamp;
use millrace_workflow::Definition;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::super::{Backlog, OLDEST_LOOKED_AT, PinnedTo};
use super::columns::{count, json, micros, time};
use super::outbox::unpublished_count;
use super::runs::{RUN_IS_FREE, TIMER_IS_FREE};
use super::writer::{UnitError, Writing};

pub(super) fn put_machine(writing: &Writing<'_>, digest: &str, definition: &str) -> Result<(), UnitError> {
    writing.run("INSERT INTO machines (digest, definition) VALUES (?1, ?2) ON CONFLICT DO NOTHING", [digest, definition])?;
    Ok(())
}

pub(super) fn machine(connection: &Connection, digest: &str) -> rusqlite::Result<Option<Definition>> {
    let mut statement = connection.prepare_cached("SELECT definition FROM machines WHERE digest = ?1")?;
    statement.query_row([digest], |row| json(row, 0)).optional()
}

pub(super) fn put_components(writing: &Writing<'_>, versions: &[(String, String)]) -> Result<(), UnitError> {
    for (component, digest) in versions {
        writing.run(
            "INSERT INTO components (component, digest) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET digest = excluded.digest",
            [component, digest],
        )?;
    }
    Ok(())
}

pub(super) fn components(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare_cached("SELECT component, digest FROM components ORDER BY component")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// All of it as of one moment.
pub(super) fn backlog(connection: &mut Connection, now: Timestamp) -> rusqlite::Result<Backlog> {
    let moment = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
    let number = |sql: &str| moment.prepare_cached(sql)?.query_row([], |row| count(row, 0));
    let oldest = "SELECT written_at FROM outbox WHERE position = (SELECT min(position) FROM unpublished)";
    let active = "SELECT workflow, count(*) FROM resources WHERE finished = 0 GROUP BY workflow ORDER BY workflow";
    let active: Vec<(String, u64)> =
        moment.prepare_cached(active)?.query_map([], |row| Ok((row.get(0)?, count(row, 1)?)))?.collect::<Result<_, _>>()?;
    let due = format!(
        "SELECT (SELECT count(*) FROM timers WHERE due_at <= ?1 AND {TIMER_IS_FREE})
              + (SELECT count(*) FROM step_runs WHERE status <> 'done' AND status = 'ready' AND due_at <= ?1 AND {RUN_IS_FREE})"
    );
    let quarantined = "SELECT DISTINCT component FROM step_runs WHERE status <> 'done' AND status = 'parked' AND crashes > 0 ORDER BY 1";
    Ok(Backlog {
        outbox: unpublished_count(&moment)?,
        oldest_outbox: moment.prepare_cached(oldest)?.query_row([], |row| time(row, 0)).optional()?,
        parked: number("SELECT count(*) FROM step_runs WHERE status <> 'done' AND status IN ('parked', 'stranded')")?,
        attention: number("SELECT count(*) FROM resources WHERE attention IS NOT NULL")?,
        timers: number("SELECT count(*) FROM timers")?,
        dead_letters: number("SELECT count(*) FROM dead_letters")?,
        due: moment.prepare_cached(&due)?.query_row([micros(now)], |row| count(row, 0))?,
        held: number("SELECT count(*) FROM holds")?,
        quarantined: moment.prepare_cached(quarantined)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?,
        oldest_active: active.iter().map(|(workflow, _)| oldest_active(&moment, workflow)).collect::<Result<_, _>>()?,
        active,
    })
}

/// The index has the instances of a workflow in the sequence of their creation, so this ends after the first ones.
fn oldest_active(connection: &Connection, workflow: &str) -> rusqlite::Result<(String, Timestamp)> {
    let mut statement = connection.prepare_cached(
        "SELECT min(touched) FROM (SELECT coalesce(touched_at, updated_at) AS touched FROM resources WHERE workflow = ?1 AND finished = 0
                              ORDER BY pk LIMIT ?2)",
    )?;
    let changed = statement.query_row(rusqlite::params![workflow, OLDEST_LOOKED_AT as i64], |row| time(row, 0))?;
    Ok((workflow.to_owned(), changed))
}

/// Every unfinished instance, counted by its state.
pub(super) fn unfinished(connection: &Connection) -> rusqlite::Result<Vec<(String, String, u64)>> {
    let sql = "SELECT workflow, state, count(*) FROM resources WHERE finished = 0 GROUP BY workflow, state ORDER BY workflow, state";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, count(row, 2)?)))?.collect()
}

/// The unfinished instances of a kind that are in one of `states`, counted by owner. The index has what is unfinished and nothing else.
pub(super) fn unfinished_by_owner(connection: &Connection, kind: &str, states: &[String]) -> rusqlite::Result<Vec<(String, u64)>> {
    let mut statement = connection.prepare_cached(
        "SELECT owner, count(*) FROM resources INDEXED BY resources_active WHERE finished = 0 AND workflow IS NOT NULL AND kind = ?1
         AND owner IS NOT NULL AND state IN (SELECT value FROM json_each(?2)) GROUP BY owner ORDER BY owner",
    )?;
    let states = serde_json::Value::from(states).to_string();
    statement.query_map([kind, &states], |row| Ok((row.get(0)?, count(row, 1)?)))?.collect()
}

/// Every unfinished instance, counted by the definition that it began with.
pub(super) fn pinned(connection: &Connection) -> rusqlite::Result<Vec<PinnedTo>> {
    let sql = "SELECT workflow, machine, kind, count(*) FROM resources WHERE finished = 0 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";
    let mut statement = connection.prepare_cached(sql)?;
    let pinned = |row: &rusqlite::Row<'_>| {
        Ok(PinnedTo { workflow: row.get(0)?, definition: row.get(1)?, kind: row.get(2)?, instances: count(row, 3)? })
    };
    statement.query_map([], pinned)?.collect()
}

/// Writes a page with what it has.
pub(super) fn touch(writing: &Writing<'_>) -> Result<(), UnitError> {
    writing.run("UPDATE process SET epoch = epoch", [])?;
    Ok(())
}
