//! `metrics.collector`: `/metrics`, and who may read it.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::rate_limit::trusted_proxies;
use crate::config::context::{At, Context};
use crate::config::finding::Findings;
use crate::config::module_type::{Draft, ModuleType};
use crate::config::report::Code;
use crate::plan::{self, Runs, Secret};

/// `metrics.collector`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricsCollector {
    /// What comes before each name; `millrace` if not given.
    #[schemars(regex(pattern = "^[a-zA-Z_][a-zA-Z0-9_]*$"), extend("x-expected" = "letters, digits and underscores, not beginning with a digit"))]
    pub namespace: Option<String>,
    /// What comes between the namespace and the name.
    #[schemars(regex(pattern = "^[a-zA-Z_][a-zA-Z0-9_]*$"), extend("x-expected" = "letters, digits and underscores, not beginning with a digit"))]
    pub subsystem: Option<String>,
    /// Who may read `/metrics`; `private` if not given.
    pub access: Option<MetricsAccess>,
    /// What a collector sends as `Authorization: Bearer` where `access` is `token`; from a variable, such as `${METRICS_SECRET}`.
    pub token: Option<MetricsToken>,
    /// Public names by which collectors ask, where `access` is `private`. Addresses, names without dots and names such as `orders.prod.svc.cluster.local`
    /// need no mention.
    pub hosts: Option<Vec<HostName>>,
}

/// Who may read `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricsAccess {
    /// This machine and private networks, whoever asks for whom.
    Private,
    /// Who sends the token.
    Token,
    /// Everybody.
    Open,
}

impl JsonSchema for MetricsAccess {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MetricsAccess".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "enum": ["private", "token", "open"], "x-noun": "access", "x-expected": "private, token or open",
            "description": "`private`: this machine and private networks. `token`: who sends the `token`. `open`: everybody."
        })
    }
}

/// A token that collectors know. It is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct MetricsToken(pub String);

impl JsonSchema for MetricsToken {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MetricsToken".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[!-~]{16,256}$", "x-expected": "16 to 256 visible ASCII characters", "x-secret": true })
    }
}

impl std::fmt::Debug for MetricsToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

/// A name as it is in a `Host` header, without a port.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HostName(pub String);

impl JsonSchema for HostName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HostName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "maxLength": 253, "pattern": "^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$",
            "x-expected": "the name of a host without a port, such as metrics.example.com"
        })
    }
}

impl ModuleType for MetricsCollector {
    const TYPE: &'static str = "metrics.collector";
    const ONE_OF: &'static [&'static str] = &[Self::TYPE];

    fn resolve(&self, at: At<'_>, context: &Context<'_>, draft: &mut Draft, findings: &mut Findings) -> Runs {
        let namespace = self.namespace.as_deref().unwrap_or("millrace");
        draft.plan.metrics = Some(plan::Metrics {
            prefix: self.subsystem.as_ref().map_or_else(|| namespace.to_owned(), |subsystem| format!("{namespace}_{subsystem}")),
            access: self.access(at, context, findings),
        });
        Runs::Nothing
    }
}

impl MetricsCollector {
    fn access(&self, at: At<'_>, context: &Context<'_>, findings: &mut Findings) -> plan::MetricsAccess {
        let access = self.access.unwrap_or(MetricsAccess::Private);
        if access != MetricsAccess::Private && self.hosts.is_some() {
            findings.error(
                at.setting("hosts"),
                Code::InvalidValue,
                "`hosts` are asked for only where `access` is private",
                "write access: private, or leave the hosts out".to_owned(),
            );
        }
        match (access, &self.token) {
            (MetricsAccess::Token, Some(token)) => return plan::MetricsAccess::Token(Secret(token.0.clone())),
            (MetricsAccess::Token, None) => findings.error(
                at.setting("access"),
                Code::InvalidValue,
                "`access: token` needs a `token`",
                "write token: ${METRICS_SECRET}, and set that variable to 16 characters or more".to_owned(),
            ),
            (_, Some(_)) => findings.error(
                at.setting("token"),
                Code::InvalidValue,
                "a `token` is asked for only where `access` is token",
                "write access: token, or leave the token out".to_owned(),
            ),
            (MetricsAccess::Private | MetricsAccess::Open, None) => {}
        }
        if access == MetricsAccess::Open {
            return plan::MetricsAccess::Open;
        }
        let hosts = self.hosts.iter().flatten().map(|host| host.0.clone()).collect();
        plan::MetricsAccess::Private { trusted_proxies: trusted_proxies(context), hosts }
    }
}
