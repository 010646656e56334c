//! Which events a change of state tells the world, and what they look like: CloudEvents 1.0.
//!
//! Nothing here is named after a business: topics follow from the handlers' patterns and the machines' states.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plan;
use crate::store::{Object, OutboxRow, Resource};

/// The envelope of an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CloudEvent {
    /// `1.0`
    pub specversion: String,
    /// Globally unique.
    pub id: String,
    /// Which system tells.
    pub source: String,
    /// The topic.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Id of the instance.
    pub subject: String,
    /// RFC 3339.
    pub time: String,
    /// `application/json`
    pub datacontenttype: String,
    /// The database that the instance is in; absent from events of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// What happened.
    pub data: EventData,
}

/// What happened to an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventData {
    /// Id of the instance.
    pub instance_id: String,
    /// Kind of the resource, for example `returns`.
    pub resource: String,
    /// Name of the workflow.
    pub workflow: String,
    /// Transition that was made; absent for a creation.
    pub transition: Option<String>,
    /// State left; absent for a creation.
    pub from_state: Option<String>,
    /// State entered.
    pub to_state: String,
    /// History sequence number; 0 for a creation.
    pub seq: u64,
    /// The public data of the resource.
    pub data: Object,
    /// The id once more under the name its own business gives it, for example `returnId`.
    #[serde(flatten)]
    pub named_id: BTreeMap<String, Value>,
}

/// What one event is about.
#[derive(Debug, Clone)]
pub struct Happening<'a> {
    /// Transition, state left; `None` for a creation.
    pub transition: Option<(&'a str, &'a str)>,
    /// State entered.
    pub to: &'a str,
    /// History sequence number; 0 for a creation.
    pub seq: u64,
    /// When.
    pub at: jiff::Timestamp,
}

/// How entering a state is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Telling {
    /// By an event on this topic.
    Topic(String),
    /// By running this component directly: no topic is known for the state.
    Component(String),
    /// Not at all: no topic, no component.
    Log,
}

/// Knows topics and handlers.
#[derive(Debug)]
pub struct Events {
    database: String,
    topics: BTreeSet<String>,
    handlers: BTreeMap<String, plan::MessagingHandler>,
    shapes: BTreeMap<String, Shape>,
}

#[derive(Debug, Default)]
struct Shape {
    id_name: String,
    private_fields: Vec<String>,
    protected_fields: BTreeSet<String>,
}

impl Events {
    /// From the plan's bus, handlers and resources. `priced` are the fields of a priced resource that are written when it is created, and
    /// that no component may change; `database` tells this process's database from every other.
    #[must_use]
    pub fn new(plan: &plan::Plan, priced: &[&str], database: &str) -> Self {
        let topics = plan.bus.iter().flat_map(|bus| bus.topics().iter().cloned()).collect();
        let handlers = plan.handlers.iter().map(|handler| (handler.name.clone(), handler.clone())).collect();
        let shapes = plan
            .resources
            .iter()
            .map(|handler| {
                let singular = handler.id_prefix.trim_end_matches(['-', '_', ':']);
                let singular = if singular.is_empty() { handler.kind.trim_end_matches('s') } else { singular };
                let shape = Shape {
                    id_name: format!("{singular}Id"),
                    private_fields: handler.private_fields.clone(),
                    protected_fields: protected_fields(handler, priced),
                };
                (handler.kind.clone(), shape)
            })
            .collect();
        Self { database: database.to_owned(), topics, handlers, shapes }
    }

    /// What events of this process say in `database`.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// How `handler` tells that `state` was entered.
    #[must_use]
    pub fn telling(&self, handler: &str, state: &str) -> Telling {
        let Some(handler) = self.handlers.get(handler) else { return Telling::Log };
        let topic = format!("{}.{state}", handler.prefix);
        if self.topics.contains(&topic) {
            return Telling::Topic(topic);
        }
        handler.component.clone().map_or(Telling::Log, Telling::Component)
    }

    /// Whether the config has this messaging handler.
    #[must_use]
    pub fn has_handler(&self, handler: &str) -> bool {
        self.handlers.contains_key(handler)
    }

    /// Topics that tell of the creation of an instance, one for each prefix among `handlers`.
    #[must_use]
    pub fn creation_topics<'a>(&self, handlers: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
        handlers
            .filter_map(|name| self.handlers.get(name))
            .map(|handler| format!("{}.created", handler.prefix))
            .filter(|topic| self.topics.contains(topic))
            .collect()
    }

    /// The data that others may see.
    #[must_use]
    pub fn public_data(&self, resource: &Resource) -> Object {
        let private = self.shapes.get(&resource.kind).map(|shape| shape.private_fields.as_slice()).unwrap_or_default();
        let mut data: Object =
            resource.data.iter().filter(|(name, _)| !private.contains(name)).map(|(k, v)| (k.clone(), v.clone())).collect();
        if let Some(owner) = &resource.owner {
            data.insert("userId".into(), owner.as_str().into());
        }
        data.insert("state".into(), resource.state.as_str().into());
        data
    }

    /// An event on `topic`, ready for the outbox.
    #[must_use]
    pub fn outbox_row(&self, topic: String, resource: &Resource, happening: &Happening<'_>, traceparent: Option<String>) -> OutboxRow {
        let event_id = uuid::Uuid::now_v7().to_string();
        let mut data = self.public_data(resource);
        data.insert("state".into(), happening.to.into());
        let id_name = self.shapes.get(&resource.kind).map_or_else(|| "id".to_owned(), |shape| shape.id_name.clone());
        let event = CloudEvent {
            specversion: "1.0".into(),
            id: event_id.clone(),
            source: format!("/millrace/{}", resource.kind),
            event_type: topic.clone(),
            subject: resource.id.clone(),
            time: happening.at.to_string(),
            datacontenttype: "application/json".into(),
            database: Some(self.database.clone()),
            data: EventData {
                instance_id: resource.id.clone(),
                resource: resource.kind.clone(),
                workflow: resource.workflow.as_ref().map(|progress| progress.workflow.clone()).unwrap_or_default(),
                transition: happening.transition.map(|(name, _)| name.to_owned()),
                from_state: happening.transition.map(|(_, from)| from.to_owned()),
                to_state: happening.to.to_owned(),
                seq: happening.seq,
                data,
                named_id: BTreeMap::from([(id_name, Value::from(resource.id.as_str()))]),
            },
        };
        let payload = serde_json::to_string(&event).unwrap_or_default().into();
        OutboxRow { position: 0, event_id, topic, key: resource.id.clone(), seq: happening.seq, payload, traceparent }
    }

    /// Fields of `kind` that are never shown.
    #[must_use]
    pub fn private_fields(&self, kind: &str) -> &[String] {
        self.shapes.get(kind).map(|shape| shape.private_fields.as_slice()).unwrap_or_default()
    }

    /// Fields of `kind` that no component may change: those that its creator wrote.
    #[must_use]
    pub fn protected_fields(&self, kind: &str) -> &BTreeSet<String> {
        static NONE: BTreeSet<String> = BTreeSet::new();
        self.shapes.get(kind).map_or(&NONE, |shape| &shape.protected_fields)
    }

    /// Handlers by name.
    #[must_use]
    pub fn handler(&self, name: &str) -> Option<&plan::MessagingHandler> {
        self.handlers.get(name)
    }
}

/// Reads an event.
///
/// # Errors
/// It is not a CloudEvent of ours, in words.
pub fn parse(payload: &str) -> Result<CloudEvent, String> {
    serde_json::from_str(payload).map_err(|error| format!("not a CloudEvent of this system: {error}"))
}

fn protected_fields(handler: &plan::ResourceHandler, priced: &[&str]) -> BTreeSet<String> {
    let schema = handler.schema.as_ref().and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    let priced = handler.pricing.is_some().then_some(priced).into_iter().flatten().copied();
    ["id", "state", "userId", "version"]
        .into_iter()
        .chain(priced)
        .map(str::to_owned)
        .chain(schema.into_iter().flat_map(|properties| properties.keys().cloned()))
        .chain(handler.private_fields.iter().cloned())
        .chain(handler.draws.iter().flat_map(|draws| draws.take.iter().cloned()))
        .collect()
}
