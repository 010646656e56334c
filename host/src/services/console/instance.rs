//! One instance: how it came to where it is, and what happens next.

use jiff::{SignedDuration, Timestamp};
use millrace_workflow::{Machine, RunKind};
use serde_json::Value;

use super::changes;
use super::dependencies::Dependencies;
use super::next::{self, Alone};
use super::view::{Fireable, InstanceBody, InstanceRow, Offered, RunBody, Stage, TimerBody, WaitingBody, row, status};
use crate::services::ServiceError;
use crate::services::engine::{LeftAlone, LookupError};
use crate::store::{Found, HistoryRow, Object, Resource, RunStatus, StepRun, Timer, WaitingEvent};

/// Transitions that one answer shows.
const HISTORY_PAGE: usize = 200;
/// Waiting events that one answer shows.
const WAITING_SHOWN: usize = 100;
/// What is shown in the place of what is private.
pub(super) const HIDDEN: &str = "[hidden]";

/// Reads one instance, with its history before that number.
pub(super) async fn show(parts: &Dependencies, (kind, id): (&str, &str), before: u64) -> Result<InstanceBody, ServiceError> {
    let not_found = || ServiceError::NotFound { what: format!("{kind} instance '{id}'") };
    let resource = parts.store.resource(kind, id).await?.filter(|resource| resource.workflow.is_some()).ok_or_else(not_found)?;
    let mut history = parts.store.history_before(kind, id, before.saturating_add(1), HISTORY_PAGE + 1).await?;
    let (runs, timers) = (parts.store.runs(kind, id).await?, parts.store.timers(kind, id).await?);
    let hold = parts.store.held(kind, id).await?;
    let waiting: Vec<WaitingBody> = parts.store.waiting(kind, id, WAITING_SHOWN).await?.into_iter().map(waiting_body).collect();
    let machine = match &resource.workflow {
        Some(progress) => match parts.workflows.pinned(&progress.workflow, &progress.machine).await {
            Ok(pinned) => Some(pinned),
            Err(LookupError::Store(error)) => return Err(error.into()),
            // It goes nowhere, then.
            Err(LookupError::Unusable { .. }) => None,
        },
        None => None,
    };
    let machine = machine.as_ref().map(|pinned| &pinned.machine);
    let clock = Clocks { now: parts.clock.now(), steady: parts.clock.steady() };
    let alone: Vec<Alone> = runs.iter().filter_map(|run| alone(parts, &resource, run, clock)).collect();
    let runs: Vec<RunBody> = runs.iter().map(|run| run_body(run, machine, clock)).collect();
    let timers: Vec<TimerBody> = timers.iter().map(|timer| timer_body(timer, &resource, machine, clock)).collect();
    let transitions = machine.map(|machine| fireable(parts, &resource, machine)).unwrap_or_default();
    let data = visible(parts, &resource);
    let stages = stages(&history, machine);
    // The one after a page of what was before only tells how the last of it ended.
    history.retain(|row| row.seq < before);
    let surplus = history.len().saturating_sub(HISTORY_PAGE);
    history.drain(..surplus);
    let stages = stages.into_iter().filter(|stage| history.iter().any(|row| row.seq == stage.seq)).collect();
    let changes = changes::of(parts, &resource, &history).await?;
    let cancel = machine.is_some_and(|machine| may_cancel(parts, &resource, machine));
    let row = row(Found { resource, hold }).ok_or_else(not_found)?;
    Ok(InstanceBody {
        next: next::following(&row, (&runs, &alone, &timers, &waiting), &transitions, clock.now),
        actions: offered(&row, &runs, (!transitions.is_empty(), cancel)),
        stages,
        changes,
        history_next: history.first().filter(|first| first.seq > 1).map(|first| first.seq),
        row,
        data,
        history,
        runs,
        attempts: Vec::new(),
        timers,
        waiting,
        transitions,
    })
}

/// Transitions out of `state` that somebody may fire: those that no step answers with and that do not follow by themselves,
/// nor from what is drawn.
pub(super) fn fireable(parts: &Dependencies, resource: &Resource, machine: &Machine) -> Vec<Fireable> {
    let definition = machine.definition();
    let answers = |name: &str| definition.steps.values().any(|step| step.success == name || step.compensate == name);
    let by_itself = |name: &str| definition.transitions.get(name).is_none_or(|transition| transition.automatic);
    let drawn = |name: &str| parts.resources.is_made_by_drawing(&resource.kind, name);
    let names = machine.leaving(&resource.state).into_iter().filter(|name| !answers(name) && !by_itself(name) && !drawn(name));
    let to = |name: &str| definition.transitions.get(name).map(|transition| transition.to.clone()).unwrap_or_default();
    names.map(|name| Fireable { transition: name.to_owned(), to: to(name) }).collect()
}

fn may_cancel(parts: &Dependencies, resource: &Resource, machine: &Machine) -> bool {
    let Some((transitions, progress)) = parts.resources.action_of(&resource.kind, "cancel").zip(resource.workflow.as_ref()) else {
        return false;
    };
    machine.transition_leaving(&resource.state, transitions).is_some() || parts.pipeline.would_follow(progress, machine, transitions)
}

/// Dates and the steady time of one moment.
#[derive(Clone, Copy)]
struct Clocks {
    now: Timestamp,
    steady: Timestamp,
}

impl Clocks {
    /// The date of a steady time.
    fn date(self, steady: Timestamp) -> Timestamp {
        let ahead: SignedDuration = steady.duration_since(self.steady);
        self.now.checked_add(ahead).unwrap_or(steady)
    }
}

fn run_body(run: &StepRun, machine: Option<&Machine>, clocks: Clocks) -> RunBody {
    let retries = machine.and_then(|machine| machine.step(&run.name)).filter(|_| run.kind == RunKind::Step);
    RunBody {
        key: run.key.clone(),
        kind: match run.kind {
            RunKind::Step => "step",
            RunKind::Task => "task",
            RunKind::Undo => "undo",
        },
        name: run.name.clone(),
        component: run.component.clone(),
        visit: run.visit,
        attempt: run.attempt,
        of: retries.and_then(|step| step.retry.max_retries).map(|retries| retries.saturating_add(1)),
        status: status(run.status),
        due_at: (run.status == RunStatus::Ready).then(|| clocks.date(run.due_at)),
        crashes: run.crashes,
        last_error: run.last_error.clone(),
    }
}

/// Whether a run waits because the breaker of its component is open.
fn alone(parts: &Dependencies, resource: &Resource, run: &StepRun, clocks: Clocks) -> Option<Alone> {
    if run.status != RunStatus::Ready {
        return None;
    }
    let (component, owner) = (run.component.clone(), resource.owner.as_deref());
    let digest = parts.runtime.digest(&component)?;
    let LeftAlone { until, only_owner } = parts.breakers.left_alone(&component, &digest, owner, run.is_again(), clocks.steady)?;
    Some(Alone { component, owner: owner.filter(|_| only_owner).map(str::to_owned), until: clocks.date(until) })
}

fn timer_body(timer: &Timer, resource: &Resource, machine: Option<&Machine>, clocks: Clocks) -> TimerBody {
    let made = resource.workflow.as_ref().and_then(|progress| progress.instance.timer_firings.get(&timer.transition)).copied();
    let transition = machine.and_then(|machine| machine.definition().transitions.get(&timer.transition));
    TimerBody {
        transition: timer.transition.clone(),
        due_at: clocks.date(timer.due_at),
        time: made.unwrap_or(0).saturating_add(1),
        of: transition.and_then(|transition| transition.max_attempts),
    }
}

fn waiting_body(event: WaitingEvent) -> WaitingBody {
    WaitingBody { transition: event.transition, event: event.event_id, consumer: event.consumer, at: event.at }
}

/// Each row enters a state, and the next one leaves it.
fn stages(history: &[HistoryRow], machine: Option<&Machine>) -> Vec<Stage> {
    let step_of = |state: &str| {
        let definition = machine?.definition();
        let leaves = |transition: &String| definition.transitions.get(transition).is_some_and(|transition| transition.from == state);
        definition.steps.iter().find(|(_, step)| leaves(&step.success)).map(|(name, _)| name.clone())
    };
    let next = history.iter().skip(1).map(Some).chain([None]);
    let stage = |(entered, left): (&HistoryRow, Option<&HistoryRow>)| Stage {
        seq: entered.seq,
        state: entered.to.clone(),
        transition: entered.transition.clone(),
        entered_at: entered.at,
        left_at: left.map(|left| left.at),
        step: step_of(&entered.to),
        component: left.and_then(|left| left.component.clone()),
        digest: left.and_then(|left| left.digest.clone()),
        attempts: left.and_then(|left| left.attempt),
        outcome: left.map(|left| left.cause.clone()),
        reason: left.and_then(|left| left.reason.clone()),
    };
    history.iter().zip(next).map(stage).collect()
}

/// What may be seen; of what is private, that it is there.
pub(super) fn visible(parts: &Dependencies, resource: &Resource) -> Object {
    let mut data = parts.events.public_data(resource);
    for name in resource.data.keys().filter(|name| parts.events.is_private(&resource.kind, name)) {
        data.insert(name.clone(), Value::from(HIDDEN));
    }
    data
}

fn offered(row: &InstanceRow, runs: &[RunBody], (fire, cancel): (bool, bool)) -> Vec<Offered> {
    let waits = runs.iter().any(|run| matches!(run.status, "ready" | "quarantined" | "stranded"));
    let is_held = row.held.is_some();
    let possible = [
        ("retry", waits && !is_held),
        ("fire", fire && !row.is_final),
        ("hold", !is_held && !row.is_final),
        ("release", is_held),
        ("cancel", cancel && !row.is_final),
    ];
    let command = |action: &'static str| {
        let transition = if action == "fire" { " TRANSITION" } else { "" };
        format!("millrace instances {action} {} {}{transition} --reason '...'", row.kind, row.id)
    };
    possible.into_iter().filter(|(_, is_possible)| *is_possible).map(|(action, _)| Offered { action, command: command(action) }).collect()
}
