//! A visit of a step that ended without an answer that tells: the provider may have done the work all the same.
//!
//! A component that exports `settlement` is asked about the key of that visit before anything follows from it: what was done is taken as
//! the answer, everything else is undone, so that a late request can do nothing either. Until then the instance stays where it is, so no
//! new visit begins and nobody cancels it. The asking is a durable run of its own, added by the commit that ends the step's run, and tried
//! again until it is done. An answer that an instance no longer waits for is undone too, without moving anything.

use std::sync::Arc;

use millrace_workflow::{Input, RetryPolicy, RunKind, StepOutcome};
use serde::{Deserialize, Serialize};

use super::commit_plan::{self, Context, Decision, Origin};
use super::completion::{self, again, end, failure_text, settled};
use super::pipeline::{Pipeline, stand_in};
use super::workflows::{LookupError, Pinned};
use crate::runtime::{Report, Status, Verdict};
use crate::store::{Commit, Guard, Object, Resource, RunStatus, Settled, StepRun, StoreError};
use crate::telemetry::traces;

/// What the key of an undo's run has after the key that it is about.
const SUFFIX: &str = ":undo";
/// Attempts after which a person is told; it is tried on.
const ATTENTION_AFTER: u32 = 5;

/// Rows of history read at once.
const HISTORY_PAGE: usize = 100;

/// What the step's last attempt said: it takes effect when everything before it is undone.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct LastAnswer {
    /// The business said no; otherwise it failed.
    rejected: bool,
    attempt: u32,
    digest: String,
    /// For the owner of the instance.
    reason: Option<String>,
    /// To merge into the data.
    fields: Object,
}

/// What came of asking.
enum Found {
    /// It was done; the fields of the answer, and the version that said so.
    Done(Object, String),
    /// It was not done, and never will be.
    Undone,
    /// Nobody can tell yet; why.
    Unknown(String),
}

/// The idempotency key that a run is about.
pub(in crate::services) fn key_of(run: &StepRun) -> &str {
    match run.kind {
        RunKind::Undo => run.key.strip_suffix(SUFFIX).unwrap_or(&run.key),
        RunKind::Step | RunKind::Task => &run.key,
    }
}

/// Whether an attempt of the run may have begun before the one that is made now.
fn began_before(run: &StepRun) -> bool {
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

impl Pipeline {
    /// Instead of what would follow from the last answer of a step: that its component is asked first, if it can be and there is a doubt.
    pub(in crate::services) fn ask_first(&self, run: &StepRun, resource: &Arc<Resource>, report: &Report) -> Option<Decision> {
        if !is_unsure(run, &report.verdict) || !self.parts().runtime.is_reversible(&run.component) {
            return None;
        }
        let last = LastAnswer {
            rejected: matches!(report.verdict, Verdict::Rejected { .. }),
            attempt: run.attempt,
            digest: report.digest.clone(),
            reason: completion::reason_for_people(&report.verdict),
            fields: self.results(run, &report.verdict),
        };
        tracing::info!(
            run = run.key,
            instance = run.resource_id,
            component = run.component,
            "a step has no answer that tells what was done: its component is asked, and undoes it"
        );
        Some(self.asking(run, resource, &last, failure_text(&report.verdict)))
    }

    /// What becomes of an answer that the instance no longer waits for: nobody wants what was done, so it is undone.
    pub(in crate::services) async fn unwanted(
        &self,
        run: &StepRun,
        resource: &Arc<Resource>,
        pinned: &Pinned,
        (may_be_done, why): (bool, String),
    ) -> Result<Decision, StoreError> {
        tracing::info!(run = run.key, instance = run.resource_id, why, "an answer no longer fits its instance");
        let asks = may_be_done && self.parts().runtime.is_reversible(&run.component) && !self.is_taken(run, pinned).await?;
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
            let page = self.parts().store.history(&run.resource_kind, &run.resource_id, seen, HISTORY_PAGE).await?;
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
    fn asking(&self, run: &StepRun, resource: &Arc<Resource>, last: &LastAnswer, error: Option<String>) -> Decision {
        let undo = StepRun {
            key: format!("{}{SUFFIX}", run.key),
            kind: RunKind::Undo,
            attempt: 1,
            input: serde_json::to_string(last).ok().map(Into::into),
            status: RunStatus::Ready,
            owner: None,
            fence: 0,
            crashes: 0,
            due_at: self.parts().clock.steady(),
            last_error: None,
            ..run.clone()
        };
        let settled = Some(settled(run, RunStatus::Done, run.attempt, error));
        Decision { commit: Commit { settled, runs: vec![undo], ..Commit::default() }, resource: Arc::clone(resource), finished: None }
    }

    /// A claimed run of a step, unless its instance has gone on without it: then what earlier attempts did is undone, and none is made.
    /// True if it was taken care of.
    pub(in crate::services) async fn abandon(&self, run: &StepRun, resource: &Arc<Resource>) -> bool {
        let (RunKind::Step, Some(progress)) = (run.kind, &resource.workflow) else { return false };
        let Ok(pinned) = self.parts().workflows.pinned(&progress.workflow, &progress.machine).await else { return false };
        if pinned.machine.awaits(&progress.instance, &run.name, run.visit) {
            return false;
        }
        let why = format!("the instance is in state '{}' and does not wait for this step", progress.instance.state);
        let (pinned, why) = (&pinned, &why);
        self.make_durable(run, || async move { self.unwanted(run, resource, pinned, (began_before(run), why.clone())).await }).await;
        true
    }

    /// One attempt to find out what became of a visit, or to undo it, until what follows is durable.
    pub(in crate::services) async fn undo(&self, run: &StepRun, resource: Arc<Resource>) {
        let found = match self.awaiting_machine(run, &resource).await {
            Ok(awaited) => self.ask(run, &resource, awaited).await,
            Err(error) => Found::Unknown(error.to_string()),
        };
        let (found, mut known) = (&found, Some(resource));
        self.make_durable(run, || {
            let known = known.take();
            async move {
                let resource = match known {
                    Some(resource) => resource,
                    None => self
                        .parts()
                        .store
                        .resource(&run.resource_kind, &run.resource_id)
                        .await?
                        .map_or_else(|| Arc::new(stand_in(run, self.parts().clock.now())), Arc::new),
                };
                self.decide_undo(run, &resource, found).await
            }
        })
        .await;
    }

    /// The machine, if the instance waits for the answer of this visit.
    async fn awaiting_machine(&self, run: &StepRun, resource: &Resource) -> Result<Option<Arc<Pinned>>, LookupError> {
        let Some(progress) = &resource.workflow else { return Ok(None) };
        let pinned = self.parts().workflows.pinned(&progress.workflow, &progress.machine).await?;
        let awaits = pinned.machine.awaits(&progress.instance, &run.name, run.visit);
        Ok(awaits.then_some(pinned))
    }

    /// Asks the component. A component that cannot tell is asked to undo it all the same: that needs no knowledge.
    async fn ask(&self, run: &StepRun, resource: &Resource, awaited: Option<Arc<Pinned>>) -> Found {
        let parts = self.parts();
        let job = self.job(run, resource).await;
        let config = parts.workflows.step_config(&run.workflow, &run.name);
        let place = parts.runtime.place(&run.component, true).await;
        let _slot = parts.in_flight.enter(&run.key);
        if awaited.is_some() {
            let report = parts.runtime.status_of(&place, &run.component, job.clone(), config).await;
            let said = match &report.verdict {
                Status::Done(_) => "done",
                Status::NotDone => "not_done",
                Status::Unknown(_) => "unknown",
            };
            parts.metrics.module_operation(&run.name, "status", said, report.wall);
            match report.verdict {
                Status::Done(fields) => return Found::Done(fields, report.digest),
                Status::NotDone => {}
                Status::Unknown(reason) => {
                    tracing::info!(run = run.key, instance = run.resource_id, reason, "a component cannot tell what became of a step");
                }
            }
        }
        let report = parts.runtime.undo(&place, &run.component, job, config).await;
        parts.metrics.module_operation(&run.name, "undo", if report.verdict.is_ok() { "undone" } else { "failed" }, report.wall);
        report.verdict.map_or_else(Found::Unknown, |()| Found::Undone)
    }

    async fn decide_undo(&self, run: &StepRun, resource: &Arc<Resource>, found: &Found) -> Result<Decision, StoreError> {
        let awaited = match self.awaiting_machine(run, resource).await {
            Ok(awaited) => awaited,
            Err(LookupError::Store(error)) => return Err(error),
            Err(error @ LookupError::Unusable { .. }) => return self.not_yet(run, resource, &error.to_string()).await,
        };
        let steady = self.parts().clock.steady();
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
                let merge = self.results(run, &Verdict::Accepted(fields.clone()));
                let origin = Origin { digest: Some(digest.clone()), merge: Some(merge), ..Origin::default() };
                self.follow(run, resource, &pinned, (StepOutcome::Accepted, last.attempt), origin)
            }
            (Found::Undone, Some(pinned)) => {
                let outcome = if last.rejected { StepOutcome::Rejected } else { StepOutcome::Permanent };
                let attempt = last.attempt;
                let undone = |reason: String| if last.rejected { reason } else { format!("{reason}; whatever it did was undone") };
                let reason = last.reason.map(undone);
                let mut fields = last.fields;
                fields.extend(reason.clone().map(|reason| ("reason".to_owned(), reason.into())));
                let origin = Origin { digest: Some(last.digest), reason, merge: Some(fields), ..Origin::default() };
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
    ) -> Decision {
        let mut resource = Resource::clone(resource);
        let Some(progress) = &mut resource.workflow else { return end(run, &Arc::new(resource), RunStatus::Done, None) };
        progress.attention.take_if(|reason| *reason == attention(run));
        let input = Input::StepFinished { step: run.name.clone(), visit: run.visit, attempt, outcome, jitter: 0.0 };
        match pinned.machine.advance(&progress.instance, &input) {
            Err(refusal) => end(run, &Arc::new(resource), RunStatus::Done, Some(refusal.to_string())),
            Ok((instance, effects)) => {
                let context =
                    Context { events: &self.parts().events, pinned, now: self.parts().clock.now(), steady: self.parts().clock.steady() };
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
    async fn not_yet(&self, run: &StepRun, resource: &Arc<Resource>, reason: &str) -> Result<Decision, StoreError> {
        let (now, attempt) = (self.parts().clock.steady(), run.attempt);
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
    async fn calmed(&self, run: &StepRun, resource: &Arc<Resource>) -> Result<Decision, StoreError> {
        let ours = resource.workflow.as_ref().is_some_and(|progress| progress.attention.as_ref() == Some(&attention(run)));
        if !ours {
            return Ok(end(run, resource, RunStatus::Done, None));
        }
        self.flagged(resource, None, settled(run, RunStatus::Done, run.attempt, None)).await
    }

    /// Changes what a person is told of an instance, and nothing else: a change replaces all timers, so those that run are kept.
    async fn flagged(&self, resource: &Arc<Resource>, attention: Option<String>, settled: Settled) -> Result<Decision, StoreError> {
        // If the instance has moved since it was read, they are others, and the guard refuses all of it.
        let timers = self.parts().store.timers(&resource.kind, &resource.id).await?;
        let guard = Guard::Version(resource.version);
        let mut changed = Resource { version: resource.version + 1, ..Resource::clone(resource) };
        if let Some(progress) = &mut changed.workflow {
            progress.attention = attention;
        }
        let commit = Commit { change: Some((guard, changed.clone())), settled: Some(settled), timers, ..Commit::default() };
        Ok(Decision { commit, resource: Arc::new(changed), finished: None })
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
