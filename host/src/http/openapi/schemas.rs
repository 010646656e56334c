//! The bodies that operations take and answer: of types that handlers read and write, and of what handlers are set to take.

use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use crate::http::resources::PageBody;
use crate::plan::{Owner, ResourceHandler, Scope};
use crate::services::resources::view::{HOST_OWNED, ResourceBody};
use crate::services::resources::{ChangeBody, MAX_REASON};
use crate::services::shop::order as shop;

/// Where a document has its schemas.
const PLACE: &str = "/components/schemas";

/// Collects the schemas of a document.
pub(in crate::http) struct Schemas {
    requests: SchemaGenerator,
    answers: SchemaGenerator,
    /// Those that follow from the settings of handlers.
    configured: Map<String, Value>,
}

impl Schemas {
    pub(super) fn new() -> Self {
        Self { requests: settings().into_generator(), answers: settings().for_serialize().into_generator(), configured: Map::new() }
    }

    /// What is read into a `T`.
    pub(in crate::http) fn request<T: JsonSchema>(&mut self) -> Value {
        self.requests.subschema_for::<T>().to_value()
    }

    /// What a `T` is written as.
    pub(in crate::http) fn answer<T: JsonSchema>(&mut self) -> Value {
        self.answers.subschema_for::<T>().to_value()
    }

    /// A resource of `handler`, as it is shown.
    pub(super) fn resource(&mut self, handler: &ResourceHandler) -> Value {
        let mut one = shape::<ResourceBody>(&mut self.answers);
        one["properties"]["data"] = self.data(handler);
        let of_workflows = ["final", "actions", "attention", "next", "history", "historyNext"];
        if handler.workflow.is_some() {
            require(&mut one, &of_workflows[..2]);
        } else if let Some(fields) = one["properties"].as_object_mut() {
            fields.retain(|name, _| !of_workflows.contains(&name.as_str()));
        }
        self.named(format!("Resource_{}", handler.kind), one)
    }

    /// A page of a search for resources of `handler`.
    pub(super) fn page(&mut self, handler: &ResourceHandler) -> Value {
        let mut page = shape::<PageBody>(&mut self.answers);
        page["properties"]["items"] = array_of(&self.resource(handler));
        self.named(format!("Page_{}", handler.kind), page)
    }

    /// What creating or replacing a resource of `handler` takes.
    pub(super) fn new_resource(&mut self, handler: &ResourceHandler) -> Value {
        self.named(format!("New_{}", handler.kind), new(handler))
    }

    /// What an action on a resource of `handler` takes.
    pub(super) fn action(&mut self, handler: &ResourceHandler, scope: Scope) -> Value {
        let private = if handler.pricing.is_some() { self.request::<shop::Payment>() } else { json!({}) };
        let mut fields: Map<String, Value> = handler.private_fields.iter().map(|name| (name.clone(), private.clone())).collect();
        // Staff has to say why.
        let says_why = scope == Scope::All && !fields.contains_key("reason");
        let by = if scope == Scope::All {
            let reason = json!({"type": "string", "minLength": 1, "maxLength": MAX_REASON, "pattern": r"\S", "description": "Why, for the audit log."});
            fields.entry("reason").or_insert(reason);
            "StaffAction"
        } else {
            "Action"
        };
        let mut action = json!({"type": "object", "properties": fields, "additionalProperties": false});
        if says_why {
            action["required"] = json!(["reason"]);
        }
        self.named(format!("{by}_{}", handler.kind), action)
    }

    /// One event of a stream of `handler`.
    pub(super) fn event(&mut self, handler: &ResourceHandler) -> Value {
        let mut change = shape::<ChangeBody>(&mut self.answers);
        change["properties"]["data"] = self.data(handler);
        let change = self.named(format!("Change_{}", handler.kind), change);
        json!({
            "type": "object",
            "description": "One event. Its data is a change, as JSON.",
            "properties": {
                "event": {"type": "string", "const": "transition"},
                "id": {"type": "string", "pattern": "^[0-9]+$", "description": "For Last-Event-ID."},
                "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": change},
            },
            "required": ["event", "id", "data"],
        })
    }

    /// The business data of `handler` that is known beforehand. Steps add their results, so there may be more.
    fn data(&mut self, handler: &ResourceHandler) -> Value {
        let mut data = json!({"type": "object", "properties": {}, "required": []});
        if handler.pricing.is_some() {
            data = shape::<shop::OrderData>(&mut self.answers);
        } else if let Some(known) = handler.schema.as_ref().and_then(|schema| schema.get("properties")) {
            data["properties"] = known.clone();
        }
        let mut added = Vec::new();
        if handler.workflow.is_some() {
            added.push(("state", json!({"type": "string", "description": "The same as the `state` of the resource."})));
        }
        if handler.owner == Owner::Creator {
            added.push(("userId", json!({"type": "string", "description": "Identifier of the owner."})));
        }
        for (name, schema) in added {
            data["properties"][name] = schema;
            if handler.pricing.is_some() {
                require(&mut data, &[name]);
            }
        }
        if let Some(field) = &handler.stock_field {
            data["properties"][field] = units();
        }
        if let Some(fields) = data["properties"].as_object_mut() {
            fields.retain(|name, _| !handler.private_fields.contains(name));
        }
        data["description"] = json!("Business data, including the results of steps.");
        data["additionalProperties"] = json!(true);
        self.named(format!("Data_{}", handler.kind), data)
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

/// What a `T` is written as, or read into, in the place where it stands.
fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    T::json_schema(generator).to_value()
}

/// Adds fields that are always there.
fn require(object: &mut Value, fields: &[&str]) {
    if let Some(required) = object["required"].as_array_mut() {
        required.extend(fields.iter().map(|field| Value::from(*field)));
    }
}

/// What the host writes itself is refused in any body.
fn new(handler: &ResourceHandler) -> Value {
    if let Some(pricing) = &handler.pricing {
        let mut asked = shape::<shop::NewOrder>(&mut settings().with(|settings| settings.inline_subschemas = true).into_generator());
        asked["properties"]["items"]["items"]["properties"]["quantity"]["maximum"] = pricing.max_quantity.into();
        return asked;
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

fn units() -> Value {
    json!({"type": "integer", "minimum": 0, "description": "Units in stock."})
}

fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = PLACE.into();
        settings.meta_schema = None;
    })
}
