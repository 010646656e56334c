//! `health.checker`: where a process says how it is.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::http_server::HttpServer;
use crate::config::context::{At, Context};
use crate::config::finding::Findings;
use crate::config::leaf::HumanDuration;
use crate::config::module_type::{Draft, ModuleType};
use crate::config::report::Code;
use crate::config::values::{self, seconds};
use crate::plan::{Health, Runs};

/// `health.checker`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthChecker {
    /// Shown to people.
    pub description: Option<String>,
    /// `/healthz` if not given.
    pub health_path: Option<String>,
    /// `/readyz` if not given.
    pub ready_path: Option<String>,
    /// `/livez` if not given.
    pub live_path: Option<String>,
    /// How long one check may take; 5s if not given.
    pub check_timeout: Option<HumanDuration>,
    /// A further address, `127.0.0.1:9081`, where probes and metrics are answered and nothing else. What happens at the address of the
    /// server does not touch it.
    #[schemars(length(min = 1))]
    pub address: Option<String>,
}

impl ModuleType for HealthChecker {
    const TYPE: &'static str = "health.checker";
    const ONE_OF: &'static [&'static str] = &[Self::TYPE];

    fn resolve(&self, at: At<'_>, context: &Context<'_>, draft: &mut Draft, findings: &mut Findings) -> Runs {
        let mut path = |given: &Option<String>, default, key| values::plain_path(given.as_deref(), default, &at.setting(key), findings);
        let [health_path, ready_path, live_path] = [
            path(&self.health_path, "/healthz", "healthPath"),
            path(&self.ready_path, "/readyz", "readyPath"),
            path(&self.live_path, "/livez", "livePath"),
        ];
        draft.plan.health = Some(Health {
            name: at.name.to_owned(),
            health_path,
            ready_path,
            live_path,
            check_timeout: seconds(self.check_timeout, 5),
            address: self.address.as_ref().and_then(|written| probes_address(context, written, at, findings)),
        });
        Runs::Nothing
    }
}

/// Where probes are answered too: not where everything else is.
fn probes_address(context: &Context<'_>, written: &str, at: At<'_>, findings: &mut Findings) -> Option<SocketAddr> {
    let address = values::listen_address(written, at.setting("address"), findings)?;
    let servers = context.all::<HttpServer>();
    let taken = servers.iter().find(|(_, settings)| address.port() != 0 && values::socket_address(&settings.address) == Some(address));
    if let Some((server, _)) = taken {
        let message = format!("'{written}' is the address of module '{}' already, and probes are answered there anyway", server.name);
        findings.error(at.setting("address"), Code::InvalidValue, message, "write another port, or leave it out".to_owned());
    }
    (!servers.is_empty()).then_some(address)
}
