//! What this process does when an event arrives: fire a transition, or run a messaging handler's component.
//!
//! Both happen once per event, whatever is delivered twice, shuffled or late. A transition that no longer fits is no
//! fault: the database moves instances, events only nudge.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use millrace_workflow::{Cause, Input, Refusal, RunKind};
use parking_lot::RwLock;

use super::inline_execution::InlineRuns;
use super::own_events::OwnEvents;
use super::strangers::Strangers;
use super::witness::{Known, Untrue, Witness};
use crate::bus::{Bus, Event, Receipt, Sink, Subscription};
use crate::clock::Clock;
use crate::crash_point;
use crate::plan;
use crate::services::engine::commit_plan::Origin;
use crate::services::engine::events::{self, CloudEvent};
use crate::services::engine::{Events, FireError, LookupError, MAX_WAITING, Pipeline, Waits};
use crate::services::users::TokenVerifier;
use crate::store::{Conflict, DeadLetter, InboxRow, Messages, OutboxRow, Resources, StartedBy, StepRun, StoreError, WaitingEvent};
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use crate::telemetry::traces::{self, Kind, Span};

/// What a consumer does with its events.
enum Consumer {
    Fire(plan::EventTrigger),
    Handle(plan::MessagingHandler),
    /// Tokens of an account have ended, which another process keeps.
    Hear(TokenVerifier),
}

/// The consumer that hears of accounts.
const ACCOUNTS: &str = "accounts";

/// What event consumers work with.
pub struct Dependencies {
    /// Moves instances.
    pub pipeline: Pipeline,
    /// The resources that events are about.
    pub store: Arc<dyn Resources>,
    /// What was received, and dead letters.
    pub messages: Arc<dyn Messages>,
    /// What events look like.
    pub events: Arc<Events>,
    /// What checks tokens here, if another process keeps the accounts.
    pub tokens: Option<TokenVerifier>,
    /// Where it is noted that other shops take part.
    pub strangers: Arc<Strangers>,
    /// Which events this process has sent.
    pub own: Arc<OwnEvents>,
    /// Time.
    pub clock: Clock,
    /// Where work is spawned.
    pub tasks: Tasks,
    /// What is counted.
    pub metrics: Metrics,
}

/// The event consumers of a process, by name.
pub struct EventConsumers {
    shared: Shared,
    tasks: Tasks,
    metrics: Metrics,
    known: Known,
    tokens: Option<TokenVerifier>,
    consumers: RwLock<Arc<Consumers>>,
    system: &'static str,
    own: Arc<OwnEvents>,
    /// Whether events come from nobody but this process.
    bus_is_private: bool,
}

/// Those of one config, and what it knows of their events.
struct Consumers {
    by_name: HashMap<String, Arc<Consumer>>,
    subscriptions: Vec<Subscription>,
    witness: Witness,
}

/// What all of them need.
#[derive(Clone)]
struct Shared {
    pipeline: Pipeline,
    inline: InlineRuns,
    messages: Arc<dyn Messages>,
    clock: Clock,
}

/// One event that has come for one consumer.
struct Received {
    shared: Shared,
    /// As they were when it came.
    consumers: Arc<Consumers>,
    consumer: String,
    event: Event,
    /// Whether this process has sent it.
    is_own: bool,
    content: CloudEvent,
}

impl EventConsumers {
    /// From the plan's triggers and handlers, for what comes over `bus`.
    #[must_use]
    pub fn new(dependencies: Dependencies, plan: &plan::Plan, bus: &dyn Bus) -> Self {
        let Dependencies { pipeline, store, messages, events, tokens, strangers, own, clock, tasks, metrics } = dependencies;
        let known = Known { store, events, strangers, clock: clock.clone(), since: clock.now() };
        let inline = InlineRuns { pipeline: pipeline.clone(), clock: clock.clone(), tasks: tasks.clone() };
        Self {
            shared: Shared { pipeline, inline, messages, clock },
            consumers: RwLock::new(Arc::new(Consumers::of(plan, (&known, tokens.as_ref()), &metrics))),
            tasks,
            metrics,
            known,
            tokens,
            system: bus.system(),
            own,
            bus_is_private: bus.is_private(),
        }
    }

    /// What another plan says counts for events that come from now on. One that comes for a consumer of before is nobody's any more.
    pub fn exchange(&self, plan: &plan::Plan) {
        let consumers = Arc::new(Consumers::of(plan, (&self.known, self.tokens.as_ref()), &self.metrics));
        *self.consumers.write() = consumers;
    }

    fn consumers(&self) -> Arc<Consumers> {
        Arc::clone(&self.consumers.read())
    }

    /// The consumer that a `messaging.handler` of this name is on the bus.
    #[must_use]
    pub fn consumer_of(handler: &str) -> String {
        format!("handler:{handler}")
    }

    fn span(&self, consumer: &str, event: &Event) -> Span {
        let Some(published) = &event.traceparent else { return Span::default() };
        let span = Span::begin(Kind::Consumer, Some(published), || format!("process {}", event.topic));
        span.set("messaging.system", || self.system)
            .set("messaging.operation.name", || "process")
            .set("messaging.operation.type", || "process")
            .set("messaging.destination.name", || event.topic.clone())
            .set("messaging.consumer.group.name", || consumer.to_owned())
            .set("messaging.message.id", || event.id.clone());
        span
    }

    /// What to subscribe to.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<Subscription> {
        self.consumers.read().subscriptions.clone()
    }
}

impl Consumers {
    fn of(plan: &plan::Plan, (known, tokens): (&Known, Option<&TokenVerifier>), metrics: &Metrics) -> Self {
        let mut by_name = HashMap::new();
        let mut subscriptions = Vec::new();
        for trigger in &plan.event_triggers {
            let consumer = format!("trigger:{}:{}", trigger.workflow, trigger.transition);
            subscriptions.push(Subscription { consumer: consumer.clone(), topic: trigger.topic.clone() });
            by_name.insert(consumer, Arc::new(Consumer::Fire(trigger.clone())));
        }
        for handler in &plan.handlers {
            let consumer = EventConsumers::consumer_of(&handler.name);
            subscriptions.extend(handler.topics.iter().map(|topic| Subscription { consumer: consumer.clone(), topic: topic.clone() }));
            by_name.insert(consumer, Arc::new(Consumer::Handle(handler.clone())));
        }
        let topics = plan.auth.as_ref().and_then(|auth| auth.topics.as_ref());
        if let (Some(topics), Some(tokens)) = (topics, tokens) {
            subscriptions.push(Subscription { consumer: ACCOUNTS.to_owned(), topic: topics.changed.clone() });
            by_name.insert(ACCOUNTS.to_owned(), Arc::new(Consumer::Hear(tokens.clone())));
        }
        for subscription in &subscriptions {
            metrics.consumer(&subscription.topic, &subscription.consumer, &Untrue::REASONS);
        }
        let witness = Witness::new(plan, known.clone(), metrics.clone());
        Self { by_name, subscriptions, witness }
    }
}

impl Received {
    async fn consume(&self, by: &Consumer) -> Receipt {
        crash_point!("event-received");
        let receipt = match by {
            Consumer::Fire(trigger) => self.fire(trigger).await,
            Consumer::Handle(handler) => self.handle(handler).await,
            Consumer::Hear(tokens) => self.hear(tokens).await,
        };
        crash_point!("event-handled");
        receipt
    }

    async fn fire(&self, trigger: &plan::EventTrigger) -> Receipt {
        let Self { shared: Shared { pipeline, .. }, consumers, consumer, event, content, .. } = self;
        if content.event_type != trigger.event || content.data.workflow != trigger.workflow {
            return Receipt::Done;
        }
        let (kind, id) = (&content.data.resource, &content.data.instance_id);
        if pipeline.has_left_behind((kind, id), &trigger.workflow, &trigger.transition).await {
            return Receipt::Done;
        }
        match pipeline.let_wait(|| self.waiting(trigger)).await {
            Ok(Waits::No) => {}
            Ok(Waits::Yes) | Err(StoreError::Conflict(_)) => return Receipt::Done,
            Ok(Waits::TooMany) => return Receipt::Poison(format!("{kind} '{id}' is held, and {MAX_WAITING} events wait for it already")),
            Err(error) => return not_taken(error),
        }
        let choose = |_: &_, _: &_| -> Result<(Input, Origin), Refusal> {
            let input = Input::Fire { transition: trigger.transition.clone(), cause: Cause::Event };
            let inbox = Some(InboxRow { consumer: consumer.clone(), event_id: event.id.clone() });
            Ok((input, Origin { inbox, traceparent: context_of(event), ..Origin::default() }))
        };
        match pipeline.fire(kind, id, &choose).await {
            Ok(_) | Err(FireError::Refused(_) | FireError::Store(StoreError::Conflict(_))) => Receipt::Done,
            Err(FireError::Gone) => {
                consumers.witness.ignore(consumer, event, content, self.is_own, &Untrue::Unknown);
                Receipt::Done
            }
            Err(FireError::Store(error) | FireError::Lookup(LookupError::Store(error))) => not_taken(error),
            Err(error) => Receipt::Retry(error.to_string()),
        }
    }

    /// What the event is while its instance is held.
    fn waiting(&self, trigger: &plan::EventTrigger) -> WaitingEvent {
        let Self { shared, consumer, event, content, .. } = self;
        WaitingEvent {
            number: 0,
            kind: content.data.resource.clone(),
            id: content.data.instance_id.clone(),
            consumer: consumer.clone(),
            event_id: event.id.clone(),
            transition: trigger.transition.clone(),
            traceparent: context_of(event),
            at: shared.clock.now(),
        }
    }

    /// Believes what was signed with the key of the installation, so that nobody who reaches the broker ends anybody's tokens.
    async fn hear(&self, tokens: &TokenVerifier) -> Receipt {
        let Self { consumers, consumer, event, content, .. } = self;
        let data = content.data.object().unwrap_or_default();
        let notice = data.get("notice").and_then(serde_json::Value::as_str).unwrap_or_default();
        match tokens.hear(notice).await {
            Ok(true) => {}
            Ok(false) => {
                let forged = Untrue::Contradicted("its notice was not made by a process with the key of this one".to_owned());
                consumers.witness.ignore(consumer, event, content, self.is_own, &forged);
            }
            Err(error) => return not_taken(error),
        }
        Receipt::Done
    }

    /// Has the handler's work done, or made durable: the pipeline tries again until it is done, without holding up the bus.
    async fn handle(&self, handler: &plan::MessagingHandler) -> Receipt {
        let Self { shared: Shared { inline, messages, .. }, consumers, consumer, event, is_own, content } = self;
        let witness = &consumers.witness;
        match witness.doubt(event, content, *is_own).await {
            Ok(None) => {}
            Ok(Some(untrue)) => {
                witness.ignore(consumer, event, content, *is_own, &untrue);
                return Receipt::Done;
            }
            Err(error) => return not_taken(error),
        }
        let Some(component) = &handler.component else {
            tracing::info!(handler = handler.name, topic = event.topic, instance = event.key, "event received");
            return Receipt::Done;
        };
        let inbox = InboxRow { consumer: consumer.clone(), event_id: event.id.clone() };
        if !event.is_new {
            match messages.handled(&inbox).await {
                Ok(true) => return Receipt::Done,
                Ok(false) => {}
                Err(error) => return not_taken(error),
            }
        }
        match inline.execute(self.run(handler, component), inbox).await {
            Ok(()) | Err(StoreError::Conflict(Conflict::Duplicate { .. })) => Receipt::Done,
            Err(error) => not_taken(error),
        }
    }

    fn run(&self, handler: &plan::MessagingHandler, component: &str) -> StepRun {
        let Self { event, content, .. } = self;
        let data = &content.data;
        let by = StartedBy {
            resource_kind: data.resource.clone(),
            resource_id: data.instance_id.clone(),
            workflow: data.workflow.clone(),
            transition: data.transition.clone().unwrap_or_default(),
            from_state: data.from_state.clone().unwrap_or_default(),
            to_state: data.to_state.clone(),
        };
        let key = format!("{}:{}:{}", data.instance_id, handler.name, event.id);
        let first = StepRun::first(key, by, RunKind::Task, (&handler.name, component), self.shared.clock.steady());
        StepRun { input: Some(data.data.get().into()), traceparent: context_of(event).map(Into::into), ..first }
    }
}

/// What becomes of an event that the store kept this process from taking. That the store cannot work now says nothing of the event.
fn not_taken(error: StoreError) -> Receipt {
    match error {
        StoreError::Unavailable(_) => Receipt::Wait(error.to_string()),
        error => Receipt::Retry(error.to_string()),
    }
}

/// What the effect of an event is caused by: the span in which it is handled, or else whatever has published it.
fn context_of(event: &Event) -> Option<String> {
    traces::current().or_else(|| event.traceparent.clone())
}

#[async_trait]
impl Sink for EventConsumers {
    async fn receive(&self, consumer: &str, event: &Event) -> Receipt {
        let consumers = self.consumers();
        let Some(by) = consumers.by_name.get(consumer).cloned() else {
            tracing::debug!(consumer, event = event.id, topic = event.topic, "an event came for a consumer that the config has no more");
            return Receipt::Done;
        };
        let is_own = self.bus_is_private || self.own.have(event);
        let content = match events::parse(&event.payload, is_own) {
            Ok(content) => content,
            Err(reason) => return Receipt::Poison(reason),
        };
        // Spawned, because a bus that loses its patience drops what it waits for: a run that was claimed would not be begun.
        let (shared, event) = (self.shared.clone(), event.clone());
        let span = self.span(consumer, &event);
        let received = Received { shared, consumers, consumer: consumer.to_owned(), event, is_own, content };
        let consuming = self.tasks.spawn(span.clone().around(async move { received.consume(&by).await }));
        let receipt = consuming.await.unwrap_or_else(|error| Receipt::Retry(format!("the consumer failed: {error}")));
        if let Receipt::Retry(reason) | Receipt::Wait(reason) | Receipt::Poison(reason) = &receipt {
            span.fail(reason.clone());
        }
        receipt
    }

    /// Only what handlers do to others, such as telling customers, may not be done twice: what a trigger does to an instance is done once by
    /// the instance's own state, and what ends tokens ends them again.
    async fn may_be_forgotten(&self, consumer: &str, event: &Event, published: Timestamp) -> bool {
        let consumers = self.consumers();
        if !matches!(consumers.by_name.get(consumer).map(Arc::as_ref), Some(Consumer::Handle(_))) {
            return false;
        }
        let Ok(Some(since)) = self.shared.messages.handled_since().await else { return false };
        // What is stored has the steady time, which may be ahead of the date for ever; a broker knows dates.
        let clock = &self.shared.clock;
        let Ok(since) = since.checked_sub(clock.steady().duration_since(clock.now())) else { return false };
        if published >= since {
            return false;
        }
        consumers.witness.forget(consumer, event, since);
        true
    }

    async fn keep_dead_letter(&self, consumer: &str, event: &Event, reason: &str) -> Result<(), String> {
        tracing::error!(consumer, event = event.id, topic = event.topic, reason, "an event becomes a dead letter");
        let letter = DeadLetter {
            id: 0,
            consumer: consumer.to_owned(),
            event: OutboxRow {
                position: 0,
                event_id: event.id.clone(),
                topic: event.topic.clone(),
                key: event.key.clone(),
                seq: 0,
                payload: event.payload.clone(),
                traceparent: event.traceparent.clone(),
            },
            reason: reason.to_owned(),
            at: self.shared.clock.now(),
        };
        self.shared.messages.add_dead_letter(letter).await.map_err(|error| error.to_string())?;
        self.dead_letter_kept(consumer, &event.topic);
        Ok(())
    }

    fn dead_letter_kept(&self, consumer: &str, topic: &str) {
        self.metrics.dead_letter(topic, consumer);
    }
}
