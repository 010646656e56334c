//! Finding out what became of a run that gave no answer, and undoing it: the interface `settlement`, of components that export it.

use std::time::Instant;

use serde_json::{Map, Value};

use super::answer::object;
use super::attempt::{guest_job, own_of_question, report, terms, unserved};
use super::bindings::{Effect, Failure};
use super::components::{Place, Runtime, not_configured};
use super::contract::ReversiblePre;
use super::sandbox::{AskStatus, Call, Undo};
use super::text::{MAX_REASON_BYTES, short, tamed};
use super::{Job, Limits, Report, Status};

impl<T> Report<T> {
    /// The same with another verdict.
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Report<U> {
        let Self { verdict, digest, wall, overhead, limit, lines_dropped, refused, answered, used, recording, alongside } = self;
        Report { verdict: change(verdict), digest, wall, overhead, limit, lines_dropped, refused, answered, used, recording, alongside }
    }
}

impl Runtime {
    /// Whether the version that serves a component can be asked about a run that gave no answer.
    #[must_use]
    pub fn is_reversible(&self, component: &str) -> bool {
        self.slot(component).ok().and_then(|slot| slot.serving()).is_some_and(|version| version.reversible.is_some())
    }

    /// Has a component say what became of the work under the job's key, within the job's timeout. Never fails: what goes wrong is
    /// [`Status::Unknown`].
    pub async fn status_of(&self, place: &Place, component: &str, job: Job, step_config: Option<&Map<String, Value>>) -> Report<Status> {
        let limits = self.slot(component).map(|slot| slot.settings.limits.clone()).unwrap_or_default();
        let report = self.settle(place, component, job, step_config, AskStatus).await;
        report.map(|answer| answer.map_or_else(Status::Unknown, |answer| status(component, answer, &limits)))
    }

    /// Has a component undo the work under the job's key, within the job's timeout. The verdict is the reason if it could not.
    pub async fn undo(
        &self,
        place: &Place,
        component: &str,
        job: Job,
        step_config: Option<&Map<String, Value>>,
    ) -> Report<Result<(), String>> {
        let report = self.settle(place, component, job, step_config, Undo).await;
        report.map(|answer| answer.and_then(|answer| answer.map_err(reason)))
    }

    async fn settle<C: Call>(
        &self,
        place: &Place,
        component: &str,
        job: Job,
        step_config: Option<&Map<String, Value>>,
        call: fn(ReversiblePre) -> C,
    ) -> Report<Result<C::Answer, String>> {
        let called = Instant::now();
        let Some(slot) = place.slot() else {
            return unserved(called, Err(not_configured(component)));
        };
        let Some(version) = slot.serving() else {
            return unserved(called, Err(format!("component '{component}' has no version that can serve")));
        };
        let Some(pre) = version.reversible.clone() else {
            let digest = short(&version.digest);
            return unserved(
                called,
                Err(format!(
                    "component '{component}' (version {digest}) does not export `settlement` of millrace:step: put a version in place that does"
                )),
            );
        };
        let own = own_of_question(slot, &version, (&job.kind, &job.instance_id), &self.kv);
        let terms = terms(slot, &version, &job, own);
        let job = guest_job(&self.clock, job, slot.config_for(step_config));
        let ran = self.sandbox.call(&call(pre), terms, &job).await;
        let (report, _) = report(ran, &version, called);
        report.map(|answer| answer.map_err(|why| format!("component '{component}' (version {}) {why}", short(&version.digest))))
    }
}

fn status(component: &str, answer: Result<Effect, Failure>, limits: &Limits) -> Status {
    match answer {
        Ok(Effect::Done(results)) => match object("results", &results, limits) {
            Ok(results) => Status::Done(results),
            Err(why) => Status::Unknown(format!("component '{component}' {why}")),
        },
        Ok(Effect::NotDone) => Status::NotDone,
        Err(failure) => Status::Unknown(reason(failure)),
    }
}

fn reason(failure: Failure) -> String {
    let (Failure::Transient(text) | Failure::Permanent(text)) = failure;
    tamed(&text, MAX_REASON_BYTES)
}
