//! A version of a component, tried with one job before it serves.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::actor::Actor;
use super::instance;
use super::service::Console;
use crate::runtime::{Candidate, Job, Limit, Tape, Verdict};
use crate::services::ServiceError;
use crate::store::Object;

/// For a trial.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What is tried.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "TrialRequest")]
pub struct TrialBody {
    /// SHA-256 of the version, in hex; the one that serves if not given.
    pub digest: Option<String>,
    /// Name of the step that it is told.
    pub step: Option<String>,
    /// Data that it works on.
    pub data: Option<Object>,
    /// An instance whose data it works on instead; private fields are hidden from it too.
    pub instance: Option<InstanceName>,
}

/// Kind and id of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstanceName {
    /// Kind of the resource.
    pub kind: String,
    /// Its id.
    pub id: String,
}

/// What a trial came to.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrialResult {
    /// SHA-256 of the version.
    pub digest: String,
    /// `accepted`, `rejected`, `transient` or `permanent`.
    pub outcome: &'static str,
    /// Why not, for a person.
    pub reason: Option<String>,
    /// The same for programs, of what was rejected.
    pub code: Option<String>,
    /// What it would add to the data.
    pub results: Object,
    /// How long it took.
    pub seconds: f64,
    /// Limit of the sandbox that ended it.
    pub limit: Option<&'static str>,
}

impl Console {
    /// Has a version of a component do one job, with nothing granted; nothing is kept of it.
    ///
    /// # Errors
    /// There is no such component, version or instance; neither data nor an instance was given; or too much is tried at once.
    pub async fn try_out(&self, actor: &Actor, name: &str, trial: TrialBody) -> Result<TrialResult, ServiceError> {
        if !self.parts.runtime.may_try(name) {
            return Err(ServiceError::NotFound { what: format!("component '{name}'") });
        }
        let TrialBody { digest, step, data, instance } = trial;
        let (id, data) = match (data, instance) {
            (Some(data), None) => ("trial".to_owned(), data),
            (None, Some(InstanceName { kind, id })) => {
                let found = self.parts.store.resource(&kind, &id).await?;
                let resource = found.ok_or_else(|| ServiceError::NotFound { what: format!("{kind} instance '{id}'") })?;
                (id, instance::visible(&self.parts, &resource))
            }
            _ => return Err(ServiceError::field("", "expected either `data` or `instance`")),
        };
        let serving = || self.component(name).map(|component| component.body.digest);
        let none = || ServiceError::Conflict(format!("no version of '{name}' serves; name one by its digest"));
        let digest = match digest {
            Some(digest) => digest,
            None => serving()?.ok_or_else(none)?,
        };
        let step = step.unwrap_or_else(|| "trial".to_owned());
        let ticket = self.room.trials.enter()?;
        let _turn = ticket.turn().await?;
        let candidate = self.candidate(name, &digest).await?;
        self.note_design(actor, (name, "trial"), &digest).await?;
        self.rehearse(name, &candidate, job(("trial".to_owned(), step), &id, &data, TIMEOUT), None).await
    }

    /// A version of a component, to do some jobs.
    pub(super) async fn candidate(&self, name: &str, digest: &str) -> Result<Candidate, ServiceError> {
        self.parts.runtime.candidate(name, digest).await.map_err(|error| ServiceError::Conflict(format!("{error:#}")))
    }

    /// Writes down who has a version of a component do something.
    pub(super) async fn note_design(&self, actor: &Actor, (name, action): (&str, &str), digest: &str) -> Result<(), ServiceError> {
        let (action, subject) = (format!("components.{action}"), format!("components/{name}@{digest}"));
        self.note(actor.of.did(self.parts.clock.now(), action, subject, None)).await
    }

    /// Has a version do a job, with nothing granted, and finding what a tape says.
    pub(super) async fn rehearse(
        &self,
        name: &str,
        candidate: &Candidate,
        job: Job,
        tape: Option<Tape>,
    ) -> Result<TrialResult, ServiceError> {
        let config = self.parts.workflows.step_config(&job.workflow, &job.step);
        let tried = self.parts.runtime.try_out(name, candidate, job, config.as_deref(), tape).await;
        let report = tried.map_err(|error| ServiceError::Conflict(format!("{error:#}")))?;
        let (outcome, reason, code, results) = match report.verdict {
            Verdict::Accepted(results) => ("accepted", None, None, results),
            Verdict::Rejected { code, reason, details } => ("rejected", Some(reason), Some(code), details),
            Verdict::Transient(reason) => ("transient", Some(reason), None, Object::new()),
            Verdict::Permanent(reason) => ("permanent", Some(reason), None, Object::new()),
        };
        let limit = report.limit.map(Limit::as_str);
        Ok(TrialResult {
            digest: candidate.about().digest.clone(),
            outcome,
            reason,
            code,
            results,
            seconds: report.wall.as_secs_f64(),
            limit,
        })
    }
}

/// A job that nobody waits for, of a step of a workflow.
pub(super) fn job((workflow, step): (String, String), id: &str, data: &Object, timeout: Duration) -> Job {
    let text = || "trial".to_owned();
    Job {
        workflow,
        // It reads no state, so none has to be found.
        kind: String::new(),
        instance_id: id.to_owned(),
        step,
        transition: text(),
        from_state: text(),
        to_state: text(),
        attempt: 1,
        visit: 1,
        idempotency_key: format!("trial:{}", uuid::Uuid::now_v7()),
        timeout,
        traceparent: None,
        data: serde_json::to_string(data).unwrap_or_default(),
    }
}
