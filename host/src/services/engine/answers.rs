//! What a component's answer says: to the machine, to the data, to the log and to people.

use millrace_workflow::StepOutcome;

use super::events::Events;
use crate::runtime::Verdict;
use crate::store::{Object, StepRun};

/// What people are told of a step that gave no answer.
pub(super) const UNANSWERED: &str = "the service behind this step did not answer in time";

/// What the answer adds to the data: never a field that the creator of the resource wrote.
pub(super) fn results(events: &Events, run: &StepRun, verdict: &Verdict) -> Object {
    let mut fields = match verdict {
        Verdict::Accepted(fields) => fields.clone(),
        Verdict::Rejected { details, .. } => details.clone(),
        Verdict::Transient(_) | Verdict::Permanent(_) => Object::new(),
    };
    let protected = events.protected_fields(&run.resource_kind);
    fields.retain(|name, _| {
        let allowed = !protected.contains(name);
        if !allowed {
            tracing::warn!(
                run = run.key,
                instance = run.resource_id,
                component = run.component,
                field = name,
                "a component may not change this field; ignored"
            );
        }
        allowed
    });
    if let Some(reason) = reason_for_people(verdict).filter(|_| !protected.contains("reason")) {
        fields.insert("reason".into(), reason.into());
    }
    fields
}

/// What the machine is told.
pub(super) fn outcome(verdict: &Verdict) -> StepOutcome {
    match verdict {
        Verdict::Accepted(_) => StepOutcome::Accepted,
        Verdict::Rejected { .. } => StepOutcome::Rejected,
        Verdict::Transient(_) => StepOutcome::Transient,
        Verdict::Permanent(_) => StepOutcome::Permanent,
    }
}

/// Why it did not accept, for the log and the run.
pub(super) fn failure_text(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Accepted(_) => None,
        Verdict::Rejected { reason, .. } => Some(reason.clone()),
        Verdict::Transient(reason) | Verdict::Permanent(reason) => Some(reason.clone()),
    }
}

/// What the owner of the instance is told. A fault's own text is for the log and the run: it may name what is inside.
pub(super) fn reason_for_people(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Accepted(_) => None,
        Verdict::Rejected { reason, .. } => Some(reason.clone()),
        Verdict::Transient(_) => Some(UNANSWERED.into()),
        Verdict::Permanent(_) => Some("this step cannot be done".into()),
    }
}
