//! From the pure core's effects to one [`Commit`]: what changes, what is told, what runs next.
//!
//! No IO here: everything that has to be durable for one input ends up in one commit, or not at all.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use millrace_workflow::{Cause, Effect, Instance, Machine, Reaction, RunKind};

use super::alongside::Rows;
use super::events::{Events, Happening, Telling};
use super::workflows::Pinned;
use crate::store::{
    AuditEntry, Commit, Guard, HistoryRow, InboxRow, Object, OutboxRow, Progress, Resource, RunStatus, Settled, StartedBy, StepRun, Timer,
    WaitingEvent, changed,
};

/// What caused the effects, beyond what the core needs to know.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// Component that answered.
    pub component: Option<String>,
    /// Digest of its file.
    pub digest: Option<String>,
    /// Attempt that was answered.
    pub attempt: Option<u32>,
    /// What it said when it did not accept.
    pub reason: Option<String>,
    /// Fields to merge into the data.
    pub merge: Option<Object>,
    /// Trace context to pass on.
    pub traceparent: Option<String>,
    /// The run whose answer it is.
    pub settled: Option<Settled>,
    /// The event whose effect it is.
    pub inbox: Option<InboxRow>,
    /// The same, if it has waited for a hold to end.
    pub waited: Option<WaitingEvent>,
    /// Who asked for it, if a person with a role did.
    pub audit: Option<AuditEntry>,
    /// What is committed with it beside what it changes.
    pub alongside: Rows,
}

/// A commit as it is to be made, and what follows when it has happened.
#[derive(Debug, Clone)]
pub struct CommitPlan {
    /// What to write.
    pub commit: Commit,
    /// The resource after it.
    pub resource: Arc<Resource>,
    /// How the workflow ended, if it did: whether the final state means failure.
    pub finished: Option<bool>,
    /// What its hooks create with it.
    pub creations: Vec<Creation>,
}

/// An instance of another kind that a transition creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// Handler that keeps it.
    pub handler: String,
    /// State that the transition has left.
    pub from: String,
}

/// What planning needs to know.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Topics and handlers.
    pub events: &'a Events,
    /// Machine of the instance.
    pub pinned: &'a Pinned,
    /// The date now, for people.
    pub now: Timestamp,
    /// The steady time now, for what is due later.
    pub steady: Timestamp,
}

/// A new resource whose workflow begins.
#[must_use]
pub fn begin(
    context: Context<'_>,
    mut resource: Resource,
    instance: Instance,
    effects: &[Effect],
    traceparent: Option<String>,
) -> CommitPlan {
    let machine = &context.pinned.machine;
    resource.workflow = Some(Progress {
        workflow: machine.definition().name.clone(),
        machine: context.pinned.digest.clone(),
        instance: instance.clone(),
        attention: None,
        finished: false,
        deadlines: BTreeMap::new(),
        traceparent: traceparent.as_deref().map(Into::into),
    });
    let origin = Origin { traceparent: traceparent.clone(), ..Origin::default() };
    let mut plan = follow(context, resource, Guard::Absent, instance, effects, origin);
    let announcers = machine.definition().hooks.iter().filter_map(|hook| match &hook.reaction {
        Reaction::Announce(handler) => Some(handler.as_str()),
        Reaction::Step(_) | Reaction::Task(_) | Reaction::Create(_) => None,
    });
    let created = Happening { transition: None, to: &machine.definition().initial_state, seq: 0, at: context.now };
    let mut outbox: Vec<OutboxRow> = context
        .events
        .creation_topics(announcers)
        .into_iter()
        .map(|topic| context.events.outbox_row(topic, &plan.resource, &created, traceparent.clone()))
        .collect();
    outbox.append(&mut plan.commit.outbox);
    plan.commit.outbox = outbox;
    plan
}

/// The next form of a resource whose workflow has moved.
#[must_use]
pub fn proceed(context: Context<'_>, resource: &Resource, instance: Instance, effects: &[Effect], origin: Origin) -> CommitPlan {
    follow(context, resource.clone(), Guard::Version(resource.version), instance, effects, origin)
}

/// A new resource that no workflow moves.
#[must_use]
pub fn plain(resource: Resource) -> CommitPlan {
    let change = Some((Guard::Absent, resource.clone()));
    only(Commit { change, ..Commit::default() }, Arc::new(resource))
}

/// A commit that moves no workflow.
#[must_use]
pub fn only(commit: Commit, resource: Arc<Resource>) -> CommitPlan {
    CommitPlan { commit, resource, finished: None, creations: Vec::new() }
}

/// A run that ends, or will be tried again, without moving anything.
#[must_use]
pub fn settle_only(resource: Arc<Resource>, settled: Settled) -> CommitPlan {
    only(Commit { settled: Some(settled), ..Commit::default() }, resource)
}

/// How `run` ends, or what becomes of it next.
pub(super) fn settled(run: &StepRun, status: RunStatus, attempt: u32, error: Option<String>) -> Settled {
    Settled { key: run.key.clone(), fence: run.fence, status, attempt, due_at: run.due_at, error }
}

/// Ends a run without moving anything.
pub(super) fn end(run: &StepRun, resource: &Arc<Resource>, status: RunStatus, error: Option<String>) -> CommitPlan {
    settle_only(Arc::clone(resource), settled(run, status, run.attempt, error))
}

/// Has a run attempted again at `due_at`.
pub(super) fn again(run: &StepRun, resource: &Arc<Resource>, attempt: u32, due_at: Timestamp, error: Option<String>) -> CommitPlan {
    settle_only(Arc::clone(resource), Settled { due_at, ..settled(run, RunStatus::Ready, attempt, error) })
}

/// What stands for the resource of a run that brings its own input: this process may not have the resource at all.
pub(in crate::services) fn stand_in(run: &StepRun, now: Timestamp) -> Resource {
    Resource {
        kind: run.resource_kind.clone(),
        id: run.resource_id.clone(),
        owner: None,
        state: run.to_state.clone(),
        version: 0,
        data: Arc::default(),
        workflow: None,
        created_at: now,
        updated_at: now,
    }
}

fn follow(
    context: Context<'_>,
    mut resource: Resource,
    guard: Guard,
    instance: Instance,
    effects: &[Effect],
    origin: Origin,
) -> CommitPlan {
    resource.state.clone_from(&instance.state);
    resource.version = match guard {
        Guard::Absent => 1,
        Guard::Version(version) => version + 1,
    };
    resource.updated_at = context.now;
    let before = matches!(guard, Guard::Version(_)).then(|| Arc::clone(&resource.data));
    let mut changes = Vec::new();
    if let Some(fields) = &origin.merge {
        let data = Arc::make_mut(&mut resource.data);
        // The reason of a failure is over once a later answer has none; a field of that name that its creator wrote is another one.
        if !context.events.protected_fields(&resource.kind).contains("reason") {
            data.shift_remove("reason");
        }
        data.extend(fields.clone());
        if let Some(before) = &before {
            let names = fields.keys().map(String::as_str).filter(|name| *name != "reason").chain(["reason"]);
            changes = changed(before, data, names, |name| context.events.is_private(&resource.kind, name));
        }
    }
    if let Some(progress) = &mut resource.workflow {
        progress.instance = instance;
    }
    let (commit, transitions, creations) = (Commit::default(), HashMap::new(), Vec::new());
    let mut draft = Draft { context, origin: &origin, resource, commit, transitions, finished: None, creations };
    for effect in effects {
        draft.apply(effect);
    }
    draft.keep_deadline();
    if let Some(progress) = draft.resource.workflow.as_mut().filter(|progress| progress.finished) {
        // Nothing is due any more.
        progress.deadlines.clear();
    }
    let Draft { resource, mut commit, finished, creations, .. } = draft;
    let resource = Arc::new(resource);
    commit.change = Some((guard, Resource::clone(&resource)));
    commit.before = before;
    commit.changes = changes;
    commit.settled = origin.settled;
    commit.inbox = origin.inbox;
    commit.waited = origin.waited;
    commit.audit.extend(origin.audit);
    origin.alongside.add_to(&mut commit);
    CommitPlan { commit, resource, finished, creations }
}

struct Draft<'a> {
    context: Context<'a>,
    origin: &'a Origin,
    resource: Resource,
    commit: Commit,
    transitions: HashMap<u64, Edge>,
    finished: Option<bool>,
    creations: Vec<Creation>,
}

#[derive(Clone)]
struct Edge {
    name: String,
    from: String,
    to: String,
}

impl Draft<'_> {
    fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::Transitioned { seq, transition, from, to, cause } => {
                self.transitions.insert(*seq, Edge { name: transition.clone(), from: from.clone(), to: to.clone() });
                let row = self.history_row(*seq, transition, from, to, cause);
                self.commit.history.push(row);
                self.begin_deadlines(to);
            }
            Effect::Run { kind, name, component, visit, seq } => self.add_run(*kind, name, component, *visit, *seq),
            // Moves nothing: whoever settles the run turns it into the run's next attempt.
            Effect::Retry { .. } => {}
            Effect::Timer { transition, after, version } => self.commit.timers.push(Timer {
                resource_kind: self.resource.kind.clone(),
                resource_id: self.resource.id.clone(),
                transition: transition.clone(),
                version: *version,
                due_at: later(self.context.steady, *after),
            }),
            Effect::Announce { handler, seq, state } => self.announce(handler, *seq, state),
            Effect::Create { handler, seq } => {
                let from = self.transitions.get(seq).map(|edge| edge.from.clone()).unwrap_or_default();
                self.creations.push(Creation { handler: handler.clone(), from });
            }
            Effect::Attention { reason } => {
                if let Some(progress) = &mut self.resource.workflow {
                    progress.attention = Some(reason.clone());
                }
            }
            Effect::Finished { is_error, .. } => {
                self.finished = Some(*is_error);
                if let Some(progress) = &mut self.resource.workflow {
                    progress.finished = true;
                    progress.attention = None;
                }
            }
        }
    }

    /// Begins the deadlines that entering this state begins, unless it was entered before.
    fn begin_deadlines(&mut self, state: &str) {
        let Some(progress) = &mut self.resource.workflow else { return };
        for (transition, after) in self.context.pinned.machine.deadlines_since(state) {
            progress.deadlines.entry(transition.to_owned()).or_insert_with(|| later(self.context.steady, after));
        }
    }

    /// Starts the timer of the deadline that is kept in the state where the instance rests.
    fn keep_deadline(&mut self) {
        let machine = &self.context.pinned.machine;
        let Some(progress) = &self.resource.workflow else { return };
        let Some((transition, edge)) = machine.deadline(&progress.instance.state) else { return };
        let Some(due_at) = progress.deadlines.get(transition) else { return };
        if machine.is_worn(&progress.instance) && !machine.is_final(&edge.to) {
            return;
        }
        self.commit.timers.push(Timer {
            resource_kind: self.resource.kind.clone(),
            resource_id: self.resource.id.clone(),
            transition: transition.to_owned(),
            version: progress.instance.version,
            due_at: *due_at,
        });
    }

    fn history_row(&self, seq: u64, transition: &str, from: &str, to: &str, cause: &Cause) -> HistoryRow {
        let answered = matches!(cause, Cause::Accepted | Cause::Rejected | Cause::Failed);
        let origin = self.origin;
        HistoryRow {
            seq,
            from: from.to_owned(),
            to: to.to_owned(),
            transition: transition.to_owned(),
            at: self.context.now,
            cause: cause.as_str().to_owned(),
            component: origin.component.clone().filter(|_| answered),
            digest: origin.digest.clone().filter(|_| answered),
            attempt: origin.attempt.filter(|_| answered),
            reason: origin.reason.clone().filter(|_| answered),
        }
    }

    fn add_run(&mut self, kind: RunKind, name: &str, component: &str, visit: u32, seq: u64) {
        let Some(edge) = self.transitions.get(&seq).cloned() else { return };
        let by = StartedBy {
            resource_kind: self.resource.kind.clone(),
            resource_id: self.resource.id.clone(),
            workflow: self.context.pinned.machine.definition().name.clone(),
            transition: edge.name,
            from_state: edge.from,
            to_state: edge.to,
        };
        let key = format!("{}:{name}:{visit}", self.resource.id);
        self.commit.runs.push(StepRun { visit, ..StepRun::first(key, by, kind, (name, component), self.context.steady) });
    }

    /// Of what has caused this, or else of what began it all.
    fn traceparent(&self) -> Option<String> {
        let began = || self.resource.workflow.as_ref()?.traceparent.as_deref().map(str::to_owned);
        self.origin.traceparent.clone().or_else(began)
    }

    fn announce(&mut self, handler: &str, seq: u64, state: &str) {
        let Some(edge) = self.transitions.get(&seq).cloned() else { return };
        match self.context.events.telling(handler, state) {
            Telling::Topic(topic) => {
                if self.commit.outbox.iter().any(|row| row.topic == topic && row.seq == seq) {
                    return;
                }
                let happening = Happening { transition: Some((&edge.name, &edge.from)), to: state, seq, at: self.context.now };
                let row = self.context.events.outbox_row(topic, &self.resource, &happening, self.traceparent());
                self.commit.outbox.push(row);
            }
            Telling::Component(component) => {
                let visit = u32::try_from(seq).unwrap_or(u32::MAX);
                self.add_run(RunKind::Task, handler, &component, visit, seq);
            }
            Telling::Log => tracing::info!(handler, instance = self.resource.id, state, "state entered"),
        }
    }
}

/// The transition by which an instance leaves its state now, because its deadline has passed; no other one is begun any more.
#[must_use]
pub fn overdue<'m>(progress: &Progress, machine: &'m Machine, steady: Timestamp) -> Option<&'m str> {
    let (transition, _) = machine.deadline(&progress.instance.state)?;
    progress.deadlines.get(transition).is_some_and(|due_at| *due_at <= steady).then_some(transition)
}

/// `now` plus `wait`, at most the end of time.
#[must_use]
pub fn later(now: Timestamp, wait: std::time::Duration) -> Timestamp {
    SignedDuration::try_from(wait).ok().and_then(|wait| now.checked_add(wait).ok()).unwrap_or(Timestamp::MAX)
}
