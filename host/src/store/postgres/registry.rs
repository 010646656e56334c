//! What a process left behind for the next one: definitions of machines, last good digests of components; and what waits.

use jiff::Timestamp;
use millrace_workflow::Definition;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Error, Row as _};

use super::super::{Backlog, OLDEST_LOOKED_AT, PinnedTo};
use super::columns::{count, json, micros, most, time};
use super::outbox::unpublished_count;
use super::runs::{run_is_free, timer_is_free};
use super::unit::{UnitError, Writing, sql};

pub(super) async fn put_machine(writing: &mut Writing, digest: &str, definition: &str) -> Result<(), UnitError> {
    writing.run(sql!("INSERT INTO machines (digest, definition) VALUES ($1, $2) ON CONFLICT DO NOTHING", digest, definition)).await?;
    Ok(())
}

pub(super) async fn machine(connection: &mut PgConnection, digest: &str) -> Result<Option<Definition>, Error> {
    let row = sql!("SELECT definition FROM machines WHERE digest = $1", digest).fetch_optional(connection).await?;
    row.map(|row| json(&row, 0)).transpose()
}

pub(super) async fn put_components(writing: &mut Writing, versions: &[(String, String)]) -> Result<(), UnitError> {
    let insert =
        "INSERT INTO components (component, digest) VALUES ($1, $2) ON CONFLICT (component) DO UPDATE SET digest = excluded.digest";
    for (component, digest) in versions {
        writing.run(sql!(insert, component, digest)).await?;
    }
    Ok(())
}

pub(super) async fn components(connection: &mut PgConnection) -> Result<Vec<(String, String)>, Error> {
    let rows = sql!("SELECT component, digest FROM components ORDER BY component").fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// All of it as of the moment of the transaction that the connection is in.
pub(super) async fn backlog(moment: &mut PgConnection, now: Timestamp) -> Result<Backlog, Error> {
    let numbers = concat!(
        "SELECT (SELECT count(*) FROM step_runs WHERE status <> 'done' AND status IN ('parked', 'stranded')),
                (SELECT count(*) FROM resources WHERE attention IS NOT NULL),
                (SELECT count(*) FROM timers), (SELECT count(*) FROM dead_letters), (SELECT count(*) FROM holds),
                (SELECT count(*) FROM timers WHERE due_at <= $1 AND ",
        timer_is_free!(),
        ") + (SELECT count(*) FROM step_runs WHERE status <> 'done' AND status = 'ready' AND due_at <= $1 AND ",
        run_is_free!(),
        ")"
    );
    let numbers = sql!(numbers, micros(now)).fetch_one(&mut *moment).await?;
    let oldest =
        sql!("SELECT written_at FROM outbox WHERE position = (SELECT min(position) FROM unpublished)").fetch_optional(&mut *moment);
    let oldest_outbox = oldest.await?.map(|row| time(&row, 0)).transpose()?;
    let active = "SELECT workflow, count(*) FROM resources WHERE NOT finished GROUP BY workflow ORDER BY workflow";
    let active = sql!(active).fetch_all(&mut *moment).await?;
    let active = active.iter().map(|row| Ok((row.try_get(0)?, count(row, 1)?))).collect::<Result<Vec<(String, u64)>, Error>>()?;
    let quarantined =
        sql!("SELECT DISTINCT component FROM step_runs WHERE status <> 'done' AND status = 'parked' AND crashes > 0 ORDER BY 1");
    let quarantined = quarantined.fetch_all(&mut *moment).await?;
    let mut oldest_active = Vec::with_capacity(active.len());
    for (workflow, _) in &active {
        oldest_active.push(oldest_of(moment, workflow).await?);
    }
    Ok(Backlog {
        outbox: unpublished_count(moment).await?,
        oldest_outbox,
        parked: count(&numbers, 0)?,
        attention: count(&numbers, 1)?,
        timers: count(&numbers, 2)?,
        dead_letters: count(&numbers, 3)?,
        held: count(&numbers, 4)?,
        due: count(&numbers, 5)?,
        quarantined: quarantined.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?,
        oldest_active,
        active,
    })
}

/// The index has the instances of a workflow in the sequence of their creation, so this ends after the first ones.
async fn oldest_of(connection: &mut PgConnection, workflow: &str) -> Result<(String, Timestamp), Error> {
    let select =
        "SELECT min(touched_at) FROM (SELECT touched_at FROM resources WHERE workflow = $1 AND NOT finished ORDER BY pk LIMIT $2) AS first";
    let row = sql!(select, workflow, most(OLDEST_LOOKED_AT)).fetch_one(connection).await?;
    Ok((workflow.to_owned(), time(&row, 0)?))
}

/// Every unfinished instance, counted by its state.
pub(super) async fn unfinished(connection: &mut PgConnection) -> Result<Vec<(String, String, u64)>, Error> {
    let select = "SELECT workflow, state, count(*) FROM resources WHERE NOT finished GROUP BY workflow, state ORDER BY workflow, state";
    let rows = sql!(select).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, count(row, 2)?))).collect()
}

/// The unfinished instances of a kind that are in one of `states`, counted by owner. The index has what is unfinished and nothing else.
pub(super) async fn unfinished_by_owner(connection: &mut PgConnection, kind: &str, states: &[String]) -> Result<Vec<(String, u64)>, Error> {
    let select = "SELECT owner, count(*) FROM resources WHERE NOT finished AND workflow IS NOT NULL AND kind = $1 AND owner IS NOT NULL
                  AND state = ANY ($2::text[]) GROUP BY owner ORDER BY owner";
    let rows = sql!(select, kind, states).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, count(row, 1)?))).collect()
}

/// Every unfinished instance, counted by the definition that it began with.
pub(super) async fn pinned(connection: &mut PgConnection) -> Result<Vec<PinnedTo>, Error> {
    let select = "SELECT workflow, machine, kind, count(*) FROM resources WHERE NOT finished GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";
    let pinned = |row: &PgRow| {
        Ok(PinnedTo { workflow: row.try_get(0)?, definition: row.try_get(1)?, kind: row.try_get(2)?, instances: count(row, 3)? })
    };
    sql!(select).fetch_all(connection).await?.iter().map(pinned).collect()
}
