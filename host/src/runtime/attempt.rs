//! One attempt at a job by one version of a component: what is alike whoever asks for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::alongside::{Alongside, Own};
use super::answer::{is_too_large, verdict};
use super::bindings::GuestJob;
use super::budget::Limit;
use super::guest_log::{Line, Speaker};
use super::inspect::Contract;
use super::kv::{KvSource, Place, State};
use super::published::Publishing;
use super::recording::Recording;
use super::sandbox::{Ran, Sandbox, Terms};
use super::slot::{Slot, Version};
use super::{Job, Report, Used, Verdict};
use crate::clock::Clock;

/// What a run of `version` has of its own that makes an attempt about an instance, of this kind and id: what it writes is handed over with its
/// answer. Its state is read from `source`.
pub(super) fn own_of_attempt(slot: &Slot, version: &Version, instance: (&str, &str), source: &Arc<dyn KvSource>) -> Own {
    let mut own = own_of_question(slot, version, instance, source);
    if version.contract() == Contract::Second {
        own.kv.let_write();
        own.events = Publishing::of(&slot.declared);
    }
    own
}

/// The same of a run that is asked what became of a job, which writes nothing.
pub(super) fn own_of_question(slot: &Slot, version: &Version, (kind, id): (&str, &str), source: &Arc<dyn KvSource>) -> Own {
    let (Contract::Second, Some(grant)) = (version.contract(), slot.settings.capabilities.kv) else { return Own::default() };
    let place = Place { component: slot.settings.name.clone(), kind: kind.to_owned(), id: id.to_owned() };
    Own { kv: State::of(grant, place, Arc::clone(source)), ..Own::default() }
}

/// Of a call that was not made.
pub(super) fn unserved<T>(called: Instant, verdict: T) -> Report<T> {
    Report {
        verdict,
        digest: String::new(),
        wall: called.elapsed(),
        overhead: Duration::ZERO,
        limit: None,
        lines_dropped: false,
        refused: None,
        answered: false,
        used: Used::default(),
        recording: None,
        alongside: Alongside::default(),
    }
}

/// What a call that is made of `version` runs with, `own` among it.
pub(super) fn terms<'s>(slot: &'s Slot, version: &Version, job: &Job, own: Own) -> Terms<'s> {
    let speaker =
        Speaker { component: slot.name(), digest: Arc::clone(&version.digest), instance: job.instance_id.clone(), step: job.step.clone() };
    let traceparent = job.traceparent.as_deref().and_then(|text| text.try_into().ok());
    let granted = Arc::clone(&slot.granted);
    let (limits, contract) = (&slot.settings.limits, version.contract());
    Terms { speaker, limits, granted, wall: job.timeout, traceparent, deck: None, keeps_lines: false, own, contract }
}

/// A job as the component gets it; its time begins now.
pub(super) fn guest_job(clock: &Clock, job: Job, config: String) -> GuestJob {
    let timeout = i64::try_from(job.timeout.as_millis()).unwrap_or(i64::MAX);
    let deadline = clock.now().as_millisecond().saturating_add(timeout);
    GuestJob {
        workflow: job.workflow,
        instance_id: job.instance_id,
        step: job.step,
        transition: job.transition,
        from_state: job.from_state,
        to_state: job.to_state,
        attempt: job.attempt,
        visit: job.visit,
        idempotency_key: job.idempotency_key,
        deadline: u64::try_from(deadline).unwrap_or_default(),
        data: job.data,
        config,
    }
}

/// Has `version` do the job, unless it says itself that it cannot read its data. The verdict is why there is none, as a clause that goes on
/// after the component's name, if it gave no answer that is one. With its log lines, if the terms want them.
pub(super) async fn attempt(
    sandbox: &Sandbox,
    version: &Version,
    terms: Terms<'_>,
    job: &GuestJob,
    called: Instant,
) -> (Report<Result<Verdict, String>>, Vec<Line>) {
    let (limits, wall) = (terms.limits, terms.wall);
    if let Some(why) = version.schemas.refusal_of(&job.data) {
        let verdict = Ok(Verdict::Permanent(format!("component '{}' {why}", terms.speaker.component)));
        return (Report { digest: version.digest.to_string(), ..unserved(called, verdict) }, Vec::new());
    }
    let component = Arc::clone(&terms.speaker.component);
    let ran = sandbox.process(&version.pre, terms, job).await;
    let too_large = ran.answer.as_ref().is_ok_and(|answer| is_too_large(answer, limits));
    let judged = match &ran.answer {
        Ok(answer) => verdict(answer, limits),
        Err(ended) => Err(ended.text.clone()),
    };
    let contradiction = judged.as_ref().ok().and_then(|verdict| version.schemas.contradiction_of(verdict));
    let broke_its_word = contradiction.is_some();
    let judged = contradiction.map_or(judged, |why| Ok(Verdict::Permanent(format!("component '{component}' {why}"))));
    // An ordinary run pays for no copy.
    let has_failed = !matches!(judged, Ok(Verdict::Accepted(_) | Verdict::Rejected { .. }));
    let recording = has_failed.then(|| Recording::of(job, ran.deck.as_ref(), (&version.digest, wall), &ran.answer));
    let (report, lines) = report(ran, version, called);
    let mut report = report.map(|_| judged);
    report.limit = report.limit.or(too_large.then_some(Limit::Output));
    report.answered = report.verdict.is_ok() && !broke_its_word;
    if has_failed {
        report.alongside = Alongside::default();
    }
    report.recording = recording;
    (report, lines)
}

/// What there is to know of a run that is over, and its log lines.
pub(super) fn report<T>(ran: Ran<T>, version: &Version, called: Instant) -> (Report<Result<T, String>>, Vec<Line>) {
    let limit = ran.answer.as_ref().err().and_then(|ended| ended.limit);
    let answered = ran.answer.is_ok();
    let report = Report {
        verdict: ran.answer.map_err(|ended| ended.text),
        digest: version.digest.to_string(),
        wall: called.elapsed(),
        overhead: ran.overhead,
        limit,
        lines_dropped: ran.lines_dropped,
        refused: ran.refused,
        answered,
        used: ran.used,
        recording: None,
        alongside: ran.alongside,
    };
    (report, ran.lines)
}
