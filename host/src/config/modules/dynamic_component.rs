//! `dynamic.component`: a sandboxed component, and what it may do.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::api_handler::ApiHandler;
use super::provenance::{RegistrySettings, SignatureSettings};
use crate::config::context::{At, Context};
use crate::config::finding::Findings;
use crate::config::leaf::HeaderValue;
use crate::config::module_type::{Draft, ModuleType};
use crate::config::report::Code;
use crate::config::secrets::check_secret;
use crate::config::tree::child;
use crate::config::values;
use crate::plan::{INTERNAL_HEADER, Runs};
use crate::proxies;
use crate::runtime::{
    Capabilities, ComponentSettings, Credential, EventGrant, Expect, Grant, GrantTarget, KvGrant, Limits, SecretGrant, check_authorities,
};

/// Header that carries the secret which processes of an installation share.
const INTERNAL_SECRET: &str = "X-Internal-Secret";

/// `dynamic.component`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DynamicComponent {
    /// The `.wasm` file, relative to the config file, which is swapped in when it changes; or an artifact of a registry, which never does:
    /// `oci://registry.example/repository@sha256:…`.
    #[schemars(length(min = 1))]
    pub source: String,
    /// How the registry of an `oci://` source is talked to.
    #[serde(default)]
    pub registry: RegistrySettings,
    /// Shown to people.
    pub description: Option<String>,
    /// Another name by which steps name it.
    #[schemars(length(min = 1))]
    pub component_id: Option<String>,
    /// Which component is meant; a file with another one is refused. Without a `name` here, a new version of the file must describe itself by
    /// the name of the version before.
    #[serde(default)]
    pub expect: ExpectSettings,
    /// Who has to vouch for it; any file is taken if not given.
    #[serde(default)]
    pub signatures: SignatureSettings,
    /// What it may do beyond computing: nothing if not given.
    #[serde(default)]
    pub capabilities: CapabilitySettings,
    /// How much one run may use.
    #[serde(default)]
    pub limits: LimitSettings,
    /// Given to the component with every job.
    #[serde(default)]
    pub config: Map<String, Value>,
}

/// Which component is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectSettings {
    /// The name that it gives itself in `describe`, whatever its version.
    #[schemars(length(min = 1))]
    pub name: Option<String>,
    /// Exactly this file, by its SHA-256: `sha256:` and 64 hexadecimal digits, as `sha256sum` prints it and every history names it.
    #[schemars(regex(pattern = r"^sha256:[0-9a-f]{64}$"), extend("x-expected" = "sha256: and 64 digits 0-9 or a-f, as `sha256sum` prints them"))]
    pub digest: Option<String>,
}

/// What a component may do beyond computing.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CapabilitySettings {
    /// Services that it may call.
    #[serde(default)]
    pub http: Vec<GrantSettings>,
    /// Values that it may read through `wasi:config/store`.
    #[serde(default)]
    pub config: BTreeMap<String, ConfigValue>,
    /// A small state of its own, committed with its answers, for components of `millrace:step` 0.2: `{}` for the usual sizes.
    pub kv: Option<KvSettings>,
    /// Business events that it may publish with its answers, for components of `millrace:step` 0.2.
    #[serde(default)]
    pub events: Vec<EventSettings>,
    /// Secrets that the host fills into the headers of its requests, by name, for components of `millrace:step` 0.2, which never see them.
    #[serde(default)]
    pub secrets: BTreeMap<String, SecretSettings>,
}

/// How much state a component may keep: bytes of all keys and values, and 32 for each entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KvSettings {
    /// KiB about each instance; 64 if not given, 0 for nothing.
    #[schemars(range(min = 0, max = 1024))]
    pub instance_kb: Option<u32>,
    /// KiB of the component itself; 1024 if not given, 0 for nothing.
    #[schemars(range(min = 0, max = 16_384))]
    pub component_kb: Option<u32>,
}

/// A type of business events that a component may publish.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventSettings {
    /// As the component names it, and as events are published, for example `fraud.flagged`.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 200))]
    pub event_type: String,
    /// Topic on which they are published; named like the type if not given.
    #[schemars(length(min = 1))]
    pub topic: Option<String>,
}

impl EventSettings {
    /// Where they are published.
    pub(in crate::config) fn topic(&self) -> &str {
        self.topic.as_deref().unwrap_or(&self.event_type)
    }
}

/// A secret that the host fills into the headers of requests.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretSettings {
    /// What is filled in, for example `${PROVIDER_KEY}`.
    pub value: HeaderValue,
    /// Services of `http` to which it goes.
    #[schemars(length(min = 1))]
    pub services: Vec<String>,
}

/// A value of `wasi:config/store`, which knows only text: numbers and booleans are written out.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigValue(pub String);

impl<'de> Deserialize<'de> for ConfigValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            other => other.to_string(),
        }))
    }
}

impl std::fmt::Debug for ConfigValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

impl JsonSchema for ConfigValue {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ConfigValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"], "x-expected": "text, a number, true or false" })
    }
}

/// A service that a component may call as `http://<service>/...`. Give `url` or `handler`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrantSettings {
    /// Host part of the URLs that the component asks for.
    #[schemars(regex(pattern = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"), extend("x-expected" = "a host name of small letters, digits and dashes, for example stock"))]
    pub service: String,
    /// Where that is.
    #[schemars(length(min = 1))]
    pub url: Option<String>,
    /// An `api.handler` of this config, called without a socket.
    #[schemars(length(min = 1))]
    pub handler: Option<String>,
    /// Headers that the host adds and the component never sees; one with an empty value is left out.
    #[serde(default)]
    pub headers: BTreeMap<String, HeaderValue>,
}

/// How much one run of a component may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitSettings {
    /// MiB of memory; 64 if not given.
    #[schemars(range(min = 1, max = 4096))]
    pub memory_mb: Option<u32>,
    /// Milliseconds of CPU time; 10,000 if not given.
    #[schemars(range(min = 1, max = 600_000))]
    pub cpu_ms: Option<u32>,
    /// Calls into the host; 10,000 if not given.
    #[schemars(range(min = 1))]
    pub host_calls: Option<u32>,
    /// KiB of an answer; 256 if not given.
    #[schemars(range(min = 1, max = 16_384))]
    pub answer_kb: Option<u32>,
}

impl ModuleType for DynamicComponent {
    const TYPE: &'static str = "dynamic.component";

    fn resolve(&self, at: At<'_>, context: &Context<'_>, draft: &mut Draft, findings: &mut Findings) -> Runs {
        draft.plan.components.push(ComponentSettings {
            name: at.name.to_owned(),
            source: self.registry.source(&self.source, at, context, findings),
            description: self.description.clone().unwrap_or_default(),
            expect: self.expect.resolved(),
            signatures: self.signatures.resolved(at, context, findings),
            config: self.config.clone(),
            // Known when all modules are, see `resolve::sandbox`.
            given: Vec::new(),
            capabilities: self.capabilities.resolved(at, context, findings),
            limits: self.limits.resolved(),
            // The same.
            after: Vec::new(),
        });
        Runs::Component
    }
}

impl DynamicComponent {
    /// Module name of the component that a step, hook or handler names; also by its `componentId`.
    pub(in crate::config) fn named(context: &Context<'_>, name: &str, pointer: &str, findings: &mut Findings) -> Option<String> {
        let is = |component: &Self| component.component_id.as_deref() == Some(name) && !name.is_empty();
        match context.all::<Self>().into_iter().find(|(_, component)| is(component)) {
            Some((at, _)) => Some(at.name.to_owned()),
            None => context.named(name, &[Self::TYPE], pointer, findings).map(|entry| entry.at.name.to_owned()),
        }
    }
}

impl ExpectSettings {
    fn resolved(&self) -> Expect {
        let digest = self.digest.as_deref().and_then(|digest| digest.strip_prefix("sha256:"));
        Expect { name: self.name.clone(), digest: digest.map(str::to_owned) }
    }
}

impl LimitSettings {
    fn resolved(&self) -> Limits {
        let default = Limits::default();
        Limits {
            memory_bytes: self.memory_mb.map_or(default.memory_bytes, |mb| (mb as usize) << 20),
            cpu: self.cpu_ms.map_or(default.cpu, |ms| Duration::from_millis(ms.into())),
            host_calls: self.host_calls.unwrap_or(default.host_calls),
            answer_bytes: self.answer_kb.map_or(default.answer_bytes, |kb| (kb as usize) << 10),
        }
    }
}

impl CapabilitySettings {
    fn resolved(&self, at: At<'_>, context: &Context<'_>, findings: &mut Findings) -> Capabilities {
        let mut http: Vec<Grant> = Vec::new();
        for (i, entry) in self.http.iter().enumerate() {
            let pointer = at.setting(&format!("capabilities/http/{i}"));
            if !entry.service.is_empty() && http.iter().any(|grant| grant.service == entry.service) {
                let message = format!("the service '{}' is already granted", entry.service);
                findings.error(child(&pointer, "service"), Code::Duplicate, message, None);
            }
            http.extend(entry.resolved(&pointer, context, findings));
        }
        let config = self.config.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect();
        let kv = self.kv.as_ref().map(KvSettings::resolved);
        let (events, secrets) = (self.events_resolved(at, findings), self.secrets_resolved(at, findings));
        Capabilities { http, config, kv, events, secrets }
    }

    fn events_resolved(&self, at: At<'_>, findings: &mut Findings) -> Vec<EventGrant> {
        let mut events: Vec<EventGrant> = Vec::new();
        for (i, event) in self.events.iter().enumerate() {
            let pointer = at.setting(&format!("capabilities/events/{i}/type"));
            if events.iter().any(|one| one.event_type == event.event_type) {
                findings.error(pointer, Code::Duplicate, format!("the type '{}' is already declared", event.event_type), None);
                continue;
            }
            events.push(EventGrant { event_type: event.event_type.clone(), topic: event.topic().to_owned() });
        }
        events
    }

    fn secrets_resolved(&self, at: At<'_>, findings: &mut Findings) -> Vec<SecretGrant> {
        let granted: Vec<&str> = self.http.iter().map(|grant| grant.service.as_str()).collect();
        for (name, secret) in &self.secrets {
            let pointer = at.setting("capabilities/secrets");
            let pointer = child(&pointer, name);
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
                let help = "a name has letters, digits, dashes and underscores, for example provider-key".to_owned();
                findings.error(&pointer, Code::InvalidValue, format!("'{name}' is not the name of a secret"), help);
            }
            if secret.value.0.is_empty() {
                let message = format!("the secret '{name}' is empty, so requests go out with nothing in its place");
                findings.warning(child(&pointer, "value"), Code::MissingPart, message, "set the variable that it is made of".to_owned());
            }
            for (i, service) in secret.services.iter().enumerate().filter(|(_, service)| !granted.contains(&service.as_str())) {
                let message = format!("the secret '{name}' goes to the service '{service}', which `capabilities.http` does not grant");
                let help = format!("name one of these: {}", granted.join(", "));
                findings.error(child(&child(&pointer, "services"), &i.to_string()), Code::UnknownName, message, help);
            }
        }
        let grant = |(name, secret): (&String, &SecretSettings)| SecretGrant {
            name: name.clone(),
            value: secret.value.0.clone(),
            services: secret.services.clone(),
        };
        self.secrets.iter().map(grant).collect()
    }
}

/// Where the operator has named authorities whose certificates count, others must not count in their place.
fn check_certificates(url: &str, pointer: &str, context: &Context<'_>, findings: &mut Findings) {
    if !url.starts_with("https:") {
        return;
    }
    if let Err(why) = check_authorities(&context.environment.variables) {
        let help = "name a file of certificates (PEM), or unset it: then the authorities of the system count".to_owned();
        findings.error(child(pointer, "url"), Code::MissingFile, why, help);
    }
}

impl KvSettings {
    fn resolved(&self) -> KvGrant {
        let bytes = |kb: Option<u32>, usual: u64| kb.map_or(usual, |kb| u64::from(kb) << 10);
        let KvGrant { instance_bytes, component_bytes } = KvGrant::USUAL;
        KvGrant { instance_bytes: bytes(self.instance_kb, instance_bytes), component_bytes: bytes(self.component_kb, component_bytes) }
    }
}

impl GrantSettings {
    fn resolved(&self, pointer: &str, context: &Context<'_>, findings: &mut Findings) -> Option<Grant> {
        self.check_headers(&child(pointer, "headers"), context, findings);
        let target = self.target(pointer, context, findings)?;
        let set = self.headers.iter().filter(|(_, value)| !value.0.is_empty());
        let headers = set.map(|(name, value)| (name.clone(), value.0.clone())).collect();
        Some(Grant { service: self.service.clone(), target, headers, credential: self.credential(pointer, context) })
    }

    fn check_headers(&self, pointer: &str, context: &Context<'_>, findings: &mut Findings) {
        for (name, value) in &self.headers {
            let pointer = child(pointer, name);
            if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                findings.error(&pointer, Code::InvalidValue, format!("'{name}' is not the name of a header"), None);
            }
            if value.0.is_empty() {
                let message = format!("the header '{name}' is empty, so '{}' is asked without it", self.service);
                let help = "set the variable that it is made of, or leave the header out".to_owned();
                findings.warning(&pointer, Code::MissingPart, message, help);
            }
            if name.eq_ignore_ascii_case(INTERNAL_SECRET) {
                check_secret(context, &value.0, &pointer, findings);
            }
        }
    }

    fn target(&self, pointer: &str, context: &Context<'_>, findings: &mut Findings) -> Option<GrantTarget> {
        match (&self.url, &self.handler) {
            (Some(url), None) => {
                let base = values::base_url(url);
                if base.is_none() && !url.is_empty() {
                    let message = format!("'{url}' is not a base URL");
                    findings.error(child(pointer, "url"), Code::InvalidValue, message, "write http://host:port/path".to_owned());
                }
                let base = base?;
                self.warn_of_proxy(&base, pointer, context, findings);
                check_certificates(&base, pointer, context, findings);
                Some(GrantTarget::Url(base))
            }
            (None, Some(handler)) => {
                let entry = context.named(handler, &[ApiHandler::TYPE], &child(pointer, "handler"), findings)?;
                Some(GrantTarget::Handler(entry.at.name.to_owned()))
            }
            (given, _) => {
                let has = if given.is_some() { "both `url` and `handler`" } else { "neither `url` nor `handler`" };
                let message = format!("the service '{}' has {has}", self.service);
                let help = "give one: where the service is, or which api.handler of this config it is".to_owned();
                findings.error(pointer, Code::InvalidValue, message, help);
                None
            }
        }
    }

    /// Where a proxy seems to be meant that is not used.
    fn warn_of_proxy(&self, url: &str, pointer: &str, context: &Context<'_>, findings: &mut Findings) {
        let Some(proxy) = proxies::used_for(&context.environment.variables, url).filter(|_| proxies::is_outside(url)) else { return };
        let message = format!("'{}' is called directly, and not through the proxy of {proxy}: components are given no proxy", self.service);
        let help = "grant the address of a forwarder if it cannot be reached directly; name it in NO_PROXY if it can".to_owned();
        findings.warning(child(pointer, "url"), Code::Unused, message, help);
    }

    /// What a service knows this process by: headers of the operator's, set or not.
    fn credential(&self, pointer: &str, context: &Context<'_>) -> Option<Credential> {
        let is_ours = |name: &&String| name.eq_ignore_ascii_case(INTERNAL_HEADER);
        let name = self.headers.keys().find(is_ours).or_else(|| self.headers.keys().next())?;
        let at = child(&child(pointer, "headers"), name);
        Some(Credential { name: context.called(&at, &format!("the header '{name}'")), internal: is_ours(&name) })
    }
}
