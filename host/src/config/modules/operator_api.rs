//! `operator.api`: what is for those who run the process, at an address of its own.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::auth_jwt::AuthJwt;
use super::file_server;
use super::metrics::HostName;
use crate::config::context::{At, Context};
use crate::config::files;
use crate::config::finding::Findings;
use crate::config::module_type::{Draft, ModuleType};
use crate::config::report::Code;
use crate::config::values;
use crate::plan::{self, Operator, OperatorReaders, Runs, Server};

/// Path below which it answers unless the config says otherwise.
const PREFIX: &str = "/operator";

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
        Runs::Nothing
    }
}

impl OperatorApi {
    /// What it means where it listens at `server`.
    pub(in crate::config) fn listening(&self, at: At<'_>, server: Server, context: &Context<'_>) -> Operator {
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
            hosts: self.hosts.iter().flatten().map(|host| host.0.clone()).collect(),
            knows_tokens: context.first::<AuthJwt>().is_some(),
        }
    }
}
