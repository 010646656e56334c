//! One decision, made durable: the statements of a [`Commit`], as few as there can be, since each is a round trip. First come the guards, then
//! the resource, then in one statement all that follows from it.

use futures::future::BoxFuture;
use sqlx::Row as _;

use super::super::keys::Keyed;
use super::super::prepared::{Keys, Prepared};
use super::super::{Commit, Committed, Conflict, Guard, OutboxRow, Resource, RunStatus, Settled, Timer, Touched, changes};
use super::columns::{int, micros, most, run_kind_text, run_status_text};
use super::idempotency::insert_idempotency;
use super::unit::{UnitError, Writing, sql};
use super::{audit, keys, kv, stock, waiting};
use crate::faults::planted;

/// The number of a resource, by which its rows belong to it, and when it was created.
#[derive(Clone, Copy)]
struct Written {
    pk: i64,
    created_at: i64,
}

/// What is written after the resource `$1`: rows of history, runs, events and timers, each from arrays of their columns. Answers the numbers and keys
/// of those that were not there before.
const FOLLOWS: &str = "WITH
             moves AS (
                 INSERT INTO history (resource, seq, from_state, to_state, transition, at, cause, component, digest, attempt, reason, changes)
                 SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::text[],
                                          $10::bigint[], $11::text[], $12::text[])
                 ON CONFLICT DO NOTHING RETURNING seq
             ),
             begun AS (
                 INSERT INTO step_runs (key, resource_kind, resource_id, kind, name, component, visit, attempt, transition, from_state,
                                        to_state, status, owner, fence, crashes, due_at, written_at, last_error, workflow, input, traceparent)
                 SELECT key, resource_kind, resource_id, kind, name, component, visit, attempt, transition, from_state, to_state, status,
                        owner, fence, crashes, due_at, $13, last_error, workflow, input, traceparent
                 FROM unnest($14::text[], $15::text[], $16::text[], $17::text[], $18::text[], $19::text[], $20::bigint[], $21::bigint[],
                             $22::text[], $23::text[], $24::text[], $25::text[], $26::bigint[], $27::bigint[], $28::bigint[], $29::bigint[],
                             $30::text[], $31::text[], $32::text[], $33::text[])
                      WITH ORDINALITY AS new (key, resource_kind, resource_id, kind, name, component, visit, attempt, transition, from_state,
                                              to_state, status, owner, fence, crashes, due_at, last_error, workflow, input, traceparent, place)
                 ORDER BY place
                 ON CONFLICT DO NOTHING RETURNING key
             ),
             told AS (
                 INSERT INTO outbox (position, written_at, seq, topic, key, event_id, traceparent, payload)
                 SELECT position, $13, seq, topic, key, event_id, traceparent, payload
                 FROM unnest($34::bigint[], $35::bigint[], $36::text[], $37::text[], $38::text[], $39::text[], $40::text[])
                      AS new (position, seq, topic, key, event_id, traceparent, payload)
             ),
             waiting AS (INSERT INTO unpublished (position) SELECT * FROM unnest($34::bigint[])),
             past AS (DELETE FROM timers WHERE $44 AND resource = $1 AND transition <> ALL ($41::text[])),
             started AS (
                 INSERT INTO timers (resource, transition, version, due_at) SELECT $1, * FROM unnest($41::text[], $42::bigint[], $43::bigint[])
                 ON CONFLICT (resource, transition) DO UPDATE SET version = excluded.version, due_at = excluded.due_at
             )
             SELECT coalesce((SELECT array_agg(seq) FROM moves), '{}'), coalesce((SELECT array_agg(key) FROM begun), '{}')";

/// Writes everything or fails at the first guard that does not hold; the caller undoes what was written by then.
/// Can be done again, and writes the same then.
pub(super) fn write<'a>(prepared: &'a Prepared, writing: &'a mut Writing) -> BoxFuture<'a, Result<Committed, UnitError>> {
    Box::pin(async move {
        check(prepared, writing).await?;
        let written = match &prepared.commit.change {
            Some((guard, resource)) => Some(write_resource(prepared, writing, *guard, resource).await?),
            None => None,
        };
        if let Some((_, resource)) = &prepared.commit.change {
            writing.note_moved(&resource.kind, &resource.id);
        }
        let mut positions = write_what_follows(prepared, writing, written).await?;
        if let (Some(written), Some((_, resource))) = (written, &prepared.commit.change) {
            write_beside(prepared, writing, written, resource).await?;
        } else {
            for timer in &prepared.commit.timers {
                add_timer(writing, timer).await?;
            }
        }
        for row in &prepared.commit.kv {
            kv::apply(writing, row).await?;
        }
        if let Some(stocking) = &prepared.commit.stock {
            stock::apply(writing, stocking, prepared.commit.audit.first().map(|entry| entry.actor.as_str())).await?;
        }
        audit::append(writing, prepared.commit.audited()).await?;
        for other in &prepared.also {
            positions.extend(write(other, writing).await?.positions);
        }
        Ok(Committed { positions })
    })
}

/// The guards beside that of the resource.
async fn check(prepared: &Prepared, writing: &mut Writing) -> Result<(), UnitError> {
    if let Some(inbox) = &prepared.commit.inbox
        && !planted("no-inbox")
    {
        waiting::insert_inbox(writing, inbox).await?;
    }
    if let Some(event) = &prepared.commit.waited
        && !waiting::remove(writing, event.number).await?
    {
        return Err(waiting::duplicate(event).into());
    }
    if let Some(row) = &prepared.commit.idempotency
        && !planted("no-idempotency")
    {
        insert_idempotency(writing, row).await?;
    }
    if let Some(settled) = &prepared.commit.settled {
        settle(writing, settled).await?;
    }
    if let Some(touched) = &prepared.commit.touched {
        touch(writing, touched).await?;
    }
    Ok(())
}

async fn write_resource(prepared: &Prepared, writing: &mut Writing, guard: Guard, resource: &Resource) -> Result<Written, UnitError> {
    let Guard::Version(version) = guard else { return insert_resource(prepared, writing, resource).await };
    let progress = resource.workflow.as_ref();
    // What it held decides what it was found by, where nobody else knows.
    let with_data = prepared.keys.as_ref().is_some_and(|keys| keys.was.is_none());
    let update = "WITH before AS (
                      SELECT pk, CASE WHEN $14 THEN data END AS data FROM resources
                      WHERE kind = $1 AND id = $2 AND (version = $3 OR $15) FOR UPDATE
                  )
                  UPDATE resources SET state = $4, version = $5, updated_at = $6, instance = $7, machine = $8, data = $9, workflow = $10,
                                       attention = $11, finished = $12, touched_at = $13, deadlines = $16
                  FROM before WHERE resources.pk = before.pk RETURNING resources.pk, created_at, before.data";
    let statement = sql!(
        update,
        &resource.kind,
        &resource.id,
        int(version),
        &resource.state,
        int(resource.version),
        micros(resource.updated_at),
        &prepared.instance,
        progress.map(|progress| &progress.machine),
        &prepared.data,
        progress.map(|progress| &progress.workflow),
        progress.and_then(|progress| progress.attention.as_ref()),
        progress.map(|progress| progress.finished),
        writing.tail.written_at,
        with_data,
        planted("no-compare-and-set"),
        &prepared.deadlines,
    );
    let rows = writing.change(statement).await?;
    let Some(row) = rows.first() else {
        return Err(Conflict::Version { kind: resource.kind.clone(), id: resource.id.clone() }.into());
    };
    let written = Written { pk: row.try_get(0)?, created_at: row.try_get(1)? };
    if let Some(Keys { is, was }) = &prepared.keys
        && let Some(spec) = writing.spec(&resource.kind)
    {
        let before: Option<String> = row.try_get(2)?;
        let was = was.clone().unwrap_or_else(|| {
            before.and_then(|data| serde_json::from_str(&data).ok()).map(|data| spec.of(&resource.id, &data)).unwrap_or_default()
        });
        let of = keys::Of { kind: &resource.kind, id: &resource.id, created_at: written.created_at };
        keys::change(writing, &of, &was, is).await?;
    }
    Ok(written)
}

async fn insert_resource(prepared: &Prepared, writing: &mut Writing, resource: &Resource) -> Result<Written, UnitError> {
    let progress = resource.workflow.as_ref();
    let created_at = micros(resource.created_at);
    let statement = sql!(
        "INSERT INTO resources (kind, id, owner, state, version, workflow, machine, instance, attention, finished, created_at,
                                updated_at, data, traceparent, touched_at, deadlines)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) ON CONFLICT DO NOTHING RETURNING pk",
        &resource.kind,
        &resource.id,
        &resource.owner,
        &resource.state,
        int(resource.version),
        progress.map(|progress| &progress.workflow),
        progress.map(|progress| &progress.machine),
        &prepared.instance,
        progress.and_then(|progress| progress.attention.as_ref()),
        progress.map(|progress| progress.finished),
        created_at,
        micros(resource.updated_at),
        &prepared.data,
        progress.and_then(|progress| progress.traceparent.as_deref()),
        writing.tail.written_at,
        &prepared.deadlines,
    );
    let rows = writing.change(statement).await?;
    let Some(row) = rows.first() else {
        return Err(Conflict::Exists { kind: resource.kind.clone(), id: resource.id.clone() }.into());
    };
    let pk = row.try_get(0)?;
    if let Some(Keys { is, .. }) = &prepared.keys {
        keys::change(writing, &keys::Of { kind: &resource.kind, id: &resource.id, created_at }, &Keyed::new(), is).await?;
    }
    Ok(Written { pk, created_at })
}

/// History, runs, events and timers, each a list, in one statement: none of them depends on another. Answers the events' positions.
async fn write_what_follows(prepared: &Prepared, writing: &mut Writing, written: Option<Written>) -> Result<Vec<u64>, UnitError> {
    let Commit { change, history, changes, outbox, runs, timers, .. } = &prepared.commit;
    let is_new = matches!(change, Some((Guard::Absent, _)));
    // Without a change the timers are added one by one, under a condition of their own.
    let timers: &[Timer] = if written.is_some() { timers } else { &[] };
    // Those that were there go with any change; a resource that was not there has none.
    let has_timers = written.is_some() && !is_new;
    if history.is_empty() && outbox.is_empty() && runs.is_empty() && timers.is_empty() && !has_timers {
        return Ok(Vec::new());
    }
    let first = writing.tail.position + 1;
    let positions: Vec<i64> = (first..).take(outbox.len()).collect();
    let changes = (!changes.is_empty() && !history.is_empty()).then(|| changes::to_text(changes));
    let statement = sql!(FOLLOWS, written.map(|written| written.pk))
        .bind(history.iter().map(|row| int(row.seq)).collect::<Vec<_>>())
        .bind(history.iter().map(|row| row.from.as_str()).collect::<Vec<_>>())
        .bind(history.iter().map(|row| row.to.as_str()).collect::<Vec<_>>())
        .bind(history.iter().map(|row| row.transition.as_str()).collect::<Vec<_>>())
        .bind(history.iter().map(|row| micros(row.at)).collect::<Vec<_>>())
        .bind(history.iter().map(|row| row.cause.as_str()).collect::<Vec<_>>())
        .bind(history.iter().map(|row| row.component.as_deref()).collect::<Vec<_>>())
        .bind(history.iter().map(|row| row.digest.as_deref()).collect::<Vec<_>>())
        .bind(history.iter().map(|row| row.attempt.map(i64::from)).collect::<Vec<_>>())
        .bind(history.iter().map(|row| row.reason.as_deref()).collect::<Vec<_>>())
        .bind(history.iter().enumerate().map(|(at, _)| changes.as_deref().filter(|_| at == 0)).collect::<Vec<_>>())
        .bind(writing.tail.written_at)
        .bind(runs.iter().map(|run| run.key.as_str()).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.resource_kind.as_str()).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.resource_id.as_str()).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run_kind_text(run.kind)).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.name.as_str()).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.component.as_str()).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| i64::from(run.visit)).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| i64::from(run.attempt)).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.transition.as_str()).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.from_state.as_str()).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.to_state.as_str()).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run_status_text(run.status)).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.owner.map(int)).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| int(run.fence)).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| i64::from(run.crashes)).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| micros(run.due_at)).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.last_error.as_deref()).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.workflow.as_str()).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.input.as_deref()).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.traceparent.as_deref()).collect::<Vec<_>>())
        .bind(&positions)
        .bind(outbox.iter().map(|row| int(row.seq)).collect::<Vec<_>>())
        .bind(outbox.iter().map(|row| row.topic.as_str()).collect::<Vec<_>>())
        .bind(outbox.iter().map(|row| row.key.as_str()).collect::<Vec<_>>())
        .bind(outbox.iter().map(|row| row.event_id.as_str()).collect::<Vec<_>>())
        .bind(outbox.iter().map(|row| row.traceparent.as_deref()).collect::<Vec<_>>())
        .bind(outbox.iter().map(|row| &*row.payload).collect::<Vec<_>>())
        .bind(timers.iter().map(|timer| timer.transition.as_str()).collect::<Vec<_>>())
        .bind(timers.iter().map(|timer| int(timer.version)).collect::<Vec<_>>())
        .bind(timers.iter().map(|timer| micros(timer.due_at)).collect::<Vec<_>>())
        .bind(has_timers);
    let rows = writing.change(statement).await?;
    writing.tail.position += most(outbox.len());
    if let Some(row) = rows.first() {
        all_are_there(prepared, row.try_get(0)?, row.try_get(1)?)?;
    }
    Ok(positions.into_iter().map(i64::unsigned_abs).collect())
}

/// That the rows of history and the runs that were written are those that should be: another one is known by its number or key already.
fn all_are_there(prepared: &Prepared, mut moves: Vec<i64>, mut begun: Vec<String>) -> Result<(), Conflict> {
    for row in &prepared.commit.history {
        match moves.iter().position(|seq| *seq == int(row.seq)) {
            Some(at) => {
                moves.swap_remove(at);
            }
            None => {
                let (kind, id) =
                    prepared.commit.change.as_ref().map_or(("", ""), |(_, resource)| (resource.kind.as_str(), resource.id.as_str()));
                return Err(Conflict::Exists { kind: "history".into(), id: format!("{kind}/{id}/{}", row.seq) });
            }
        }
    }
    for run in &prepared.commit.runs {
        match begun.iter().position(|key| *key == run.key) {
            Some(at) => {
                begun.swap_remove(at);
            }
            None => return Err(Conflict::Exists { kind: "run".into(), id: run.key.clone() }),
        }
    }
    Ok(())
}

/// What few changes of a resource bring along.
async fn write_beside(prepared: &Prepared, writing: &mut Writing, written: Written, resource: &Resource) -> Result<(), UnitError> {
    if let Some(figure) = &prepared.figure {
        super::figures::add(writing, &resource.kind, figure).await?;
    }
    for row in &prepared.commit.prices {
        let insert = "INSERT INTO prices (resource, version, price, actor, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
        writing.run(sql!(insert, written.pk, int(row.version), row.price, &row.actor, micros(row.at))).await?;
    }
    if resource.workflow.as_ref().is_some_and(|progress| progress.finished) {
        super::holds::end(writing, written.pk).await?;
    }
    Ok(())
}

async fn touch(writing: &mut Writing, touched: &Touched) -> Result<(), UnitError> {
    let update = "UPDATE resources SET version = version + 1, touched_at = $4 WHERE kind = $1 AND id = $2 AND version = $3";
    let statement = sql!(update, &touched.kind, &touched.id, int(touched.version), writing.tail.written_at);
    if writing.run(statement).await? == 0 {
        return Err(Conflict::Version { kind: touched.kind.clone(), id: touched.id.clone() }.into());
    }
    Ok(())
}

async fn settle(writing: &mut Writing, settled: &Settled) -> Result<(), UnitError> {
    let due_at = (settled.status == RunStatus::Ready).then(|| micros(settled.due_at));
    let owner = (settled.status == RunStatus::Running).then_some(writing.epoch);
    // What was handled is told by the event itself; a copy of it would be kept for nothing.
    let update =
        "UPDATE step_runs SET status = $1, attempt = $2, due_at = coalesce($3, due_at), last_error = coalesce($4, last_error), owner = $5,
                                       input = CASE WHEN $1 = 'done' AND kind = 'task' THEN NULL ELSE input END
                  WHERE key = $6 AND fence = $7 AND status = 'running' AND owner = $8";
    let statement = sql!(
        update,
        run_status_text(settled.status),
        i64::from(settled.attempt),
        due_at,
        &settled.error,
        owner,
        &settled.key,
        int(settled.fence),
        writing.epoch,
    );
    if writing.run(statement).await? == 0 && !planted("no-fence") {
        return Err(Conflict::Fence { key: settled.key.clone(), fence: settled.fence }.into());
    }
    Ok(())
}

/// Beside those that are there already, unless the resource has moved on or is gone.
async fn add_timer(writing: &mut Writing, timer: &Timer) -> Result<(), UnitError> {
    let insert =
        "INSERT INTO timers (resource, transition, version, due_at) SELECT pk, $3, $4, $5 FROM resources WHERE kind = $1 AND id = $2
                  ON CONFLICT (resource, transition) DO UPDATE SET version = excluded.version, due_at = excluded.due_at
                  WHERE excluded.version >= timers.version";
    let statement = sql!(insert, &timer.resource_kind, &timer.resource_id, &timer.transition, int(timer.version), micros(timer.due_at));
    writing.run(statement).await?;
    Ok(())
}

/// Adds events, each with the next position.
pub(super) async fn insert_outbox(writing: &mut Writing, outbox: &[OutboxRow]) -> Result<(), UnitError> {
    for row in outbox {
        writing.tail.position += 1;
        let insert = "WITH told AS (
                          INSERT INTO outbox (position, written_at, seq, topic, key, event_id, traceparent, payload)
                          VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                      ) INSERT INTO unpublished (position) VALUES ($1)";
        let statement = sql!(
            insert,
            writing.tail.position,
            writing.tail.written_at,
            int(row.seq),
            &row.topic,
            &row.key,
            &row.event_id,
            &row.traceparent,
            &*row.payload,
        );
        writing.run(statement).await?;
    }
    Ok(())
}
