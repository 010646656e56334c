//! Runs and timers: claiming what is due, taking over from a process that is gone, setting aside.

use jiff::Timestamp;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Error, Row as _};

use super::super::{Line, RunStatus, StepRun, TakenOver, Timer};
use super::columns::{count, int, micros, most, optional_shared_text, run_kind, run_status, small, time};
use super::unit::{UnitError, Writing, sql};
use crate::crash_point;
use crate::faults::planted;

/// Whether nobody holds the instance of a run.
macro_rules! run_is_free {
    () => {
        "NOT EXISTS (SELECT 1 FROM holds WHERE holds.kind = step_runs.resource_kind AND holds.id = step_runs.resource_id)"
    };
}
pub(super) use run_is_free;

/// Whether nobody holds the instance of a timer, and no event waits for it, which came before the timer was let fire.
macro_rules! timer_is_free {
    () => {
        "NOT EXISTS (SELECT 1 FROM holds WHERE holds.resource = timers.resource)
         AND NOT EXISTS (SELECT 1 FROM waiting_events AS w WHERE w.resource = timers.resource)"
    };
}
pub(super) use timer_is_free;

/// A run of the resource with the id `$1` and the kind `$2`, by the index of keys: a key begins with the id and a colon, and `;` is what
/// follows a colon.
macro_rules! run_of {
    () => {
        "key BETWEEN $1::text || ':' AND $1::text || ';' AND resource_id = $1 AND resource_kind = $2"
    };
}
pub(super) use run_of;

macro_rules! columns {
    () => {
        "sequence, key, resource_kind, resource_id, kind, name, component, visit, attempt, transition, from_state, to_state, status, owner,
         fence, crashes, due_at, last_error, workflow, input, traceparent"
    };
}

/// Whether a run was attempted before, as the index of the lines has it, see [`StepRun::is_again`].
macro_rules! again {
    () => {
        "(attempt > 1 OR (kind = 'step' AND visit > 1))"
    };
}

/// A run and its place among all runs ever added.
type Sequenced = (i64, StepRun);

fn run_row(row: &PgRow) -> Result<Sequenced, Error> {
    let owner: Option<i64> = row.try_get(13)?;
    let run = StepRun {
        key: row.try_get(1)?,
        resource_kind: row.try_get(2)?,
        resource_id: row.try_get(3)?,
        workflow: row.try_get(18)?,
        kind: run_kind(row, 4)?,
        name: row.try_get(5)?,
        component: row.try_get(6)?,
        visit: small(row, 7)?,
        attempt: small(row, 8)?,
        transition: row.try_get(9)?,
        from_state: row.try_get(10)?,
        to_state: row.try_get(11)?,
        input: optional_shared_text(row, 19)?,
        status: run_status(row, 12)?,
        owner: owner.map(i64::unsigned_abs),
        fence: count(row, 14)?,
        crashes: small(row, 15)?,
        due_at: time(row, 16)?,
        last_error: row.try_get(17)?,
        traceparent: optional_shared_text(row, 20)?,
    };
    Ok((row.try_get(0)?, run))
}

fn in_sequence(rows: &[PgRow]) -> Result<Vec<StepRun>, Error> {
    let mut runs = rows.iter().map(run_row).collect::<Result<Vec<_>, _>>()?;
    runs.sort_by_key(|(sequence, run)| (run.due_at, *sequence));
    Ok(runs.into_iter().map(|(_, run)| run).collect())
}

pub(super) async fn claim(writing: &mut Writing, line: &Line, now: Timestamp, limit: usize) -> Result<Vec<StepRun>, UnitError> {
    let claim = concat!(
        "UPDATE step_runs SET status = 'running', owner = $1, fence = fence + 1 WHERE sequence IN (
             SELECT sequence FROM step_runs WHERE status = 'ready' AND component = $4 AND ",
        again!(),
        " = $5 AND due_at <= $2 AND ",
        run_is_free!(),
        " ORDER BY due_at, sequence LIMIT $3 FOR UPDATE SKIP LOCKED
         ) RETURNING ",
        columns!()
    );
    let statement = sql!(claim, writing.epoch, micros(now), most(limit), &line.component, line.again);
    Ok(in_sequence(&writing.change(statement).await?)?)
}

pub(super) async fn claim_one(writing: &mut Writing, key: &str) -> Result<Option<StepRun>, UnitError> {
    let claim = concat!(
        "UPDATE step_runs SET status = 'running', owner = $1, fence = fence + 1 WHERE key = $2 AND status IN ('ready', 'stranded') RETURNING ",
        columns!()
    );
    let claimed = writing.change(sql!(claim, writing.epoch, key)).await?;
    Ok(in_sequence(&claimed)?.pop())
}

/// Looks at the first run of each line only, however long it is.
pub(super) async fn lines(connection: &mut PgConnection) -> Result<Vec<(Line, Timestamp)>, Error> {
    let lines = concat!(
        "WITH RECURSIVE each (component) AS (
             (SELECT component FROM step_runs WHERE status = 'ready' ORDER BY component LIMIT 1)
             UNION ALL
             SELECT (SELECT component FROM step_runs WHERE status = 'ready' AND step_runs.component > each.component ORDER BY component LIMIT 1)
             FROM each WHERE each.component IS NOT NULL
         )
         SELECT component, again, due FROM each CROSS JOIN (VALUES (false), (true)) AS lines (again) CROSS JOIN LATERAL (
             SELECT due_at AS due FROM step_runs WHERE status = 'ready' AND component = each.component AND ",
        again!(),
        " = again AND ",
        run_is_free!(),
        " ORDER BY due_at LIMIT 1) AS first ORDER BY component, again"
    );
    let rows = sql!(lines).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((Line { component: row.try_get(0)?, again: row.try_get(1)? }, time(row, 2)?))).collect()
}

pub(super) async fn claimed(connection: &mut PgConnection, epoch: u64) -> Result<Vec<StepRun>, Error> {
    let select = concat!("SELECT ", columns!(), " FROM step_runs WHERE status <> 'done' AND status = 'running' AND owner = $1");
    in_sequence(&sql!(select, int(epoch)).fetch_all(connection).await?)
}

pub(super) async fn of_resource(connection: &mut PgConnection, kind: &str, id: &str) -> Result<Vec<StepRun>, Error> {
    let select = concat!("SELECT ", columns!(), " FROM step_runs WHERE ", run_of!(), " ORDER BY sequence");
    let rows = sql!(select, id, kind).fetch_all(connection).await?;
    rows.iter().map(|row| Ok(run_row(row)?.1)).collect()
}

/// What a start does: what was inside a component when its process died counts a crash, wherever it is by now; what processes that are gone had
/// is taken over; and what was set aside for want of something gets another chance.
pub(super) async fn recover(writing: &mut Writing, crashed: &[String], park_after: u32) -> Result<Vec<StepRun>, UnitError> {
    if planted("no-requeue-at-boot") {
        return Ok(Vec::new());
    }
    let now = writing.tail.written_at;
    let died = "UPDATE step_runs SET crashes = crashes + 1
                WHERE status <> 'done' AND status IN ('running', 'ready') AND key = ANY ($1::text[]) AND owner IS DISTINCT FROM $2";
    writing.run(sql!(died, crashed, writing.epoch)).await?;
    let taken = take_over(writing, park_after).await?;
    let mut parked = taken.parked;
    // Another process may have taken it over before this one said that a process had died in it.
    let again = concat!(
        "UPDATE step_runs SET status = 'parked' WHERE status <> 'done' AND status = 'ready' AND key = ANY ($1::text[]) AND crashes >= $2 RETURNING ",
        columns!()
    );
    parked.extend(in_sequence(&writing.change(sql!(again, crashed, i64::from(park_after))).await?)?);
    let stranded = "UPDATE step_runs SET status = 'ready', due_at = least(due_at, $1) WHERE status <> 'done' AND status = 'stranded'";
    writing.run(sql!(stranded, now)).await?;
    crash_point!("in-recovery");
    Ok(parked)
}

/// Makes the runs ready of processes that have ended, or parks them. One that ends meanwhile has written nothing since.
///
/// They are marked first: each statement sees what was committed before it, so whoever is marked has ended for the second one as well. The other
/// way round one that ends between the two would be marked, its runs left as they are, and nobody would look for them any more. As it is, the runs
/// of such a one are made ready now, and its mark comes the next time.
pub(super) async fn take_over(writing: &mut Writing, park_after: u32) -> Result<TakenOver, UnitError> {
    writing.run(sql!("UPDATE owners SET taken_over = true WHERE NOT taken_over AND ended_at IS NOT NULL")).await?;
    // A clock that was set back must not make them wait.
    let take = concat!(
        "UPDATE step_runs SET status = CASE WHEN crashes >= $1 THEN 'parked' ELSE 'ready' END, owner = NULL, due_at = least(due_at, $2)
         WHERE status <> 'done' AND status = 'running' AND owner NOT IN (SELECT id FROM owners WHERE ended_at IS NULL) RETURNING ",
        columns!()
    );
    let taken = in_sequence(&writing.change(sql!(take, i64::from(park_after), writing.tail.written_at)).await?)?;
    let (parked, ready): (Vec<StepRun>, Vec<StepRun>) = taken.into_iter().partition(|run| run.status == RunStatus::Quarantined);
    Ok(TakenOver { runs: ready.len() as u64, parked })
}

/// Makes the runs of a component ready that were set aside.
pub(super) async fn release_quarantined(writing: &mut Writing, component: &str) -> Result<u64, UnitError> {
    let update = "UPDATE step_runs SET status = 'ready', crashes = 0, due_at = least(due_at, $2)
                  WHERE status <> 'done' AND status IN ('parked', 'stranded') AND component = $1";
    Ok(writing.run(sql!(update, component, writing.tail.written_at)).await?)
}

/// Makes a parked run ready; false if there is none of that key.
pub(super) async fn release(writing: &mut Writing, key: &str) -> Result<bool, UnitError> {
    let update = "UPDATE step_runs SET status = 'ready', crashes = 0, due_at = least(due_at, $2)
                  WHERE status <> 'done' AND status IN ('parked', 'stranded') AND key = $1";
    Ok(writing.run(sql!(update, key, writing.tail.written_at)).await? > 0)
}

pub(super) async fn set_aside(connection: &mut PgConnection, limit: usize) -> Result<Vec<StepRun>, Error> {
    let select = concat!(
        "SELECT ",
        columns!(),
        " FROM step_runs WHERE status <> 'done' AND status IN ('parked', 'stranded') ORDER BY due_at, sequence LIMIT $1"
    );
    in_sequence(&sql!(select, most(limit)).fetch_all(connection).await?)
}

pub(super) async fn wake(writing: &mut Writing, component: &str) -> Result<u64, UnitError> {
    let update = "UPDATE step_runs SET due_at = $2 WHERE status <> 'done' AND status = 'ready' AND due_at > $2 AND component = $1";
    Ok(writing.run(sql!(update, component, writing.tail.written_at)).await?)
}

/// Those of this process's share: of so many processes, its place. Where two do not agree on that for a moment both look at a timer, and the version
/// of its resource says who fires it.
pub(super) async fn due_timers(
    connection: &mut PgConnection,
    (processes, place): (i64, i64),
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Timer>, Error> {
    let select = concat!(
        "SELECT kind, id, transition, timers.version, due_at FROM timers JOIN resources ON pk = resource WHERE due_at <= $1 AND resource % $3 = $4 AND ",
        timer_is_free!(),
        " ORDER BY due_at, resource, transition LIMIT $2"
    );
    sql!(select, micros(now), most(limit), processes, place).fetch_all(connection).await?.iter().map(timer_row).collect()
}

pub(super) async fn timers_of(connection: &mut PgConnection, kind: &str, id: &str) -> Result<Vec<Timer>, Error> {
    let select = "SELECT kind, id, transition, timers.version, due_at FROM resources JOIN timers ON resource = pk
                  WHERE kind = $1 AND id = $2 ORDER BY due_at, transition";
    sql!(select, kind, id).fetch_all(connection).await?.iter().map(timer_row).collect()
}

fn timer_row(row: &PgRow) -> Result<Timer, Error> {
    Ok(Timer {
        resource_kind: row.try_get(0)?,
        resource_id: row.try_get(1)?,
        transition: row.try_get(2)?,
        version: count(row, 3)?,
        due_at: time(row, 4)?,
    })
}

pub(super) async fn next_timer_due(connection: &mut PgConnection, (processes, place): (i64, i64)) -> Result<Option<Timestamp>, Error> {
    let select = concat!("SELECT due_at FROM timers WHERE resource % $1 = $2 AND ", timer_is_free!(), " ORDER BY due_at LIMIT 1");
    sql!(select, processes, place).fetch_optional(connection).await?.map(|row| time(&row, 0)).transpose()
}

/// Removes the timer unless it was replaced by one of a later version.
pub(super) async fn drop_timer(writing: &mut Writing, timer: &Timer) -> Result<(), UnitError> {
    let delete =
        "DELETE FROM timers WHERE resource = (SELECT pk FROM resources WHERE kind = $1 AND id = $2) AND transition = $3 AND version = $4";
    writing.run(sql!(delete, &timer.resource_kind, &timer.resource_id, &timer.transition, int(timer.version))).await?;
    Ok(())
}
