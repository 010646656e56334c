//! Runs and timers: claiming what is due, taking over from a process that is gone, setting aside.

use std::collections::HashSet;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::{Line, RunStatus, StepRun, Timer};
use super::columns::{count, int, micros, most, optional_shared_text, run_kind, run_status, run_status_text, time, time_of};
use super::writer::{UnitError, Writing};
use crate::crash_point;
use crate::faults::planted;

/// Whether nobody holds the instance of a run.
pub(super) const RUN_IS_FREE: &str = "NOT EXISTS (SELECT 1 FROM holds WHERE holds.kind = resource_kind AND holds.id = resource_id)";
/// Whether nobody holds the instance of a timer, and no event waits for it, which came before the timer was let fire.
pub(super) const TIMER_IS_FREE: &str = "NOT EXISTS (SELECT 1 FROM holds WHERE holds.resource = timers.resource)
     AND NOT EXISTS (SELECT 1 FROM waiting_events AS w WHERE w.resource = timers.resource)";

/// A run of the resource with the id `?1` and the kind `?2`, by the index of keys: a key begins with the id and a colon, and `;` is what
/// follows a colon.
pub(super) const RUN_OF: &str = "key BETWEEN ?1 || ':' AND ?1 || ';' AND resource_id = ?1 AND resource_kind = ?2";

const COLUMNS: &str = "sequence, key, resource_kind, resource_id, kind, name, component, visit, attempt, transition, from_state, to_state,
                       status, owner, fence, crashes, due_at, last_error, workflow, input, traceparent";

/// Whether a run was attempted before, as the index of the lines has it, see [`StepRun::is_again`].
const AGAIN: &str = "(attempt > 1 OR (kind = 'step' AND visit > 1))";

/// A run and its place among all runs ever added.
type Sequenced = (i64, StepRun);

fn run_row(row: &Row<'_>) -> rusqlite::Result<Sequenced> {
    let owner: Option<i64> = row.get(13)?;
    let run = StepRun {
        key: row.get(1)?,
        resource_kind: row.get(2)?,
        resource_id: row.get(3)?,
        workflow: row.get(18)?,
        kind: run_kind(row, 4)?,
        name: row.get(5)?,
        component: row.get(6)?,
        visit: row.get(7)?,
        attempt: row.get(8)?,
        transition: row.get(9)?,
        from_state: row.get(10)?,
        to_state: row.get(11)?,
        input: optional_shared_text(row, 19)?,
        status: run_status(row, 12)?,
        owner: owner.map(i64::unsigned_abs),
        fence: count(row, 14)?,
        crashes: row.get(15)?,
        due_at: time(row, 16)?,
        last_error: row.get(17)?,
        traceparent: optional_shared_text(row, 20)?,
    };
    Ok((row.get(0)?, run))
}

fn in_sequence(mut runs: Vec<Sequenced>) -> Vec<StepRun> {
    runs.sort_by_key(|(sequence, run)| (run.due_at, *sequence));
    runs.into_iter().map(|(_, run)| run).collect()
}

pub(super) fn claim(writing: &Writing<'_>, line: &Line, now: Timestamp, limit: usize) -> Result<Vec<StepRun>, UnitError> {
    let mut statement = writing.connection.prepare_cached(&format!(
        "UPDATE step_runs SET status = 'running', owner = ?1, fence = fence + 1 WHERE sequence IN (
             SELECT sequence FROM step_runs WHERE status = 'ready' AND component = ?4 AND {AGAIN} = ?5 AND due_at <= ?2
                 AND {RUN_IS_FREE}
             ORDER BY due_at, sequence LIMIT ?3
         ) RETURNING {COLUMNS}"
    ))?;
    let limit = most(limit);
    let claimed = statement.query_map(params![writing.epoch, micros(now), limit, line.component, line.again], run_row)?;
    Ok(in_sequence(claimed.collect::<Result<_, _>>()?))
}

pub(super) fn claim_one(writing: &Writing<'_>, key: &str) -> Result<Option<StepRun>, UnitError> {
    let mut statement = writing.connection.prepare_cached(&format!(
        "UPDATE step_runs SET status = 'running', owner = ?1, fence = fence + 1 WHERE key = ?2 AND status IN ('ready', 'stranded') RETURNING {COLUMNS}"
    ))?;
    let mut claimed = statement.query_map(params![writing.epoch, key], run_row)?;
    Ok(claimed.next().transpose()?.map(|(_, run)| run))
}

/// Looks at the first run of each line only, however long it is.
pub(super) fn lines(connection: &Connection) -> rusqlite::Result<Vec<(Line, Timestamp)>> {
    let mut next_component = connection.prepare_cached("SELECT min(component) FROM step_runs WHERE status = 'ready' AND component > ?1")?;
    let mut first = connection.prepare_cached(&format!(
        "SELECT due_at FROM step_runs WHERE status = 'ready' AND component = ?1 AND {AGAIN} = ?2 AND {RUN_IS_FREE}
         ORDER BY due_at LIMIT 1"
    ))?;
    let mut lines = Vec::new();
    let mut last = String::new();
    while let Some(component) = next_component.query_row([&last], |row| row.get::<_, Option<String>>(0))? {
        for again in [false, true] {
            let due: Option<i64> = first.query_row(params![component, again], |row| row.get(0)).optional()?;
            if let Some(due) = due {
                lines.push((Line { component: component.clone(), again }, time_of(due)?));
            }
        }
        last = component;
    }
    Ok(lines)
}

pub(super) fn claimed(connection: &Connection, epoch: u64) -> rusqlite::Result<Vec<StepRun>> {
    let sql = format!("SELECT {COLUMNS} FROM step_runs WHERE status <> 'done' AND status = 'running' AND owner = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(in_sequence(statement.query_map([int(epoch)], run_row)?.collect::<Result<_, _>>()?))
}

pub(super) fn of_resource(connection: &Connection, kind: &str, id: &str) -> rusqlite::Result<Vec<StepRun>> {
    let sql = format!("SELECT {COLUMNS} FROM step_runs WHERE {RUN_OF} ORDER BY sequence");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map([id, kind], |row| Ok(run_row(row)?.1))?.collect()
}

pub(super) fn recover(writing: &Writing<'_>, crashed: &[String], park_after: u32) -> Result<Vec<StepRun>, UnitError> {
    if planted("no-requeue-at-boot") {
        return Ok(Vec::new());
    }
    let crashed: HashSet<&str> = crashed.iter().map(String::as_str).collect();
    let now = writing.tail.written_at;
    let mut parked = Vec::new();
    for (sequence, mut run) in abandoned(writing)? {
        run.crashes = run.crashes.saturating_add(u32::from(crashed.contains(run.key.as_str())));
        run.status = if run.crashes >= park_after { RunStatus::Quarantined } else { RunStatus::Ready };
        run.owner = None;
        // A clock that was set back must not make it wait.
        let due_at = micros(run.due_at).min(now);
        run.due_at = time_of(due_at)?;
        writing.run(
            "UPDATE step_runs SET status = ?2, crashes = ?3, due_at = ?4, owner = NULL WHERE sequence = ?1",
            params![sequence, run_status_text(run.status), run.crashes, due_at],
        )?;
        if run.status == RunStatus::Quarantined {
            parked.push((sequence, run));
        }
    }
    writing.run("UPDATE step_runs SET status = 'ready', due_at = min(due_at, ?1) WHERE status <> 'done' AND status = 'stranded'", [now])?;
    crash_point!("in-recovery");
    Ok(in_sequence(parked))
}

fn abandoned(writing: &Writing<'_>) -> rusqlite::Result<Vec<Sequenced>> {
    let sql = format!("SELECT {COLUMNS} FROM step_runs WHERE status <> 'done' AND status = 'running' AND owner < ?1");
    writing.connection.prepare_cached(&sql)?.query_map([writing.epoch], run_row)?.collect()
}

pub(super) fn release_quarantined(writing: &Writing<'_>, component: &str) -> Result<u64, UnitError> {
    let changed = writing.run(&release_where("component"), params![component, writing.tail.written_at])?;
    Ok(changed as u64)
}

/// Makes the runs ready that were set aside and whose `column` is `?1`; `?2` is now.
fn release_where(column: &str) -> String {
    format!(
        "UPDATE step_runs SET status = 'ready', crashes = 0, due_at = min(due_at, ?2)
         WHERE status <> 'done' AND status IN ('parked', 'stranded') AND {column} = ?1"
    )
}

pub(super) fn parked(connection: &Connection) -> rusqlite::Result<Vec<StepRun>> {
    let sql = format!("SELECT {COLUMNS} FROM step_runs WHERE status <> 'done' AND status IN ('parked', 'stranded')");
    Ok(in_sequence(connection.prepare(&sql)?.query_map([], run_row)?.collect::<Result<_, _>>()?))
}

/// Makes a parked run ready; false if there is none of that key.
pub(super) fn release(connection: &Connection, key: &str, now: Timestamp) -> rusqlite::Result<bool> {
    let changed = connection.execute(&release_where("key"), params![key, micros(now)])?;
    Ok(changed > 0)
}

pub(super) fn wake(writing: &Writing<'_>, component: &str) -> Result<u64, UnitError> {
    let changed = writing.run(
        "UPDATE step_runs SET due_at = ?2 WHERE status <> 'done' AND status = 'ready' AND due_at > ?2 AND component = ?1",
        params![component, writing.tail.written_at],
    )?;
    Ok(changed as u64)
}

pub(super) fn due_timers(connection: &Connection, now: Timestamp, limit: usize) -> rusqlite::Result<Vec<Timer>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT kind, id, transition, timers.version, due_at FROM timers JOIN resources ON pk = resource
         WHERE due_at <= ?1 AND {TIMER_IS_FREE} ORDER BY due_at, resource, transition LIMIT ?2"
    ))?;
    let limit = most(limit);
    statement.query_map(params![micros(now), limit], timer_row)?.collect()
}

pub(super) fn timers_of(connection: &Connection, kind: &str, id: &str) -> rusqlite::Result<Vec<Timer>> {
    let mut statement = connection.prepare_cached(
        "SELECT kind, id, transition, timers.version, due_at FROM resources JOIN timers ON resource = pk
         WHERE kind = ?1 AND id = ?2 ORDER BY due_at, transition",
    )?;
    statement.query_map([kind, id], timer_row)?.collect()
}

fn timer_row(row: &Row<'_>) -> rusqlite::Result<Timer> {
    Ok(Timer {
        resource_kind: row.get(0)?,
        resource_id: row.get(1)?,
        transition: row.get(2)?,
        version: count(row, 3)?,
        due_at: time(row, 4)?,
    })
}

pub(super) fn next_timer_due(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let mut statement = connection.prepare_cached(&format!("SELECT due_at FROM timers WHERE {TIMER_IS_FREE} ORDER BY due_at LIMIT 1"))?;
    let due: Option<i64> = statement.query_row([], |row| row.get(0)).optional()?;
    due.map(time_of).transpose()
}

/// Removes the timer unless it was replaced by one of a later version.
pub(super) fn drop_timer(writing: &Writing<'_>, timer: &Timer) -> Result<(), UnitError> {
    writing.run(
        "DELETE FROM timers WHERE resource = (SELECT pk FROM resources WHERE kind = ?1 AND id = ?2) AND transition = ?3 AND version = ?4",
        params![timer.resource_kind, timer.resource_id, timer.transition, int(timer.version)],
    )?;
    Ok(())
}
