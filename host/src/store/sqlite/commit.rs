//! One decision, made durable: the statements of a [`Commit`], as few as there can be.

use rusqlite::{OptionalExtension, params};

use super::super::keys::Keyed;
use super::super::prepared::{Keys, Prepared};
use super::super::{Committed, Conflict, FieldChange, Guard, HistoryRow, OutboxRow, Resource, RunStatus, Settled};
use super::super::{StepRun, Timer, Touched};
use super::audit;
use super::columns::{int, micros, run_kind_text, run_status_text};
use super::idempotency::insert_idempotency;
use super::keys::{self, Of};
use super::stock;
use super::waiting::insert_inbox;
use super::writer::{UnitError, Writing};
use crate::faults::planted;

/// Writes everything or fails at the first guard that does not hold; the caller undoes what was written by then.
/// Can be done again, and writes the same then.
pub(super) fn write(prepared: &Prepared, writing: &mut Writing<'_>) -> Result<Committed, UnitError> {
    if let Some(inbox) = &prepared.commit.inbox
        && !planted("no-inbox")
    {
        insert_inbox(writing, inbox)?;
    }
    if let Some(event) = &prepared.commit.waited
        && !super::waiting::remove(writing, event.number)?
    {
        return Err(super::waiting::duplicate(event).into());
    }
    if let Some(row) = &prepared.commit.idempotency
        && !planted("no-idempotency")
    {
        insert_idempotency(writing, row)?;
    }
    if let Some(settled) = &prepared.commit.settled {
        settle(writing, settled)?;
    }
    if let Some(touched) = &prepared.commit.touched {
        touch(writing, touched)?;
    }
    if let Some((guard, resource)) = &prepared.commit.change {
        let pk = write_resource(prepared, writing, *guard, resource)?;
        for (at, row) in prepared.commit.history.iter().enumerate() {
            let changes = if at == 0 { prepared.commit.changes.as_slice() } else { &[] };
            insert_history(writing, pk, (resource, row), changes)?;
        }
        if let Some(figure) = &prepared.figure {
            super::figures::add(writing, &resource.kind, figure)?;
        }
        for row in &prepared.commit.prices {
            let insert = "INSERT INTO prices (resource, version, price, actor, at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
            writing.run(insert, params![pk, int(row.version), row.price, row.actor, micros(row.at)])?;
        }
        // A resource that was not there has no timers.
        if *guard != Guard::Absent {
            writing.run("DELETE FROM timers WHERE resource = ?1", [pk])?;
        }
        if resource.workflow.as_ref().is_some_and(|progress| progress.finished) {
            super::holds::end(writing, pk)?;
        }
        for timer in &prepared.commit.timers {
            insert_timer(writing, pk, timer)?;
        }
    } else {
        for timer in &prepared.commit.timers {
            add_timer(writing, timer)?;
        }
    }
    for run in &prepared.commit.runs {
        insert_run(writing, run)?;
    }
    for row in &prepared.commit.kv {
        super::kv::apply(writing, row)?;
    }
    if let Some(stocking) = &prepared.commit.stock {
        stock::apply(writing, stocking, prepared.commit.audit.first().map(|entry| entry.actor.as_str()))?;
    }
    audit::append(writing.connection, prepared.commit.audited())?;
    let mut positions = insert_outbox(writing, &prepared.commit.outbox)?;
    for other in &prepared.also {
        positions.extend(write(other, writing)?.positions);
    }
    Ok(Committed { positions })
}

fn write_resource(prepared: &Prepared, writing: &Writing<'_>, guard: Guard, resource: &Resource) -> Result<i64, UnitError> {
    match guard {
        Guard::Absent => insert_resource(prepared, writing, resource),
        Guard::Version(version) => update_resource(prepared, writing, version, resource),
    }
}

fn insert_resource(prepared: &Prepared, writing: &Writing<'_>, resource: &Resource) -> Result<i64, UnitError> {
    let progress = resource.workflow.as_ref();
    let inserted = writing.run(
        "INSERT INTO resources (kind, id, owner, state, version, workflow, machine, instance, attention, finished, created_at,
                                updated_at, data, traceparent, touched_at, deadlines)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) ON CONFLICT DO NOTHING",
        params![
            resource.kind,
            resource.id,
            resource.owner,
            resource.state,
            int(resource.version),
            progress.map(|progress| &progress.workflow),
            progress.map(|progress| &progress.machine),
            prepared.instance,
            progress.and_then(|progress| progress.attention.as_ref()),
            progress.map(|progress| progress.finished),
            micros(resource.created_at),
            micros(resource.updated_at),
            prepared.data,
            progress.and_then(|progress| progress.traceparent.as_deref()),
            writing.tail.written_at,
            prepared.deadlines,
        ],
    )?;
    if inserted == 0 {
        return Err(Conflict::Exists { kind: resource.kind.clone(), id: resource.id.clone() }.into());
    }
    let pk = writing.connection.last_insert_rowid();
    if let Some(keys) = &prepared.keys {
        keys::change(
            writing,
            &Of { kind: &resource.kind, id: &resource.id, created_at: micros(resource.created_at) },
            &Keyed::new(),
            &keys.is,
        )?;
    }
    Ok(pk)
}

/// What the resource is found by, unless that is what it was.
fn change_keys(prepared: &Prepared, writing: &Writing<'_>, before: &Before, resource: &Resource) -> rusqlite::Result<()> {
    let (Some(spec), Some(Keys { is, was })) = (writing.spec(&resource.kind), &prepared.keys) else { return Ok(()) };
    let of = Of { kind: &resource.kind, id: &resource.id, created_at: before.created_at };
    match (was, &before.data) {
        (Some(was), _) => keys::change(writing, &of, was, is),
        (None, Some(data)) if *data == prepared.data => Ok(()),
        (None, data) => {
            let was = data.as_ref().and_then(|data| serde_json::from_str(data).ok()).map(|data| spec.of(&resource.id, &data));
            keys::change(writing, &of, &was.unwrap_or_default(), is)
        }
    }
}

fn update_resource(prepared: &Prepared, writing: &Writing<'_>, version: u64, resource: &Resource) -> Result<i64, UnitError> {
    let conflict = || Conflict::Version { kind: resource.kind.clone(), id: resource.id.clone() };
    let before = Before::select(writing, resource, prepared.keys.as_ref().is_some_and(|keys| keys.was.is_none()))?.ok_or_else(conflict)?;
    if before.version != int(version) && !planted("no-compare-and-set") {
        return Err(conflict().into());
    }
    change_keys(prepared, writing, &before, resource)?;
    let (state, version, updated_at) = (&resource.state, int(resource.version), micros(resource.updated_at));
    let progress = resource.workflow.as_ref();
    if before.is_indexed_like(resource) {
        writing.run(
            "UPDATE resources SET state = ?2, version = ?3, updated_at = ?4, instance = ?5, machine = ?6, data = ?7, touched_at = ?8,
                                  deadlines = ?9
             WHERE pk = ?1",
            params![
                before.pk,
                state,
                version,
                updated_at,
                prepared.instance,
                progress.map(|progress| &progress.machine),
                prepared.data,
                writing.tail.written_at,
                prepared.deadlines
            ],
        )?;
        return Ok(before.pk);
    }
    writing.run(
        "UPDATE resources SET state = ?2, version = ?3, updated_at = ?4, instance = ?5, machine = ?6, data = ?7, workflow = ?8,
                              attention = ?9, finished = ?10, touched_at = ?11, deadlines = ?12 WHERE pk = ?1",
        params![
            before.pk,
            state,
            version,
            updated_at,
            prepared.instance,
            progress.map(|progress| &progress.machine),
            prepared.data,
            progress.map(|progress| &progress.workflow),
            progress.and_then(|progress| progress.attention.as_ref()),
            progress.map(|progress| progress.finished),
            writing.tail.written_at,
            prepared.deadlines,
        ],
    )?;
    Ok(before.pk)
}

/// What of a resource decides how it is updated.
struct Before {
    pk: i64,
    version: i64,
    workflow: Option<String>,
    attention: Option<String>,
    finished: Option<bool>,
    created_at: i64,
    /// What it held, where only that says what it was found by.
    data: Option<String>,
}

impl Before {
    fn select(writing: &Writing<'_>, resource: &Resource, with_data: bool) -> rusqlite::Result<Option<Self>> {
        let mut statement = writing.connection.prepare_cached(
            "SELECT pk, version, workflow, attention, finished, created_at, iif(?3, data, NULL) FROM resources WHERE kind = ?1 AND id = ?2",
        )?;
        let row = statement.query_row(params![resource.kind, resource.id, with_data], |row| {
            Ok(Self {
                pk: row.get(0)?,
                version: row.get(1)?,
                workflow: row.get(2)?,
                attention: row.get(3)?,
                finished: row.get(4)?,
                created_at: row.get(5)?,
                data: row.get(6)?,
            })
        });
        row.optional()
    }

    /// Whether the columns that are part of an index stay, the state aside: SQLite rewrites index entries for every column that is named.
    fn is_indexed_like(&self, resource: &Resource) -> bool {
        let progress = resource.workflow.as_ref();
        self.finished == progress.map(|progress| progress.finished)
            && self.workflow.as_ref() == progress.map(|progress| &progress.workflow)
            && self.attention.as_ref() == progress.and_then(|progress| progress.attention.as_ref())
    }
}

fn touch(writing: &Writing<'_>, touched: &Touched) -> Result<(), UnitError> {
    let changed = writing.run(
        "UPDATE resources SET version = version + 1, touched_at = ?4 WHERE kind = ?1 AND id = ?2 AND version = ?3",
        params![touched.kind, touched.id, int(touched.version), writing.tail.written_at],
    )?;
    if changed == 0 {
        return Err(Conflict::Version { kind: touched.kind.clone(), id: touched.id.clone() }.into());
    }
    Ok(())
}

fn settle(writing: &Writing<'_>, settled: &Settled) -> Result<(), UnitError> {
    let due_at = (settled.status == RunStatus::Ready).then(|| micros(settled.due_at));
    let owner = (settled.status == RunStatus::Running).then_some(writing.epoch);
    let changed = writing.run(
        // What was handled is told by the event itself; a copy of it would be kept for nothing.
        "UPDATE step_runs SET status = ?1, attempt = ?2, due_at = coalesce(?3, due_at), last_error = coalesce(?4, last_error), owner = ?5,
                              input = CASE WHEN ?1 = 'done' AND kind = 'task' THEN NULL ELSE input END
         WHERE key = ?6 AND fence = ?7 AND status = 'running' AND owner = ?8",
        params![
            run_status_text(settled.status),
            settled.attempt,
            due_at,
            settled.error,
            owner,
            settled.key,
            int(settled.fence),
            writing.epoch,
        ],
    )?;
    if changed == 0 && !planted("no-fence") {
        return Err(Conflict::Fence { key: settled.key.clone(), fence: settled.fence }.into());
    }
    Ok(())
}

fn insert_history(
    writing: &Writing<'_>,
    pk: i64,
    (resource, row): (&Resource, &HistoryRow),
    changes: &[FieldChange],
) -> Result<(), UnitError> {
    let digest = row.digest.as_deref().map(|digest| writing.digest(digest)).transpose()?;
    let inserted = writing.run(
        "INSERT INTO history (resource, seq, from_state, to_state, transition, at, cause, component, digest_pk, attempt, reason, changes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT DO NOTHING",
        params![
            pk,
            int(row.seq),
            row.from,
            row.to,
            row.transition,
            micros(row.at),
            row.cause,
            row.component,
            digest,
            row.attempt,
            row.reason,
            writing.changes(changes)?,
        ],
    )?;
    if inserted == 0 {
        return Err(Conflict::Exists { kind: "history".into(), id: format!("{}/{}/{}", resource.kind, resource.id, row.seq) }.into());
    }
    Ok(())
}

fn insert_timer(writing: &Writing<'_>, pk: i64, timer: &Timer) -> Result<(), UnitError> {
    writing.run(
        "INSERT OR REPLACE INTO timers (resource, transition, version, due_at) VALUES (?1, ?2, ?3, ?4)",
        params![pk, timer.transition, int(timer.version), micros(timer.due_at)],
    )?;
    Ok(())
}

/// Beside those that are there already, unless the resource has moved on or is gone.
fn add_timer(writing: &Writing<'_>, timer: &Timer) -> Result<(), UnitError> {
    writing.run(
        "INSERT INTO timers (resource, transition, version, due_at) SELECT pk, ?3, ?4, ?5 FROM resources WHERE kind = ?1 AND id = ?2
         ON CONFLICT (resource, transition) DO UPDATE SET version = excluded.version, due_at = excluded.due_at
         WHERE excluded.version >= timers.version",
        params![timer.resource_kind, timer.resource_id, timer.transition, int(timer.version), micros(timer.due_at)],
    )?;
    Ok(())
}

fn insert_run(writing: &Writing<'_>, run: &StepRun) -> Result<(), UnitError> {
    let inserted = writing.run(
        "INSERT INTO step_runs (key, resource_kind, resource_id, kind, name, component, visit, attempt, transition, from_state, to_state,
                                status, owner, fence, crashes, due_at, written_at, last_error, workflow, input, traceparent)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21) ON CONFLICT DO NOTHING",
        params![
            run.key,
            run.resource_kind,
            run.resource_id,
            run_kind_text(run.kind),
            run.name,
            run.component,
            run.visit,
            run.attempt,
            run.transition,
            run.from_state,
            run.to_state,
            run_status_text(run.status),
            run.owner.map(int),
            int(run.fence),
            run.crashes,
            micros(run.due_at),
            writing.tail.written_at,
            run.last_error,
            run.workflow,
            run.input,
            run.traceparent,
        ],
    )?;
    if inserted == 0 {
        return Err(Conflict::Exists { kind: "run".into(), id: run.key.clone() }.into());
    }
    Ok(())
}

/// Adds events, each with the next position, and answers these.
pub(super) fn insert_outbox(writing: &mut Writing<'_>, outbox: &[OutboxRow]) -> Result<Vec<u64>, UnitError> {
    let mut positions = Vec::with_capacity(outbox.len());
    for row in outbox {
        writing.tail.position += 1;
        let position = writing.tail.position;
        writing.run(
            "INSERT INTO outbox (position, written_at, seq, topic, key, event_id, traceparent, payload)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![position, writing.tail.written_at, int(row.seq), row.topic, row.key, row.event_id, row.traceparent, &*row.payload],
        )?;
        writing.run("INSERT INTO unpublished (position) VALUES (?1)", [position])?;
        positions.push(position.unsigned_abs());
    }
    Ok(positions)
}
