//! A visit of a step that ended without an answer that tells: the provider may have done the work all the same.
//!
//! A component that exports `settlement` is asked about the key of that visit before anything follows from it: what was done is taken as
//! the answer, everything else is undone, so that a late request can do nothing either. Until then the instance stays where it is, so no
//! new visit begins and nobody cancels it. The asking is a durable run of its own, added by the commit that ends the step's run, and tried
//! again until it is done. An answer that an instance no longer waits for is undone too, without moving anything.

use std::sync::Arc;

use millrace_workflow::{Input, RetryPolicy, RunKind, StepOutcome};
use serde::{Deserialize, Serialize};

use super::alongside::{self, Rows};
use super::answers;
use super::commit_plan::{self, CommitPlan, Context, Origin, again, end, settled};
use super::crash_suspects::CrashSuspects;
use super::events::Events;
use super::jobs::{Jobs, UNDO_SUFFIX, key_of};
use super::workflows::{LookupError, Pinned, Workflows};
use crate::clock::Clock;
use crate::faults::planted;
use crate::runtime::{Published, Report, Status, Steps, Verdict};
use crate::store::{Commit, Guard, Instances, KvRow, Object, Resource, RunStatus, Settled, StepRun, StoreError};
use crate::telemetry::Metrics;
use crate::telemetry::traces;

/// Attempts after which a person is told; it is tried on.
const ATTENTION_AFTER: u32 = 5;

/// Rows of history read at once.
const HISTORY_PAGE: usize = 100;

/// What the step's last attempt said: it takes effect when everything before it is undone.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct LastAnswer {
    /// The business said no; otherwise it failed.
    rejected: bool,
    /// It failed because what it needs did not answer, or refuses for now.
    #[serde(default)]
    unserved: bool,
    attempt: u32,
    digest: String,
    /// For the owner of the instance.
    reason: Option<String>,
    /// To merge into the data.
    fields: Object,
    /// What it keeps, of one that was rejected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    kv: Vec<KvRow>,
    /// What it publishes, of one that was rejected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    events: Vec<Published>,
}

impl LastAnswer {
    /// What the machine is told of it once everything is undone.
    fn outcome(&self) -> StepOutcome {
        match (self.rejected, self.unserved) {
            (true, _) => StepOutcome::Rejected,
            (false, true) => StepOutcome::Unserved,
            (false, false) => StepOutcome::Permanent,
        }
    }
}

/// What came of asking.
pub(super) enum Found {
    /// It was done; the fields of the answer, and the version that said so.
    Done(Object, String),
    /// It was not done, and never will be.
    Undone,
    /// Nobody can tell yet; why.
    Unknown(String),
}

/// Whether an attempt of the run may have begun before the one that is made now.
pub(super) fn began_before(run: &StepRun) -> bool {
    run.attempt > 1 || run.fence > 1 || run.crashes > 0
}

/// Whether the work may have been done although the answer does not say so. A rejection is an answer, but to its own attempt alone.
fn is_unsure(run: &StepRun, verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Accepted(_) => false,
        Verdict::Rejected { .. } => began_before(run),
        Verdict::Transient(_) | Verdict::Permanent(_) => true,
    }
}

/// Asks components what became of their work, and has it undone.
pub(super) struct Undo {
    pub(super) store: Arc<dyn Instances>,
    pub(super) steps: Arc<dyn Steps>,
    pub(super) workflows: Arc<Workflows>,
    pub(super) events: Arc<Events>,
    pub(super) jobs: Jobs,
    pub(super) crash_suspects: CrashSuspects,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
}

impl Undo {
    /// Instead of what would follow from the last answer of a step: that its component is asked first, if it can be and there is a doubt.
    pub(super) fn ask_first(&self, run: &StepRun, resource: &Arc<Resource>, report: &Report) -> Option<CommitPlan> {
        if planted("new-key-after-silence") || !is_unsure(run, &report.verdict) || !self.steps.is_reversible(&run.component) {
            return None;
        }
        let last = LastAnswer {
            rejected: matches!(report.verdict, Verdict::Rejected { .. }),
            unserved: answers::outcome(report) == StepOutcome::Unserved,
            attempt: run.attempt,
            digest: report.digest.clone(),
            reason: answers::reason_for_people(&report.verdict, report.limit),
            fields: answers::results(&self.events, run, &report.verdict, report.limit),
            kv: alongside::kv(run, &report.alongside),
            events: report.alongside.events.clone(),
        };
        tracing::info!(
            run = run.key,
            instance = run.resource_id,
            component = run.component,
            "a step has no answer that tells what was done: its component is asked, and undoes it"
        );
        Some(self.asking(run, resource, &last, answers::failure_text(&report.verdict)))
    }

    /// Whether the component of a run can be asked now.
    pub(super) fn can_ask(&self, run: &StepRun) -> bool {
        self.steps.is_reversible(&run.component)
    }

    /// Whether nobody can ever ask the component of a run: a version of it serves, and has no words for that.
    pub(super) fn has_nobody_to_ask(&self, run: &StepRun) -> bool {
        self.steps.digest(&run.component).is_some() && !self.can_ask(run)
    }

    /// Instead of a further attempt at a run whose time is up: its component is asked what those before have done.
    pub(super) fn ask_instead(&self, run: &StepRun, resource: &Arc<Resource>, why: &str) -> CommitPlan {
        let reason = answers::UNANSWERED.to_owned();
        let fields = Object::from_iter([("reason".to_owned(), reason.clone().into())]);
        let attempt = run.attempt.saturating_sub(1).max(1);
        let last = LastAnswer { attempt, reason: Some(reason), fields, ..LastAnswer::default() };
        tracing::info!(
            run = run.key,
            instance = run.resource_id,
            component = run.component,
            why,
            "a component is asked what a step has done"
        );
        self.asking(run, resource, &last, Some(why.to_owned()))
    }

    /// What becomes of an answer that the instance no longer waits for: nobody wants what was done, so it is undone.
    pub(super) async fn unwanted(
        &self,
        run: &StepRun,
        resource: &Arc<Resource>,
        pinned: &Pinned,
        (may_be_done, why): (bool, String),
    ) -> Result<CommitPlan, StoreError> {
        tracing::info!(run = run.key, instance = run.resource_id, why, "an answer no longer fits its instance");
        let asks = may_be_done && self.steps.is_reversible(&run.component) && !self.is_taken(run, pinned).await?;
        if !asks {
            return Ok(end(run, resource, RunStatus::Done, Some(why)));
        }
        Ok(self.asking(run, resource, &LastAnswer::default(), Some(why)))
    }

    /// Whether the instance went on as if this visit had been accepted: somebody said so in the component's place.
    async fn is_taken(&self, run: &StepRun, pinned: &Pinned) -> Result<bool, StoreError> {
        let success = pinned.machine.step(&run.name).map(|step| step.success.as_str());
        let (mut left, mut seen) = (0, 0);
        loop {
            let page = self.store.history(&run.resource_kind, &run.resource_id, seen, HISTORY_PAGE).await?;
            for row in page.iter().filter(|row| row.from == run.to_state) {
                left += 1;
                if left == run.visit {
                    return Ok(Some(row.transition.as_str()) == success);
                }
            }
            match page.last() {
                Some(last) if page.len() == HISTORY_PAGE => seen = last.seq,
                _ => return Ok(false),
            }
        }
    }

    /// Ends a step's run and adds the one that asks.
    fn asking(&self, run: &StepRun, resource: &Arc<Resource>, last: &LastAnswer, error: Option<String>) -> CommitPlan {
        let undo = StepRun {
            key: format!("{}{UNDO_SUFFIX}", run.key),
            kind: RunKind::Undo,
            attempt: 1,
            input: serde_json::to_string(last).ok().map(Into::into),
            status: RunStatus::Ready,
            owner: None,
            fence: 0,
            crashes: 0,
            due_at: self.clock.steady(),
            last_error: None,
            ..run.clone()
        };
        let settled = Some(settled(run, RunStatus::Done, run.attempt, error));
        commit_plan::only(Commit { settled, runs: vec![undo], ..Commit::default() }, Arc::clone(resource))
    }

    /// Why a run of a step is not attempted any more, if its instance has gone on without it, and the machine that says so.
    pub(super) async fn no_longer_awaited(&self, run: &StepRun, resource: &Resource) -> Option<(Arc<Pinned>, String)> {
        let (RunKind::Step, Some(progress)) = (run.kind, &resource.workflow) else { return None };
        let pinned = self.workflows.pinned(&progress.workflow, &progress.machine).await.ok()?;
        if pinned.machine.awaits(&progress.instance, &run.name, run.visit) {
            return None;
        }
        let why = format!("the instance is in state '{}' and does not wait for this step", progress.instance.state);
        Some((pinned, why))
    }

    /// One attempt to find out what became of a visit, or to undo it.
    pub(super) async fn find_out(&self, run: &StepRun, resource: &Resource) -> Found {
        match self.awaiting_machine(run, resource).await {
            Ok(awaited) => self.ask(run, resource, awaited).await,
            Err(error) => Found::Unknown(error.to_string()),
        }
    }

    /// The machine, if the instance waits for the answer of this visit.
    async fn awaiting_machine(&self, run: &StepRun, resource: &Resource) -> Result<Option<Arc<Pinned>>, LookupError> {
        let Some(progress) = &resource.workflow else { return Ok(None) };
        let pinned = self.workflows.pinned(&progress.workflow, &progress.machine).await?;
        let awaits = pinned.machine.awaits(&progress.instance, &run.name, run.visit);
        Ok(awaits.then_some(pinned))
    }

    /// Asks the component. A component that cannot tell is asked to undo it all the same: that needs no knowledge.
    async fn ask(&self, run: &StepRun, resource: &Resource, awaited: Option<Arc<Pinned>>) -> Found {
        let job = self.jobs.job(run, resource).await;
        let place = self.steps.place(&run.component, true).await;
        // With the place: both are of before an exchange, or of after it.
        let config = self.workflows.step_config(&run.workflow, &run.name);
        let _slot = self.crash_suspects.enter(&run.key);
        if awaited.is_some() {
            let report = self.steps.status_of(&place, &run.component, job.clone(), config.as_deref()).await;
            let said = match &report.verdict {
                Status::Done(_) => "done",
                Status::NotDone => "not_done",
                Status::Unknown(_) => "unknown",
            };
            self.metrics.module_operation(&run.name, "status", said, report.wall);
            match report.verdict {
                Status::Done(fields) => return Found::Done(fields, report.digest),
                Status::NotDone => {}
                Status::Unknown(reason) => {
                    tracing::info!(run = run.key, instance = run.resource_id, reason, "a component cannot tell what became of a step");
                }
            }
        }
        let report = self.steps.undo(&place, &run.component, job, config.as_deref()).await;
        self.metrics.module_operation(&run.name, "undo", if report.verdict.is_ok() { "undone" } else { "failed" }, report.wall);
        report.verdict.map_or_else(Found::Unknown, |()| Found::Undone)
    }

    /// What follows from what was found out.
    pub(super) async fn plan(&self, run: &StepRun, resource: &Arc<Resource>, found: &Found) -> Result<CommitPlan, StoreError> {
        let awaited = match self.awaiting_machine(run, resource).await {
            Ok(awaited) => awaited,
            Err(LookupError::Store(error)) => return Err(error),
            Err(error @ LookupError::Unusable { .. }) => return self.not_yet(run, resource, &error.to_string()).await,
        };
        let steady = self.clock.steady();
        let last: LastAnswer = run.input.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        Ok(match (found, awaited) {
            (Found::Unknown(reason), _) => return self.not_yet(run, resource, reason).await,
            // The instance has moved since it was asked about: what was done is no longer wanted.
            (Found::Done(..), None) => again(run, resource, run.attempt, steady, None),
            (Found::Undone, None) => {
                tracing::info!(run = run.key, instance = run.resource_id, "what an instance no longer waits for is undone");
                return self.calmed(run, resource).await;
            }
            (Found::Done(fields, digest), Some(pinned)) => {
                tracing::info!(
                    run = run.key,
                    instance = run.resource_id,
                    "a step without an answer was done after all: it counts as accepted"
                );
                let merge = answers::results(&self.events, run, &Verdict::Accepted(fields.clone()), None);
                let origin = Origin { digest: Some(digest.clone()), merge: Some(merge), ..Origin::default() };
                self.follow(run, resource, &pinned, (StepOutcome::Accepted, last.attempt), origin)
            }
            (Found::Undone, Some(pinned)) => {
                let outcome = last.outcome();
                let attempt = last.attempt;
                let undone = |reason: String| if last.rejected { reason } else { format!("{reason}; whatever it did was undone") };
                let reason = last.reason.map(undone);
                let mut fields = last.fields;
                fields.extend(reason.clone().map(|reason| ("reason".to_owned(), reason.into())));
                // No version has said it where the time was up before there was an answer.
                let digest = Some(last.digest).filter(|digest| !digest.is_empty());
                let outbox = alongside::outbox(&self.events, (run, resource), &last.events, self.clock.now());
                let alongside = Rows { kv: last.kv, outbox };
                let origin = Origin { digest, reason, merge: Some(fields), alongside, ..Origin::default() };
                self.follow(run, resource, &pinned, (outcome, attempt), origin)
            }
        })
    }

    /// What the instance does now that it is known what was done.
    fn follow(
        &self,
        run: &StepRun,
        resource: &Arc<Resource>,
        pinned: &Pinned,
        (outcome, attempt): (StepOutcome, u32),
        origin: Origin,
    ) -> CommitPlan {
        let mut resource = Resource::clone(resource);
        let Some(progress) = &mut resource.workflow else { return end(run, &Arc::new(resource), RunStatus::Done, None) };
        progress.attention.take_if(|reason| *reason == attention(run));
        let input = Input::StepFinished { step: run.name.clone(), visit: run.visit, attempt, outcome, jitter: 0.0 };
        match pinned.machine.advance(&progress.instance, &input) {
            Err(refusal) => end(run, &Arc::new(resource), RunStatus::Done, Some(refusal.to_string())),
            Ok((instance, effects)) => {
                let context = Context { events: &self.events, pinned, now: self.clock.now(), steady: self.clock.steady() };
                let origin = Origin {
                    component: Some(run.component.clone()),
                    attempt: Some(attempt),
                    settled: Some(settled(run, RunStatus::Done, run.attempt, None)),
                    traceparent: traces::current(),
                    ..origin
                };
                commit_plan::proceed(context, &resource, instance, &effects, origin)
            }
        }
    }

    /// It is tried again, without end; after some attempts a person is told.
    async fn not_yet(&self, run: &StepRun, resource: &Arc<Resource>, reason: &str) -> Result<CommitPlan, StoreError> {
        let (now, attempt) = (self.clock.steady(), run.attempt);
        let delay = RetryPolicy::TASK.delay_after(attempt, rand::random()).unwrap_or(RetryPolicy::DEFAULT_MAX_DELAY);
        let due = commit_plan::later(now, delay);
        tracing::warn!(
            run = run.key,
            instance = run.resource_id,
            component = run.component,
            attempt,
            reason,
            "what became of a step is not known and could not be undone; it is tried again"
        );
        let told = resource.workflow.as_ref().is_none_or(|progress| progress.attention.is_some());
        if attempt < ATTENTION_AFTER || told {
            return Ok(again(run, resource, attempt.saturating_add(1), due, Some(reason.to_owned())));
        }
        let text = attention(run);
        tracing::error!(run = run.key, instance = run.resource_id, "{text}");
        let settled = Settled { due_at: due, ..settled(run, RunStatus::Ready, attempt.saturating_add(1), Some(reason.to_owned())) };
        self.flagged(resource, Some(text), settled).await
    }

    /// Ends the run of an instance that has gone on, which needs nobody's attention any more.
    async fn calmed(&self, run: &StepRun, resource: &Arc<Resource>) -> Result<CommitPlan, StoreError> {
        let ours = resource.workflow.as_ref().is_some_and(|progress| progress.attention.as_ref() == Some(&attention(run)));
        if !ours {
            return Ok(end(run, resource, RunStatus::Done, None));
        }
        self.flagged(resource, None, settled(run, RunStatus::Done, run.attempt, None)).await
    }

    /// Changes what a person is told of an instance, and nothing else: a change replaces all timers, so those that run are kept.
    async fn flagged(&self, resource: &Arc<Resource>, attention: Option<String>, settled: Settled) -> Result<CommitPlan, StoreError> {
        // If the instance has moved since it was read, they are others, and the guard refuses all of it.
        let timers = self.store.timers(&resource.kind, &resource.id).await?;
        let guard = Guard::Version(resource.version);
        let mut changed = Resource { version: resource.version + 1, ..Resource::clone(resource) };
        if let Some(progress) = &mut changed.workflow {
            progress.attention = attention;
        }
        let commit = Commit { change: Some((guard, changed.clone())), settled: Some(settled), timers, ..Commit::default() };
        Ok(commit_plan::only(commit, Arc::new(changed)))
    }
}

/// What a person is told.
fn attention(run: &StepRun) -> String {
    let (step, component, key) = (&run.name, &run.component, key_of(run));
    format!(
        "step '{step}' gave no answer, and component '{component}' has not been able to find out or undo what was done under the key '{key}': \
         ask the provider behind it; it is tried again"
    )
}
