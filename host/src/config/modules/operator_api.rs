//! `operator.api`: what is for those who run the process, at an address of its own.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::auth_jwt::AuthJwt;
use super::file_server;
use super::metrics::HostName;
use crate::config::context::{At, Context};
use crate::config::files;
use crate::config::finding::Findings;
use crate::config::leaf::{HeaderValue, HumanDuration};
use crate::config::module_type::{Draft, ModuleType};
use crate::config::report::Code;
use crate::config::values;
use crate::plan::{self, Copilot, Operator, OperatorReaders, Runs, Secret, Server};
use crate::proxies::is_outside;

/// Path below which it answers unless the config says otherwise.
const PREFIX: &str = "/operator";
/// From a question to the copilot's model to its answer, unless the config says otherwise or the listener has less.
const COPILOT_TIMEOUT: Duration = Duration::from_secs(40);
/// What a listener needs of its time for an answer besides.
const AROUND_COPILOT: Duration = Duration::from_secs(1);
/// Tokens of an answer of the model, and questions of one person in an hour.
const COPILOT_TOKENS: u32 = 8_192;
const COPILOT_PER_HOUR: u32 = 60;

/// `operator.api`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OperatorApi {
    /// An `http.server` of its own, with an address that customers do not reach, such as `127.0.0.1:9080`.
    #[schemars(length(min = 1))]
    pub server: String,
    /// Path below which it answers; `/operator` if not given.
    pub prefix: Option<String>,
    /// Whether anything may be changed here: instances, what waits, components; no if not given. It needs a role, or, where the config has no
    /// `auth.jwt`, somebody on this machine.
    pub write: Option<bool>,
    /// Who may read; `local` if not given.
    pub access: Option<OperatorAccess>,
    /// Folder with the built pages, relative to the config file; without it there is no `/console/`. Their calls go below `/operator`, so
    /// `prefix` must be that.
    #[schemars(length(min = 1))]
    pub pages: Option<String>,
    /// Public names by which it may be asked. Addresses, names without dots and names such as `localhost` need no mention.
    pub hosts: Option<Vec<HostName>>,
    /// A model that the copilot of the editor may ask, in the name of the role designer; without it the copilot works by rules alone.
    pub copilot: Option<CopilotSettings>,
}

/// `copilot` of an `operator.api`: a model behind an endpoint as OpenAI has it (`POST /chat/completions`). What of a config is a secret, a
/// comment or the value of a variable is never sent there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CopilotSettings {
    /// What comes before `/chat/completions`, such as https://api.openai.com/v1 or `http://127.0.0.1:11434/v1`; empty is no copilot.
    #[schemars(regex(pattern = r"^(https?://[^\s?#@]+)?$"), extend("x-expected" = "an http(s) URL without user, query and fragment, such as https://api.openai.com/v1"))]
    pub base_url: String,
    /// Name of the model, as the endpoint knows it.
    pub model: String,
    /// Key of the endpoint, such as `${COPILOT_API_KEY}`; empty where it wants none.
    pub api_key: Option<HeaderValue>,
    /// From a question to its answer, at most; 40s if not given. It must be less than `readTimeout` and `writeTimeout` of the server together.
    pub timeout: Option<HumanDuration>,
    /// Tokens of one answer, at most; 8192 if not given.
    #[schemars(range(min = 1))]
    pub max_tokens: Option<u32>,
    /// How often the model is asked for one person in an hour, at most; 60 if not given. A proposal that has something wrong with it is asked about
    /// again, twice at most.
    #[schemars(range(min = 1))]
    pub per_hour: Option<u32>,
}

/// Who may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperatorAccess {
    /// This machine without a token, others with a role.
    Local,
    /// Who has a role.
    Roles,
}

impl JsonSchema for OperatorAccess {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OperatorAccess".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "enum": ["local", "roles"], "x-noun": "access", "x-expected": "local or roles",
            "description": "`local`: this machine without a token, others with a role. `roles`: who has a role."
        })
    }
}

impl ModuleType for OperatorApi {
    const TYPE: &'static str = "operator.api";
    const ONE_OF: &'static [&'static str] = &[Self::TYPE];

    /// Nothing yet: it is added with its listener, see [`OperatorApi::listening`].
    fn resolve(&self, at: At<'_>, context: &Context<'_>, _: &mut Draft, findings: &mut Findings) -> Runs {
        let prefix = values::plain_path(self.prefix.as_deref(), PREFIX, &at.setting("prefix"), findings);
        if let Some(written) = &self.pages {
            file_server::look_for_root(&at.setting("pages"), written, &files::absolute(context.base, written), findings);
            if prefix.trim_end_matches('/') != PREFIX {
                let message = format!("the pages of the console ask below {PREFIX}, but `prefix` is '{prefix}'");
                findings.error(at.setting("prefix"), Code::InvalidValue, message, format!("write prefix: {PREFIX}, or leave out `pages`"));
            }
        }
        if self.access == Some(OperatorAccess::Roles) && context.first::<AuthJwt>().is_none() {
            let message = "`access: roles` asks for tokens, but there is no module of type auth.jwt that could check them";
            let help = "add one of type auth.jwt with the secret that tokens are signed with, or write access: local".to_owned();
            findings.error(at.setting("access"), Code::MissingPart, message, help);
        }
        if let Some(copilot) = &self.copilot {
            copilot.check(at, findings);
        }
        Runs::Nothing
    }
}

impl CopilotSettings {
    fn check(&self, at: At<'_>, findings: &mut Findings) {
        if self.base_url.starts_with("http://") && is_outside(&self.base_url) {
            let message = format!("what is asked of '{}' could be read on its way there, with the key", self.base_url);
            findings.error(at.setting("copilot/baseUrl"), Code::InvalidValue, message, "write https://".to_owned());
        }
        if !self.base_url.is_empty() && self.model.is_empty() {
            let help = "name one that the endpoint has, such as model: ${COPILOT_MODEL}".to_owned();
            findings.error(at.setting("copilot/model"), Code::InvalidValue, "`model` is empty, and `baseUrl` is not", help);
        }
    }

    /// What it means behind a listener; nothing where it is off.
    fn behind(&self, server: &Server) -> Option<Copilot> {
        let most = Self::most(server);
        let key = self.api_key.as_ref().filter(|key| !key.0.is_empty());
        (!self.base_url.is_empty()).then(|| Copilot {
            base_url: self.base_url.trim_end_matches('/').to_owned(),
            is_outside: is_outside(&self.base_url),
            model: self.model.clone(),
            api_key: key.map(|key| Secret(key.0.clone())),
            timeout: self.timeout.map_or(COPILOT_TIMEOUT, |given| given.0).min(most),
            max_tokens: self.max_tokens.unwrap_or(COPILOT_TOKENS),
            per_hour: self.per_hour.unwrap_or(COPILOT_PER_HOUR),
        })
    }

    /// The longest that a question may take there.
    fn most(server: &Server) -> Duration {
        (server.read_timeout + server.write_timeout).saturating_sub(AROUND_COPILOT)
    }
}

impl OperatorApi {
    /// That its model has the time which the config gives it.
    pub(in crate::config) fn check_copilot(&self, at: At<'_>, server: &Server, findings: &mut Findings) {
        let Some(given) = self.copilot.as_ref().and_then(|copilot| copilot.timeout) else { return };
        let most = CopilotSettings::most(server);
        if given.0 > most {
            let (given, most) = (given.0.as_secs(), most.as_secs());
            let message = format!("`timeout` is {given} s, but the server '{}' answers within {most} s", server.name);
            let help = format!("write {most}s or less, or a longer `writeTimeout` of '{}'", server.name);
            findings.error(at.setting("copilot/timeout"), Code::InvalidValue, message, help);
        }
    }

    /// What it means where it listens at `server`.
    pub(in crate::config) fn listening(&self, at: At<'_>, server: Server, context: &Context<'_>) -> Operator {
        let copilot = self.copilot.as_ref().and_then(|copilot| copilot.behind(&server));
        let prefix = self.prefix.as_deref().filter(|prefix| prefix.starts_with('/')).unwrap_or(PREFIX);
        Operator {
            name: at.name.to_owned(),
            server,
            prefix: prefix.trim_end_matches('/').to_owned(),
            write: self.write.unwrap_or(false),
            readers: match self.access {
                Some(OperatorAccess::Roles) => OperatorReaders::Roles,
                Some(OperatorAccess::Local) | None => OperatorReaders::Local,
            },
            pages: self.pages.as_ref().map(|written| plan::FileServer {
                name: at.name.to_owned(),
                root: files::absolute(context.base, written),
                prefix: "/".to_owned(),
                spa_fallback: false,
                cache_max_age: file_server::MAX_AGE,
                limit: None,
            }),
            copilot,
            hosts: self.hosts.iter().flatten().map(|host| host.0.clone()).collect(),
            knows_tokens: context.first::<AuthJwt>().is_some(),
        }
    }
}
