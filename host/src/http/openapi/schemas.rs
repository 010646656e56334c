//! The bodies that operations take and answer: of types that handlers read and write, and of what handlers are set to take.

use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use crate::plan::{Owner, ResourceHandler};
use crate::services::resources::ChangeBody;
use crate::services::resources::view::{HOST_OWNED, ResourceBody};
use crate::services::shop::pricing;

/// Where a document has its schemas.
const PLACE: &str = "/components/schemas";

/// Collects the schemas of a document.
pub(super) struct Schemas {
    requests: SchemaGenerator,
    answers: SchemaGenerator,
    /// Those that follow from the settings of handlers.
    configured: Map<String, Value>,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = PLACE.into();
            settings.meta_schema = None;
        });
        Self { requests: settings.clone().into_generator(), answers: settings.for_serialize().into_generator(), configured: Map::new() }
    }

    /// What is read into a `T`.
    pub(super) fn request<T: JsonSchema>(&mut self) -> Value {
        self.requests.subschema_for::<T>().to_value()
    }

    /// What a `T` is written as.
    pub(super) fn answer<T: JsonSchema>(&mut self) -> Value {
        self.answers.subschema_for::<T>().to_value()
    }

    /// A resource of `handler`, as it is shown.
    pub(super) fn resource(&mut self, handler: &ResourceHandler) -> Value {
        let any = self.answer::<ResourceBody>();
        let data = self.named(format!("Data_{}", handler.kind), data(handler));
        let one = json!({"allOf": [any, {"type": "object", "properties": {"data": data}}]});
        self.named(format!("Resource_{}", handler.kind), one)
    }

    /// What creating or replacing a resource of `handler` takes.
    pub(super) fn new_resource(&mut self, handler: &ResourceHandler) -> Value {
        self.named(format!("New_{}", handler.kind), new(handler))
    }

    /// What an action on a resource of `handler` takes.
    pub(super) fn action(&mut self, handler: &ResourceHandler) -> Value {
        let field = |name: &String| {
            let schema = if handler.pricing.is_some() { pricing::payment_schema() } else { json!({}) };
            (name.clone(), schema)
        };
        let fields: Map<String, Value> = handler.private_fields.iter().map(field).collect();
        let action = json!({"type": "object", "properties": fields, "additionalProperties": false});
        self.named(format!("Action_{}", handler.kind), action)
    }

    /// One event of a stream.
    pub(super) fn event(&mut self) -> Value {
        let change = self.answer::<ChangeBody>();
        json!({
            "type": "object",
            "description": "One event. Its data is a Change, as JSON.",
            "properties": {
                "event": {"type": "string", "const": "transition"},
                "id": {"type": "string", "pattern": "^[0-9]+$", "description": "For Last-Event-ID."},
                "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": change},
            },
            "required": ["event", "id", "data"],
        })
    }

    /// All, by name.
    pub(super) fn finish(mut self) -> Value {
        let mut all = self.answers.take_definitions(true);
        all.append(&mut self.requests.take_definitions(true));
        all.append(&mut self.configured);
        all.sort_keys();
        Value::Object(all)
    }

    fn named(&mut self, name: String, schema: Value) -> Value {
        let reference = json!({"$ref": format!("#{PLACE}/{name}")});
        self.configured.insert(name, schema);
        reference
    }
}

/// A list of what `schema` describes.
pub(super) fn array_of(schema: &Value) -> Value {
    json!({"type": "array", "items": schema})
}

/// What the host writes itself is refused in any body.
fn new(handler: &ResourceHandler) -> Value {
    if let Some(pricing) = &handler.pricing {
        return pricing::request_schema(pricing.max_quantity);
    }
    let mut rules = json!({"type": "object", "propertyNames": {"not": {"enum": HOST_OWNED}}});
    if let Some(field) = &handler.stock_field {
        rules["properties"][field] = units();
    }
    match &handler.schema {
        Some(schema) => json!({"allOf": [schema, rules]}),
        None => rules,
    }
}

/// The business data that is known beforehand. Steps add their results, so there may be more.
fn data(handler: &ResourceHandler) -> Value {
    let of_schema = handler.schema.as_ref().and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    let mut fields = if handler.pricing.is_some() { pricing::data_fields() } else { of_schema.cloned().unwrap_or_default() };
    if handler.workflow.is_some() {
        fields.insert("state".to_owned(), json!({"type": "string", "description": "The same as that of the resource."}));
    }
    if handler.owner == Owner::Creator {
        fields.insert("userId".to_owned(), json!({"type": "string", "description": "Whose it is."}));
    }
    if let Some(field) = &handler.stock_field {
        fields.insert(field.clone(), units());
    }
    fields.retain(|name, _| !handler.private_fields.contains(name));
    let always = |name: &&String| handler.pricing.is_some() && name.as_str() != "payment";
    let required: Vec<&String> = fields.keys().filter(always).collect();
    json!({"type": "object", "description": "Business data, results of steps included.", "properties": fields, "required": required, "additionalProperties": true})
}

fn units() -> Value {
    json!({"type": "integer", "minimum": 0, "description": "Units in stock."})
}
