//! Whether an event tells the truth, as far as this process can know: whoever reaches the broker can write into its topics.
//!
//! Of an instance that is kept here, the history says what happened. Of one that another process keeps nothing is known, and
//! what an event says about it is taken for true. So is what this process has told itself a moment ago.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use millrace_workflow::Reaction;
use parking_lot::Mutex;

use super::strangers::Strangers;
use crate::bus::Event;
use crate::clock::Clock;
use crate::plan;
use crate::services::engine::Events;
use crate::services::engine::events::{CloudEvent, EventData};
use crate::store::{HistoryRow, Resource, Resources, StoreError};
use crate::telemetry::Metrics;

/// How often the log has a line about the events that one consumer ignores.
const QUIET: Duration = Duration::from_secs(60);

/// The metric's word for an event that may have been handled so long ago that this is forgotten.
const FORGOTTEN: &str = "may_be_handled";

/// Why nobody acts on an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Untrue {
    /// It is about an instance that is not there.
    Unknown,
    /// It says something else than what the instance's history says.
    Contradicted(String),
}

impl Untrue {
    /// The values of the metric's label `reason`.
    pub(super) const REASONS: [&'static str; 3] = ["unknown_instance", "contradicts_history", FORGOTTEN];

    fn reason(&self) -> &'static str {
        match self {
            Self::Unknown => Self::REASONS[0],
            Self::Contradicted(_) => Self::REASONS[1],
        }
    }
}

impl std::fmt::Display for Untrue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no such instance"),
            Self::Contradicted(how) => f.write_str(how),
        }
    }
}

/// What a witness judges by.
#[derive(Clone)]
pub(super) struct Known {
    /// What is kept here.
    pub store: Arc<dyn Resources>,
    /// What events of this process look like.
    pub events: Arc<Events>,
    /// Where events of other shops are noted.
    pub strangers: Arc<Strangers>,
    /// What time it is.
    pub clock: Clock,
    /// The date at which this process began: what happened later to what is kept here, it knows.
    pub since: Timestamp,
}

/// Knows what is kept here.
pub(super) struct Witness {
    known: Known,
    metrics: Metrics,
    kinds: BTreeSet<String>,
    workflows: BTreeSet<String>,
    /// How long finished instances stay; `None` is for ever.
    kept_for: Option<Duration>,
    /// Topics that nobody else publishes.
    topics: BTreeSet<String>,
    /// Topics of business events, which are not about transitions.
    business: BTreeSet<String>,
    told: Mutex<HashMap<String, Told>>,
}

/// When the log last had a line about a consumer, and how many events it has ignored since.
struct Told {
    at: Instant,
    since: u64,
}

impl Witness {
    /// Of what `plan` keeps.
    pub(super) fn new(plan: &plan::Plan, known: Known, metrics: Metrics) -> Self {
        let kinds = plan.resources.iter().filter(|handler| handler.workflow.is_some()).map(|handler| handler.kind.clone()).collect();
        let workflows = plan.workflows.iter().map(|workflow| workflow.machine.definition().name.clone()).collect();
        let kept_for = plan.database.as_ref().and_then(|database| database.retention.instances.as_ref()).map(|archive| archive.after);
        let topics: BTreeSet<String> = plan.workflows.iter().flat_map(|workflow| published(workflow, plan)).collect();
        let business: BTreeSet<String> =
            plan.components.iter().flat_map(|component| &component.capabilities.events).map(|event| event.topic.clone()).collect();
        let business = business.difference(&topics).cloned().collect();
        Self { known, metrics, kinds, kept_for, workflows, topics, business, told: Mutex::default() }
    }

    /// What is untrue of an event, if this process can know; nothing of one that it has sent itself.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) async fn doubt(&self, event: &Event, content: &CloudEvent, is_own: bool) -> Result<Option<Untrue>, StoreError> {
        let EventData { resource: kind, instance_id, workflow, .. } = &content.data;
        if !self.kinds.contains(kind) {
            let ours = self.workflows.contains(workflow) || self.topics.contains(&event.topic);
            return Ok(ours.then(|| Untrue::Contradicted(format!("its resource is '{kind}', and none that is kept here is of that kind"))));
        }
        if is_own && self.is_here_still(content) {
            return Ok(None);
        }
        let Some(resource) = self.known.store.resource(kind, instance_id).await? else { return Ok(Some(Untrue::Unknown)) };
        if self.business.contains(&event.topic) {
            // A component's own words, of which the history knows nothing.
            return Ok(None);
        }
        let before = content.data.seq.saturating_sub(1);
        let row = self.known.store.history(kind, instance_id, before, 1).await?.into_iter().next();
        let contradiction = contradiction_of_history(&content.data, row.as_ref(), &resource)
            .or_else(|| contradiction_of_name(event, content))
            .or_else(|| self.contradiction_of_data(&content.data, &resource));
        Ok(contradiction.map(Untrue::Contradicted))
    }

    /// Fields that nothing changes once the instance is there. What the host writes itself while it goes on is none of them: state and
    /// version, and the reason why a step said no, which is gone when it says yes.
    fn contradiction_of_data(&self, told: &EventData, resource: &Resource) -> Option<String> {
        let Ok(data) = told.object() else { return Some("its data is no object".to_owned()) };
        let protected = self.known.events.protected_fields(&resource.kind);
        let fixed = protected.iter().filter(|field| !matches!(field.as_str(), "state" | "version" | "reason"));
        let differs = |field: &&String| match (data.get(field.as_str()), field.as_str()) {
            (None, _) => false,
            (Some(said), "userId") => said.as_str() != resource.owner.as_deref(),
            (Some(said), "id") => said.as_str() != Some(resource.id.as_str()),
            (Some(said), field) => resource.data.get(field) != Some(said),
        };
        fixed.into_iter().find(differs).map(|field| format!("its `{field}` is not that of the instance"))
    }

    /// Whether an untrue event comes from a process with another database: it names one, or tells of what has happened since this process
    /// began and cannot be archived yet. The latter comes of a copy of this database: nobody but this process writes to its own.
    fn is_of_another(&self, content: &CloudEvent, is_own: bool) -> bool {
        let Some(database) = &content.database else { return false };
        // It is this process that does not keep any more what it has told of.
        if is_own {
            return false;
        }
        if database != self.known.events.database() {
            return true;
        }
        self.is_here_still(content)
    }

    /// Whether what the event tells has happened since this process began, and cannot be archived yet if it happened here.
    fn is_here_still(&self, content: &CloudEvent) -> bool {
        let Ok(at) = content.time.parse::<Timestamp>() else { return false };
        let age = Duration::try_from(self.known.clock.now().duration_since(at)).unwrap_or_default();
        at > self.known.since && self.kept_for.is_none_or(|kept_for| age < kept_for)
    }

    /// Counts an event that nobody acts on. The log has a line about the first of a consumer, and then one a minute at most.
    pub(super) fn ignore(&self, consumer: &str, event: &Event, content: &CloudEvent, is_own: bool, untrue: &Untrue) {
        self.metrics.ignored_event(&event.topic, consumer, untrue.reason());
        let stranger = self.is_of_another(content, is_own);
        if stranger {
            self.known.strangers.note(&event.topic);
        }
        let Some(more) = self.may_tell(consumer) else { return };
        tracing::warn!(
            consumer,
            topic = event.topic,
            event = event.id,
            key = event.key,
            reason = %untrue,
            more,
            stranger,
            "an event is ignored, because it tells what did not happen here: somebody else writes into the topic, another shop uses the same topics (stranger), or the database was put back"
        );
    }

    /// Counts an event that nobody acts on, because it is older than what is known of those that were handled: it may have been.
    pub(super) fn forget(&self, consumer: &str, event: &Event, since: Timestamp) {
        self.metrics.ignored_event(&event.topic, consumer, FORGOTTEN);
        let Some(more) = self.may_tell(consumer) else { return };
        tracing::warn!(
            consumer,
            topic = event.topic,
            event = event.id,
            key = event.key,
            more,
            %since,
            "an event is ignored: the broker does not know how far this group had come (has it another name, was it away for long, or is the topic new to it?), and what was handled so long ago is forgotten; `millrace republish` tells what happened since then"
        );
    }

    /// Whether the log may have a line about a consumer now, and how many it has not had since the last one.
    fn may_tell(&self, consumer: &str) -> Option<u64> {
        let mut told = self.told.lock();
        let now = Instant::now();
        match told.get_mut(consumer) {
            Some(told) if now.duration_since(told.at) < QUIET => {
                told.since += 1;
                None
            }
            Some(told) => Some(std::mem::replace(told, Told { at: now, since: 0 }).since),
            None => {
                told.insert(consumer.to_owned(), Told { at: now, since: 0 });
                Some(0)
            }
        }
    }
}

/// Topics on which a process that has this workflow tells of it.
fn published(workflow: &plan::Workflow, plan: &plan::Plan) -> Vec<String> {
    let definition = workflow.machine.definition();
    let announcers: BTreeSet<&str> = definition
        .hooks
        .iter()
        .filter_map(|hook| match &hook.reaction {
            Reaction::Announce(handler) => Some(handler.as_str()),
            Reaction::Step(_) | Reaction::Task(_) | Reaction::Create(_) => None,
        })
        .collect();
    let prefixes = plan.handlers.iter().filter(|handler| announcers.contains(handler.name.as_str())).map(|handler| &handler.prefix);
    let names = || definition.states.keys().map(String::as_str).chain(["created"]);
    prefixes.flat_map(|prefix| names().map(move |name| format!("{prefix}.{name}"))).collect()
}

/// `row` is that with the event's number, or, of a creation, the first.
fn contradiction_of_history(told: &EventData, row: Option<&HistoryRow>, resource: &Resource) -> Option<String> {
    let workflow = resource.workflow.as_ref().map(|progress| progress.workflow.as_str());
    if workflow != Some(told.workflow.as_str()) {
        return Some(format!("its workflow is '{}', and that of the instance is '{}'", told.workflow, workflow.unwrap_or("none")));
    }
    let happened = match (told.seq, row) {
        (0, row) => {
            let first = row.map_or(resource.state.as_str(), |row| row.from.as_str());
            told.transition.is_none() && told.from_state.is_none() && told.to_state == first
        }
        (seq, Some(row)) => {
            row.seq == seq
                && told.transition.as_ref() == Some(&row.transition)
                && told.from_state.as_ref() == Some(&row.from)
                && told.to_state == row.to
        }
        (_, None) => false,
    };
    (!happened).then(|| {
        let transition = told.transition.as_deref().unwrap_or("creation");
        format!("the history has no {transition} into '{}' as number {}", told.to_state, told.seq)
    })
}

/// A topic is named after the state, and the event after the topic.
fn contradiction_of_name(event: &Event, content: &CloudEvent) -> Option<String> {
    let told = &content.data;
    let last = if told.seq == 0 { "created" } else { told.to_state.as_str() };
    let named = content.event_type == event.topic && event.topic.strip_suffix(last).is_some_and(|prefix| prefix.ends_with('.'));
    (!named || content.subject != told.instance_id).then(|| {
        format!("it is about '{}' entering '{}', and came as '{}' on this topic", told.instance_id, told.to_state, content.event_type)
    })
}
