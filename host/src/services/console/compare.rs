//! The jobs of the newest instances, done by the version that serves and by another one, and where their answers differ.

use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::actor::Actor;
use super::filter::Filter;
use super::instance;
use super::service::Console;
use super::trial::{InstanceName, TrialResult};
use crate::runtime::{Candidate, Tape};
use crate::services::ServiceError;
use crate::store::Resource;

/// Jobs that are done, unless somebody says otherwise, and at most.
const JOBS: (u32, u32) = (20, 50);
/// For one job on one version.
const TIMEOUT: Duration = Duration::from_secs(5);
/// After so long no further job is begun.
const PATIENCE: Duration = Duration::from_secs(30);
/// Differences that are told of one job.
pub(super) const MOST_DIFFERENCES: usize = 50;

/// Which version is compared with the one that serves.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "CompareRequest")]
pub struct CompareBody {
    /// SHA-256 of the version, in hex.
    pub digest: String,
    /// Jobs, those of the newest instances that the version that serves has moved; 20 if not given.
    #[schemars(range(min = 1, max = 50))]
    pub limit: Option<u32>,
    /// Name of the step whose jobs these are; the first that runs the component in the workflow of each instance, if not given.
    pub step: Option<String>,
}

/// What a comparison came to.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CompareResult {
    /// SHA-256 of the version that serves, in hex.
    pub serving: String,
    /// SHA-256 of the other one.
    pub candidate: String,
    /// Jobs that both have done.
    pub compared: usize,
    /// Those whose answers were alike.
    pub alike: usize,
    /// Jobs for which the time did not suffice.
    pub left_out: usize,
    /// Each of them, the newest instance first.
    pub jobs: Vec<Compared>,
}

/// One job on both versions.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ComparedJob")]
pub struct Compared {
    /// Instance whose data it works on.
    pub instance: InstanceName,
    /// Name of the step.
    pub step: String,
    /// Where the answers differ; nothing if they are alike.
    pub differences: Vec<Difference>,
    /// What the version that serves has said.
    pub serving: TrialResult,
    /// What the other one has.
    pub candidate: TrialResult,
}

/// One place in which two answers differ.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Difference {
    /// JSON pointer into the answer, such as `/outcome` or `/results/total`.
    pub at: String,
    /// What the version that serves has there; null if nothing.
    pub serving: Value,
    /// What the other one has there; null if nothing.
    pub candidate: Value,
}

impl Console {
    /// Has both versions do the jobs of the newest instances, with nothing granted, at one time and with the same random numbers. Nothing is
    /// kept of it.
    ///
    /// # Errors
    /// There is no such component or version, none serves, a number is out of its range, or too much is tried at once.
    pub async fn compare(&self, actor: &Actor, name: &str, body: &CompareBody) -> Result<CompareResult, ServiceError> {
        let limit = body.limit.unwrap_or(JOBS.0);
        if !(1..=JOBS.1).contains(&limit) {
            return Err(ServiceError::field("/limit", format!("{limit} is not accepted; expected 1 to {}", JOBS.1)));
        }
        let none = || ServiceError::Conflict(format!("no version of '{name}' serves with which another could be compared"));
        let serving = self.component(name)?.body.digest.ok_or_else(none)?;
        let ticket = self.room.trials.enter()?;
        let _turn = ticket.turn().await?;
        // Once for all jobs: a version that has never served is read from its copy.
        let versions = (self.candidate(name, &serving).await?, self.candidate(name, &body.digest).await?);
        let candidate = versions.1.about().digest.clone();
        self.note_design(actor, (name, "compare"), &candidate).await?;
        let moved = Filter { digest: Some(serving.clone()), ..Filter::default() };
        let found = self.find(&moved, None, limit as usize).await?.found;
        let jobs = found.into_iter().filter_map(|found| Some((self.step_of(name, &found.resource, body.step.as_deref())?, found.resource)));
        let (began, mut left_out, mut compared) = (Instant::now(), 0, Vec::new());
        for (step, resource) in jobs {
            if began.elapsed() > PATIENCE {
                left_out += 1;
                continue;
            }
            compared.push(self.compare_one(name, &versions, step, &resource).await?);
        }
        let alike = compared.iter().filter(|one| one.differences.is_empty()).count();
        Ok(CompareResult { serving, candidate, compared: compared.len(), alike, left_out, jobs: compared })
    }

    /// The step that is meant, if the workflow of the instance has it and the component does it.
    fn step_of(&self, component: &str, resource: &Resource, wanted: Option<&str>) -> Option<String> {
        let pinned = self.parts.workflows.current(&resource.workflow.as_ref()?.workflow)?;
        let mut steps = pinned.machine.definition().steps.iter().filter(|(_, step)| step.component == component).map(|(name, _)| name);
        steps.find(|name| wanted.is_none_or(|wanted| wanted == *name)).cloned()
    }

    async fn compare_one(
        &self,
        name: &str,
        (serving, candidate): &(Candidate, Candidate),
        step: String,
        resource: &Resource,
    ) -> Result<Compared, ServiceError> {
        let now = u64::try_from(self.parts.clock.now().as_nanosecond()).unwrap_or_default();
        let tape = Tape::beginning(now, rand::random());
        let workflow = resource.workflow.as_ref().map(|progress| progress.workflow.clone()).unwrap_or_default();
        let data = instance::visible(&self.parts, resource);
        let job = super::trial::job((workflow, step.clone()), &resource.id, &data, TIMEOUT);
        let serving = self.rehearse(name, serving, job.clone(), Some(tape.clone())).await?;
        let candidate = self.rehearse(name, candidate, job, Some(tape)).await?;
        let mut differences = Vec::new();
        collect(String::new(), &answer(&serving), &answer(&candidate), &mut differences);
        differences.truncate(MOST_DIFFERENCES);
        let instance = InstanceName { kind: resource.kind.clone(), id: resource.id.clone() };
        Ok(Compared { instance, step, differences, serving, candidate })
    }
}

/// What is compared of an answer: neither how long it took nor who gave it.
fn answer(result: &TrialResult) -> Value {
    let TrialResult { outcome, reason, code, results, limit, .. } = result;
    json!({"outcome": outcome, "reason": reason, "code": code, "results": results, "limit": limit})
}

pub(super) fn collect(at: String, ours: &Value, theirs: &Value, into: &mut Vec<Difference>) {
    if ours == theirs {
        return;
    }
    let (Value::Object(one), Value::Object(other)) = (ours, theirs) else {
        return into.push(Difference { at, serving: ours.clone(), candidate: theirs.clone() });
    };
    let value = |map: &Map<String, Value>, key: &str| map.get(key).cloned().unwrap_or(Value::Null);
    let only_there = other.keys().filter(|key| !one.contains_key(*key));
    for key in one.keys().chain(only_there) {
        let below = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        collect(below, &value(one, key), &value(other, key), into);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_that_differs_is_told_once() {
        let mut found = Vec::new();
        let ours = json!({"outcome": "accepted", "results": {"a": 1, "b": {"c/d": [1]}, "gone": true}});
        let theirs = json!({"outcome": "accepted", "results": {"a": 1, "b": {"c/d": [2]}, "new": 1}});
        collect(String::new(), &ours, &theirs, &mut found);
        let at: Vec<&str> = found.iter().map(|one| one.at.as_str()).collect();
        assert_eq!(at, ["/results/b/c~1d", "/results/gone", "/results/new"]);
        assert_eq!((&found[2].serving, &found[2].candidate), (&Value::Null, &json!(1)));
    }
}
