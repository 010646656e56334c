//! `api.handler`: a resource.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use crate::config::context::{At, Context};
use crate::config::draws::DrawsSettings;
use crate::config::figures::{FiguresSettings, figures};
use crate::config::finding::Findings;
use crate::config::found_by::{FilterEntry, filterable};
use crate::config::leaf::{HeaderValue, OwnerName, RoleList};
use crate::config::module_type::{Draft, ModuleType};
use crate::config::report::Code;
use crate::config::secrets::check_secret;
use crate::config::values;
use crate::plan::{MAX_UNITS, Owner, Prices, Pricing, ResourceHandler, Runs, Secret};

/// `api.handler`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiHandler {
    /// Kind of its resources.
    #[schemars(length(min = 1))]
    pub resource_name: String,
    /// Resources to add at start, `[{id, data, state?}]`; relative to the config file.
    #[schemars(length(min = 1))]
    pub seed_file: Option<String>,
    /// Workflow that a new resource starts: a name under `workflows.statemachine.definitions`.
    #[schemars(length(min = 1))]
    pub workflow_type: Option<String>,
    /// Engine that runs it.
    #[schemars(length(min = 1))]
    pub workflow_engine: Option<String>,
    /// Prefix of new ids, for example `rma-`.
    #[serde(rename = "instanceIDPrefix")]
    pub instance_id_prefix: Option<String>,
    /// Whose its resources are. `creator`: only who has created one sees and changes it, and every route of the handler needs a token. `none`:
    /// nobody's, who may call a route reaches all of them. Without it `creator` where the route that creates them has an
    /// http.middleware.auth, else `none`; where roles are written, this has to be as well.
    #[schemars(with = "OwnerName", default)]
    pub owner: Option<OwnerName>,
    /// Field that holds the id; `id` is the only one.
    #[serde(rename = "instanceIDField")]
    pub instance_id_field: Option<IdField>,
    /// Transition that a new resource makes at once; `start_validation` if the workflow has it.
    #[schemars(length(min = 1))]
    pub initial_transition: Option<String>,
    /// JSON Schema of a new resource's body.
    pub schema: Option<Map<String, Value>>,
    /// Fields that components see and clients do not.
    #[serde(default)]
    pub private_fields: Vec<String>,
    /// Transitions that `POST /{id}/<name>` may make: the one that leaves the current state. While a step is awaited that was not attempted yet,
    /// also the one that leaves the state after the step's `compensateTransition`, which is made before it. With `roles`, only for these.
    #[serde(default)]
    pub actions: BTreeMap<String, ActionEntry>,
    /// How many instances one owner may have in certain states; without it there is no limit.
    pub per_owner: Option<PerOwnerSettings>,
    /// Fields with a text that `search` looks at, as a whole: `a.b` is `b` within `a`, or within each entry of `a`. Together with the id, the
    /// owner and the owner's e-mail. Of a handler with this or `filterable`, a list of `scope: all` is `{items, nextCursor}` and takes `state`,
    /// `from`, `to`, `attention` and `search`.
    #[serde(default)]
    pub searchable: Vec<String>,
    /// Fields that lists can be narrowed by, each by the name of its parameter: `product: items.productId`, or of numbers
    /// `total: {field: total, form: money}` for `minTotal` and `maxTotal`, in minor units.
    #[serde(default)]
    pub filterable: BTreeMap<String, FilterEntry>,
    /// What is counted of its resources in each minute, at `GET /things/figures` with `scope: all`: how many were made, and how many have entered
    /// one of `states`, with their amounts. It is kept for eight days.
    pub figures: Option<FiguresSettings>,
    /// Whether there are notes at `/{id}/notes`, which are no part of a resource: whoever may call these routes reads and writes them. They are
    /// never changed.
    #[serde(default)]
    pub notes: bool,
    /// Each of its resources takes an amount from another resource.
    pub draws: Option<DrawsSettings>,
    /// Lines are priced from a catalogue.
    pub pricing: Option<PricingSettings>,
    /// Units are counted and can be reserved.
    pub stock: Option<StockSettings>,
    /// They are products of a shop: drafts, active or retired, with prices that are kept.
    pub products: Option<ProductSettings>,
}

/// What an action does, and who may ask for it: `[cancel]`, or `{transitions: [refund], roles: [finance]}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActionEntry {
    /// Transitions that it may make.
    pub transitions: Vec<String>,
    /// Who may ask for it.
    pub roles: Option<RoleList>,
}

impl<'de> Deserialize<'de> for ActionEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            transitions: Vec<String>,
            #[serde(default)]
            roles: Option<RoleList>,
        }
        match Value::deserialize(deserializer)? {
            whole @ Value::Object(_) => {
                Whole::deserialize(whole).map(|Whole { transitions, roles }| Self { transitions, roles }).map_err(de::Error::custom)
            }
            list => Vec::deserialize(list).map(|transitions| Self { transitions, roles: None }).map_err(de::Error::custom),
        }
    }
}

impl JsonSchema for ActionEntry {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Action".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let transitions = generator.subschema_for::<Vec<String>>();
        let roles = generator.subschema_for::<RoleList>();
        json_schema!({
            "type": ["array", "object"], "items": { "type": "string" },
            "properties": { "transitions": transitions, "roles": roles },
            "required": ["transitions", "roles"], "additionalProperties": false,
            "x-expected": "a list of transitions, or {transitions: [...], roles: [...]}"
        })
    }
}

/// Field that holds the id of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-expected" = "id"))]
pub enum IdField {
    /// `id`.
    Id,
}

/// `perOwner` of an `api.handler`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PerOwnerSettings {
    /// Instances that one owner may have in one of `states` at once; a further one is refused (429). `burst`: as many as the rate limit of
    /// the route that creates them lets one client ask for at once.
    pub max_instances: MaxPerOwner,
    /// States of the workflow in which an instance counts. None of them is final.
    #[schemars(length(min = 1))]
    pub states: Vec<String>,
}

/// A number of instances, or `burst`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxPerOwner {
    /// So many.
    Number(u32),
    /// As many as the rate limit lets through at once.
    Burst,
}

impl<'de> Deserialize<'de> for MaxPerOwner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            // The schema has seen to it that there is no other word.
            Value::String(_) => Ok(Self::Burst),
            other => u32::deserialize(other).map(Self::Number).map_err(de::Error::custom),
        }
    }
}

impl JsonSchema for MaxPerOwner {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MaxPerOwner".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"], "minimum": 1, "maximum": u32::MAX, "pattern": "^burst$",
            "x-expected": "a whole number, 1 or more, or burst"
        })
    }
}

/// `pricing` of an `api.handler`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PricingSettings {
    /// An `api.handler` of this config, or the http(s) URL of one elsewhere.
    #[schemars(length(min = 1))]
    pub catalogue: String,
    /// Units that one line may have; 100000 if not given.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_quantity: Option<u32>,
}

/// `products` of an `api.handler`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProductSettings {
    /// Field that says where a product stands: `draft`, `active` or `retired`; without it, it is active. Customers see and buy what is active;
    /// routes with `scope: all` reach the others too.
    #[schemars(length(min = 1))]
    pub status_field: String,
}

/// `stock` of an `api.handler`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StockSettings {
    /// Field with the number of units.
    #[schemars(length(min = 1))]
    pub field: String,
    /// Key for other processes, 32 bytes or more, sent as `X-Internal-Secret`: who has it may reserve under
    /// `/internal/reservations`. Without it that path does not exist; while it is empty nobody may.
    #[schemars(with = "HeaderValue", default)]
    pub secret: Option<HeaderValue>,
}

impl ModuleType for ApiHandler {
    const TYPE: &'static str = "api.handler";

    fn resolve(&self, at: At<'_>, context: &Context<'_>, draft: &mut Draft, findings: &mut Findings) -> Runs {
        if draft.plan.resources.iter().any(|other| other.kind == self.resource_name && !other.kind.is_empty()) {
            let message = format!("another handler already has the resources '{}'", self.resource_name);
            findings.error(at.setting("resourceName"), Code::Duplicate, message, None);
        }
        self.check_schema(at, findings);
        let mut existing = |path: &String| context.existing_file(path, "seed file", &at.setting("seedFile"), findings);
        let seed_file = self.seed_file.as_ref().map(&mut existing);
        draft.plan.resources.push(ResourceHandler {
            name: at.name.to_owned(),
            kind: self.resource_name.clone(),
            seed_file,
            workflow: self.workflow_type.clone(),
            id_prefix: self.instance_id_prefix.clone().unwrap_or_default(),
            // Known when the routes are.
            owner: Owner::Nobody,
            schema: self.schema.clone().map(Value::Object),
            private_fields: self.private_fields.clone(),
            // Those that triggers name are added when these are read.
            actions: self.actions.iter().map(|(name, action)| (name.clone(), action.transitions.clone())).collect(),
            // Known when the routes are.
            per_owner: None,
            searchable: self.searchable.clone(),
            filterable: filterable(&self.filterable, at, findings),
            figures: self.figures.as_ref().map(|settings| figures(settings, self.workflow_type.as_deref(), at, context, findings)),
            // Known when it is known whose the resources are.
            draws: None,
            pricing: self.pricing(at, context, findings),
            stock_field: self.stock.as_ref().map(|stock| stock.field.clone()),
            status_field: self.products.as_ref().map(|products| products.status_field.clone()),
            stock_secret: self.stock_secret(at, context, findings),
        });
        Runs::Nothing
    }
}

impl ApiHandler {
    /// Whether it is said what its resources are found by.
    pub(in crate::config) fn is_searched(&self) -> bool {
        !self.searchable.is_empty() || !self.filterable.is_empty()
    }

    fn check_schema(&self, at: At<'_>, findings: &mut Findings) {
        let Some(schema) = &self.schema else { return };
        if let Err(error) = jsonschema::validator_for(&Value::Object(schema.clone())) {
            let pointer = format!("{}{}", at.setting("schema"), error.instance_path().as_str());
            findings.error(pointer, Code::InvalidValue, format!("`schema` is not a JSON Schema: {error}"), None);
        }
    }

    fn stock_secret(&self, at: At<'_>, context: &Context<'_>, findings: &mut Findings) -> Option<Secret> {
        let secret = self.stock.as_ref().and_then(|stock| stock.secret.as_ref()).map(|secret| &secret.0)?;
        check_secret(context, secret, &at.setting("stock/secret"), findings);
        Some(Secret(secret.clone()))
    }

    fn pricing(&self, at: At<'_>, context: &Context<'_>, findings: &mut Findings) -> Option<Pricing> {
        let settings = self.pricing.as_ref()?;
        let (prices, status_field) = prices(&settings.catalogue, at, context, findings)?;
        Some(Pricing { prices, max_quantity: settings.max_quantity.unwrap_or(MAX_UNITS).into(), status_field })
    }
}

/// Where prices are, and the field in which a product of this process says whether it is sold.
fn prices(catalogue: &str, at: At<'_>, context: &Context<'_>, findings: &mut Findings) -> Option<(Prices, Option<String>)> {
    let pointer = at.setting("pricing/catalogue");
    if catalogue.contains("://") {
        let url = values::base_url(catalogue);
        if url.is_none() {
            let help = "write http://host:port/path".to_owned();
            findings.error(pointer, Code::InvalidValue, format!("'{catalogue}' is not a base URL"), help);
        }
        return url.map(|url| (Prices::Url(url), None));
    }
    let handler = context.named(catalogue, &[ApiHandler::TYPE], &pointer, findings)?.settings::<ApiHandler>()?;
    let status = handler.products.as_ref().map(|products| products.status_field.clone());
    Some((Prices::Kind(handler.resource_name.clone()), status))
}
