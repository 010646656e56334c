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
use crate::runtime::{Capabilities, ComponentSettings, Credential, Expect, Grant, GrantTarget, Limits};

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
        Capabilities { http, config: self.config.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect() }
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
