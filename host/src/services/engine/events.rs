//! Which events a change of state tells the world, and what they look like: CloudEvents 1.0.
//!
//! Nothing here is named after a business: topics follow from the handlers' patterns and the machines' states.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::RwLock;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::plan;
use crate::runtime::Published;
use crate::store::{Object, OutboxRow, Resource, StepRun};

/// The envelope of an event that has come.
#[derive(Debug, Clone, Deserialize)]
pub struct CloudEvent {
    /// `1.0`
    #[expect(dead_code, reason = "an event has to say it, and nobody asks")]
    pub specversion: String,
    /// Globally unique.
    #[expect(dead_code, reason = "an event has to say it, and nobody asks")]
    pub id: String,
    /// Which system tells.
    #[expect(dead_code, reason = "an event has to say it, and nobody asks")]
    pub source: String,
    /// The topic.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Id of the instance.
    pub subject: String,
    /// RFC 3339.
    pub time: String,
    /// `application/json`
    #[expect(dead_code, reason = "an event has to say it, and nobody asks")]
    pub datacontenttype: String,
    /// The database that the instance is in; absent from events of earlier versions.
    #[serde(default)]
    pub database: Option<String>,
    /// What happened.
    pub data: EventData,
}

/// What happened to an instance.
#[derive(Debug, Clone, Deserialize)]
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
    /// The public data of the resource: the text of a JSON object, which most who hear of it only hand on.
    pub data: Box<RawValue>,
}

impl EventData {
    /// The public data of the resource.
    ///
    /// # Errors
    /// It is no JSON object, in words.
    pub fn object(&self) -> Result<Object, String> {
        serde_json::from_str(self.data.get()).map_err(|error| format!("{NOT_OURS}: {error}"))
    }
}

/// What is said of what cannot be read.
const NOT_OURS: &str = "not a CloudEvent of this system";

/// The envelope of an event that is to be told.
#[derive(Serialize)]
struct Envelope<'a> {
    specversion: &'static str,
    id: &'a str,
    source: String,
    #[serde(rename = "type")]
    event_type: &'a str,
    subject: &'a str,
    time: String,
    datacontenttype: &'static str,
    database: &'a str,
    data: Told<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    instance_id: &'a str,
    resource: &'a str,
    workflow: &'a str,
    transition: Option<&'a str>,
    from_state: Option<&'a str>,
    to_state: &'a str,
    seq: u64,
    data: Content<'a>,
    /// Step and component that publish a business event.
    #[serde(flatten)]
    by: Option<By<'a>>,
    /// The id once more under the name its own business gives it, for example `returnId`.
    #[serde(flatten)]
    named_id: BTreeMap<&'a str, &'a str>,
}

/// Who publishes a business event.
#[derive(Serialize)]
struct By<'a> {
    step: &'a str,
    component: &'a str,
}

/// What an event says.
#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    /// The data of the resource.
    Resource(Public<'a>),
    /// What a component says.
    Own(&'a Object),
}

/// The data of a resource that others may see, as it is written.
struct Public<'a> {
    resource: &'a Resource,
    shape: Option<&'a Shape>,
    state: &'a str,
}

impl Serialize for Public<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let data = &self.resource.data;
        let own = [("userId", self.resource.owner.as_deref()), ("state", Some(self.state))];
        let own_value = |name: &str| own.iter().find(|(own, _)| *own == name).and_then(|(_, value)| *value);
        let is_private = |name: &str| Shape::hides(self.shape, name);
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in data.iter().filter(|(name, _)| !is_private(name.as_str())) {
            match own_value(name) {
                Some(own) => map.serialize_entry(name, own)?,
                None => map.serialize_entry(name, value)?,
            }
        }
        for (name, value) in own {
            if let Some(value) = value.filter(|_| data.get(name).is_none() || is_private(name)) {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
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

/// Knows topics, handlers and resources, as the config that runs names them.
#[derive(Debug)]
pub struct Events {
    database: String,
    /// See [`Events::new`].
    priced: Vec<String>,
    known: RwLock<Arc<Known>>,
}

/// What one config names.
#[derive(Debug, Default)]
struct Known {
    topics: BTreeSet<String>,
    handlers: BTreeMap<String, plan::MessagingHandler>,
    shapes: BTreeMap<String, Shape>,
}

#[derive(Debug, Default)]
struct Shape {
    id_name: String,
    private_fields: Vec<String>,
    protected_fields: Arc<BTreeSet<String>>,
}

impl Shape {
    /// Whether a field is never shown. Of a kind that the config does not name nobody knows what may be shown, so nothing is.
    fn hides(shape: Option<&Self>, field: &str) -> bool {
        shape.is_none_or(|shape| shape.private_fields.iter().any(|private| private == field))
    }
}

impl Known {
    fn of(plan: &plan::Plan, priced: &[String]) -> Self {
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
                    protected_fields: Arc::new(protected_fields(handler, priced)),
                };
                (handler.kind.clone(), shape)
            })
            .collect();
        Self { topics, handlers, shapes }
    }

    fn named_id<'a>(&'a self, kind: &str, id: &'a str) -> BTreeMap<&'a str, &'a str> {
        BTreeMap::from([(self.shapes.get(kind).map_or("id", |shape| shape.id_name.as_str()), id)])
    }
}

impl Events {
    /// From the plan's bus, handlers and resources. `priced` are the fields of a priced resource that are written when it is created, and
    /// that no component may change; `database` tells this process's database from every other.
    #[must_use]
    pub fn new(plan: &plan::Plan, priced: &[&str], database: &str) -> Self {
        let priced: Vec<String> = priced.iter().map(|&field| field.to_owned()).collect();
        let known = RwLock::new(Arc::new(Known::of(plan, &priced)));
        Self { database: database.to_owned(), priced, known }
    }

    /// What another plan names counts from now on.
    pub fn exchange(&self, plan: &plan::Plan) {
        let known = Arc::new(Known::of(plan, &self.priced));
        *self.known.write() = known;
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read())
    }

    /// What events of this process say in `database`.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Topics of the config, by name.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        self.known.read().topics.iter().cloned().collect()
    }

    /// How `handler` tells that `state` was entered.
    #[must_use]
    pub fn telling(&self, handler: &str, state: &str) -> Telling {
        let known = self.known();
        let Some(handler) = known.handlers.get(handler) else { return Telling::Log };
        let topic = format!("{}.{state}", handler.prefix);
        if known.topics.contains(&topic) {
            return Telling::Topic(topic);
        }
        handler.component.clone().map_or(Telling::Log, Telling::Component)
    }

    /// Whether the config has this messaging handler.
    #[must_use]
    pub fn has_handler(&self, handler: &str) -> bool {
        self.known.read().handlers.contains_key(handler)
    }

    /// Topics that tell of the creation of an instance, one for each prefix among `handlers`.
    #[must_use]
    pub fn creation_topics<'a>(&self, handlers: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
        let known = self.known();
        handlers
            .filter_map(|name| known.handlers.get(name))
            .map(|handler| format!("{}.created", handler.prefix))
            .filter(|topic| known.topics.contains(topic))
            .collect()
    }

    /// The data that others may see.
    #[must_use]
    pub fn public_data(&self, resource: &Resource) -> Object {
        let known = self.known();
        let shape = known.shapes.get(&resource.kind);
        let shown = |name: &str| !Shape::hides(shape, name);
        let mut data: Object = resource.data.iter().filter(|(name, _)| shown(name)).map(|(k, v)| (k.clone(), v.clone())).collect();
        if let Some(owner) = &resource.owner {
            data.insert("userId".into(), owner.as_str().into());
        }
        data.insert("state".into(), resource.state.as_str().into());
        data
    }

    /// An event on `topic`, ready for the outbox.
    #[must_use]
    pub fn outbox_row(&self, topic: String, resource: &Resource, happening: &Happening<'_>, traceparent: Option<String>) -> OutboxRow {
        let known = self.known();
        let told = Told {
            instance_id: &resource.id,
            resource: &resource.kind,
            workflow: resource.workflow.as_ref().map_or("", |progress| progress.workflow.as_str()),
            transition: happening.transition.map(|(name, _)| name),
            from_state: happening.transition.map(|(_, from)| from),
            to_state: happening.to,
            seq: happening.seq,
            data: Content::Resource(Public { resource, shape: known.shapes.get(&resource.kind), state: happening.to }),
            by: None,
            named_id: known.named_id(&resource.kind, &resource.id),
        };
        self.row(topic.clone(), &topic, told, happening.at, traceparent)
    }

    /// A business event that the component of a run publishes, ready for the outbox. It says in which state it was published: the transition
    /// that started the run, and the number of the last one made.
    #[must_use]
    pub fn published_row(
        &self,
        published: &Published,
        (run, resource): (&StepRun, &Resource),
        at: jiff::Timestamp,
        traceparent: Option<String>,
    ) -> OutboxRow {
        let known = self.known();
        let told = Told {
            instance_id: &run.resource_id,
            resource: &run.resource_kind,
            workflow: &run.workflow,
            transition: Some(&run.transition),
            from_state: Some(&run.from_state),
            to_state: &run.to_state,
            seq: resource.workflow.as_ref().map_or(0, |progress| progress.instance.version),
            data: Content::Own(&published.data),
            by: Some(By { step: &run.name, component: &run.component }),
            named_id: known.named_id(&run.resource_kind, &run.resource_id),
        };
        self.row(published.topic.clone(), &published.event_type, told, at, traceparent)
    }

    /// What is told at this moment, as an event of this type in its envelope.
    fn row(&self, topic: String, event_type: &str, told: Told<'_>, at: jiff::Timestamp, traceparent: Option<String>) -> OutboxRow {
        let event_id = uuid::Uuid::now_v7().to_string();
        let (key, seq) = (told.instance_id.to_owned(), told.seq);
        let event = Envelope {
            specversion: "1.0",
            id: &event_id,
            source: format!("/millrace/{}", told.resource),
            event_type,
            subject: told.instance_id,
            time: at.to_string(),
            datacontenttype: "application/json",
            database: &self.database,
            data: told,
        };
        let payload = serde_json::to_string(&event).unwrap_or_default().into();
        OutboxRow { position: 0, event_id, topic, key, seq, payload, traceparent }
    }

    /// Whether the config has resources of `kind`.
    #[must_use]
    pub fn keeps(&self, kind: &str) -> bool {
        self.known.read().shapes.contains_key(kind)
    }

    /// Whether a field of `kind` is never shown. Of a kind that the config does not name, no field ever is.
    #[must_use]
    pub fn is_private(&self, kind: &str, field: &str) -> bool {
        Shape::hides(self.known.read().shapes.get(kind), field)
    }

    /// Fields of `kind` that no component may change: those that its creator wrote.
    #[must_use]
    pub fn protected_fields(&self, kind: &str) -> Arc<BTreeSet<String>> {
        self.known.read().shapes.get(kind).map(|shape| Arc::clone(&shape.protected_fields)).unwrap_or_default()
    }
}

/// Reads an event. The data in it is looked at by whoever needs it; one that `is_ours` is as this process has written it, and that of any
/// other is written anew: of a name that is there twice nobody reads the one while somebody else reads the other.
///
/// # Errors
/// It is not a CloudEvent of ours, in words.
pub fn parse(payload: &str, is_ours: bool) -> Result<CloudEvent, String> {
    let mut event: CloudEvent = serde_json::from_str(payload).map_err(|error| format!("{NOT_OURS}: {error}"))?;
    if !is_ours {
        event.data.data = serde_json::value::to_raw_value(&event.data.object()?).map_err(|error| format!("{NOT_OURS}: {error}"))?;
    }
    Ok(event)
}

fn protected_fields(handler: &plan::ResourceHandler, priced: &[String]) -> BTreeSet<String> {
    let schema = handler.schema.as_ref().and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    let priced = handler.pricing.is_some().then_some(priced).into_iter().flatten().map(String::as_str);
    ["id", "state", "userId", "version"]
        .into_iter()
        .chain(priced)
        .map(str::to_owned)
        .chain(schema.into_iter().flat_map(|properties| properties.keys().cloned()))
        .chain(handler.private_fields.iter().cloned())
        .chain(handler.draws.iter().flat_map(|draws| draws.take.iter().cloned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn events(private: &[&str]) -> Events {
        let shape =
            Shape { id_name: "returnId".into(), private_fields: private.iter().map(|&name| name.to_owned()).collect(), ..Shape::default() };
        let known = Known { shapes: BTreeMap::from([("returns".to_owned(), shape)]), ..Known::default() };
        Events { database: "d".into(), priced: Vec::new(), known: RwLock::new(Arc::new(known)) }
    }

    fn resource(data: &Value) -> Resource {
        let at = jiff::Timestamp::UNIX_EPOCH;
        Resource {
            kind: "returns".into(),
            id: "return-1".into(),
            owner: Some("user-1".into()),
            state: "approved".into(),
            version: 2,
            data: Arc::new(data.as_object().unwrap().clone()),
            workflow: None,
            created_at: at,
            updated_at: at,
        }
    }

    #[test]
    fn of_a_kind_that_the_config_does_not_name_nothing_is_shown() {
        let (events, mut resource) = (events(&["card"]), resource(&json!({"card": "4242", "total": 7})));
        assert!(events.keeps("returns") && !events.keeps("purchases"));
        resource.kind = "purchases".into();
        let happening = Happening { transition: None, to: "approved", seq: 0, at: jiff::Timestamp::UNIX_EPOCH };
        let row = events.outbox_row("return.approved".into(), &resource, &happening, None);
        assert!(!row.payload.contains("4242") && !row.payload.contains("total"), "{}", row.payload);
        assert_eq!(events.public_data(&resource), *json!({"userId": "user-1", "state": "approved"}).as_object().unwrap());
    }

    #[test]
    fn an_event_tells_what_others_may_see() {
        let happening = Happening { transition: Some(("approve", "new")), to: "approved", seq: 3, at: jiff::Timestamp::UNIX_EPOCH };
        for private in [&[][..], &["card"], &["card", "state", "userId"]] {
            for data in [json!({}), json!({"state": "old", "card": "4242", "z": [1, {"a": null}], "userId": "other", "a": "\u{7f}\""})] {
                let (events, resource) = (events(private), resource(&data));
                let row = events.outbox_row("return.approved".into(), &resource, &happening, None);
                let heard = parse(&row.payload, true).unwrap();
                assert_eq!(heard.data.object().unwrap(), events.public_data(&resource));
                assert_eq!(heard.data.data.get(), serde_json::to_string(&events.public_data(&resource)).unwrap(), "no name is there twice");
                let whole: Value = serde_json::from_str(&row.payload).unwrap();
                assert_eq!((&whole["id"], &whole["type"]), (&json!(row.event_id), &json!("return.approved")));
                assert_eq!(whole["data"]["returnId"], "return-1");
                assert_eq!((heard.data.transition.as_deref(), heard.data.from_state.as_deref()), (Some("approve"), Some("new")));
            }
        }
    }

    #[test]
    fn of_a_name_that_somebody_has_sent_twice_nobody_reads_the_first() {
        let row = events(&[]).outbox_row(
            "return.approved".into(),
            &resource(&json!({"amount": 1})),
            &Happening { transition: None, to: "approved", seq: 0, at: jiff::Timestamp::UNIX_EPOCH },
            None,
        );
        let twice = row.payload.replace(r#""amount":1"#, r#""amount":1,"amount":2"#);
        let heard = parse(&twice, false).unwrap();
        assert_eq!(heard.data.data.get(), r#"{"amount":2,"userId":"user-1","state":"approved"}"#);
        for broken in
            [twice.replace(r#""specversion":"1.0","#, ""), row.payload.replace(r#""data":{"amount""#, r#""data":[1],"x":{"amount""#)]
        {
            assert!(parse(&broken, false).unwrap_err().starts_with(NOT_OURS), "{broken}");
        }
    }
}
